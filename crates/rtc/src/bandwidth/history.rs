//! What was sent: transport-wide number, time and size, until feedback says what became of it.

/// Packets remembered at first; a power of two.
const ENTRIES_MIN: usize = 256;
/// Packets remembered at most, 8 bytes each; a power of two. At 1,200 bytes they are 10 Mbit in flight.
pub(super) const ENTRIES_MAX: usize = 1_024;
/// A packet that is younger than this and was not reported yet is a reason to remember more of them.
const WAITED_FOR_US: u64 = 1_000_000;

/// The ring of sent packets. It grows where more are in flight than fit, which is no steady state.
pub(super) struct History {
    entries: Vec<Entry>,
    /// The number of the next packet.
    next: u16,
    /// Entries that were ever written, up to all of them.
    filled: usize,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    /// The low 32 bits of the time, in microseconds.
    at: u32,
    bytes: u16,
    fate: Fate,
    probes: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    InFlight,
    /// Reported once as missing; it may still arrive.
    Missing,
    Arrived,
}

/// What feedback newly says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reported {
    pub(super) sent_us: u64,
    pub(super) bytes: u16,
    /// It is part of a probe.
    pub(super) probes: bool,
    /// It was reported as missing before.
    pub(super) was_missing: bool,
}

impl History {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), next: 0, filled: 0 }
    }

    /// Notes a packet and gives it its number.
    pub(super) fn push(&mut self, now_us: u64, bytes: usize, probes: bool) -> u16 {
        if self.entries.is_empty() {
            // Viewers without feedback never come here.
            self.entries = vec![Entry::default(); ENTRIES_MIN];
        } else if self.entries.len() < ENTRIES_MAX && self.is_waited_for(now_us) {
            self.grow();
        }
        let number = self.next;
        let at = self.place(number);
        if let Some(entry) = self.entries.get_mut(at) {
            let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
            *entry = Entry { at: now_us as u32, bytes, fate: Fate::InFlight, probes };
        }
        self.next = self.next.wrapping_add(1);
        self.filled = self.entries.len().min(self.filled + 1);
        number
    }

    /// What is newly known of a packet. `None` where it was never sent, is long forgotten, or nothing is new.
    pub(super) fn report(&mut self, now_us: u64, number: u16, arrived: bool) -> Option<Reported> {
        let age = usize::from(self.next.wrapping_sub(number).wrapping_sub(1));
        let place = self.place(number);
        let entry = self.entries.get_mut(place).filter(|_| age < self.filled)?;
        let was_missing = entry.fate == Fate::Missing;
        entry.fate = match (entry.fate, arrived) {
            (Fate::InFlight | Fate::Missing, true) => Fate::Arrived,
            (Fate::InFlight, false) => Fate::Missing,
            _ => return None,
        };
        let sent_us = now_us.saturating_sub(u64::from((now_us as u32).wrapping_sub(entry.at)));
        Some(Reported { sent_us, bytes: entry.bytes, probes: entry.probes, was_missing })
    }

    fn place(&self, number: u16) -> usize {
        usize::from(number) & self.entries.len().saturating_sub(1)
    }

    /// Whether the oldest one may still be reported.
    fn is_waited_for(&self, now_us: u64) -> bool {
        let oldest = self.entries.get(self.place(self.next)).filter(|_| self.filled == self.entries.len());
        oldest.is_some_and(|entry| {
            entry.fate == Fate::InFlight && u64::from((now_us as u32).wrapping_sub(entry.at)) < WAITED_FOR_US
        })
    }

    fn grow(&mut self) {
        let mut grown = vec![Entry::default(); 2 * self.entries.len()];
        for age in 1..=self.filled {
            let number = self.next.wrapping_sub(age as u16);
            let to = usize::from(number) & (grown.len() - 1);
            if let (Some(to), Some(from)) = (grown.get_mut(to), self.entries.get(self.place(number))) {
                *to = *from;
            }
        }
        self.entries = grown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fate_is_told_once_and_the_missing_may_arrive() {
        let mut history = History::new();
        let start = u64::from(u32::MAX) - 10;
        assert_eq!(history.report(start, 0, true), None, "nothing was sent");
        let number = history.push(start, 1_200, true);
        history.push(start + 20, 100_000, false);
        let reported = Reported { sent_us: start, bytes: 1_200, probes: true, was_missing: false };
        assert_eq!(history.report(start + 50_000, number, false), Some(reported));
        assert_eq!(history.report(start + 50_000, number, false), None);
        assert_eq!(history.report(start + 60_000, number, true), Some(Reported { was_missing: true, ..reported }));
        assert_eq!(history.report(start + 60_000, number, true), None);
        let second = history.report(start + 60_000, number + 1, true).map(|it| (it.sent_us, it.bytes));
        assert_eq!(second, Some((start + 20, u16::MAX)));
        assert_eq!(history.report(start, number + 2, true), None, "never sent");
    }

    #[test]
    fn grows_only_for_what_is_in_flight_and_survives_the_wrap() {
        let mut history = History::new();
        let mut sent = Vec::new();
        for number in 0..70_000u64 {
            sent.push(history.push(number * 1_000, 1_000, false));
            if number >= 100 {
                assert!(history.report(number * 1_000, sent[number as usize - 100], true).is_some(), "{number}");
            }
        }
        assert_eq!(history.entries.len(), ENTRIES_MIN, "100 in flight fit");
        let now_us = 70_000_000;
        let in_flight: Vec<u16> = (0..900).map(|age| history.push(now_us + age, 1_000, false)).collect();
        assert_eq!(history.entries.len(), ENTRIES_MAX);
        assert!(in_flight.iter().all(|number| history.report(now_us + 1_000, *number, true).is_some()));
        (0..5_000).for_each(|age| {
            history.push(now_us + age, 1_000, false);
        });
        assert_eq!(history.entries.len(), ENTRIES_MAX, "no more than that");
    }
}
