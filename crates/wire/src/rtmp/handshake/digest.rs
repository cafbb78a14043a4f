//! The digests of clients of Flash descent: they prove nothing (the keys are known to all), but such a client plays
//! H.264 and AAC only from a server that answers them.
//!
//! C1 and S1 hide a SHA-256 HMAC of themselves at a place that four of their bytes say, in one of two layouts; S2 ends
//! with an HMAC under a key that is made of the client's digest.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::PACKET_BYTES;

/// Who made a packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    Client,
    #[cfg_attr(not(test), expect(dead_code, reason = "only the tests read a server's packet"))]
    Server,
}

/// A digest and where it was.
#[derive(Debug)]
pub(super) struct Found {
    digest: [u8; DIGEST_BYTES],
    layout: Layout,
}

/// The two places of the four bytes that say where the digest is.
#[derive(Clone, Copy, Debug)]
enum Layout {
    DigestFirst,
    KeyFirst,
}

const DIGEST_BYTES: usize = 32;
/// The digest is in a block of 764 bytes after 4 bytes of place.
const PLACES: usize = 728;
const CLIENT_NAME: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER_NAME: &[u8] = b"Genuine Adobe Flash Media Server 001";
const SHARED_KEY: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e, 0xec, 0x5d,
    0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];
/// A version that says that S1 has a digest: clients look at the first byte only.
const SERVER_VERSION: [u8; 4] = [3, 5, 7, 9];

impl Layout {
    fn place(self, packet: &[u8]) -> Option<usize> {
        let at = match self {
            Self::DigestFirst => 8,
            Self::KeyFirst => 8 + 764,
        };
        let sum: usize = packet.get(at..at + 4)?.iter().map(|&byte| usize::from(byte)).sum();
        Some(at + 4 + sum % PLACES)
    }
}

/// The digest in the first packet of a peer. `None` for the simple handshake, which says version 0.
pub(super) fn find(packet: &[u8], peer: Peer) -> Option<Found> {
    if packet.get(4..8) == Some(&[0; 4]) {
        return None;
    }
    let name = match peer {
        Peer::Client => CLIENT_NAME,
        Peer::Server => SERVER_NAME,
    };
    [Layout::DigestFirst, Layout::KeyFirst].into_iter().find_map(|layout| {
        let (before, digest, after) = split(packet, layout)?;
        (hmac(name, &[before, after]) == digest).then_some(Found { digest, layout })
    })
}

/// Puts a digest into S1 and makes S2 of random bytes.
pub(super) fn answer(s1: &mut [u8], client: &Found, mut s2: Vec<u8>) -> Vec<u8> {
    if let Some(version) = s1.get_mut(4..8) {
        version.copy_from_slice(&SERVER_VERSION);
    }
    if let (Some(digest), Some(place)) = (digest_of(s1, client.layout), client.layout.place(s1))
        && let Some(room) = s1.get_mut(place..place + DIGEST_BYTES)
    {
        room.copy_from_slice(&digest);
    }
    let key = hmac(&[SERVER_NAME, &SHARED_KEY].concat(), &[&client.digest]);
    s2.truncate(PACKET_BYTES - DIGEST_BYTES);
    let signature = hmac(&key, &[&s2]);
    s2.extend(signature);
    s2
}

fn digest_of(s1: &[u8], layout: Layout) -> Option<[u8; DIGEST_BYTES]> {
    let (before, _, after) = split(s1, layout)?;
    Some(hmac(SERVER_NAME, &[before, after]))
}

fn split(packet: &[u8], layout: Layout) -> Option<(&[u8], [u8; DIGEST_BYTES], &[u8])> {
    let (before, rest) = packet.split_at_checked(layout.place(packet)?)?;
    let (digest, after) = rest.split_first_chunk()?;
    Some((before, *digest, after))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; DIGEST_BYTES] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::handshake::{Random, Server, VERSION, packet};
    use bytes::{Bytes, BytesMut};

    fn client_packet(layout: Layout, seed: u64) -> Vec<u8> {
        let mut c1 = packet(&mut Random(seed));
        c1[4..8].copy_from_slice(&[9, 0, 124, 2]);
        let place = layout.place(&c1).unwrap();
        let (before, _, after) = split(&c1, layout).unwrap();
        let digest = hmac(CLIENT_NAME, &[before, after]);
        c1[place..place + DIGEST_BYTES].copy_from_slice(&digest);
        c1
    }

    #[test]
    fn a_client_with_a_digest_gets_one_back_in_its_own_layout() {
        for layout in [Layout::DigestFirst, Layout::KeyFirst] {
            for seed in 0..20 {
                let c1 = client_packet(layout, seed);
                let digest = find(&c1, Peer::Client).expect("our own reading of it").digest;
                let mut out = BytesMut::new();
                let mut input = Bytes::from([&[VERSION][..], &c1].concat());
                Server::new(seed + 100).read(&mut input, &mut out).unwrap();
                let (s1, s2) = out[1..].split_at(PACKET_BYTES);
                assert!(find(s1, Peer::Server).is_some());
                let (random, signature) = s2.split_at(PACKET_BYTES - DIGEST_BYTES);
                let key = hmac(&[SERVER_NAME, &SHARED_KEY].concat(), &[&digest]);
                assert_eq!(hmac(&key, &[random]), signature);
            }
        }
    }

    #[test]
    fn a_digest_that_is_wrong_is_the_simple_handshake() {
        let mut c1 = client_packet(Layout::DigestFirst, 1);
        c1[PACKET_BYTES - 1] ^= 1;
        assert!(find(&c1, Peer::Client).is_none());
    }
}
