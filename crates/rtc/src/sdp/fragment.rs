//! Fragments of SDP that a client PATCHes (RFC 8840, RFC 9725 section 4.3): trickled candidates and ICE restarts.

use std::fmt::Write as _;

use media::Kind;

use super::{OFFER_BYTES_MAX, answer::candidates, offer::credential};
use crate::config::Config;

/// The user name fragment and password of a fragment, where both are there and well-formed.
pub(crate) fn credentials(fragment: &str) -> Option<(&str, &str)> {
    if fragment.len() > OFFER_BYTES_MAX {
        return None;
    }
    let find = |name: &str, min: usize| {
        let value = fragment.lines().find_map(|line| line.trim_end().strip_prefix(name))?;
        credential(0, value, min).ok()
    };
    Some((find("a=ice-ufrag:", 4)?, find("a=ice-pwd:", 22)?))
}

/// Whether a PATCH asks for an ICE restart: it has credentials and came with `If-Match: "*"` (`any_tag`), RFC 9725
/// section 4.3.1. Trickled candidates repeat the old credentials and name the session's entity tag.
pub fn is_ice_restart(fragment: &str, any_tag: bool) -> bool {
    any_tag && credentials(fragment).is_some()
}

/// Our answer to an ICE restart. `sections` are the kinds and the names (mid) of the m= lines that are served.
pub(crate) fn write(config: &Config, ufrag: &str, pwd: &str, sections: &[(Kind, String)]) -> String {
    let mut out = format!("a=ice-lite\r\na=ice-options:ice2\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
    if let Some((kind, mid)) = sections.first() {
        let _ = write!(out, "m={} 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\n", kind.name());
    }
    candidates(&mut out, config);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTART: &str = "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\nm=audio 9 RTP/AVP 0\r\n";

    #[test]
    fn tells_a_restart_from_a_trickle() {
        assert!(is_ice_restart(RESTART, true));
        assert!(!is_ice_restart(RESTART, false), "with the session's own tag the credentials are the old ones");
        assert!(!is_ice_restart("m=audio 9 RTP/AVP 0\r\na=candidate:1 1 udp 1 1.2.3.4 5 typ host\r\n", true));
        assert!(!is_ice_restart("a=ice-ufrag:ysXw\r\na=ice-pwd:short\r\n", true));
    }
}
