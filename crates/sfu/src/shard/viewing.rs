//! Viewers of the tracks that this shard has: who gets what from when on, and what they ask for.

use std::time::Instant;

use media::{Kind, RtpPacket};
use rtc::Batch;
use smallvec::SmallVec;

use super::{LegId, LegKey, Letter, Pace, Shard, TrackId, TrackKey};
use crate::{
    layers::layer_of,
    ring::Entry,
    stats::Drop,
    subscription::{Subscription, rtp_rate_hz},
    track::{Ask, Attached, Source, Track, bit},
};

impl Shard {
    pub(super) fn bind(&mut self, leg: LegId, kind: Kind, id: TrackId) {
        let home = id.home() == self.mails.index;
        let Some((_, state)) = self.legs.find_mut(leg) else { return self.stats.drop(Drop::NoSuchThing) };
        let Some(codec) = state.leg.codec(kind).filter(|_| !home || self.homes.contains_key(&id)) else {
            return self.stats.drop(Drop::NoSuchThing);
        };
        state.bind(kind, id);
        if self.tracks.key(id).is_none() {
            let mut track = Track::new(id, codec, Pace::Call);
            track.source = Source::Remote { at: id.home(), fed: false };
            self.tracks.insert(track);
        }
        let Some((_, track)) = self.tracks.find_mut(id) else { return };
        if std::mem::replace(&mut track.source, Source::Leg(leg)).is_remote() {
            self.mails.post(id.home(), Letter::Origin(id));
            self.arrived(id);
        }
    }

    pub(super) fn subscribe(&mut self, leg: LegId, track: TrackId) {
        let Some((key, state)) = self.legs.find_mut(leg) else { return self.stats.drop(Drop::NoSuchThing) };
        let Some((place, found)) = self.tracks.find_mut(track) else { return self.await_track(leg, track) };
        if state.subscribe(place, found.codec) {
            found.viewers.push(key);
        }
        if state.leg.is_connected() {
            self.start(key, place);
        }
    }

    pub(super) fn unsubscribe(&mut self, leg: LegId, kind: Kind) {
        let Some((key, state)) = self.legs.find_mut(leg) else { return };
        let tracks = &mut self.tracks;
        let mut left = SmallVec::<[TrackKey; 2]>::new();
        state.unsubscribe(|subscription| {
            let over = subscription.codec.kind() == kind;
            if over && let Some(track) = tracks.get_mut(subscription.track) {
                track.remove_viewer(key);
                left.push(subscription.track);
            }
            over
        });
        for track in left {
            self.unwatch_unseen(track);
        }
        self.wish_no_more(leg, kind);
    }

    /// A viewer is connected: sound is live at once, the picture begins with the key frame that is kept.
    pub(super) fn start(&mut self, leg: LegKey, track: TrackKey) {
        let (Some(state), Some(found)) = (self.legs.get_mut(leg), self.tracks.get(track)) else { return };
        let most = state.most;
        let own = state.subscriptions.iter_mut().find(|own| own.track == track && own.waits());
        let Some(subscription) = own else { return };
        if found.codec.kind() == Kind::Audio {
            found.layers.ring(0).into_iter().for_each(|ring| subscription.start_live(ring));
            return;
        }
        subscription.choose(&found.ranked(most), &mut state.leg, 0, self.now);
        let wanted = subscription.wanted();
        if subscription.start_from(&found.layers) {
            self.stats.starts_from_ring += 1;
            self.flush.ready(leg);
        } else {
            self.ask(track, wanted, Ask::Waiting);
        }
    }

    /// A viewer lost its picture.
    pub(super) fn lost(&mut self, leg: LegKey, track: TrackKey) {
        let (Some(state), Some(found)) = (self.legs.get_mut(leg), self.tracks.get(track)) else { return };
        let Some(subscription) = state.subscription_mut(track) else { return };
        let layer = subscription.layer();
        if found.source.is_fed()
            && let Some(ring) = found.layers.ring(layer)
            && subscription.replay(ring, self.now)
        {
            self.stats.starts_from_ring += 1;
            self.flush.ready(leg);
            return;
        }
        self.ask(track, layer, Ask::Lost);
    }

    pub(super) fn ask(&mut self, track: TrackKey, layer: usize, why: Ask) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.ask((layer, why), self.now, &mut self.legs, &mut self.events, &mut self.mails, &mut self.stats);
        }
    }

    /// A viewer misses packets; the ring has them.
    pub(super) fn repair(&mut self, leg: LegKey, kind: Kind, numbers: &[u16], out: &mut Batch) {
        let Some(state) = self.legs.get_mut(leg) else { return };
        let Some(subscription) = state.subscriptions.iter().find(|subscription| subscription.codec.kind() == kind)
        else {
            return;
        };
        let Some(track) = self.tracks.get(subscription.track) else { return };
        for number in numbers {
            match subscription.repair(&track.layers, *number, &mut state.leg, self.now, out) {
                Ok(()) => self.stats.packets_repaired += 1,
                Err(reason) => self.stats.drop(reason),
            }
        }
    }

    /// A packet came into a track.
    pub(super) fn push(&mut self, key: TrackKey, packet: RtpPacket) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        self.stats.packets_in += 1;
        let (entry, layer) = (Entry::new(&packet), layer_of(&packet));
        for Attached { shard, link, .. } in track.attached.iter().filter(|other| other.layers & bit(layer) != 0) {
            self.stats.packets_crossed += 1;
            let place = u8::try_from(layer).unwrap_or(0);
            let letter = Letter::Packet { track: track.id, link: *link, entry: entry.clone(), layer: place };
            self.mails.post(*shard, letter);
        }
        if track.tapped {
            // The first layer that comes, until more is known.
            let told = if track.tap.layer().is_none() { layer } else { track.told_layer() };
            let begins = track.layers.ring(layer).is_some_and(|ring| ring.would_begin(&entry));
            if let Some(packet) = track.tap.pass(&packet, (layer, begins), told, rtp_rate_hz(track.codec)) {
                self.events.packet(track.id, packet);
            }
        }
        self.add(key, layer, entry);
    }

    /// A packet that came here, or to another shard, goes into the ring that viewers here share.
    pub(super) fn add(&mut self, key: TrackKey, layer: usize, entry: Entry) {
        let picture = self.next_picture(key);
        let Some(track) = self.tracks.get_mut(key) else { return };
        let due = track.due;
        let begins = track.push(layer, entry, picture, self.now);
        if let Some(at) = track.due.filter(|at| due != Some(*at)) {
            self.flush.due(key, at, self.now);
        }
        if !begins {
            return;
        }
        for viewer in &track.viewers {
            let Some(leg) = self.legs.get_mut(*viewer).filter(|leg| leg.leg.is_connected()) else { continue };
            let waits = |own: &&mut Subscription| own.may_begin(layer, &track.layers);
            if let Some(subscription) = leg.subscription_mut(key).filter(waits) {
                subscription.begin_live(layer, &track.layers);
            }
        }
    }

    /// When who hears a track is expected to be sent the next picture: as the first of them is, since all who hear a
    /// stream see it.
    fn next_picture(&self, key: TrackKey) -> Option<Instant> {
        let track = self.tracks.get(key).filter(|track| track.codec.kind() == Kind::Audio)?;
        let viewer = self.legs.get(*track.viewers.first()?)?;
        let seen = viewer.subscriptions.iter().filter_map(|own| self.tracks.get(own.track));
        seen.filter_map(|track| track.rhythm.next(self.now)).min()
    }
}
