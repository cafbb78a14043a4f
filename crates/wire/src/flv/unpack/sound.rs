//! The sound of one track: AAC or Opus.

use bytes::Bytes;
use media::{Codec, Config, Flags, Payload, TrackInfo, aac, opus};
use smallvec::smallvec;

use super::{Found, Unit, UnpackError, Unpacked, ignored};

/// The sound of one track.
#[derive(Debug, Default)]
pub(super) struct Sounds {
    track: Option<TrackInfo>,
}

impl Sounds {
    /// Takes a configuration.
    pub(super) fn configure(&mut self, codec: Codec, record: &Bytes) -> Result<Found, UnpackError> {
        let track = match codec {
            Codec::Aac => TrackInfo::aac(aac::Config::parse(record.clone())?),
            _ => {
                let config = opus::Config::parse_head(record)?;
                TrackInfo { config: Config::Opus(config), ..TrackInfo::opus(config.channels) }
            }
        };
        if self.track.as_ref() == Some(&track) {
            return Ok(ignored());
        }
        self.track = Some(track.clone());
        Ok(smallvec![Unpacked::Config(track)])
    }

    /// Takes one coded packet.
    pub(super) fn take(&self, codec: Codec, dts_ms: u32, offset_ns: u32, coded: Bytes) -> Found {
        if coded.is_empty() || self.track.as_ref().is_none_or(|track| track.codec != codec) {
            return ignored();
        }
        smallvec![Unpacked::Frame(Unit {
            codec,
            flags: Flags { key: true, ..Flags::default() },
            dts_ms,
            composition_ms: 0,
            offset_ns,
            payload: Payload::single(coded),
        })]
    }
}
