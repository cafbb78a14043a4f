//! The shard: a state machine over its legs and tracks. `handle` as many inputs as have come, then drain `poll_output`
//! until it returns a timeout.

mod census;
mod claim;
mod event;
mod flush;
mod home;
mod id;
mod layering;
mod legs;
mod mail;
mod remote;
mod tracks;
mod viewing;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use media::{Kind, RtpPacket};
use rtc::Batch;

pub use census::Census;
pub(crate) use event::EventQueue;
pub use event::{Command, Config, EndReason, Event, Input, Output, Pace};
use flush::Flush;
use home::Home;
pub use id::{LegId, SHARDS_MAX, TrackId};
use legs::LegState;
pub(crate) use legs::{LegKey, Legs};
pub use mail::{Care, Expect, Mail};
pub(crate) use mail::{Letter, Link, Mails, Parked};
use remote::Awaited;
pub(crate) use tracks::{TrackKey, Tracks};

use crate::{
    demux::{Demux, Found},
    stats::{Drop, LegStats, ShardStats},
    track::{Ask, Source},
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
    mails: Mails,
    flush: Flush,
    /// The tracks whose home is here, wherever their packets come from.
    homes: HashMap<TrackId, Home>,
    /// Tracks of other shards that viewers here wait for.
    awaited: HashMap<TrackId, Awaited>,
    /// How often this shard has asked to be attached to a track.
    watches: u32,
    care_at: Instant,
    stats_at: Instant,
    stats: ShardStats,
    now: Instant,
}

impl Shard {
    /// A shard without legs and tracks: the one of this index, of so many (`SHARDS_MAX` at most).
    pub fn new(config: Config, index: usize, count: usize, now: Instant) -> Self {
        Self {
            config,
            legs: Legs::new(now),
            tracks: Tracks::default(),
            demux: Demux::default(),
            events: EventQueue::default(),
            mails: Mails::new(index, count),
            homes: HashMap::new(),
            awaited: HashMap::new(),
            watches: 0,
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
                match self.demux.find(&self.legs, (proto, from), to, bytes, out) {
                    Ok(Found::Here(id)) => self.leg_input(id, rtc::Input::Datagram { proto, from, to, bytes }, out),
                    Ok(found) => self.not_here(found, (proto, from), to, bytes, out),
                    Err(reason) => self.stats.drop(reason),
                }
            }
            Input::Command(command) => self.command(command, out),
            Input::Mail(mail) => self.letter(mail.from, mail.letter, out),
            Input::Timeout => self.timeout(out),
        }
        self.tell_itself(out);
        self.count(before, out);
    }

    /// The next thing to do; a timeout says that there is nothing more until then. Packets that are due go to viewers
    /// here.
    pub fn poll_output(&mut self, out: &mut Batch) -> Output {
        let before = (out.datagrams(), out.bytes());
        let output = loop {
            self.tell_itself(out);
            // Mail before events: who acts on an event acts on what other shards have been told.
            if let Some((to, mail)) = self.mails.next() {
                break Output::Mail { to, mail };
            }
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

    /// Sends what is for the TCP connection of another shard's to that shard; true where it was. The caller does not send
    /// it then, and asks for mail once more.
    pub fn divert(&mut self, run: &rtc::Outbound<'_>) -> bool {
        if run.protocol != rtc::Protocol::Tcp {
            return false;
        }
        let Some(shard) = self.demux.tcp_at(run.to) else { return false };
        for datagram in run.datagrams() {
            self.stats.datagrams_crossed += 1;
            self.mails.post(shard, Letter::Transmit { to: run.to, bytes: datagram.into() });
        }
        true
    }

    /// Whether `poll_output` gives mail next.
    pub fn has_mail(&self) -> bool {
        self.mails.has_next()
    }

    /// Counts mail that may be lost and was.
    pub fn mail_lost(&mut self) {
        self.stats.drop(Drop::MailFull);
    }

    /// How many things are kept: legs, tracks, and what is known of those of other shards. 0 where nothing is left.
    pub fn kept(&self) -> usize {
        let attached: usize = self.tracks.iter().map(|track| track.attached.len() + track.viewers.len()).sum();
        let watchers: usize = self.homes.values().map(Home::watchers).sum();
        let tracks = self.tracks.len() + self.homes.len() + self.awaited.len();
        self.legs.len() + self.demux.kept() + tracks + attached + watchers
    }

    /// What was counted so far.
    pub fn stats(&self) -> ShardStats {
        let mut stats = self.stats.clone();
        stats.flights_repeated += self.legs.iter().map(|leg| leg.leg.flights_repeated()).sum::<u64>();
        stats.legs = (self.legs.len() + self.demux.parked()) as u64;
        stats.legs_connected = self.legs.iter().filter(|leg| leg.leg.is_connected()).count() as u64;
        stats.tracks = self.homes.len() as u64;
        let parked = self.demux.all_parked().map(|parked| LegStats::new(parked.id));
        stats.per_leg.reserve_exact(self.legs.len() + self.demux.parked());
        stats
            .per_leg
            .extend(self.legs.iter().map(|leg| LegStats { quality: leg.leg.quality(), ..leg.stats }).chain(parked));
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
                    if leg.leg.is_closed() {
                        // Without a timer: it would outlast the leg by as long as idle legs sleep.
                        return self.forget(key);
                    }
                    return self.legs.drained(key, at, self.now);
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
            rtc::Event::KeyFrameRequested { kind, .. } => {
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
        let Some(command) = self.for_leg(command, out) else { return };
        match command {
            Command::Expect(expect) => self.expect(expect),
            Command::AddLeg { id, leg } => self.park(id, leg),
            Command::RemoveLeg { id } => self.remove_leg(id, out),
            Command::AddTrack { id, codec, pace } => self.add_track(id, codec, pace),
            Command::RemoveTrack { id } => self.remove_track(id),
            Command::Bind { leg, kind, track } => self.bind(leg, kind, track),
            Command::Packets { track, packets } => {
                let track = self.tracks.key(track).filter(|_| self.is_origin(track));
                let Some(track) = track else { return self.stats.drop(Drop::NoSuchThing) };
                for packet in packets {
                    self.push(track, packet);
                }
            }
            Command::Subscribe { leg, track } => self.subscribe(leg, track),
            Command::Unsubscribe { leg, kind } => self.unsubscribe(leg, kind),
            Command::SetLayer { leg, kind, most } => self.set_layer(leg, kind, most),
            Command::Tap { track, on } => self.tap(track, on),
            Command::RequestKeyFrame { track } => match self.homes.get(&track).map(Home::origin) {
                Some(origin) => self.mails.post(origin, Letter::Ask { track, why: Ask::Lost, layer: None }),
                None => self.stats.drop(Drop::NoSuchThing),
            },
            Command::RestartIce { leg, fragment } => self.restart_ice(leg, &fragment, out),
        }
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
        self.stats.flights_repeated += leg.leg.flights_repeated();
        self.left(leg.id);
        for subscription in &leg.subscriptions {
            if let Some(track) = self.tracks.get_mut(subscription.track) {
                track.remove_viewer(key);
                self.unwatch_unseen(subscription.track);
            }
        }
        self.wait_no_more(leg.id);
        for track in self.tracks.iter_mut().filter(|track| track.source == Source::Leg(leg.id)) {
            track.source = Source::Fed;
        }
    }

    fn restart_ice(&mut self, id: LegId, fragment: &str, out: &mut Batch) {
        let Some((key, leg)) = self.legs.find_mut(id) else {
            let answer = Err("the connection is over".to_owned());
            return self.events.push(Event::IceRestarted { leg: id, answer });
        };
        let answer = leg.leg.restart_ice(fragment).map_err(|error| error.to_string());
        let renamed = answer.is_ok().then(|| Expect::of(id, &leg.leg));
        if let Some(expect) = renamed {
            self.renamed(expect);
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
            self.care_for_layers();
        }
        if self.stats_at <= self.now {
            self.stats_at = self.now + STATS_INTERVAL;
            self.every_second(out);
        }
    }

    fn every_second(&mut self, out: &mut Batch) {
        let (now, idle_max) = (self.now, self.config.idle_max);
        let idle = |leg: &&LegState| !leg.leg.is_connected() && now.saturating_duration_since(leg.added) > idle_max;
        let mut never: Vec<LegId> = self.legs.iter().filter(idle).map(|leg| leg.id).collect();
        never.extend(self.demux.unclaimed(now, idle_max));
        for id in never {
            self.command(Command::RemoveLeg { id }, out);
            self.events.push(Event::Ended { leg: id, reason: EndReason::NeverConnected });
        }
        for id in self.demux.overdue(now) {
            self.demux.remove(id);
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
        Self { leg, packets_in: 0, bytes_in: 0, packets_out: 0, bytes_out: 0, quality: rtc::Quality::default() }
    }
}
