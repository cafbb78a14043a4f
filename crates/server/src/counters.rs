//! Counts of what happened, by name and label, for `/metrics` and for tests. Nothing here is on a path per packet.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Series at most: names and labels come from the code, never from the network, so this is a guard against mistakes.
const SERIES_MAX: usize = 512;

/// Named counters of one server.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Counters {
    /// Adds one to the series `name{kind="label"}`.
    pub fn add(&self, name: &'static str, label: &'static str) {
        self.add_many(name, label, 1);
    }

    /// Adds `count` to the series `name{kind="label"}`.
    pub fn add_many(&self, name: &'static str, label: &'static str, count: u64) {
        let mut series = self.lock();
        if series.len() < SERIES_MAX || series.contains_key(&(name, label)) {
            *series.entry((name, label)).or_default() += count;
        }
    }

    /// The series in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut last = "";
        for ((name, label), value) in self.lock().iter() {
            if *name != last {
                let _ = writeln!(out, "# TYPE stentor_{name}_total counter");
                last = name;
            }
            let _ = writeln!(out, "stentor_{name}_total{{kind=\"{label}\"}} {value}");
        }
        out
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, &'static str), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
