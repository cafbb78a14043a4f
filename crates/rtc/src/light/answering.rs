//! The other way round: a server offers (Janus does), and the viewer answers.

use std::fmt::Write as _;

use media::Kind;

use super::{
    Config,
    description::{Agreed, EXTENSIONS, Format, Line, agree},
};
use crate::{
    error::OfferError,
    sdp::{Offer, Section, uri},
};

/// Reads the server's offer; of each kind one format is taken. Says too whether the server only answers checks (RFC 8445
/// section 2.5), so that we control.
///
/// # Errors
/// Says what is wrong with it, or that nothing in it can be received.
pub(super) fn read_offer(config: &Config, text: &str) -> Result<(Agreed, bool), OfferError> {
    let offer = Offer::parse_answer(text)?;
    let mut agreed = agree(config, &offer, text);
    for line in &mut agreed.lines {
        let rank = |format: &Format| config.video.iter().position(|codec| *codec == format.codec);
        line.formats.sort_by_key(rank);
        line.formats.truncate(1);
    }
    if agreed.lines.is_empty() {
        return Err(OfferError::Direction {
            expected: "a=sendonly or a=sendrecv, in a coding that we know",
            verb: "play",
        });
    }
    let lite = text.lines().any(|line| line.trim_end() == "a=ice-lite");
    Ok((agreed, lite))
}

/// Writes the answer.
///
/// # Errors
/// Those of `read_offer`.
pub(super) fn write(
    config: &Config,
    offer: &str,
    agreed: &Agreed,
    ufrag: &str,
    pwd: &str,
) -> Result<String, OfferError> {
    let offer = Offer::parse_answer(offer)?;
    let line_of = |index: usize| agreed.lines.iter().find(|line| line.section == index);
    let mut out = String::with_capacity(2_048);
    out.push_str("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    for (index, section) in offer.sections.iter().enumerate() {
        let mid = section.mid.filter(|_| line_of(index).is_some());
        mid.iter().for_each(|mid| _ = write!(out, " {mid}"));
    }
    out.push_str("\r\n");
    let setup = if agreed.active { "active" } else { "passive" };
    let fingerprint = config.certificate.fingerprint();
    for (index, section) in offer.sections.iter().enumerate() {
        let Some((line, format)) = line_of(index).and_then(|line| Some((line, line.formats.first()?))) else {
            let _ =
                write!(out, "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\n", section.media, section.proto, section.first_format);
            section.mid.iter().for_each(|mid| _ = write!(out, "a=mid:{mid}\r\n"));
            continue;
        };
        let _ = write!(out, "m={} 9 {} {}", section.media, section.proto, format.pt);
        format.rtx.iter().for_each(|rtx| _ = write!(out, " {rtx}"));
        let _ = write!(
            out,
            "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n\
             a=fingerprint:{fingerprint}\r\na=setup:{setup}\r\n"
        );
        section.mid.iter().for_each(|mid| _ = write!(out, "a=mid:{mid}\r\n"));
        if let Some(local) = config.local {
            let _ = write!(
                out,
                "a=candidate:1 1 udp 2130706431 {} {} typ host\r\na=end-of-candidates\r\n",
                local.ip(),
                local.port()
            );
        }
        write_media(&mut out, config, section, line, format);
    }
    Ok(out)
}

fn write_media(out: &mut String, config: &Config, section: &Section<'_>, line: &Line, format: &Format) {
    for (id, name) in &section.extensions {
        let known = EXTENSIONS.iter().any(|(_, known)| known == name)
            && (config.transport_feedback || *name != uri::TRANSPORT_CC);
        if known {
            let _ = write!(out, "a=extmap:{id} {name}\r\n");
        }
    }
    out.push_str("a=recvonly\r\na=rtcp-mux\r\n");
    if section.reduced_size {
        out.push_str("a=rtcp-rsize\r\n");
    }
    let Format { pt, rtx, codec, rate_hz, nack, pli } = format;
    let channels = if line.kind == Kind::Audio { "/2" } else { "" };
    let _ = write!(out, "a=rtpmap:{pt} {}/{rate_hz}{channels}\r\n", codec.name());
    let theirs = section.formats.iter().find(|offered| offered.pt == *pt);
    if let Some(fmtp) = theirs.map(|offered| offered.fmtp).filter(|fmtp| !fmtp.is_empty()) {
        let _ = write!(out, "a=fmtp:{pt} {fmtp}\r\n");
    }
    let transport = config.transport_feedback && theirs.is_some_and(|offered| offered.transport_cc);
    for (_, name) in [(transport, "transport-cc"), (*nack, "nack"), (*pli, "nack pli")].iter().filter(|(on, _)| *on) {
        let _ = write!(out, "a=rtcp-fb:{pt} {name}\r\n");
    }
    if let Some(rtx) = rtx {
        let _ = write!(out, "a=rtpmap:{rtx} rtx/{rate_hz}\r\na=fmtp:{rtx} apt={pt}\r\n");
    }
}
