//! Timers in ticks of a millisecond: setting one and taking one cost the same however many there are.

use std::time::{Duration, Instant};

/// Timers fire in steps of this.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// Slots; a timer further away passes through the last one and is put back.
const SLOTS: u64 = 1_024;
const WORDS: usize = (SLOTS / 64) as usize;

/// Keys with the time at which they come out.
#[derive(Debug)]
pub(crate) struct Wheel<K> {
    slots: Vec<Vec<(Instant, K)>>,
    /// The room of slots that are empty now, for those that are filled next.
    spare: Vec<Vec<(Instant, K)>>,
    /// A bit for each slot that holds something.
    occupied: [u64; WORDS],
    origin: Instant,
    /// The tick that is looked at next; all before it have been.
    tick: u64,
}

impl<K: Copy> Wheel<K> {
    /// An empty wheel.
    pub(crate) fn new(origin: Instant) -> Self {
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        Self { slots, spare: Vec::new(), occupied: [0; WORDS], origin, tick: 0 }
    }

    /// Sets a timer; the last slot stays free, so that `pop` can put back what it finds too early. A timer cannot be taken back: who gets a key that it no longer wants forgets it.
    pub(crate) fn insert(&mut self, at: Instant, key: K) {
        let tick = at.saturating_duration_since(self.origin).as_nanos().div_ceil(TICK.as_nanos());
        let tick = u64::try_from(tick).unwrap_or(u64::MAX).clamp(self.tick, self.tick + SLOTS - 2);
        let slot = (tick % SLOTS) as usize;
        if let (Some(slot_of), Some(word)) = (self.slots.get_mut(slot), self.occupied.get_mut(slot / 64)) {
            if slot_of.capacity() == 0 {
                *slot_of = self.spare.pop().unwrap_or_default();
            }
            slot_of.push((at, key));
            *word |= 1 << (slot % 64);
        }
    }

    /// A key whose time has come, with that time.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        let present = (now.saturating_duration_since(self.origin).as_nanos() / TICK.as_nanos()) as u64;
        while self.tick <= present {
            let Some(tick) = self.next_tick().filter(|tick| *tick <= present) else {
                self.tick = present + 1;
                return None;
            };
            self.tick = tick;
            let slot = (tick % SLOTS) as usize;
            let Some((at, key)) = self.slots.get_mut(slot).and_then(Vec::pop) else {
                self.spare.extend(self.slots.get_mut(slot).map(std::mem::take).filter(|room| room.capacity() > 0));
                if let Some(word) = self.occupied.get_mut(slot / 64) {
                    *word &= !(1 << (slot % 64));
                }
                self.tick = tick + 1;
                continue;
            };
            if at <= now {
                return Some((at, key));
            }
            // It was further away than the wheel is round. This slot comes again after all others.
            self.tick = tick + 1;
            self.insert(at, key);
            self.tick = tick;
        }
        None
    }

    /// Timers that are set.
    pub(crate) fn len(&self) -> usize {
        self.slots.iter().map(Vec::len).sum()
    }

    /// When `pop` may have something.
    pub(crate) fn next(&self) -> Option<Instant> {
        let millis = self.next_tick()?;
        Some(self.origin + TICK * u32::try_from(millis).unwrap_or(u32::MAX))
    }

    /// The first tick from `self.tick` on whose slot holds something.
    fn next_tick(&self) -> Option<u64> {
        let first = (self.tick % SLOTS) as usize;
        for step in 0..=WORDS {
            let index = (first / 64 + step) % WORDS;
            let mut word = *self.occupied.get(index)?;
            if step == 0 {
                word &= u64::MAX << (first % 64);
            } else if step == WORDS {
                word &= !(u64::MAX << (first % 64));
            }
            if word != 0 {
                let slot = (index * 64) as u64 + u64::from(word.trailing_zeros());
                return Some(self.tick + (slot + SLOTS - first as u64) % SLOTS);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn comes_out_when_it_is_time_and_not_before() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        assert_eq!(wheel.next(), None);
        wheel.insert(start + Duration::from_micros(1_500), 'a');
        wheel.insert(start + ms(3_000), 'b');
        wheel.insert(start, 'c');
        assert_eq!(wheel.pop(start), Some((start, 'c')));
        assert_eq!(wheel.pop(start), None);
        assert_eq!(wheel.next(), Some(start + ms(2)), "rounded up to a tick");
        assert_eq!(wheel.pop(start + Duration::from_micros(1_999)), None);
        assert_eq!(wheel.pop(start + ms(2)).map(|(_, key)| key), Some('a'));
        assert_eq!(wheel.pop(start + ms(2_999)), None);
        assert_eq!(wheel.pop(start + ms(3_000)).map(|(_, key)| key), Some('b'));
        assert_eq!((wheel.pop(start + ms(90_000)), wheel.next()), (None, None));
    }

    proptest! {
        #[test]
        fn everything_comes_out_once_in_time(
            timers in proptest::collection::vec((0u64..5_000_000, 0u64..3_000_000), 1..60),
            steps in proptest::collection::vec(1u64..400_000, 1..60),
        ) {
            // Timers are set while time passes, as they are in a shard.
            let start = Instant::now();
            let mut wheel = Wheel::new(start);
            let mut waiting: Vec<(u64, u64, usize)> = timers.iter().enumerate().map(|(key, (set, after))| (*set, set + after, key)).collect();
            let mut out = Vec::new();
            let mut now = 0;
            let mut set = Vec::new();
            for step in steps.iter().chain(std::iter::repeat_n(&1_000_000, 20)) {
                now += step;
                waiting.retain(|(when, at, key)| {
                    if *when <= now {
                        wheel.insert(start + Duration::from_micros(*at), *key);
                        set.push((*at, *key));
                    }
                    *when > now
                });
                while let Some((at, key)) = wheel.pop(start + Duration::from_micros(now)) {
                    prop_assert!(at <= start + Duration::from_micros(now));
                    out.push(key);
                }
                for (at, key) in &set {
                    prop_assert!(at.div_ceil(1_000) > now / 1_000 || out.contains(key), "{} is late at {}", at, now);
                }
                if let Some(next) = wheel.next() {
                    let due = set.iter().filter(|(_, key)| !out.contains(key)).map(|(at, _)| *at).min().unwrap();
                    prop_assert!(next < start + Duration::from_micros(due + 1_000), "never later than a tick");
                }
            }
            out.sort_unstable();
            prop_assert_eq!(out, (0..timers.len()).collect::<Vec<_>>());
        }
    }
}
