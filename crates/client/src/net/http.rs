//! One request over one connection.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{self, HeaderMap},
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{Trust, dial};
use crate::{Error, HttpUrl};

/// Redirects that are followed.
const REDIRECTS_MAX: usize = 4;
/// From the request to the head of its answer: servers may wait for a stream's first segment.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two pieces of a body.
const PIECE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;
/// Letters of a refusal that are shown.
const SHOWN_MAX: usize = 400;
const AGENT: &str = concat!("stentor/", env!("CARGO_PKG_VERSION"));

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn get() -> Self {
        Self { method: Method::GET, content_type: None, body: Bytes::new() }
    }
}

/// The head of an answer that is no refusal, and its body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) headers: HeaderMap,
    /// Where it came from, after redirects.
    pub(crate) url: HttpUrl,
    pub(crate) body: Body,
}

/// A body as it comes.
#[derive(Debug)]
pub(crate) struct Body(Incoming);

impl Body {
    /// The next piece; `None` at the end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let silent = || Error::Lost(format!("nothing came for {} s", PIECE_TIMEOUT.as_secs()));
            match timeout(PIECE_TIMEOUT, self.0.frame()).await.map_err(|_| silent())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::Lost(format!("the connection broke: {error}"))),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    /// All of it.
    pub(crate) async fn whole(mut self, bytes_max: usize) -> Result<Bytes, Error> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if all.len() + piece.len() > bytes_max {
                return Err(Error::Malformed(format!("an answer of more than {bytes_max} bytes")));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

/// Asks, follows redirects, and waits for the head of the answer.
///
/// # Errors
/// Where nobody answers, or the answer is a refusal: its sentence is in the error.
pub(crate) async fn request(url: &HttpUrl, asked: &Request, trust: Trust) -> Result<Response, Error> {
    let mut url = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let answer = once(&url, asked, trust).await?;
        let status = answer.status();
        if !status.is_redirection() {
            let (parts, body) = answer.into_parts();
            if !status.is_success() {
                return Err(refusal(status, &parts.headers, Body(body)).await);
            }
            return Ok(Response { headers: parts.headers, url, body: Body(body) });
        }
        let target = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        url = url.join(target.ok_or_else(|| Error::Malformed(format!("HTTP {status} without a Location")))?)?;
    }
    Err(Error::Malformed(format!("more than {REDIRECTS_MAX} redirects")))
}

async fn once(url: &HttpUrl, asked: &Request, trust: Trust) -> Result<hyper::Response<Incoming>, Error> {
    let (io, _) = dial(&url.host, url.port, url.tls, trust).await?;
    let lost = |error: hyper::Error| Error::Lost(format!("no HTTP with {}: {error}", url.authority()));
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(lost)?;
    // It ends with the body.
    tokio::spawn(connection);
    let mut request = hyper::Request::builder()
        .method(asked.method.clone())
        .uri(&url.path)
        .header(header::HOST, url.authority())
        .header(header::USER_AGENT, AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close");
    if let Some(kind) = asked.content_type {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    let request = request
        .body(Full::new(asked.body.clone()))
        .map_err(|error| Error::Unsupported(format!("the URL cannot be asked for: {error}")))?;
    let late = || Error::Lost(format!("{} gave no answer within {} s", url.authority(), HEAD_TIMEOUT.as_secs()));
    timeout(HEAD_TIMEOUT, sender.send_request(request)).await.map_err(|_| late())?.map_err(lost)
}

/// The sentence of a refusal: of a problem (RFC 9457) its detail, of others their first line.
async fn refusal(status: StatusCode, headers: &HeaderMap, body: Body) -> Error {
    let text = body.whole(REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let detail = kind.contains("json").then(|| serde_json::from_str::<serde_json::Value>(&text).ok()).flatten();
    let detail = detail
        .as_ref()
        .and_then(|problem| ["detail", "title", "message"].iter().find_map(|field| problem.get(field)?.as_str()));
    let said = detail.or_else(|| text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('<')));
    let said: String = said.unwrap_or_default().chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    let reason = if said.is_empty() { format!("HTTP {status}") } else { format!("HTTP {}: {said}", status.as_u16()) };
    Error::Refused { status: Some(status.as_u16()), reason }
}
