//! The handshake (RTMP 1.0 section 5.2), and the digests that clients of Flash descent put into it (`digest`).

mod digest;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Why the first bytes are no RTMP. All are faults of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// Another protocol, or an encrypted form of RTMP (versions 6 and 8).
    #[error("the connection begins with the byte {0}, and RTMP begins with 3")]
    Version(u8),
}

const VERSION: u8 = 3;
/// Bytes of C1, S1, C2 and S2 each.
const PACKET_BYTES: usize = 1_536;

/// The server's side: waits for C0 and C1, answers S0, S1 and S2, waits for C2.
#[derive(Debug)]
pub(super) struct Server {
    buffer: BytesMut,
    answered: bool,
    random: Random,
}

impl Server {
    pub(super) fn new(seed: u64) -> Self {
        Self { buffer: BytesMut::new(), answered: false, random: Random(seed) }
    }

    /// Takes bytes from `input` and puts the answer into `out`. True where the handshake is done; what `input` has then
    /// is chunks.
    pub(super) fn read(&mut self, input: &mut Bytes, out: &mut BytesMut) -> Result<bool, HandshakeError> {
        if !self.answered {
            if !fill(&mut self.buffer, 1 + PACKET_BYTES, input)? {
                return Ok(false);
            }
            self.buffer.advance(1);
            let c1 = self.buffer.split();
            let mut s1 = packet(&mut self.random);
            let s2 = match digest::find(&c1, digest::Peer::Client) {
                Some(found) => digest::answer(&mut s1, &found, packet(&mut self.random)),
                None => c1.to_vec(),
            };
            out.put_u8(VERSION);
            out.put_slice(&s1);
            out.put_slice(&s2);
            self.answered = true;
        }
        Ok(skip(&mut self.buffer, input))
    }
}

/// The client's side: sends C0 and C1, waits for S0, S1 and S2, answers C2. It has no digests: no server needs them.
#[derive(Debug)]
pub(super) struct Client {
    buffer: BytesMut,
    answered: bool,
}

impl Client {
    /// Begins; C0 and C1 go into `out`.
    pub(super) fn new(seed: u64, out: &mut BytesMut) -> Self {
        out.put_u8(VERSION);
        out.put_slice(&packet(&mut Random(seed)));
        Self { buffer: BytesMut::new(), answered: false }
    }

    /// Takes bytes from `input` and puts the answer into `out`. True where the handshake is done; what `input` has then
    /// is chunks.
    pub(super) fn read(&mut self, input: &mut Bytes, out: &mut BytesMut) -> Result<bool, HandshakeError> {
        if !self.answered {
            if !fill(&mut self.buffer, 1 + PACKET_BYTES, input)? {
                return Ok(false);
            }
            self.buffer.advance(1);
            out.put_slice(&self.buffer.split());
            self.answered = true;
        }
        Ok(skip(&mut self.buffer, input))
    }
}

/// Moves bytes into `buffer` until there are `wanted`. The version is judged as soon as it is there.
fn fill(buffer: &mut BytesMut, wanted: usize, input: &mut Bytes) -> Result<bool, HandshakeError> {
    let missing = wanted.saturating_sub(buffer.len()).min(input.len());
    buffer.extend_from_slice(&input.split_to(missing));
    match buffer.first() {
        Some(&version) if version != VERSION => Err(HandshakeError::Version(version)),
        _ => Ok(buffer.len() == wanted),
    }
}

/// Passes over the last packet. Nobody's second packet is checked: half of the clients send nonsense in it.
fn skip(buffer: &mut BytesMut, input: &mut Bytes) -> bool {
    let missing = PACKET_BYTES.saturating_sub(buffer.len()).min(input.len());
    buffer.extend_from_slice(&input.split_to(missing));
    buffer.len() == PACKET_BYTES
}

/// Time 0, version 0 (which says that there is no digest), and random bytes.
fn packet(random: &mut Random) -> Vec<u8> {
    let mut packet = vec![0; 8];
    while packet.len() < PACKET_BYTES {
        packet.extend(random.next().to_be_bytes());
    }
    packet
}

/// Bytes that nobody relies on being secret: a 64-bit splitmix generator.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_finish_together() {
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        let mut client = Client::new(1, &mut to_server);
        let mut server = Server::new(2);
        assert!(!server.read(&mut to_server.split().freeze(), &mut to_client).unwrap());
        assert_eq!(to_client.len(), 1 + 2 * PACKET_BYTES);
        let mut input = BytesMut::from(&to_client.split()[..]);
        input.extend_from_slice(b"next");
        let mut input = input.freeze();
        assert!(client.read(&mut input, &mut to_server).unwrap());
        assert_eq!(&input[..], b"next", "what follows is left");
        assert!(server.read(&mut to_server.split().freeze(), &mut to_client).unwrap());
    }

    #[test]
    fn the_simple_answer_echoes_the_client() {
        let mut c0c1 = vec![VERSION];
        c0c1.extend((0..PACKET_BYTES).map(|index| index as u8));
        let mut out = BytesMut::new();
        Server::new(7).read(&mut Bytes::from(c0c1.clone()), &mut out).unwrap();
        assert_eq!(out[0], VERSION);
        assert_eq!(out[1 + PACKET_BYTES..], c0c1[1..]);
    }

    #[test]
    fn another_protocol_is_refused_at_its_first_byte() {
        let mut out = BytesMut::new();
        for first in [b'G', 0x16, 6] {
            let refused = Server::new(0).read(&mut Bytes::from(vec![first]), &mut out);
            assert_eq!(refused, Err(HandshakeError::Version(first)));
        }
        assert!(out.is_empty());
    }
}
