//! How a publisher does, as `/v1/streams/{app}/{stream}` tells it.

use serde::Serialize;
use utoipa::ToSchema;

/// The score alone, for lists.
#[derive(Debug, Serialize, ToSchema)]
pub struct Score {
    /// `good`, `fair` or `bad`.
    pub score: String,
}

/// What was measured over the last seconds, before anything was put right. What is not known is null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `good`, `fair` or `bad`.
    pub score: String,
    /// The picture.
    pub video: Option<VideoMeasures>,
    /// The sound.
    pub audio: Option<AudioMeasures>,
    /// Bits a second of both.
    pub bitrate: u64,
    /// Media seconds that come each second.
    pub speed: Option<f64>,
    /// How far apart sound and picture of the same time come, in milliseconds.
    pub interleave_ms: Option<u32>,
    /// How often nothing came for seconds.
    pub stalls: u64,
    /// What is wrong now.
    pub faults: Vec<Told>,
    /// What was wrong before, the newest last; 64 at most.
    pub history: Vec<Told>,
    /// The last minute, second by second.
    pub last_minute: LastMinute,
}

/// What was measured of the picture.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VideoMeasures {
    /// The codec.
    pub codec: Option<String>,
    /// The profile, as its standard names it.
    pub profile: Option<String>,
    /// The level.
    pub level: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Pictures a second, as they come.
    pub frame_rate: Option<f64>,
    /// Pictures a second, as the metadata say.
    pub frame_rate_claimed: Option<f64>,
    /// Bits a second.
    pub bitrate: Option<u64>,
    /// Milliseconds between the last two key frames.
    pub gop_ms: Option<u64>,
    /// The longest of those lately.
    pub gop_ms_max: Option<u64>,
    /// Pictures between the last two key frames.
    pub gop_frames: Option<u32>,
    /// `none`, `droppable` or `referenced`.
    pub b_frames: String,
}

/// What was measured of the sound.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AudioMeasures {
    /// The codec.
    pub codec: Option<String>,
    /// The profile, as its standard names it.
    pub profile: Option<String>,
    /// Hz.
    pub sample_rate: Option<u32>,
    /// Channels.
    pub channels: Option<u8>,
    /// Bits a second.
    pub bitrate: Option<u64>,
}

/// A fault, and what to do about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Told {
    /// For programs (docs/health.md).
    pub code: String,
    /// `info`, `warn` or `error`.
    pub severity: String,
    /// What was found, and which setting to change.
    pub message: String,
    /// How often.
    pub count: u64,
    /// The first time, as RFC 3339.
    pub since: String,
    /// The last time, as RFC 3339.
    pub last: String,
}

/// A value for each whole second, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastMinute {
    /// Bits that came.
    pub bitrate: Vec<u64>,
    /// Pictures that came.
    pub frame_rate: Vec<u32>,
}
