//! The door: one UDP socket and one TCP listener on the same port number, waited for together.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token};

use crate::{
    bind::{self, Pair},
    stats::SocketStats,
    tcp::Connections,
    udp::{DATAGRAM_BYTES_MAX, Udp},
};

const UDP: Token = Token(0);
const LISTENER: Token = Token(1);
const WAKE: Token = Token(2);
const FIRST_CONNECTION: usize = 16;

/// Readiness events taken at once.
const EVENTS_MAX: usize = 256;
/// TCP connections are looked after this often.
const PRUNE_INTERVAL: Duration = Duration::from_secs(1);

/// How a datagram travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP, framed by RFC 4571.
    Tcp,
}

/// A datagram that came.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// How.
    pub proto: Protocol,
    /// From where; IPv4 addresses are IPv4, also on a dual-stack socket.
    pub from: SocketAddr,
    /// To where: the address of the socket, which may be a wildcard.
    pub to: SocketAddr,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Ends a wait from another thread.
#[derive(Clone)]
pub struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Ends the wait that is going on, or the next one.
    pub fn wake(&self) {
        // It fails only where the kernel is out of memory; the next timeout ends the wait then.
        let _ = self.0.wake();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

/// The sockets of one media thread.
#[derive(Debug)]
pub struct MediaSocket {
    poll: Poll,
    events: Events,
    waker: Waker,
    udp: Udp,
    tcp: Connections,
    addr: SocketAddr,
    scratch: Box<[u8]>,
    /// More may be there to read than the last wait took.
    unread: Vec<Token>,
    prune_at: Instant,
    /// When the last wait began.
    now: Instant,
}

impl MediaSocket {
    /// Binds UDP and TCP to the same port number; port 0 finds one that is free for both.
    ///
    /// # Errors
    /// Where the port is taken, or the process may not have it.
    pub fn bind(addr: SocketAddr, now: Instant) -> io::Result<Self> {
        let mut group = Self::bind_group(addr, 1, now)?;
        group.pop().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Binds the sockets of so many media threads, one at least, to the same port number. The kernel gives each of them
    /// some of the peers, and a peer stays with one as long as its address does not change and the group does not; each
    /// may send to all peers. A group of several asks for `SO_REUSEPORT`, but only once the port is its own: where any
    /// process has it, the address is in use, and no other group of ours joins this one.
    ///
    /// # Errors
    /// Where the port is taken, the process may not have it, or several are wanted and the system is not Linux.
    pub fn bind_group(addr: SocketAddr, count: usize, now: Instant) -> io::Result<Vec<Self>> {
        bind::bind(addr, count)?.into_iter().map(|pair| Self::new(pair, now)).collect()
    }

    fn new(pair: Pair, now: Instant) -> io::Result<Self> {
        let addr = pair.addr;
        let poll = Poll::new()?;
        let mut udp = Udp::new(pair.udp, addr, bind::is_dual_stack(addr));
        let mut tcp = Connections::new(pair.tcp, FIRST_CONNECTION);
        poll.registry().register(&mut udp, UDP, Interest::READABLE)?;
        poll.registry().register(tcp.listener(), LISTENER, Interest::READABLE)?;
        let waker = Waker(Arc::new(mio::Waker::new(poll.registry(), WAKE)?));
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            waker,
            udp,
            tcp,
            addr,
            scratch: vec![0; DATAGRAM_BYTES_MAX].into_boxed_slice(),
            unread: Vec::new(),
            prune_at: now + PRUNE_INTERVAL,
            now,
        })
    }

    /// Where the sockets are bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Something that ends a wait from another thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// What was counted.
    pub fn stats(&self) -> SocketStats {
        SocketStats { tcp: self.tcp.stats(), ..self.udp.stats() }
    }

    /// Waits until a datagram comes, the waker wakes, or `timeout` is over, and hands over what came: some hundred
    /// datagrams of each socket at most, so that the caller can send in between.
    ///
    /// # Errors
    /// Where the kernel refuses to wait: the thread cannot go on.
    pub fn wait(&mut self, now: Instant, timeout: Duration, take: &mut dyn FnMut(Received<'_>)) -> io::Result<()> {
        self.now = now;
        self.udp.begin_round();
        let timeout = if self.unread.is_empty() { timeout } else { Duration::ZERO };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut ready = std::mem::take(&mut self.unread);
        for event in &self.events {
            let token = event.token();
            if token.0 >= FIRST_CONNECTION && event.is_writable() {
                self.tcp.flush(token);
            }
            if token != WAKE
                && (event.is_readable() || event.is_read_closed() || event.is_error())
                && !ready.contains(&token)
            {
                ready.push(token);
            }
        }
        ready.retain(|token| self.read(*token, now, take));
        self.unread = ready;
        if now >= self.prune_at {
            self.prune_at = now + PRUNE_INTERVAL;
            self.tcp.prune(now);
            self.udp.prune(now);
        }
        Ok(())
    }

    /// Sends one or several datagrams to one peer: `bytes` holds them one behind the other, each `segment` long but the
    /// last, which may be shorter. Over UDP several of them go out in one system call (`UDP_SEGMENT`), or one by one where
    /// the kernel or the way there cannot do that; over TCP each is a frame.
    ///
    /// What the kernel or the peer does not take is dropped and counted, as a full network would. For room in the kernel's
    /// buffer this waits, but from one call of `wait` to the next for some milliseconds only.
    pub fn send(&mut self, proto: Protocol, to: SocketAddr, bytes: &[u8], segment: usize) {
        match proto {
            Protocol::Tcp => self.tcp.send(to, bytes, segment),
            Protocol::Udp => self.udp.send(self.now, to, bytes, segment),
        }
    }

    /// True where more may be there.
    fn read(&mut self, token: Token, now: Instant, take: &mut dyn FnMut(Received<'_>)) -> bool {
        match token {
            UDP => self.udp.read(take),
            LISTENER => self.tcp.accept(self.poll.registry(), now),
            _ => self.tcp.read(token, now, &mut self.scratch, take),
        }
    }
}

/// IPv4 addresses that a dual-stack socket writes as IPv6 are IPv4 again.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests;
