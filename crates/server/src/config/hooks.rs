//! The kinds of value that webhooks are set by, and what their settings have to agree on.

use super::{Application, ConfigError, Webhook, value::Listed, words::words};
use std::time::Duration;

/// At most so many webhooks.
pub const WEBHOOKS_MAX: usize = 100;
/// A publisher or viewer is not kept waiting for an answer any longer than this.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);

words! {
    /// What a webhook's requests look like.
    Dialect: "\"stentor\", \"srs\" or \"tencent-css\"" {
        /// The envelope and the signature of TRTC's callbacks.
        Stentor = "stentor",
        /// SRS's HTTP hooks.
        Srs = "srs",
        /// The callbacks of Tencent's live streaming.
        TencentCss = "tencent-css",
    }
}

words! {
    /// What a webhook may be told of.
    EventKind: "\"stream-started\", \"stream-ended\", \"viewer-began\" or \"viewer-ended\"" {
        /// A stream is live.
        StreamStarted = "stream-started",
        /// It is live no more.
        StreamEnded = "stream-ended",
        /// Somebody watches.
        ViewerBegan = "viewer-began",
        /// They watch no more.
        ViewerEnded = "viewer-ended",
    }
}

words! {
    /// What a webhook may be asked.
    Question: "\"publish\" or \"play\"" {
        /// Whether somebody may publish.
        Publish = "publish",
        /// Whether somebody may play.
        Play = "play",
    }
}

words! {
    /// What is done without a valid answer.
    OnFailure: "\"closed\" or \"open\"" {
        /// Refuse.
        Closed = "closed",
        /// Allow.
        Open = "open",
    }
}

impl Listed for EventKind {
    const EXPECTED_LIST: &'static str =
        "a list of \"stream-started\", \"stream-ended\", \"viewer-began\" and \"viewer-ended\"";
}

impl Listed for Question {
    const EXPECTED_LIST: &'static str = "a list of \"publish\" and \"play\"";
}

/// What one setting alone cannot tell.
pub(super) fn check(webhooks: &[Webhook], applications: &[Application]) -> Result<(), ConfigError> {
    for (at, webhook) in webhooks.iter().enumerate() {
        let wrong = |message: &str| Err(ConfigError::Contradiction { message: format!("webhook {at} {message}") });
        let valid = reqwest::Url::parse(&webhook.url)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !valid {
            return wrong("has no url that can be called; expected one such as https://example.com/stentor-events");
        }
        if let Some(id) = webhook.application
            && !applications.iter().any(|application| application.sdk_app_id == id)
        {
            return wrong(&format!("is of application {id}, and no [[application]] has that number"));
        }
        // The sample's placeholder holds spaces, so it cannot be taken for a secret.
        if webhook.key.as_ref().is_some_and(|key| key.contains(char::is_whitespace)) {
            return wrong("has a key with a space in it; make one by: openssl rand -hex 16");
        }
        if webhook.dialect == Dialect::TencentCss && !webhook.veto.is_empty() {
            return wrong(
                "has the dialect \"tencent-css\" and a veto, and that dialect asks nothing; leave veto out, or take another dialect",
            );
        }
        let of_viewers = |kind: &EventKind| matches!(kind, EventKind::ViewerBegan | EventKind::ViewerEnded);
        if webhook.dialect == Dialect::TencentCss && webhook.events.iter().any(of_viewers) {
            return wrong("has the dialect \"tencent-css\", which knows stream-started and stream-ended only");
        }
        if webhook.timeout.is_zero() || webhook.timeout > TIMEOUT_MAX {
            return wrong("has a timeout that is 0 or more than 30s; expected one such as \"5s\"");
        }
    }
    Ok(())
}
