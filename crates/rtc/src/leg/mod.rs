//! The door of both legs: our own for who only receives, str0m's for everybody else.

mod event;
pub(crate) mod quality;

use std::{fmt, net::SocketAddr, sync::Arc, time::Instant};

use media::{Codec, Kind, WallTime};

use crate::{
    batch::Batch,
    config::{Config, Protocol, Purpose, ViewerLeg},
    error::{NotSent, OfferError, RestartError},
    full::Full,
    sdp::Answer,
    view::View,
};
pub use event::{CloseReason, Event, Input, Output};
pub use quality::{Delivery, Quality};

/// RTP payloads sent at most: what fits a datagram of 1,500 bytes with all headers. Senders that we know stay below 1,250.
pub const PAYLOAD_BYTES_MAX: usize = 1_400;

/// A packet for a viewer; what differs from viewer to viewer is rewritten already.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The coding.
    pub codec: Codec,
    /// Sequence number of this viewer, extended. It starts below 65,536, or SRTP does not decrypt (RFC 3711 section
    /// 3.3.1), and may go back for packets that come late.
    pub seq: u64,
    /// RTP timestamp.
    pub time: u32,
    /// Capture time on our wall clock that belongs to `time`: it goes into sender reports, so that players play the
    /// tracks in step.
    pub wall: WallTime,
    /// RTP marker bit.
    pub marker: bool,
    /// The payload, shared by all viewers: nothing is copied before encryption.
    pub payload: &'a Arc<[u8]>,
    /// Bytes of padding behind it (RFC 3550 section 5.1), so that the packets of a frame are equally long and leave in one
    /// run. Only our own leg heeds it.
    pub padding: u8,
    /// Level of RFC 6464 in -dBov.
    pub audio_level: Option<u8>,
}

/// One WebRTC peer. Every `handle` or request is followed by `poll_output` until it returns a timeout, before the next
/// `handle`; several sends may go before one drain, and need none where `wants_drain` says so.
pub struct Leg(Kept);

enum Kept {
    Full(Box<Full>),
    View(Box<View>),
}

/// Calls the same method of whichever leg it is.
macro_rules! either {
    ($leg:expr, $one:ident => $call:expr) => {
        match $leg {
            Kept::Full($one) => $call,
            Kept::View($one) => $call,
        }
    };
}

impl Leg {
    /// Answers an SDP offer: ICE-lite, one bundle, DTLS passive unless the offer is passive.
    ///
    /// # Errors
    /// Says in a sentence what is wrong with the offer, or why this stream cannot serve it.
    pub fn answer(config: &Config, offer: &str, purpose: Purpose, now: Instant) -> Result<(Self, Answer), OfferError> {
        if purpose != Purpose::Publish && config.viewer_leg == ViewerLeg::Own {
            let (view, answer) = View::answer(config, offer, purpose, now)?;
            return Ok((Self(Kept::View(Box::new(view))), answer));
        }
        let (full, answer) = Full::answer(config, offer, purpose, now)?;
        Ok((full.into(), answer))
    }

    /// Our ICE user name fragment: STUN requests for this leg carry it.
    pub fn ufrag(&self) -> &str {
        either!(&self.0, leg => leg.ufrag())
    }

    /// Our ICE password: with it any shard can answer a check (`stun::answer`).
    pub fn password(&self) -> &str {
        either!(&self.0, leg => leg.password())
    }

    /// Whether we send the first DTLS record, since the offer was passive.
    pub fn opens_dtls(&self) -> bool {
        either!(&self.0, leg => leg.opens_dtls())
    }

    /// Whether the handshake is done and the leg is not over.
    pub fn is_connected(&self) -> bool {
        either!(&self.0, leg => leg.is_connected())
    }

    /// Whether the leg is over.
    pub fn is_closed(&self) -> bool {
        either!(&self.0, leg => leg.is_closed())
    }

    /// The codec negotiated for a kind.
    pub fn codec(&self, kind: Kind) -> Option<Codec> {
        either!(&self.0, leg => leg.codec(kind))
    }

    /// Sets the same moment on the wall clock and the monotonic clock, where `Config::wall` has grown old.
    pub fn set_wall_clock(&mut self, wall: WallTime, now: Instant) {
        either!(&mut self.0, leg => leg.set_wall_clock(wall, now));
    }

    /// Whether a datagram is authentic STUN for this leg, or comes from an address that proved itself so.
    pub fn accepts(&self, proto: Protocol, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> bool {
        either!(&self.0, leg => leg.accepts(proto, from, to, bytes))
    }

    /// Takes a datagram, or lets time pass.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        either!(&mut self.0, leg => leg.handle(now, input));
    }

    /// What is to be sent goes into `out`. The next thing to know; a timeout says that there is nothing more until then.
    pub fn poll_output(&mut self, out: &mut Batch) -> Output {
        either!(&mut self.0, leg => leg.poll_output(out))
    }

    /// Sends a packet to the peer: into `out`, or with the next `poll_output`.
    ///
    /// # Errors
    /// Where the packet cannot go out: the caller counts and forgets it.
    pub fn send(&mut self, now: Instant, kind: Kind, packet: Outgoing<'_>, out: &mut Batch) -> Result<(), NotSent> {
        match &mut self.0 {
            Kept::Full(leg) => leg.send(now, kind, 0, packet),
            Kept::View(leg) => leg.send(now, kind, packet, out),
        }
    }

    /// Sends a packet of one of the layers that we offered and the peer took.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_layer(&mut self, now: Instant, layer: u8, packet: Outgoing<'_>) -> Result<(), NotSent> {
        match &mut self.0 {
            Kept::Full(leg) => leg.send(now, Kind::Video, layer, packet),
            Kept::View(_) => Err(NotSent::NotNegotiated),
        }
    }

    /// Sends a packet once more that the peer misses, after `Event::Repair`.
    ///
    /// # Errors
    /// Where it cannot go out, or repairs take too much of what is sent.
    pub fn resend(&mut self, now: Instant, kind: Kind, packet: Outgoing<'_>, out: &mut Batch) -> Result<(), NotSent> {
        match &mut self.0 {
            // It repairs by itself, and never asks.
            Kept::Full(_) => Err(NotSent::NotNegotiated),
            Kept::View(leg) => leg.resend(now, kind, packet, out),
        }
    }

    /// Whether `poll_output` has something after a `send`.
    pub fn wants_drain(&self) -> bool {
        either!(&self.0, leg => leg.wants_drain())
    }

    /// Bytes of payload that may go now, so that the path is not flooded.
    pub fn allowance(&mut self, now: Instant) -> usize {
        match &mut self.0 {
            Kept::Full(_) => usize::MAX,
            Kept::View(leg) => leg.allowance(now),
        }
    }

    /// Bits a second that fit to the peer, where that is known.
    pub fn estimate_bps(&self) -> Option<u64> {
        match &self.0 {
            Kept::Full(_) => None,
            Kept::View(leg) => leg.estimate_bps(),
        }
    }

    /// More would be sent if this much fitted, in bits a second: it is probed now and then. `None`: all is sent that there
    /// is.
    pub fn want(&mut self, bps: Option<u64>) {
        if let Kept::View(leg) = &mut self.0 {
            leg.want(bps);
        }
    }

    /// What a probe found to fit within the last seconds, in bits a second.
    pub fn proven_bps(&self, now: Instant) -> Option<u64> {
        match &self.0 {
            Kept::Full(_) => None,
            Kept::View(leg) => leg.proven_bps(now),
        }
    }

    /// What is known of the way to the peer and back.
    pub fn quality(&self) -> Quality {
        either!(&self.0, leg => leg.quality())
    }

    /// Flights of a viewer's DTLS handshake that went out again; str0m does not say its own.
    pub fn flights_repeated(&self) -> u64 {
        match &self.0 {
            Kept::View(leg) => leg.flights_repeated(),
            Kept::Full(_) => 0,
        }
    }

    /// Asks the peer for a key frame of a layer (PLI, RFC 4585 section 6.3.1). The caller limits how often.
    pub fn request_key_frame(&mut self, kind: Kind, layer: u8) {
        if let Kept::Full(leg) = &mut self.0 {
            leg.request_key_frame(kind, layer);
        }
    }

    /// Restarts ICE with the peer's new credentials (RFC 9725 section 4.3.1) and returns the fragment with ours. From
    /// then on `ufrag` is the new one; media goes on over the old path until the new one is found.
    ///
    /// # Errors
    /// Where the fragment has no credentials, or the leg is over.
    pub fn restart_ice(&mut self, fragment: &str) -> Result<String, RestartError> {
        either!(&mut self.0, leg => leg.restart_ice(fragment))
    }

    /// Says goodbye to the peer. Drain the leg once more, then drop it.
    pub fn close(&mut self) {
        either!(&mut self.0, leg => leg.close());
    }
}

impl From<Full> for Leg {
    fn from(full: Full) -> Self {
        Self(Kept::Full(Box::new(full)))
    }
}

impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if matches!(self.0, Kept::Full(_)) { "Leg::Full" } else { "Leg::View" };
        f.debug_struct(name)
            .field("ufrag", &self.ufrag())
            .field("connected", &self.is_connected())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
