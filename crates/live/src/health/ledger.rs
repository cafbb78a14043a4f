//! Which faults are there now, since when, and which were.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::Fault;

/// A fault is gone so long after it was last seen.
pub const DECAY: Duration = Duration::from_secs(30);
/// Faults that are gone and still told, at most; the oldest is forgotten first.
pub const HISTORY_MAX: usize = 64;

/// A fault from when it was first seen until it is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spell {
    /// Which.
    pub fault: Fault,
    /// When it was first seen.
    pub since: Instant,
    /// When it was last seen.
    pub last: Instant,
    /// How often it was seen; what lasts is seen once a second.
    pub count: u64,
    /// The figure in its sentence.
    pub found: f64,
}

/// The faults of one stream.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    active: [Option<Spell>; Fault::ALL.len()],
    history: VecDeque<Spell>,
    begun: VecDeque<Fault>,
}

impl Ledger {
    /// Notes that a fault was seen.
    pub(super) fn raise(&mut self, now: Instant, fault: Fault, found: f64) {
        let Some(place) = self.active.get_mut(fault as usize) else { return };
        match place {
            Some(spell) => {
                spell.last = spell.last.max(now);
                spell.count = spell.count.saturating_add(1);
                spell.found = found;
            }
            None => {
                *place = Some(Spell { fault, since: now, last: now, count: 1, found });
                if self.begun.len() < BEGUN_MAX {
                    self.begun.push_back(fault);
                }
            }
        }
    }

    /// Moves what has not been seen for long into the history.
    pub(super) fn decay(&mut self, now: Instant) {
        for place in &mut self.active {
            if let Some(spell) = place.take_if(|spell| now.saturating_duration_since(spell.last) >= DECAY) {
                if self.history.len() >= HISTORY_MAX {
                    self.history.pop_front();
                }
                self.history.push_back(spell);
            }
        }
    }

    /// A fault that began since it was last asked.
    pub(super) fn poll_begun(&mut self) -> Option<Fault> {
        self.begun.pop_front()
    }

    /// What is there now, the worst first.
    pub(super) fn active(&self) -> Vec<Spell> {
        let mut active: Vec<Spell> = self.active.iter().flatten().copied().collect();
        active.sort_by_key(|spell| (std::cmp::Reverse(spell.fault.severity()), spell.fault));
        active
    }

    /// What was there, the newest first.
    pub(super) fn history(&self) -> Vec<Spell> {
        self.history.iter().rev().copied().collect()
    }
}

/// Beginnings that wait to be counted: whoever owns the ledger asks after each input, so these are never reached.
const BEGUN_MAX: usize = 2 * Fault::ALL.len();
