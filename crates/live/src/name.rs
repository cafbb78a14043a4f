//! The names of a live stream: the first segment of its URL (`AppName`), the second (`StreamName`), and with the
//! application that they belong to, its key.
//!
//! A transcoded variant will be `{stream}_{template}`; an exact stream name beats it, so a name needs no reserved
//! underscore and splitting it is the business of whoever knows the templates.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

/// Bytes of a name, at most.
pub const NAME_BYTES_MAX: usize = 255;

/// First path segments that doors of the server use, so that no live URL can begin with them.
pub const RESERVED_APPS: [&str; 12] =
    ["v1", "whip", "whep", "rtc", "demo", "compat", "console", "metrics", "healthz", "readyz", "sdk", "assets"];

/// ASCII characters besides letters and digits that a name may have: they stand in a URL path as they are.
const MARKS: &str = "_-.~@:%!+=,$*()";

/// Why a text cannot be a name. The text is a sentence for whoever wrote the URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("the {what} name is empty; a live URL is /app/stream, for example /live/demo")]
    Empty {
        /// Which of the two names.
        what: &'static str,
    },
    /// More than `NAME_BYTES_MAX` bytes.
    #[error("the {what} name has {bytes} bytes, and at most {NAME_BYTES_MAX} are taken; choose a shorter one")]
    TooLong {
        /// Which of the two names.
        what: &'static str,
        /// How many bytes came.
        bytes: usize,
    },
    /// It begins with a dot.
    #[error("the {what} name begins with a dot; begin it with a letter, a digit or _")]
    Dot {
        /// Which of the two names.
        what: &'static str,
    },
    /// A character that does not stand in a URL as it is.
    #[error(
        "the {what} name has the character {character:?}; letters, digits and {MARKS} are taken, others percent-encoded"
    )]
    Character {
        /// Which of the two names.
        what: &'static str,
        /// The first such character.
        character: char,
    },
    /// The first path segment of a door of the server.
    #[error("'{0}' is the path of another door of this server and cannot be an app name; 'live' is the usual one")]
    Reserved(&'static str),
}

/// The first segment of a live URL's path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(Arc<str>);

/// The second segment of a live URL's path, without the ending that names the format.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// What a live URL names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// The tenant (`sdkAppId`).
    pub application: u32,
    /// The first path segment.
    pub app: AppName,
    /// The second path segment.
    pub stream: StreamName,
}

impl AppName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check(text, "app")?;
        match reserved(text) {
            Some(reserved) => Err(NameError::Reserved(reserved)),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check(text, "stream")?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.stream)
    }
}

/// Whether this is the first path segment of another door, whatever its case.
pub fn is_reserved(text: &str) -> bool {
    reserved(text).is_some()
}

fn reserved(text: &str) -> Option<&'static str> {
    RESERVED_APPS.into_iter().find(|reserved| reserved.eq_ignore_ascii_case(text))
}

fn check(text: &str, what: &'static str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong { what, bytes: text.len() });
    }
    if text.starts_with('.') {
        return Err(NameError::Dot { what });
    }
    let is_safe = |character: char| character.is_ascii_alphanumeric() || MARKS.contains(character);
    match text.chars().find(|&character| !is_safe(character)) {
        Some(character) => Err(NameError::Character { what, character }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_reads_as_its_url_does() {
        let key = StreamKey { application: 1, app: "live".parse().unwrap(), stream: "demo".parse().unwrap() };
        assert_eq!(key.to_string(), "live/demo");
    }

    #[test]
    fn takes_what_rooms_call_their_streams() {
        for name in ["1400000001_42_user%20one_main", "str.123", "a@b:c", "x_720p", &"n".repeat(255)] {
            assert_eq!(name.parse::<StreamName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_in_sentences() {
        let stream = |text: &str| text.parse::<StreamName>().unwrap_err().to_string();
        assert!(stream("").starts_with("the stream name is empty"));
        assert!(stream(&"n".repeat(256)).contains("256 bytes"));
        assert!(stream("..").contains("begins with a dot"));
        assert!(stream("a/b").contains("'/'"));
        assert!(stream("a\nb").contains("'\\n'"));
        assert!(stream("直播").contains("percent-encoded"));
        let app = |text: &str| text.parse::<AppName>().unwrap_err();
        for reserved in RESERVED_APPS {
            assert_eq!(app(reserved), NameError::Reserved(reserved));
        }
        assert_eq!(app("WHIP"), NameError::Reserved("whip"));
        assert!("whip".parse::<StreamName>().is_ok(), "only the first segment is reserved");
    }

    proptest! {
        #[test]
        fn a_name_holds_nothing_that_ends_a_path_segment(text in any::<String>()) {
            if let Ok(name) = text.parse::<StreamName>() {
                prop_assert!(!name.as_str().contains(['/', '?', '#', '\\', ' ', '\0']));
                prop_assert!(name.as_str() != ".." && name.as_str() != ".");
            }
        }
    }
}
