//! What all legs of a process share, and what one leg is for.

use std::{fmt, net::SocketAddr, sync::Arc, time::Instant};

use aws_lc_rs::digest;
use media::{Codec, WallTime};
use str0m::{config::DtlsCert, crypto::CryptoProvider};

use crate::view::flights;

/// How a datagram travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP with the framing of RFC 4571 (ICE-TCP, RFC 6544); the framing itself is not done here.
    Tcp,
}

impl Protocol {
    pub(crate) fn to_str0m(self) -> str0m::net::Protocol {
        match self {
            Self::Udp => str0m::net::Protocol::Udp,
            Self::Tcp => str0m::net::Protocol::Tcp,
        }
    }

    pub(crate) fn from_str0m(protocol: str0m::net::Protocol) -> Self {
        match protocol {
            str0m::net::Protocol::Udp => Self::Udp,
            _ => Self::Tcp,
        }
    }
}

/// What all legs of a process share.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients reach us, best first; the first is the UDP address that clients can reach. TCP ones are passive.
    pub candidates: Vec<(Protocol, SocketAddr)>,
    /// The DTLS certificate, one for a process.
    pub certificate: Certificate,
    /// The same moment on the wall clock and on the monotonic clock.
    pub wall: (WallTime, Instant),
    /// The playout-delay extension that is written into outgoing video where the viewer offers it: minimum and maximum
    /// in milliseconds. `None` leaves the viewer its own jitter buffer.
    pub playout_delay_ms: Option<(u16, u16)>,
    /// Which leg viewers get.
    pub viewer_leg: ViewerLeg,
}

/// The leg of a peer that only receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewerLeg {
    /// Our own: one copy and no allocation for a packet.
    #[default]
    Own,
    /// str0m's, which publishers have: to compare.
    Str0m,
}

impl Config {
    /// A configuration with one UDP address and the same TCP address.
    pub fn new(addr: SocketAddr, certificate: Certificate, wall: WallTime, now: Instant) -> Self {
        let candidates = vec![(Protocol::Udp, addr), (Protocol::Tcp, addr)];
        Self { candidates, certificate, wall: (wall, now), playout_delay_ms: None, viewer_leg: ViewerLeg::default() }
    }
}

/// A self-signed DTLS certificate and its key. Cloning shares it.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) identity: Arc<DtlsCert>,
    pub(crate) crypto: Arc<CryptoProvider>,
    /// DTLS of our own leg.
    pub(crate) dtls: Arc<dimpl::Config>,
}

/// Handshakes of our own leg: the queues are as long as a handshake in fragments needs.
const DTLS_QUEUE_RX: usize = 16;
const DTLS_QUEUE_TX: usize = 10;
/// Longest DTLS datagram that we send, as on the str0m leg.
const DTLS_MTU: usize = 1_150;

impl Certificate {
    /// Makes a new certificate: once in the life of a process, since it costs a key pair.
    ///
    /// # Errors
    /// Where the cryptography library cannot make one.
    pub fn generate() -> Result<Self, CertificateError> {
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let identity = crypto.dtls_provider.generate_certificate().ok_or(CertificateError)?;
        // ICE has shown that the peer is where it says, so no cookie is needed.
        let dtls = dimpl::Config::builder()
            .use_server_cookie(false)
            .mtu(DTLS_MTU)
            .max_queue_rx(DTLS_QUEUE_RX)
            .max_queue_tx(DTLS_QUEUE_TX)
            .flight_start_rto(flights::ENGINE_RTO)
            .flight_retries(flights::ENGINE_REPEATS_MAX)
            .handshake_timeout(flights::ENGINE_PATIENCE);
        let dtls = Arc::new(dtls.build().map_err(|_| CertificateError)?);
        Ok(Self { identity: Arc::new(identity), crypto, dtls })
    }

    /// Hash function and value, as SDP has it (RFC 8122 section 5).
    pub(crate) fn fingerprint(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &self.identity.certificate);
        let value: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        format!("sha-256 {}", value.join(":"))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

/// The cryptography library made no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cryptography library could not make a DTLS certificate")]
pub struct CertificateError;

/// What the peer wants of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The peer sends, we receive (WHIP, RFC 9725).
    Publish,
    /// We send, the peer receives (WHEP): a stream with these codecs, `None` where it has no such track.
    Play {
        /// Codec of the picture.
        video: Option<Codec>,
        /// Codec of the sound.
        audio: Option<Codec>,
    },
}
