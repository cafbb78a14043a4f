//! The UDP socket: runs of datagrams in one system call where the kernel and the way there can, singles where not.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use mio::net::UdpSocket;

use crate::{
    singles::Singles,
    socket::{Protocol, Received, canonical},
    stats::SocketStats,
    sys,
};

/// Longest datagram that is taken.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 2_048;
/// The kernel gives a run of this length at most.
const READ_BYTES_MAX: usize = 1 << 16;
/// Reads before the caller gets to send: bounds the delay of what they cause.
const READS_MAX: usize = 64;
/// Datagrams after which no further read is made, for the same reason: a read may give 128.
const DATAGRAMS_ENOUGH: usize = 256;
/// Datagrams of one run at most: what older kernels take (`UDP_MAX_SEGMENTS`).
const SEGMENTS_MAX: usize = 64;
/// Bytes of one run at most: the greatest length of a UDP datagram, less headers.
const RUN_BYTES_MAX: usize = 65_000;
/// Where the kernel's buffer is full because the interface is slower than a burst, the thread waits for room, from one
/// round to the next this long in all. Else the same peers, those who are last in the burst, would lose all of theirs.
const ROOM_WAIT_MAX: Duration = Duration::from_millis(20);
/// Times that room is waited for in a row; other threads may take it first.
const ROOM_WAITS_MAX: usize = 8;

/// A UDP socket that sends and receives runs.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: UdpSocket,
    local: SocketAddr,
    dual_stack: bool,
    /// The kernel cuts runs.
    runs: bool,
    singles: Singles,
    /// What is left of `ROOM_WAIT_MAX`.
    patience: Duration,
    buffer: Box<[u8]>,
    stats: SocketStats,
}

/// Why a run was not sent as one, where singles may do better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Unable,
    Invalid,
    TooLong,
}

impl Udp {
    /// `dual_stack`: IPv4 destinations are to be written as IPv6.
    pub(crate) fn new(socket: UdpSocket, local: SocketAddr, dual_stack: bool) -> Self {
        let runs = sys::can_send_runs(&socket);
        // Without it, each read gives one datagram.
        let _ = sys::receive_runs(&socket);
        Self {
            socket,
            local,
            dual_stack,
            runs,
            singles: Singles::default(),
            patience: ROOM_WAIT_MAX,
            buffer: vec![0; READ_BYTES_MAX].into_boxed_slice(),
            stats: SocketStats::default(),
        }
    }

    /// What was counted; nothing about TCP.
    pub(crate) fn stats(&self) -> SocketStats {
        SocketStats { singles_destinations: self.singles.len() as u64, ..self.stats }
    }

    /// A round begins: so much may be waited for room again.
    pub(crate) fn begin_round(&mut self) {
        self.patience = ROOM_WAIT_MAX;
    }

    /// Forgets destinations whose time on singles is over.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.singles.forget(now);
    }

    /// Sends `bytes`: datagrams of `segment` bytes, the last of which may be shorter.
    pub(crate) fn send(&mut self, now: Instant, to: SocketAddr, bytes: &[u8], segment: usize) {
        let to = outward(to, self.dual_stack);
        if segment == 0 || bytes.len() <= segment {
            self.send_single(to, bytes);
            return;
        }
        let segments = (RUN_BYTES_MAX / segment).clamp(1, SEGMENTS_MAX);
        for run in bytes.chunks(segments * segment) {
            match u16::try_from(segment) {
                Ok(length) if self.runs && run.len() > segment && !self.singles.holds(canonical(to).ip(), now) => {
                    self.send_run(now, to, run, length);
                }
                _ => run.chunks(segment).for_each(|datagram| self.send_single(to, datagram)),
            }
        }
    }

    fn send_run(&mut self, now: Instant, to: SocketAddr, run: &[u8], length: u16) {
        let segment = usize::from(length);
        let datagrams = run.len().div_ceil(segment) as u64;
        let Err(error) = self.take_turn(|socket| sys::send_run(socket, to, run, length)) else {
            self.stats.sent_runs += 1;
            self.stats.sent_run_datagrams += datagrams;
            self.stats.sent_datagrams += datagrams;
            self.stats.sent_bytes += run.len() as u64;
            return;
        };
        let counter = match refused(&error) {
            Some(Refused::Unable) => &mut self.stats.fallback_unable,
            Some(Refused::Invalid) => &mut self.stats.fallback_invalid,
            Some(Refused::TooLong) => &mut self.stats.fallback_too_long,
            None => return self.count_drop(&error, datagrams),
        };
        *counter += 1;
        // Where singles fail as well, runs were not what was wrong.
        if self.send_singles(to, run, segment) {
            let to: IpAddr = canonical(to).ip();
            self.singles.insert(to, now);
        }
    }

    /// Whether the kernel took one of them at least.
    fn send_singles(&mut self, to: SocketAddr, run: &[u8], segment: usize) -> bool {
        let before = self.stats.sent_datagrams;
        run.chunks(segment).for_each(|datagram| self.send_single(to, datagram));
        self.stats.sent_datagrams > before
    }

    fn send_single(&mut self, to: SocketAddr, datagram: &[u8]) {
        match self.take_turn(|socket| socket.send_to(datagram, to).map(drop)) {
            Ok(()) => {
                self.stats.sent_datagrams += 1;
                self.stats.sent_bytes += datagram.len() as u64;
            }
            Err(error) => self.count_drop(&error, 1),
        }
    }

    /// Sends, and where the buffer is full, waits for room and sends again.
    fn take_turn(&mut self, mut send: impl FnMut(&UdpSocket) -> io::Result<()>) -> io::Result<()> {
        let mut result = send(&self.socket);
        for _ in 0..ROOM_WAITS_MAX {
            let full = result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            if !full || self.patience.is_zero() {
                break;
            }
            let from = Instant::now();
            let room = sys::wait_for_room(&self.socket, self.patience);
            let waited = from.elapsed();
            self.patience = self.patience.saturating_sub(waited);
            self.stats.send_waits += 1;
            self.stats.send_waited_us += u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
            if !room {
                break;
            }
            result = send(&self.socket);
        }
        result
    }

    fn count_drop(&mut self, error: &io::Error, datagrams: u64) {
        let full = error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS);
        let counter = if full { &mut self.stats.send_full } else { &mut self.stats.send_errors };
        *counter += datagrams;
    }

    /// Hands over what came; true where more may be there.
    pub(crate) fn read(&mut self, take: &mut dyn FnMut(Received<'_>)) -> bool {
        let mut errors = 0;
        let mut datagrams = 0;
        for _ in 0..READS_MAX {
            match sys::receive(&self.socket, &mut self.buffer) {
                Ok(arrival) => datagrams += self.hand_over(arrival, take),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // A peer's port is closed: some kernels tell the next call, whomever it is for.
                Err(_) => {
                    self.stats.receive_errors += 1;
                    errors += 1;
                }
            }
            if datagrams >= DATAGRAMS_ENOUGH {
                return true;
            }
        }
        errors < READS_MAX
    }

    /// Hands over the datagrams of a read one by one; how many there were.
    fn hand_over(&mut self, arrival: sys::Arrival, take: &mut dyn FnMut(Received<'_>)) -> usize {
        let bytes = self.buffer.get(..arrival.length).unwrap_or_default();
        let from = canonical(arrival.from);
        let segment = if arrival.segment == 0 { bytes.len().max(1) } else { arrival.segment };
        // Of an empty datagram, nothing: it is of no use to anybody.
        let datagrams = bytes.chunks(segment);
        let count = datagrams.len();
        self.stats.received_datagrams += count as u64;
        self.stats.received_bytes += bytes.len() as u64;
        self.stats.received_runs += u64::from(count > 1);
        for bytes in datagrams {
            if bytes.len() > DATAGRAM_BYTES_MAX {
                self.stats.received_too_long += 1;
            } else {
                take(Received { proto: Protocol::Udp, from, to: self.local, bytes });
            }
        }
        count
    }
}

impl mio::event::Source for Udp {
    fn register(&mut self, registry: &mio::Registry, token: mio::Token, interests: mio::Interest) -> io::Result<()> {
        self.socket.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &mio::Registry, token: mio::Token, interests: mio::Interest) -> io::Result<()> {
        self.socket.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &mio::Registry) -> io::Result<()> {
        self.socket.deregister(registry)
    }
}

/// The failures that are known of runs alone: `EIO` where the way out has no checksum offload or goes through IPsec,
/// `EINVAL` where checksums are off, `EMSGSIZE` (of older kernels `EINVAL`) where a datagram is longer than the path takes.
fn refused(error: &io::Error) -> Option<Refused> {
    match error.raw_os_error()? {
        libc::EIO => Some(Refused::Unable),
        libc::EINVAL => Some(Refused::Invalid),
        libc::EMSGSIZE => Some(Refused::TooLong),
        _ => None,
    }
}

fn outward(to: SocketAddr, dual_stack: bool) -> SocketAddr {
    match to {
        SocketAddr::V4(v4) if dual_stack => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        _ => to,
    }
}

// They count runs.
#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests;
