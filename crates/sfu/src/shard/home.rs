//! Tracks at their home: where their packets come from, and which shards have viewers of them. The home sees no packet of
//! a track that another shard receives.

use media::Codec;
use rtc::Batch;
use smallvec::SmallVec;

use super::{Letter, Pace, Shard, TrackId};
use crate::{stats::Drop, track::Track};

/// What the home of a track knows of it.
#[derive(Debug)]
pub(super) struct Home {
    pace: Pace,
    tapped: bool,
    /// The shard whose leg receives it; the home, for one that is fed.
    origin: usize,
    /// Counts the origins.
    epoch: u32,
    /// Shards that have viewers of it, with the number of their wish.
    watchers: SmallVec<[(usize, u32); 4]>,
}

impl Home {
    pub(super) fn origin(&self) -> usize {
        self.origin
    }

    pub(super) fn watchers(&self) -> usize {
        self.watchers.len()
    }
}

impl Shard {
    pub(super) fn add_track(&mut self, id: TrackId, codec: Codec, pace: Pace) {
        if self.homes.len() >= self.config.tracks_max || id.home() != self.mails.index {
            return self.stats.drop(Drop::Full);
        }
        let origin = self.mails.index;
        let home = Home { pace, tapped: false, origin, epoch: 0, watchers: SmallVec::new() };
        self.homes.entry(id).or_insert(home);
        self.tracks.insert(Track::new(id, codec, pace));
    }

    pub(super) fn remove_track(&mut self, id: TrackId) {
        let Some(home) = self.homes.remove(&id) else { return };
        let others = home.watchers.iter().map(|(shard, _)| *shard).filter(|shard| *shard != home.origin);
        for shard in others.chain([home.origin]) {
            self.mails.post(shard, Letter::Ended(id));
        }
    }

    pub(super) fn tap(&mut self, id: TrackId, on: bool) {
        let Some(home) = self.homes.get_mut(&id) else { return self.stats.drop(Drop::NoSuchThing) };
        home.tapped = on;
        self.mails.post(home.origin, Letter::Tap { track: id, on });
    }

    /// A shard has viewers of a track.
    fn watch(&mut self, id: TrackId, by: usize, watch: u32) {
        let Some(home) = self.homes.get_mut(&id) else { return self.mails.post(by, Letter::Ended(id)) };
        home.watchers.retain(|(shard, _)| *shard != by);
        home.watchers.push((by, watch));
        self.mails.post(home.origin, Letter::Attach { track: id, to: by, watch });
    }

    fn unwatch(&mut self, id: TrackId, by: usize, watch: u32) {
        let Some(home) = self.homes.get_mut(&id) else { return };
        home.watchers.retain(|known| *known != (by, watch));
        self.mails.post(home.origin, Letter::Detach { track: id, to: by, watch });
    }

    /// A leg of another shard receives a track from now on.
    fn origin(&mut self, id: TrackId, by: usize) {
        let Some(home) = self.homes.get_mut(&id) else { return self.mails.post(by, Letter::Ended(id)) };
        let old = std::mem::replace(&mut home.origin, by);
        if old == by {
            return;
        }
        home.epoch += 1;
        home.watchers.retain(|(shard, _)| *shard != by);
        let Home { pace, tapped, epoch, .. } = *home;
        self.mails.post(old, Letter::Yield(id));
        self.mails.post(by, Letter::Become { track: id, pace, tapped, epoch });
        for (to, watch) in &home.watchers {
            self.mails.post(by, Letter::Attach { track: id, to: *to, watch: *watch });
        }
    }

    /// Takes what another shard has to tell.
    pub(super) fn letter(&mut self, from: usize, letter: Letter, out: &mut Batch) {
        match letter {
            Letter::Claim(id) => self.claimed(id, from),
            Letter::Adopt(parked) => self.given(*parked, out),
            Letter::Located { leg, at } => self.located(leg, at),
            Letter::Renamed(expect) => self.demux.rename(expect.id, &expect.ufrag, &expect.password),
            Letter::Left(id) => {
                self.demux.remove(id);
                self.mails.post_all(|| Letter::Forget(id));
            }
            Letter::Forget(id) => self.gone(id),
            Letter::Command(command) => self.command(*command, out),
            Letter::Datagram { leg, datagram } => self.passed_on(from, leg, &datagram, out),
            Letter::Transmit { to, bytes } => out.push(rtc::Protocol::Tcp, to, &bytes),
            Letter::Watch { track, watch } => self.watch(track, from, watch),
            Letter::Unwatch { track, watch } => self.unwatch(track, from, watch),
            Letter::Origin(track) => self.origin(track, from),
            Letter::Become { track, pace, tapped, epoch } => self.become_origin(track, pace, tapped, epoch),
            Letter::Yield(track) => self.yield_origin(track),
            Letter::Attach { track, to, watch } => self.attach(track, to, watch),
            Letter::Detach { track, to, watch } => self.detach(track, to, watch),
            Letter::Backlog(backlog) => self.backlog(from, *backlog),
            Letter::Packet { track, link, entry, layer } => {
                self.remote_packet(track, link, entry, usize::from(layer));
            }
            Letter::Rates { track, link, rates } => self.remote_rates(track, link, &rates),
            Letter::Want { track, watch, layers } => self.want_layers(track, from, watch, layers),
            Letter::Ask { track, why, layer } => self.asked(track, layer, why),
            Letter::Tap { track, on } => {
                if let Some((_, track)) = self.tracks.find_mut(track).filter(|(_, track)| !track.source.is_remote()) {
                    track.tapped = on;
                }
            }
            Letter::Ended(track) => self.end_track(track),
        }
    }

    /// Carries out what this shard has to tell itself, as the home of its own legs and tracks.
    pub(super) fn tell_itself(&mut self, out: &mut Batch) {
        while let Some(letter) = self.mails.next_own() {
            self.letter(self.mails.index, letter, out);
        }
    }
}
