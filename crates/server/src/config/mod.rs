//! The configuration: one typed tree, read from a file, the environment and flags, in rising precedence.
//!
//! Each setting is declared once, in [`tree`], with its documentation and its default. The commented sample file, the
//! reference page and every error message come from there. What does not live here: the meaning of command line flags,
//! and anything that happens after the start.

mod error;
mod hooks;
mod reference;
mod section;
mod signing;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod words;

pub use hooks::{Dialect, EventKind, OnFailure, Question};
pub use reference::sample;
pub use tree::{App, Application, Hls, Http, Live, Media, Rtmp, Server, Webhook};
pub use value::LogFormat;
pub use words::ViewerLeg;

use self::error::ConfigError;
use self::section::{Fault, Section};
use self::source::{Entry, Place};
use std::path::Path;
use wire::rtmp::client::{Mode, Target};

/// At most so many applications in one file.
pub const APPLICATIONS_MAX: usize = 1_000;
/// At most so many AppNames of which something else is said.
pub const APPS_MAX: usize = 1_000;
/// At most so many live keys an application: two while one is exchanged for the next.
pub const KEYS_MAX: usize = 2;
/// A shorter key is refused, in bytes: a key of the original has 64 characters.
pub const KEY_BYTES_MIN: usize = 16;
/// A shorter admin token is refused, in bytes.
pub const ADMIN_TOKEN_BYTES_MIN: usize = 16;
/// Each request is compared with every admin token, so there are not many.
const ADMIN_TOKENS_MAX: usize = 32;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The process as a whole.
    pub server: Server,
    /// Pages, REST, WHIP, WHEP, FLV, HLS.
    pub http: Http,
    /// RTMP.
    pub rtmp: Rtmp,
    /// WebRTC.
    pub media: Media,
    /// Live streams.
    pub live: Live,
    /// HLS.
    pub hls: Hls,
    /// The applications, in the order of the file; [`Config::load`] puts the default one first.
    pub applications: Vec<Application>,
    /// What is otherwise for single AppNames.
    pub apps: Vec<App>,
    /// The webhooks, in the order of the file.
    pub webhooks: Vec<Webhook>,
}

impl Config {
    /// Reads the file, then lets the environment and then the flags override it, then checks the whole.
    ///
    /// `environment` is every variable of the process; those that are not ours are passed over. `flags` are pairs of
    /// key and value, such as `("http.listen", "0.0.0.0:80")`.
    ///
    /// # Errors
    /// The first mistake, in a sentence that names file and line, variable or flag, and says what was expected.
    pub fn load<'a>(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<Self, ConfigError> {
        let text = match file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?,
            None => String::new(),
        };
        let name = file.map(|path| path.display().to_string()).unwrap_or_default();
        let mut entries = source::from_file(&name, &text)?;
        entries.extend(source::from_environment(environment)?);
        entries.extend(source::from_flags(flags)?);
        let mut config = Self::from_entries(&entries)?;
        config.check()?;
        config.default_application_first();
        Ok(config)
    }

    /// The commented sample file: every setting at its default.
    #[must_use]
    pub fn sample() -> String {
        sample()
    }

    fn from_entries(entries: &[Entry]) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for entry in entries {
            config.set(entry)?;
        }
        Ok(config)
    }

    fn set(&mut self, entry: &Entry) -> Result<(), ConfigError> {
        let key = entry.key.as_str();
        let done = match (entry.section.as_str(), entry.index) {
            (Server::NAME, None) => self.server.set(key, &entry.raw),
            (Http::NAME, None) => self.http.set(key, &entry.raw),
            (Rtmp::NAME, None) => self.rtmp.set(key, &entry.raw),
            (Media::NAME, None) => self.media.set(key, &entry.raw),
            (Live::NAME, None) => self.live.set(key, &entry.raw),
            (Hls::NAME, None) => self.hls.set(key, &entry.raw),
            (Application::NAME, Some(index)) => {
                member(&mut self.applications, APPLICATIONS_MAX, index, &entry.place)?.set(key, &entry.raw)
            }
            (App::NAME, Some(index)) => member(&mut self.apps, APPS_MAX, index, &entry.place)?.set(key, &entry.raw),
            (Webhook::NAME, Some(index)) => {
                member(&mut self.webhooks, hooks::WEBHOOKS_MAX, index, &entry.place)?.set(key, &entry.raw)
            }
            (Application::NAME, None) => return Err(not_repeated(Application::NAME, &entry.place)),
            (App::NAME, None) => return Err(not_repeated(App::NAME, &entry.place)),
            (Webhook::NAME, None) => return Err(not_repeated(Webhook::NAME, &entry.place)),
            (section, Some(_)) if section::is_known(section) => {
                return Err(ConfigError::Repeated { place: entry.place.clone(), section: section.to_owned() });
            }
            (section, _) => return Err(error::unknown_section(section, &entry.place)),
        };
        done.map_err(|fault| match fault {
            Fault::UnknownKey => error::unknown_key(entry),
            Fault::BadValue { expected } => ConfigError::BadValue {
                place: entry.place.clone(),
                key: entry.full_key(),
                found: entry.raw.to_string(),
                expected,
            },
        })
    }

    /// What one setting alone cannot tell.
    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |message: String| Err(ConfigError::Contradiction { message });
        if self.http.tls_certificate.is_some() != self.http.tls_key.is_some() {
            return wrong("http.tls_certificate and http.tls_key belong together; set both, or neither".into());
        }
        if self.rtmp.tls_certificate.is_some() != self.rtmp.tls_key.is_some() {
            return wrong("rtmp.tls_certificate and rtmp.tls_key belong together; set both, or neither".into());
        }
        if let Some(url) = &self.rtmp.reconnect_url
            && Target::parse(&format!("{}/any", url.trim_end_matches('/')), Mode::Publish).is_err()
        {
            return wrong(format!("rtmp.reconnect_url is {url}; expected one such as rtmp://other.example.com/live"));
        }
        if self.media.shards as usize > sfu::SHARDS_MAX {
            let (shards, most) = (self.media.shards, sfu::SHARDS_MAX);
            return wrong(format!("media.shards is {shards}; expected {most} at most, or 0 for one for each core"));
        }
        if let Some(other) =
            self.media.ice_servers.iter().find(|url| !url.starts_with("stun:") || url.contains(['<', '>', '"']))
        {
            return wrong(format!("media.ice_servers has {other}; expected URLs such as stun:stun.example.com:3478"));
        }
        // The sample's placeholder holds spaces, so it cannot be taken for a secret.
        let weak = |token: &String| token.len() < ADMIN_TOKEN_BYTES_MIN || token.contains(char::is_whitespace);
        if self.server.admin_tokens.iter().any(weak) {
            return wrong(format!(
                "one of server.admin_tokens holds a space or is shorter than {ADMIN_TOKEN_BYTES_MIN} characters; make one by: openssl rand -hex 32"
            ));
        }
        if self.server.admin_tokens.len() > ADMIN_TOKENS_MAX {
            let count = self.server.admin_tokens.len();
            return wrong(format!("server.admin_tokens has {count} tokens; expected at most {ADMIN_TOKENS_MAX}"));
        }
        if let Some(endpoint) = &self.server.otlp_endpoint
            && !is_plain_http(endpoint)
        {
            return wrong(format!(
                "server.otlp_endpoint is '{endpoint}'; expected http://host:port of a collector, without a query; where traces go further by HTTPS, let a collector on this machine send them"
            ));
        }
        if self.hls.segments < tree::HLS_SEGMENTS_MIN {
            return wrong(format!("hls.segments is {}; expected at least 3, or players stall", self.hls.segments));
        }
        if self.applications.is_empty() {
            return wrong(
                "there is no application; add [[application]] with sdk_app_id and keys to the file (see the sample)"
                    .into(),
            );
        }
        for (at, application) in self.applications.iter().enumerate() {
            application.check(self.applications.iter().take(at))?;
        }
        signing::check(&self.applications, &self.apps)?;
        hooks::check(&self.webhooks, &self.applications)?;
        if let Some(default) = self.server.default_application
            && !self.applications.iter().any(|application| application.sdk_app_id == default)
        {
            return wrong(format!("server.default_application is {default}, and no [[application]] has that number"));
        }
        Ok(())
    }

    fn default_application_first(&mut self) {
        let Some(default) = self.server.default_application else { return };
        if let Some(at) = self.applications.iter().position(|application| application.sdk_app_id == default) {
            let application = self.applications.remove(at);
            self.applications.insert(0, application);
        }
    }
}

/// The entry of this number in a repeated section, made where it is the next.
fn member<'a, T: Section>(
    all: &'a mut Vec<T>,
    max: usize,
    index: usize,
    place: &Place,
) -> Result<&'a mut T, ConfigError> {
    let count = all.len();
    if index == count && index < max {
        all.push(T::default());
    }
    let gap = || ConfigError::Gap { place: place.clone(), section: T::NAME, index, count, max };
    all.get_mut(index).ok_or_else(gap)
}

fn not_repeated(section: &'static str, place: &Place) -> ConfigError {
    ConfigError::NotRepeated { place: place.clone(), section }
}

/// Whether this is `http://` with a host, and nothing that cannot be gone on with by a path.
fn is_plain_http(url: &str) -> bool {
    url.parse::<axum::http::Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
    })
}

impl Application {
    fn check<'a>(&self, mut others: impl Iterator<Item = &'a Self>) -> Result<(), ConfigError> {
        let id = self.sdk_app_id;
        let wrong = |message: String| Err(ConfigError::Contradiction { message });
        if id == 0 {
            return wrong("an [[application]] has no sdk_app_id; expected a number from 1 to 4294967295".into());
        }
        if self.keys.len() > KEYS_MAX || (self.keys.is_empty() && !self.open) {
            let count = self.keys.len();
            return wrong(format!("application {id} has {count} keys; expected one, or two while one is exchanged"));
        }
        // The sample's placeholder holds spaces, so it cannot be taken for a secret.
        if self.keys.iter().any(|key| key.len() < KEY_BYTES_MIN || key.contains(char::is_whitespace)) {
            return wrong(format!(
                "a key of application {id} holds a space or is shorter than {KEY_BYTES_MIN} characters; make one by: openssl rand -hex 32"
            ));
        }
        if let Some(other) = others.find(|other| other.sdk_app_id == id || self.shares_host_with(other)) {
            let other = other.sdk_app_id;
            return wrong(format!("applications {other} and {id} share a number or a host name; each needs its own"));
        }
        Ok(())
    }

    fn shares_host_with(&self, other: &Self) -> bool {
        self.hosts.iter().any(|host| other.hosts.iter().any(|theirs| theirs.eq_ignore_ascii_case(host)))
    }
}
