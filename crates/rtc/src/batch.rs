//! Datagrams on their way out, one behind the other in one buffer, so that what goes to one peer leaves in one system call.

use std::{net::SocketAddr, ops::Range};

use crate::config::Protocol;

/// Datagrams of one run at most: what older kernels take in one send (`UDP_MAX_SEGMENTS`).
const SEGMENTS_MAX: usize = 64;
/// Bytes of one run at most: a UDP datagram's greatest length, less the headers of IPv6.
const RUN_BYTES_MAX: usize = 65_000;

/// Datagrams on their way out. It keeps its memory from one fill to the next.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    runs: Vec<Run>,
    enough: usize,
    datagrams: usize,
}

/// Datagrams to one peer, all as long as the first but the last, which may be shorter.
#[derive(Debug)]
struct Run {
    protocol: Protocol,
    to: SocketAddr,
    range: Range<usize>,
    segment: usize,
    datagrams: usize,
    /// Its last datagram is shorter: nothing may follow.
    closed: bool,
}

/// What goes out in one system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outbound<'a> {
    /// How.
    pub protocol: Protocol,
    /// To where.
    pub to: SocketAddr,
    /// One or more datagrams, one behind the other.
    pub bytes: &'a [u8],
    /// Length of each of them, but for the last, which may be shorter; never 0.
    pub segment: usize,
}

impl Batch {
    /// An empty batch that is full, in the sense of `is_full`, from so many bytes on. What it holds at most is that and
    /// what one peer is sent at once.
    pub fn new(enough: usize) -> Self {
        Self { bytes: Vec::with_capacity(enough * 2), runs: Vec::with_capacity(256), enough, datagrams: 0 }
    }

    /// Whether it is time to send it.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= self.enough
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Datagrams in it.
    pub fn datagrams(&self) -> usize {
        self.datagrams
    }

    /// Bytes in it.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets what it holds.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
        self.datagrams = 0;
    }

    /// Adds a datagram.
    pub fn push(&mut self, protocol: Protocol, to: SocketAddr, datagram: &[u8]) {
        self.write(protocol, to, datagram.len(), |space| {
            space.copy_from_slice(datagram);
            true
        });
    }

    /// Adds a datagram of `length` bytes, all 0 at first, that `fill` writes in place; where `fill` returns false, nothing
    /// is added. Returns what `fill` did.
    pub fn write(
        &mut self,
        protocol: Protocol,
        to: SocketAddr,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> bool,
    ) -> bool {
        if length == 0 {
            return false;
        }
        let start = self.bytes.len();
        self.bytes.resize(start + length, 0);
        if !self.bytes.get_mut(start..).is_some_and(fill) {
            self.bytes.truncate(start);
            return false;
        }
        self.datagrams += 1;
        let end = start + length;
        match self.runs.last_mut() {
            Some(run) if run.takes(protocol, to, length) => {
                run.range.end = end;
                run.datagrams += 1;
                run.closed = length < run.segment;
            }
            _ => self.runs.push(Run { protocol, to, range: start..end, segment: length, datagrams: 1, closed: false }),
        }
        true
    }

    /// What goes out, in the order in which it was added.
    pub fn runs(&self) -> impl Iterator<Item = Outbound<'_>> {
        self.runs.iter().filter_map(|run| {
            let bytes = self.bytes.get(run.range.clone())?;
            Some(Outbound { protocol: run.protocol, to: run.to, bytes, segment: run.segment })
        })
    }
}

impl Run {
    fn takes(&self, protocol: Protocol, to: SocketAddr, length: usize) -> bool {
        self.to == to
            && self.protocol == protocol
            && protocol == Protocol::Udp
            && !self.closed
            && length <= self.segment
            && self.datagrams < SEGMENTS_MAX
            && self.range.len() + length <= RUN_BYTES_MAX
    }
}

impl<'a> Outbound<'a> {
    /// Its datagrams one by one.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.segment.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn shape(batch: &Batch) -> Vec<(u16, usize, usize)> {
        batch.runs().map(|run| (run.to.port(), run.bytes.len(), run.segment)).collect()
    }

    #[test]
    fn equal_lengths_to_one_peer_make_a_run_and_a_shorter_one_ends_it() {
        let mut batch = Batch::new(1_000_000);
        for (port, length) in [(1, 100), (1, 100), (1, 40), (1, 40), (2, 40), (2, 50), (1, 50)] {
            batch.push(Protocol::Udp, to(port), &vec![9; length]);
        }
        assert_eq!(shape(&batch), [(1, 240, 100), (1, 40, 40), (2, 40, 40), (2, 50, 50), (1, 50, 50)]);
        assert_eq!((batch.datagrams(), batch.bytes()), (7, 420));
        batch.clear();
        assert!(batch.is_empty() && shape(&batch).is_empty());
    }

    #[test]
    fn what_cannot_be_filled_leaves_nothing_behind() {
        let mut batch = Batch::new(1_000);
        batch.push(Protocol::Udp, to(1), &[1; 10]);
        assert!(!batch.write(Protocol::Udp, to(1), 10, |_| false));
        assert!(!batch.write(Protocol::Udp, to(1), 0, |_| true));
        assert_eq!((batch.datagrams(), batch.bytes()), (1, 10));
        assert!(batch.write(Protocol::Udp, to(1), 10, |space| space.iter().all(|byte| *byte == 0)));
    }

    #[test]
    fn framed_streams_and_kernels_limits_end_a_run() {
        let mut batch = Batch::new(1_000_000);
        batch.push(Protocol::Tcp, to(1), &[1; 10]);
        batch.push(Protocol::Tcp, to(1), &[1; 10]);
        assert_eq!(batch.runs().count(), 2);
        batch.clear();
        (0..65).for_each(|_| batch.push(Protocol::Udp, to(1), &[1; 10]));
        assert_eq!(shape(&batch), [(1, 640, 10), (1, 10, 10)]);
        batch.clear();
        (0..60).for_each(|_| batch.push(Protocol::Udp, to(1), &[1; 1_200]));
        assert_eq!(shape(&batch), [(1, 54 * 1_200, 1_200), (1, 6 * 1_200, 1_200)]);
    }

    proptest! {
        #[test]
        fn every_datagram_comes_out_once_and_in_order(given in proptest::collection::vec((0u16..3, 1usize..6), 0..200)) {
            let mut batch = Batch::new(100);
            for (number, (port, length)) in given.iter().enumerate() {
                batch.push(Protocol::Udp, to(*port), &vec![number as u8; *length]);
            }
            let out: Vec<(u16, Vec<u8>)> = batch
                .runs()
                .flat_map(|run| run.datagrams().map(move |datagram| (run.to.port(), datagram.to_vec())))
                .collect();
            let expected: Vec<(u16, Vec<u8>)> =
                given.iter().enumerate().map(|(number, (port, length))| (*port, vec![number as u8; *length])).collect();
            prop_assert_eq!(out, expected);
        }
    }
}
