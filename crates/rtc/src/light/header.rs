//! What a receiver reads of an RTP header (RFC 3550 section 5.1, RFC 8285 section 4.2).

/// Header extensions looked at, at most.
const ELEMENTS_MAX: usize = 16;
/// The profile of one-byte extensions.
const ONE_BYTE: [u8; 2] = [0xbe, 0xde];

/// The fields of an RTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) pt: u8,
    pub(super) marker: bool,
    pub(super) time: u32,
}

impl Header {
    /// Reads a header that has its length, as `srtp::rtp_header_len` says.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let &[_, second, _, _, a, b, c, d] = packet.first_chunk()?;
        Some(Self { pt: second & 0x7f, marker: second & 0x80 != 0, time: u32::from_be_bytes([a, b, c, d]) })
    }
}

/// The transport-wide number of a packet, where its header has an extension of that number.
pub(super) fn transport_number(header: &[u8], id: u8) -> Option<u16> {
    let first = *header.first()?;
    if first & 0x10 == 0 {
        return None;
    }
    let block = header.get(12 + 4 * usize::from(first & 0x0f)..)?;
    let (head, mut rest) = block.split_first_chunk::<4>()?;
    if !head.starts_with(&ONE_BYTE) {
        return None;
    }
    for _ in 0..ELEMENTS_MAX {
        let (&element, after) = rest.split_first()?;
        if element == 0 {
            rest = after;
            continue;
        }
        let (value, after) = after.split_at_checked(usize::from(element & 0x0f) + 1)?;
        if element >> 4 == id {
            return Some(u16::from_be_bytes(value.try_into().ok()?));
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_among_others_and_only_under_its_name() {
        let header = [
            &[0x91, 0xe0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8][..],
            &[0xbe, 0xde, 0, 3, 0x22, 1, 2, 3, 0, 0x31, 0x12, 0x34, 0x40, 7, 0, 0],
        ];
        let header = header.concat();
        assert_eq!(Header::read(&header), Some(Header { pt: 96, marker: true, time: 9 }));
        assert_eq!((transport_number(&header, 3), transport_number(&header, 2)), (Some(0x1234), None));
        for length in 0..header.len() {
            let _ = transport_number(&header[..length], 5);
        }
        let mut other = header;
        other[16] = 0x10;
        assert_eq!(transport_number(&other, 3), None, "another profile");
    }
}
