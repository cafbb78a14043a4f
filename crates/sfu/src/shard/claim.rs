//! Which shard has which leg. A leg is answered before anybody knows which shard its peer's datagrams come to: it waits at
//! its home, any shard answers its peer's STUN requests, and the first that is sent a DTLS record by an address that has
//! proved itself gets the leg. What comes to another shard later, since the peer has moved, is passed on.

use std::net::SocketAddr;

use rtc::{Batch, Leg, Protocol, stun};

use super::{Command, EndReason, Event, Expect, LegId, Letter, Parked, Shard, legs::LegState};
use crate::{
    demux::{Found, Kept, Place},
    stats::Drop,
};

/// Datagrams of a leg that are kept while its home is asked for it: a flight of DTLS.
const KEPT_MAX: usize = 8;
/// Commands for a leg that nobody has yet.
const COMMANDS_MAX: usize = 64;

impl Shard {
    /// Another shard's leg may come here.
    pub(super) fn expect(&mut self, expect: Expect) {
        if self.demux.place(expect.id).is_some() || expect.id.home() == self.mails.index {
            return;
        }
        if self.demux.len() >= self.config.legs_max.saturating_mul(self.mails.count) {
            return self.stats.drop(Drop::Full);
        }
        // A leg that nobody claims its home gives up after `idle_max`, and says so; should the home never have got it,
        // nobody says anything.
        self.demux.add(expect, Place::Expected, Some(self.now + self.config.idle_max * 2));
    }

    /// A leg begins at its home.
    pub(super) fn park(&mut self, id: LegId, leg: Box<Leg>) {
        let full = self.legs.len() + self.demux.parked() >= self.config.legs_max;
        if full || self.demux.place(id).is_some() || id.home() != self.mails.index {
            self.stats.drop(Drop::Full);
            self.events.push(Event::Ended { leg: id, reason: EndReason::Full });
            return self.mails.post_all(|| Letter::Forget(id));
        }
        let expect = Expect::of(id, &leg);
        let parked = Parked { id, leg, commands: Vec::new(), added: self.now };
        self.demux.add(expect, Place::Parked(Box::new(parked)), None);
    }

    /// Hands back a command that is carried out here; one about a leg goes where the leg is.
    pub(super) fn for_leg(&mut self, command: Command, out: &mut Batch) -> Option<Command> {
        let Some(id) = command.leg().filter(|_| !matches!(command, Command::AddLeg { .. })) else {
            return Some(command);
        };
        match (self.demux.place(id), command) {
            (Some(Place::Here), command) => return Some(command),
            (Some(Place::At(shard)), command) if id.home() == self.mails.index => {
                self.mails.post(*shard, Letter::Command(Box::new(command)));
            }
            (Some(Place::Parked(_)), command) => self.for_parked(id, command, out),
            (_, Command::RemoveLeg { .. }) => {}
            (_, Command::RestartIce { .. }) => {
                let answer = Err("the connection is over".to_owned());
                self.events.push(Event::IceRestarted { leg: id, answer });
            }
            _ => self.stats.drop(Drop::NoSuchThing),
        }
        None
    }

    fn for_parked(&mut self, id: LegId, command: Command, out: &mut Batch) {
        let Some(parked) = self.demux.parked_mut(id) else { return };
        match command {
            Command::RemoveLeg { .. } => {
                self.demux.remove(id);
                self.mails.post_all(|| Letter::Forget(id));
            }
            Command::RestartIce { fragment, .. } => {
                let answer = parked.leg.restart_ice(&fragment).map_err(|error| error.to_string());
                while let rtc::Output::Event(_) = parked.leg.poll_output(out) {}
                let expect = Expect::of(id, &parked.leg);
                if answer.is_ok() {
                    self.renamed(expect);
                }
                self.events.push(Event::IceRestarted { leg: id, answer });
            }
            command if parked.commands.len() < COMMANDS_MAX => parked.commands.push(command),
            _ => self.stats.drop(Drop::Full),
        }
    }

    /// A leg of this shard restarted ICE.
    pub(super) fn renamed(&mut self, expect: Expect) {
        self.demux.rename(expect.id, &expect.ufrag, &expect.password);
        self.mails.post_all(|| Letter::Renamed(expect.clone()));
    }

    /// A leg of this shard is over.
    pub(super) fn left(&mut self, id: LegId) {
        self.demux.remove(id);
        if id.home() == self.mails.index {
            self.mails.post_all(|| Letter::Forget(id));
        } else {
            self.mails.post(id.home(), Letter::Left(id));
        }
    }

    /// A datagram of a leg that this shard does not have.
    pub(super) fn not_here(
        &mut self,
        found: Found,
        remote: (Protocol, SocketAddr),
        to: SocketAddr,
        bytes: &[u8],
        out: &mut Batch,
    ) {
        match found {
            Found::Here(_) | Found::Answered => {}
            Found::At(leg, shard) => self.pass_on(shard, leg, Kept::new(remote, to, bytes)),
            Found::Claims(id) => self.claim(id, Kept::new(remote, to, bytes), out),
        }
    }

    fn pass_on(&mut self, shard: usize, leg: LegId, datagram: Kept) {
        self.stats.datagrams_crossed += 1;
        self.mails.post(shard, Letter::Datagram { leg, datagram });
    }

    /// The peer of a leg that nobody has shows that it is here.
    fn claim(&mut self, id: LegId, datagram: Kept, out: &mut Batch) {
        // A request is kept with the address that it proves.
        let kept = if stun::is_stun(&datagram.bytes) { Vec::new() } else { vec![datagram] };
        match self.demux.place(id) {
            Some(Place::Parked(_)) => {
                let index = self.mails.index;
                if let Some((Place::Parked(parked), requests)) = self.demux.put(id, Place::Here) {
                    self.mails.post_all(|| Letter::Located { leg: id, at: index });
                    self.adopt(*parked, requests.into_iter().chain(kept), out);
                }
            }
            Some(Place::Expected) => {
                self.demux.put(id, Place::Asked(kept));
                self.mails.post(id.home(), Letter::Claim(id));
            }
            _ => {
                for datagram in kept {
                    if !self.demux.keep(id, datagram, KEPT_MAX) {
                        self.stats.drop(Drop::Unclaimed);
                    }
                }
            }
        }
    }

    /// The home gives a leg away, once.
    pub(super) fn claimed(&mut self, id: LegId, by: usize) {
        let index = self.mails.index;
        match self.demux.place(id) {
            Some(Place::Parked(_)) => {
                let Some((Place::Parked(parked), requests)) = self.demux.put(id, Place::At(by)) else { return };
                self.mails.post(by, Letter::Adopt(parked));
                self.mails.post_all(|| Letter::Located { leg: id, at: by });
                for request in requests {
                    self.pass_on(by, id, request);
                }
            }
            Some(Place::Here) => self.mails.post(by, Letter::Located { leg: id, at: index }),
            Some(Place::At(shard)) if *shard != by => {
                let at = *shard;
                self.mails.post(by, Letter::Located { leg: id, at });
            }
            Some(Place::At(_)) => {}
            Some(Place::Expected | Place::Asked(_)) | None => self.mails.post(by, Letter::Forget(id)),
        }
    }

    /// This shard gets a leg that it claimed.
    pub(super) fn given(&mut self, parked: Parked, out: &mut Batch) {
        let id = parked.id;
        if self.legs.len() >= self.config.legs_max {
            self.stats.drop(Drop::Full);
            self.events.push(Event::Ended { leg: id, reason: EndReason::Full });
            return self.left(id);
        }
        if self.demux.place(id).is_none() {
            self.demux.add(Expect::of(id, &parked.leg), Place::Expected, None);
        }
        let Some((old, requests)) = self.demux.put(id, Place::Here) else { return };
        let kept = if let Place::Asked(kept) = old { kept } else { Vec::new() };
        self.stats.legs_claimed += 1;
        self.adopt(parked, requests.into_iter().chain(kept), out);
    }

    /// A leg is driven here from now on. It is told what its peer has sent so far.
    fn adopt(&mut self, parked: Parked, datagrams: impl Iterator<Item = Kept>, out: &mut Batch) {
        let Parked { id, leg, commands, added } = parked;
        self.legs.insert(LegState::new(id, leg, added));
        for command in commands {
            self.command(command, out);
        }
        for datagram in datagrams {
            self.kept_input(id, &datagram, out);
        }
    }

    fn kept_input(&mut self, id: LegId, datagram: &Kept, out: &mut Batch) {
        let Kept { proto, from, to, bytes } = datagram;
        self.leg_input(id, rtc::Input::Datagram { proto: *proto, from: *from, to: *to, bytes }, out);
    }

    /// Another shard has a leg: it gets what its peer has sent here.
    pub(super) fn located(&mut self, id: LegId, at: usize) {
        if !matches!(self.demux.place(id), Some(Place::Expected | Place::Asked(_) | Place::At(_))) {
            return;
        }
        let Some((old, requests)) = self.demux.put(id, Place::At(at)) else { return };
        let kept = if let Place::Asked(kept) = old { kept } else { Vec::new() };
        for datagram in requests.into_iter().chain(kept) {
            self.pass_on(at, id, datagram);
        }
    }

    /// A leg of another shard's is over.
    pub(super) fn gone(&mut self, id: LegId) {
        if !matches!(self.demux.place(id), Some(Place::Here | Place::Parked(_))) {
            self.demux.remove(id);
        }
    }

    /// A datagram of a leg of this shard came to another.
    pub(super) fn passed_on(&mut self, from: usize, leg: LegId, datagram: &Kept, out: &mut Batch) {
        if !matches!(self.demux.place(leg), Some(Place::Here)) {
            return self.stats.drop(Drop::UnknownAddress);
        }
        if datagram.proto == Protocol::Tcp {
            self.demux.tcp_is_at(leg, datagram.from, from);
        }
        self.kept_input(leg, datagram, out);
    }
}
