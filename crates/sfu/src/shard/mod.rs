//! The shard: a state machine over its legs and tracks. `handle` as many inputs as have come, then drain `poll_output`
//! until it returns a timeout.

mod event;
mod legs;

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use media::{Kind, RtpPacket};
use rtc::{Leg, Transmit};

pub(crate) use event::EventQueue;
pub use event::{Command, Config, EndReason, Event, Input, LegId, Output, TrackId};
use legs::LegState;
pub(crate) use legs::Legs;

use crate::{
    demux::Demux,
    stats::{Drop, LegStats, ShardStats},
    track::{Source, Track},
};

/// Backlogs go out in ticks of this length.
const TICK: Duration = Duration::from_millis(1);
/// Legs that never connect, waiting viewers and statistics are looked after this often.
const CARE_INTERVAL: Duration = Duration::from_millis(100);
/// Statistics are told this often.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// One shard.
#[derive(Debug)]
pub struct Shard {
    config: Config,
    legs: Legs,
    tracks: HashMap<TrackId, Track>,
    demux: Demux,
    events: EventQueue,
    transmits: VecDeque<Transmit>,
    /// The leg whose output is being drained.
    draining: Option<LegId>,
    /// Tracks with viewers that have a backlog.
    behind: Vec<TrackId>,
    behind_at: Option<Instant>,
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
            legs: Legs::default(),
            tracks: HashMap::new(),
            demux: Demux::default(),
            events: EventQueue::default(),
            transmits: VecDeque::new(),
            draining: None,
            behind: Vec::new(),
            behind_at: None,
            care_at: now + CARE_INTERVAL,
            stats_at: now + STATS_INTERVAL,
            stats: ShardStats::default(),
            now,
        }
    }

    /// Takes a datagram, a command, or lets time pass.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        match input {
            Input::Datagram { proto, from, to, bytes } => {
                self.stats.datagrams_in += 1;
                self.stats.bytes_in += bytes.len() as u64;
                match self.demux.find(&self.legs, (proto, from), to, bytes) {
                    Ok(id) => self.datagram(id, rtc::Input::Datagram { proto, from, to, bytes }),
                    Err(reason) => self.stats.drop(reason),
                }
            }
            Input::Command(command) => self.command(command),
            Input::Timeout => self.timeout(),
        }
    }

    /// The next thing to do; a timeout says that there is nothing more until then.
    pub fn poll_output(&mut self) -> Output {
        loop {
            if let Some(event) = self.events.pop() {
                return Output::Event(event);
            }
            if let Some(transmit) = self.transmits.pop_front() {
                return self.transmit(transmit);
            }
            let Some(id) = self.draining.take().or_else(|| self.legs.next_dirty()) else {
                return Output::Timeout(self.next_timeout());
            };
            if let Some(transmit) = self.drain_step(id) {
                self.draining = Some(id);
                return self.transmit(transmit);
            }
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> ShardStats {
        let mut stats = self.stats.clone();
        stats.legs = self.legs.len() as u64;
        stats.legs_connected = self.legs.iter().filter(|(_, leg)| leg.leg.is_connected()).count() as u64;
        stats.tracks = self.tracks.len() as u64;
        stats.per_leg = self.legs.iter().map(|(_, leg)| leg.stats).collect();
        stats
    }

    fn transmit(&mut self, transmit: Transmit) -> Output {
        self.stats.datagrams_out += 1;
        self.stats.bytes_out += transmit.bytes.len() as u64;
        Output::Transmit(transmit)
    }

    fn next_timeout(&self) -> Instant {
        let legs = self.legs.next_timer();
        [Some(self.care_at), self.behind_at, legs].into_iter().flatten().min().unwrap_or(self.care_at)
    }

    fn datagram(&mut self, id: LegId, input: rtc::Input<'_>) {
        // What was written before goes first: str0m wants a drain between any two inputs.
        if self.legs.get(id).is_some_and(LegState::is_dirty) {
            self.drain(id);
        }
        let Some(leg) = self.legs.get_mut(id) else { return };
        if let rtc::Input::Datagram { bytes, .. } = input {
            leg.stats.bytes_in += bytes.len() as u64;
        }
        leg.leg.handle(self.now, input);
        self.drain(id);
    }

    /// Drains a leg now; what it sends waits in `transmits`.
    fn drain(&mut self, id: LegId) {
        while let Some(transmit) = self.drain_step(id) {
            self.transmits.push_back(transmit);
        }
    }

    /// Drains a leg to its next datagram; `None` when it is drained.
    fn drain_step(&mut self, id: LegId) -> Option<Transmit> {
        loop {
            let leg = self.legs.get_mut(id)?;
            match leg.leg.poll_output() {
                rtc::Output::Transmit(transmit) => {
                    leg.stats.bytes_out += transmit.bytes.len() as u64;
                    return Some(transmit);
                }
                rtc::Output::Event(event) => self.leg_event(id, event),
                rtc::Output::Timeout(at) => {
                    self.legs.drained(id, at);
                    if self.legs.get(id).is_some_and(|leg| leg.leg.is_closed()) {
                        self.forget(id);
                    }
                    return None;
                }
            }
        }
    }

    fn leg_event(&mut self, id: LegId, event: rtc::Event) {
        match event {
            rtc::Event::Connected => {
                self.events.push(Event::Connected { leg: id });
                let subscribed = self.legs.get(id).map(|leg| leg.subscribed.clone()).unwrap_or_default();
                for track in subscribed {
                    self.start(id, track);
                }
            }
            rtc::Event::Packet { kind, packet } => self.received(id, kind, packet),
            rtc::Event::KeyFrameRequested { kind } => {
                let subscribed = self.legs.get(id).map(|leg| leg.subscribed.clone()).unwrap_or_default();
                for id_of_track in subscribed {
                    let Some(track) = self.tracks.get_mut(&id_of_track).filter(|track| track.codec.kind() == kind)
                    else {
                        continue;
                    };
                    track.lost(id, self.now, &mut self.legs, &mut self.events, &mut self.stats);
                    self.note_behind(id_of_track);
                }
            }
            rtc::Event::Closed(reason) => self.events.push(Event::Ended { leg: id, reason: EndReason::Closed(reason) }),
        }
    }

    fn received(&mut self, id: LegId, kind: Kind, packet: RtpPacket) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.stats.packets_in += 1;
        leg.alive = true;
        let bound = leg.bound(kind);
        match bound.and_then(|track| self.tracks.get_mut(&track)) {
            Some(track) => track.push(packet, self.now, &mut self.legs, &mut self.events, &mut self.stats),
            None => self.stats.drop(Drop::Unbound),
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::AddLeg { id, leg } => self.add_leg(id, *leg),
            Command::RemoveLeg { id } => self.remove_leg(id),
            Command::AddTrack { id, codec } => {
                if self.tracks.len() >= self.config.tracks_max {
                    self.stats.drop(Drop::Full);
                } else {
                    self.tracks.entry(id).or_insert_with(|| Track::new(id, codec));
                }
            }
            Command::RemoveTrack { id } => self.remove_track(id),
            Command::Bind { leg, kind, track } => {
                let (Some(state), Some(bound)) = (self.legs.get_mut(leg), self.tracks.get_mut(&track)) else {
                    return self.stats.drop(Drop::NoSuchThing);
                };
                state.bind(kind, track);
                bound.source = Source::Leg(leg);
            }
            Command::Packets { track, packets } => {
                let Some(track) = self.tracks.get_mut(&track) else { return self.stats.drop(Drop::NoSuchThing) };
                for packet in packets {
                    track.push(packet, self.now, &mut self.legs, &mut self.events, &mut self.stats);
                }
            }
            Command::Subscribe { leg, track } => self.subscribe(leg, track),
            Command::Unsubscribe { leg, kind } => {
                let Some(state) = self.legs.get_mut(leg) else { return };
                let tracks = &mut self.tracks;
                state.subscribed.retain(|id| {
                    let Some(track) = tracks.get_mut(id).filter(|track| track.codec.kind() == kind) else {
                        return true;
                    };
                    track.remove(leg);
                    false
                });
            }
            Command::Tap { track, on } => match self.tracks.get_mut(&track) {
                Some(track) => track.tapped = on,
                None => self.stats.drop(Drop::NoSuchThing),
            },
            Command::RequestKeyFrame { track } => match self.tracks.get_mut(&track) {
                Some(track) => track.wanted(self.now, &mut self.legs, &mut self.events, &mut self.stats),
                None => self.stats.drop(Drop::NoSuchThing),
            },
            Command::RestartIce { leg, fragment } => self.restart_ice(leg, &fragment),
        }
    }

    fn add_leg(&mut self, id: LegId, leg: Leg) {
        if self.legs.len() >= self.config.legs_max || self.legs.get(id).is_some() {
            self.stats.drop(Drop::Full);
            self.events.push(Event::Ended { leg: id, reason: EndReason::Full });
            return;
        }
        self.demux.add(id, leg.ufrag());
        self.legs.insert(id, LegState::new(id, leg, self.now));
    }

    fn remove_leg(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.leg.close();
        self.drain(id);
        self.events.forget_end(id);
    }

    /// Takes a leg that is over out of everything.
    fn forget(&mut self, id: LegId) {
        let Some(leg) = self.legs.remove(id) else { return };
        self.demux.remove(id);
        for track in &leg.subscribed {
            if let Some(track) = self.tracks.get_mut(track) {
                track.remove(id);
            }
        }
        for track in self.tracks.values_mut().filter(|track| track.source == Source::Leg(id)) {
            track.source = Source::Fed;
        }
    }

    fn remove_track(&mut self, id: TrackId) {
        let Some(track) = self.tracks.remove(&id) else { return };
        for viewer in track.viewers() {
            if let Some(leg) = self.legs.get_mut(viewer) {
                leg.subscribed.retain(|subscribed| *subscribed != id);
            }
        }
        if let Source::Leg(leg) = track.source
            && let Some(leg) = self.legs.get_mut(leg)
        {
            leg.unbind(id);
        }
    }

    fn subscribe(&mut self, leg: LegId, track: TrackId) {
        let (Some(state), Some(found)) = (self.legs.get_mut(leg), self.tracks.get_mut(&track)) else {
            return self.stats.drop(Drop::NoSuchThing);
        };
        found.add(leg);
        if !state.subscribed.contains(&track) {
            state.subscribed.push(track);
        }
        if state.leg.is_connected() {
            self.start(leg, track);
        }
    }

    fn start(&mut self, leg: LegId, track: TrackId) {
        if let Some(found) = self.tracks.get_mut(&track) {
            found.start(leg, self.now, &mut self.legs, &mut self.events, &mut self.stats);
            self.note_behind(track);
        }
    }

    fn restart_ice(&mut self, id: LegId, fragment: &str) {
        let Some(leg) = self.legs.get_mut(id) else {
            let answer = Err("the connection is over".to_owned());
            return self.events.push(Event::IceRestarted { leg: id, answer });
        };
        let answer = leg.leg.restart_ice(fragment).map_err(|error| error.to_string());
        if answer.is_ok() {
            self.demux.rename(id, leg.leg.ufrag());
        }
        self.drain(id);
        self.events.push(Event::IceRestarted { leg: id, answer });
    }

    fn note_behind(&mut self, id: TrackId) {
        let behind = self.tracks.get(&id).is_some_and(Track::is_behind);
        if behind && !self.behind.contains(&id) {
            self.behind.push(id);
            self.behind_at.get_or_insert(self.now + TICK);
        }
    }

    fn timeout(&mut self) {
        if self.behind_at.is_some_and(|at| at <= self.now) {
            let mut behind = std::mem::take(&mut self.behind);
            let (tracks, legs, stats, now) = (&mut self.tracks, &mut self.legs, &mut self.stats, self.now);
            behind.retain(|id| tracks.get_mut(id).is_some_and(|track| track.catch_up(now, legs, stats)));
            self.behind = behind;
            self.behind_at = (!self.behind.is_empty()).then(|| self.now + TICK);
        }
        while let Some(id) = self.legs.pop_timer(self.now) {
            self.datagram(id, rtc::Input::Timeout);
        }
        if self.care_at <= self.now {
            self.care_at = self.now + CARE_INTERVAL;
            for track in self.tracks.values_mut() {
                track.tick(self.now, &mut self.legs, &mut self.events, &mut self.stats);
            }
        }
        if self.stats_at <= self.now {
            self.stats_at = self.now + STATS_INTERVAL;
            self.every_second();
        }
    }

    fn every_second(&mut self) {
        let (now, idle_max) = (self.now, self.config.idle_max);
        let idle = |leg: &LegState| !leg.leg.is_connected() && now.saturating_duration_since(leg.added) > idle_max;
        let never: Vec<LegId> = self.legs.iter().filter(|(_, leg)| idle(leg)).map(|(id, _)| *id).collect();
        for id in never {
            self.remove_leg(id);
            self.events.push(Event::Ended { leg: id, reason: EndReason::NeverConnected });
        }
        for (id, leg) in self.legs.iter_mut() {
            if std::mem::take(&mut leg.alive) {
                self.events.push(Event::Received { leg: *id });
            }
        }
        let stats = self.stats();
        self.events.push(Event::Stats(stats));
    }
}

impl LegStats {
    fn new(leg: LegId) -> Self {
        Self { leg, packets_in: 0, bytes_in: 0, packets_out: 0, bytes_out: 0 }
    }
}
