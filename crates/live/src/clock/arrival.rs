//! The wall time of frames that carry none: their own time, laid so that the fastest of them has just arrived.

use media::WallTime;

use super::SLEW_PER_SECOND_US;

/// Maps media time to wall time by arrival. The frame that took the least time over the network counts: the others
/// are later by what they waited. One publisher has one of these for both its tracks.
#[derive(Clone, Debug, Default)]
pub struct ArrivalClock {
    state: Option<State>,
}

#[derive(Clone, Debug)]
struct State {
    /// Wall time of media time 0, as it is given out.
    offset_us: i64,
    began: WallTime,
    last: WallTime,
    /// Smallest arrival minus media time in this part of the window and the one before.
    smallest_us: i64,
    smallest_before_us: Option<i64>,
    part_began: WallTime,
}

/// Half of the window over which the smallest is taken: long enough for one quick frame to be in it, short enough to
/// follow a clock that drifts (200 ppm of 10 s are 2 ms).
const PART_US: i64 = 5_000_000;
/// So long from the first frame on the mapping follows at once: the first frames often come late and in a heap.
const SETTLE_US: i64 = 2_000_000;
/// An error beyond this is no drift: the source was interrupted, or our wall clock was set.
const STEP_US: i64 = 1_000_000;

impl ArrivalClock {
    /// When the frame at `time_us` of media time was captured, as far as its arrival now can tell.
    pub fn wall(&mut self, now_wall: WallTime, time_us: i64) -> WallTime {
        let sample_us = now_wall.0.saturating_sub(time_us);
        let state = self.state.get_or_insert(State {
            offset_us: sample_us,
            began: now_wall,
            last: now_wall,
            smallest_us: sample_us,
            smallest_before_us: None,
            part_began: now_wall,
        });
        state.add(now_wall, sample_us);
        WallTime(time_us.saturating_add(state.offset_us))
    }
}

impl State {
    fn add(&mut self, now: WallTime, sample_us: i64) {
        let part_us = now - self.part_began;
        if part_us >= PART_US {
            // After a silence longer than the window, what was quick before it says nothing.
            self.smallest_before_us = (part_us < 2 * PART_US).then_some(self.smallest_us);
            self.smallest_us = sample_us;
            self.part_began = now;
        }
        self.smallest_us = self.smallest_us.min(sample_us);
        let target_us = self.smallest_before_us.map_or(self.smallest_us, |before_us| before_us.min(self.smallest_us));
        let error_us = target_us.saturating_sub(self.offset_us);
        let elapsed_us = (now - self.last).max(0);
        self.last = now;
        let is_settling = (0..=SETTLE_US).contains(&(now - self.began));
        self.offset_us = if error_us.saturating_abs() > STEP_US || is_settling && error_us < 0 {
            target_us
        } else {
            let step_us = elapsed_us.saturating_mul(SLEW_PER_SECOND_US) / 1_000_000;
            self.offset_us.saturating_add(error_us.clamp(-step_us, step_us))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH_US: i64 = 1_700_000_000_000_000;

    /// A source of frames every 20 ms; `delay_us` is how long each takes. Gives the error of each wall time, in us.
    fn errors(count: i64, mut delay_us: impl FnMut(i64) -> i64) -> Vec<i64> {
        let mut clock = ArrivalClock::default();
        let one = |n: i64| {
            let captured = WallTime(EPOCH_US + n * 20_000);
            clock.wall(captured + delay_us(n), n * 20_000) - captured
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn jitter_does_not_come_through() {
        let errors = errors(3_000, |n| 10_000 + (n * 7_919) % 60_000);
        let settled = &errors[200..];
        assert!(settled.iter().all(|error| (10_000..11_500).contains(error)), "{:?}", settled.iter().max());
    }

    #[test]
    fn a_heap_at_the_start_is_forgotten_at_once() {
        let errors = errors(200, |n| (800_000 - n * 20_000).max(30_000));
        assert_eq!(errors[100], 30_000);
    }

    #[test]
    fn a_stall_of_the_network_moves_nothing_fast() {
        let stall = |n: i64| if (500..650).contains(&n) { 3_000_000 - (n - 500) * 20_000 } else { 5_000 };
        let errors = errors(2_000, stall);
        for pair in errors.windows(2) {
            assert!((pair[1] - pair[0]).abs() <= 20_000, "{pair:?}");
        }
        assert!(errors.iter().all(|error| (0..30_000).contains(error)), "{:?}", errors.iter().max());
    }

    #[test]
    fn a_path_that_becomes_quicker_moves_it_by_half_a_percent_at_most() {
        let errors = errors(4_000, |n| if n < 500 { 200_000 } else { 5_000 });
        assert!(errors.windows(2).all(|pair| (pair[1] - pair[0]).abs() <= 100));
        assert_eq!(errors[500 + 195_000 / 100], 5_000);
    }

    #[test]
    fn a_source_whose_clock_drifts_is_followed() {
        for ppm in [-300, 300] {
            let errors = errors(180_000, |n| 5_000 + n * 20_000 * ppm / 1_000_000 + (n % 7) * 1_000);
            for (n, error) in errors.iter().enumerate().skip(1_000) {
                let due = 5_000 + n as i64 * 20_000 * ppm / 1_000_000;
                assert!((error - due).abs() < 6_000, "{ppm} ppm, frame {n}: {error} for {due}");
            }
        }
    }

    #[test]
    fn an_interruption_is_followed_within_the_window() {
        let errors = errors(2_000, |n| if n < 500 { 5_000 } else { 60_000_000 });
        assert_eq!(errors[1_100], 60_000_000);
    }
}
