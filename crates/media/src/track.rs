//! What a track is: its codec, its clock, and what a decoder must know before the first frame.

use crate::{aac, av1, h264, h265, opus, vp9};

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

impl Kind {
    /// The name in SDP: `audio` or `video`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// A way of coding sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    H265,
    /// AOMedia AV1.
    Av1,
    /// VP8, RFC 6386.
    Vp8,
    /// VP9.
    Vp9,
    /// MPEG-4 AAC, ISO/IEC 14496-3.
    Aac,
    /// Opus, RFC 6716.
    Opus,
}

impl Codec {
    /// Sound or picture.
    pub fn kind(self) -> Kind {
        match self {
            Self::Aac | Self::Opus => Kind::Audio,
            _ => Kind::Video,
        }
    }

    /// The name that people and SDP use.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Av1 => "AV1",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Aac => "AAC",
            Self::Opus => "opus",
        }
    }
}

/// What a decoder must know before the first frame; empty for codecs that say it in every key frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// Nothing out of band (VP8, VP9, AV1 between WebRTC ends).
    None,
    /// Parameter sets of H.264.
    H264(h264::Config),
    /// Parameter sets of H.265.
    H265(h265::Config),
    /// Record and sequence header of AV1.
    Av1(av1::Config),
    /// Record of VP9.
    Vp9(vp9::Config),
    /// AudioSpecificConfig of AAC.
    Aac(aac::Config),
    /// Channels and pre-skip of Opus.
    Opus(opus::Config),
}

/// A track as it is announced. It is immutable: a change of anything in it begins a new epoch of the track.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackInfo {
    /// The coding.
    pub codec: Codec,
    /// Ticks a second of the track's `MediaTime`, in Hz: 90,000 for video, the sampling rate for audio.
    pub clock_rate_hz: u32,
    /// What a decoder must know.
    pub config: Config,
}

impl TrackInfo {
    /// A video track of H.264 on the 90 kHz clock.
    pub fn h264(config: h264::Config) -> Self {
        Self { codec: Codec::H264, clock_rate_hz: 90_000, config: Config::H264(config) }
    }

    /// An audio track of AAC on its own sampling rate.
    pub fn aac(config: aac::Config) -> Self {
        Self { codec: Codec::Aac, clock_rate_hz: config.sample_rate_hz, config: Config::Aac(config) }
    }

    /// An audio track of Opus on the 48 kHz clock (RFC 7587 section 4.1).
    pub fn opus(channels: u8) -> Self {
        Self { codec: Codec::Opus, clock_rate_hz: 48_000, config: Config::Opus(opus::Config::new(channels)) }
    }

    /// A video track of H.265 on the 90 kHz clock.
    pub fn h265(config: h265::Config) -> Self {
        Self { codec: Codec::H265, clock_rate_hz: 90_000, config: Config::H265(config) }
    }

    /// A video track of AV1 on the 90 kHz clock.
    pub fn av1(config: av1::Config) -> Self {
        Self { codec: Codec::Av1, clock_rate_hz: 90_000, config: Config::Av1(config) }
    }

    /// A video track of VP9 on the 90 kHz clock.
    pub fn vp9(config: vp9::Config) -> Self {
        Self { codec: Codec::Vp9, clock_rate_hz: 90_000, config: Config::Vp9(config) }
    }

    /// Sound or picture.
    pub fn kind(&self) -> Kind {
        self.codec.kind()
    }

    /// Width and height in pixels, as far as they are known.
    pub fn picture_size(&self) -> Option<(u32, u32)> {
        match &self.config {
            Config::H264(config) => Some((config.picture.width, config.picture.height)),
            Config::H265(config) => Some((config.picture.width, config.picture.height)),
            Config::Av1(config) => Some((config.sequence.width, config.sequence.height)),
            Config::Vp9(config) => config.size,
            Config::None | Config::Aac(_) | Config::Opus(_) => None,
        }
    }
}
