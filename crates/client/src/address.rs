//! URLs: which door they name, and where that door is.

use std::net::IpAddr;

use thiserror::Error;
use wire::rtmp::client::{Mode, Target, TargetError};

/// To send or to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To send.
    Push,
    /// To receive.
    Play,
}

/// A place on an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// HTTPS, or a WebSocket over TLS.
    pub tls: bool,
    /// The host, without the brackets of an IPv6 address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Path and query; begins with a slash.
    pub path: String,
}

/// How an offer is carried to a server and its answer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// WHIP (RFC 9725) and WHEP, and `trtc://`, which is the same at `/v1/push` and `/v1/play`.
    Whip,
    /// Alibaba's RTS: JSON, version 2.
    Artc,
    /// SRS: JSON at `/rtc/v1/publish/` and `/rtc/v1/play/`.
    Srs,
}

/// Where an offer is carried to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// How.
    pub dialect: Dialect,
    /// Where.
    pub url: HttpUrl,
    /// The URL as the user wrote it; RTS and SRS repeat it in the request.
    pub stream: String,
}

/// What a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// RTMP or RTMPS.
    Rtmp(Target),
    /// FLV in the body of an HTTP answer.
    Flv(HttpUrl),
    /// FLV in the messages of a WebSocket.
    WsFlv(HttpUrl),
    /// HLS.
    Hls(HttpUrl),
    /// WebRTC.
    WebRtc(Signal),
}

/// Why a URL names no door. All are faults of the user.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// No scheme, or one that is not known.
    #[error("'{found}' is no URL of a stream: {expected}")]
    Kind {
        /// The beginning of what was written.
        found: String,
        /// What would have been understood.
        expected: &'static str,
    },
    /// No host, or a port that is no number from 1 to 65535.
    #[error("'{0}' has no valid host and port")]
    Host(String),
    /// The path is of another shape.
    #[error("the path '{found}' should look like {expected}")]
    Path {
        /// The path.
        found: String,
        /// The shape.
        expected: &'static str,
    },
    /// RTMP's own.
    #[error(transparent)]
    Rtmp(#[from] TargetError),
}

const PUSHED: &str = "push takes rtmp://, rtmps://, trtc://, artc://, webrtc:// and the http(s):// URL of a WHIP door";
const PLAYED: &str = "play takes rtmp(s)://, trtc://, artc://, webrtc://, http(s)://...flv, ws(s)://...flv, \
                      http(s)://...m3u8 and the http(s):// URL of a WHEP door";
/// Letters of a URL that are repeated in an error.
const SHOWN_MAX: usize = 80;

impl Address {
    /// Reads a URL.
    ///
    /// `trtc://`, `artc://` and `webrtc://` do not say whether HTTPS is spoken. It is on ports 443 and 8443, and where
    /// no port is named unless the host is this machine; on all other ports it is HTTP.
    ///
    /// # Errors
    /// Where it names no door for this intent.
    pub fn parse(url: &str, intent: Intent) -> Result<Self, AddressError> {
        let unknown =
            || AddressError::Kind { found: shown(url), expected: if intent == Intent::Push { PUSHED } else { PLAYED } };
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
        let scheme = scheme.to_ascii_lowercase();
        let mode = if intent == Intent::Push { Mode::Publish } else { Mode::Play };
        let signal =
            |dialect, url: HttpUrl, stream: &str| Ok(Self::WebRtc(Signal { dialect, url, stream: stream.to_owned() }));
        match (scheme.as_str(), intent) {
            ("rtmp" | "rtmps", _) => Ok(Self::Rtmp(Target::parse(url, mode)?)),
            ("http" | "https", _) => {
                let http = HttpUrl::read(rest, Some(scheme == "https"))?;
                match (http.extension(), intent) {
                    // Streams may be named as files are.
                    _ if http.path.starts_with("/whip/") || http.path.starts_with("/whep/") => {
                        signal(Dialect::Whip, http, url)
                    }
                    ("flv", Intent::Play) => Ok(Self::Flv(http)),
                    ("m3u8", Intent::Play) => Ok(Self::Hls(http)),
                    ("flv" | "m3u8", Intent::Push) => Err(unknown()),
                    _ => signal(Dialect::Whip, http, url),
                }
            }
            ("ws" | "wss", Intent::Play) => {
                let http = HttpUrl::read(rest, Some(scheme == "wss"))?;
                if http.extension() == "flv" { Ok(Self::WsFlv(http)) } else { Err(unknown()) }
            }
            ("trtc", _) => signal(Dialect::Whip, trtc(HttpUrl::read(rest, None)?, intent)?, url),
            ("artc", _) => signal(Dialect::Artc, two_parts(HttpUrl::read(rest, None)?)?, url),
            ("webrtc", _) => {
                let door = if intent == Intent::Push { "publish" } else { "play" };
                let http = two_parts(HttpUrl::read(rest, None)?)?;
                signal(Dialect::Srs, HttpUrl { path: format!("/rtc/v1/{door}/"), ..http }, url)
            }
            _ => Err(unknown()),
        }
    }

    /// The door in a word, as it is printed.
    pub fn door(&self) -> &'static str {
        match self {
            Self::Rtmp(target) if target.tls => "rtmps",
            Self::Rtmp(_) => "rtmp",
            Self::Flv(_) => "http-flv",
            Self::WsFlv(_) => "ws-flv",
            Self::Hls(_) => "hls",
            Self::WebRtc(_) => "webrtc",
        }
    }
}

impl HttpUrl {
    /// Reads what comes after `scheme://`. Where `tls` is `None`, host and port decide.
    fn read(rest: &str, tls: Option<bool>) -> Result<Self, AddressError> {
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let wrong = || AddressError::Host(shown(authority));
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, port) = inner.split_once(']').ok_or_else(wrong)?;
                (host, port.strip_prefix(':').or(if port.is_empty() { None } else { Some("") }))
            }
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port: Option<u16> = match port {
            None => None,
            Some(text) => Some(text.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
        };
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"@\"<>\\^`{|}".contains(&byte);
        if host.is_empty() || !host.bytes().all(fits) {
            return Err(wrong());
        }
        let tls = tls.unwrap_or(match port {
            Some(port) => matches!(port, 443 | 8443),
            None => !is_this_machine(host),
        });
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AddressError::Path { found: shown(&path), expected: "a URL, with what is not ASCII as %XX" });
        }
        Ok(Self { tls, host: host.to_owned(), port: port.unwrap_or(if tls { 443 } else { 80 }), path })
    }

    /// Another URL as this one refers to it (RFC 3986 section 5.2): absolute, of the same host, or beside it.
    ///
    /// # Errors
    /// Where it is of another scheme or malformed.
    pub fn join(&self, reference: &str) -> Result<Self, AddressError> {
        let reference = reference.trim();
        let path = match reference.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => return Self::read(rest, Some(false)),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => return Self::read(rest, Some(true)),
            // A query may hold a whole URL; only what stands before it can be a scheme.
            Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                return Err(AddressError::Kind {
                    found: shown(reference),
                    expected: "http:// and https:// are followed",
                });
            }
            _ if reference.starts_with("//") => {
                return Self::read(reference.trim_start_matches('/'), Some(self.tls));
            }
            _ if reference.starts_with('/') => reference.to_owned(),
            _ => {
                let own = self.path.split('?').next().unwrap_or("/");
                let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
                format!("{folder}/{reference}")
            }
        };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AddressError::Path { found: shown(&path), expected: "a URL, with what is not ASCII as %XX" });
        }
        Ok(Self { path, ..self.clone() })
    }

    /// Host and port as HTTP writes them.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    fn extension(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// `/push/{stream}` or `/play/{stream}`: the same under `/v1`.
fn trtc(url: HttpUrl, intent: Intent) -> Result<HttpUrl, AddressError> {
    let (verb, expected) = match intent {
        Intent::Push => ("/push/", "trtc://host/push/{stream}?sdkappid=...&userId=...&usersig=..."),
        Intent::Play => ("/play/", "trtc://host/play/{stream}?sdkappid=...&userId=...&usersig=..."),
    };
    let stream = url.path.strip_prefix(verb).and_then(|rest| rest.split('?').next());
    if stream.is_none_or(|stream| stream.is_empty() || stream.contains('/')) {
        return Err(AddressError::Path { found: shown(&url.path), expected });
    }
    Ok(HttpUrl { path: format!("/v1{}", url.path), ..url })
}

/// `/{app}/{stream}`.
fn two_parts(url: HttpUrl) -> Result<HttpUrl, AddressError> {
    let path = url.path.split('?').next().unwrap_or_default();
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(app), Some(stream), None) if !app.is_empty() && !stream.is_empty() => Ok(url),
        _ => Err(AddressError::Path { found: shown(path), expected: "/{app}/{stream}" }),
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The beginning of what the user wrote, without its query: that may hold a token.
fn shown(text: &str) -> String {
    text.split('?').next().unwrap_or_default().chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests;
