//! STUN as an ICE-lite agent needs it (RFC 8489, RFC 8445 section 7.3): finding the leg of a binding request, saying
//! whether it is authentic, and answering it; and help for clients whose requests lack what str0m insists on.
//!
//! All of it is a function of the bytes and the password, so that any shard can answer for a leg that it does not hold.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::{constant_time, hmac};

use crate::{batch::Batch, config::Protocol};

/// Length of a STUN header, RFC 8489 section 5.
const HEADER: usize = 20;
/// Attributes looked at, at most; a binding request of ICE has about seven.
const ATTRIBUTES_MAX: usize = 16;
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: [u8; 2] = [0x00, 0x06];
const MESSAGE_INTEGRITY: [u8; 2] = [0x00, 0x08];
const PRIORITY: [u8; 2] = [0x00, 0x24];
const USE_CANDIDATE: [u8; 2] = [0x00, 0x25];
/// What a peer reflexive candidate over UDP says, RFC 8445 section 5.1.2.1.
const PEER_REFLEXIVE: u32 = 110 << 24 | 65_535 << 8 | 255;
/// Length of an HMAC-SHA1.
const INTEGRITY: usize = 20;
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const BINDING_INDICATION: [u8; 2] = [0x00, 0x11];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0x00, 0x20];
const FINGERPRINT: [u8; 2] = [0x80, 0x28];
/// What the checksum is crossed with, RFC 8489 section 14.7.
pub(crate) const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// Names one request; the answer carries it.
pub type Transaction = [u8; 12];

/// What an authentic binding request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check<'a> {
    /// Our user name fragment.
    pub local: &'a str,
    /// The peer's.
    pub remote: &'a str,
    /// Priority of the path as the peer sees it; that of a peer reflexive candidate where the request says none, as
    /// those of FFmpeg do.
    pub priority: u32,
    /// The peer wants this path used (USE-CANDIDATE).
    pub nominates: bool,
    /// The request's number.
    pub transaction: Transaction,
}

/// Why a datagram is no check of ours. Nobody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no binding request, or its length is not what it says.
    #[error("no binding request")]
    NotARequest,
    /// USERNAME is missing or has no colon.
    #[error("no user name")]
    NoUserName,
    /// MESSAGE-INTEGRITY is missing or was made with another password.
    #[error("not signed with the password")]
    Forged,
}

/// Whether a datagram is STUN and not DTLS, RTP or RTCP (RFC 7983).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 2)
}

/// The receiver's user name fragment in a STUN binding request: what stands before the colon of USERNAME. Whether the
/// request is authentic is for the leg to say. Costs O(1) and allocates nothing.
pub fn local_ufrag(datagram: &[u8]) -> Option<&str> {
    let user = attributes(datagram)?.find(|attribute| attribute.kind == USERNAME)?;
    std::str::from_utf8(user.value).ok()?.split_once(':').map(|(local, _)| local)
}

/// Whether a datagram only keeps a binding of a router alive: it is not to be answered.
pub(crate) fn is_indication(datagram: &[u8]) -> bool {
    datagram.get(..2) == Some(&BINDING_INDICATION[..])
}

/// Reads a binding request and says whether it was made by somebody who knows the password. What stands behind
/// MESSAGE-INTEGRITY is not looked at. Allocates nothing.
///
/// # Errors
/// Says why it is none.
pub fn check<'a>(request: &'a [u8], password: &str) -> Result<Check<'a>, Refused> {
    let length = request.get(2..4).and_then(|length| length.try_into().ok()).map(u16::from_be_bytes);
    if length.map(|length| usize::from(length) + HEADER) != Some(request.len()) {
        return Err(Refused::NotARequest);
    }
    let (mut user, mut priority, mut nominates, mut integrity) = (None, PEER_REFLEXIVE, false, None);
    for attribute in attributes(request).ok_or(Refused::NotARequest)? {
        match attribute.kind {
            USERNAME => user = Some(attribute.value),
            PRIORITY => priority = attribute.value.try_into().map_or(priority, u32::from_be_bytes),
            USE_CANDIDATE => nominates = true,
            MESSAGE_INTEGRITY => {
                integrity = Some((attribute.at, attribute.value));
                break;
            }
            _ => {}
        }
    }
    let user = user.and_then(|user| std::str::from_utf8(user).ok()).and_then(|user| user.split_once(':'));
    let (local, remote) = user.ok_or(Refused::NoUserName)?;
    let (at, given) = integrity.ok_or(Refused::Forged)?;
    let own = integrity_of(request, at, password).ok_or(Refused::NotARequest)?;
    constant_time::verify_slices_are_equal(own.as_ref(), given).map_err(|_| Refused::Forged)?;
    let transaction = request.get(8..HEADER).and_then(|bytes| bytes.try_into().ok()).ok_or(Refused::NotARequest)?;
    Ok(Check { local, remote, priority, nominates, transaction })
}

/// The HMAC that a message has whose MESSAGE-INTEGRITY begins at `at`: the length that is signed ends with it, RFC 8489
/// section 14.5.
pub(crate) fn integrity_of(message: &[u8], at: usize, password: &str) -> Option<hmac::Tag> {
    let signed = u16::try_from((at + 4 + INTEGRITY).checked_sub(HEADER)?).ok()?;
    let mut context =
        hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()));
    context.update(message.get(..2)?);
    context.update(&signed.to_be_bytes());
    context.update(message.get(4..at)?);
    Some(context.sign())
}

/// Answers a check that came from `from`: XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY, FINGERPRINT.
pub fn respond(transaction: &Transaction, proto: Protocol, from: SocketAddr, password: &str, out: &mut Batch) -> bool {
    let ip = from.ip().to_canonical();
    let mapped = if ip.is_ipv4() { 8 } else { 20 };
    let length = HEADER + 4 + mapped + 4 + INTEGRITY + 8;
    out.write(proto, from, length, |space| write_response(space, transaction, ip, from.port(), password).is_some())
}

fn write_response(space: &mut [u8], transaction: &Transaction, ip: IpAddr, port: u16, password: &str) -> Option<()> {
    let body = u16::try_from(space.len().checked_sub(HEADER)?).ok()?;
    let mut pad = [0; 16];
    pad.get_mut(..4)?.copy_from_slice(&MAGIC_COOKIE);
    pad.get_mut(4..)?.copy_from_slice(transaction);
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        space.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        at += bytes.len();
        Some(at)
    };
    for part in [&BINDING_SUCCESS[..], &body.to_be_bytes(), &pad] {
        put(part)?;
    }
    put(&XOR_MAPPED_ADDRESS)?;
    let port = (port ^ 0x2112).to_be_bytes();
    let at = match ip {
        IpAddr::V4(ip) => {
            let [a, b] = port;
            put(&[0, 8, 0, 1, a, b])?;
            put(&crossed(ip.octets(), &pad))?
        }
        IpAddr::V6(ip) => {
            let [a, b] = port;
            put(&[0, 20, 0, 2, a, b])?;
            put(&crossed(ip.octets(), &pad))?
        }
    };
    let tag = integrity_of(space, at, password)?;
    let mut put = |at: usize, kind: [u8; 2], value: &[u8]| {
        let end = at + 4 + value.len();
        let (head, rest) = space.get_mut(at..end)?.split_at_mut_checked(4)?;
        let [a, b] = kind;
        head.copy_from_slice(&[a, b, 0, value.len() as u8]);
        rest.copy_from_slice(value);
        Some(end)
    };
    let at = put(at, MESSAGE_INTEGRITY, tag.as_ref())?;
    let sum = crc32(space.get(..at)?) ^ FINGERPRINT_XOR;
    let (head, value) = space.get_mut(at..)?.split_at_mut_checked(4)?;
    let [a, b] = FINGERPRINT;
    head.copy_from_slice(&[a, b, 0, 4]);
    value.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

fn crossed<const N: usize>(mut bytes: [u8; N], pad: &[u8; 16]) -> [u8; N] {
    bytes.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= pad);
    bytes
}

/// Says whether a datagram is an authentic check, and writes the answer to it.
///
/// # Errors
/// Where it is none; then nothing is written.
pub fn answer<'a>(
    request: &'a [u8],
    proto: Protocol,
    from: SocketAddr,
    password: &str,
    out: &mut Batch,
) -> Result<Check<'a>, Refused> {
    let check = check(request, password)?;
    respond(&check.transaction, proto, from, password, out);
    Ok(check)
}

/// The checksum of Ethernet (ISO 3309), four bits at a time: an answer has 60 bytes, a table of 1 KiB would not pay.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = [
        0x0000_0000,
        0x1db7_1064,
        0x3b6e_20c8,
        0x26d9_30ac,
        0x76dc_4190,
        0x6b6b_51f4,
        0x4db2_6158,
        0x5005_713c,
        0xedb8_8320,
        0xf00f_9344,
        0xd6d6_a3e8,
        0xcb61_b38c,
        0x9b64_c2b0,
        0x86d3_d2d4,
        0xa00a_e278,
        0xbdbd_f21c,
    ];
    let step = |sum: u32, low: u32| TABLE.get(((sum ^ low) & 15) as usize).map_or(sum, |entry| entry ^ sum >> 4);
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        let byte = u32::from(*byte);
        step(step(sum, byte), byte >> 4)
    })
}

/// A binding request with the PRIORITY that it lacks, signed anew: FFmpeg 8.0 leaves it out against RFC 8445 section
/// 7.1.1. `None` where nothing is missing, or the request is not signed with the password that
/// `hmac` knows.
pub(crate) fn with_priority(datagram: &[u8], hmac: impl Fn(&[&[u8]]) -> [u8; INTEGRITY]) -> Option<Vec<u8>> {
    let (mut user, mut integrity, mut nominates) = (None, None, false);
    for attribute in attributes(datagram)? {
        match attribute.kind {
            PRIORITY => return None,
            USERNAME => user = Some(attribute.value),
            USE_CANDIDATE => nominates = true,
            MESSAGE_INTEGRITY => {
                integrity = Some((attribute.at, attribute.value));
                break;
            }
            _ => {}
        }
    }
    let (user, (at, given)) = (user?, integrity?);
    let transaction = datagram.get(8..HEADER)?;
    // The length that is signed ends with MESSAGE-INTEGRITY, RFC 8489 section 14.5.
    let signed = u16::try_from((at + 4 + INTEGRITY).checked_sub(HEADER)?).ok()?;
    let own = hmac(&[&BINDING_REQUEST, &signed.to_be_bytes(), &MAGIC_COOKIE, transaction, datagram.get(HEADER..at)?]);
    let differs = given.iter().zip(&own).fold(0, |sum, (given, own)| sum | given ^ own);
    if given.len() != INTEGRITY || differs != 0 {
        return None;
    }
    let mut body = Vec::with_capacity(128);
    push(&mut body, USERNAME, user)?;
    push(&mut body, PRIORITY, &PEER_REFLEXIVE.to_be_bytes())?;
    if nominates {
        push(&mut body, USE_CANDIDATE, &[])?;
    }
    let length = u16::try_from(body.len() + 4 + INTEGRITY).ok()?.to_be_bytes();
    let signature = hmac(&[&BINDING_REQUEST, &length, &MAGIC_COOKIE, transaction, &body]);
    push(&mut body, MESSAGE_INTEGRITY, &signature)?;
    Some([&BINDING_REQUEST[..], &length, &MAGIC_COOKIE, transaction, &body].concat())
}

fn push(body: &mut Vec<u8>, kind: [u8; 2], value: &[u8]) -> Option<()> {
    body.extend(kind);
    body.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
    Some(())
}

struct Attribute<'a> {
    /// Where it begins in the datagram.
    at: usize,
    kind: [u8; 2],
    value: &'a [u8],
}

/// The attributes of a binding request, `ATTRIBUTES_MAX` at most.
fn attributes(datagram: &[u8]) -> Option<impl Iterator<Item = Attribute<'_>>> {
    let header = datagram.get(..HEADER)?;
    if header.get(0..2)? != BINDING_REQUEST || header.get(4..8)? != MAGIC_COOKIE {
        return None;
    }
    let mut at = HEADER;
    let next = move || {
        let kind: [u8; 2] = datagram.get(at..at + 2)?.try_into().ok()?;
        let length = usize::from(u16::from_be_bytes(datagram.get(at + 2..at + 4)?.try_into().ok()?));
        let value = datagram.get(at + 4..at + 4 + length)?;
        let attribute = Attribute { at, kind, value };
        at += 4 + length.next_multiple_of(4);
        Some(attribute)
    };
    Some(std::iter::from_fn(next).take(ATTRIBUTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut out = vec![0, 1];
        out.extend((body.len() as u16).to_be_bytes());
        out.extend(MAGIC_COOKIE);
        out.extend([7; 12]);
        out.extend(body);
        out
    }

    #[test]
    fn finds_the_user_name_wherever_it_stands() {
        assert_eq!(local_ufrag(&request(&[(0x24, &[0; 4]), (0x06, b"server:client")])), Some("server"));
        assert_eq!(local_ufrag(&request(&[(0x8022, b"odd"), (0x06, b"a:b")])), Some("a"), "padding is passed over");
        assert_eq!(local_ufrag(&request(&[(0x06, b"nocolon")])), None);
        assert_eq!(local_ufrag(&request(&[])), None);
        let mut response = request(&[(0x06, b"a:b")]);
        response[0] = 1;
        assert_eq!(local_ufrag(&response), None, "only requests carry our name");
    }

    fn hmac(payloads: &[&[u8]]) -> [u8; 20] {
        str0m::crypto::from_feature_flags().sha1_hmac_provider.sha1_hmac(b"password", payloads)
    }

    fn signed(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut all = attributes.to_vec();
        all.push((0x08, &[0; 20]));
        let mut out = request(&all);
        let at = out.len() - 24;
        let signature = hmac(&[&out[..at]]);
        out[at + 4..].copy_from_slice(&signature);
        out
    }

    #[test]
    fn what_lacks_a_priority_gets_one_and_is_still_what_it_was() {
        let mut poor = signed(&[(0x06, b"server:client"), (0x25, b"")]);
        poor.extend([0x80, 0x28, 0, 4, 1, 2, 3, 4]);
        let length = (poor.len() - 20) as u16;
        poor[2..4].copy_from_slice(&length.to_be_bytes());
        let rich = with_priority(&poor, hmac).unwrap();
        assert_eq!(rich, signed(&[(0x06, b"server:client"), (0x24, &PEER_REFLEXIVE.to_be_bytes()), (0x25, b"")]));
        assert_eq!(with_priority(&rich, hmac), None, "nothing is missing");
        poor[24] ^= 1;
        assert_eq!(with_priority(&poor, hmac), None, "what is not authentic does not become so");
        assert_eq!(with_priority(&request(&[(0x06, b"a:b")]), hmac), None, "unsigned");
    }

    const FROM: [&str; 3] = ["198.51.100.7:5000", "[2001:db8::7]:5000", "[::ffff:198.51.100.7]:5000"];

    fn good(nominates: bool) -> Vec<u8> {
        let mut all: Vec<(u16, &[u8])> = vec![(0x06, b"server:client"), (0x24, &[0, 0, 1, 2])];
        if nominates {
            all.push((0x25, b""));
        }
        all.push((0x08, &[0; 20]));
        let mut out = request(&all);
        let at = out.len() - 24;
        let tag = integrity_of(&out, at, "password").unwrap();
        out[at + 4..].copy_from_slice(tag.as_ref());
        out
    }

    #[test]
    fn the_checksum_is_that_of_ethernet() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn an_authentic_check_is_answered_to_where_it_came_from() {
        for from in FROM.map(|from| from.parse::<SocketAddr>().unwrap()) {
            let mut out = Batch::new(1_000);
            let request = good(true);
            let check = answer(&request, Protocol::Udp, from, "password", &mut out).unwrap();
            let expected =
                Check { local: "server", remote: "client", priority: 258, nominates: true, transaction: [7; 12] };
            assert_eq!(check, expected);
            let run = out.runs().next().unwrap();
            assert_eq!((run.to, out.datagrams()), (from, 1));
            // Read by another implementation's rules: str0m's own parser is used in the tests of the leg.
            let bytes = run.bytes;
            assert_eq!(bytes[..2], BINDING_SUCCESS);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) + HEADER, bytes.len());
            assert_eq!(bytes[8..20], [7; 12]);
            assert_eq!(bytes[25], if from.ip().to_canonical().is_ipv4() { 1 } else { 2 });
            assert_eq!(u16::from_be_bytes([bytes[26], bytes[27]]) ^ 0x2112, 5_000);
            let tail = bytes.len() - 32;
            assert_eq!(bytes[tail + 4..tail + 24], *integrity_of(bytes, tail, "password").unwrap().as_ref());
        }
    }

    #[test]
    fn whatever_is_changed_in_a_check_makes_it_none() {
        let request = good(false);
        assert_eq!(check(&request, "passwort"), Err(Refused::Forged));
        assert!(check(&request, "password").is_ok_and(|check| !check.nominates));
        for place in 0..request.len() {
            let mut changed = request.clone();
            changed[place] ^= 1;
            // The magic cookie and the attributes are signed, the length and the type are looked at.
            assert!(check(&changed, "password").is_err(), "byte {place}");
        }
        for length in 0..request.len() {
            assert!(check(&request[..length], "password").is_err());
        }
        let mut unsigned = good(false);
        unsigned.truncate(unsigned.len() - 24);
        let length = (unsigned.len() - HEADER) as u16;
        unsigned[2..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(check(&unsigned, "password"), Err(Refused::Forged));
    }

    #[test]
    fn what_stands_behind_the_signature_says_nothing() {
        let mut request = good(false);
        request.extend([0x00, 0x25, 0, 0]);
        let length = (request.len() - HEADER) as u16;
        request[2..4].copy_from_slice(&length.to_be_bytes());
        assert!(check(&request, "password").is_ok_and(|check| !check.nominates));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), head in any::<bool>()) {
            let mut bytes = bytes;
            if head && bytes.len() > 8 {
                bytes[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
            }
            let _ = local_ufrag(&bytes);
            let _ = with_priority(&bytes, hmac);
            prop_assert!(check(&bytes, "password").is_err());
        }
    }
}
