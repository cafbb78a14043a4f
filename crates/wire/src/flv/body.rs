//! Writing the bodies of audio and video tags (FLV 10.1 annex E.4.2 and E.4.3).

use bytes::{BufMut, Bytes, BytesMut};
use media::{Codec, Config, Frame, TrackInfo};

const AVC_KEY: u8 = 0x17;
const AVC_INTER: u8 = 0x27;
/// AAC always says 44 kHz, 16 bits, stereo: the truth is in its configuration (annex E.4.2.1).
const AAC: u8 = 0xaf;
const PACKET_CONFIG: u8 = 0;
const PACKET_MEDIA: u8 = 1;
const COMPOSITION_MS_MAX: i64 = 0x7f_ffff;

/// The body of the sequence header of a track: what a decoder must know, at timestamp 0 or where it changes.
/// `None` for codecs that FLV cannot carry.
pub fn config_body(info: &TrackInfo) -> Option<Bytes> {
    match &info.config {
        Config::H264(config) => {
            let record = config.to_avcc();
            let mut out = BytesMut::with_capacity(5 + record.len());
            out.put_slice(&[AVC_KEY, PACKET_CONFIG, 0, 0, 0]);
            out.put_slice(&record);
            Some(out.freeze())
        }
        Config::Aac(config) => {
            let mut out = BytesMut::with_capacity(2 + config.asc.len());
            out.put_slice(&[AAC, PACKET_CONFIG]);
            out.put_slice(&config.asc);
            Some(out.freeze())
        }
        Config::None | Config::Opus(_) => None,
    }
}

/// The body of one frame: H.264 with lengths of 4 bytes and its composition time in milliseconds, or raw AAC.
/// Parameter sets are not repeated. Empty for codecs that FLV cannot carry (those for which `config_body` is `None`).
pub fn frame_body(info: &TrackInfo, frame: &Frame) -> Bytes {
    match frame.codec {
        Codec::H264 => {
            let rate = info.clock_rate_hz;
            let composition = frame.pts.as_millis(rate).saturating_sub(frame.dts.as_millis(rate));
            let composition = composition.clamp(-COMPOSITION_MS_MAX, COMPOSITION_MS_MAX);
            let units = &frame.payload.units;
            let mut out = BytesMut::with_capacity(5 + frame.payload.len() + 4 * units.len());
            out.put_slice(&[if frame.flags.key { AVC_KEY } else { AVC_INTER }, PACKET_MEDIA]);
            out.put_int(composition, 3);
            for unit in units {
                out.put_u32(u32::try_from(unit.len()).unwrap_or(0));
                out.put_slice(unit);
            }
            out.freeze()
        }
        Codec::Aac => {
            let mut out = BytesMut::with_capacity(2 + frame.payload.len());
            out.put_slice(&[AAC, PACKET_MEDIA]);
            frame.payload.units.iter().for_each(|unit| out.put_slice(unit));
            out.freeze()
        }
        Codec::H265 | Codec::Av1 | Codec::Vp8 | Codec::Vp9 | Codec::Opus => Bytes::new(),
    }
}
