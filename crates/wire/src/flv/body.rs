//! Writing the bodies of audio and video tags: H.264 and AAC as every player knows them (FLV 10.1 annex E.4.2 and
//! E.4.3), all else by fourcc (Enhanced RTMP v2).

use bytes::{BufMut, Bytes, BytesMut};
use media::{Codec, Config, Frame, Kind, TrackInfo};

use super::codec_id;

const AVC_KEY: u8 = 0x17;
const AVC_INTER: u8 = 0x27;
/// AAC always says 44 kHz, 16 bits, stereo: the truth is in its configuration (annex E.4.2.1).
const AAC: u8 = 0xaf;
const PACKET_CONFIG: u8 = 0;
const PACKET_MEDIA: u8 = 1;
const COMPOSITION_MS_MAX: i64 = 0x7f_ffff;
/// A body with a fourcc: a key frame, another picture, sound. The packet type is added.
const EXTENDED_KEY: u8 = 0x90;
const EXTENDED_INTER: u8 = 0xa0;
const EXTENDED_SOUND: u8 = 0x90;
/// Bytes of the longest head of a body.
const HEAD_BYTES: usize = 8;

/// The body of the sequence header of a track: what a decoder must know, at timestamp 0 or where it changes.
/// `None` for codecs that FLV cannot carry.
pub fn config_body(info: &TrackInfo) -> Option<Bytes> {
    let (head, record) = match &info.config {
        Config::H264(config) => (None, config.to_avcc()),
        Config::Aac(config) => (None, config.asc.clone()),
        Config::H265(config) => (Some(EXTENDED_KEY), config.record.clone()),
        Config::Av1(config) => (Some(EXTENDED_KEY), config.record.clone()),
        Config::Vp9(config) => (Some(EXTENDED_KEY), config.record.clone()),
        Config::Opus(config) => (Some(EXTENDED_SOUND), config.to_head()),
        Config::None => return None,
    };
    let mut out = BytesMut::with_capacity(HEAD_BYTES + record.len());
    match (head, info.codec) {
        (Some(head), codec) => {
            out.put_u8(head | PACKET_CONFIG);
            out.put_slice(&codec_id::fourcc_of(codec)?);
        }
        (None, Codec::H264) => out.put_slice(&[AVC_KEY, PACKET_CONFIG, 0, 0, 0]),
        (None, _) => out.put_slice(&[AAC, PACKET_CONFIG]),
    }
    out.put_slice(&record);
    Some(out.freeze())
}

/// The body of one frame: H.264 and H.265 with lengths of 4 bytes and their composition time in milliseconds, all else
/// as it is. Parameter sets are not repeated. Empty for codecs that FLV cannot carry (those for which `config_body` is
/// `None`).
pub fn frame_body(info: &TrackInfo, frame: &Frame) -> Bytes {
    let Some(fourcc) = codec_id::fourcc_of(frame.codec) else { return Bytes::new() };
    let units = &frame.payload.units;
    let mut out = BytesMut::with_capacity(HEAD_BYTES + frame.payload.len() + 4 * units.len());
    match frame.codec {
        Codec::H264 => out.put_slice(&[if frame.flags.key { AVC_KEY } else { AVC_INTER }, PACKET_MEDIA]),
        Codec::Aac => out.put_slice(&[AAC, PACKET_MEDIA]),
        codec => {
            let head = match (codec.kind(), frame.flags.key) {
                (Kind::Audio, _) => EXTENDED_SOUND,
                (Kind::Video, true) => EXTENDED_KEY,
                (Kind::Video, false) => EXTENDED_INTER,
            };
            out.put_u8(head | PACKET_MEDIA);
            out.put_slice(&fourcc);
        }
    }
    let has_lengths = matches!(frame.codec, Codec::H264 | Codec::H265);
    if has_lengths {
        let rate = info.clock_rate_hz;
        let composition = frame.pts.as_millis(rate).saturating_sub(frame.dts.as_millis(rate));
        out.put_int(composition.clamp(-COMPOSITION_MS_MAX, COMPOSITION_MS_MAX), 3);
    }
    for unit in units {
        if has_lengths {
            out.put_u32(u32::try_from(unit.len()).unwrap_or(0));
        }
        out.put_slice(unit);
    }
    out.freeze()
}
