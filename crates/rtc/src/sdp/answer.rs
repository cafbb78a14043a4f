//! Writing the answer (RFC 8829 section 5.3, RFC 9725 section 4.2).

use std::fmt::Write as _;

use media::Kind;

use super::{
    inner::write_format,
    offer::{Offer, Section},
    plan::{Active, Plan, Role},
    simulcast,
};
use crate::config::{Config, Protocol, Purpose};

/// Our end of the one transport.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    /// Hash function and value.
    pub(crate) fingerprint: String,
    /// We open the DTLS connection.
    pub(crate) active: bool,
}

/// Our source of one kind, and that of its retransmissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) kind: Kind,
    pub(crate) ssrc: u32,
    pub(crate) rtx: Option<u32>,
}

/// The name of our stream and of the source in RTCP: tracks of one name are played in step.
pub(crate) const CNAME: &str = "stentor";

/// Writes the answer.
pub(crate) fn write(
    config: &Config,
    offer: &Offer<'_>,
    plan: &Plan,
    purpose: Purpose,
    own: &Transport,
    local: &[Local],
) -> String {
    let accepted = offer.sections.iter().zip(&plan.roles).filter(|(_, role)| !matches!(role, Role::Refused));
    let mids: Vec<&str> = accepted.filter_map(|(section, _)| section.mid).collect();
    let mut out = String::with_capacity(4_096);
    out.push_str("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    if !mids.is_empty() {
        let _ = write!(out, "a=group:BUNDLE {}\r\n", mids.join(" "));
    }
    if offer.mixed_extensions {
        out.push_str("a=extmap-allow-mixed\r\n");
    }
    let _ = write!(out, "a=msid-semantic: WMS {CNAME}\r\na=ice-lite\r\n");
    let mut first = true;
    for (section, role) in offer.sections.iter().zip(&plan.roles) {
        match role {
            Role::Refused => refused(&mut out, section),
            Role::Idle(format) => {
                head(&mut out, section, &[Some(format.pt), format.rtx]);
                transport(&mut out, config, section, own, std::mem::take(&mut first));
                out.push_str("a=inactive\r\na=rtcp-mux\r\n");
                write_format(&mut out, format);
            }
            Role::Active(active) => {
                let pts: Vec<Option<u8>> =
                    active.formats.iter().flat_map(|format| [Some(format.pt), format.rtx]).collect();
                head(&mut out, section, &pts);
                transport(&mut out, config, section, own, std::mem::take(&mut first));
                let local = local.iter().find(|local| local.kind == active.kind);
                serve(&mut out, section, active, purpose, local);
            }
        }
    }
    out
}

fn refused(out: &mut String, section: &Section<'_>) {
    let _ = write!(out, "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\n", section.media, section.proto, section.first_format);
    if let Some(mid) = section.mid {
        let _ = write!(out, "a=mid:{mid}\r\n");
    }
    out.push_str("a=inactive\r\n");
}

fn head(out: &mut String, section: &Section<'_>, pts: &[Option<u8>]) {
    let _ = write!(out, "m={} 9 {}", section.media, section.proto);
    for pt in pts.iter().flatten() {
        let _ = write!(out, " {pt}");
    }
    out.push_str("\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n");
}

fn transport(out: &mut String, config: &Config, section: &Section<'_>, own: &Transport, first: bool) {
    let Transport { ufrag, pwd, fingerprint, active } = own;
    let setup = if *active { "active" } else { "passive" };
    let _ = write!(out, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=fingerprint:{fingerprint}\r\na=setup:{setup}\r\n");
    if let Some(mid) = section.mid {
        let _ = write!(out, "a=mid:{mid}\r\n");
    }
    if first {
        candidates(out, config);
    }
}

/// Our candidates, RFC 8839 section 5.1 and RFC 6544 section 4.5, best first.
pub(super) fn candidates(out: &mut String, config: &Config) {
    for (index, (protocol, addr)) in config.candidates.iter().enumerate() {
        let local = u32::try_from(65_535usize.saturating_sub(index)).unwrap_or(0);
        let (name, kind_preference, suffix) = match protocol {
            Protocol::Udp => ("udp", 126u32, ""),
            // Below every UDP candidate, whatever its place in the list.
            Protocol::Tcp => ("tcp", 90, " tcptype passive"),
        };
        let priority = kind_preference << 24 | local << 8 | 255;
        let _ = write!(
            out,
            "a=candidate:{} 1 {name} {priority} {} {} typ host{suffix}\r\n",
            index + 1,
            addr.ip(),
            addr.port()
        );
    }
    out.push_str("a=end-of-candidates\r\n");
}

fn serve(out: &mut String, section: &Section<'_>, active: &Active, purpose: Purpose, local: Option<&Local>) {
    for (id, uri) in &active.extensions {
        let _ = write!(out, "a=extmap:{id} {uri}\r\n");
    }
    let kind = active.kind.name();
    if purpose == Purpose::Publish {
        out.push_str("a=recvonly\r\n");
    } else {
        let _ = write!(out, "a=sendonly\r\na=msid:{CNAME} {kind}\r\n");
    }
    out.push_str("a=rtcp-mux\r\n");
    if section.reduced_size {
        out.push_str("a=rtcp-rsize\r\n");
    }
    for format in &active.formats {
        write_format(out, format);
    }
    simulcast::write(out, &active.layers, "recv");
    if let Some(Local { ssrc, rtx, .. }) = local {
        if let Some(rtx) = rtx {
            let _ = write!(out, "a=ssrc-group:FID {ssrc} {rtx}\r\n");
        }
        for ssrc in [Some(*ssrc), *rtx].into_iter().flatten() {
            let _ = write!(out, "a=ssrc:{ssrc} cname:{CNAME}\r\na=ssrc:{ssrc} msid:{CNAME} {kind}\r\n");
        }
    }
}
