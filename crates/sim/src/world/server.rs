//! The server's side: shards, what they are told and what they say.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use rtc::{Leg, Protocol};
use sfu::{Command, Event, Expect, Input, LegId, Mail, Output, Shard, TrackId};

use super::{Flying, Happening, Outcome, SERVER, World};
use crate::{
    link::{Arrivals, Class, Moment},
    random::hash,
};

/// A source is asked for a key frame this often at most.
const ASK_APART: Duration = Duration::from_millis(300);

/// Mail takes less than this.
const MAIL_US_MAX: u64 = 200;
/// The number of a leg or a track without its home.
const NUMBER: u64 = u64::MAX >> 8;

/// A shard and when it wants to be woken.
pub(super) struct Host {
    pub(super) shard: Shard,
    pub(super) timer: Moment,
}

impl Host {
    pub(super) fn new(index: usize, count: usize, now: Instant) -> Self {
        Self { shard: Shard::new(sfu::Config::default(), index, count, now), timer: Moment::ZERO }
    }
}

impl World<'_> {
    /// The shard that the kernel gives datagrams from this address to.
    fn hashed(&self, from: SocketAddr) -> usize {
        let IpAddr::V4(ip) = from.ip() else { return 0 };
        (hash(&[self.scenario.seed, ip.to_bits().into(), from.port().into()]) % self.hosts.len() as u64) as usize
    }

    /// A home for something new.
    pub(super) fn new_home(&self, number: u64) -> usize {
        (hash(&[self.scenario.seed, 4, number]) % self.hosts.len() as u64) as usize
    }

    pub(super) fn command(&mut self, command: Command) -> Outcome {
        let home = command.home().unwrap_or(0);
        self.tell(home, Input::Command(command))
    }

    /// All shards but its home learn of a leg.
    pub(super) fn expect(&mut self, id: LegId, leg: &Leg) -> Outcome {
        for at in (0..self.hosts.len()).filter(|at| *at != id.home()) {
            self.tell(at, Input::Command(Command::Expect(Expect::of(id, leg))))?;
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, at: usize, input: Input<'_>) -> Outcome {
        let now = self.instant();
        let Some(host) = self.hosts.get_mut(at) else { return Err(format!("something is for shard {at}")) };
        host.shard.handle(now, input, &mut self.out);
        self.drain_shard(at)
    }

    pub(super) fn reach_shard(&mut self, flying: &Flying) -> Outcome {
        let at = self.hashed(flying.outer);
        self.tell(at, Input::Datagram { proto: Protocol::Udp, from: flying.outer, to: SERVER, bytes: &flying.bytes })
    }

    /// Mail of a pair of shards keeps its order.
    fn carry(&mut self, from: usize, to: usize, mail: Mail) -> Outcome {
        if from == to || to >= self.hosts.len() {
            return Err(format!("shard {from} has mail for shard {to}"));
        }
        let at = self.now + Duration::from_micros(self.mail.below(MAIL_US_MAX));
        let last = self.posted.entry((from, to)).or_default();
        *last = at.max(*last);
        let at = *last;
        self.at(at, Happening::Mail(to, Box::new(mail)));
        Ok(())
    }

    pub(super) fn shard_timeout(&mut self, at: usize) -> Outcome {
        let now = self.instant();
        let Some(host) = self.hosts.get_mut(at) else { return Ok(()) };
        host.shard.handle(now, Input::Timeout, &mut self.out);
        self.drain_shard(at)?;
        match self.hosts.get(at) {
            Some(host) if host.timer <= self.now => Err(format!("shard {at} wants to be woken in the past")),
            _ => Ok(()),
        }
    }

    fn drain_shard(&mut self, at: usize) -> Outcome {
        loop {
            let Some(host) = self.hosts.get_mut(at) else { return Ok(()) };
            match host.shard.poll_output(&mut self.out) {
                Output::Full => self.send_batch()?,
                Output::Event(event) => self.shard_event(event)?,
                Output::Mail { to, mail } => self.carry(at, to, mail)?,
                Output::Timeout(timer) => {
                    host.timer = timer.saturating_duration_since(self.start);
                    return self.send_batch();
                }
            }
        }
    }

    fn send_batch(&mut self) -> Outcome {
        let datagrams: Vec<_> = self
            .out
            .runs()
            .flat_map(|run| run.datagrams().map(move |bytes| (run.protocol, run.to, bytes.to_vec())))
            .collect();
        self.out.clear();
        for (protocol, to, bytes) in datagrams {
            if protocol != Protocol::Udp {
                return Err(format!("a datagram was sent to {to} by {protocol:?}"));
            }
            let Some(place) = self.by_outer.get(&to).copied() else { continue };
            let now = self.now;
            let client = self.client(place)?;
            let class = Class::of(&bytes, client.repairs);
            // What goes to an address that it had before is lost.
            let has_moved = client.outer != to;
            let arrivals = if has_moved { Arrivals::default() } else { client.down.send(now, class, bytes.len()) };
            if let Class::Media(rtp) = class {
                let kind = if rtp.pt == client.sound_pt { media::Kind::Audio } else { media::Kind::Video };
                client.watch_mut(kind).sent(now, rtp, arrivals.first.is_none())?;
                let lost = u64::from(arrivals.first.is_none());
                let what = if kind == media::Kind::Audio { "is sent sound" } else { "is sent a picture" };
                self.trace.sign(now, what, place, rtp.seq.into(), lost);
            } else {
                let what = match class {
                    Class::Repair => "is sent a repair",
                    Class::Rtcp => "is sent RTCP",
                    Class::Stun => "is sent STUN",
                    _ => "is sent DTLS",
                };
                self.trace.note(now, what, place, bytes.len() as u64, u64::from(arrivals.first.is_none()));
            }
            for at in [arrivals.first, arrivals.second].into_iter().flatten() {
                let flying = Flying { client: place, to_server: false, outer: to, bytes: bytes.clone() };
                self.at(at, Happening::Arrival(flying));
            }
        }
        Ok(())
    }

    fn shard_event(&mut self, event: Event) -> Outcome {
        let now = self.now;
        match event {
            Event::Connected { leg } => {
                let Some(place) = self.place(leg) else { return Ok(()) };
                self.trace.note(now, "is connected", place, leg.0, 0);
                let client = self.client(place)?;
                if client.connected.replace(now).is_some() {
                    return Err(format!("{leg:?} connected twice"));
                }
                client.sound.begin(now);
                client.picture.begin(now);
            }
            Event::Ended { leg, reason } => {
                let Some(place) = self.place(leg) else { return Ok(()) };
                self.trace.note(now, "is over for the server", place, leg.0, 0);
                let goes_on = self.should_live(place);
                let client = self.client(place)?;
                if std::mem::replace(&mut client.forgotten, true) {
                    return Err(format!("{leg:?} ended twice"));
                }
                if goes_on {
                    return Err(format!("{leg:?} ended though its peer is there: {reason:?}"));
                }
                self.publisher_is_over(place)?;
            }
            Event::Packet { track, packet } => {
                let number = (track.0 & NUMBER) as u32;
                self.trace.note(now, "(track) comes", number as usize, packet.seq.0, packet.time.0.cast_unsigned());
                self.ledger.tap(now, number, &packet)?;
            }
            Event::KeyFrameWanted { track } => {
                let number = (track.0 & NUMBER) as u32;
                self.trace.note(now, "(track) wants a key frame", number as usize, 0, 0);
                self.ledger.ask(now, number, ASK_APART)?;
            }
            Event::Received { .. } | Event::Stats(_) => {}
            Event::IceRestarted { answer, .. } => return Err(format!("nobody restarted ICE: {answer:?}")),
        }
        Ok(())
    }

    fn place(&self, leg: LegId) -> Option<usize> {
        usize::try_from(leg.0 & NUMBER).ok()?.checked_sub(1)
    }

    pub(super) fn track_id(&self, track: u32) -> TrackId {
        TrackId::new(self.new_home(track.into()), track.into())
    }
}
