//! The socket of one connection: plain RTMP, or RTMPS on the same port, told apart by the first byte.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// From accepting a connection to the end of its TLS handshake; a first byte has to come within it as well.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of a TLS ClientHello: the record type "handshake" (RFC 8446 section 5.1). RTMP begins with 3.
const TLS_HANDSHAKE: u8 = 22;

/// The bytes of one connection.
pub(super) enum Socket {
    /// RTMP.
    Plain(TcpStream),
    /// RTMPS. Boxed: its state is large, and most viewers have none.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why a connection did not come to RTMP. All but `NoCertificate` are faults of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// It left before it had said anything.
    Gone,
    /// Its first byte, or its part of the TLS handshake, did not come in time.
    Silent,
    /// The TLS handshake failed.
    Tls,
    /// It speaks TLS, and this server has no certificate.
    NoCertificate,
}

/// The TLS side of the door.
#[derive(Default)]
pub struct Tls {
    acceptor: Option<TlsAcceptor>,
    missed: AtomicBool,
}

impl Tls {
    /// With a certificate, or without.
    pub fn new(acceptor: Option<TlsAcceptor>) -> Self {
        Self { acceptor, missed: AtomicBool::new(false) }
    }

    /// Says once what is missing: whoever wants to fill the log by it cannot.
    fn miss(&self) {
        if !self.missed.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a client came by RTMPS, and this server has no certificate: set rtmp.tls_certificate and rtmp.tls_key, or have the client use rtmp:// (said once)"
            );
        }
    }
}

impl Socket {
    /// Finds out what the peer speaks, and shakes hands where it is TLS.
    pub(super) async fn open(tcp: TcpStream, accepted: Instant, tls: &Tls) -> Result<Self, OpenError> {
        let _ = tcp.set_nodelay(true);
        let opening = async {
            let mut first = [0];
            match tcp.peek(&mut first).await {
                Ok(1..) if first == [TLS_HANDSHAKE] => {}
                // What is no RTMP either, the session finds out.
                Ok(1..) => return Ok(Self::Plain(tcp)),
                Ok(0) | Err(_) => return Err(OpenError::Gone),
            }
            let Some(acceptor) = &tls.acceptor else {
                tls.miss();
                return Err(OpenError::NoCertificate);
            };
            match acceptor.accept(tcp).await {
                Ok(stream) => Ok(Self::Tls(Box::new(stream))),
                Err(_) => Err(OpenError::Tls),
            }
        };
        match tokio::time::timeout_at((accepted + HANDSHAKE_TIMEOUT).into(), opening).await {
            Ok(opened) => opened,
            Err(_) => Err(OpenError::Silent),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}
