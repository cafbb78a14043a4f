//! Pacing: media goes out when its decoding time says so, on the clock of this machine.

use std::time::{Duration, Instant};

/// A step of the source's clock beyond this is a jump: the pace starts anew there.
const JUMP: Duration = Duration::from_secs(5);

/// When what is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    laid: Option<(Instant, i64)>,
    last_us: i64,
}

impl Pace {
    /// When a frame of this decoding time, in microseconds, is to go out. The first goes at once, and so does what
    /// comes behind a jump of the source's clock.
    pub fn due(&mut self, now: Instant, dts_us: i64) -> Instant {
        let jumped = dts_us.abs_diff(self.last_us) > JUMP.as_micros() as u64;
        self.last_us = dts_us;
        if jumped {
            self.laid = None;
        }
        let (at, from_us) = *self.laid.get_or_insert((now, dts_us));
        let since_us = dts_us.saturating_sub(from_us);
        // What lies a little before the first frame, as sound may, is due already.
        u64::try_from(since_us).map_or(at, |us| at + Duration::from_micros(us))
    }

    /// How late this machine is, where something was due at `due`.
    pub fn late(due: Instant, now: Instant) -> Duration {
        now.saturating_duration_since(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_at_their_time_however_late_the_ones_before_were() {
        let begin = Instant::now();
        let mut pace = Pace::default();
        let mut now = begin;
        for frame in 0..3_600i64 * 30 {
            let dts_us = 1_000_000 + frame * 1_000_000 / 30;
            let due = pace.due(now, dts_us);
            assert_eq!(due, begin + Duration::from_micros((dts_us - 1_000_000) as u64), "frame {frame}");
            // Each is handed over 7 ms late: that does not add up.
            now = due + Duration::from_millis(7);
        }
        assert_eq!(Pace::late(begin, begin + Duration::from_millis(3)), Duration::from_millis(3));
    }

    #[test]
    fn sound_before_the_first_picture_is_due_at_once() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.due(now, 40_000), now);
        assert_eq!(pace.due(now, 20_000), now);
    }

    #[test]
    fn a_jump_of_the_source_does_not_stall_or_flood() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.due(now, 0);
        let later = now + Duration::from_secs(1);
        assert_eq!(pace.due(later, 3_600_000_000), later, "an hour ahead");
        assert_eq!(pace.due(later, 3_600_040_000), later + Duration::from_millis(40));
        assert_eq!(pace.due(later, 0), later, "an hour back");
    }
}
