//! A viewer: offers to receive, and says what it gets.

use std::{net::SocketAddr, time::Instant};

use media::Kind;
use rtc::{Config, Event, Input, Leg, Offering, Output, Protocol, Wanted};

use super::socket::Socket;

/// Something that a viewer was told or given.
pub(crate) enum Happened<'a> {
    /// ICE and DTLS are done.
    Connected,
    /// A packet.
    Packet(Kind, &'a [u8]),
    /// The connection is over.
    Closed(String),
}

/// A viewer whose offer is on its way.
pub(crate) struct Pending(Offering);

/// A viewer.
pub(crate) struct Peer(Leg);

impl Pending {
    pub(crate) fn new(config: &Config, now: Instant) -> anyhow::Result<Self> {
        Ok(Self(Offering::new(config, Wanted::Receive, now)?))
    }

    pub(crate) fn sdp(&self) -> &str {
        self.0.sdp()
    }

    pub(crate) fn accept(self, answer: &str, now: Instant) -> anyhow::Result<Peer> {
        Ok(Peer(self.0.accept(answer, now)?))
    }
}

impl Peer {
    pub(crate) fn datagram(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.0.handle(now, Input::Datagram { proto: Protocol::Udp, from, to, bytes });
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.0.handle(now, Input::Timeout);
    }

    pub(crate) fn close(&mut self) {
        self.0.close();
    }

    /// Sends what is to be sent and says what happened; returns when to call `timeout`.
    pub(crate) fn drain(&mut self, socket: &Socket, happened: &mut dyn FnMut(Happened<'_>)) -> Instant {
        loop {
            match self.0.poll_output() {
                Output::Transmit(transmit) => socket.send(transmit.to, &transmit.bytes),
                Output::Event(Event::Connected) => happened(Happened::Connected),
                Output::Event(Event::Packet { kind, packet }) => happened(Happened::Packet(kind, &packet.payload)),
                Output::Event(Event::Closed(why)) => happened(Happened::Closed(format!("{why:?}"))),
                Output::Event(_) => {}
                Output::Timeout(at) => return at,
            }
        }
    }
}
