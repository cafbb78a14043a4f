//! Tracks across shards: the origin, where the packets come in, sends each of them once to every shard that has viewers,
//! and that shard has a ring of its own for them.

use std::mem;

use media::Kind;
use smallvec::SmallVec;

use super::{LegId, Letter, Link, Pace, Shard, TrackId, TrackKey, mail::Backlog};
use crate::{
    ring::Entry,
    stats::Drop,
    track::{Attached, Source, Track, bit},
};

/// A track that viewers here wait for.
#[derive(Debug)]
pub(super) struct Awaited {
    watch: u32,
    wishes: Vec<Wish>,
}

/// A viewer that waits. What kind the track is of is not known yet.
#[derive(Debug)]
struct Wish {
    leg: LegId,
    /// Kinds that it does not want any more.
    unless: SmallVec<[Kind; 2]>,
}

impl Shard {
    /// Whether the packets of a track come in here.
    pub(super) fn is_origin(&self, id: TrackId) -> bool {
        self.tracks.key(id).and_then(|key| self.tracks.get(key)).is_some_and(|track| !track.source.is_remote())
    }

    /// A viewer wants a track that is not here.
    pub(super) fn await_track(&mut self, leg: LegId, id: TrackId) {
        let here = id.home() == self.mails.index && !self.homes.contains_key(&id);
        if here || id.home() >= self.mails.count {
            return self.stats.drop(Drop::NoSuchThing);
        }
        if !self.awaited.contains_key(&id) {
            if self.awaited.len() + self.tracks.len() >= self.config.tracks_max.saturating_mul(2) {
                return self.stats.drop(Drop::Full);
            }
            let watch = self.next_watch();
            self.awaited.insert(id, Awaited { watch, wishes: Vec::new() });
            self.mails.post(id.home(), Letter::Watch { track: id, watch });
        }
        let Some(awaited) = self.awaited.get_mut(&id) else { return };
        awaited.wishes.retain(|wish| wish.leg != leg);
        awaited.wishes.push(Wish { leg, unless: SmallVec::new() });
    }

    fn next_watch(&mut self) -> u32 {
        self.watches = self.watches.wrapping_add(1);
        self.watches
    }

    /// A viewer does not want a kind any more, of whatever it waits for.
    pub(super) fn wish_no_more(&mut self, leg: LegId, kind: Kind) {
        let wishes = self.awaited.values_mut().flat_map(|awaited| &mut awaited.wishes);
        for wish in wishes.filter(|wish| wish.leg == leg && !wish.unless.contains(&kind)) {
            wish.unless.push(kind);
        }
    }

    /// A viewer is gone.
    pub(super) fn wait_no_more(&mut self, leg: LegId) {
        let mails = &mut self.mails;
        self.awaited.retain(|id, awaited| {
            awaited.wishes.retain(|wish| wish.leg != leg);
            if awaited.wishes.is_empty() {
                mails.post(id.home(), Letter::Unwatch { track: *id, watch: awaited.watch });
            }
            !awaited.wishes.is_empty()
        });
    }

    /// Forgets a track of another shard that has no viewers here.
    pub(super) fn unwatch_unseen(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get(key).filter(|track| track.source.is_remote() && track.viewers.is_empty())
        else {
            return;
        };
        let (id, watch) = (track.id, track.link.watch);
        self.tracks.remove(id);
        self.mails.post(id.home(), Letter::Unwatch { track: id, watch });
    }

    /// The viewers that waited for a track that is here now.
    pub(super) fn arrived(&mut self, id: TrackId) {
        let Some(awaited) = self.awaited.remove(&id) else { return };
        let Some(kind) = self.tracks.find_mut(id).map(|(_, track)| track.codec.kind()) else { return };
        for wish in awaited.wishes.iter().filter(|wish| !wish.unless.contains(&kind)) {
            self.subscribe(wish.leg, id);
        }
    }

    /// The home knows that this shard is the origin.
    pub(super) fn become_origin(&mut self, id: TrackId, pace: Pace, tapped: bool, epoch: u32) {
        let Some((_, track)) = self.tracks.find_mut(id).filter(|(_, track)| !track.source.is_remote()) else { return };
        (track.pace, track.tapped, track.link.epoch) = (pace, tapped, epoch);
    }

    /// Another shard is the origin from now on.
    pub(super) fn yield_origin(&mut self, id: TrackId) {
        let watch = self.next_watch();
        let Some((_, track)) = self.tracks.find_mut(id).filter(|(_, track)| !track.source.is_remote()) else { return };
        track.attached.clear();
        track.tapped = false;
        let remote = Source::Remote { at: id.home(), fed: false };
        let old = mem::replace(&mut track.source, remote);
        track.link = Link { watch, epoch: 0 };
        let unseen = track.viewers.is_empty();
        if let Source::Leg(leg) = old
            && let Some((_, leg)) = self.legs.find_mut(leg)
        {
            leg.unbind(id);
        }
        if unseen {
            self.tracks.remove(id);
        } else {
            self.mails.post(id.home(), Letter::Watch { track: id, watch });
        }
    }

    /// A shard gets every packet of a track from now on, and what is kept of it first.
    pub(super) fn attach(&mut self, id: TrackId, to: usize, watch: u32) {
        let Some((_, track)) = self.tracks.find_mut(id).filter(|(_, track)| !track.source.is_remote()) else { return };
        let link = Link { watch, epoch: track.link.epoch };
        track.attached.retain(|attached| attached.shard != to);
        let layer = track.layers.highest(u8::MAX);
        track.attached.push(Attached { shard: to, link, layers: bit(layer) });
        self.send_backlog(id, layer, to, link);
        self.tell_rates(id);
    }

    /// A shard begins to get a layer.
    pub(super) fn send_backlog(&mut self, id: TrackId, layer: usize, to: usize, link: Link) {
        let Some((_, track)) = self.tracks.find_mut(id) else { return };
        let Some(ring) = track.layers.ring(layer) else { return };
        let (codec, pace, fed, entries) = (track.codec, track.pace, track.source.is_fed(), ring.since_key());
        let layer = u8::try_from(layer).unwrap_or(0);
        let backlog = Backlog { track: id, codec, pace, fed, link, layer, entries };
        self.mails.post(to, Letter::Backlog(Box::new(backlog)));
    }

    pub(super) fn detach(&mut self, id: TrackId, to: usize, watch: u32) {
        if let Some((_, track)) = self.tracks.find_mut(id) {
            track.attached.retain(|attached| attached.shard != to || attached.link.watch != watch);
        }
    }

    /// The origin of a track sends what it has kept of it.
    pub(super) fn backlog(&mut self, from: usize, backlog: Backlog) {
        let Backlog { track: id, codec, pace, fed, link, layer, mut entries } = backlog;
        let layer = usize::from(layer);
        let waited = self.awaited.get(&id).is_some_and(|awaited| awaited.watch == link.watch);
        if waited {
            let mut track = Track::new(id, codec, pace);
            track.source = Source::Remote { at: from, fed };
            self.tracks.insert(track);
        }
        let Some((key, track)) = self.tracks.find_mut(id) else { return };
        let newer = track.link.watch == link.watch && track.link.epoch <= link.epoch;
        if !track.source.is_remote() || !(waited || newer) {
            return;
        }
        track.source = Source::Remote { at: from, fed };
        if waited || track.link != link {
            track.crossing = bit(layer);
        } else if let Some(layer) = track.layers.at(layer) {
            layer.ring.resume(&mut entries);
        }
        (track.pace, track.link) = (pace, link);
        for entry in entries {
            self.add(key, layer, entry);
        }
        self.arrived(id);
        self.unwatch_unseen(key);
    }

    /// A packet of a track of another shard.
    pub(super) fn remote_packet(&mut self, id: TrackId, link: Link, entry: Entry, layer: usize) {
        let Some(key) = self.tracks.key(id) else { return };
        // What was on its way when this shard had no viewers for a while, or when the origin changed, is late.
        if self.tracks.get(key).is_some_and(|track| track.source.is_remote() && track.link == link) {
            self.add(key, layer, entry);
        }
    }

    /// A track is over.
    pub(super) fn end_track(&mut self, id: TrackId) {
        self.awaited.remove(&id);
        let Some((key, track)) = self.tracks.remove(id) else { return };
        for viewer in &track.viewers {
            if let Some(leg) = self.legs.get_mut(*viewer) {
                leg.unsubscribe(|subscription| subscription.track == key);
            }
        }
        if let Source::Leg(leg) = track.source
            && let Some((_, leg)) = self.legs.find_mut(leg)
        {
            leg.unbind(id);
        }
    }
}
