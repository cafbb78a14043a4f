//! The legs of a shard, which of them want to be drained, and their timers.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Instant,
};

use media::Kind;
use rtc::Leg;
use smallvec::SmallVec;

use super::{LegId, TrackId};
use crate::stats::LegStats;

/// One leg and what the shard knows of it.
#[derive(Debug)]
pub(crate) struct LegState {
    pub(crate) leg: Leg,
    pub(crate) stats: LegStats,
    pub(crate) subscribed: SmallVec<[TrackId; 2]>,
    pub(crate) added: Instant,
    /// Media came since this was last looked at.
    pub(crate) alive: bool,
    bound: SmallVec<[(Kind, TrackId); 2]>,
    dirty: bool,
    timer: Option<Instant>,
}

impl LegState {
    pub(super) fn new(id: LegId, leg: Leg, now: Instant) -> Self {
        Self {
            leg,
            stats: LegStats::new(id),
            subscribed: SmallVec::new(),
            added: now,
            alive: false,
            bound: SmallVec::new(),
            dirty: false,
            timer: None,
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(super) fn bind(&mut self, kind: Kind, track: TrackId) {
        self.bound.retain(|(known, _)| *known != kind);
        self.bound.push((kind, track));
    }

    pub(super) fn unbind(&mut self, track: TrackId) {
        self.bound.retain(|(_, known)| *known != track);
    }

    pub(super) fn bound(&self, kind: Kind) -> Option<TrackId> {
        self.bound.iter().find(|(known, _)| *known == kind).map(|(_, track)| *track)
    }
}

/// The legs of a shard.
#[derive(Debug, Default)]
pub(crate) struct Legs {
    legs: HashMap<LegId, LegState>,
    dirty: VecDeque<LegId>,
    timers: BTreeSet<(Instant, LegId)>,
}

impl Legs {
    pub(crate) fn len(&self) -> usize {
        self.legs.len()
    }

    pub(crate) fn get(&self, id: LegId) -> Option<&LegState> {
        self.legs.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: LegId) -> Option<&mut LegState> {
        self.legs.get_mut(&id)
    }

    pub(crate) fn connected(&mut self, id: LegId) -> Option<&mut LegState> {
        self.legs.get_mut(&id).filter(|leg| leg.leg.is_connected())
    }

    pub(crate) fn is_connected(&self, id: LegId) -> bool {
        self.legs.get(&id).is_some_and(|leg| leg.leg.is_connected())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&LegId, &LegState)> {
        self.legs.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&LegId, &mut LegState)> {
        self.legs.iter_mut()
    }

    /// Adds a leg; it is drained once to learn its first timer.
    pub(super) fn insert(&mut self, id: LegId, state: LegState) {
        self.legs.insert(id, state);
        self.wrote(id);
    }

    pub(super) fn remove(&mut self, id: LegId) -> Option<LegState> {
        let leg = self.legs.remove(&id)?;
        if let Some(at) = leg.timer {
            self.timers.remove(&(at, id));
        }
        Some(leg)
    }

    /// Something was written to a leg: it is drained before the next timeout.
    pub(crate) fn wrote(&mut self, id: LegId) {
        if let Some(leg) = self.legs.get_mut(&id)
            && !std::mem::replace(&mut leg.dirty, true)
        {
            self.dirty.push_back(id);
        }
    }

    pub(super) fn next_dirty(&mut self) -> Option<LegId> {
        self.dirty.pop_front()
    }

    /// A leg was drained and wants to be woken at `at`. An earlier timer stays: to wake for nothing is cheaper than to
    /// move it with every packet.
    pub(super) fn drained(&mut self, id: LegId, at: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.dirty = false;
        if leg.timer.is_some_and(|timer| timer <= at) {
            return;
        }
        if let Some(timer) = leg.timer.replace(at) {
            self.timers.remove(&(timer, id));
        }
        self.timers.insert((at, id));
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A leg whose timer is over.
    pub(super) fn pop_timer(&mut self, now: Instant) -> Option<LegId> {
        let (at, id) = *self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.timer = None;
        }
        Some(id)
    }
}
