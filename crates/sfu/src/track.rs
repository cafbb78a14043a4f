//! One track: where its packets come from, what is kept of them, and who gets them.

use std::time::{Duration, Instant};

use media::{Codec, Kind, MediaTime};
use smallvec::SmallVec;

use crate::{
    ring::{Added, Entry, Limits, Ring},
    shard::{EventQueue, LegId, LegKey, Legs, Letter, Link, Mails, Pace, TrackId},
    stats::ShardStats,
    subscription::rtp_rate_hz,
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

/// A shard that gets every packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attached {
    pub(crate) shard: usize,
    pub(crate) link: Link,
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
    pub(crate) ring: Ring,
    pub(crate) viewers: Vec<LegKey>,
    /// Shards that have viewers of their own, where this one is the track's origin.
    pub(crate) attached: SmallVec<[Attached; 4]>,
    /// Where this is the origin, its epoch; where it is not, what its packets carry.
    pub(crate) link: Link,
    pub(crate) pace: Pace,
    asked: Option<Instant>,
    /// When what waits in the ring goes to the viewers.
    pub(crate) due: Option<Instant>,
}

/// A packet that a waiting viewer may begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    pub(crate) place: u64,
    pub(crate) time: MediaTime,
}

impl Track {
    pub(crate) fn new(id: TrackId, codec: Codec, pace: Pace) -> Self {
        Self {
            id,
            codec,
            source: Source::Fed,
            tapped: false,
            ring: Ring::default(),
            viewers: Vec::new(),
            attached: SmallVec::new(),
            link: Link { watch: 0, epoch: 0 },
            pace,
            asked: None,
            due: None,
        }
    }

    pub(crate) fn remove_viewer(&mut self, leg: LegKey) {
        self.viewers.retain(|viewer| *viewer != leg);
    }

    /// Takes a packet in, and says whether viewers that wait may begin with it. `due` says when it goes out.
    pub(crate) fn push(&mut self, entry: Entry, key_start: bool, now: Instant) -> Option<Beginning> {
        let beginning = Beginning { place: self.ring.end(), time: entry.time };
        let ends_frame = entry.marker && self.codec.kind() == Kind::Video;
        let limits = if self.source.is_fed() { FED } else { ASKABLE };
        let is_key = key_start && self.codec.kind() == Kind::Video;
        let added = self.ring.push(entry, is_key, rtp_rate_hz(self.codec), limits);
        if !self.viewers.is_empty() {
            let at = if ends_frame { now } else { now + self.pace.hold() };
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
        (added == Added::Key).then_some(beginning)
    }

    /// Whether some connected viewer waits for a key frame.
    pub(crate) fn has_waiting(&self, key: super::shard::TrackKey, legs: &Legs) -> bool {
        self.viewers
            .iter()
            .filter_map(|viewer| legs.get(*viewer))
            .any(|leg| leg.leg.is_connected() && leg.subscription(key).is_some_and(|subscription| subscription.waits()))
    }

    /// Asks the source for a key frame, unless it was asked a moment ago.
    pub(crate) fn ask(
        &mut self,
        why: Ask,
        now: Instant,
        legs: &mut Legs,
        events: &mut EventQueue,
        mails: &mut Mails,
        stats: &mut ShardStats,
    ) {
        let interval = if why == Ask::Waiting { ASK_WAITING } else { ASK_LOST };
        if self.codec.kind() == Kind::Audio || self.asked.is_some_and(|at| now.saturating_duration_since(at) < interval)
        {
            return;
        }
        self.asked = Some(now);
        if let Source::Remote { at, .. } = self.source {
            return mails.post(at, Letter::Ask { track: self.id, why });
        }
        stats.key_frames_requested += 1;
        match self.source {
            Source::Fed | Source::Remote { .. } => events.key_frame_wanted(self.id),
            Source::Leg(id) => {
                if let Some((key, leg)) = legs.find_mut(id).filter(|(_, leg)| leg.leg.is_connected()) {
                    leg.leg.request_key_frame(Kind::Video, 0);
                    legs.wrote(key);
                }
            }
        }
    }
}
