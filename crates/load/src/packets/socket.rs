//! One UDP socket of a publisher or viewer, as every real one has its own.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::{Instant, SystemTime},
};

use mio::{Interest, Registry, Token, net::UdpSocket};
use net::stamped::{Came, Stamped};
use rtc::Batch;

/// Runs of datagrams, or datagrams, that are read at once.
const RUNS_MAX: usize = 16;

/// A socket.
#[derive(Debug)]
pub(crate) struct Socket {
    udp: UdpSocket,
    addr: SocketAddr,
}

impl Socket {
    /// Binds one to any port of an address of ours. It reads runs of datagrams whole, or one by one.
    ///
    /// # Errors
    /// Where there is no port or no file left.
    pub(crate) fn bind(ip: IpAddr, runs: bool) -> io::Result<Self> {
        let udp = UdpSocket::bind(SocketAddr::new(ip, 0))?;
        Stamped::prepare(&udp, runs)?;
        let addr = udp.local_addr()?;
        Ok(Self { udp, addr })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.udp, token, Interest::READABLE)
    }

    /// Sends a datagram. What the kernel does not take is lost, as in a network.
    pub(crate) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let _ = self.udp.send_to(bytes, to);
    }

    /// Sends what there is, and clears it.
    pub(crate) fn send_all(&self, batch: &mut Batch) {
        for run in batch.runs() {
            run.datagrams().for_each(|datagram| self.send(run.to, datagram));
        }
        batch.clear();
    }

    /// Reads what came; true where more may be there.
    pub(crate) fn read(&self, stamped: &mut Stamped, take: &mut dyn FnMut(Came<'_>)) -> bool {
        // ICMP says that nobody listens: the peer finds that out by itself. It says so once for each datagram.
        stamped.receive(&self.udp, take).unwrap_or(true)
    }
}

/// What a thread reads into.
pub(crate) fn room() -> Stamped {
    Stamped::new(RUNS_MAX)
}

/// Wall clock and monotonic clock at the same moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks(SystemTime, Instant);

impl Clocks {
    pub(crate) fn now() -> Self {
        Self(SystemTime::now(), Instant::now())
    }

    /// The moment at which a datagram came, or now where the kernel does not say.
    pub(crate) fn arrival(self, at: Option<SystemTime>) -> Instant {
        let ago = at.and_then(|at| self.0.duration_since(at).ok()).unwrap_or_default();
        self.1.checked_sub(ago).unwrap_or(self.1)
    }
}
