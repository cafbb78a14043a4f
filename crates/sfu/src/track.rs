//! One track: where its packets come from, what is kept of them, and who gets them.

use std::time::{Duration, Instant};

use media::{Codec, Kind};
use smallvec::SmallVec;

use crate::{
    layers::{Layers, Ranked},
    rhythm::Rhythm,
    ring::{Added, Entry, Limits},
    shard::{EventQueue, LegId, LegKey, Legs, Letter, Link, Mails, Pace, TrackId},
    stats::ShardStats,
    subscription::{Subscription, rtp_rate_hz},
    tap::Tap,
};

/// A source is asked for a key frame this often at most because viewers wait for one.
const ASK_WAITING: Duration = Duration::from_millis(500);
/// A source is asked for a key frame this often at most because viewers ask for one.
const ASK_LOST: Duration = Duration::from_millis(300);
/// What is kept of a source that can be asked for a key frame.
const ASKABLE: Limits = Limits { age_max: Duration::from_secs(3), bytes_max: 2 << 20 };
/// What is kept of a source that cannot be asked: broadcast encoders put up to 10 s between key frames. No more bytes than
/// of the other, since all of them go to a viewer at once, whatever its path carries.
const FED: Limits = Limits { age_max: Duration::from_secs(12), bytes_max: 2 << 20 };

/// Where packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A command brings them.
    Fed,
    /// A leg receives them.
    Leg(LegId),
    /// Another shard sends them; where `fed`, a command brings them there.
    Remote {
        /// Its number.
        at: usize,
        fed: bool,
    },
}

impl Source {
    /// Whether nobody can be asked for a key frame.
    pub(crate) fn is_fed(self) -> bool {
        matches!(self, Self::Fed | Self::Remote { fed: true, .. })
    }

    pub(crate) fn is_remote(self) -> bool {
        matches!(self, Self::Remote { .. })
    }
}

/// A shard that gets every packet of some layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attached {
    pub(crate) shard: usize,
    pub(crate) link: Link,
    /// A bit for each layer.
    pub(crate) layers: u8,
}

/// Why a source is asked for a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Viewers wait for one to begin with.
    Waiting,
    /// Somebody lost the picture, or needs one outside.
    Lost,
}

/// One track.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    pub(crate) codec: Codec,
    pub(crate) source: Source,
    pub(crate) tapped: bool,
    pub(crate) tap: Tap,
    pub(crate) layers: Layers,
    pub(crate) viewers: Vec<LegKey>,
    /// Shards that have viewers of their own, where this one is the track's origin.
    pub(crate) attached: SmallVec<[Attached; 4]>,
    /// Where this is the origin, its epoch; where it is not, what its packets carry.
    pub(crate) link: Link,
    pub(crate) pace: Pace,
    /// Where this is not the origin, the layers that the origin was told to send: a bit for each.
    pub(crate) crossing: u8,
    /// When what waits in the ring goes to the viewers.
    pub(crate) due: Option<Instant>,
    /// Of its pictures.
    pub(crate) rhythm: Rhythm,
}

impl Track {
    pub(crate) fn new(id: TrackId, codec: Codec, pace: Pace) -> Self {
        Self {
            id,
            codec,
            source: Source::Fed,
            tapped: false,
            tap: Tap::default(),
            layers: Layers::default(),
            viewers: Vec::new(),
            attached: SmallVec::new(),
            link: Link { watch: 0, epoch: 0 },
            pace,
            crossing: 0,
            due: None,
            rhythm: Rhythm::default(),
        }
    }

    pub(crate) fn remove_viewer(&mut self, leg: LegKey) {
        self.viewers.retain(|viewer| *viewer != leg);
    }

    /// Takes a packet in, and says whether viewers that wait may begin with it. `due` says when it goes out; sound goes with
    /// the `picture` that its viewers get next.
    pub(crate) fn push(&mut self, layer: usize, entry: Entry, picture: Option<Instant>, now: Instant) -> bool {
        let hold = if self.codec.kind() == Kind::Audio {
            self.pace.hold_sound(picture, now)
        } else if entry.marker {
            self.rhythm.beat(now);
            Duration::ZERO
        } else {
            self.pace.hold()
        };
        let limits = if self.source.is_fed() { FED } else { ASKABLE };
        if !(self.source.is_remote() && self.layers.len() > 1) {
            // What a layer takes is measured where all of it comes.
            self.layers.count(layer, entry.payload.len(), now);
        }
        let Some(layer) = self.layers.at(layer) else { return false };
        let added = layer.ring.push(entry, rtp_rate_hz(self.codec), limits);
        if !self.viewers.is_empty() {
            let at = now + hold;
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
        added == Added::Key
    }

    /// The layers that somebody waits for a key frame of: a bit for each.
    pub(crate) fn awaited_layers(&self, key: super::shard::TrackKey, legs: &Legs) -> u8 {
        let viewers = self.viewers.iter().filter_map(|viewer| legs.get(*viewer)).filter(|leg| leg.leg.is_connected());
        let awaited = viewers.filter_map(|leg| leg.subscription(key)?.awaits());
        let told =
            Some(self.told_layer()).filter(|told| self.tapped && self.tap.layer().is_some_and(|now| now != *told));
        awaited.chain(told).fold(0, |bits, layer| bits | bit(layer))
    }

    /// The layers that viewers here get or wait for: a bit for each.
    pub(crate) fn used_layers(&self, key: super::shard::TrackKey, legs: &Legs) -> u8 {
        let viewers = self.viewers.iter().filter_map(|viewer| legs.get(*viewer)?.subscription(key));
        let sent = |own: &Subscription| if own.waits() { 0 } else { bit(own.layer()) };
        viewers.fold(0, |bits, own| bits | sent(own) | bit(own.wanted()))
    }

    /// The layer that is told outside.
    pub(crate) fn told_layer(&self) -> usize {
        self.layers.highest(u8::MAX)
    }

    /// The layers that viewers may get.
    pub(crate) fn ranked(&self, most: u8) -> Ranked {
        self.layers.ranked(most)
    }

    /// Asks the source for a key frame, unless it was asked a moment ago.
    pub(crate) fn ask(
        &mut self,
        (layer, why): (usize, Ask),
        now: Instant,
        legs: &mut Legs,
        events: &mut EventQueue,
        mails: &mut Mails,
        stats: &mut ShardStats,
    ) {
        let interval = if why == Ask::Waiting { ASK_WAITING } else { ASK_LOST };
        let Some(asked) = self.layers.get_mut(layer).map(|layer| &mut layer.asked) else { return };
        if self.codec.kind() == Kind::Audio || asked.is_some_and(|at| now.saturating_duration_since(at) < interval) {
            return;
        }
        *asked = Some(now);
        let layer = u8::try_from(layer).unwrap_or(0);
        if let Source::Remote { at, .. } = self.source {
            return mails.post(at, Letter::Ask { track: self.id, why, layer: Some(layer) });
        }
        stats.key_frames_requested += 1;
        match self.source {
            Source::Fed | Source::Remote { .. } => events.key_frame_wanted(self.id),
            Source::Leg(id) => {
                if let Some((key, leg)) = legs.find_mut(id).filter(|(_, leg)| leg.leg.is_connected()) {
                    leg.leg.request_key_frame(Kind::Video, layer);
                    legs.wrote(key);
                }
            }
        }
    }
}

/// The bit of a layer.
pub(crate) fn bit(layer: usize) -> u8 {
    1u8.checked_shl(u32::try_from(layer).unwrap_or(u32::MAX)).unwrap_or(0)
}
