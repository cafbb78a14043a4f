//! The fixed header of an RTP packet (RFC 3550 section 5.1).

use bytes::{BufMut, Bytes, BytesMut};
use media::Ssrc;
use thiserror::Error;

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// They end before the header does.
    #[error("the RTP packet is cut short")]
    Short,
    /// Version is not 2.
    #[error("the RTP packet is of version {0}, and only 2 exists")]
    Version(u8),
    /// More padding than payload, or padding of no bytes.
    #[error("the RTP packet has impossible padding")]
    Padding,
}

/// What the fixed header says. Contributing sources and extensions are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The marker bit; what it means is the payload format's business.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// The low 16 bits of the sequence number.
    pub sequence: u16,
    /// The low 32 bits of the RTP time.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: Ssrc,
}

const VERSION: u8 = 2;
const FIXED_BYTES: usize = 12;

impl Header {
    /// Reads a packet: its header, and its payload without padding as a slice of it.
    ///
    /// # Errors
    /// Where it is cut short, of another version, or its padding is impossible.
    pub fn parse(packet: &Bytes) -> Result<(Self, Bytes), HeaderError> {
        let Some(&[first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]) = packet.first_chunk::<FIXED_BYTES>() else {
            return Err(HeaderError::Short);
        };
        if first >> 6 != VERSION {
            return Err(HeaderError::Version(first >> 6));
        }
        let mut begin = FIXED_BYTES + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let Some(&[_, _, high, low]) = packet.get(begin..begin + 4) else { return Err(HeaderError::Short) };
            begin += 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
        }
        if begin > packet.len() {
            return Err(HeaderError::Short);
        }
        let mut end = packet.len();
        if first & 0x20 != 0 {
            let padding = packet.last().copied().map_or(0, usize::from);
            if padding == 0 || begin + padding > end {
                return Err(HeaderError::Padding);
            }
            end -= padding;
        }
        let header = Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: Ssrc(u32::from_be_bytes([c0, c1, c2, c3])),
        };
        Ok((header, packet.slice(begin..end)))
    }

    /// Writes a packet without contributing sources, extensions and padding.
    pub fn packet(&self, payload: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(FIXED_BYTES + payload.len());
        out.put_u8(VERSION << 6);
        out.put_u8(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        out.put_u16(self.sequence);
        out.put_u32(self.timestamp);
        out.put_u32(self.ssrc.0);
        out.put_slice(payload);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header =
        Header { marker: true, payload_type: 111, sequence: 65_535, timestamp: 4_000_000_000, ssrc: Ssrc(7) };

    #[test]
    fn reads_what_it_writes() {
        let packet = HEADER.packet(b"sound");
        assert_eq!(Header::parse(&packet).unwrap(), (HEADER, Bytes::from_static(b"sound")));
    }

    #[test]
    fn passes_over_sources_extension_and_padding() {
        let mut packet = HEADER.packet(&[]).to_vec();
        packet[0] |= 0x20 | 0x10 | 2;
        packet.extend([0; 8]);
        packet.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        packet.extend(b"sound");
        packet.extend([0, 0, 3]);
        let (header, payload) = Header::parse(&packet.clone().into()).unwrap();
        assert_eq!((header, &payload[..]), (HEADER, &b"sound"[..]));
        for end in 0..packet.len() - 8 {
            assert!(Header::parse(&Bytes::copy_from_slice(&packet[..end])).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_be() {
        assert_eq!(Header::parse(&Bytes::new()), Err(HeaderError::Short));
        assert_eq!(Header::parse(&Bytes::from_static(&[0x40; 12])), Err(HeaderError::Version(1)));
        assert_eq!(Header::parse(&Bytes::from_static(&[0xa0; 12])), Err(HeaderError::Padding));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Header::parse(&Bytes::from(bytes));
        }
    }
}
