//! One track: where its packets come from, what is kept of them, and who gets them.

use std::time::{Duration, Instant};

use media::{Codec, Kind, RtpPacket};

use crate::{
    ring::{Added, Entry, Limits, Ring},
    shard::{EventQueue, LegId, Legs, TrackId},
    stats::ShardStats,
    subscription::{CatchUp, Subscription, rtp_rate_hz},
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
}

/// One track.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    pub(crate) codec: Codec,
    pub(crate) source: Source,
    pub(crate) tapped: bool,
    ring: Ring,
    viewers: Vec<Subscription>,
    asked: Option<Instant>,
}

impl Track {
    pub(crate) fn new(id: TrackId, codec: Codec) -> Self {
        Self { id, codec, source: Source::Fed, tapped: false, ring: Ring::default(), viewers: Vec::new(), asked: None }
    }

    /// Adds a viewer; it gets packets from `start` on.
    pub(crate) fn add(&mut self, leg: LegId) {
        if !self.viewers.iter().any(|viewer| viewer.leg == leg) {
            self.viewers.push(Subscription::new(leg, self.codec));
        }
    }

    pub(crate) fn remove(&mut self, leg: LegId) {
        self.viewers.retain(|viewer| viewer.leg != leg);
    }

    pub(crate) fn viewers(&self) -> impl Iterator<Item = LegId> + '_ {
        self.viewers.iter().map(|viewer| viewer.leg)
    }

    /// A viewer is connected: sound is live at once, the picture begins with the key frame that is kept.
    pub(crate) fn start(
        &mut self,
        leg: LegId,
        now: Instant,
        legs: &mut Legs,
        events: &mut EventQueue,
        stats: &mut ShardStats,
    ) {
        let Some(viewer) = self.viewers.iter_mut().find(|viewer| viewer.leg == leg && viewer.waits()) else { return };
        if self.codec.kind() == Kind::Audio {
            viewer.start_live();
        } else if viewer.start_from(&self.ring) {
            stats.starts_from_ring += 1;
            self.catch_up(now, legs, stats);
        } else {
            self.ask(now, ASK_WAITING, legs, events, stats);
        }
    }

    /// A packet came.
    pub(crate) fn push(
        &mut self,
        packet: RtpPacket,
        now: Instant,
        legs: &mut Legs,
        events: &mut EventQueue,
        stats: &mut ShardStats,
    ) {
        stats.packets_in += 1;
        let entry = Entry::new(&packet);
        let added = match self.codec.kind() {
            Kind::Audio => Added::Kept,
            Kind::Video => {
                let limits = if self.source == Source::Fed { FED } else { ASKABLE };
                self.ring.push(&entry, packet.key_start, rtp_rate_hz(self.codec), limits)
            }
        };
        for viewer in &mut self.viewers {
            let Some(leg) = legs.connected(viewer.leg) else { continue };
            if viewer.waits() && (added == Added::Key || self.codec.kind() == Kind::Audio) {
                viewer.begin_with(&entry);
            }
            match viewer.live(&entry, &mut leg.leg, now) {
                Ok(true) => {
                    stats.packets_forwarded += 1;
                    leg.stats.packets_out += 1;
                    legs.wrote(viewer.leg);
                }
                Ok(false) => {}
                Err(reason) => stats.drop(reason),
            }
        }
        if self.tapped {
            events.packet(self.id, packet);
        }
    }

    /// Sends the next part of every backlog. True where there is more to send in the next tick.
    pub(crate) fn catch_up(&mut self, now: Instant, legs: &mut Legs, stats: &mut ShardStats) -> bool {
        let mut more = false;
        for viewer in self.viewers.iter_mut().filter(|viewer| viewer.is_behind()) {
            let Some(leg) = legs.connected(viewer.leg) else { continue };
            let mut count = CatchUp::default();
            viewer.catch_up(&self.ring, &mut leg.leg, now, &mut count);
            stats.packets_forwarded += count.sent;
            leg.stats.packets_out += count.sent;
            stats.jumps += count.jumped;
            count.dropped.iter().for_each(|reason| stats.drop(*reason));
            legs.wrote(viewer.leg);
            more |= viewer.is_behind();
        }
        more
    }

    /// Whether some viewer has a backlog.
    pub(crate) fn is_behind(&self) -> bool {
        self.viewers.iter().any(Subscription::is_behind)
    }

    /// A viewer lost its picture.
    pub(crate) fn lost(
        &mut self,
        leg: LegId,
        now: Instant,
        legs: &mut Legs,
        events: &mut EventQueue,
        stats: &mut ShardStats,
    ) {
        if self.source == Source::Fed
            && let Some(viewer) = self.viewers.iter_mut().find(|viewer| viewer.leg == leg)
            && viewer.replay(&self.ring, now)
        {
            stats.starts_from_ring += 1;
            self.catch_up(now, legs, stats);
            return;
        }
        self.ask(now, ASK_LOST, legs, events, stats);
    }

    /// Somebody outside needs a key frame.
    pub(crate) fn wanted(&mut self, now: Instant, legs: &mut Legs, events: &mut EventQueue, stats: &mut ShardStats) {
        self.ask(now, ASK_LOST, legs, events, stats);
    }

    /// Asks once more while viewers wait.
    pub(crate) fn tick(&mut self, now: Instant, legs: &mut Legs, events: &mut EventQueue, stats: &mut ShardStats) {
        if self.viewers.iter().any(|viewer| viewer.waits() && legs.is_connected(viewer.leg)) {
            self.ask(now, ASK_WAITING, legs, events, stats);
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        interval: Duration,
        legs: &mut Legs,
        events: &mut EventQueue,
        stats: &mut ShardStats,
    ) {
        if self.codec.kind() == Kind::Audio || self.asked.is_some_and(|at| now.saturating_duration_since(at) < interval)
        {
            return;
        }
        self.asked = Some(now);
        stats.key_frames_requested += 1;
        match self.source {
            Source::Fed => events.key_frame_wanted(self.id),
            Source::Leg(id) => {
                if let Some(leg) = legs.connected(id) {
                    leg.leg.request_key_frame(Kind::Video);
                    legs.wrote(id);
                }
            }
        }
    }
}
