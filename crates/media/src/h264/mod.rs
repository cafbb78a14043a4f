//! H.264: NAL units, parameter sets, and what a server must know of a picture without decoding it.

mod config;
mod sps;

use bytes::Bytes;

pub use config::{Config, ConfigError};
pub use sps::{Sps, SpsError};

use crate::bits::BitReader;

/// `nal_unit_type` of ITU-T H.264 table 7-1, where the server cares.
pub mod nal {
    /// Coded slice of a non-IDR picture.
    pub const SLICE: u8 = 1;
    /// Coded slice of an IDR picture.
    pub const IDR: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const AUD: u8 = 9;
    /// Filler data.
    pub const FILLER: u8 = 12;
}

/// The type of a NAL unit, from its header byte; 0 for an empty one.
pub fn nal_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header & 0x1f)
}

/// Whether other pictures refer to this one (`nal_ref_idc` is not 0).
pub fn is_reference(unit: &[u8]) -> bool {
    unit.first().is_some_and(|header| header & 0x60 != 0)
}

/// Whether the unit is a slice of a B picture (`slice_type` 1 or 6, ITU-T H.264 section 7.4.3).
pub fn is_b_slice(unit: &[u8]) -> bool {
    if nal_type(unit) != nal::SLICE {
        return false;
    }
    // first_mb_in_slice and slice_type fit in the first bytes; 16 cover any emulation prevention byte between.
    let head: Vec<u8> = unescape(unit.get(1..unit.len().min(17)).unwrap_or_default());
    let mut bits = BitReader::new(&head);
    let mut read = || -> Option<u32> {
        bits.ue()?;
        bits.ue()
    };
    matches!(read(), Some(1 | 6))
}

/// Removes emulation prevention bytes: 00 00 03 becomes 00 00 (ITU-T H.264 section 7.4.1).
pub fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// The NAL units of an access unit with length prefixes (AVCC, ISO/IEC 14496-15), as slices of `body`.
/// `None` where a length points past the end or more than `MAX_UNITS` units follow.
pub fn split_avcc(body: &Bytes, length_size: usize) -> Option<Vec<Bytes>> {
    if !(1..=4).contains(&length_size) {
        return None;
    }
    let mut units = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let prefix = body.get(at..at.checked_add(length_size)?)?;
        let length = prefix.iter().fold(0usize, |sum, &byte| sum << 8 | usize::from(byte));
        at += length_size;
        let end = at.checked_add(length)?;
        if end > body.len() || units.len() >= MAX_UNITS {
            return None;
        }
        if length > 0 {
            units.push(body.slice(at..end));
        }
        at = end;
    }
    Some(units)
}

/// The NAL units of an access unit with start codes (Annex B), as slices of `body`; `MAX_UNITS` at most.
pub fn split_annex_b(body: &Bytes) -> Vec<Bytes> {
    let mut units = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = 0;
    while at + 2 < body.len() && units.len() < MAX_UNITS {
        match body.get(at..at + 3) {
            Some([0, 0, 1]) => {
                push_annex_b(body, start, at, &mut units);
                start = Some(at + 3);
                at += 3;
            }
            _ => at += 1,
        }
    }
    push_annex_b(body, start, body.len(), &mut units);
    units
}

fn push_annex_b(body: &Bytes, start: Option<usize>, mut end: usize, units: &mut Vec<Bytes>) {
    let Some(start) = start else { return };
    while end > start && body.get(end - 1) == Some(&0) {
        end -= 1;
    }
    if end > start {
        units.push(body.slice(start..end));
    }
}

/// NAL units in one access unit, at most: 8,192 macroblock rows would be absurd, 1,024 slices already are.
pub const MAX_UNITS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_both_framings_into_the_same_units() {
        let avcc = Bytes::from_static(&[0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x41]);
        let annex_b = Bytes::from_static(&[0, 0, 0, 1, 0x65, 1, 0, 0, 1, 0x41]);
        assert_eq!(split_avcc(&avcc, 4).unwrap(), split_annex_b(&annex_b));
    }

    #[test]
    fn a_length_past_the_end_is_refused() {
        assert_eq!(split_avcc(&Bytes::from_static(&[0, 0, 0, 9, 1]), 4), None);
        assert_eq!(split_avcc(&Bytes::from_static(&[0, 0]), 4), None);
        assert_eq!(split_avcc(&Bytes::from_static(&[0]), 0), None);
    }

    #[test]
    fn knows_a_b_slice() {
        // first_mb_in_slice 0 = 1, slice_type 1 = 010 (B) or 6 = 00111 (all B); 0 = 1 (P)
        assert!(is_b_slice(&[0x01, 0b1010_0000]));
        assert!(is_b_slice(&[0x41, 0b1001_1100]));
        assert!(!is_b_slice(&[0x41, 0b1100_0000]));
        assert!(!is_b_slice(&[0x65, 0b1010_0000]), "an IDR slice is never B");
        assert!(!is_b_slice(&[]));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..256), size in 0usize..6) {
            let body = Bytes::from(bytes);
            let _ = split_avcc(&body, size);
            let _ = split_annex_b(&body);
            let _ = is_b_slice(&body);
        }
    }
}
