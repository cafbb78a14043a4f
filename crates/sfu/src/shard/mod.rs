//! The shard: a state machine over its legs and tracks. `handle` as many inputs as have come, then drain `poll_output`
//! until it returns a timeout.

mod census;
mod event;
mod flush;
mod legs;
mod tracks;

use std::time::{Duration, Instant};

use media::{Kind, RtpPacket};
use rtc::{Batch, Leg};

pub use census::Census;
pub(crate) use event::EventQueue;
pub use event::{Command, Config, EndReason, Event, Input, LegId, Output, Pace, TrackId};
use flush::Flush;
use legs::LegState;
pub(crate) use legs::{LegKey, Legs};
pub(crate) use tracks::{TrackKey, Tracks};

use crate::{
    demux::Demux,
    stats::{Drop, LegStats, ShardStats},
    subscription::Subscription,
    track::{Ask, Source, Track},
};

/// Legs that never connect, waiting viewers and statistics are looked after this often.
const CARE_INTERVAL: Duration = Duration::from_millis(100);
/// Statistics are told this often.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// One shard. What it sends it writes into the batch that is handed to `handle` and `poll_output`; the caller sends the
/// batch when it is full and when there is nothing more to do.
#[derive(Debug)]
pub struct Shard {
    config: Config,
    legs: Legs,
    tracks: Tracks,
    demux: Demux,
    events: EventQueue,
    flush: Flush,
    care_at: Instant,
    stats_at: Instant,
    stats: ShardStats,
    now: Instant,
}

impl Shard {
    /// A shard without legs and tracks.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            config,
            legs: Legs::new(now),
            tracks: Tracks::default(),
            demux: Demux::default(),
            events: EventQueue::default(),
            flush: Flush::new(now),
            care_at: now + CARE_INTERVAL,
            stats_at: now + STATS_INTERVAL,
            stats: ShardStats::default(),
            now,
        }
    }

    /// Takes a datagram, a command, or lets time pass. Several inputs may be taken before `poll_output`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Batch) {
        self.now = self.now.max(now);
        let before = (out.datagrams(), out.bytes());
        match input {
            Input::Datagram { proto, from, to, bytes } => {
                self.stats.datagrams_in += 1;
                self.stats.bytes_in += bytes.len() as u64;
                match self.demux.find(&self.legs, (proto, from), to, bytes) {
                    Ok(id) => self.leg_input(id, rtc::Input::Datagram { proto, from, to, bytes }, out),
                    Err(reason) => self.stats.drop(reason),
                }
            }
            Input::Command(command) => self.command(command, out),
            Input::Timeout => self.timeout(out),
        }
        self.count(before, out);
    }

    /// The next thing to do; a timeout says that there is nothing more until then. Packets that are due go to viewers
    /// here.
    pub fn poll_output(&mut self, out: &mut Batch) -> Output {
        let before = (out.datagrams(), out.bytes());
        let output = loop {
            if let Some(event) = self.events.pop() {
                break Output::Event(event);
            }
            if out.is_full() {
                break Output::Full;
            }
            if self.flush_step(out) {
                continue;
            }
            let Some(key) = self.legs.next_dirty() else { break Output::Timeout(self.next_timeout()) };
            self.drain(key, out);
        };
        self.count(before, out);
        output
    }

    /// What was counted so far.
    pub fn stats(&self) -> ShardStats {
        let mut stats = self.stats.clone();
        stats.legs = self.legs.len() as u64;
        stats.legs_connected = self.legs.iter().filter(|leg| leg.leg.is_connected()).count() as u64;
        stats.tracks = self.tracks.len() as u64;
        stats.per_leg = self.legs.iter().map(|leg| leg.stats).collect();
        stats
    }

    fn count(&mut self, (datagrams, bytes): (usize, usize), out: &Batch) {
        self.stats.datagrams_out += (out.datagrams() - datagrams) as u64;
        self.stats.bytes_out += (out.bytes() - bytes) as u64;
    }

    fn next_timeout(&self) -> Instant {
        let other = [self.legs.next_timer(), self.flush.next()];
        other.into_iter().flatten().fold(self.care_at.min(self.stats_at), Instant::min)
    }

    fn leg_input(&mut self, id: LegId, input: rtc::Input<'_>, out: &mut Batch) {
        let Some(key) = self.legs.key(id) else { return };
        if self.legs.get(key).is_some_and(LegState::is_dirty) {
            // A leg is drained between any two inputs.
            self.drain(key, out);
        }
        let Some(leg) = self.legs.get_mut(key) else { return };
        if let rtc::Input::Datagram { bytes, .. } = input {
            leg.stats.bytes_in += bytes.len() as u64;
        }
        leg.leg.handle(self.now, input);
        self.drain(key, out);
    }

    /// Takes everything that a leg has to say.
    fn drain(&mut self, key: LegKey, out: &mut Batch) {
        loop {
            let Some(leg) = self.legs.get_mut(key) else { return };
            let before = out.bytes();
            let output = leg.leg.poll_output(out);
            leg.stats.bytes_out += (out.bytes() - before) as u64;
            match output {
                rtc::Output::Event(event) => {
                    let id = leg.id;
                    self.leg_event(key, id, event, out);
                }
                rtc::Output::Timeout(at) => {
                    let closed = leg.leg.is_closed();
                    self.legs.drained(key, at);
                    if closed {
                        self.forget(key);
                    }
                    return;
                }
            }
        }
    }

    fn leg_event(&mut self, key: LegKey, id: LegId, event: rtc::Event, out: &mut Batch) {
        match event {
            rtc::Event::Connected => {
                self.events.push(Event::Connected { leg: id });
                for track in self.tracks_of(key) {
                    self.start(key, track);
                }
            }
            rtc::Event::Packet { kind, packet } => self.received(key, kind, packet),
            rtc::Event::KeyFrameRequested { kind } => {
                for track in self.tracks_of(key) {
                    if self.tracks.get(track).is_some_and(|track| track.codec.kind() == kind) {
                        self.lost(key, track);
                    }
                }
            }
            rtc::Event::Repair { kind, numbers } => self.repair(key, kind, &numbers, out),
            rtc::Event::Closed(reason) => self.events.push(Event::Ended { leg: id, reason: EndReason::Closed(reason) }),
        }
    }

    fn tracks_of(&self, key: LegKey) -> smallvec::SmallVec<[TrackKey; 2]> {
        let leg = self.legs.get(key);
        leg.into_iter().flat_map(|leg| leg.subscriptions.iter().map(|subscription| subscription.track)).collect()
    }

    fn received(&mut self, key: LegKey, kind: Kind, packet: RtpPacket) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        leg.stats.packets_in += 1;
        leg.alive = true;
        match leg.bound(kind).and_then(|track| self.tracks.key(track)) {
            Some(track) => self.push(track, packet),
            None => self.stats.drop(Drop::Unbound),
        }
    }

    fn command(&mut self, command: Command, out: &mut Batch) {
        match command {
            Command::AddLeg { id, leg } => self.add_leg(id, leg),
            Command::RemoveLeg { id } => self.remove_leg(id, out),
            Command::AddTrack { id, codec, pace } => {
                if self.tracks.len() >= self.config.tracks_max {
                    self.stats.drop(Drop::Full);
                } else {
                    self.tracks.insert(Track::new(id, codec, pace));
                }
            }
            Command::RemoveTrack { id } => self.remove_track(id),
            Command::Bind { leg, kind, track } => self.bind(leg, kind, track),
            Command::Packets { track, packets } => {
                let Some(track) = self.tracks.key(track) else { return self.stats.drop(Drop::NoSuchThing) };
                for packet in packets {
                    self.push(track, packet);
                }
            }
            Command::Subscribe { leg, track } => self.subscribe(leg, track),
            Command::Unsubscribe { leg, kind } => self.unsubscribe(leg, kind),
            Command::Tap { track, on } => match self.tracks.find_mut(track) {
                Some((_, track)) => track.tapped = on,
                None => self.stats.drop(Drop::NoSuchThing),
            },
            Command::RequestKeyFrame { track } => match self.tracks.key(track) {
                Some(track) => self.ask(track, Ask::Lost),
                None => self.stats.drop(Drop::NoSuchThing),
            },
            Command::RestartIce { leg, fragment } => self.restart_ice(leg, &fragment, out),
        }
    }

    fn add_leg(&mut self, id: LegId, leg: Box<Leg>) {
        if self.legs.len() >= self.config.legs_max || self.legs.key(id).is_some() {
            self.stats.drop(Drop::Full);
            self.events.push(Event::Ended { leg: id, reason: EndReason::Full });
            return;
        }
        self.demux.add(id, leg.ufrag());
        self.legs.insert(LegState::new(id, leg, self.now));
    }

    fn remove_leg(&mut self, id: LegId, out: &mut Batch) {
        let Some((key, leg)) = self.legs.find_mut(id) else { return };
        leg.leg.close();
        self.drain(key, out);
        self.events.forget_end(id);
    }

    /// Takes a leg that is over out of everything.
    fn forget(&mut self, key: LegKey) {
        let Some(leg) = self.legs.remove(key) else { return };
        self.demux.remove(leg.id);
        for subscription in &leg.subscriptions {
            if let Some(track) = self.tracks.get_mut(subscription.track) {
                track.remove_viewer(key);
            }
        }
        for track in self.tracks.iter_mut().filter(|track| track.source == Source::Leg(leg.id)) {
            track.source = Source::Fed;
        }
    }

    fn remove_track(&mut self, id: TrackId) {
        let Some((key, track)) = self.tracks.remove(id) else { return };
        for viewer in &track.viewers {
            if let Some(leg) = self.legs.get_mut(*viewer) {
                leg.subscriptions.retain(|subscription| subscription.track != key);
            }
        }
        if let Source::Leg(leg) = track.source
            && let Some((_, leg)) = self.legs.find_mut(leg)
        {
            leg.unbind(id);
        }
    }

    fn bind(&mut self, leg: LegId, kind: Kind, track: TrackId) {
        let (Some((_, state)), Some((_, bound))) = (self.legs.find_mut(leg), self.tracks.find_mut(track)) else {
            return self.stats.drop(Drop::NoSuchThing);
        };
        state.bind(kind, track);
        bound.source = Source::Leg(leg);
    }

    fn subscribe(&mut self, leg: LegId, track: TrackId) {
        let (Some((key, state)), Some((place, found))) = (self.legs.find_mut(leg), self.tracks.find_mut(track)) else {
            return self.stats.drop(Drop::NoSuchThing);
        };
        if state.subscription(place).is_none() {
            state.subscriptions.push(Subscription::new(place, found.codec));
            found.viewers.push(key);
        }
        if state.leg.is_connected() {
            self.start(key, place);
        }
    }

    fn unsubscribe(&mut self, leg: LegId, kind: Kind) {
        let Some((key, state)) = self.legs.find_mut(leg) else { return };
        let tracks = &mut self.tracks;
        state.subscriptions.retain(|subscription| {
            if subscription.codec.kind() != kind {
                return true;
            }
            if let Some(track) = tracks.get_mut(subscription.track) {
                track.remove_viewer(key);
            }
            false
        });
    }

    /// A viewer is connected: sound is live at once, the picture begins with the key frame that is kept.
    fn start(&mut self, leg: LegKey, track: TrackKey) {
        let (Some(state), Some(found)) = (self.legs.get_mut(leg), self.tracks.get(track)) else { return };
        let Some(subscription) = state.subscription_mut(track).filter(|subscription| subscription.waits()) else {
            return;
        };
        if found.codec.kind() == Kind::Audio {
            subscription.start_live(&found.ring);
        } else if subscription.start_from(&found.ring) {
            self.stats.starts_from_ring += 1;
            self.flush.ready(leg);
        } else {
            self.ask(track, Ask::Waiting);
        }
    }

    /// A viewer lost its picture.
    fn lost(&mut self, leg: LegKey, track: TrackKey) {
        let (Some(state), Some(found)) = (self.legs.get_mut(leg), self.tracks.get(track)) else { return };
        if found.source == Source::Fed
            && let Some(subscription) = state.subscription_mut(track)
            && subscription.replay(&found.ring, self.now)
        {
            self.stats.starts_from_ring += 1;
            self.flush.ready(leg);
            return;
        }
        self.ask(track, Ask::Lost);
    }

    fn ask(&mut self, track: TrackKey, why: Ask) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.ask(why, self.now, &mut self.legs, &mut self.events, &mut self.stats);
        }
    }

    /// A viewer misses packets; the ring has them.
    fn repair(&mut self, leg: LegKey, kind: Kind, numbers: &[u16], out: &mut Batch) {
        let Some(state) = self.legs.get_mut(leg) else { return };
        let Some(subscription) = state.subscriptions.iter().find(|subscription| subscription.codec.kind() == kind)
        else {
            return;
        };
        let Some(track) = self.tracks.get(subscription.track) else { return };
        for number in numbers {
            match subscription.repair(&track.ring, *number, &mut state.leg, self.now, out) {
                Ok(()) => self.stats.packets_repaired += 1,
                Err(reason) => self.stats.drop(reason),
            }
        }
    }

    /// A packet came into a track.
    fn push(&mut self, key: TrackKey, packet: RtpPacket) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        self.stats.packets_in += 1;
        let due = track.due;
        let beginning = track.push(packet, self.now, &mut self.events);
        if let Some(at) = track.due.filter(|at| due != Some(*at)) {
            self.flush.due(key, at, self.now);
        }
        let Some(beginning) = beginning else { return };
        for viewer in &track.viewers {
            let Some(leg) = self.legs.get_mut(*viewer).filter(|leg| leg.leg.is_connected()) else { continue };
            if let Some(subscription) = leg.subscription_mut(key).filter(|subscription| subscription.waits()) {
                subscription.begin_live(beginning.place, beginning.time);
            }
        }
    }

    fn restart_ice(&mut self, id: LegId, fragment: &str, out: &mut Batch) {
        let Some((key, leg)) = self.legs.find_mut(id) else {
            let answer = Err("the connection is over".to_owned());
            return self.events.push(Event::IceRestarted { leg: id, answer });
        };
        let answer = leg.leg.restart_ice(fragment).map_err(|error| error.to_string());
        if answer.is_ok() {
            self.demux.rename(id, leg.leg.ufrag());
        }
        self.drain(key, out);
        self.events.push(Event::IceRestarted { leg: id, answer });
    }

    fn timeout(&mut self, out: &mut Batch) {
        while let Some(key) = self.legs.pop_timer(self.now) {
            if let Some(id) = self.legs.get(key).map(|leg| leg.id) {
                self.leg_input(id, rtc::Input::Timeout, out);
            }
        }
        if self.care_at <= self.now {
            self.care_at = self.now + CARE_INTERVAL;
            for key in self.tracks.keys() {
                if self.tracks.get(key).is_some_and(|track| track.has_waiting(key, &self.legs)) {
                    self.ask(key, Ask::Waiting);
                }
            }
        }
        if self.stats_at <= self.now {
            self.stats_at = self.now + STATS_INTERVAL;
            self.every_second(out);
        }
    }

    fn every_second(&mut self, out: &mut Batch) {
        let (now, idle_max) = (self.now, self.config.idle_max);
        let idle = |leg: &&LegState| !leg.leg.is_connected() && now.saturating_duration_since(leg.added) > idle_max;
        let never: Vec<LegId> = self.legs.iter().filter(idle).map(|leg| leg.id).collect();
        for id in never {
            self.remove_leg(id, out);
            self.events.push(Event::Ended { leg: id, reason: EndReason::NeverConnected });
        }
        for leg in self.legs.iter_mut() {
            if std::mem::take(&mut leg.alive) {
                self.events.push(Event::Received { leg: leg.id });
            }
        }
        let stats = self.stats();
        self.events.push(Event::Stats(Box::new(stats)));
    }
}

impl LegStats {
    fn new(leg: LegId) -> Self {
        Self { leg, packets_in: 0, bytes_in: 0, packets_out: 0, bytes_out: 0 }
    }
}
