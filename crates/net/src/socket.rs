//! The door: one UDP socket and one TCP listener on the same port number, waited for together.

use std::{
    fmt, io,
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpListener, net::UdpSocket};
use socket2::{Domain, Socket, Type};

use crate::tcp::{Connections, TcpStats};

const UDP: Token = Token(0);
const LISTENER: Token = Token(1);
const WAKE: Token = Token(2);
const FIRST_CONNECTION: usize = 16;

/// Kernel buffers that are asked for, each way: the burst of a key frame to many viewers. The kernel may give less.
const BUFFER_BYTES: usize = 4 << 20;
/// Longest datagram that is read.
const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Datagrams taken before the caller gets to send: bounds the delay of what they cause.
const BATCH_MAX: usize = 64;
/// Readiness events taken at once.
const EVENTS_MAX: usize = 256;
/// Ports tried where port 0 was asked for and the TCP port of the same number is taken.
const PORT_TRIES: usize = 16;
/// Connections waiting to be accepted.
const BACKLOG: i32 = 128;
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
    udp: UdpSocket,
    tcp: Connections,
    addr: SocketAddr,
    dual_stack: bool,
    scratch: Box<[u8]>,
    /// More may be there to read than the last wait took.
    unread: Vec<Token>,
    prune_at: Instant,
    send_errors: u64,
}

impl MediaSocket {
    /// Binds UDP and TCP to the same port number; port 0 finds one that is free for both.
    ///
    /// # Errors
    /// Where the port is taken, or the process may not have it.
    pub fn bind(addr: SocketAddr, now: Instant) -> io::Result<Self> {
        let tries = if addr.port() == 0 { PORT_TRIES } else { 1 };
        let mut result = Self::bind_once(addr, now);
        for _ in 1..tries {
            if result.is_ok() {
                break;
            }
            result = Self::bind_once(addr, now);
        }
        result
    }

    fn bind_once(addr: SocketAddr, now: Instant) -> io::Result<Self> {
        let udp = Socket::new(Domain::for_address(addr), Type::DGRAM, None)?;
        let dual_stack = addr.ip() == Ipv6Addr::UNSPECIFIED;
        if addr.is_ipv6() {
            udp.set_only_v6(!dual_stack)?;
        }
        // Less than asked for is not an error: the limits are the operator's.
        let _ = udp.set_recv_buffer_size(BUFFER_BYTES);
        let _ = udp.set_send_buffer_size(BUFFER_BYTES);
        udp.set_nonblocking(true)?;
        udp.bind(&addr.into())?;
        let udp = std::net::UdpSocket::from(udp);
        let addr = udp.local_addr()?;

        let listener = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        if addr.is_ipv6() {
            listener.set_only_v6(!dual_stack)?;
        }
        listener.set_reuse_address(true)?;
        listener.set_nonblocking(true)?;
        listener.bind(&addr.into())?;
        listener.listen(BACKLOG)?;

        let poll = Poll::new()?;
        let mut udp = UdpSocket::from_std(udp);
        let mut tcp = Connections::new(TcpListener::from_std(listener.into()), FIRST_CONNECTION);
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
            dual_stack,
            scratch: vec![0; DATAGRAM_BYTES_MAX].into_boxed_slice(),
            unread: Vec::new(),
            prune_at: now + PRUNE_INTERVAL,
            send_errors: 0,
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

    /// What was counted about TCP.
    pub fn tcp_stats(&self) -> TcpStats {
        self.tcp.stats()
    }

    /// Datagrams that the kernel did not take.
    pub fn send_errors(&self) -> u64 {
        self.send_errors
    }

    /// Waits until a datagram comes, the waker wakes, or `timeout` is over, and hands over what came: some 64 datagrams
    /// of each socket at most, so that the caller can send in between.
    ///
    /// # Errors
    /// Where the kernel refuses to wait: the thread cannot go on.
    pub fn wait(&mut self, now: Instant, timeout: Duration, take: &mut dyn FnMut(Received<'_>)) -> io::Result<()> {
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
        }
        Ok(())
    }

    /// Sends a datagram. What the kernel or the peer does not take is dropped and counted, as a full network would.
    pub fn send(&mut self, proto: Protocol, to: SocketAddr, bytes: &[u8]) {
        match proto {
            Protocol::Tcp => self.tcp.send(to, bytes),
            Protocol::Udp => {
                if self.udp.send_to(bytes, self.outward(to)).is_err() {
                    self.send_errors += 1;
                }
            }
        }
    }

    /// True where more may be there.
    fn read(&mut self, token: Token, now: Instant, take: &mut dyn FnMut(Received<'_>)) -> bool {
        match token {
            UDP => self.read_udp(take),
            LISTENER => self.tcp.accept(self.poll.registry(), now),
            _ => self.tcp.read(token, now, &mut self.scratch, take),
        }
    }

    fn read_udp(&mut self, take: &mut dyn FnMut(Received<'_>)) -> bool {
        let mut errors = 0;
        for _ in 0..BATCH_MAX {
            match self.udp.recv_from(&mut self.scratch) {
                Ok((length, from)) => {
                    let bytes = self.scratch.get(..length).unwrap_or_default();
                    take(Received { proto: Protocol::Udp, from: canonical(from), to: self.addr, bytes });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // A peer's port is closed: the kernel tells the next call, whomever it is for.
                Err(_) => errors += 1,
            }
        }
        errors < BATCH_MAX
    }

    fn outward(&self, to: SocketAddr) -> SocketAddr {
        match to {
            SocketAddr::V4(v4) if self.dual_stack => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            _ => to,
        }
    }
}

/// IPv4 addresses that a dual-stack socket writes as IPv6 are IPv4 again.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    fn bind(addr: &str) -> MediaSocket {
        MediaSocket::bind(addr.parse().unwrap(), Instant::now()).unwrap()
    }

    /// Waits until something came, a second at most.
    fn receive(socket: &mut MediaSocket) -> Vec<(Protocol, SocketAddr, Vec<u8>)> {
        let mut got = Vec::new();
        let end = Instant::now() + Duration::from_secs(5);
        while got.is_empty() && Instant::now() < end {
            socket
                .wait(Instant::now(), Duration::from_millis(200), &mut |received| {
                    got.push((received.proto, received.from, received.bytes.to_vec()));
                })
                .unwrap();
        }
        got
    }

    #[test]
    fn udp_and_tcp_share_a_port_and_both_answer() {
        for bound in ["127.0.0.1:0", "[::]:0"] {
            let mut socket = bind(bound);
            let to: SocketAddr = format!("127.0.0.1:{}", socket.local_addr().port()).parse().unwrap();
            let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            udp.send_to(b"over udp", to).unwrap();
            assert_eq!(
                receive(&mut socket),
                [(Protocol::Udp, udp.local_addr().unwrap(), b"over udp".to_vec())],
                "{bound}"
            );
            socket.send(Protocol::Udp, udp.local_addr().unwrap(), b"back");
            let mut buffer = [0; 16];
            assert_eq!(udp.recv(&mut buffer).unwrap(), 4);

            let mut tcp = std::net::TcpStream::connect(to).unwrap();
            tcp.write_all(&[0, 2, 7, 8]).unwrap();
            let peer = tcp.local_addr().unwrap();
            assert_eq!(receive(&mut socket), [(Protocol::Tcp, peer, vec![7, 8])], "{bound}");
            socket.send(Protocol::Tcp, peer, &[9]);
            let mut frame = [0; 3];
            tcp.read_exact(&mut frame).unwrap();
            assert_eq!(frame, [0, 1, 9]);
            assert_eq!(socket.tcp_stats().connections, 1);
            drop(tcp);
        }
    }

    #[test]
    fn a_waker_ends_a_wait() {
        let mut socket = bind("127.0.0.1:0");
        let waker = socket.waker();
        let from = Instant::now();
        let other = std::thread::spawn(move || waker.wake());
        socket.wait(from, Duration::from_secs(60), &mut |_| {}).unwrap();
        other.join().unwrap();
        assert!(from.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn connections_that_send_no_frame_are_closed() {
        let mut socket = bind("127.0.0.1:0");
        let idle = std::net::TcpStream::connect(socket.local_addr()).unwrap();
        let mut bad = std::net::TcpStream::connect(socket.local_addr()).unwrap();
        bad.write_all(
            b"GET / HTTP/1.1
",
        )
        .unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while (socket.tcp_stats().connections, socket.tcp_stats().unfit) != (1, 1) && Instant::now() < end {
            socket.wait(Instant::now(), Duration::from_millis(50), &mut |_| panic!("no frame came")).unwrap();
        }
        assert_eq!((socket.tcp_stats().connections, socket.tcp_stats().unfit), (1, 1), "a length that nobody uses");
        socket.wait(Instant::now() + Duration::from_secs(11), Duration::ZERO, &mut |_| {}).unwrap();
        assert_eq!(socket.tcp_stats().connections, 0);
        drop(idle);
    }

    #[test]
    fn a_peer_that_does_not_read_costs_a_bounded_buffer() {
        let mut socket = bind("127.0.0.1:0");
        let mut slow = std::net::TcpStream::connect(socket.local_addr()).unwrap();
        slow.write_all(&[0, 1, 1]).unwrap();
        let (_, peer, _) = receive(&mut socket)[0].clone();
        for _ in 0..20_000 {
            socket.send(Protocol::Tcp, peer, &[0; 1_200]);
        }
        assert!(socket.tcp_stats().dropped > 0);
        assert_eq!(socket.tcp_stats().connections, 1, "slow is not gone");
    }
}
