//! Signed live URLs: which keys count for whom, and where in a request a signature stands. The schemes themselves are in
//! `wire::sign::url`.

use live::name::StreamKey;
use wire::sign::url::{self, Scheme, Signature, Target};

use crate::{auth::Credentials, config, refusal::Refusal, session::Action};

/// Secret keys; they never show in a log.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// These keys.
    pub fn new(keys: &[String]) -> Self {
        Self(keys.to_vec())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// What an application wants of signed URLs.
#[derive(Clone, Debug, Default)]
pub struct Signing {
    /// What is taken.
    pub schemes: Vec<Scheme>,
    /// URLs are valid for so long after the time that they name.
    pub validity_s: u64,
    /// The keys of URLs to publish by, one or two.
    pub push_keys: Secrets,
    /// The keys of URLs to play by, one or two.
    pub play_keys: Secrets,
    /// Whether playing needs nothing.
    pub play_open: bool,
    /// What is otherwise for single AppNames.
    pub apps: Vec<AppSigning>,
}

/// What is otherwise for one AppName.
#[derive(Clone, Debug, Default)]
pub struct AppSigning {
    /// The AppName.
    pub name: String,
    /// Instead of the application's, where there are any.
    pub push_keys: Secrets,
    /// Instead of the application's, where there are any.
    pub play_keys: Secrets,
    /// Instead of the application's.
    pub play_open: Option<bool>,
}

impl Signing {
    /// What the configuration says of an application.
    pub fn from_config(application: &config::Application, apps: &[config::App]) -> Self {
        let own = apps.iter().filter(|app| app.sdk_app_id == application.sdk_app_id);
        Self {
            schemes: application.url_signing.clone(),
            validity_s: application.url_validity.as_secs(),
            push_keys: Secrets::new(&application.push_keys),
            play_keys: Secrets::new(&application.play_keys),
            play_open: application.play_open,
            apps: own
                .map(|app| AppSigning {
                    name: app.name.clone(),
                    push_keys: Secrets::new(&app.push_keys),
                    play_keys: Secrets::new(&app.play_keys),
                    play_open: app.play_open,
                })
                .collect(),
        }
    }

    /// For trying: one key for everything, by every scheme.
    pub fn of_one_key(key: &str) -> Self {
        let keys = Secrets(vec![key.to_owned()]);
        Self { schemes: Scheme::ALL.to_vec(), push_keys: keys.clone(), play_keys: keys, ..Self::default() }
    }

    /// Whether playing streams of an AppName needs nothing.
    pub fn plays_openly(&self, app: &str) -> bool {
        self.of(app).and_then(|own| own.play_open).unwrap_or(self.play_open)
    }

    /// Checks a signature for what is to be done with a stream.
    ///
    /// # Errors
    /// The reason.
    pub fn check(
        &self,
        signature: &Signature<'_>,
        action: Action,
        key: &StreamKey,
        extension: &str,
        now_unix_s: u64,
    ) -> Result<(), Refusal> {
        let wrong = |sentence: String| Err(Refusal::UrlKey(sentence));
        let number = key.application;
        let (own, other) = (self.keys(action, key.app.as_str()), self.keys(opposite(action), key.app.as_str()));
        let (name, other_name) = (setting(action), setting(opposite(action)));
        if !self.schemes.contains(&signature.scheme()) {
            let taken = match self.schemes.is_empty() {
                true => "none".to_owned(),
                false => self.schemes.iter().map(|scheme| scheme.name()).collect::<Vec<_>>().join(", "),
            };
            return wrong(format!(
                "this URL is signed by {}, and application {number} takes {taken}; sign otherwise, or name it in application.url_signing",
                signature.scheme()
            ));
        }
        let target = Target { app: key.app.as_str(), stream: key.stream.as_str(), extension };
        if other.is_signed(signature, &target) && !own.is_signed(signature, &target) {
            return wrong(format!(
                "this URL is signed with one of {other_name}, and to {} it has to be with one of {name}; they are separate so that a viewer cannot publish",
                action.name()
            ));
        }
        if own.is_empty() {
            return wrong(format!(
                "this URL is signed, and application {number} has no {name} to check it with; set application.{name}, or leave the signature out"
            ));
        }
        Ok(signature.check(&own.0, &target, self.validity_s, now_unix_s)?)
    }

    fn of(&self, app: &str) -> Option<&AppSigning> {
        self.apps.iter().find(|own| own.name == app)
    }

    fn keys(&self, action: Action, app: &str) -> &Secrets {
        let own = self.of(app).map(|own| match action {
            Action::Publish => &own.push_keys,
            Action::Play => &own.play_keys,
        });
        own.filter(|keys| !keys.is_empty()).unwrap_or(match action {
            Action::Publish => &self.push_keys,
            Action::Play => &self.play_keys,
        })
    }
}

impl Secrets {
    fn is_signed(&self, signature: &Signature<'_>, target: &Target<'_>) -> bool {
        signature.is_signed_by(&self.0, target)
    }
}

fn opposite(action: Action) -> Action {
    match action {
        Action::Publish => Action::Play,
        Action::Play => Action::Publish,
    }
}

fn setting(action: Action) -> &'static str {
    match action {
        Action::Publish => "push_keys",
        Action::Play => "play_keys",
    }
}

/// The signature that a request shows: before its path, or in its query.
///
/// # Errors
/// Where there is one that cannot be read, or several.
pub fn shown<'a>(credentials: &Credentials<'a>) -> Result<Option<Signature<'a>>, Refusal> {
    let query = credentials.query;
    let in_query = Signature::from_query(|name| query.get(name))?;
    let Some(Prefix(first, second)) = credentials.prefix else { return Ok(in_query) };
    let in_path = Signature::from_prefix(first, second)?;
    if in_query.is_some() {
        let reason = "it has one before its path and one in its query; leave one of them out";
        return Err(url::UrlError::Malformed { reason }.into());
    }
    Ok(Some(in_path))
}

/// The two segments before the path of a URL that are its signature.
#[derive(Clone)]
pub struct Prefix(String, String);

/// It is a credential.
impl std::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prefix")
    }
}

impl Prefix {
    /// Takes the signature off the segments of a path, where there is one before an app and a stream.
    pub fn take(segments: &mut Vec<&str>) -> Option<Self> {
        let prefix = match segments.as_slice() {
            [first, second, _, _, ..] if url::is_prefix(first, second) => {
                Self((*first).to_owned(), (*second).to_owned())
            }
            _ => return None,
        };
        segments.drain(..2);
        Some(prefix)
    }

    /// The same of an application and a stream in RTMP, wherever the client has split the path between the two.
    pub fn take_of_rtmp(app: &str, stream: &str) -> (Option<Self>, String, String) {
        let whole = format!("{app}/{stream}");
        let mut segments: Vec<&str> = whole.split('/').collect();
        match (Self::take(&mut segments), segments.as_slice()) {
            (Some(prefix), [app, stream]) => (Some(prefix), (*app).to_owned(), (*stream).to_owned()),
            _ => (None, app.to_owned(), stream.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::stream_key;
    use wire::sign::url::mint;

    const PUSH: &str = "push key of the application";
    const PLAY: &str = "play key of the application";
    const APP_PUSH: &str = "push key of one AppName";
    const NOW: u64 = 1_700_000_000;

    fn signing() -> Signing {
        let secrets = |key: &str| Secrets::new(&["an older key".to_owned(), key.to_owned()]);
        Signing {
            schemes: vec![Scheme::AliyunA, Scheme::Tencent],
            push_keys: secrets(PUSH),
            play_keys: secrets(PLAY),
            apps: vec![AppSigning {
                name: "show".into(),
                push_keys: secrets(APP_PUSH),
                play_open: Some(true),
                ..AppSigning::default()
            }],
            ..Signing::default()
        }
    }

    /// The refusal of a URL of `app/a` that is signed with `key`.
    fn check(signing: &Signing, scheme: Scheme, key: &str, action: Action, app: &str) -> Result<(), String> {
        let target = Target { app, stream: "a", extension: "" };
        let query = crate::query::Query::parse(&mint(scheme, key, &target, NOW + 60).query);
        let signature = Signature::from_query(|name| query.get(name)).unwrap().unwrap();
        let checked = signing.check(&signature, action, &stream_key(7, app, "a").unwrap(), "", NOW);
        checked.map_err(|refusal| format!("{}: {refusal}", refusal.title()))
    }

    #[test]
    fn each_key_opens_what_it_is_for() {
        let signing = signing();
        for scheme in [Scheme::AliyunA, Scheme::Tencent] {
            assert_eq!(check(&signing, scheme, PUSH, Action::Publish, "live"), Ok(()));
            assert_eq!(check(&signing, scheme, PLAY, Action::Play, "live"), Ok(()));
            assert_eq!(
                check(&signing, scheme, PLAY, Action::Play, "show"),
                Ok(()),
                "what it does not set is inherited"
            );
            assert_eq!(check(&signing, scheme, APP_PUSH, Action::Publish, "show"), Ok(()));
            assert!(check(&signing, scheme, PUSH, Action::Publish, "show").is_err(), "and what it sets is not");
            assert!(check(&signing, scheme, APP_PUSH, Action::Publish, "live").is_err());
            let swapped = check(&signing, scheme, PLAY, Action::Publish, "live").unwrap_err();
            assert!(swapped.starts_with("url-signature-wrong: ") && swapped.contains("one of play_keys"), "{swapped}");
            let swapped = check(&signing, scheme, PUSH, Action::Play, "live").unwrap_err();
            assert!(swapped.contains("with one of push_keys, and to play"), "{swapped}");
        }
        assert!(signing.plays_openly("show") && !signing.plays_openly("live"));
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        let refused = check(&signing(), Scheme::TencentSha256, PUSH, Action::Publish, "live").unwrap_err();
        assert!(refused.contains("tencent-sha256, and application 7 takes aliyun-a, tencent;"), "{refused}");
        let none = Signing { schemes: Scheme::ALL.to_vec(), ..Signing::default() };
        let refused = check(&none, Scheme::AliyunA, PUSH, Action::Publish, "live").unwrap_err();
        assert!(refused.contains("has no push_keys"), "{refused}");
    }

    #[test]
    fn a_prefix_is_taken_wherever_rtmp_splits_the_path() {
        let (time, digest) = ("201508150800", "9044548ef1527deadafa49a890a377f0");
        for (app, stream) in [
            (format!("{time}/{digest}/live"), "a".to_owned()),
            (time.to_owned(), format!("{digest}/live/a")),
            (format!("{time}/{digest}"), "live/a".to_owned()),
        ] {
            let (prefix, app, stream) = Prefix::take_of_rtmp(&app, &stream);
            assert!(prefix.is_some() && app == "live" && stream == "a", "{app} {stream}");
        }
        let (prefix, app, stream) = Prefix::take_of_rtmp("live", "a");
        assert!(prefix.is_none() && app == "live" && stream == "a");
        let (prefix, app, stream) = Prefix::take_of_rtmp(&format!("{time}/{digest}"), "a");
        assert!(prefix.is_none() && app != "live" && stream == "a");
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?}", signing());
        assert!(!shown.contains("key of"), "{shown}");
    }
}
