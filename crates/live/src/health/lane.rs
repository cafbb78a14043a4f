//! One track as it comes: its times before anybody puts them right, and its key frames.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use media::{Flags, TrackInfo};

use crate::stream::BFrames;

/// A step further than this, or back by more, is no step of a clock that runs.
pub(super) const JUMP_MS: i64 = 1_000;
/// Distances between key frames that are kept.
const GOPS_MAX: usize = 8;

/// A track as it comes.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) info: Option<TrackInfo>,
    /// When it was announced, or metadata claimed it.
    pub(super) announced: Option<Instant>,
    /// When it last came.
    pub(super) arrived: Option<Instant>,
    /// When it first came in this coding.
    pub(super) first: Option<Instant>,
    pub(super) raw_ms: Option<u32>,
    /// Mean step, in microseconds.
    mean_us: i64,
    /// The parameter sets say that pictures are shown in decoding order.
    in_order: bool,
    pub(super) keys: Keys,
}

/// What is known of key frames and B-frames.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) b_frames: BFrames,
    /// Whether a key frame has come.
    pub(super) begun: bool,
    /// Media time since the newest key frame.
    pub(super) open_ms: i64,
    /// Pictures since the newest key frame, with it.
    pub(super) open_frames: u32,
    /// Distances between key frames, the newest last: milliseconds, pictures.
    pub(super) gops: VecDeque<(i64, u32)>,
    /// The longest distance between two key frames in this coding.
    pub(super) longest_ms: i64,
}

/// How a frame lies to the one before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// It is the first.
    First,
    /// The clock ran on by so many milliseconds.
    On {
        /// How many.
        ms: i64,
        /// It is far from the mean.
        uneven: bool,
    },
    /// The source was silent for as long as its clock says, in milliseconds.
    Gap(i64),
    /// It went back by so many milliseconds, and not far.
    Back(i64),
    /// It went anywhere, by so many milliseconds.
    Jump(i64),
}

impl Lane {
    /// Notes when a frame came, and how its time lies to the last.
    pub(super) fn step(&mut self, now: Instant, raw_ms: u32) -> Step {
        let silence = self.arrived.map_or(Duration::ZERO, |arrived| now.saturating_duration_since(arrived));
        self.arrived = Some(now);
        self.first.get_or_insert(now);
        let Some(last_ms) = self.raw_ms.replace(raw_ms) else { return Step::First };
        let step_ms = i64::from(raw_ms.wrapping_sub(last_ms).cast_signed());
        let silence_ms = i64::try_from(silence.as_millis()).unwrap_or(i64::MAX);
        match step_ms {
            0..=JUMP_MS => {
                let is_uneven =
                    self.mean_us > 0 && !(self.mean_us / 2..=self.mean_us * 3 / 2).contains(&(step_ms * 1_000));
                let next_us = step_ms * 1_000;
                self.mean_us = if self.mean_us == 0 { next_us } else { self.mean_us + (next_us - self.mean_us) / 16 };
                // Whole milliseconds of a fast source are uneven by themselves.
                Step::On { ms: step_ms, uneven: is_uneven && (step_ms * 1_000 - self.mean_us).abs() > 3_000 }
            }
            _ if step_ms > 0 && step_ms.saturating_sub(silence_ms) <= JUMP_MS => Step::Gap(step_ms),
            _ if (-JUMP_MS..0).contains(&step_ms) => Step::Back(-step_ms),
            _ => Step::Jump(step_ms),
        }
    }

    /// Forgets what was learned of the coding before.
    pub(super) fn begin(&mut self, now: Instant, info: TrackInfo) {
        self.in_order = crate::stats::shows_in_order(&info);
        self.info = Some(info);
        self.announced = Some(now);
        self.first = None;
        self.mean_us = 0;
        self.keys = Keys::default();
    }

    /// Notes a picture. `went_on_ms` is how far the clock ran before it.
    pub(super) fn picture(&mut self, flags: Flags, went_on_ms: i64) {
        let keys = &mut self.keys;
        keys.open_ms = keys.open_ms.saturating_add(went_on_ms);
        if flags.key {
            if keys.begun {
                keys.close();
            }
            keys.begun = true;
            (keys.open_ms, keys.open_frames) = (0, 0);
        }
        keys.open_frames = keys.open_frames.saturating_add(1);
        if flags.b_frame && !self.in_order && keys.b_frames != BFrames::Referenced {
            keys.b_frames = if flags.discardable { BFrames::Discardable } else { BFrames::Referenced };
        }
    }

    /// Whether it came within this time.
    pub(super) fn is_alive(&self, now: Instant, within: Duration) -> bool {
        self.arrived.is_some_and(|arrived| now.saturating_duration_since(arrived) <= within)
    }

    /// How long it has been awaited, in seconds; `None` where nobody said that it would come.
    pub(super) fn missing_s(&self, now: Instant) -> Option<f64> {
        let since = self.announced?.max(self.arrived.unwrap_or(self.announced?));
        Some(now.saturating_duration_since(since).as_secs_f64())
    }
}

impl Keys {
    fn close(&mut self) {
        if self.gops.len() >= GOPS_MAX {
            self.gops.pop_front();
        }
        self.gops.push_back((self.open_ms, self.open_frames));
        self.longest_ms = self.longest_ms.max(self.open_ms);
    }
}
