//! Choosing: which m= line and which payload types are served.

use media::{Codec, Kind, LAYERS_MAX};
use smallvec::SmallVec;

use super::{
    offer::{Offer, Offered, Section},
    simulcast,
};
use crate::{config::Purpose, error::OfferError};

/// Payload types of one codec that are accepted from a publisher at most (profiles of H.264).
const FORMATS_MAX: usize = 8;
/// `profile-level-id` where the offer names none, as libwebrtc reads RFC 6184 section 8.1.
const H264_DEFAULT: u32 = 0x42_00_1f;
/// One-byte header extensions have these numbers, RFC 8285 section 4.2.
const EXTENSION_IDS: std::ops::RangeInclusive<u8> = 1..=14;

/// Header extensions that are useful to us.
pub(crate) mod uri {
    pub(crate) const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
    pub(crate) const ABS_CAPTURE_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
    pub(crate) const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    pub(crate) const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    pub(crate) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
    pub(crate) const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
    pub(crate) const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
    pub(crate) const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
}

/// A payload type that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) pt: u8,
    /// Payload type of its retransmissions, RFC 4588.
    pub(crate) rtx: Option<u8>,
    pub(crate) codec: Codec,
    pub(crate) rate_hz: u32,
    pub(crate) channels: u8,
    /// H.264: `packetization-mode` and `profile-level-id`, RFC 6184 section 8.1.
    pub(crate) h264: Option<(u8, u32)>,
    /// Opus: the offerer said `stereo=1` or `sprop-stereo=1`, RFC 7587 section 6.1.
    pub(crate) stereo: bool,
    pub(crate) nack: bool,
    pub(crate) pli: bool,
    pub(crate) fir: bool,
    pub(crate) transport_cc: bool,
}

/// An m= line that is served.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    pub(crate) kind: Kind,
    pub(crate) codec: Codec,
    pub(crate) formats: SmallVec<[Format; 4]>,
    pub(crate) extensions: SmallVec<[(u8, &'static str); 8]>,
    /// The name as str0m knows it: letters and digits, 16 at most.
    pub(crate) inner_mid: String,
    /// The peer's main source, and the source of its retransmissions.
    pub(crate) ssrc: Option<(u32, Option<u32>)>,
    /// The names (rid) of what the peer sends side by side; none, where it sends one thing.
    pub(crate) layers: SmallVec<[String; LAYERS_MAX]>,
}

/// What becomes of one m= line.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    Active(Box<Active>),
    /// Accepted without direction, with this payload type, so that the bundle keeps its shape.
    Idle(Format),
    Refused,
}

/// What becomes of each m= line, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) roles: Vec<Role>,
}

impl Plan {
    pub(crate) fn active(&self) -> impl Iterator<Item = &Active> {
        self.roles.iter().filter_map(|role| if let Role::Active(active) = role { Some(&**active) } else { None })
    }
}

/// Chooses what is served of an offer: the first audio and the first video line that point the right way.
///
/// # Errors
/// Where nothing can be served, or one of the two kinds that both sides have cannot.
pub(crate) fn choose(offer: &Offer<'_>, purpose: Purpose) -> Result<Plan, OfferError> {
    choose_with(offer, purpose, purpose == Purpose::Publish)
}

/// The same; `feedback` says whether transport-wide congestion feedback is of use to us.
///
/// # Errors
/// As above.
pub(crate) fn choose_with(offer: &Offer<'_>, purpose: Purpose, feedback: bool) -> Result<Plan, OfferError> {
    let mut taken = Taken::default();
    let mut chosen: [Option<usize>; 2] = [None, None];
    let mut roles: Vec<Role> = Vec::with_capacity(offer.sections.len());
    for (index, section) in offer.sections.iter().enumerate() {
        let role = match section.kind() {
            _ if section.refused => Role::Refused,
            None => Role::Refused,
            Some(kind) => {
                let slot = chosen.get_mut(usize::from(kind == Kind::Video));
                match slot {
                    Some(slot) if slot.is_none() && wanted(purpose, kind, section) => {
                        *slot = Some(index);
                        let mut active = activate(index, section, kind, purpose, &mut taken)?;
                        if !feedback {
                            active.extensions.retain(|(_, name)| *name != uri::TRANSPORT_CC);
                        }
                        Role::Active(Box::new(active))
                    }
                    _ => idle(section, kind),
                }
            }
        };
        roles.push(role);
    }
    if chosen == [None, None] {
        return Err(nothing(offer, purpose));
    }
    Ok(Plan { roles })
}

fn wanted(purpose: Purpose, kind: Kind, section: &Section<'_>) -> bool {
    match purpose {
        Purpose::Publish => section.direction.sends,
        Purpose::Play { .. } => section.direction.receives && stream_codec(purpose, kind).is_some(),
    }
}

fn stream_codec(purpose: Purpose, kind: Kind) -> Option<Codec> {
    match (purpose, kind) {
        (Purpose::Play { video, .. }, Kind::Video) => video,
        (Purpose::Play { audio, .. }, Kind::Audio) => audio,
        (Purpose::Publish, _) => None,
    }
}

fn nothing(offer: &Offer<'_>, purpose: Purpose) -> OfferError {
    let Purpose::Play { video, audio } = purpose else {
        return OfferError::Direction { expected: "a=sendonly or a=sendrecv", verb: "publish" };
    };
    let receiving = |kind| {
        let mut own = offer.sections.iter().filter(|section| section.kind() == Some(kind) && !section.refused);
        own.any(|section| section.direction.receives)
    };
    let offered = names(receiving(Kind::Audio), receiving(Kind::Video));
    if offered == "nothing" {
        return OfferError::Direction { expected: "a=recvonly or a=sendrecv", verb: "play" };
    }
    OfferError::NothingToPlay { offered: offered.into(), has: names(audio.is_some(), video.is_some()).into() }
}

fn names(audio: bool, video: bool) -> &'static str {
    match (audio, video) {
        (true, true) => "audio and video",
        (true, false) => "audio",
        (false, true) => "video",
        (false, false) => "nothing",
    }
}

/// Payload types that are taken: in one bundle each number means one thing.
#[derive(Default)]
struct Taken(SmallVec<[u8; 16]>);

impl Taken {
    fn take(&mut self, pt: u8) -> bool {
        // 64 to 95 would be read as RTCP, RFC 5761 section 4.
        let free = !(64..96).contains(&pt) && !self.0.contains(&pt);
        if free {
            self.0.push(pt);
        }
        free
    }
}

fn activate(
    index: usize,
    section: &Section<'_>,
    kind: Kind,
    purpose: Purpose,
    taken: &mut Taken,
) -> Result<Active, OfferError> {
    let known: SmallVec<[(&Offered<'_>, Codec); 8]> =
        section.formats.iter().filter_map(|offered| Some((offered, codec_of(offered, kind)?))).collect();
    let of = |codec: Codec| known.iter().any(|(_, known)| *known == codec);
    let codec = match stream_codec(purpose, kind) {
        Some(codec) => of(codec).then_some(codec),
        None if of(Codec::H264) => Some(Codec::H264),
        None => known.first().map(|(_, codec)| *codec),
    };
    let mut formats = SmallVec::new();
    if let Some(codec) = codec {
        let mut own: SmallVec<[&Offered<'_>; 8]> =
            known.iter().filter(|(_, known)| *known == codec).map(|(offered, _)| *offered).collect();
        own.sort_by_key(|offered| rank(offered, codec, purpose));
        if codec == Codec::H264 && own.iter().any(|offered| h264(offered).0 == 1) {
            own.retain(|offered| h264(offered).0 == 1);
        }
        let count = if purpose == Purpose::Publish { FORMATS_MAX } else { 1 };
        for offered in own {
            let twin = |format: &Format| codec != Codec::H264 || format.h264 == Some(h264(offered));
            if formats.len() < count && !formats.iter().any(twin) && taken.take(offered.pt) {
                formats.push(format(section, offered, codec, taken));
            }
        }
    }
    let (Some(codec), false) = (codec, formats.is_empty()) else {
        return Err(no_common(section, kind, purpose));
    };
    let safe = section.mid.filter(|mid| mid.len() <= 16 && mid.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let main = section.ssrc_pair.map(|(main, repair)| (main, Some(repair))).or(section.ssrc.map(|main| (main, None)));
    let mut extensions = extensions(section, kind, purpose, safe.is_some());
    let layers = if purpose == Purpose::Publish { simulcast::layers(section, &extensions) } else { SmallVec::new() };
    if layers.is_empty() {
        extensions.retain(|(_, name)| !matches!(*name, uri::RID | uri::REPAIRED_RID));
    }
    Ok(Active {
        kind,
        codec,
        formats,
        extensions,
        inner_mid: safe.map_or_else(|| format!("unnamed{index}"), str::to_owned),
        // Layers are told apart by their names alone: some browsers list their sources in another order.
        ssrc: main.filter(|_| purpose == Purpose::Publish && layers.is_empty()),
        layers,
    })
}

/// Which format of a codec first: what the offer prefers; towards viewers constrained baseline, which every decoder of
/// H.264 names, whatever the stream's profile: decoders go by the parameter sets.
fn rank(offered: &Offered<'_>, codec: Codec, purpose: Purpose) -> u8 {
    if codec != Codec::H264 || purpose == Purpose::Publish {
        return 0;
    }
    let (mode, profile) = h264(offered);
    match (mode, profile >> 8) {
        (1, 0x42_e0 | 0x42_c0) => 0,
        (1, _) => 1,
        _ => 2,
    }
}

fn codec_of(offered: &Offered<'_>, kind: Kind) -> Option<Codec> {
    match kind {
        Kind::Audio => (offered.is("opus", 48_000) && offered.channels == 2).then_some(Codec::Opus),
        Kind::Video if offered.is("H264", 90_000) => {
            let (mode, profile) = h264(offered);
            // Constrained baseline, baseline, main, extended and high are 4:2:0 in 8 bits.
            (mode <= 1 && matches!(profile >> 16, 0x42 | 0x4d | 0x58 | 0x64)).then_some(Codec::H264)
        }
        Kind::Video if offered.is("VP8", 90_000) => Some(Codec::Vp8),
        Kind::Video if offered.is("VP9", 90_000) => default_or_zero(offered, "profile-id").then_some(Codec::Vp9),
        Kind::Video if offered.is("AV1", 90_000) => default_or_zero(offered, "profile").then_some(Codec::Av1),
        Kind::Video => None,
    }
}

fn default_or_zero(offered: &Offered<'_>, parameter: &str) -> bool {
    offered.parameter(parameter).is_none_or(|value| value == "0")
}

fn h264(offered: &Offered<'_>) -> (u8, u32) {
    let mode = offered.parameter("packetization-mode").map_or(Some(0), |mode| mode.parse().ok()).unwrap_or(u8::MAX);
    let level = offered.parameter("profile-level-id").filter(|id| id.len() == 6);
    (mode, level.and_then(|id| u32::from_str_radix(id, 16).ok()).unwrap_or(H264_DEFAULT))
}

fn format(section: &Section<'_>, offered: &Offered<'_>, codec: Codec, taken: &mut Taken) -> Format {
    let repairs = |other: &&Offered<'_>| {
        other.name.eq_ignore_ascii_case("rtx")
            && other.parameter("apt").and_then(|apt| apt.parse().ok()) == Some(offered.pt)
    };
    let rtx = section.formats.iter().find(repairs).map(|rtx| rtx.pt);
    let stereo = |name| offered.parameter(name) == Some("1");
    Format {
        pt: offered.pt,
        rtx: rtx.filter(|pt| codec.kind() == Kind::Video && taken.take(*pt)),
        codec,
        rate_hz: offered.rate_hz,
        channels: offered.channels,
        h264: (codec == Codec::H264).then(|| h264(offered)),
        stereo: codec == Codec::Opus && (stereo("stereo") || stereo("sprop-stereo")),
        nack: offered.nack && codec.kind() == Kind::Video,
        pli: offered.pli,
        fir: offered.fir,
        transport_cc: offered.transport_cc,
    }
}

fn extensions(section: &Section<'_>, kind: Kind, purpose: Purpose, named: bool) -> SmallVec<[(u8, &'static str); 8]> {
    let publish = purpose == Purpose::Publish;
    let useful = [
        (uri::ABS_SEND_TIME, true),
        (uri::TRANSPORT_CC, true),
        (uri::MID, named),
        (uri::RID, publish && kind == Kind::Video),
        (uri::REPAIRED_RID, publish && kind == Kind::Video),
        (uri::AUDIO_LEVEL, kind == Kind::Audio),
        (uri::ABS_CAPTURE_TIME, !publish),
        (uri::PLAYOUT_DELAY, !publish && kind == Kind::Video),
    ];
    let mut out: SmallVec<[(u8, &'static str); 8]> = SmallVec::new();
    for (id, offered) in &section.extensions {
        let known = useful.iter().find(|(uri, wanted)| *wanted && uri == offered);
        if let Some((uri, _)) = known
            && EXTENSION_IDS.contains(id)
            && !out.iter().any(|(taken, name)| taken == id || name == uri)
        {
            out.push((*id, uri));
        }
    }
    out
}

fn idle(section: &Section<'_>, kind: Kind) -> Role {
    let known = section.formats.iter().find_map(|offered| Some((offered, codec_of(offered, kind)?)));
    match known {
        // A list of its own: an idle line may share payload types with the active one.
        Some((offered, codec)) => Role::Idle(format(section, offered, codec, &mut Taken::default())),
        None => Role::Refused,
    }
}

fn no_common(section: &Section<'_>, kind: Kind, purpose: Purpose) -> OfferError {
    const AUXILIARY: [&str; 6] = ["", "rtx", "red", "ulpfec", "flexfec-03", "telephone-event"];
    let mut names: SmallVec<[String; 8]> = SmallVec::new();
    for offered in &section.formats {
        let name: String = offered.name.chars().filter(char::is_ascii_graphic).take(16).collect();
        let auxiliary = AUXILIARY.iter().any(|known| known.eq_ignore_ascii_case(&name));
        if !auxiliary && names.len() < FORMATS_MAX && !names.contains(&name) {
            names.push(name);
        }
    }
    let wanted = match (stream_codec(purpose, kind), kind) {
        (Some(codec), _) => format!("the stream has {}", codec.name()),
        (None, Kind::Video) => "this server takes H264 (8 bit 4:2:0), VP8, VP9 and AV1 (profile 0)".to_owned(),
        (None, Kind::Audio) => "this server takes opus/48000/2".to_owned(),
    };
    let offered = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    OfferError::NoCommonCodec { kind, offered, wanted }
}
