//! What goes into a leg and what comes out of it.

use std::{net::SocketAddr, time::Instant};

use media::{Kind, RtpPacket};
use smallvec::SmallVec;

use crate::config::Protocol;

/// What a leg is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A datagram from the peer.
    Datagram {
        /// How it came.
        proto: Protocol,
        /// From where.
        from: SocketAddr,
        /// To which of our addresses.
        to: SocketAddr,
        /// Its bytes; for TCP without the length before them.
        bytes: &'a [u8],
    },
    /// Time passes.
    Timeout,
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// How.
    pub proto: Protocol,
    /// From which candidate of ours; a socket bound to a wildcard need not heed it.
    pub from: SocketAddr,
    /// To where.
    pub to: SocketAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a leg wants done.
#[derive(Debug)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Something happened.
    Event(Event),
    /// Nothing more until then, a datagram, or a send.
    Timeout(Instant),
}

/// What happened on a leg.
#[derive(Debug)]
pub enum Event {
    /// ICE and DTLS are done: packets can be sent.
    Connected,
    /// A packet came, parsed once.
    Packet {
        /// Sound or picture.
        kind: Kind,
        /// The packet.
        packet: RtpPacket,
    },
    /// The peer asks for a key frame (PLI or FIR).
    KeyFrameRequested {
        /// Sound or picture.
        kind: Kind,
    },
    /// The viewer lacks packets of ours and asks for them again (NACK, RFC 4585 section 6.2.1): find them and `resend`
    /// them. Only our own leg says so; the str0m leg repairs by itself.
    Repair {
        /// Sound or picture.
        kind: Kind,
        /// The last 16 bits of the viewer's sequence numbers.
        numbers: SmallVec<[u16; 16]>,
    },
    /// The leg is over. It comes once.
    Closed(CloseReason),
}

/// Why a leg is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// We closed it.
    Us,
    /// The peer closed the DTLS connection.
    Peer,
    /// The peer has answered neither checks nor sent media for too long.
    Silent,
    /// The handshake failed, or too much of what came could not be understood.
    Failed(String),
}
