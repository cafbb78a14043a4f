//! When to connect again: after 1, 2, 4 and then every 8 seconds, a bounded number of times.

use std::time::Duration;

use crate::Error;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(8);

/// Counts attempts. A connection that came to something starts the waits anew, but not the count.
#[derive(Clone, Debug)]
pub struct Retry {
    left: u32,
    made: u32,
    next: Duration,
    had_success: bool,
}

impl Retry {
    /// This many reconnects at most.
    pub fn new(reconnects_max: u32) -> Self {
        Self { left: reconnects_max, made: 0, next: FIRST, had_success: false }
    }

    /// The connection came to something.
    pub fn succeeded(&mut self) {
        self.had_success = true;
        self.next = FIRST;
    }

    /// How long to wait before the next attempt; `None` where there is none.
    pub fn after(&mut self, error: &Error) -> Option<Duration> {
        if !error.is_transient(self.had_success) || self.left == 0 {
            return None;
        }
        self.left -= 1;
        self.made += 1;
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        Some(wait)
    }

    /// Reconnects so far.
    pub fn made(&self) -> u32 {
        self.made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> Error {
        Error::Lost("x".into())
    }

    #[test]
    fn waits_double_up_to_eight_seconds_and_end() {
        let mut retry = Retry::new(6);
        let waits: Vec<u64> = (0..6).map(|_| retry.after(&lost()).unwrap().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 8, 8]);
        assert_eq!(retry.after(&lost()), None);
        assert_eq!(retry.made(), 6);
    }

    #[test]
    fn a_success_starts_the_waits_anew() {
        let mut retry = Retry::new(9);
        retry.after(&lost());
        retry.after(&lost());
        retry.succeeded();
        assert_eq!(retry.after(&lost()).unwrap().as_secs(), 1);
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        let refused = |status| Error::Refused { status, reason: "no".into() };
        let mut retry = Retry::new(9);
        assert_eq!(retry.after(&refused(Some(404))), None, "nothing of that name, and never was");
        assert_eq!(retry.after(&Error::Unreachable("x".into())), None);
        assert!(retry.after(&refused(Some(503))).is_some());
        retry.succeeded();
        assert!(retry.after(&refused(Some(404))).is_some(), "the publisher may come back");
        assert!(retry.after(&Error::Unreachable("x".into())).is_some());
        assert_eq!(retry.after(&refused(Some(403))), None);
        assert_eq!(retry.after(&Error::Unsupported("x".into())), None);
    }
}
