//! H.265 (HEVC): NAL units, parameter sets, and what a server must know of a picture without decoding it.

mod config;
mod sps;

pub use config::{Config, ConfigError};
pub use sps::{Sps, SpsError};

use crate::{bits::BitReader, h264::unescape};

/// `nal_unit_type` of ITU-T H.265 table 7-1, where the server cares.
pub mod nal {
    /// The first of the types at which a decoder may start (BLA_W_LP); the last is `IRAP_LAST`.
    pub const IRAP_FIRST: u8 = 16;
    /// The last of the types at which a decoder may start (reserved ones included).
    pub const IRAP_LAST: u8 = 23;
    /// Types up to this one carry slices.
    pub const SLICE_LAST: u8 = 31;
    /// Video parameter set.
    pub const VPS: u8 = 32;
    /// Sequence parameter set.
    pub const SPS: u8 = 33;
    /// Picture parameter set.
    pub const PPS: u8 = 34;
    /// Access unit delimiter.
    pub const AUD: u8 = 35;
    /// Filler data.
    pub const FILLER: u8 = 38;
}

/// The last of the types whose even numbers say that pictures of the same sub-layer do not refer to this one.
const NON_REFERENCE_LAST: u8 = 14;

/// The type of a NAL unit, from its header; `AUD`, which carries nothing, for one without a whole header.
pub fn nal_type(unit: &[u8]) -> u8 {
    unit.first_chunk::<2>().map_or(nal::AUD, |[first, _]| first >> 1 & 0x3f)
}

/// Whether the unit is one of the three kinds of parameter sets.
pub fn is_parameter_set(unit: &[u8]) -> bool {
    matches!(nal_type(unit), nal::VPS | nal::SPS | nal::PPS)
}

/// Whether the unit carries a slice of a picture.
pub fn is_slice(unit: &[u8]) -> bool {
    nal_type(unit) <= nal::SLICE_LAST
}

/// Whether the unit is a slice of a picture at which a decoder may start (IDR, CRA, BLA).
pub fn is_key(unit: &[u8]) -> bool {
    (nal::IRAP_FIRST..=nal::IRAP_LAST).contains(&nal_type(unit))
}

/// Whether no other picture refers to this one: it is of a non-reference type and of the highest sub-layer, of which
/// `highest` is the number.
pub fn is_discardable(unit: &[u8], highest: u8) -> bool {
    let sub_layer = unit.get(1).map_or(0, |second| (second & 7).saturating_sub(1));
    let kind = nal_type(unit);
    kind <= NON_REFERENCE_LAST && kind.is_multiple_of(2) && sub_layer >= highest
}

/// The number that slices and other sets refer to a parameter set by. `None` where it cannot be read.
pub fn set_id(set: &[u8]) -> Option<u32> {
    let head = unescape(set.get(2..set.len().min(SET_HEAD_BYTES))?);
    let mut bits = BitReader::new(&head);
    match nal_type(set) {
        nal::VPS => bits.bits(4),
        nal::SPS => Sps::parse(set).ok().map(|sps| sps.id),
        nal::PPS => bits.ue(),
        _ => None,
    }
}

/// Bytes of a video or picture parameter set in which its number is.
const SET_HEAD_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_by_their_headers() {
        assert!(is_key(&[0x26, 1]), "IDR_W_RADL");
        assert!(is_key(&[0x2a, 1]), "CRA_NUT");
        assert!(is_slice(&[0x02, 1]) && !is_key(&[0x02, 1]), "TRAIL_R");
        assert!(is_discardable(&[0x00, 1], 0), "TRAIL_N");
        assert!(!is_discardable(&[0x02, 1], 0), "TRAIL_R");
        assert!(!is_discardable(&[0x00, 1], 1), "a higher sub-layer may refer to it");
        assert!(is_discardable(&[0x00, 2], 1));
        assert!(!is_discardable(&[0x26, 1], 0), "a key frame is none, whatever its number");
        assert!(is_parameter_set(&[0x40, 1]) && is_parameter_set(&[0x42, 1]) && is_parameter_set(&[0x44, 1]));
        for short in [&[][..], &[0x26]] {
            assert!(!is_key(short) && !is_slice(short) && !is_parameter_set(short));
        }
    }
}
