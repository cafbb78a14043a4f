//! What a stream counts of itself: totals, and rates over the last seconds.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use media::{Config, Flags, Kind, TrackInfo};

/// What is known of B-frames in a stream. WebRTC shows pictures in the order in which they come, so it matters there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BFrames {
    /// None so far, or the parameter sets say that pictures are shown in the order in which they come.
    #[default]
    None,
    /// Some, and nothing refers to them: they can be left out.
    Discardable,
    /// Some that others refer to: they cannot be left out.
    Referenced,
}

/// What a stream counts of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Frames taken since the stream began.
    pub frames: u64,
    /// Coded bytes taken since the stream began.
    pub bytes: u64,
    /// Frames refused since the stream began, for whatever `PushError`.
    pub refused: u64,
    /// Coded bits a second over the last two seconds.
    pub bitrate_bps: u64,
    /// Pictures a second by their own times, over the last second or two; 0 where none came for as long.
    pub frame_rate: f64,
    /// Media time between the two newest key frames, in milliseconds.
    pub gop_ms: Option<u32>,
    /// When the last frame was taken.
    pub last_push: Option<Instant>,
    /// B-frames in the current video track.
    pub b_frames: BFrames,
    /// Frames that are kept.
    pub ring_frames: usize,
    /// Bytes that they cost.
    pub ring_bytes: usize,
}

/// Time over which rates are taken.
const WINDOW: Duration = Duration::from_secs(2);
/// Parts of the window; it moves by one part at a time.
const PARTS: u64 = 8;
/// Pictures over which the frame rate is taken.
const PICTURES_MAX: usize = 61;

/// Bytes by the part of the window in which they came.
#[derive(Debug, Default)]
struct Window {
    begin: Option<Instant>,
    newest: u64,
    bytes: [u64; PARTS as usize + 1],
}

impl Window {
    fn part(&self, now: Instant) -> u64 {
        let since = self.begin.map_or(Duration::ZERO, |begin| now.saturating_duration_since(begin));
        u64::try_from(since.as_micros() * u128::from(PARTS) / WINDOW.as_micros()).unwrap_or(u64::MAX)
    }

    fn slot(&mut self, part: u64) -> Option<&mut u64> {
        self.bytes.get_mut((part % (PARTS + 1)) as usize)
    }

    fn add(&mut self, now: Instant, bytes: usize) {
        self.begin.get_or_insert(now);
        let part = self.part(now).max(self.newest);
        for passed in (self.newest + 1..=part).rev().take(PARTS as usize + 1) {
            if let Some(slot) = self.slot(passed) {
                *slot = 0;
            }
        }
        self.newest = part;
        if let Some(slot) = self.slot(part) {
            *slot += bytes as u64;
        }
    }

    /// Bits a second over the whole parts before this one; over what there is, where that is less.
    fn bitrate_bps(&self, now: Instant) -> u64 {
        let (Some(begin), part) = (self.begin, self.part(now)) else { return 0 };
        let in_window = |age: &u64| self.newest.checked_sub(*age).is_some_and(|at| at + PARTS >= part);
        if part < PARTS {
            let bits: u64 = self.bytes.iter().sum::<u64>() * 8;
            let since_us = now.saturating_duration_since(begin).as_micros().max(WINDOW.as_micros() / u128::from(PARTS));
            return u64::try_from(u128::from(bits) * 1_000_000 / since_us).unwrap_or(u64::MAX);
        }
        let whole = (0..=PARTS).filter(in_window).filter(|age| self.newest - age < part);
        let bytes: u64 = whole.filter_map(|age| self.bytes.get(((self.newest - age) % (PARTS + 1)) as usize)).sum();
        bytes * 8 / WINDOW.as_secs()
    }
}

/// Counts one stream.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    totals: Stats,
    window: Window,
    pictures_us: VecDeque<i64>,
    last_picture: Option<Instant>,
    last_key_us: Option<i64>,
    /// The parameter sets say that pictures are shown in decoding order.
    in_order: bool,
}

impl Meter {
    /// A track of this kind begins anew: what was learned of the one before is forgotten.
    pub(crate) fn begin(&mut self, info: &TrackInfo) {
        if info.kind() == Kind::Video {
            self.pictures_us.clear();
            self.last_key_us = None;
            self.totals.gop_ms = None;
            self.totals.b_frames = BFrames::None;
            self.in_order = shows_in_order(info);
        }
    }

    pub(crate) fn refuse(&mut self) {
        self.totals.refused += 1;
    }

    pub(crate) fn take(&mut self, now: Instant, kind: Kind, flags: Flags, bytes: usize, time_us: i64) {
        self.totals.frames += 1;
        self.totals.bytes += bytes as u64;
        self.totals.last_push = Some(now);
        self.window.add(now, bytes);
        if kind == Kind::Video {
            self.picture(now, flags, time_us);
        }
    }

    fn picture(&mut self, now: Instant, flags: Flags, time_us: i64) {
        self.last_picture = Some(now);
        if flags.discontinuity {
            self.pictures_us.clear();
            self.last_key_us = None;
        }
        self.pictures_us.push_back(time_us);
        if self.pictures_us.len() > PICTURES_MAX {
            self.pictures_us.pop_front();
        }
        if flags.key
            && let Some(last_us) = self.last_key_us.replace(time_us)
        {
            self.totals.gop_ms = u32::try_from((time_us - last_us) / 1_000).ok();
        }
        if flags.b_frame && !self.in_order && self.totals.b_frames != BFrames::Referenced {
            self.totals.b_frames = if flags.discardable { BFrames::Discardable } else { BFrames::Referenced };
        }
    }

    pub(crate) fn stats(&self, now: Instant) -> Stats {
        Stats { bitrate_bps: self.window.bitrate_bps(now), frame_rate: self.frame_rate(now), ..self.totals }
    }

    fn frame_rate(&self, now: Instant) -> f64 {
        let is_silent = self.last_picture.is_none_or(|last| now.saturating_duration_since(last) > WINDOW);
        let (Some(first), Some(last)) = (self.pictures_us.front(), self.pictures_us.back()) else { return 0.0 };
        if is_silent || last <= first {
            return 0.0;
        }
        (self.pictures_us.len() - 1) as f64 * 1_000_000.0 / (last - first) as f64
    }
}

/// Whether the parameter sets rule out that a picture is shown before one that came earlier.
pub(crate) fn shows_in_order(info: &TrackInfo) -> bool {
    match &info.config {
        Config::H264(config) => config.picture.reorder_frames == Some(0),
        Config::H265(config) => config.picture.reorder_pictures == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: Flags = Flags { key: false, discardable: false, b_frame: false, discontinuity: false };

    #[test]
    fn a_steady_stream_has_its_rates_and_a_stopped_one_none() {
        let begin = Instant::now();
        let mut meter = Meter::default();
        for n in 0..300u32 {
            let at = begin + Duration::from_millis(20) * n;
            meter.take(at, Kind::Video, Flags { key: n % 50 == 0, ..FLAGS }, 2_500, i64::from(n) * 20_000);
            if n >= 100 {
                let stats = meter.stats(at);
                assert!((990_000..1_010_000).contains(&stats.bitrate_bps), "{n}: {}", stats.bitrate_bps);
                assert!((stats.frame_rate - 50.0).abs() < 0.01);
                assert_eq!(stats.gop_ms, Some(1_000));
            }
        }
        let stats = meter.stats(begin + Duration::from_secs(9));
        assert_eq!((stats.bitrate_bps, stats.frame_rate), (0, 0.0));
        assert_eq!(stats.frames, 300);
    }

    #[test]
    fn the_first_second_is_not_a_tenth_of_the_truth() {
        let begin = Instant::now();
        let mut meter = Meter::default();
        for n in 0..25u32 {
            meter.take(begin + Duration::from_millis(20) * n, Kind::Video, FLAGS, 2_500, i64::from(n) * 20_000);
        }
        let bps = meter.stats(begin + Duration::from_millis(500)).bitrate_bps;
        assert_eq!(bps, 1_000_000);
    }

    #[test]
    fn a_pause_longer_than_the_window_leaves_nothing_behind() {
        let begin = Instant::now();
        let mut meter = Meter::default();
        meter.take(begin, Kind::Audio, FLAGS, 1_000_000, 0);
        meter.take(begin + Duration::from_secs(3_600), Kind::Audio, FLAGS, 250, 0);
        let bps = meter.stats(begin + Duration::from_secs(3_601)).bitrate_bps;
        assert_eq!(bps, 1_000);
    }

    #[test]
    fn b_frames_are_learned_and_the_worst_counts() {
        let mut meter = Meter::default();
        let now = Instant::now();
        let b = |discardable| Flags { b_frame: true, discardable, ..FLAGS };
        meter.take(now, Kind::Video, b(true), 1, 0);
        assert_eq!(meter.stats(now).b_frames, BFrames::Discardable);
        meter.take(now, Kind::Video, b(false), 1, 1);
        meter.take(now, Kind::Video, b(true), 1, 2);
        assert_eq!(meter.stats(now).b_frames, BFrames::Referenced);
    }
}
