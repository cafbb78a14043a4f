//! Sockets on one port number: UDP and TCP, once or for several threads.
//!
//! Several sockets share a port by `SO_REUSEPORT`: the kernel gives each of them the datagrams and connections of some of
//! the peers, by a hash of both addresses, so that a peer stays with its socket. What the option allows: any process of
//! the same user whose socket has it, too, may join such a port, and then gets a share of the peers. So that this happens
//! to nobody by accident, the first UDP socket is bound without the option, and gets it only once the port is its own.
//! That first bind fails where anybody has the port, another group of ours included, and from then on it stays bound, so
//! of two servers that start at once one is told that the address is in use. A process that asks for the option itself,
//! as none of ours does before it has the port, could still join: the kernel has no way to close a group that works in
//! all its versions. Other users' processes cannot.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
};

use mio::net::{TcpListener, UdpSocket};
use socket2::{Domain, Socket, Type};

/// Kernel buffers that are asked for, each way: the burst of a key frame to many viewers. The kernel may give less.
const BUFFER_BYTES: usize = 4 << 20;
/// Ports tried where port 0 was asked for and the TCP port of the same number is taken.
const PORT_TRIES: usize = 16;
/// Connections waiting to be accepted.
const BACKLOG: i32 = 128;

/// Both sockets of a media thread.
pub(crate) struct Pair {
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
    pub(crate) addr: SocketAddr,
}

/// Whether a socket there receives IPv4 as well.
pub(crate) fn is_dual_stack(addr: SocketAddr) -> bool {
    addr.ip() == Ipv6Addr::UNSPECIFIED
}

/// So many pairs, one at least, all on the same port number; port 0 finds one that is free for both protocols.
pub(crate) fn bind(addr: SocketAddr, count: usize) -> io::Result<Vec<Pair>> {
    let tries = if addr.port() == 0 { PORT_TRIES } else { 1 };
    let mut result = bind_once(addr, count);
    for _ in 1..tries {
        if result.is_ok() {
            break;
        }
        result = bind_once(addr, count);
    }
    result
}

fn bind_once(addr: SocketAddr, count: usize) -> io::Result<Vec<Pair>> {
    let shared = count > 1;
    let first = socket(addr, Type::DGRAM)?;
    first.bind(&addr.into())?;
    let addr = first.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    let mut udp = vec![first];
    let listener = socket(addr, Type::STREAM)?;
    listener.set_reuse_address(true)?;
    listener.bind(&addr.into())?;
    let mut tcp = vec![listener];
    if shared {
        // From here on the port is ours: others may come in, if they are of us.
        udp.iter().chain(&tcp).try_for_each(share)?;
    }
    for _ in 1..count {
        let socket = socket(addr, Type::DGRAM)?;
        share(&socket)?;
        socket.bind(&addr.into())?;
        udp.push(socket);
        let listener = self::socket(addr, Type::STREAM)?;
        listener.set_reuse_address(true)?;
        share(&listener)?;
        listener.bind(&addr.into())?;
        tcp.push(listener);
    }
    let pair = |(udp, tcp): (Socket, Socket)| {
        tcp.listen(BACKLOG)?;
        Ok(Pair { udp: UdpSocket::from_std(udp.into()), tcp: TcpListener::from_std(tcp.into()), addr })
    };
    udp.into_iter().zip(tcp).map(pair).collect()
}

fn socket(addr: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, None)?;
    if addr.is_ipv6() {
        socket.set_only_v6(!is_dual_stack(addr))?;
    }
    socket.set_nonblocking(true)?;
    if kind == Type::DGRAM {
        // Less than asked for is not an error: the limits are the operator's.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(target_os = "linux"))]
fn share(_: &Socket) -> io::Result<()> {
    let why = "several media threads can share a port on Linux only; set their number to 1";
    Err(io::Error::new(io::ErrorKind::Unsupported, why))
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    /// Binds as a program does that joins groups deliberately, or not.
    fn other(addr: SocketAddr, kind: Type, joins: bool) -> io::Result<Socket> {
        let socket = socket(addr, kind)?;
        socket.set_reuse_port(joins)?;
        socket.bind(&addr.into())?;
        Ok(socket)
    }

    fn in_use<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    }

    #[test]
    fn a_second_server_is_told_that_the_address_is_in_use_however_many_threads_either_has() {
        for wanted in ["127.0.0.1:0", "[::]:0"] {
            for count in [1, 3] {
                let group = bind(wanted.parse().unwrap(), count).unwrap();
                let addr = group[0].addr;
                assert!(group.len() == count && group.iter().all(|pair| pair.addr == addr));
                for again in [1, 2] {
                    assert!(in_use(bind(addr, again)), "{wanted}: {again} after {count}");
                }
                // Nobody at all joins one that is alone.
                assert!(count > 1 || in_use(other(addr, Type::DGRAM, true)));
                assert!(count > 1 || in_use(other(addr, Type::STREAM, true)));
            }
        }
    }

    #[test]
    fn a_group_does_not_join_that_of_another() {
        for kind in [Type::DGRAM, Type::STREAM] {
            let theirs = other("127.0.0.1:0".parse().unwrap(), kind, true).unwrap();
            if kind == Type::STREAM {
                theirs.listen(1).unwrap();
            }
            let addr = theirs.local_addr().unwrap().as_socket().unwrap();
            assert!(in_use(bind(addr, 2)), "{kind:?}");
        }
    }

    #[test]
    fn none_is_one() {
        assert_eq!(bind("127.0.0.1:0".parse().unwrap(), 0).unwrap().len(), 1);
    }
}
