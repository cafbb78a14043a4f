//! The other end of a leg: a browser that publishes or watches.

use std::{net::SocketAddr, time::Instant};

use media::{Codec, Kind};
use rtc::{Batch, CloseReason, Event, Input, Leg, Offering, Outgoing, Output, Protocol, Wanted, light};
use sfu::LegId;

use crate::{
    decoder::Decoder,
    link::{Link, Moment},
    watch::{Seen, Watch},
    world::Far,
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
    pub peer: Peer,
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
    /// Packets that came and were not looked at yet.
    pub(crate) seen: Vec<Seen>,
    /// What it makes of the picture.
    pub decoder: Decoder,
}

impl Client {
    /// A client that has its answer.
    pub(crate) fn new(
        role: Role,
        peer: Peer,
        leg: LegId,
        address: SocketAddr,
        (up, down): (Link, Link),
        now: Moment,
    ) -> Self {
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
            seen: Vec::new(),
            decoder: Decoder::default(),
        }
    }

    /// What it gets of a kind.
    pub(crate) fn watch_mut(&mut self, kind: Kind) -> &mut Watch {
        if kind == Kind::Audio { &mut self.sound } else { &mut self.picture }
    }

    /// A datagram came.
    pub(crate) fn datagram(&mut self, now: Instant, from: SocketAddr, bytes: &mut [u8]) {
        match &mut self.peer {
            Peer::Full(leg) => leg.handle(now, Input::Datagram { proto: Protocol::Udp, from, to: self.inner, bytes }),
            Peer::Light(viewer) => {
                viewer.handle(now, light::Input::Datagram { from, bytes }, &mut |packet| {
                    self.seen.push(Seen::of(packet))
                });
            }
        }
    }

    /// Time passed.
    pub(crate) fn timeout(&mut self, now: Instant) {
        match &mut self.peer {
            Peer::Full(leg) => leg.handle(now, Input::Timeout),
            Peer::Light(viewer) => {
                viewer.handle(now, light::Input::Timeout, &mut |packet| self.seen.push(Seen::of(packet)));
            }
        }
    }

    /// What happened, or when to wake it.
    pub(crate) fn poll(&mut self, out: &mut Batch) -> Result<Said, Instant> {
        if !self.seen.is_empty() {
            return Ok(Said::Seen(self.seen.remove(0)));
        }
        match &mut self.peer {
            Peer::Full(leg) => match leg.poll_output(out) {
                Output::Event(Event::Connected) => Ok(Said::Connected),
                Output::Event(Event::Packet { kind, packet }) => Ok(Said::Seen(Seen {
                    kind,
                    seq: packet.seq.wire(),
                    time: packet.time.0 as u32,
                    marker: packet.marker,
                    payload: packet.payload,
                })),
                Output::Event(Event::KeyFrameRequested { kind, layer }) => Ok(Said::KeyFrameRequested(kind, layer)),
                Output::Event(Event::Repair { .. }) => Ok(Said::Nothing),
                Output::Event(Event::Closed(reason)) => Ok(Said::Closed(reason)),
                Output::Timeout(at) => Err(at),
            },
            Peer::Light(viewer) => match viewer.poll_output(out) {
                light::Output::Event(light::Event::Connected) => Ok(Said::Connected),
                light::Output::Event(light::Event::Closed(reason)) => Ok(Said::Closed(reason)),
                light::Output::Event(_) => Ok(Said::Nothing),
                light::Output::Timeout(at) => Err(at),
            },
        }
    }
}

/// What a client has to say.
#[derive(Debug)]
pub(crate) enum Said {
    Connected,
    Seen(Seen),
    KeyFrameRequested(Kind, u8),
    Closed(CloseReason),
    Nothing,
}

/// The client's end of a connection.
#[derive(Debug)]
pub(crate) enum Peer {
    Full(Box<Leg>),
    Light(Box<light::Viewer>),
}

impl Peer {
    pub(crate) fn is_connected(&self) -> bool {
        match self {
            Self::Full(leg) => leg.is_connected(),
            Self::Light(viewer) => viewer.is_connected(),
        }
    }

    pub(crate) fn codec(&self, kind: Kind) -> Option<Codec> {
        match self {
            Self::Full(leg) => leg.codec(kind),
            Self::Light(viewer) => viewer.codec(kind),
        }
    }

    pub(crate) fn close(&mut self) {
        match self {
            Self::Full(leg) => leg.close(),
            Self::Light(viewer) => viewer.close(),
        }
    }

    pub(crate) fn request_key_frame(&mut self) {
        match self {
            Self::Full(leg) => leg.request_key_frame(Kind::Video, 0),
            Self::Light(viewer) => viewer.request_key_frame(Kind::Video),
        }
    }

    /// Sends a packet, of a layer where there are some; what cannot be sent yet is lost, as in a browser.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        (kind, layer): (Kind, Option<u8>),
        packet: Outgoing<'_>,
        out: &mut Batch,
    ) {
        if let Self::Full(leg) = self {
            let _ = match layer {
                Some(layer) => leg.send_layer(now, layer, packet),
                None => leg.send(now, kind, packet, out),
            };
        }
    }
}

/// An offer that waits for its answer.
pub(crate) enum Offer {
    Full(Box<Offering>),
    Light(Box<light::Viewer>),
}

impl Offer {
    pub(crate) fn new(far: Far, config: &rtc::Config, wanted: Wanted, seed: u64, now: Instant) -> Result<Self, String> {
        match far {
            Far::Full => Offering::new(config, wanted, now)
                .map(|offering| Self::Full(Box::new(offering)))
                .map_err(|error| error.to_string()),
            Far::Light => {
                let local = config.candidates.first().map(|(_, address)| *address);
                let own = light::Config { local, ..light::Config::new(config.certificate.clone()) };
                Ok(Self::Light(Box::new(light::Viewer::new(&own, seed, now))))
            }
        }
    }

    pub(crate) fn sdp(&self) -> String {
        match self {
            Self::Full(offering) => offering.sdp().to_owned(),
            Self::Light(viewer) => viewer.offer(),
        }
    }

    pub(crate) fn accept(self, answer: &str, now: Instant) -> Result<Peer, String> {
        match self {
            Self::Full(offering) => {
                let leg = offering.accept(answer, now).map_err(|error| error.to_string())?;
                Ok(Peer::Full(Box::new(leg)))
            }
            Self::Light(mut viewer) => {
                viewer.accept(answer, now).map_err(|error| error.to_string())?;
                Ok(Peer::Light(viewer))
            }
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
