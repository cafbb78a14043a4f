//! When a notice that failed is tried again: at once, then every ten seconds for a minute, as the original does.

use std::time::{Duration, Instant};

/// Between attempts after the second.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// No attempt begins later than this after the first.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The attempts of one notice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts {
    first: Option<Instant>,
    failed: u32,
}

impl Attempts {
    /// Notes that an attempt begins.
    pub fn begin(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// Notes that it failed: when the next is due, or `None` to give up.
    pub fn failed(&mut self, now: Instant) -> Option<Instant> {
        self.failed += 1;
        let due = if self.failed == 1 { now } else { now + INTERVAL };
        let last = self.first.unwrap_or(now) + WINDOW;
        (due <= last).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(takes: Duration) -> Vec<u64> {
        let begin = Instant::now();
        let (mut attempts, mut now, mut starts) = (Attempts::default(), begin, Vec::new());
        loop {
            attempts.begin(now);
            starts.push((now - begin).as_secs());
            match attempts.failed(now + takes) {
                Some(due) => now = due,
                None => return starts,
            }
        }
    }

    #[test]
    fn at_once_and_then_every_ten_seconds_for_a_minute() {
        assert_eq!(starts(Duration::ZERO), [0, 0, 10, 20, 30, 40, 50, 60]);
    }

    #[test]
    fn an_attempt_that_takes_its_whole_time_counts_towards_the_minute() {
        assert_eq!(starts(Duration::from_secs(5)), [0, 5, 20, 35, 50]);
    }
}
