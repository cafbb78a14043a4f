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

/// What a leg has to say; what it sends goes into the batch that it is handed.
#[derive(Debug)]
pub enum Output {
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
        /// Of which layer, where we send several.
        layer: u8,
    },
    /// The peer misses packets that it was sent: the caller has them, and hands them to `Leg::resend`.
    Repair {
        /// Sound or picture.
        kind: Kind,
        /// Their sequence numbers towards this peer, as they went on the wire.
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
