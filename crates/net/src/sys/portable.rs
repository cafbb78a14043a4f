//! Systems without runs of datagrams: one datagram, one call.

use std::{io, net::SocketAddr, time::Duration};

use mio::net::UdpSocket;

use super::Arrival;

/// Whether `send_run` can work here.
pub(crate) fn can_send_runs(_: &UdpSocket) -> bool {
    false
}

/// Nobody calls this where `can_send_runs` says no.
pub(crate) fn send_run(_: &UdpSocket, _: SocketAddr, _: &[u8], _: u16) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Waits until there is room to send again; whether there is. No system call does that everywhere, so nobody waits.
pub(crate) fn wait_for_room(_: &UdpSocket, _: Duration) -> bool {
    false
}

/// Asks for several datagrams a read.
pub(crate) fn receive_runs(_: &UdpSocket) -> bool {
    false
}

/// Reads one datagram.
pub(crate) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Arrival> {
    socket.recv_from(buffer).map(|(length, from)| Arrival { length, from, segment: 0 })
}
