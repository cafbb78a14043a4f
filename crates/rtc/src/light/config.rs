//! What a light viewer is told and what it tells.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use media::{Codec, Kind};

use crate::{config::Certificate, leg::CloseReason, srtp::Refusals};

/// What viewers of one process share.
#[derive(Clone, Debug)]
pub struct Config {
    /// The DTLS certificate: one for all viewers, since it costs a key pair.
    pub certificate: Certificate,
    /// Our address as the offer names it; `None` leaves it to the server to see where checks come from, which servers
    /// that are reachable themselves do.
    pub local: Option<SocketAddr>,
    /// Pictures that are offered, best first (H.264, VP8, VP9, AV1); none for sound alone.
    pub video: Vec<Codec>,
    /// Whether Opus is offered.
    pub audio: bool,
    /// Whether transport-wide feedback is offered (and given where the answer takes it).
    pub transport_feedback: bool,
    /// Decrypts one RTP packet of so many; 0 and 1 mean all. With more, the packets between are **not authenticated and
    /// not decrypted**: their headers are believed as they stand, so that a forged one would count, their payloads are
    /// not handed out, and a server that encrypts wrongly is seen only in the sample. Retransmissions and RTCP are
    /// always decrypted. For load tools that would otherwise measure themselves.
    pub decrypt_every: u32,
}

impl Config {
    /// Everything that a browser offers, and every packet decrypted.
    pub fn new(certificate: Certificate) -> Self {
        let video = vec![Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1];
        Self { certificate, local: None, video, audio: true, transport_feedback: true, decrypt_every: 1 }
    }
}

/// What a viewer is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram over UDP. Its bytes are decrypted where they lie.
    Datagram {
        /// From where.
        from: SocketAddr,
        /// Its bytes.
        bytes: &'a mut [u8],
    },
    /// Time passes.
    Timeout,
}

/// What a viewer has to say. Datagrams to send are in the batch that `poll_output` was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Something happened.
    Event(Event),
    /// Nothing more until then, or until a datagram comes.
    Timeout(Instant),
}

/// What happened to a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// ICE is done: the server has answered a check. It comes once.
    Reached,
    /// DTLS is done. It comes once.
    Connected,
    /// The viewer is over. It comes once.
    Closed(CloseReason),
}

/// A packet of RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Sound or picture.
    pub kind: Kind,
    /// Its coding.
    pub codec: Codec,
    /// The source; that of the stream also where it came as a retransmission.
    pub ssrc: u32,
    /// The extended sequence number; it begins below 65,536.
    pub seq: u64,
    /// RTP timestamp.
    pub time: u32,
    /// RTP marker bit.
    pub marker: bool,
    /// The payload without padding; empty where it was not opened.
    pub payload: &'a [u8],
    /// It came as a retransmission (RFC 4588).
    pub is_rtx: bool,
    /// It was authenticated and decrypted: always so, unless `Config::decrypt_every` says otherwise.
    pub is_opened: bool,
}

/// What was received of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets handed out: each number once.
    pub packets: u64,
    /// Bytes of the datagrams of all packets of this kind, whatever became of them.
    pub bytes: u64,
    /// Numbers that are missing now and still asked for.
    pub missing: u64,
    /// Numbers that were missing and came as a retransmission.
    pub repaired: u64,
    /// Numbers that were missing and came by themselves.
    pub late: u64,
    /// Numbers that were given up.
    pub lost: u64,
    /// Packets that were there already.
    pub duplicates: u64,
    /// Packets of nothing but padding.
    pub padding: u64,
    /// Numbers asked for, each time counted.
    pub nacked: u64,
    /// Key frames asked for.
    pub key_frame_requests: u64,
}

/// What happened on the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// Round trip of the last check.
    pub rtt: Option<Duration>,
    /// SRTP and SRTCP that were refused.
    pub srtp: Refusals,
    /// Datagrams that were none of STUN, DTLS, RTP and RTCP, or came from elsewhere.
    pub strange: u64,
    /// RTP and RTCP that came before the keys: the server is done with the handshake earlier than the viewer.
    pub early: u64,
    /// STUN that was malformed or not authentic.
    pub stun_refused: u64,
    /// Flights of the DTLS handshake that went out again.
    pub flights_repeated: u64,
    /// RTP of a payload type that was not negotiated.
    pub unknown_payload_types: u64,
    /// Transport-wide feedbacks sent.
    pub feedbacks: u64,
    /// Sender reports received.
    pub sender_reports: u64,
}
