//! Feedback about one source: NACK, FIR and REMB.

use media::Ssrc;

/// Missing packets read of one NACK, at most; libwebrtc asks again for no more than 1,000.
pub const NACK_NUMBERS_MAX: usize = 1_024;

/// Packets that are missing.
#[derive(Clone, Copy, Debug)]
pub struct Nack<'a> {
    /// Whose packets.
    pub media_ssrc: Ssrc,
    entries: &'a [[u8; 4]],
}

/// A key frame is wanted. Whoever asks again raises the number; the same number is a repetition.
#[derive(Clone, Copy, Debug)]
pub struct Fir<'a> {
    entries: &'a [[u8; 8]],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let ((_, media_ssrc), list) = (ssrcs(body)?, body.get(8..)?);
        Some(Self { media_ssrc, entries: list.as_chunks().0 })
    }

    /// The low 16 bits of their sequence numbers, in the order of the wire.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + use<'a> {
        let all = self.entries.iter().flat_map(|&[p0, p1, b0, b1]| {
            let (first, further) = (u16::from_be_bytes([p0, p1]), u16::from_be_bytes([b0, b1]));
            let further = (0..16u16).filter(move |bit| further >> bit & 1 == 1);
            std::iter::once(first).chain(further.map(move |bit| first.wrapping_add(bit + 1)))
        });
        all.take(NACK_NUMBERS_MAX)
    }
}

impl<'a> Fir<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        ssrcs(body)?;
        Some(Self { entries: body.get(8..)?.as_chunks().0 })
    }

    /// Whose key frame, and the number of the request; as many as a datagram holds.
    pub fn requests(&self) -> impl Iterator<Item = (Ssrc, u8)> + use<'a> {
        self.entries.iter().map(|&[a, b, c, d, number, ..]| (Ssrc(u32::from_be_bytes([a, b, c, d])), number))
    }
}

/// Who says it, and whose packets it is about.
pub(super) fn ssrcs(body: &[u8]) -> Option<(Ssrc, Ssrc)> {
    let &[a, b, c, d, e, f, g, h] = body.first_chunk::<8>()?;
    Some((Ssrc(u32::from_be_bytes([a, b, c, d])), Ssrc(u32::from_be_bytes([e, f, g, h]))))
}

/// The bit rate of a REMB; `None` where it is other feedback of an application or malformed.
pub(super) fn remb(body: &[u8]) -> Option<u64> {
    let &[r, e, m, b, count, high, middle, low] = body.get(8..)?.first_chunk::<8>()?;
    if [r, e, m, b] != REMB || body.len() < 16 + 4 * usize::from(count) {
        return None;
    }
    let mantissa = u64::from(high & 3) << 16 | u64::from(middle) << 8 | u64::from(low);
    // 18 bits shifted by up to 63: what does not fit in 64 bits is refused.
    let (exponent, bitrate) = (high >> 2, mantissa << (high >> 2));
    (bitrate >> exponent == mantissa).then_some(bitrate)
}

pub(super) const REMB: [u8; 4] = *b"REMB";
