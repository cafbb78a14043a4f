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
    pub audio: Option<AudioMeasures>,
    /// Bits a second of both.
    pub bitrate: u64,
    /// Media seconds that come each second.
    pub speed: Option<f64>,
    /// How far apart sound and picture of the same time come, in milliseconds.
    pub interleave_ms: Option<u32>,
    /// How often nothing came for seconds.
    pub stalls: u64,
    pub faults: Vec<Told>,
    pub history: Vec<Told>,
    pub last_minute: LastMinute,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VideoMeasures {
    pub codec: Option<String>,
    pub profile: Option<String>,
    pub level: Option<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub frame_rate: Option<f64>,
    pub frame_rate_claimed: Option<f64>,
    pub bitrate: Option<u64>,
    pub gop_ms: Option<u64>,
    pub gop_ms_max: Option<u64>,
    pub gop_frames: Option<u32>,
    pub b_frames: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AudioMeasures {
    pub codec: Option<String>,
    pub profile: Option<String>,
    pub sample_rate: Option<u32>,
    pub channels: Option<u8>,
    pub bitrate: Option<u64>,
}

/// A fault, and what to do about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Told {
    pub code: String,
    pub severity: String,
    pub message: String,
    pub count: u64,
    pub since: String,
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
