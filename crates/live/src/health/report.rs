//! What an ingest looks like now, for people.

use std::time::Instant;

use media::{Codec, Kind};

use super::{Coding, Health, Second, Severity, Spell, rules::WINDOW_S};
use crate::stream::BFrames;

/// How an ingest is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// Nothing is wrong that a viewer would notice.
    Good,
    /// Some viewers notice something.
    Fair,
    /// Everybody notices something.
    Bad,
}

impl Score {
    /// The name in the REST interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Bad => "bad",
        }
    }
}

/// What comes of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// The coding, where it is announced.
    pub codec: Option<Codec>,
    /// Profile, level, size.
    pub coding: Coding,
    /// Pictures a second by their own times, over the last seconds.
    pub frame_rate: Option<f64>,
    /// Pictures a second as metadata says.
    pub frame_rate_claimed: Option<f64>,
    /// Coded bits a second over the last seconds.
    pub bitrate_bps: Option<u64>,
    /// Media time between the two newest key frames, in milliseconds, and pictures.
    pub gop: Option<(u64, u32)>,
    /// The longest media time between two key frames in this coding, in milliseconds.
    pub gop_ms_max: Option<u64>,
    /// B-frames in this coding.
    pub b_frames: BFrames,
}

/// What comes of the sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// The coding, where it is announced.
    pub codec: Option<Codec>,
    /// Profile, sampling rate, channels.
    pub coding: Coding,
    /// Coded bits a second over the last seconds.
    pub bitrate_bps: Option<u64>,
}

/// What an ingest looks like now.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// In a word.
    pub score: Score,
    /// The picture, where there is one or metadata claims one.
    pub video: Option<Video>,
    /// The sound, where there is some or metadata claims some.
    pub audio: Option<Audio>,
    /// Bits a second of both over the last seconds.
    pub bitrate_bps: u64,
    /// Media seconds that come each second; `None` until it is known.
    pub speed: Option<f64>,
    /// How far apart sound and picture of the same time come, in milliseconds.
    pub apart_ms: Option<u32>,
    /// How often nothing came for seconds.
    pub stalls: u64,
    /// What is wrong, the worst first.
    pub faults: Vec<Spell>,
    /// What was wrong, the newest first.
    pub history: Vec<Spell>,
    /// The last minute, second by second, the oldest first.
    pub seconds: Vec<Second>,
}

impl Health {
    /// What the ingest looks like now.
    pub fn report(&mut self, now: Instant) -> Report {
        self.look(now);
        let faults = self.ledger.active();
        let mut seconds: Vec<Second> = self.window.newest(usize::MAX).copied().collect();
        seconds.reverse();
        Report {
            score: score_of(&faults),
            video: self.video_report(),
            audio: self.audio_report(),
            bitrate_bps: self.all_bps(),
            speed: self.speed(now),
            apart_ms: self.window.newest(1).next().and_then(|second| second.apart_ms),
            stalls: self.stalls,
            faults,
            history: self.ledger.history(),
            seconds,
        }
    }

    /// The part of a report that a list of streams shows: in a word, what is wrong, bits a second.
    pub fn summary(&mut self, now: Instant) -> (Score, Vec<Spell>, u64) {
        self.look(now);
        let faults = self.ledger.active();
        (score_of(&faults), faults, self.all_bps())
    }

    fn all_bps(&self) -> u64 {
        self.bitrate_bps(|second| second.video_bytes.saturating_add(second.audio_bytes)).unwrap_or(0)
    }

    fn video_report(&self) -> Option<Video> {
        let packets = self.packets.and_then(|packets| packets.video);
        if self.video.announced.is_none() && packets.is_none() {
            return None;
        }
        let keys = &self.video.keys;
        let whole = |ms: i64| u64::try_from(ms).ok();
        Some(Video {
            codec: self.video.info.as_ref().map(|info| info.codec).or(packets),
            coding: self.video.info.as_ref().map(Coding::of).unwrap_or_default(),
            frame_rate: rate_of(self.window.newest(WINDOW_S)),
            frame_rate_claimed: self.claims.frame_rate,
            bitrate_bps: self.bitrate_of(Kind::Video),
            gop: keys.gops.back().and_then(|(ms, pictures)| Some((whole(*ms)?, *pictures))),
            gop_ms_max: whole(keys.longest_ms).filter(|_| !keys.gops.is_empty()),
            b_frames: keys.b_frames,
        })
    }

    fn audio_report(&self) -> Option<Audio> {
        let packets = self.packets.and_then(|packets| packets.audio);
        if self.audio.announced.is_none() && packets.is_none() {
            return None;
        }
        Some(Audio {
            codec: self.audio.info.as_ref().map(|info| info.codec).or(packets),
            coding: self.audio.info.as_ref().map(Coding::of).unwrap_or_default(),
            bitrate_bps: self.bitrate_of(Kind::Audio),
        })
    }

    /// Of packets only the sum of both kinds is known.
    fn bitrate_of(&self, kind: Kind) -> Option<u64> {
        if self.packets.is_some() {
            return None;
        }
        match kind {
            Kind::Audio => self.bitrate_bps(|second| second.audio_bytes),
            Kind::Video => self.bitrate_bps(|second| second.video_bytes),
        }
    }

    fn bitrate_bps(&self, of: fn(&Second) -> u64) -> Option<u64> {
        let seconds = self.window.newest(WINDOW_S);
        let count = seconds.clone().count() as u64;
        seconds.map(of).fold(0, u64::saturating_add).saturating_mul(8).checked_div(count)
    }
}

fn score_of(faults: &[Spell]) -> Score {
    match faults.iter().map(|spell| spell.fault.severity()).max() {
        Some(Severity::Error) => Score::Bad,
        Some(Severity::Warn) => Score::Fair,
        Some(Severity::Info) | None => Score::Good,
    }
}

/// Pictures a second of media time; `None` where hardly any came.
pub(super) fn rate_of<'a>(seconds: impl Iterator<Item = &'a Second> + Clone) -> Option<f64> {
    let pictures = seconds.clone().map(|second| second.pictures).fold(0, u32::saturating_add);
    let ms = seconds.map(|second| second.video_ms).fold(0, u32::saturating_add);
    (pictures >= PICTURES_MIN && ms > 0).then(|| f64::from(pictures) * 1_000.0 / f64::from(ms))
}

/// Fewer pictures say nothing of a rate.
const PICTURES_MIN: u32 = 5;
