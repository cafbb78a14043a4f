//! The one thing that must be known of a STUN message to find its leg: the user name (RFC 8489, RFC 8445 section 7.2).

/// Length of a STUN header, RFC 8489 section 5.
const HEADER: usize = 20;
/// Attributes looked at, at most; a binding request of ICE has about seven.
const ATTRIBUTES_MAX: usize = 16;
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: [u8; 2] = [0x00, 0x06];

/// Whether a datagram is STUN and not DTLS, RTP or RTCP (RFC 7983).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 2)
}

/// The receiver's user name fragment in a STUN binding request: what stands before the colon of USERNAME. Whether the
/// request is authentic is for the leg to say. Costs O(1) and allocates nothing.
pub fn local_ufrag(datagram: &[u8]) -> Option<&str> {
    let (header, mut rest) = datagram.split_at_checked(HEADER)?;
    if header.get(0..2)? != BINDING_REQUEST || header.get(4..8)? != MAGIC_COOKIE {
        return None;
    }
    for _ in 0..ATTRIBUTES_MAX {
        let (kind, after) = rest.split_at_checked(2)?;
        let (length, after) = after.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let (value, _) = after.split_at_checked(length)?;
        if kind == USERNAME {
            return std::str::from_utf8(value).ok()?.split_once(':').map(|(local, _)| local);
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
    None
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

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = local_ufrag(&bytes);
        }
    }
}
