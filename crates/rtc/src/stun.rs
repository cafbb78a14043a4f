//! What must be known of a STUN message to find its leg (RFC 8489, RFC 8445 section 7.2), and help for clients whose
//! requests lack what str0m insists on.

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

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), head in any::<bool>()) {
            let mut bytes = bytes;
            if head && bytes.len() > 8 {
                bytes[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
            }
            let _ = local_ufrag(&bytes);
            let _ = with_priority(&bytes, hmac);
        }
    }
}
