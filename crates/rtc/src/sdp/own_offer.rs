//! An offer of our own (RFC 8829 section 5.2), and what an answer makes of it.

use std::{fmt::Write as _, net::SocketAddr};

use media::{Codec, Kind, LAYERS_MAX};
use smallvec::SmallVec;

use super::{
    answer::{self, Local, Transport},
    inner::write_format,
    offer::{Offer, Offered, Section},
    plan::{Active, Format, Plan, Role, uri},
    simulcast,
};
use crate::{config::Config, full::Wanted};

/// Candidates of an answer that are tried at most.
const CANDIDATES_MAX: usize = 16;
/// The first payload type of a video coding; its retransmissions have the next.
const VIDEO_PT: u8 = 96;
const OPUS_PT: u8 = 111;
/// Constrained baseline, level 3.1: what every decoder names.
const H264_RECEIVED: u32 = 0x42_e0_1f;
const CNAME: &str = "stentor";
/// Names of layers, from the lowest to the highest.
const LAYER_NAMES: [&str; LAYERS_MAX] = ["l", "m", "h"];

/// What we would send or receive, as m= lines with payload types: sound first, as browsers have it.
pub(crate) fn offered(wanted: &Wanted) -> Plan {
    let (video, audio): (SmallVec<[Codec; 4]>, bool) = match wanted {
        Wanted::Send { video, audio, .. } => (video.iter().map(|_| Codec::H264).collect(), *audio),
        Wanted::Receive => ([Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1].into_iter().collect(), true),
    };
    let profile = match wanted {
        Wanted::Send { video: Some(profile), .. } => *profile,
        _ => H264_RECEIVED,
    };
    let mut roles = Vec::new();
    if audio {
        let formats = SmallVec::from_iter([format(OPUS_PT, Codec::Opus, profile)]);
        roles.push(Role::Active(Box::new(section(roles.len(), Kind::Audio, formats))));
    }
    if !video.is_empty() {
        let formats = (VIDEO_PT..).step_by(2).zip(video).map(|(pt, codec)| format(pt, codec, profile));
        let formats = formats.collect();
        let mut section = section(roles.len(), Kind::Video, formats);
        if let Wanted::Send { layers: layers @ 2.., .. } = wanted {
            section.layers = LAYER_NAMES.iter().take(usize::from(*layers)).map(|name| (*name).to_owned()).collect();
            section.extensions.extend([(5, uri::RID), (6, uri::REPAIRED_RID)]);
        }
        roles.push(Role::Active(Box::new(section)));
    }
    Plan { roles }
}

fn section(index: usize, kind: Kind, formats: SmallVec<[Format; 4]>) -> Active {
    let mut extensions = SmallVec::from_slice(&[(1, uri::MID), (2, uri::ABS_SEND_TIME), (3, uri::ABS_CAPTURE_TIME)]);
    if kind == Kind::Audio {
        extensions.push((4, uri::AUDIO_LEVEL));
    }
    let codec = formats.first().map_or(Codec::Opus, |format| format.codec);
    Active { kind, codec, formats, extensions, inner_mid: index.to_string(), ssrc: None, layers: SmallVec::new() }
}

fn format(pt: u8, codec: Codec, profile: u32) -> Format {
    let video = codec.kind() == Kind::Video;
    Format {
        pt,
        rtx: video.then_some(pt + 1),
        codec,
        rate_hz: if video { 90_000 } else { 48_000 },
        channels: if video { 1 } else { 2 },
        h264: (codec == Codec::H264).then_some((1, profile)),
        stereo: codec == Codec::Opus,
        nack: video,
        pli: video,
        fir: video,
        transport_cc: false,
    }
}

/// Writes the offer: everything in one bundle, with our candidates, ready for either DTLS role.
pub(crate) fn write(config: &Config, plan: &Plan, sends: bool, own: &Transport, local: &[Local]) -> String {
    let mids: Vec<&str> = plan.active().map(|active| active.inner_mid.as_str()).collect();
    let mut out = String::with_capacity(4_096);
    out.push_str("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    let _ = write!(out, "a=group:BUNDLE {}\r\na=msid-semantic: WMS {CNAME}\r\n", mids.join(" "));
    for (index, active) in plan.active().enumerate() {
        let pts = active.formats.iter().flat_map(|format| [Some(format.pt), format.rtx]).flatten();
        let _ = write!(out, "m={} 9 UDP/TLS/RTP/SAVPF", active.kind.name());
        pts.for_each(|pt| _ = write!(out, " {pt}"));
        let Transport { ufrag, pwd, fingerprint, .. } = own;
        let _ = write!(
            out,
            "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n\
             a=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:{}\r\n",
            active.inner_mid
        );
        if index == 0 {
            answer::candidates(&mut out, config);
        }
        for (id, uri) in &active.extensions {
            let _ = write!(out, "a=extmap:{id} {uri}\r\n");
        }
        let kind = active.kind.name();
        let _ = match sends {
            true => write!(out, "a=sendonly\r\na=msid:{CNAME} {kind}\r\n"),
            false => write!(out, "a=recvonly\r\n"),
        };
        out.push_str("a=rtcp-mux\r\na=rtcp-rsize\r\n");
        active.formats.iter().for_each(|format| write_format(&mut out, format));
        simulcast::write(&mut out, &active.layers, "send");
        let single = local.iter().find(|local| local.kind == active.kind && active.layers.is_empty());
        if let Some(Local { ssrc, rtx, .. }) = single {
            if let Some(rtx) = rtx {
                let _ = write!(out, "a=ssrc-group:FID {ssrc} {rtx}\r\n");
            }
            for ssrc in [Some(*ssrc), *rtx].into_iter().flatten() {
                let _ = write!(out, "a=ssrc:{ssrc} cname:{CNAME}\r\na=ssrc:{ssrc} msid:{CNAME} {kind}\r\n");
            }
        }
    }
    out
}

/// What is left of our offer after the answer: lines that it accepts, with the payload types, extensions and sources
/// that it names.
pub(crate) fn narrow(plan: &Plan, sends: bool, answer: &Offer<'_>) -> Plan {
    let accepted = plan.active().enumerate().filter_map(|(index, active)| {
        let by_mid = answer.sections.iter().find(|section| section.mid == Some(active.inner_mid.as_str()));
        let section = by_mid.or_else(|| answer.sections.get(index).filter(|section| section.mid.is_none()))?;
        let agrees = if sends { section.direction.receives } else { section.direction.sends };
        if section.refused || !agrees || section.kind() != Some(active.kind) {
            return None;
        }
        accept(active, section, sends).map(|active| Role::Active(Box::new(active)))
    });
    Plan { roles: accepted.collect() }
}

fn accept(active: &Active, section: &Section<'_>, sends: bool) -> Option<Active> {
    let mut formats: SmallVec<[Format; 4]> = section
        .formats
        .iter()
        .filter_map(|offered| {
            let own = active.formats.iter().find(|own| own.pt == offered.pt && is_same(own.codec, offered))?;
            let rtx = own.rtx.filter(|rtx| section.formats.iter().any(|format| format.pt == *rtx));
            Some(Format { rtx, nack: offered.nack, pli: offered.pli, fir: offered.fir, ..own.clone() })
        })
        .collect();
    let codec = formats.first()?.codec;
    formats.retain(|format| format.codec == codec);
    let names = |id: u8, name: &str| section.extensions.iter().any(|(known, uri)| *known == id && *uri == name);
    let main = section.ssrc_pair.map(|(main, repair)| (main, Some(repair))).or(section.ssrc.map(|main| (main, None)));
    Some(Active {
        kind: active.kind,
        codec,
        formats,
        extensions: active.extensions.iter().filter(|(id, name)| names(*id, name)).copied().collect(),
        inner_mid: active.inner_mid.clone(),
        ssrc: main.filter(|_| !sends),
        layers: accepted_layers(active, section),
    })
}

/// The layers of ours that the answer takes; where it takes no layers, the lowest goes out alone.
fn accepted_layers(active: &Active, section: &Section<'_>) -> SmallVec<[String; LAYERS_MAX]> {
    let taken = |name: &&String| section.rids.contains(&name.as_str());
    active.layers.iter().filter(|_| section.simulcast.is_some()).filter(taken).cloned().collect()
}

fn is_same(codec: Codec, offered: &Offered<'_>) -> bool {
    offered.name.eq_ignore_ascii_case(codec.name())
}

/// The UDP addresses in an answer (RFC 8839 section 5.1), in their order, without names, link-local zones and repetitions.
pub(crate) fn candidates(answer: &str) -> SmallVec<[SocketAddr; 4]> {
    let mut found = SmallVec::new();
    for line in answer.lines().filter_map(|line| line.trim_end().strip_prefix("a=candidate:")) {
        let words: SmallVec<[&str; 8]> = line.split_ascii_whitespace().take(8).collect();
        let [_, "1", transport, _, address, port, "typ", _] = words.as_slice() else { continue };
        let address = address.parse().ok().zip(port.parse().ok().filter(|port| *port > 0));
        if let (true, Some((ip, port))) = (transport.eq_ignore_ascii_case("udp"), address) {
            let address = SocketAddr::new(ip, port);
            if !found.contains(&address) && found.len() < CANDIDATES_MAX {
                found.push(address);
            }
        }
    }
    found
}
