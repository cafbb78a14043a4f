//! H.264 in RTP (RFC 6184), packetisation mode 1: single NAL units, aggregation (STAP-A) and fragments (FU-A).

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;
use thiserror::Error;

/// Units in one aggregation packet, at most: parameter sets and a few small slices; a packet holds no more.
pub const UNITS_MAX: usize = 64;

/// `nal_unit_type` values that RFC 6184 adds (section 5.2, table 1).
mod kind {
    pub(super) const STAP_A: u8 = 24;
    pub(super) const FU_A: u8 = 28;
}

const FRAGMENT_START: u8 = 0x80;
const FRAGMENT_END: u8 = 0x40;
const FRAGMENT_HEADER_BYTES: usize = 2;

/// Why a payload cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// Nothing, or less than its own lengths say.
    #[error("the H.264 payload is cut short")]
    Short,
    /// A type that mode 1 does not have (STAP-B, MTAP, FU-B), or that is reserved.
    #[error("the H.264 payload is of type {0}, which packetisation mode 1 does not have")]
    Unsupported(u8),
    /// More than `UNITS_MAX` units in one packet.
    #[error("the H.264 payload aggregates more than {UNITS_MAX} units")]
    TooMany,
    /// A fragment that is start and end at once (RFC 6184 section 5.8 forbids it).
    #[error("the H.264 fragment is its unit's start and end at once")]
    WholeFragment,
}

/// What a payload holds; all bytes are slices of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// One NAL unit (RFC 6184 section 5.6).
    Single(Bytes),
    /// Several NAL units (STAP-A, section 5.7.1).
    Aggregate(SmallVec<[Bytes; 4]>),
    /// A part of one NAL unit (FU-A, section 5.8).
    Fragment {
        /// The first part.
        start: bool,
        /// The last part.
        end: bool,
        /// The header byte of the unit, put together from the fragment's two.
        header: u8,
        /// The part, without any header.
        body: Bytes,
    },
}

impl Parsed {
    /// The type of the NAL unit that begins in this payload; `None` in the middle of one.
    pub fn first_type(&self) -> Option<u8> {
        match self {
            Self::Single(unit) => unit.first().map(|header| header & 0x1f),
            Self::Aggregate(units) => units.first()?.first().map(|header| header & 0x1f),
            Self::Fragment { start, header, .. } => start.then_some(header & 0x1f),
        }
    }
}

/// Reads a payload.
///
/// # Errors
/// Where it is cut short or of a type that mode 1 does not have.
pub fn parse(payload: &Bytes) -> Result<Parsed, PayloadError> {
    let header = *payload.first().ok_or(PayloadError::Short)?;
    match header & 0x1f {
        1..=23 => Ok(Parsed::Single(payload.clone())),
        kind::STAP_A => aggregate(payload),
        kind::FU_A => {
            let fragment = *payload.get(1).ok_or(PayloadError::Short)?;
            let (start, end) = (fragment & FRAGMENT_START != 0, fragment & FRAGMENT_END != 0);
            if start && end {
                return Err(PayloadError::WholeFragment);
            }
            let header = header & 0xe0 | fragment & 0x1f;
            Ok(Parsed::Fragment { start, end, header, body: payload.slice(FRAGMENT_HEADER_BYTES..) })
        }
        other => Err(PayloadError::Unsupported(other)),
    }
}

fn aggregate(payload: &Bytes) -> Result<Parsed, PayloadError> {
    let mut units = SmallVec::new();
    let mut at = 1;
    while at < payload.len() {
        let Some(&[high, low]) = payload.get(at..at + 2) else { return Err(PayloadError::Short) };
        let (begin, length) = (at + 2, usize::from(u16::from_be_bytes([high, low])));
        if begin + length > payload.len() {
            return Err(PayloadError::Short);
        }
        if units.len() >= UNITS_MAX {
            return Err(PayloadError::TooMany);
        }
        if length > 0 {
            units.push(payload.slice(begin..begin + length));
        }
        at = begin + length;
    }
    if units.is_empty() { Err(PayloadError::Short) } else { Ok(Parsed::Aggregate(units)) }
}

/// Several units as one payload (STAP-A); `None` where they are fewer than two, more than `UNITS_MAX`, or do not fit
/// in `payload_max` bytes.
pub fn stap_a<'a>(units: impl Iterator<Item = &'a Bytes> + Clone, payload_max: usize) -> Option<Bytes> {
    let (mut count, mut length) = (0, 1);
    // Forbidden bit: any; nal_ref_idc: the greatest of all units (section 5.7.1).
    let (mut forbidden, mut reference) = (0, 0);
    for unit in units.clone() {
        let header = *unit.first()?;
        u16::try_from(unit.len()).ok()?;
        (count, length) = (count + 1, length + 2 + unit.len());
        (forbidden, reference) = (forbidden | header & 0x80, reference.max(header & 0x60));
    }
    if !(2..=UNITS_MAX).contains(&count) || length > payload_max {
        return None;
    }
    let mut out = BytesMut::with_capacity(length);
    out.put_u8(forbidden | reference | kind::STAP_A);
    for unit in units {
        out.put_u16(unit.len() as u16);
        out.put_slice(unit);
    }
    Some(out.freeze())
}

/// One unit as payloads of at most `payload_max` bytes: itself where it fits, else fragments (FU-A) in order.
/// Fragments are made equal, so that the last is no dwarf. A `payload_max` too small for any fragment gives nothing.
pub fn payloads(unit: &Bytes, payload_max: usize) -> impl Iterator<Item = Bytes> + use<> {
    let fits = unit.len() <= payload_max;
    let header = unit.first().copied().unwrap_or(0);
    let body = unit.slice(unit.len().min(1)..);
    let room = payload_max.saturating_sub(FRAGMENT_HEADER_BYTES);
    let count = if fits || room == 0 { 0 } else { body.len().div_ceil(room).max(2) };
    let whole = (fits && !unit.is_empty()).then(|| unit.clone());
    whole.into_iter().chain((0..count).map(move |number| fragment(header, &body, number, count)))
}

fn fragment(header: u8, body: &Bytes, number: usize, count: usize) -> Bytes {
    let (begin, end) = (body.len() * number / count, body.len() * (number + 1) / count);
    let part = body.get(begin..end).unwrap_or_default();
    let mut out = BytesMut::with_capacity(FRAGMENT_HEADER_BYTES + part.len());
    out.put_u8(header & 0xe0 | kind::FU_A);
    let start = if number == 0 { FRAGMENT_START } else { 0 };
    let last = if number + 1 == count { FRAGMENT_END } else { 0 };
    out.put_u8(start | last | header & 0x1f);
    out.put_slice(part);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(header: u8, length: usize) -> Bytes {
        std::iter::once(header).chain((1..length).map(|at| at as u8)).collect()
    }

    /// Puts a unit together again from its payloads, as a receiver does.
    fn join(payloads: impl Iterator<Item = Bytes>, payload_max: usize) -> Vec<u8> {
        let (mut out, mut open) = (Vec::new(), false);
        for payload in payloads {
            assert!(payload.len() <= payload_max);
            match parse(&payload).unwrap() {
                Parsed::Single(unit) => out = unit.to_vec(),
                Parsed::Fragment { start, end, header, body } => {
                    assert_eq!(open, !start);
                    if start {
                        out = vec![header];
                    }
                    assert!(!body.is_empty());
                    out.extend_from_slice(&body);
                    open = !end;
                }
                Parsed::Aggregate(_) => panic!("nothing was aggregated"),
            }
        }
        assert!(!open);
        out
    }

    #[test]
    fn a_unit_that_fits_is_not_copied() {
        let small = unit(0x65, 1_160);
        let all: Vec<Bytes> = payloads(&small, 1_160).collect();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].as_ptr(), small.as_ptr());
    }

    #[test]
    fn sets_go_together_and_come_apart() {
        let sets = [unit(0x67, 20), unit(0x48, 5)];
        let payload = stap_a(sets.iter(), 1_160).unwrap();
        assert_eq!(payload[0], 0x78, "nal_ref_idc of the most important");
        assert_eq!(parse(&payload).unwrap(), Parsed::Aggregate(sets.iter().cloned().collect()));
        assert_eq!(parse(&payload).unwrap().first_type(), Some(7));
        assert_eq!(stap_a(sets.iter(), payload.len() - 1), None, "one byte too many");
        assert_eq!(stap_a(sets[..1].iter(), 1_160), None, "one is no aggregate");
        for end in 0..payload.len() {
            let cut = parse(&payload.slice(..end));
            assert!(cut != parse(&payload), "cut at {end}");
        }
    }

    #[test]
    fn refuses_other_types_and_what_is_cut_short() {
        assert_eq!(parse(&Bytes::new()), Err(PayloadError::Short));
        for other in [0, 25, 26, 27, 29, 30, 31] {
            assert_eq!(parse(&Bytes::copy_from_slice(&[other, 0, 0])), Err(PayloadError::Unsupported(other)));
        }
        assert_eq!(parse(&Bytes::from_static(&[28])), Err(PayloadError::Short));
        assert_eq!(parse(&Bytes::from_static(&[28, 0xc5, 1])), Err(PayloadError::WholeFragment));
        assert_eq!(parse(&Bytes::from_static(&[24, 0, 9, 1])), Err(PayloadError::Short));
        assert_eq!(parse(&Bytes::from_static(&[24])), Err(PayloadError::Short));
        let many: Vec<u8> = std::iter::once(24).chain([0, 1, 6].repeat(UNITS_MAX + 1)).collect();
        assert_eq!(parse(&many.into()), Err(PayloadError::TooMany));
    }

    #[test]
    fn no_room_gives_nothing() {
        assert_eq!(payloads(&unit(0x65, 10), 2).count(), 0);
        assert_eq!(payloads(&Bytes::new(), 100).count(), 0);
    }

    proptest! {
        #[test]
        fn any_unit_comes_back_whole(length in 1usize..5_000, header in any::<u8>(), payload_max in 3usize..1_500) {
            let unit = unit(header & 0xe0 | 5, length);
            prop_assert_eq!(join(payloads(&unit, payload_max), payload_max), unit.to_vec());
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(parsed) = parse(&Bytes::from(bytes)) {
                let _ = parsed.first_type();
            }
        }
    }
}
