//! The other end of a leg: a browser that publishes or watches.

use std::{net::SocketAddr, time::Instant};

use media::Kind;
use rtc::{Batch, Event, Input, Leg, Outgoing, Output, Protocol};
use sfu::LegId;

use crate::{
    decoder::Decoder,
    link::{Link, Moment},
    watch::Watch,
};

/// What a client is for: the place of its stream or viewer in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Publishes this stream.
    Publisher(usize),
    /// Is this viewer.
    Viewer(usize),
}

/// A client and its links.
#[derive(Debug)]
pub(crate) struct Client {
    /// What it is for.
    pub role: Role,
    /// Its end of the connection.
    pub peer: Leg,
    /// The server's end.
    pub leg: LegId,
    /// Its address, as it knows it.
    pub inner: SocketAddr,
    /// Its address, as the server sees it.
    pub outer: SocketAddr,
    /// To the server.
    pub up: Link,
    /// From the server.
    pub down: Link,
    /// When it wants to be woken.
    pub timer: Moment,
    /// Payload types of retransmissions, a bit each.
    pub repairs: u128,
    /// Payload type of sound.
    pub sound_pt: u8,
    /// The stream that it watches.
    pub stream: Option<usize>,
    /// When its address changed last.
    pub rebound: Option<Moment>,
    /// It leaves, or is made to.
    pub left: bool,
    /// The server said that it is connected, at this time.
    pub connected: Option<Moment>,
    /// It left, or was told that it is over.
    pub gone: bool,
    /// The server forgot it.
    pub forgotten: bool,
    /// What it gets.
    pub sound: Watch,
    /// What it gets.
    pub picture: Watch,
    /// What it makes of the picture.
    pub decoder: Decoder,
}

impl Client {
    /// A client that has its answer.
    pub(crate) fn new(role: Role, peer: Leg, leg: LegId, address: SocketAddr, (up, down): (Link, Link), now: Moment) -> Self {
        Self {
            role,
            peer,
            leg,
            inner: address,
            outer: address,
            up,
            down,
            timer: now,
            repairs: 0,
            sound_pt: 0,
            stream: None,
            rebound: None,
            left: false,
            connected: None,
            gone: false,
            forgotten: false,
            sound: Watch::new(Kind::Audio),
            picture: Watch::new(Kind::Video),
            decoder: Decoder::default(),
        }
    }

    /// What it gets of a kind.
    pub(crate) fn watch_mut(&mut self, kind: Kind) -> &mut Watch {
        if kind == Kind::Audio { &mut self.sound } else { &mut self.picture }
    }

    /// A datagram came.
    pub(crate) fn datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.peer.handle(now, Input::Datagram { proto: Protocol::Udp, from, to: self.inner, bytes });
    }

    /// Time passed.
    pub(crate) fn timeout(&mut self, now: Instant) {
        self.peer.handle(now, Input::Timeout);
    }

    /// Sends a packet; what cannot be sent yet is lost, as in a browser.
    pub(crate) fn send(&mut self, now: Instant, kind: Kind, packet: Outgoing<'_>, out: &mut Batch) -> bool {
        self.peer.send(now, kind, packet, out).is_ok()
    }

    /// What happened, or when to wake it.
    pub(crate) fn poll(&mut self, out: &mut Batch) -> Result<Event, Instant> {
        match self.peer.poll_output(out) {
            Output::Event(event) => Ok(event),
            Output::Timeout(at) => Err(at),
        }
    }
}

/// The payload types of retransmissions that an SDP names, a bit each.
pub(crate) fn repairs(sdp: &str) -> u128 {
    let pts = sdp.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")?.split_once(' '));
    let pts = pts.filter(|(_, name)| name.to_ascii_lowercase().starts_with("rtx/"));
    pts.filter_map(|(pt, _)| pt.parse::<u32>().ok().filter(|pt| *pt < 128)).fold(0, |all, pt| all | 1 << pt)
}

/// The payload type of Opus in an SDP.
pub(crate) fn sound_pt(sdp: &str) -> u8 {
    let mut pts = sdp.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")?.split_once(' '));
    let opus = pts.find(|(_, name)| name.to_ascii_lowercase().starts_with("opus/"));
    opus.and_then(|(pt, _)| pt.parse().ok()).unwrap_or(0)
}
