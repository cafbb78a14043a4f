//! One HTTP request over one connection, as a player makes it.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Uri, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Janus' long polls last 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// Letters of a refusal that are shown.
const SHOWN_MAX: usize = 300;

/// What came back.
pub(crate) struct Answer {
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

/// Asks, and reads the answer.
///
/// # Errors
/// Where nobody answers, or the answer is a refusal.
pub(crate) async fn request(
    method: Method,
    url: &str,
    kind: Option<&'static str>,
    body: String,
) -> anyhow::Result<Answer> {
    let asking = ask(method, url, kind, body);
    timeout(ANSWER_TIMEOUT, asking).await.with_context(|| format!("{url}: no answer in {ANSWER_TIMEOUT:?}"))?
}

async fn ask(method: Method, url: &str, kind: Option<&'static str>, body: String) -> anyhow::Result<Answer> {
    let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
    let authority = authority(&uri)?;
    let socket = TcpStream::connect(&authority).await.with_context(|| format!("cannot connect to {authority}"))?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, &authority)
        .header(header::CONNECTION, "close");
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
        bail!("{url}: the answer broke off or is longer than {ANSWER_BYTES_MAX} bytes")
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    let shown: String = body.chars().take(SHOWN_MAX).collect();
    ensure!(head.status.is_success(), "{url}: the server answered {}: {shown}", head.status);
    let location = head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Answer { location, body })
}

/// Host and port of a URL.
///
/// # Errors
/// Where it is not HTTP.
pub(crate) fn authority(uri: &Uri) -> anyhow::Result<String> {
    ensure!(uri.scheme_str() == Some("http"), "{uri}: only http:// can be asked: TLS would be measured as well");
    let host = uri.host().with_context(|| format!("{uri} has no host"))?;
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
}

/// A `Location` as a whole URL.
///
/// # Errors
/// Where it is not one.
pub(crate) fn absolute(base: &str, location: &str) -> anyhow::Result<String> {
    if location.starts_with("http://") {
        return Ok(location.to_owned());
    }
    ensure!(location.starts_with('/'), "the server's Location {location:?} is neither a URL nor a path");
    Ok(format!("http://{}{location}", authority(&base.parse()?)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_url_or_a_path() {
        let base = "http://127.0.0.1:8080/whep/live/a?token=b";
        assert_eq!(absolute(base, "/whep/live/a/7").unwrap(), "http://127.0.0.1:8080/whep/live/a/7");
        assert_eq!(absolute(base, "http://10.0.0.1/x").unwrap(), "http://10.0.0.1/x");
        assert!(absolute(base, "ftp://x").is_err());
        assert_eq!(authority(&"http://[::1]/x".parse().unwrap()).unwrap(), "[::1]:80");
        assert!(authority(&"https://a/".parse().unwrap()).is_err());
    }
}
