//! When a track's next picture is whole, by when the last ones were: what else goes to the same viewers may leave with it
//! in one run.

use std::time::{Duration, Instant};

/// Pictures closer together than this are one, in several sizes.
const APART_MIN: Duration = Duration::from_millis(5);
/// Pictures further apart than this are waited for by nobody.
const APART_MAX: Duration = Duration::from_millis(100);
/// A picture that is late by no more than this is still expected.
pub(crate) const LATE_MAX: Duration = Duration::from_millis(3);
/// The weight of what was before, against one new interval.
const WEIGHT: u32 = 7;

/// The rhythm of a track's pictures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rhythm {
    last: Option<Instant>,
    /// From one picture to the next.
    interval: Option<Duration>,
}

impl Rhythm {
    /// A picture is whole.
    pub(crate) fn beat(&mut self, now: Instant) {
        let Some(last) = self.last else {
            self.last = Some(now);
            return;
        };
        let apart = now.saturating_duration_since(last);
        if apart < APART_MIN {
            return;
        }
        self.last = Some(now);
        self.interval = (apart <= APART_MAX)
            .then(|| self.interval.map_or(apart, |interval| (interval * WEIGHT + apart) / (WEIGHT + 1)));
    }

    /// When the next picture is whole at the latest, where it is as late as may be; `None` where that is not known, or is
    /// over.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        Some(self.last? + self.interval? + LATE_MAX).filter(|next| *next > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn beaten(at_ms: &[u64]) -> (Rhythm, Instant) {
        let begin = Instant::now();
        let mut rhythm = Rhythm::default();
        at_ms.iter().for_each(|at| rhythm.beat(begin + ms(*at)));
        (rhythm, begin)
    }

    #[test]
    fn the_next_picture_is_expected_an_interval_after_the_last() {
        let (rhythm, begin) = beaten(&[0, 40, 80, 120]);
        assert_eq!(rhythm.next(begin + ms(130)), Some(begin + ms(160) + LATE_MAX));
        assert_eq!(rhythm.next(begin + ms(162)), Some(begin + ms(160) + LATE_MAX));
        assert_eq!(rhythm.next(begin + ms(163)), None, "it is late: nobody waits for it");
    }

    #[test]
    fn the_sizes_of_a_picture_are_one_beat() {
        let (rhythm, begin) = beaten(&[0, 1, 3, 40, 42, 43]);
        assert_eq!(rhythm.next(begin + ms(50)), Some(begin + ms(80) + LATE_MAX));
    }

    #[test]
    fn nothing_is_expected_of_the_first_picture_and_after_a_gap() {
        let (rhythm, begin) = beaten(&[0]);
        assert_eq!(rhythm.next(begin), None);
        let (rhythm, begin) = beaten(&[0, 40, 80, 500]);
        assert_eq!(rhythm.next(begin + ms(510)), None);
        let (rhythm, begin) = beaten(&[0, 40, 80, 500, 540]);
        assert_eq!(rhythm.next(begin + ms(550)), Some(begin + ms(580) + LATE_MAX));
    }
}
