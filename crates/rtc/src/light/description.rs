//! The offer of a viewer as Chromium writes one, and what the answer makes of it.

use std::{fmt::Write as _, net::SocketAddr};

use media::{Codec, Kind};
use smallvec::SmallVec;

use super::Config;
use crate::{
    error::{AnswerError, OfferError},
    sdp::{self, Offer, Setup, uri},
};

/// Our numbers of header extensions.
pub(super) const EXTENSIONS: [(u8, &str); 4] =
    [(2, uri::ABS_SEND_TIME), (3, uri::TRANSPORT_CC), (4, uri::MID), (5, uri::PLAYOUT_DELAY)];
/// Payload types of pictures, with the profile of H.264 (RFC 6184 section 8.1); the next number is that of its
/// retransmissions.
const VIDEO: [(u8, Codec, &str); 9] = [
    (96, Codec::Vp8, ""),
    (98, Codec::Vp9, "profile-id=0"),
    (45, Codec::Av1, "level-idx=5;profile=0;tier=0"),
    (102, Codec::H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
    (104, Codec::H264, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f"),
    (106, Codec::H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    (108, Codec::H264, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
    (39, Codec::H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"),
    (112, Codec::H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f"),
];
const OPUS: u8 = 111;

/// One m= line that the answer accepts.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Which m= line it is.
    pub(super) section: usize,
    pub(super) kind: Kind,
    pub(super) ssrc: Option<u32>,
    pub(super) formats: SmallVec<[Format; 2]>,
}

/// A payload type of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) pt: u8,
    pub(super) rtx: Option<u8>,
    pub(super) codec: Codec,
    pub(super) rate_hz: u32,
    pub(super) nack: bool,
    pub(super) pli: bool,
}

/// What the answer says.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) ufrag: String,
    pub(super) pwd: String,
    pub(super) candidates: SmallVec<[SocketAddr; 4]>,
    /// Hash function and value.
    pub(super) fingerprint: (String, String),
    /// We open the DTLS connection.
    pub(super) active: bool,
    /// Number of the extension with transport-wide numbers, where there is one.
    pub(super) transport: Option<u8>,
    /// RTCP may come in parts (RFC 5506).
    pub(super) reduced: bool,
    pub(super) lines: SmallVec<[Line; 2]>,
}

/// Writes the offer.
pub(super) fn write_offer(config: &Config, ufrag: &str, pwd: &str) -> String {
    let fingerprint = config.certificate.fingerprint();
    let kinds: SmallVec<[Kind; 2]> = [(config.audio, Kind::Audio), (!config.video.is_empty(), Kind::Video)]
        .into_iter()
        .filter_map(|(on, kind)| on.then_some(kind))
        .collect();
    let mut out = String::with_capacity(4_096);
    out.push_str("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    (0..kinds.len()).for_each(|mid| _ = write!(out, " {mid}"));
    out.push_str("\r\na=msid-semantic: WMS\r\n");
    for (mid, kind) in kinds.iter().enumerate() {
        let formats = offered(config, *kind);
        let _ = write!(out, "m={} 9 UDP/TLS/RTP/SAVPF", kind.name());
        for (pt, codec, _) in &formats {
            let _ = write!(out, " {pt}");
            if codec.kind() == Kind::Video {
                let _ = write!(out, " {}", pt + 1);
            }
        }
        let _ = write!(
            out,
            "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n\
             a=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:{mid}\r\n"
        );
        if let (0, Some(local)) = (mid, config.local) {
            let _ = write!(out, "a=candidate:1 1 udp 2130706431 {} {} typ host\r\n", local.ip(), local.port());
        }
        let known = EXTENSIONS.iter().filter(|(_, name)| config.transport_feedback || *name != uri::TRANSPORT_CC);
        known.for_each(|(id, name)| _ = write!(out, "a=extmap:{id} {name}\r\n"));
        out.push_str("a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n");
        formats.iter().for_each(|(pt, codec, fmtp)| write_format(&mut out, config, *pt, *codec, fmtp));
    }
    out
}

fn offered(config: &Config, kind: Kind) -> SmallVec<[(u8, Codec, &'static str); 9]> {
    match kind {
        Kind::Audio if !config.audio => SmallVec::new(),
        Kind::Audio => SmallVec::from_iter([(OPUS, Codec::Opus, "minptime=10;useinbandfec=1")]),
        _ => config
            .video
            .iter()
            .flat_map(|codec| VIDEO.iter().filter(move |(_, known, _)| known == codec))
            .copied()
            .collect(),
    }
}

fn write_format(out: &mut String, config: &Config, pt: u8, codec: Codec, fmtp: &str) {
    let video = codec.kind() == Kind::Video;
    let rate = if video { "90000" } else { "48000/2" };
    let _ = write!(out, "a=rtpmap:{pt} {}/{rate}\r\n", codec.name());
    if config.transport_feedback {
        let _ = write!(out, "a=rtcp-fb:{pt} transport-cc\r\n");
    }
    if video {
        for name in ["ccm fir", "nack", "nack pli"] {
            let _ = write!(out, "a=rtcp-fb:{pt} {name}\r\n");
        }
    }
    if !fmtp.is_empty() {
        let _ = write!(out, "a=fmtp:{pt} {fmtp}\r\n");
    }
    if video {
        let rtx = pt + 1;
        let _ = write!(out, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={pt}\r\n");
    }
}

/// Reads the answer.
///
/// # Errors
/// Says in a sentence why it is of no use.
pub(super) fn read_answer(config: &Config, text: &str) -> Result<Agreed, AnswerError> {
    let malformed = |error: OfferError| AnswerError::Malformed(error.to_string().replace("offer", "answer"));
    let answer = Offer::parse_answer(text).map_err(malformed)?;
    let agreed = agree(config, &answer, text);
    if agreed.lines.is_empty() {
        let codecs = config.video.iter().map(|codec| codec.name()).chain(config.audio.then_some("opus"));
        return Err(AnswerError::NothingAccepted { offered: codecs.collect::<Vec<_>>().join(", ") });
    }
    if agreed.candidates.is_empty() {
        return Err(AnswerError::NoCandidates);
    }
    Ok(agreed)
}

/// What the other side's description gives us.
pub(super) fn agree(config: &Config, theirs: &Offer<'_>, text: &str) -> Agreed {
    let mut lines = SmallVec::new();
    let (mut transport, mut reduced) = (None, true);
    for (index, section) in theirs.sections.iter().enumerate() {
        let Some(kind) = section.kind().filter(|_| !section.refused && section.direction.sends) else { continue };
        let formats = formats(config, kind, section);
        if formats.is_empty() || lines.iter().any(|line: &Line| line.kind == kind) {
            continue;
        }
        let number = section.extensions.iter().find(|(_, name)| *name == uri::TRANSPORT_CC).map(|(id, _)| *id);
        transport = transport.or(number.filter(|id| config.transport_feedback && (1..=14).contains(id)));
        reduced &= section.reduced_size;
        lines.push(Line {
            section: index,
            kind,
            ssrc: section.ssrc_pair.map(|(main, _)| main).or(section.ssrc),
            formats,
        });
    }
    let fits = |addr: &SocketAddr| config.local.is_none_or(|local| local.is_ipv4() == addr.is_ipv4());
    let (hash, value) = theirs.fingerprint;
    Agreed {
        ufrag: theirs.ufrag.to_owned(),
        pwd: theirs.pwd.to_owned(),
        candidates: sdp::answered_candidates(text).into_iter().filter(fits).collect(),
        fingerprint: (hash.to_owned(), value.to_owned()),
        active: theirs.setup != Setup::Active,
        transport,
        reduced,
        lines,
    }
}

/// The payload types of an m= line that we can take, with those of their retransmissions.
fn formats(config: &Config, kind: Kind, section: &sdp::Section<'_>) -> SmallVec<[Format; 2]> {
    let own = offered(config, kind);
    let known = section.formats.iter().filter_map(|format| {
        let (_, codec, _) = *own.iter().find(|(_, codec, _)| format.name.eq_ignore_ascii_case(codec.name()))?;
        let repairs = |other: &&sdp::Offered<'_>| {
            let apt = other.parameter("apt").and_then(|apt| apt.parse().ok());
            other.name.eq_ignore_ascii_case("rtx") && apt == Some(format.pt)
        };
        let rtx = section.formats.iter().find(repairs).map(|other| other.pt);
        Some(Format { pt: format.pt, rtx, codec, rate_hz: format.rate_hz, nack: format.nack, pli: format.pli })
    });
    known.take(FORMATS_MAX).collect()
}

/// Payload types of one m= line at most.
const FORMATS_MAX: usize = 16;
