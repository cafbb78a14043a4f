//! What waits in tracks goes to viewers here, viewer by viewer: all that one of them has not got yet lies together in the
//! batch, and leaves in one system call.

use std::{collections::VecDeque, time::Instant};

use rtc::Batch;

use super::{LegKey, Shard, TrackKey};
use crate::{
    subscription::Written,
    wheel::{TICK, Wheel},
};

/// Which viewers get something next.
#[derive(Debug)]
pub(super) struct Flush {
    /// Viewers that get something now, whatever their tracks say.
    ready: VecDeque<LegKey>,
    /// Tracks whose viewers get something now.
    ready_tracks: VecDeque<TrackKey>,
    /// Tracks whose viewers get something later.
    later: Wheel<TrackKey>,
    /// The track whose viewers get something now, and the next of them.
    track: Option<(TrackKey, usize)>,
    /// Viewers that have not got all that there is, since so much may not go at once.
    again: Vec<LegKey>,
    again_at: Option<Instant>,
}

impl Flush {
    /// Nobody gets anything.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            ready: VecDeque::new(),
            ready_tracks: VecDeque::new(),
            later: Wheel::new(now),
            track: None,
            again: Vec::new(),
            again_at: None,
        }
    }

    /// This viewer gets what there is.
    pub(super) fn ready(&mut self, leg: LegKey) {
        self.ready.push_back(leg);
    }

    /// A track has something to send at this time.
    pub(super) fn due(&mut self, track: TrackKey, at: Instant, now: Instant) {
        if at <= now { self.ready_tracks.push_back(track) } else { self.later.insert(at, track) }
    }

    /// How many wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.ready.len() + self.ready_tracks.len() + self.later.len() + self.again.len()
    }

    /// When something is due.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.again_at, self.later.next()].into_iter().flatten().min()
    }
}

impl Shard {
    /// Serves one viewer. False where none is left for now.
    pub(super) fn flush_step(&mut self, out: &mut Batch) -> bool {
        if let Some(leg) = self.flush.ready.pop_front() {
            self.flush_leg(leg, out);
            return true;
        }
        if self.flush.again_at.is_some_and(|at| at <= self.now) {
            self.flush.again_at = None;
            self.flush.ready.extend(self.flush.again.drain(..));
            return true;
        }
        if self.flush.track.is_none() {
            self.flush.track = self.next_due().map(|track| (track, 0));
        }
        let Some((track, place)) = self.flush.track else { return false };
        let viewers = self.tracks.get(track).map_or(&[][..], |track| &track.viewers);
        let Some(viewer) = viewers.get(place).copied() else {
            self.flush.track = None;
            return true;
        };
        self.flush.track = Some((track, place + 1));
        self.flush_leg(viewer, out);
        true
    }

    /// A track whose time has come.
    fn next_due(&mut self) -> Option<TrackKey> {
        let now = self.now;
        let mut take = |key| {
            let track = self.tracks.get_mut(key)?;
            // A track that went out since, or is gone, has left its time behind.
            track.due.filter(|due| *due <= now)?;
            track.due = None;
            Some(key)
        };
        while let Some(key) = self.flush.ready_tracks.pop_front() {
            if let Some(key) = take(key) {
                return Some(key);
            }
        }
        while let Some((_, key)) = self.flush.later.pop(now) {
            if let Some(key) = take(key) {
                return Some(key);
            }
        }
        None
    }

    /// Sends a viewer what it has not got of any of its tracks.
    fn flush_leg(&mut self, key: LegKey, out: &mut Batch) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        leg.again = false;
        if !leg.leg.is_connected() {
            return;
        }
        let before = out.bytes();
        let mut written = Written::default();
        let mut unsent = false;
        for subscription in &mut leg.subscriptions {
            let Some(track) = self.tracks.get(subscription.track) else { continue };
            subscription.write(&track.layers, &mut leg.leg, self.now, out, &mut written);
            unsent |= subscription.has_unsent(&track.layers);
        }
        leg.stats.packets_out += written.sent;
        leg.stats.bytes_out += (out.bytes() - before) as u64;
        self.stats.packets_forwarded += written.sent;
        self.stats.jumps += written.jumped;
        self.stats.layer_switches += written.turned;
        written.dropped.iter().for_each(|reason| self.stats.drop(*reason));
        if unsent && !std::mem::replace(&mut leg.again, true) {
            self.flush.again.push(key);
            self.flush.again_at.get_or_insert(self.now + TICK);
        }
        if written.sent > 0 && leg.leg.wants_drain() {
            self.drain(key, out);
        }
    }
}
