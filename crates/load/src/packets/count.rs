//! What one viewer got of one kind: by the numbers in the packets, so that what was lost and repaired counts as come, and
//! what a server renumbered or left out counts as missing.

use std::collections::VecDeque;

/// Numbers behind the newest for which it is known whether they came: 20 seconds of pictures at 5 Mbit/s.
const BEHIND_MAX: usize = 10_240;

/// Counts packets of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    /// The lowest and the highest number so far.
    first: u64,
    last: Option<u64>,
    /// Which numbers from `last` backwards have come, in words; the newest word at the end.
    came: VecDeque<u64>,
    /// Different numbers that came, all in all.
    distinct: u64,
    /// The same within the window.
    pub(crate) in_window: u64,
    /// Came after a higher number.
    pub(crate) late: u64,
    /// Came more than once.
    pub(crate) doubled: u64,
    /// So late that it is not known whether it came before.
    pub(crate) ancient: u64,
}

impl Count {
    /// A packet came; true where it is new. `counts`: it was sent in the window.
    pub(crate) fn came(&mut self, number: u64, counts: bool) -> bool {
        let Some(last) = self.last else {
            (self.first, self.last) = (number, Some(number));
            self.came.push_back(1 << (number % 64));
            self.note(counts);
            return true;
        };
        if number > last {
            let words = (number / 64 - last / 64).min((BEHIND_MAX / 64) as u64);
            (0..words).for_each(|_| self.came.push_back(0));
            while self.came.len() > BEHIND_MAX / 64 {
                self.came.pop_front();
            }
            self.last = Some(number);
        }
        let back = (self.last.unwrap_or(number) / 64 - number / 64) as usize;
        let word = self.came.len().checked_sub(1 + back).and_then(|at| self.came.get_mut(at));
        match word {
            Some(word) if *word & 1 << (number % 64) != 0 => {
                self.doubled += 1;
                return false;
            }
            Some(word) => *word |= 1 << (number % 64),
            // Before the first, or too old.
            None => {
                self.ancient += 1;
                return false;
            }
        }
        self.first = self.first.min(number);
        self.late += u64::from(number < last);
        self.note(counts);
        true
    }

    fn note(&mut self, counts: bool) {
        self.distinct += 1;
        self.in_window += u64::from(counts);
    }

    /// Numbers between the first and the last that never came.
    pub(crate) fn missing(&self) -> u64 {
        self.last.map_or(0, |last| (last - self.first + 1).saturating_sub(self.distinct))
    }

    /// Different numbers that came.
    pub(crate) fn distinct(&self) -> u64 {
        self.distinct
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_missing_late_and_doubled_is_told_apart() {
        let mut count = Count::default();
        for number in [100, 101, 103, 104, 102, 102, 107] {
            count.came(number, number > 101);
        }
        assert_eq!((count.missing(), count.distinct(), count.in_window), (2, 6, 4), "105 and 106");
        assert_eq!((count.late, count.doubled, count.ancient), (1, 1, 0));
    }

    #[test]
    fn the_same_as_a_set_of_all_numbers() {
        let mut state = 7_u64;
        let (mut count, mut set) = (Count::default(), BTreeSet::new());
        for base in 0..50_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = 1_000 + base + (state >> 58);
            if (state >> 40) % 10 > 2 {
                let new = count.came(number, true);
                assert!(!new || set.insert(number));
            }
        }
        let (first, last) = (set.first().unwrap(), set.last().unwrap());
        assert_eq!(count.missing(), last - first + 1 - set.len() as u64);
        assert!(count.missing() > 0 && count.late > 0 && count.doubled > 0);
    }

    #[test]
    fn a_jump_of_any_length_costs_a_bounded_memory() {
        let mut count = Count::default();
        for number in [1, 1 << 40, (1 << 40) - 1, 2, 1 << 47] {
            count.came(number, true);
        }
        assert!(count.came.len() <= BEHIND_MAX / 64 + 1);
        assert_eq!((count.ancient, count.distinct(), count.missing()), (1, 4, (1 << 47) - 4));
    }
}
