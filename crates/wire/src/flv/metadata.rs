//! Script bodies: `onMetaData` as players expect it, and the `@setDataFrame` that publishers put before it.

use bytes::{Bytes, BytesMut};
use media::{Codec, Config, TrackInfo};

use super::{
    amf::{self, Value},
    codec_id,
};

/// `@setDataFrame` as an AMF0 string: a command to the server, not part of what viewers are given.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";
const CODEC_ID_AVC: f64 = 7.0;
const CODEC_ID_AAC: f64 = 10.0;
const AUDIO_SAMPLE_BITS: f64 = 16.0;

/// The body of a script tag: a name and a value.
pub fn script_body(name: &str, value: &Value) -> Bytes {
    let mut out = BytesMut::new();
    amf::encode_str(name, &mut out);
    amf::encode(value, &mut out);
    out.freeze()
}

/// The `onMetaData` body for these tracks: picture size, codec numbers or fourccs, sampling rate, channels (annex E.5,
/// Enhanced RTMP v2).
/// Tracks that FLV cannot carry are left out.
pub fn metadata_body(tracks: &[TrackInfo]) -> Bytes {
    let mut entries: Vec<(String, Value)> = Vec::new();
    let mut put = |key: &str, value: Value| entries.push((key.to_owned(), value));
    for track in tracks {
        let codec_number = match track.codec {
            Codec::H264 => CODEC_ID_AVC,
            Codec::Aac => CODEC_ID_AAC,
            codec => match codec_id::fourcc_of(codec) {
                Some(fourcc) => u32::from_be_bytes(fourcc).into(),
                None => continue,
            },
        };
        if let Some((width, height)) = track.picture_size() {
            put("width", Value::Number(width.into()));
            put("height", Value::Number(height.into()));
        }
        let channels = match &track.config {
            Config::Aac(config) => config.channels,
            Config::Opus(config) => config.channels,
            Config::None => continue,
            _ => {
                put("videocodecid", Value::Number(codec_number));
                continue;
            }
        };
        put("audiocodecid", Value::Number(codec_number));
        put("audiosamplerate", Value::Number(track.clock_rate_hz.into()));
        put("audiosamplesize", Value::Number(AUDIO_SAMPLE_BITS));
        put("audiochannels", Value::Number(channels.into()));
        put("stereo", Value::Boolean(channels > 1));
    }
    put("encoder", Value::String("Stentor".to_owned()));
    script_body("onMetaData", &Value::EcmaArray(entries))
}

/// The body without a leading `@setDataFrame`, as a slice of it.
pub fn without_set_data_frame(body: &Bytes) -> Bytes {
    if body.starts_with(SET_DATA_FRAME) { body.slice(SET_DATA_FRAME.len()..) } else { body.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_says_what_a_player_asks_for() {
        let body = metadata_body(&[TrackInfo::aac(media::aac::Config::lc(48_000, 2).unwrap())]);
        let values = amf::decode(&body).unwrap();
        assert_eq!(values[0].as_str(), Some("onMetaData"));
        assert_eq!(values[1].get("audiosamplerate").and_then(Value::as_f64), Some(48_000.0));
        assert_eq!(values[1].get("audiocodecid").and_then(Value::as_f64), Some(10.0));
        assert_eq!(values[1].get("videocodecid"), None);
    }

    #[test]
    fn set_data_frame_is_taken_off_once() {
        let plain = metadata_body(&[]);
        let commanded = Bytes::from([SET_DATA_FRAME, &plain[..]].concat());
        assert_eq!(without_set_data_frame(&commanded), plain);
        assert_eq!(without_set_data_frame(&plain), plain);
    }
}
