//! What a client asks for, and how it is told no.

use crate::flv::amf::Value;
use crate::rtmp::command::Command;
use crate::rtmp::{Capabilities, Error, Limits};

/// What a client wants to publish or play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The application, without query and without slashes around it. It may have slashes within.
    pub app: String,
    /// The stream, without query.
    pub stream: String,
    /// The queries of stream name, application and address, joined by `&`, each once, without `?`.
    pub query: String,
    /// The address as the client says that it dialled it.
    pub tc_url: String,
    /// What the client says that it is.
    pub flash_ver: String,
    /// What the client says that it can do beyond RTMP 1.0.
    pub capabilities: Capabilities,
}

/// A denial and the sentence that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of no.
    pub reason: Reason,
    /// What was wrong, what was expected, what to do. It is shown to the user.
    pub sentence: String,
}

/// Kinds of no, which clients are told as codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The name is malformed, or somebody publishes under it.
    BadName,
    /// Nobody publishes what is to be played.
    NotFound,
    /// The token is missing, wrong or expired, or does not allow this.
    Denied,
    /// The server cannot take more, or is being drained.
    Unavailable,
}

impl Reason {
    pub(super) fn publish_code(self) -> &'static str {
        match self {
            Self::BadName | Self::NotFound => "NetStream.Publish.BadName",
            Self::Denied => "NetStream.Publish.Denied",
            Self::Unavailable => "NetStream.Failed",
        }
    }

    pub(super) fn play_code(self) -> &'static str {
        match self {
            Self::BadName | Self::NotFound => "NetStream.Play.StreamNotFound",
            Self::Denied => "NetStream.Play.Failed",
            Self::Unavailable => "NetStream.Failed",
        }
    }
}

/// What `connect` said.
#[derive(Clone, Debug, Default)]
pub(super) struct Greeting {
    app: String,
    tc_url: String,
    flash_ver: String,
    pub(super) capabilities: Capabilities,
}

impl Greeting {
    /// Reads the object of a `connect` command. What is missing is empty: the owner refuses a name that it cannot use.
    pub(super) fn read(command: &Command, limits: &Limits) -> Result<Self, Error> {
        let field = |key: &str| -> Result<String, Error> {
            let text = command.object.get(key).and_then(Value::as_str).unwrap_or_default();
            bounded(text, limits)
        };
        Ok(Self {
            app: field("app")?,
            tc_url: field("tcUrl")?,
            flash_ver: field("flashVer")?,
            capabilities: Capabilities::read(&command.object),
        })
    }

    /// The request for a stream by the name that `publish` or `play` gave.
    pub(super) fn request(&self, name: &str, limits: &Limits) -> Result<Request, Error> {
        let name = bounded(name, limits)?;
        let (stream, stream_query) = split(&name);
        let (app, app_query) = split(&self.app);
        let (_, url_query) = split(&self.tc_url);
        let mut queries: Vec<&str> = Vec::new();
        for query in [stream_query, app_query, url_query] {
            if !query.is_empty() && !queries.contains(&query) {
                queries.push(query);
            }
        }
        Ok(Request {
            app: app.trim_matches('/').to_owned(),
            stream: stream.to_owned(),
            query: queries.join("&"),
            tc_url: self.tc_url.clone(),
            flash_ver: self.flash_ver.clone(),
            capabilities: self.capabilities.clone(),
        })
    }
}

fn bounded(text: &str, limits: &Limits) -> Result<String, Error> {
    if text.len() > limits.field_bytes_max { Err(Error::FieldTooLong) } else { Ok(text.to_owned()) }
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('?').unwrap_or((name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(app: &str, tc_url: &str, name: &str) -> Request {
        let greeting = Greeting { app: app.to_owned(), tc_url: tc_url.to_owned(), ..Greeting::default() };
        greeting.request(name, &Limits::default()).unwrap()
    }

    #[test]
    fn queries_are_found_wherever_a_client_puts_them() {
        let found = request("live", "rtmp://h/live", "cam?token=1&b=2");
        assert_eq!((found.app.as_str(), found.stream.as_str(), found.query.as_str()), ("live", "cam", "token=1&b=2"));
        let found = request("live?token=1", "rtmp://h/live?token=1", "cam");
        assert_eq!((found.app.as_str(), found.query.as_str()), ("live", "token=1"));
        let found = request("/live/?a=1", "rtmp://h/live?b=2", "cam?c=3");
        assert_eq!((found.app.as_str(), found.query.as_str()), ("live", "c=3&a=1&b=2"));
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let long = "x".repeat(Limits::default().field_bytes_max + 1);
        assert_eq!(Greeting::default().request(&long, &Limits::default()), Err(Error::FieldTooLong));
    }
}
