//! Which layers of a picture viewers get, and which of them cross from shard to shard.

use media::Kind;

use super::{LegId, LegKey, Legs, Letter, Link, Shard, TrackId, TrackKey, Tracks};
use crate::{
    stats::Drop,
    track::{Ask, Source, bit},
};

impl Shard {
    /// Measures layers, chooses anew which of them viewers get, and asks for the key frames that somebody waits for.
    pub(super) fn care_for_layers(&mut self) {
        for key in self.tracks.keys() {
            let Some(track) = self.tracks.get_mut(key) else { continue };
            let (id, several) = (track.id, track.layers.len() > 1);
            let measures = !several || !track.source.is_remote();
            // Of several layers of another shard's only those come that are wanted here; that shard tells what they take.
            if measures && track.layers.measure(self.now) && several {
                self.tell_rates(id);
            }
            if several {
                self.choose_layers(key);
                self.want_of_origin(key);
            }
            let awaited = self.tracks.get(key).map_or(0, |track| track.awaited_layers(key, &self.legs));
            for layer in (0..u8::BITS as usize).filter(|layer| awaited & bit(*layer) != 0) {
                self.ask(key, layer, Ask::Waiting);
            }
        }
    }

    /// Each viewer of a track gets the layer that fits.
    fn choose_layers(&mut self, key: TrackKey) {
        let viewers = self.tracks.get(key).map_or(0, |track| track.viewers.len());
        for place in 0..viewers {
            let Some(track) = self.tracks.get(key) else { return };
            let Some(viewer) = track.viewers.get(place).copied() else { return };
            let beside = beside_bps(&self.tracks, &self.legs, viewer, key);
            let Some(leg) = self.legs.get_mut(viewer).filter(|leg| leg.leg.is_connected()) else { continue };
            let ranked = track.ranked(leg.most);
            let own = leg.subscriptions.iter_mut().find(|own| own.track == key);
            let Some(subscription) = own else { continue };
            subscription.choose(&ranked, &mut leg.leg, beside, self.now);
            if subscription.waits() && subscription.start_from(&track.layers) {
                self.stats.starts_from_ring += 1;
                self.flush.ready(viewer);
            }
        }
    }

    /// Of a track of another shard, the layers cross that are of use here.
    fn want_of_origin(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        let Source::Remote { at, .. } = track.source else { return };
        let used = track.used_layers(key, &self.legs);
        if used != 0 && used != track.crossing {
            track.crossing = used;
            self.mails.post(at, Letter::Want { track: track.id, watch: track.link.watch, layers: used });
        }
    }

    /// A shard that is attached wants other layers.
    pub(super) fn want_layers(&mut self, id: TrackId, by: usize, watch: u32, layers: u8) {
        let Some((_, track)) = self.tracks.find_mut(id).filter(|(_, track)| !track.source.is_remote()) else { return };
        let attached = track.attached.iter_mut().find(|own| own.shard == by && own.link.watch == watch);
        let Some(attached) = attached else { return };
        let (link, new) = (attached.link, layers & !attached.layers);
        attached.layers = layers;
        for layer in (0..track.layers.len()).filter(|layer| new & bit(*layer) != 0) {
            self.send_backlog(id, layer, by, link);
        }
    }

    /// Tells shards that are attached what the layers of a track take.
    pub(super) fn tell_rates(&mut self, id: TrackId) {
        let Some((_, track)) = self.tracks.find_mut(id).filter(|(_, track)| track.layers.len() > 1) else { return };
        let rates = track.layers.rates();
        for attached in &track.attached {
            self.mails.post(attached.shard, Letter::Rates { track: id, link: attached.link, rates });
        }
    }

    /// The origin of a track told what its layers take.
    pub(super) fn remote_rates(&mut self, id: TrackId, link: Link, rates: &[u32]) {
        let remote = self.tracks.find_mut(id).filter(|(_, track)| track.source.is_remote() && track.link == link);
        if let Some((_, track)) = remote {
            track.layers.measured(rates);
        }
    }

    /// A key frame is wanted here, where the track comes in.
    pub(super) fn asked(&mut self, id: TrackId, layer: Option<u8>, why: Ask) {
        let Some(key) = self.tracks.key(id).filter(|_| self.is_origin(id)) else { return };
        let told = self.tracks.get(key).and_then(|track| track.tap.layer()).unwrap_or(0);
        self.ask(key, layer.map_or(told, usize::from), why);
    }

    pub(super) fn set_layer(&mut self, id: LegId, kind: Kind, most: u8) {
        let Some((_, leg)) = self.legs.find_mut(id) else { return self.stats.drop(Drop::NoSuchThing) };
        if kind == Kind::Video {
            leg.most = most;
        }
    }
}

/// What else goes to a viewer, in bits a second.
fn beside_bps(tracks: &Tracks, legs: &Legs, viewer: LegKey, track: TrackKey) -> u64 {
    let others = legs.get(viewer).into_iter().flat_map(|leg| &leg.subscriptions).filter(|own| own.track != track);
    others.filter_map(|own| Some(tracks.get(own.track)?.layers.rate_bps(own.layer()))).sum()
}
