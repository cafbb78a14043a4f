//! Destinations that get their datagrams one by one for a while, since a run failed on the way to them.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

/// Destinations that are remembered; where there are more, the oldest is forgotten and tries runs again.
const DESTINATIONS_MAX: usize = 1_024;
/// Runs are tried again after this: routes, interfaces and drivers change.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The destinations, each until when. All stay equally long, so the order of coming is the order of going.
#[derive(Debug, Default)]
pub(crate) struct Singles {
    until: HashMap<IpAddr, Instant>,
    order: VecDeque<(IpAddr, Instant)>,
}

impl Singles {
    /// Whether runs to this destination are not to be tried.
    pub(crate) fn holds(&self, to: IpAddr, now: Instant) -> bool {
        // Empty nearly everywhere and always: no hashing then.
        !self.until.is_empty() && self.until.get(&to).is_some_and(|until| now < *until)
    }

    /// A run failed on the way there, and singles did not.
    pub(crate) fn insert(&mut self, to: IpAddr, now: Instant) {
        self.forget(now);
        while self.order.len() >= DESTINATIONS_MAX {
            self.pop();
        }
        let until = now + RETRY_AFTER;
        self.until.insert(to, until);
        self.order.push_back((to, until));
    }

    /// Forgets those whose time is over.
    pub(crate) fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(_, until)| *until <= now) {
            self.pop();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.until.len()
    }

    fn pop(&mut self) {
        if let Some((to, until)) = self.order.pop_front()
            && self.until.get(&to) == Some(&until)
        {
            self.until.remove(&to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_destination_is_held_for_a_while_and_then_tried_again() {
        let now = Instant::now();
        let mut singles = Singles::default();
        assert!(!singles.holds(ip(1), now));
        singles.insert(ip(1), now);
        assert!(singles.holds(ip(1), now) && !singles.holds(ip(2), now));
        let later = now + RETRY_AFTER;
        assert!(singles.holds(ip(1), later - Duration::from_nanos(1)) && !singles.holds(ip(1), later));
        singles.insert(ip(1), later);
        assert_eq!((singles.len(), singles.order.len()), (1, 1), "the old entry is gone");
        assert!(singles.holds(ip(1), later));
        singles.forget(later + RETRY_AFTER);
        assert_eq!((singles.len(), singles.order.len()), (0, 0));
    }

    #[test]
    fn an_entry_made_twice_lives_as_long_as_the_second() {
        let now = Instant::now();
        let half = RETRY_AFTER / 2;
        let mut singles = Singles::default();
        singles.insert(ip(1), now);
        singles.insert(ip(1), now + half);
        singles.forget(now + RETRY_AFTER);
        assert!(singles.holds(ip(1), now + RETRY_AFTER));
    }

    #[test]
    fn however_many_there_are_the_table_is_bounded_and_the_oldest_goes() {
        let now = Instant::now();
        let mut singles = Singles::default();
        for number in 0..3_000 {
            singles.insert(ip(number), now);
        }
        assert_eq!((singles.len(), singles.order.len()), (DESTINATIONS_MAX, DESTINATIONS_MAX));
        assert!(singles.holds(ip(2_999), now) && !singles.holds(ip(0), now));
    }
}
