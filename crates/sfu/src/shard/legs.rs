//! The legs of a shard, which of them want to be drained, and their timers.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use media::{Codec, Kind};
use rtc::Leg;
use smallvec::SmallVec;

use super::{LegId, TrackId, TrackKey};
use crate::{
    stats::LegStats,
    subscription::{Ending, Subscription},
    wheel::Wheel,
};

/// A leg is woken this often at least: a timer that is not needed any more stays in the wheel until its time, and one of an
/// hour would outlast most legs.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// Place of a leg among those of its shard. Places are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LegKey(u32);

/// One leg and what the shard knows of it.
#[derive(Debug)]
pub(crate) struct LegState {
    pub(crate) id: LegId,
    pub(crate) leg: Box<Leg>,
    pub(crate) stats: LegStats,
    pub(crate) subscriptions: SmallVec<[Subscription; 2]>,
    pub(crate) added: Instant,
    /// Media came since this was last looked at.
    pub(crate) alive: bool,
    /// It is among those that send more with the next tick.
    pub(crate) again: bool,
    /// The highest layer of a picture that it gets, counted from the lowest, which is 0.
    pub(crate) most: u8,
    bound: SmallVec<[(Kind, TrackId); 2]>,
    /// Where the numbers and times are of kinds of which a track is not subscribed to any more.
    endings: SmallVec<[(Kind, Ending); 2]>,
    dirty: bool,
    timer: Option<Instant>,
}

impl LegState {
    pub(super) fn new(id: LegId, leg: Box<Leg>, now: Instant) -> Self {
        Self {
            id,
            leg,
            stats: LegStats::new(id),
            subscriptions: SmallVec::new(),
            added: now,
            alive: false,
            again: false,
            most: u8::MAX,
            bound: SmallVec::new(),
            endings: SmallVec::new(),
            dirty: false,
            timer: None,
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(crate) fn subscription(&self, track: TrackKey) -> Option<&Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.track == track)
    }

    pub(crate) fn subscription_mut(&mut self, track: TrackKey) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.track == track)
    }

    /// Subscribes to a track, unless it is; numbers go on from those of the track before.
    pub(super) fn subscribe(&mut self, track: TrackKey, codec: Codec) -> bool {
        if self.subscription(track).is_some() {
            return false;
        }
        let gone = self.endings.iter().find(|(kind, _)| *kind == codec.kind()).map(|(_, ending)| *ending);
        let others = self.subscriptions.iter().filter(|other| other.codec.kind() == codec.kind());
        let after = others.filter_map(Subscription::ending).chain(gone).max_by_key(|ending| ending.number);
        // The picture first: sound is shorter, and may end a run of packets that are equally long.
        let place = if codec.kind() == Kind::Video { 0 } else { self.subscriptions.len() };
        self.subscriptions.insert(place, Subscription::new(track, codec, after));
        true
    }

    /// Subscribes no more to what `is_over` says.
    pub(super) fn unsubscribe(&mut self, mut is_over: impl FnMut(&Subscription) -> bool) {
        let endings = &mut self.endings;
        self.subscriptions.retain(|subscription| {
            let over = is_over(subscription);
            if let Some(ending) = subscription.ending().filter(|_| over) {
                let kind = subscription.codec.kind();
                let before = endings.iter().find(|(known, _)| *known == kind).map_or(0, |(_, before)| before.number);
                if ending.number >= before {
                    endings.retain(|(known, _)| *known != kind);
                    endings.push((kind, ending));
                }
            }
            !over
        });
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
#[derive(Debug)]
pub(crate) struct Legs {
    slots: Vec<Option<LegState>>,
    free: Vec<LegKey>,
    by_id: HashMap<LegId, LegKey>,
    dirty: VecDeque<LegKey>,
    timers: Wheel<LegKey>,
}

impl Legs {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            dirty: VecDeque::new(),
            timers: Wheel::new(now),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn key(&self, id: LegId) -> Option<LegKey> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get(&self, key: LegKey) -> Option<&LegState> {
        self.slots.get(key.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: LegKey) -> Option<&mut LegState> {
        self.slots.get_mut(key.0 as usize)?.as_mut()
    }

    pub(crate) fn find(&self, id: LegId) -> Option<&LegState> {
        self.get(self.key(id)?)
    }

    pub(crate) fn find_mut(&mut self, id: LegId) -> Option<(LegKey, &mut LegState)> {
        let key = self.key(id)?;
        self.get_mut(key).map(|leg| (key, leg))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LegState> {
        self.slots.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut LegState> {
        self.slots.iter_mut().flatten()
    }

    /// Adds a leg; it is drained once to learn its first timer.
    pub(super) fn insert(&mut self, state: LegState) {
        let key = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            LegKey(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        self.by_id.insert(state.id, key);
        if let Some(slot) = self.slots.get_mut(key.0 as usize) {
            *slot = Some(state);
        }
        self.wrote(key);
    }

    pub(super) fn remove(&mut self, key: LegKey) -> Option<LegState> {
        let leg = self.slots.get_mut(key.0 as usize)?.take()?;
        self.by_id.remove(&leg.id);
        self.free.push(key);
        Some(leg)
    }

    /// Something was written to a leg: it is drained before the next timeout.
    pub(crate) fn wrote(&mut self, key: LegKey) {
        if let Some(leg) = self.get_mut(key)
            && !std::mem::replace(&mut leg.dirty, true)
        {
            self.dirty.push_back(key);
        }
    }

    pub(super) fn next_dirty(&mut self) -> Option<LegKey> {
        self.dirty.pop_front()
    }

    /// A leg was drained and wants to be woken at `at`. An earlier timer stays: to wake for nothing is cheaper than to
    /// move it with every packet.
    pub(super) fn drained(&mut self, key: LegKey, at: Instant, now: Instant) {
        let at = at.min(now + SLEEP_MAX);
        let Some(leg) = self.get_mut(key) else { return };
        leg.dirty = false;
        if leg.timer.is_none_or(|timer| timer > at) {
            leg.timer = Some(at);
            self.timers.insert(at, key);
        }
    }

    /// Timers that are set.
    pub(super) fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Legs that wait to be drained.
    pub(super) fn waiting(&self) -> usize {
        self.dirty.len()
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// A leg whose timer is over.
    pub(super) fn pop_timer(&mut self, now: Instant) -> Option<LegKey> {
        loop {
            let (at, key) = self.timers.pop(now)?;
            // A leg that was removed, or whose timer was set anew, left this one behind.
            let Some(leg) = self.get_mut(key).filter(|leg| leg.timer == Some(at)) else { continue };
            leg.timer = None;
            return Some(key);
        }
    }
}
