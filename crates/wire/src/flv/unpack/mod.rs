//! From the bodies of audio and video tags to configurations and coded units.
//!
//! The head of a body, with a codec number or (`extended`) a fourcc, says coding, track and packet type; `picture` and
//! `sound` hold what is known of one track, and a file for each coding of pictures reads its units.

mod av1;
mod h264;
mod h265;
mod picture;
mod sound;

use bytes::Bytes;
use media::{Codec, Flags, Payload, TrackInfo};
use smallvec::{SmallVec, smallvec};
use thiserror::Error;

use super::amf::{self, Value};
use super::extended::{self, HeadError, Message, Packet, TRACKS_MAX};
use super::{TagKind, codec_id, without_set_data_frame};
use picture::{Pictures, Times};
use sound::Sounds;

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
    /// Something of another track than the first of its kind, which has the number 0. Never nested.
    Further(u8, Box<Self>),
    /// Something of another track than the first cannot be used; the first goes on.
    Refused(UnpackError),
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
    /// Nanoseconds that the presentation is later still, below a millisecond.
    pub offset_ns: u32,
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
    /// The lengths of NAL units or OBUs do not add up.
    #[error("a video message has units whose lengths do not add up")]
    Lengths,
    /// The tracks of a message do not add up, or there are too many.
    #[error("a media message has tracks that do not add up, or more than {TRACKS_MAX}")]
    Tracks,
    /// The publication has more tracks of a kind than are kept.
    #[error("the publication has more than {TRACKS_MAX} tracks, and track {0} is one too many")]
    TooManyTracks(u8),
    /// The configuration of H.264 is wrong.
    #[error(transparent)]
    H264(#[from] media::h264::ConfigError),
    /// The configuration of H.265 is wrong.
    #[error(transparent)]
    H265(#[from] media::h265::ConfigError),
    /// The configuration of AV1 is wrong.
    #[error(transparent)]
    Av1(#[from] media::av1::ConfigError),
    /// The configuration of VP9 is wrong.
    #[error(transparent)]
    Vp9(#[from] media::vp9::ConfigError),
    /// The configuration of AAC is wrong.
    #[error(transparent)]
    Aac(#[from] media::aac::ConfigError),
    /// The configuration of Opus is wrong.
    #[error(transparent)]
    Opus(#[from] media::opus::HeadError),
}

/// Keeps what one publisher said of its tracks, and reads bodies by it.
#[derive(Debug, Default)]
pub struct Unpacker {
    /// By number; `TRACKS_MAX` at most.
    tracks: SmallVec<[(u8, Track); 1]>,
}

/// What is known under one number: a track of each kind.
#[derive(Debug, Default)]
struct Track {
    pictures: Pictures,
    sounds: Sounds,
}

type Found = SmallVec<[Unpacked; 2]>;

/// One part of a message: coded bytes or a configuration of one track.
struct Piece {
    codec: Codec,
    packet: Packet,
    times: Times,
    body: Bytes,
}

impl Unpacker {
    /// A reader that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one body: mostly up to two things, a configuration before its frame; more where it has several tracks.
    ///
    /// # Errors
    /// Where the codec is not supported or the body is malformed. The reader can go on after either.
    pub fn unpack(&mut self, kind: TagKind, timestamp_ms: u32, body: &Bytes) -> Result<Found, UnpackError> {
        let first = body.first().copied().unwrap_or(0);
        match kind {
            _ if body.is_empty() => Ok(ignored()),
            TagKind::Script => Ok(smallvec![script(body)]),
            TagKind::Audio if first >> 4 == codec_id::AUDIO_EXTENDED => self.extended(kind, timestamp_ms, body),
            TagKind::Audio => self.audio(timestamp_ms, first, body),
            TagKind::Video if first & codec_id::VIDEO_EXTENDED_BIT != 0 => self.extended(kind, timestamp_ms, body),
            TagKind::Video => self.video(timestamp_ms, first, body),
        }
    }

    fn audio(&mut self, dts_ms: u32, first: u8, body: &Bytes) -> Result<Found, UnpackError> {
        let format = first >> 4;
        if format != codec_id::AUDIO_AAC {
            let name = codec_id::audio_name(format).to_owned();
            return Err(UnpackError::Unsupported { name, advice: codec_id::AUDIO_ADVICE });
        }
        let packet = match *body.get(1).ok_or(UnpackError::Short)? {
            0 => Packet::SequenceStart,
            1 => Packet::CodedFrames,
            _ => Packet::Other,
        };
        let times = Times { dts_ms, composition_ms: 0, offset_ns: 0 };
        self.piece(0, Piece { codec: Codec::Aac, packet, times, body: body.slice(2..) })
    }

    fn video(&mut self, dts_ms: u32, first: u8, body: &Bytes) -> Result<Found, UnpackError> {
        if first >> 4 == FRAME_COMMAND {
            return Ok(ignored());
        }
        let codec = match first & 0x0f {
            codec_id::VIDEO_AVC => Codec::H264,
            codec_id::VIDEO_HEVC => Codec::H265,
            id => {
                let name = codec_id::video_name(id).to_owned();
                return Err(UnpackError::Unsupported { name, advice: codec_id::VIDEO_ADVICE });
            }
        };
        let Some(&[_, packet, c0, c1, c2]) = body.first_chunk::<5>() else { return Err(UnpackError::Short) };
        let packet = match packet {
            0 => Packet::SequenceStart,
            1 => Packet::CodedFramesX,
            2 => Packet::SequenceEnd,
            _ => Packet::Other,
        };
        let times = Times { dts_ms, composition_ms: signed([c0, c1, c2]), offset_ns: 0 };
        self.piece(0, Piece { codec, packet, times, body: body.slice(5..) })
    }

    fn extended(&mut self, kind: TagKind, dts_ms: u32, body: &Bytes) -> Result<Found, UnpackError> {
        let Message { packet, offset_ns, parts } = extended::read(kind, body).map_err(|error| match error {
            HeadError::Short => UnpackError::Short,
            HeadError::Tracks => UnpackError::Tracks,
        })?;
        let mut found = Found::new();
        for part in parts {
            let times = Times { dts_ms, composition_ms: 0, offset_ns };
            let taken = codec_of(kind, part.fourcc, packet)
                .and_then(|codec| self.piece(part.track, Piece { codec, packet, times, body: part.body }));
            match (part.track, taken) {
                (0, taken) => found.extend(taken?),
                (_, Err(error)) => found.push(Unpacked::Refused(error)),
                (track, Ok(taken)) => found.extend(
                    taken
                        .into_iter()
                        .filter(|what| *what != Unpacked::Ignored)
                        .map(|what| Unpacked::Further(track, Box::new(what))),
                ),
            }
        }
        Ok(if found.is_empty() { ignored() } else { found })
    }

    /// Takes a part of a message by what is known of its track.
    fn piece(&mut self, track: u8, piece: Piece) -> Result<Found, UnpackError> {
        let known = self.track(track).ok_or(UnpackError::TooManyTracks(track))?;
        let Piece { codec, packet, mut times, mut body } = piece;
        let is_video = codec.kind() == media::Kind::Video;
        match packet {
            Packet::SequenceStart if is_video => known.pictures.configure(codec, &body),
            Packet::SequenceStart => known.sounds.configure(codec, &body),
            Packet::CodedFrames if matches!(codec, Codec::H264 | Codec::H265) => {
                let Some(&composition) = body.first_chunk::<3>() else { return Err(UnpackError::Short) };
                times.composition_ms = signed(composition);
                body = body.slice(3..);
                known.pictures.take(codec, times, &body)
            }
            Packet::CodedFrames | Packet::CodedFramesX if is_video => known.pictures.take(codec, times, &body),
            Packet::CodedFrames => Ok(known.sounds.take(codec, times.dts_ms, times.offset_ns, body)),
            Packet::SequenceEnd if is_video => Ok(smallvec![Unpacked::SequenceEnd]),
            _ => Ok(ignored()),
        }
    }

    fn track(&mut self, number: u8) -> Option<&mut Track> {
        let at = match self.tracks.iter().position(|(known, _)| *known == number) {
            Some(at) => at,
            None => {
                // Room is kept for the first.
                let others = self.tracks.iter().filter(|(known, _)| *known != 0).count();
                if number != 0 && others >= TRACKS_MAX - 1 {
                    return None;
                }
                self.tracks.push((number, Track::default()));
                self.tracks.len() - 1
            }
        };
        self.tracks.get_mut(at).map(|(_, track)| track)
    }
}

/// `FrameType` of a message that is a command to the player and no picture (annex E.4.3.1).
const FRAME_COMMAND: u8 = 5;

fn ignored() -> Found {
    smallvec![Unpacked::Ignored]
}

fn signed([a, b, c]: [u8; 3]) -> i32 {
    i32::from_be_bytes([a, b, c, 0]) >> 8
}

fn script(body: &Bytes) -> Unpacked {
    let values = amf::decode(&without_set_data_frame(body)).unwrap_or_default();
    let mut values = values.into_iter();
    match (values.next(), values.next()) {
        (Some(Value::String(name)), Some(value)) if name == "onMetaData" => Unpacked::Metadata(value),
        _ => Unpacked::Ignored,
    }
}

/// The coding of a fourcc.
fn codec_of(kind: TagKind, fourcc: [u8; 4], packet: Packet) -> Result<Codec, UnpackError> {
    let advice = if kind == TagKind::Audio { codec_id::AUDIO_ADVICE } else { codec_id::VIDEO_ADVICE };
    if packet == Packet::Mpeg2TsSequenceStart {
        let name = format!("{}, configured by a descriptor of MPEG-2 TS", codec_id::fourcc_name(fourcc));
        return Err(UnpackError::Unsupported { name, advice: codec_id::TS_ADVICE });
    }
    codec_id::codec_of_fourcc(fourcc)
        .filter(|codec| (codec.kind() == media::Kind::Audio) == (kind == TagKind::Audio))
        .ok_or_else(|| UnpackError::Unsupported { name: codec_id::fourcc_name(fourcc), advice })
}

#[cfg(test)]
mod tests;
