//! What str0m is told of an offer: an offer of our own making, with only what was chosen.

use std::fmt::Write as _;

use media::{Codec, Kind};
use str0m::{
    format::{Codec as InnerCodec, CodecConfig, FormatParams, PayloadParams},
    media::Frequency,
    rtp::{Extension, ExtensionMap},
};

use super::{
    offer::{Offer, Setup},
    plan::{Active, Format, Plan, uri},
    simulcast,
};
use crate::config::Purpose;

/// An offer that str0m understands; kept for ICE restarts.
#[derive(Clone, Debug)]
pub(crate) struct Inner {
    head: String,
    sections: Vec<(String, String)>,
}

impl Inner {
    pub(crate) fn new(offer: &Offer<'_>, plan: &Plan, purpose: Purpose) -> Self {
        let mids: Vec<&str> = plan.active().map(|active| active.inner_mid.as_str()).collect();
        let head = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n", mids.join(" "));
        let setup = match offer.setup {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        };
        let (hash, value) = offer.fingerprint;
        let transport = format!("a=fingerprint:{hash} {value}\r\na=setup:{setup}\r\na=rtcp-mux\r\n");
        let direction = if purpose == Purpose::Publish { "sendonly" } else { "recvonly" };
        let sections = plan.active().map(|active| section(active, &transport, direction)).collect();
        Self { head, sections }
    }

    /// The text, with the peer's ICE credentials.
    pub(crate) fn text(&self, ufrag: &str, pwd: &str) -> String {
        let mut out = self.head.clone();
        for (line, attributes) in &self.sections {
            let _ = write!(out, "{line}a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n{attributes}");
        }
        out
    }
}

fn section(active: &Active, transport: &str, direction: &str) -> (String, String) {
    let pts: Vec<String> = active
        .formats
        .iter()
        .flat_map(|format| [Some(format.pt), format.rtx])
        .flatten()
        .map(|pt| pt.to_string())
        .collect();
    let line = format!("m={} 9 UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 0.0.0.0\r\n", active.kind.name(), pts.join(" "));
    let mut out = format!("{transport}a=mid:{}\r\na={direction}\r\n", active.inner_mid);
    for (id, uri) in &active.extensions {
        let _ = write!(out, "a=extmap:{id} {uri}\r\n");
    }
    for format in &active.formats {
        write_format(&mut out, format);
    }
    simulcast::write(&mut out, &active.layers, "send");
    (line, out)
}

/// The lines of a payload type, the same towards str0m and in the answer.
pub(super) fn write_format(out: &mut String, format: &Format) {
    let Format { pt, codec, rate_hz, .. } = format;
    let channels = if format.codec.kind() == Kind::Audio { format!("/{}", format.channels) } else { String::new() };
    let _ = write!(out, "a=rtpmap:{pt} {}/{rate_hz}{channels}\r\n", codec.name());
    let feedback = [
        (format.transport_cc, "transport-cc"),
        (format.fir, "ccm fir"),
        (format.nack, "nack"),
        (format.pli, "nack pli"),
    ];
    for (_, name) in feedback.iter().filter(|(on, _)| *on) {
        let _ = write!(out, "a=rtcp-fb:{pt} {name}\r\n");
    }
    match (codec, format.h264) {
        (Codec::H264, Some((mode, profile))) => {
            let _ = write!(
                out,
                "a=fmtp:{pt} level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile:06x}\r\n"
            );
        }
        (Codec::Vp9, _) => {
            let _ = write!(out, "a=fmtp:{pt} profile-id=0\r\n");
        }
        (Codec::Opus, _) => {
            let stereo = if format.stereo { ";stereo=1;sprop-stereo=1" } else { "" };
            let _ = write!(out, "a=fmtp:{pt} minptime=10{stereo};useinbandfec=1\r\n");
        }
        _ => {}
    }
    if let Some(rtx) = format.rtx {
        let _ = write!(out, "a=rtpmap:{rtx} rtx/{rate_hz}\r\na=fmtp:{rtx} apt={pt}\r\n");
    }
}

/// str0m's list of codecs: exactly the payload types that were chosen.
pub(crate) fn codec_config(plan: &Plan) -> CodecConfig {
    let params = plan.active().flat_map(|active| &active.formats).filter_map(|format| {
        let codec = match format.codec {
            Codec::H264 => InnerCodec::H264,
            Codec::Vp8 => InnerCodec::Vp8,
            Codec::Vp9 => InnerCodec::Vp9,
            Codec::Av1 => InnerCodec::Av1,
            Codec::Opus => InnerCodec::Opus,
            Codec::H265 | Codec::Aac => return None,
        };
        let audio = format.codec.kind() == Kind::Audio;
        let spec = str0m::format::CodecSpec {
            codec,
            clock_rate: Frequency::new(format.rate_hz)?,
            channels: audio.then_some(format.channels),
            format: format_params(format),
        };
        let mut params = PayloadParams::new(format.pt.into(), format.rtx.map(Into::into), spec);
        params.set_fb_transport_cc(format.transport_cc);
        params.set_fb_nack(format.nack);
        params.set_fb_pli(format.pli);
        params.set_fb_fir(format.fir);
        params.set_fb_remb(false);
        Some(params)
    });
    CodecConfig::new_from_payload_params(params.collect())
}

fn format_params(format: &Format) -> FormatParams {
    let mut params = FormatParams::default();
    match (format.codec, format.h264) {
        (Codec::H264, Some((mode, profile))) => {
            params.level_asymmetry_allowed = Some(true);
            params.packetization_mode = Some(mode);
            params.profile_level_id = Some(profile);
        }
        (Codec::Vp9, _) => params.profile_id = Some(0),
        (Codec::Opus, _) => {
            params.min_p_time = Some(10);
            params.use_inband_fec = Some(true);
            params.stereo = format.stereo.then_some(true);
            params.sprop_stereo = format.stereo.then_some(true);
        }
        _ => {}
    }
    params
}

/// str0m's map of header extensions, with the numbers of the offer.
pub(crate) fn extension_map(plan: &Plan) -> ExtensionMap {
    let mut map = ExtensionMap::empty();
    for (id, name) in plan.active().flat_map(|active| &active.extensions) {
        let extension = match *name {
            uri::ABS_SEND_TIME => Extension::AbsoluteSendTime,
            uri::ABS_CAPTURE_TIME => Extension::AbsoluteCaptureTime,
            uri::TRANSPORT_CC => Extension::TransportSequenceNumber,
            uri::AUDIO_LEVEL => Extension::AudioLevel,
            uri::MID => Extension::RtpMid,
            uri::RID => Extension::RtpStreamId,
            uri::REPAIRED_RID => Extension::RepairedRtpStreamId,
            uri::PLAYOUT_DELAY => Extension::PlayoutDelay,
            _ => continue,
        };
        map.set(*id, extension);
    }
    map
}
