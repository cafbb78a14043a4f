//! Where a client goes and what it wants there.

use thiserror::Error;

/// Why an address is no RTMP address of a stream. All are faults of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Another scheme.
    #[error("the address does not begin with rtmp:// or rtmps://")]
    Scheme,
    /// No host, or a port that is no number from 1 to 65535.
    #[error("the address has no valid host and port")]
    Host,
    /// No application or no stream after the host.
    #[error("the address names no application and stream: it should look like rtmp://host/application/stream")]
    Path,
}

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To send media.
    Publish,
    /// To receive media.
    Play,
}

/// Where a client goes and what it wants there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host to dial, without the brackets of an IPv6 address.
    pub host: String,
    /// The TCP port to dial.
    pub port: u16,
    /// Whether TLS goes under it (`rtmps`).
    pub tls: bool,
    /// The application: all of the path but its last part.
    pub app: String,
    /// The stream, with its query.
    pub stream: String,
    /// The address without the stream, as the server is told.
    pub tc_url: String,
    /// To send or to receive.
    pub mode: Mode,
}

const PORT: u16 = 1_935;
const PORT_TLS: u16 = 443;

impl Target {
    /// Reads `rtmp[s]://host[:port]/application/stream[?query]`.
    ///
    /// # Errors
    /// Where the address is of another shape.
    pub fn parse(url: &str, mode: Mode) -> Result<Self, TargetError> {
        let (scheme, rest) = url.split_once("://").ok_or(TargetError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(TargetError::Scheme),
        };
        let (authority, path) = rest.split_once('/').ok_or(TargetError::Path)?;
        let (host, port) = host_port(authority, if tls { PORT_TLS } else { PORT })?;
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let (app, stream) = path.rsplit_once('/').ok_or(TargetError::Path)?;
        let app = app.trim_matches('/');
        if app.is_empty() || stream.is_empty() {
            return Err(TargetError::Path);
        }
        let stream = query.map_or_else(|| stream.to_owned(), |query| format!("{stream}?{query}"));
        let tc_url = format!("{}://{authority}/{app}", if tls { "rtmps" } else { "rtmp" });
        Ok(Self { host: host.to_owned(), port, tls, app: app.to_owned(), stream, tc_url, mode })
    }
}

fn host_port(authority: &str, default: u16) -> Result<(&str, u16), TargetError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(TargetError::Host)?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(TargetError::Host)?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => default,
        Some(text) => text.parse().ok().filter(|&port| port > 0).ok_or(TargetError::Host)?,
    };
    if host.is_empty() { Err(TargetError::Host) } else { Ok((host, port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (String, u16, bool, String, String, String) {
        let Target { host, port, tls, app, stream, tc_url, .. } = Target::parse(url, Mode::Publish).unwrap();
        (host, port, tls, app, stream, tc_url)
    }

    #[test]
    fn reads_the_usual_addresses() {
        let expect = |host: &str, port, tls, app: &str, stream: &str, tc_url: &str| {
            (host.to_owned(), port, tls, app.to_owned(), stream.to_owned(), tc_url.to_owned())
        };
        assert_eq!(parts("rtmp://h/live/cam?a=b/c"), expect("h", 1935, false, "live", "cam?a=b/c", "rtmp://h/live"));
        assert_eq!(parts("rtmps://h:444/a/b/cam"), expect("h", 444, true, "a/b", "cam", "rtmps://h:444/a/b"));
        assert_eq!(parts("RTMP://[::1]:80/a/c"), expect("::1", 80, false, "a", "c", "rtmp://[::1]:80/a"));
    }

    #[test]
    fn refuses_other_shapes() {
        for (url, error) in [
            ("http://h/live/cam", TargetError::Scheme),
            ("h/live/cam", TargetError::Scheme),
            ("rtmp://h", TargetError::Path),
            ("rtmp://h/live", TargetError::Path),
            ("rtmp://h/live/", TargetError::Path),
            ("rtmp:///live/cam", TargetError::Host),
            ("rtmp://h:0/live/cam", TargetError::Host),
            ("rtmp://h:x/live/cam", TargetError::Host),
            ("rtmp://[::1/live/cam", TargetError::Host),
        ] {
            assert_eq!(Target::parse(url, Mode::Play), Err(error), "{url}");
        }
    }
}
