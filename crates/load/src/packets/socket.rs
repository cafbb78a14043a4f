//! One UDP socket of a publisher or viewer, as every real one has its own.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use mio::{Interest, Registry, Token, net::UdpSocket};
use rtc::Batch;

/// Longest datagram that is read.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Errors that are passed over before a socket is taken for empty.
const ERRORS_MAX: usize = 64;

/// A socket.
#[derive(Debug)]
pub(crate) struct Socket {
    udp: UdpSocket,
    addr: SocketAddr,
}

impl Socket {
    /// Binds one to any port of an address of ours.
    ///
    /// # Errors
    /// Where there is no port or no file left.
    pub(crate) fn bind(ip: IpAddr) -> io::Result<Self> {
        let udp = UdpSocket::bind(SocketAddr::new(ip, 0))?;
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

    /// Reads a datagram; `None` where there is none.
    pub(crate) fn read<'a>(&self, buffer: &'a mut [u8]) -> Option<(SocketAddr, &'a mut [u8])> {
        for _ in 0..ERRORS_MAX {
            match self.udp.recv_from(buffer) {
                Ok((length, from)) => return buffer.get_mut(..length).map(|bytes| (from, bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // ICMP says that nobody listens: the peer finds that out by itself.
                Err(_) => {}
            }
        }
        None
    }
}
