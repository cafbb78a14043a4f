//! The live URL in a body: `artc://host/app/stream?query` and its like.

use crate::refusal::Refusal;

/// Characters of a URL that are repeated to whoever sent it.
const SHOWN_MAX: usize = 120;

/// The parts of a live URL that name a stream and prove who asks. The host is whatever the client calls this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LiveUrl<'a> {
    /// The AppName; empty where the path has one segment only.
    pub(super) app: &'a str,
    /// The stream.
    pub(super) stream: &'a str,
    /// What follows the question mark.
    pub(super) query: &'a str,
}

impl<'a> LiveUrl<'a> {
    /// Reads a URL of this scheme.
    ///
    /// # Errors
    /// Where it is none; the sentence shows how it should look.
    pub(super) fn parse(text: &'a str, scheme: &str) -> Result<Self, Refusal> {
        let wrong = || {
            let shown: String = text.chars().take(SHOWN_MAX).collect();
            Refusal::Malformed(format!("the URL reads '{shown}', and should be {scheme}://host/app/stream"))
        };
        let (found, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
        if !found.eq_ignore_ascii_case(scheme) || host.is_empty() || host.contains(['?', '#']) {
            return Err(wrong());
        }
        let path = path.split('#').next().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (app, stream) = path.split_once('/').unwrap_or(("", path));
        if stream.is_empty() || stream.contains('/') {
            return Err(wrong());
        }
        Ok(Self { app, stream, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_parts() {
        let url = LiveUrl::parse("artc://h:8080/live/show?auth_key=1-0-0-a&b", "artc").unwrap();
        assert_eq!(url, LiveUrl { app: "live", stream: "show", query: "auth_key=1-0-0-a&b" });
        let url = LiveUrl::parse("WEBRTC://[::1]:80/show", "webrtc").unwrap();
        assert_eq!(url, LiveUrl { app: "", stream: "show", query: "" });
    }

    #[test]
    fn refuses_in_a_sentence() {
        for text in ["", "show", "artc://", "artc://h", "artc://h/", "artc:///a/b", "rtmp://h/a/b", "artc://h/a/b/c"] {
            let sentence = LiveUrl::parse(text, "artc").unwrap_err().to_string();
            assert!(sentence.contains("artc://host/app/stream"), "{text}: {sentence}");
        }
    }

    proptest! {
        #[test]
        fn takes_any_text(text in any::<String>()) {
            if let Ok(url) = LiveUrl::parse(&text, "artc") {
                prop_assert!(!url.stream.contains(['/', '?', '#']) && !url.app.contains(['/', '?', '#']));
            }
        }
    }
}
