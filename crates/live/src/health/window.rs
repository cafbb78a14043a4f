//! The last minute, second by second of our clock.

use std::time::{Duration, Instant};

/// Whole seconds that are kept.
pub const SECONDS_MAX: usize = 60;

/// What came within one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Coded bytes of pictures.
    pub video_bytes: u64,
    /// Coded bytes of sound.
    pub audio_bytes: u64,
    /// Pictures.
    pub pictures: u32,
    /// Pictures whose distance to the one before is far from the mean.
    pub uneven: u32,
    /// Media time by which the pictures went on, in milliseconds, without jumps and gaps.
    pub video_ms: u32,
    /// Media time in which no pictures came because the source paused, in milliseconds.
    pub video_gap_ms: u32,
    /// Packets of sound.
    pub sounds: u32,
    /// Media time by which the sound went on, in milliseconds, without jumps and gaps.
    pub audio_ms: u32,
    /// Media time in which no sound came because the source paused, in milliseconds.
    pub audio_gap_ms: u32,
    /// How near the times of sound and picture came to each other, in milliseconds.
    pub apart_ms: Option<u32>,
}

/// The last minute.
#[derive(Debug)]
pub(super) struct Window {
    begin: Option<Instant>,
    /// Seconds since the beginning; this one is not over.
    at: u64,
    cells: [Second; SECONDS_MAX + 1],
}

impl Default for Window {
    fn default() -> Self {
        Self { begin: None, at: 0, cells: [Second::default(); SECONDS_MAX + 1] }
    }
}

impl Window {
    /// Goes on to `now`. True when a second has become whole.
    pub(super) fn advance(&mut self, now: Instant) -> bool {
        let begin = *self.begin.get_or_insert(now);
        let at = now.saturating_duration_since(begin).as_secs().max(self.at);
        let passed = at - self.at;
        for second in (self.at + 1..=at).rev().take(self.cells.len()) {
            if let Some(cell) = self.cell_mut(second) {
                *cell = Second::default();
            }
        }
        self.at = at;
        passed > 0
    }

    /// The second that is not over.
    pub(super) fn current(&mut self) -> Option<&mut Second> {
        self.cell_mut(self.at)
    }

    /// Adds bytes that came at any time between `from` and `now`: to this second and the one before, by their share.
    pub(super) fn spread(&mut self, from: Instant, now: Instant, bytes: u64) {
        let Some(begin) = self.begin else { return };
        let here = now.saturating_duration_since(from.max(begin + Duration::from_secs(self.at)));
        let all = now.saturating_duration_since(from).as_micros().max(1);
        let share = u128::from(bytes).saturating_mul(here.as_micros()) / all;
        let newer = u64::try_from(share).unwrap_or(bytes).min(bytes);
        let before = self.at.checked_sub(1);
        for (second, part) in [(Some(self.at), newer), (before.or(Some(self.at)), bytes - newer)] {
            if let Some(cell) = second.and_then(|second| self.cell_mut(second)) {
                cell.video_bytes = cell.video_bytes.saturating_add(part);
            }
        }
    }

    /// The newest `count` whole seconds, the newest first; fewer where there are not as many.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = &Second> + Clone {
        let whole = usize::try_from(self.at).unwrap_or(usize::MAX).min(SECONDS_MAX).min(count);
        (1..=whole as u64).filter_map(|age| self.cells.get(((self.at - age) % CELLS) as usize))
    }

    /// How long it has gone on.
    pub(super) fn age(&self) -> Duration {
        Duration::from_secs(self.at)
    }

    fn cell_mut(&mut self, second: u64) -> Option<&mut Second> {
        self.cells.get_mut((second % CELLS) as usize)
    }
}

const CELLS: u64 = SECONDS_MAX as u64 + 1;
