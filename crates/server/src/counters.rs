//! Counts of what happened, by name and label, for `/metrics` and for tests. What may be counted is declared in
//! `metrics::family`. Nothing here is on a path per packet.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::metrics::{COUNTERS, Counter};

/// Series at most: names and labels come from the code, never from the network, so this is a guard against mistakes.
const SERIES_MAX: usize = 512;

/// Named counters of one server.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Counters {
    /// Adds one to the counter that `metrics::COUNTERS` declares under `name`; `value` is that of its label.
    pub fn add(&self, name: &'static str, value: &'static str) {
        self.add_many(name, value, 1);
    }

    /// Adds `count` to the counter that `metrics::COUNTERS` declares under `name`; `value` is that of its label.
    pub fn add_many(&self, name: &'static str, value: &'static str, count: u64) {
        debug_assert!(
            COUNTERS.iter().any(|counter| counter.call == name),
            "{name} is not declared in metrics::COUNTERS"
        );
        let mut series = self.lock();
        if series.len() < SERIES_MAX || series.contains_key(&(name, value)) {
            *series.entry((name, value)).or_default() += count;
        }
    }

    /// What was counted of one counter: values of its label, and how often.
    pub fn of(&self, counter: &Counter) -> Vec<(&'static str, u64)> {
        let series = self.lock();
        let own = series.range((counter.call, "")..).take_while(|((call, _), _)| *call == counter.call);
        own.map(|((_, value), count)| (*value, *count)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, &'static str), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
