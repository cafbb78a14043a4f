//! What went out, and what goes out again: numbers, never packets, which the track's ring keeps for all viewers.

use std::time::{Duration, Instant};

/// Numbers remembered behind the highest: a second of 10 Mbit/s. What is older is neither sent late nor repaired.
const WINDOW: u64 = 1_024;
const WORDS: usize = (WINDOW / 64) as usize;
/// Requests remembered.
const ANSWERED_MAX: usize = 128;
/// A request is not answered again within a round trip, which is held to be this where it is not known, and at most that.
const ROUND_TRIP: Duration = Duration::from_millis(25);
const ROUND_TRIP_MAX: Duration = Duration::from_millis(500);
/// The share of retransmissions is looked at over one to two of these.
const SHARE_WINDOW: Duration = Duration::from_secs(1);

/// Which of the last numbers went out. Sealing two packets under one number would give the keys away (RFC 3711 section 9.1,
/// RFC 5116 section 5.1.1), so each goes out once.
#[derive(Debug, Default)]
pub(super) struct Sent {
    highest: Option<u64>,
    words: [u64; WORDS],
}

impl Sent {
    /// Notes a number; false where it went out before or is too old to know.
    pub(super) fn note(&mut self, number: u64) -> bool {
        let highest = *self.highest.get_or_insert(number);
        if number + WINDOW <= highest {
            return false;
        }
        if number > highest + WINDOW {
            self.words = [0; WORDS];
        } else {
            (highest + 1..=number).for_each(|passed| {
                self.set(passed, false);
            });
        }
        self.highest = Some(highest.max(number));
        !self.set(number, true)
    }

    /// The number that went out lately and ends in these 16 bits.
    pub(super) fn find(&self, number: u16) -> Option<u64> {
        let highest = self.highest?;
        let number = highest.checked_sub(u64::from((highest as u16).wrapping_sub(number)))?;
        let word = self.words.get((number % WINDOW / 64) as usize)?;
        (number + WINDOW > highest && word >> (number % 64) & 1 == 1).then_some(number)
    }

    /// Sets or clears a number; what it was.
    fn set(&mut self, number: u64, on: bool) -> bool {
        let Some(word) = self.words.get_mut((number % WINDOW / 64) as usize) else { return false };
        let bit = 1 << (number % 64);
        let was = *word & bit != 0;
        *word = if on { *word | bit } else { *word & !bit };
        was
    }
}

/// Retransmissions of one source.
#[derive(Debug)]
pub(super) struct Repair {
    began: Instant,
    /// Last requests by their number: which, and when in milliseconds. There is none before the first request.
    answered: Option<Box<[(u16, u32); ANSWERED_MAX]>>,
    /// Bytes sent and sent again, in this window and the one before.
    sent: [u64; 2],
    resent: [u64; 2],
    window: Instant,
}

impl Repair {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, answered: None, sent: [0; 2], resent: [0; 2], window: now }
    }

    /// Whether a request for a number is to be answered: not where it was, a round trip ago or less.
    pub(super) fn asked(&mut self, now: Instant, number: u16, round_trip: Option<Duration>) -> bool {
        let ms = u32::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u32::MAX);
        let wait = round_trip.unwrap_or(ROUND_TRIP).min(ROUND_TRIP_MAX).as_millis() as u32;
        // Beside their own number, which is no number of this place, all are free.
        let answered = self.answered.get_or_insert_with(|| Box::new([(u16::MAX, 0); ANSWERED_MAX]));
        let Some(place) = answered.get_mut(usize::from(number) % ANSWERED_MAX) else { return false };
        if place.0 == number && place.1 != 0 && ms.saturating_sub(place.1) < wait {
            return false;
        }
        *place = (number, ms.max(1));
        true
    }

    pub(super) fn sent(&mut self, now: Instant, bytes: usize) {
        self.turn(now);
        self.sent[0] += bytes as u64;
    }

    /// Takes so many bytes for a retransmission, where these do not become more than half of what is sent.
    pub(super) fn take(&mut self, now: Instant, bytes: usize) -> bool {
        self.turn(now);
        let bytes = bytes as u64;
        let may = self.resent.iter().sum::<u64>() + bytes <= self.sent.iter().sum::<u64>();
        self.resent[0] += if may { bytes } else { 0 };
        may
    }

    fn turn(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.window);
        if passed >= SHARE_WINDOW {
            let keep = passed < 2 * SHARE_WINDOW;
            self.sent = [0, if keep { self.sent[0] } else { 0 }];
            self.resent = [0, if keep { self.resent[0] } else { 0 }];
            self.window = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_answered_once_within_a_round_trip() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut repair = Repair::new(start);
        let trip = Some(Duration::from_millis(100));
        assert!(repair.asked(at(0), 7, trip) && !repair.asked(at(99), 7, trip));
        assert!(repair.asked(at(99), 8, trip), "another one");
        assert!(repair.asked(at(101), 7, trip) && !repair.asked(at(200), 7, trip));
        assert!(repair.asked(at(0), u16::MAX, trip), "also the last of all");
        assert!(repair.asked(at(1_000), 9, Some(Duration::from_secs(60))));
        assert!(repair.asked(at(1_500), 9, Some(Duration::from_secs(60))), "a round trip that is a lie");
    }

    #[test]
    fn retransmissions_take_half_at_most() {
        let start = Instant::now();
        let mut repair = Repair::new(start);
        assert!(!repair.take(start, 1));
        repair.sent(start, 1_000);
        assert!(repair.take(start, 600) && repair.take(start, 400) && !repair.take(start, 1));
        let later = start + Duration::from_millis(1_500);
        assert!(!repair.take(later, 1), "the window before counts");
        repair.sent(later, 500);
        assert!(repair.take(later, 500) && !repair.take(later, 1));
        let much_later = start + Duration::from_secs(60);
        assert!(!repair.take(much_later, 1), "nothing was sent of late");
    }

    proptest! {
        #[test]
        fn every_number_goes_out_once(start in 0u64..70_000, steps in proptest::collection::vec(-1_500i64..2_500, 1..400)) {
            let (mut sent, mut model, mut number) = (Sent::default(), std::collections::HashSet::new(), start);
            for step in steps {
                number = number.saturating_add_signed(step / 4);
                let highest = model.iter().max().copied().unwrap_or(number);
                let fits = number + WINDOW > highest && !model.contains(&number);
                prop_assert_eq!(sent.note(number), fits, "{} after {}", number, highest);
                if fits {
                    model.insert(number);
                }
                let highest = highest.max(number);
                for asked in [number, highest, number.saturating_sub(1), highest.saturating_sub(WINDOW - 1)] {
                    let there = model.contains(&asked) && asked + WINDOW > highest;
                    prop_assert_eq!(sent.find(asked as u16), there.then_some(asked));
                }
            }
        }
    }
}
