//! The pictures of one track, of whatever coding.

use bytes::Bytes;
use media::{Codec, Config, Flags, Payload, TrackInfo, av1, h264, h265, vp9};

use super::{Found, Unit, UnpackError, Unpacked, ignored};

/// What a reader of one coding found in a message.
pub(super) struct Reading {
    /// The track, where what came in band changes it.
    pub(super) track: Option<TrackInfo>,
    /// The picture, if there is one.
    pub(super) picture: Option<(Flags, Payload)>,
}

/// When a picture is decoded and shown.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) dts_ms: u32,
    pub(super) composition_ms: i32,
    pub(super) offset_ns: u32,
}

/// The pictures of one track.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    track: Option<TrackInfo>,
    /// When the latest picture since the last key frame is shown, in milliseconds modulo 2^32.
    newest_ms: Option<u32>,
}

impl Pictures {
    /// Takes a configuration record.
    pub(super) fn configure(&mut self, codec: Codec, record: &Bytes) -> Result<Found, UnpackError> {
        let track = match codec {
            Codec::H264 => TrackInfo::h264(h264::Config::parse_avcc(record)?),
            Codec::H265 => TrackInfo::h265(h265::Config::parse_hvcc(record)?),
            Codec::Av1 => match av1::Config::parse_av1c(record)? {
                Some(config) => TrackInfo::av1(config),
                None => return Ok(ignored()),
            },
            Codec::Vp9 => return self.configure_vp9(record),
            _ => return Ok(ignored()),
        };
        Ok(if self.is_new(&track) { Found::from_elem(Unpacked::Config(track), 1) } else { ignored() })
    }

    /// The record does not say the size of the pictures: it is announced with the first key frame.
    fn configure_vp9(&mut self, record: &Bytes) -> Result<Found, UnpackError> {
        let config = vp9::Config::parse(record.clone())?;
        let same = matches!(self.config(), Some(Config::Vp9(known)) if known.record == config.record);
        if !same {
            self.track = Some(TrackInfo::vp9(config));
        }
        Ok(ignored())
    }

    fn config(&self) -> Option<&Config> {
        self.track.as_ref().map(|track| &track.config)
    }

    fn is_new(&mut self, track: &TrackInfo) -> bool {
        let is_new = self.track.as_ref() != Some(track);
        if is_new {
            self.track = Some(track.clone());
        }
        is_new
    }

    /// Takes coded bytes.
    pub(super) fn take(&mut self, codec: Codec, times: Times, coded: &Bytes) -> Result<Found, UnpackError> {
        let reading = match (codec, self.config()) {
            (Codec::H264, Some(Config::H264(known))) => super::h264::read(Some(known), coded)?,
            (Codec::H264, _) => super::h264::read(None, coded)?,
            (Codec::H265, Some(Config::H265(known))) => super::h265::read(Some(known), coded)?,
            (Codec::H265, _) => super::h265::read(None, coded)?,
            (Codec::Av1, Some(Config::Av1(known))) => super::av1::read(Some(known), coded)?,
            (Codec::Av1, _) => super::av1::read(None, coded)?,
            (Codec::Vp9, Some(Config::Vp9(known))) => read_vp9(known, coded),
            _ => return Ok(ignored()),
        };
        let mut found = Found::new();
        if let Some(track) = reading.track.filter(|track| self.is_new(track)) {
            found.push(Unpacked::Config(track));
        }
        if let Some((mut flags, payload)) = reading.picture
            && self.track.as_ref().is_some_and(|track| track.codec == codec)
        {
            if codec == Codec::H265 {
                flags.b_frame = self.comes_before(times, flags.key);
            }
            let Times { dts_ms, composition_ms, offset_ns } = times;
            found.push(Unpacked::Frame(Unit { codec, flags, dts_ms, composition_ms, offset_ns, payload }));
        }
        Ok(if found.is_empty() { ignored() } else { found })
    }

    /// Whether a picture is shown before one that came earlier.
    fn comes_before(&mut self, times: Times, key: bool) -> bool {
        let shown_ms = times.dts_ms.wrapping_add_signed(times.composition_ms);
        let before = self.newest_ms.is_some_and(|newest_ms| newest_ms.wrapping_sub(shown_ms).cast_signed() > 0);
        let before = before && !key;
        if !before {
            self.newest_ms = Some(shown_ms);
        }
        before
    }
}

/// A key frame says the size, which the record does not.
fn read_vp9(known: &vp9::Config, coded: &Bytes) -> Reading {
    let head = vp9::head(coded);
    let size = match head {
        Some(vp9::Head::Key(width, height)) => Some((width, height)),
        _ => known.size,
    };
    let track = (size != known.size).then(|| TrackInfo::vp9(vp9::Config { size, ..known.clone() }));
    let flags = Flags { key: matches!(head, Some(vp9::Head::Key(..))), ..Flags::default() };
    let picture = head.filter(|_| size.is_some()).map(|_| (flags, Payload::single(coded.clone())));
    Reading { track, picture }
}
