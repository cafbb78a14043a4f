//! The HTTP listener: bounded connections, TLS, time-outs on both the header and a peer that stops reading.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, extract::Request};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{Instant, Sleep},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::counters::Counters;

/// HTTP connections at once, over all peers.
const CONNECTIONS_MAX: usize = 16_384;
/// A TLS handshake and a request's header have to arrive within this.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that takes no bytes for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a request's header at most.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// The address of the peer, as an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves `router` on a listener until `stop` says so.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    counters: Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: let others end first.
                counters.add("http_refused", "accept-failed");
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            counters.add("http_refused", "too-many-connections");
            continue;
        };
        let (tls, router, counters) = (tls.clone(), router.clone(), counters.clone());
        tokio::spawn(async move {
            serve_one(socket, peer, tls, router, &counters).await;
            drop(permit);
        });
    }
}

async fn serve_one(socket: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, router: Router, counters: &Counters) {
    let _ = socket.set_nodelay(true);
    let socket = Patient::new(socket);
    // Boxed, so that a plain connection has no room for TLS in its task.
    let Some(tls) = tls else { return Box::pin(speak(socket, peer, router, counters)).await };
    match Box::pin(tokio::time::timeout(HEADER_TIMEOUT, tls.accept(socket))).await {
        Ok(Ok(socket)) => Box::pin(speak(socket, peer, router, counters)).await,
        Ok(Err(_)) => counters.add("http_refused", "tls-handshake"),
        Err(_) => counters.add("http_refused", "tls-handshake-timeout"),
    }
}

async fn speak<S>(socket: S, peer: SocketAddr, router: Router, counters: &Counters)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        counters.add("http_closed", closed_because(&error));
    }
}

fn closed_because(error: &hyper::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_parse() {
        "malformed"
    } else if error.is_incomplete_message() {
        "cut-short"
    } else {
        "io"
    }
}

/// A socket whose peer may not stop reading for longer than `WRITE_TIMEOUT`.
struct Patient {
    socket: TcpStream,
    patience: Pin<Box<Sleep>>,
    blocked: bool,
}

impl Patient {
    fn new(socket: TcpStream) -> Self {
        Self { socket, patience: Box::pin(tokio::time::sleep(WRITE_TIMEOUT)), blocked: false }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.blocked = false;
            return written;
        }
        if !std::mem::replace(&mut self.blocked, true) {
            self.patience.as_mut().reset(Instant::now() + WRITE_TIMEOUT);
        }
        ready!(self.patience.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, bytes);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
