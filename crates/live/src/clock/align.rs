//! The RTP times of one publisher's two tracks as media time on one origin.
//!
//! Each track steps as its RTP clock does, so that a frame lasts as long as its sender said; where the tracks lie
//! follows the wall times of their packets, which sender reports have laid. The two clocks drift apart, so a track is
//! moved, but never by more than 0.5 % of the time that goes by.

use media::{Kind, MediaTime, WallTime};

use super::SLEW_PER_SECOND_US;

/// Where a frame belongs on the stream's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aligned {
    /// Ticks of the track's clock since the stream's origin. Rises by a millisecond at least within a track.
    pub time: MediaTime,
    /// The same on the wall clock, as smooth as the RTP clock is.
    pub wall: WallTime,
    /// The sender's clock jumped before this frame.
    pub discontinuity: bool,
}

/// The clock of one publisher: both its tracks are mapped by one of these.
#[derive(Clone, Debug, Default)]
pub struct Align {
    /// Wall time of media time 0.
    origin: Option<WallTime>,
    audio: Option<Lane>,
    video: Option<Lane>,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    /// Where the RTP clock was when it was last laid, and on the stream's clock, in microseconds.
    base: MediaTime,
    base_us: i64,
    /// What the base has been moved by since, in microseconds.
    moved_us: i64,
    rate_hz: u32,
    began: WallTime,
    stepped: bool,
    /// It is on the way back to its wall time.
    slewing: bool,
    last: MediaTime,
    last_wall: WallTime,
    /// The last time given out, in ticks.
    last_out: MediaTime,
}

/// The first packet of the other track may have been captured a little before the first of all; media time 0 is so
/// much earlier, in microseconds.
const ORIGIN_LEAD_US: i64 = 500_000;
/// Only an error beyond this is worth moving a track for; then it is moved until the error is within the second bound.
const SLEW_BEGIN_US: i64 = 4_000;
const SLEW_END_US: i64 = 500;
/// In the first seconds of a track the first sender report may show that it lies wrong by much: then it is moved at
/// once, one time.
const SETTLE_US: i64 = 2_000_000;
const STEP_US: i64 = 20_000;
/// RTP clock and wall clock that part by so much between two frames have jumped, and an error of so much was a jump.
const JUMP_US: i64 = 1_000_000;
/// A step beyond this has something missing before it, in microseconds.
const GAP_US: i64 = 3_000_000;

impl Align {
    /// Places what was captured at `wall` and at `time` of the track's RTP clock of `rate_hz`.
    pub fn map(&mut self, kind: Kind, time: MediaTime, wall: WallTime, rate_hz: u32) -> Aligned {
        let origin = *self.origin.get_or_insert(wall + -ORIGIN_LEAD_US);
        let lane = match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        };
        let wall_us = wall - origin;
        let (lane, discontinuity) = match lane {
            Some(known) => {
                let discontinuity = known.advance(time, wall, wall_us);
                (known, discontinuity)
            }
            None => (lane.insert(Lane::new(time, wall, wall_us, rate_hz)), false),
        };
        // A step back would give many frames the time of one, and files count in milliseconds.
        let out = lane.out(time).max(lane.last_out + i64::from(rate_hz.div_ceil(1_000)));
        lane.last_out = out;
        Aligned { time: out, wall: origin + out.as_micros(rate_hz), discontinuity }
    }
}

impl Lane {
    fn new(time: MediaTime, wall: WallTime, wall_us: i64, rate_hz: u32) -> Self {
        Self {
            base: time,
            base_us: wall_us,
            moved_us: 0,
            rate_hz,
            began: wall,
            stepped: false,
            slewing: false,
            last: time,
            last_wall: wall,
            // Nothing is given out before 0.
            last_out: MediaTime(-1),
        }
    }

    /// Goes on to a later frame. True where the clock jumped or time is missing.
    fn advance(&mut self, time: MediaTime, wall: WallTime, wall_us: i64) -> bool {
        let step_us = MediaTime(time - self.last).as_micros(self.rate_hz);
        let apart_us = step_us.saturating_sub(wall - self.last_wall);
        let error_us = wall_us.saturating_sub(self.exact_us(time));
        (self.last, self.last_wall) = (time, wall);
        if apart_us.saturating_abs() > JUMP_US || error_us.saturating_abs() > JUMP_US {
            self.lay(time, wall_us);
            return true;
        }
        let is_settling = wall - self.began <= SETTLE_US && !self.stepped;
        if is_settling && error_us.abs() > STEP_US {
            self.lay(time, wall_us);
            self.stepped = true;
            return false;
        }
        self.slewing = error_us.abs() > if self.slewing { SLEW_END_US } else { SLEW_BEGIN_US };
        if self.slewing {
            let most_us = step_us.clamp(0, GAP_US) * SLEW_PER_SECOND_US / 1_000_000;
            self.moved_us += error_us.clamp(-most_us, most_us);
        }
        step_us > GAP_US
    }

    fn lay(&mut self, time: MediaTime, wall_us: i64) {
        (self.base, self.base_us, self.moved_us, self.slewing) = (time, wall_us, 0, false);
    }

    fn exact_us(&self, time: MediaTime) -> i64 {
        let since_us = MediaTime(time - self.base).as_micros(self.rate_hz);
        self.base_us.saturating_add(self.moved_us).saturating_add(since_us)
    }

    /// In ticks: the steps of the RTP clock are kept to the tick.
    fn out(&self, time: MediaTime) -> MediaTime {
        let base = MediaTime(self.base_us.saturating_add(self.moved_us)).rescale(1_000_000, self.rate_hz);
        base + (time - self.base)
    }
}

#[cfg(test)]
mod tests;
