//! What all legs of a process share, and what one leg is for.

use std::{fmt, net::SocketAddr, sync::Arc, time::Instant};

use media::{Codec, WallTime};
use str0m::{config::DtlsCert, crypto::CryptoProvider};

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
}

impl Config {
    /// A configuration with one UDP address and the same TCP address.
    pub fn new(addr: SocketAddr, certificate: Certificate, wall: WallTime, now: Instant) -> Self {
        let candidates = vec![(Protocol::Udp, addr), (Protocol::Tcp, addr)];
        Self { candidates, certificate, wall: (wall, now), playout_delay_ms: None }
    }
}

/// A self-signed DTLS certificate and its key. Cloning shares it.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) identity: DtlsCert,
    pub(crate) crypto: Arc<CryptoProvider>,
}

impl Certificate {
    /// Makes a new certificate: once in the life of a process, since it costs a key pair.
    ///
    /// # Errors
    /// Where the cryptography library cannot make one.
    pub fn generate() -> Result<Self, CertificateError> {
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let identity = crypto.dtls_provider.generate_certificate().ok_or(CertificateError)?;
        Ok(Self { identity, crypto })
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
