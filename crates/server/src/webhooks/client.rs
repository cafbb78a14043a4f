//! One request to a webhook, bounded in time and in what is read of the answer.

use std::time::{Duration, Instant};

use reqwest::{Client as Http, header, redirect};

use super::{
    hook::{Dialect, Hook},
    sign,
};
use crate::clock::unix_now_s;

/// Bytes of an answer that are read, at most: the original's bound.
pub const ANSWER_BYTES_MAX: usize = 2_000;
/// Connections that are kept for the next request, to each host.
const IDLE_MAX: usize = 8;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `None` where it was longer than is read, or was not sent to its end.
    pub body: Option<Vec<u8>>,
}

/// Why nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer in time.
    Timeout,
    /// No connection, or one that ended before the answer.
    Connection,
    /// As many are asked as may be.
    Busy,
    /// An answer that is none: a redirect, another status, too long, not what was expected.
    Answer(&'static str),
}

impl Failure {
    /// For logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Timeout => "it gave no answer in time",
            Self::Connection => "it cannot be reached, or closed before it answered",
            Self::Busy => "it is being asked as much as it may be",
            Self::Answer(reason) => reason,
        }
    }
}

/// Sends requests.
#[derive(Clone, Debug)]
pub struct Client(Http);

impl Client {
    /// A client for these webhooks.
    ///
    /// # Errors
    /// Where HTTPS is wanted and the machine has no certificates to check others by.
    pub fn new(hooks: &[Hook]) -> Result<Self, reqwest::Error> {
        let builder = Http::builder()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("stentor/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .no_proxy();
        // Without any HTTPS, a machine without root certificates will do.
        let tls = hooks.iter().any(|hook| hook.url.scheme() == "https");
        let builder = if tls { builder } else { builder.tls_certs_only([]) };
        Ok(Self(builder.build()?))
    }

    /// Posts a body and reads the answer, until `deadline`. Where only the head of an answer came in time, it counts.
    ///
    /// # Errors
    /// Where not even that came.
    pub async fn post(
        &self,
        hook: &Hook,
        application: u32,
        id: &str,
        body: &str,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let body = match hook.dialect {
            Dialect::TencentCss if !hook.key.is_empty() => sign::css(&hook.key, body, unix_now_s()),
            _ => body.to_owned(),
        };
        let mut request = self
            .0
            .post(hook.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("SdkAppId", application)
            .header("Stentor-Event-Id", id);
        if hook.dialect != Dialect::TencentCss && !hook.key.is_empty() {
            request = request.header("Sign", sign::header(&hook.key, body.as_bytes()));
        }
        let sent = tokio::time::timeout_at(deadline.into(), request.body(body).send()).await;
        let mut response = match sent {
            Err(_) => return Err(Failure::Timeout),
            Ok(Err(_)) => return Err(Failure::Connection),
            Ok(Ok(response)) => response,
        };
        let status = response.status().as_u16();
        let reading = async {
            let mut read = Vec::new();
            while let Ok(piece) = response.chunk().await {
                let Some(piece) = piece else { return Some(read) };
                read.extend_from_slice(&piece);
                if read.len() > ANSWER_BYTES_MAX {
                    return None;
                }
            }
            None
        };
        let body = tokio::time::timeout_at(deadline.into(), reading).await.ok().flatten();
        Ok(Answer { status, body })
    }
}
