//! From the bodies of audio and video tags to configurations and coded units.
//!
//! A body of Enhanced RTMP (a fourcc instead of a codec number) goes its own way in `extended`, which today only names
//! what it refuses.

use bytes::Bytes;
use media::h264::{self, nal, nal_type};
use media::{Codec, Flags, Payload, TrackInfo, aac, bits::BitReader};
use smallvec::{SmallVec, smallvec};
use thiserror::Error;

use super::amf::{self, Value};
use super::{TagKind, codec_id, without_set_data_frame};

/// What a body turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Unpacked {
    /// The track as it is from now on. Given once for each change, not for each repetition.
    Config(TrackInfo),
    /// One coded picture or packet of sound.
    Frame(Unit),
    /// The value of `onMetaData`. It is a claim of the source and often wrong.
    Metadata(Value),
    /// The encoder says that its video ends here; a configuration may follow.
    SequenceEnd,
    /// Nothing of use: an empty body, a repeated configuration, media before any configuration, other script data.
    Ignored,
}

/// One coded picture or packet of sound, as slices of the body that it came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// The coding.
    pub codec: Codec,
    /// What it is. `discontinuity` is never set here.
    pub flags: Flags,
    /// Decoding time in milliseconds as the source says it: it wraps at 2^32 and may jump.
    pub dts_ms: u32,
    /// Presentation time after decoding time, in milliseconds. 0 for sound.
    pub composition_ms: i32,
    /// The coded bytes, in the shape of `media::Payload`.
    pub payload: Payload,
}

/// Why a body cannot be used. All are faults of the source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnpackError {
    /// A codec that we do not take: the connection cannot be served, and a sentence says what to set.
    #[error("the stream is coded with {name}, which is not supported: {advice}")]
    Unsupported {
        /// The codec, or its fourcc.
        name: String,
        /// What the user can do.
        advice: &'static str,
    },
    /// The body ends within its header.
    #[error("a media message is cut short")]
    Short,
    /// The lengths of NAL units do not add up.
    #[error("a video message has NAL unit lengths that do not add up")]
    Lengths,
    /// The configuration of H.264 is wrong.
    #[error(transparent)]
    H264(#[from] h264::ConfigError),
    /// The configuration of AAC is wrong.
    #[error(transparent)]
    Aac(#[from] aac::ConfigError),
}

/// Keeps what one publisher said of its tracks, and reads bodies by it.
#[derive(Debug, Default)]
pub struct Unpacker {
    h264: Option<h264::Config>,
    aac: Option<aac::Config>,
}

type Found = SmallVec<[Unpacked; 2]>;

impl Unpacker {
    /// A reader that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one body: up to two things, a configuration before its frame.
    ///
    /// # Errors
    /// Where the codec is not supported or the body is malformed. The reader can go on after either.
    pub fn unpack(&mut self, kind: TagKind, timestamp_ms: u32, body: &Bytes) -> Result<Found, UnpackError> {
        match kind {
            _ if body.is_empty() => Ok(ignored()),
            TagKind::Audio => self.audio(timestamp_ms, body),
            TagKind::Video => self.video(timestamp_ms, body),
            TagKind::Script => Ok(smallvec![script(body)]),
        }
    }

    fn audio(&mut self, timestamp_ms: u32, body: &Bytes) -> Result<Found, UnpackError> {
        let format = body.first().copied().unwrap_or(0) >> 4;
        if format == codec_id::AUDIO_EXTENDED {
            return Err(extended(body, codec_id::AUDIO_ADVICE));
        }
        if format != codec_id::AUDIO_AAC {
            let name = codec_id::audio_name(format).to_owned();
            return Err(UnpackError::Unsupported { name, advice: codec_id::AUDIO_ADVICE });
        }
        let packet = *body.get(1).ok_or(UnpackError::Short)?;
        let coded = body.slice(2..);
        match packet {
            0 => {
                let config = aac::Config::parse(coded)?;
                if self.aac.as_ref() == Some(&config) {
                    return Ok(ignored());
                }
                self.aac = Some(config.clone());
                Ok(smallvec![Unpacked::Config(TrackInfo::aac(config))])
            }
            1 if !coded.is_empty() && self.aac.is_some() => Ok(smallvec![Unpacked::Frame(Unit {
                codec: Codec::Aac,
                flags: Flags { key: true, ..Flags::default() },
                dts_ms: timestamp_ms,
                composition_ms: 0,
                payload: Payload::single(coded),
            })]),
            _ => Ok(ignored()),
        }
    }

    fn video(&mut self, timestamp_ms: u32, body: &Bytes) -> Result<Found, UnpackError> {
        let first = body.first().copied().unwrap_or(0);
        if first & codec_id::VIDEO_EXTENDED_BIT != 0 {
            return Err(extended(body, codec_id::VIDEO_ADVICE));
        }
        if first >> 4 == FRAME_COMMAND {
            return Ok(ignored());
        }
        if first & 0x0f != codec_id::VIDEO_AVC {
            let name = codec_id::video_name(first & 0x0f).to_owned();
            return Err(UnpackError::Unsupported { name, advice: codec_id::VIDEO_ADVICE });
        }
        let Some(&[_, packet, c0, c1, c2]) = body.first_chunk::<5>() else { return Err(UnpackError::Short) };
        let coded = body.slice(5..);
        match packet {
            0 => {
                let config = h264::Config::parse_avcc(&coded)?;
                if self.h264.as_ref() == Some(&config) {
                    return Ok(ignored());
                }
                self.h264 = Some(config.clone());
                Ok(smallvec![Unpacked::Config(TrackInfo::h264(config))])
            }
            1 => self.picture(timestamp_ms, i32::from_be_bytes([c0, c1, c2, 0]) >> 8, &coded),
            2 => Ok(smallvec![Unpacked::SequenceEnd]),
            _ => Ok(ignored()),
        }
    }

    fn picture(&mut self, dts_ms: u32, composition_ms: i32, coded: &Bytes) -> Result<Found, UnpackError> {
        let length_size = self.h264.as_ref().map_or(4, |config| config.length_size);
        let units = h264::split_avcc(coded, length_size).ok_or(UnpackError::Lengths)?;
        let (sets, units): (Vec<_>, Vec<_>) =
            units.into_iter().partition(|unit| matches!(nal_type(unit), nal::SPS | nal::PPS));
        let mut found = Found::new();
        if let Some(config) = self.renewed(&sets) {
            self.h264 = Some(config.clone());
            found.push(Unpacked::Config(TrackInfo::h264(config)));
        }
        let payload: Payload =
            units.into_iter().filter(|unit| !matches!(nal_type(unit), nal::AUD | nal::FILLER)).collect();
        if self.h264.is_some() && payload.units.iter().any(|unit| is_slice(unit)) {
            let flags = picture_flags(&payload);
            found.push(Unpacked::Frame(Unit { codec: Codec::H264, flags, dts_ms, composition_ms, payload }));
        }
        Ok(if found.is_empty() { ignored() } else { found })
    }

    /// The configuration with parameter sets that came in band, where they change it. Sets that make no sense are
    /// passed over: the picture may still be decodable by those that are known.
    fn renewed(&self, sets: &[Bytes]) -> Option<h264::Config> {
        let known = self.h264.as_ref();
        if sets.is_empty()
            || known.is_some_and(|known| sets.iter().all(|set| known.sps.contains(set) || known.pps.contains(set)))
        {
            return None;
        }
        let (mut sps, mut pps) = known.map(|known| (known.sps.clone(), known.pps.clone())).unwrap_or_default();
        for set in sets {
            let list = if nal_type(set) == nal::SPS { &mut sps } else { &mut pps };
            let full = list.len() >= SETS_MAX;
            match list.iter_mut().find(|old| set_id(old) == set_id(set)) {
                Some(old) => *old = set.clone(),
                None if full => return None,
                None => list.push(set.clone()),
            }
        }
        let length_size = known.map_or(4, |known| known.length_size);
        h264::Config::from_sets(sps, pps).ok().map(|config| h264::Config { length_size, ..config })
    }
}

/// `FrameType` of a message that is a command to the player and no picture (annex E.4.3.1).
const FRAME_COMMAND: u8 = 5;
/// Parameter sets of one kind that are kept, at most (ISO/IEC 14496-15 has 5 bits for the count).
const SETS_MAX: usize = 31;

fn ignored() -> Found {
    smallvec![Unpacked::Ignored]
}

fn script(body: &Bytes) -> Unpacked {
    let values = amf::decode(&without_set_data_frame(body)).unwrap_or_default();
    let mut values = values.into_iter();
    match (values.next(), values.next()) {
        (Some(Value::String(name)), Some(value)) if name == "onMetaData" => Unpacked::Metadata(value),
        _ => Unpacked::Ignored,
    }
}

fn extended(body: &Bytes, advice: &'static str) -> UnpackError {
    match body.get(1..5).and_then(|fourcc| <[u8; 4]>::try_from(fourcc).ok()) {
        Some(fourcc) => UnpackError::Unsupported { name: codec_id::fourcc_name(fourcc), advice },
        None => UnpackError::Short,
    }
}

fn is_slice(unit: &[u8]) -> bool {
    (nal::SLICE..=nal::IDR).contains(&nal_type(unit))
}

fn picture_flags(payload: &Payload) -> Flags {
    let slices = || payload.units.iter().filter(|unit| is_slice(unit));
    Flags {
        key: slices().any(|unit| nal_type(unit) == nal::IDR),
        discardable: !slices().any(|unit| h264::is_reference(unit)),
        b_frame: slices().any(|unit| h264::is_b_slice(unit)),
        discontinuity: false,
    }
}

/// The number that slices and picture parameter sets refer to a set by (ITU-T H.264 sections 7.3.2.1.1 and 7.3.2.2).
fn set_id(set: &[u8]) -> Option<u32> {
    let head = h264::unescape(set.get(1..set.len().min(SET_HEAD_BYTES)).unwrap_or_default());
    let mut bits = BitReader::new(&head);
    if nal_type(set) == nal::SPS {
        bits.skip(24)?;
    }
    bits.ue()
}

/// Bytes of a parameter set in which its number is.
const SET_HEAD_BYTES: usize = 16;

#[cfg(test)]
mod tests;
