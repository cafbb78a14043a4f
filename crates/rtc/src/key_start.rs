//! Where a decoder may start, read from an RTP payload.

use media::{Codec, h264::nal};

const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// NAL units of one aggregation packet that are looked at.
const UNITS_MAX: usize = 64;

/// Whether a frame that a decoder can start with begins in this payload. For H.264 that is an IDR slice or a sequence
/// parameter set (RFC 6184), for VP8, VP9 and AV1 what their payload descriptors say. Sound may start anywhere.
pub fn starts_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => h264(payload, &[nal::IDR, nal::SPS]),
        Codec::Vp8 => media::vp8::starts_key_frame(payload),
        Codec::Vp9 => vp9(payload),
        // N: first packet of a coded video sequence, AV1 RTP specification section 4.4.
        Codec::Av1 => payload.first().is_some_and(|header| header & 0x08 != 0),
        Codec::Opus | Codec::Aac => true,
        Codec::H265 => false,
    }
}

/// Whether a payload that starts a key frame is its beginning for sure. An IDR slice of H.264 alone is not: its parameter
/// sets come before it, as often as not in packets of their own, which may be lost or overtaken.
pub fn begins_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => h264(payload, &[nal::SPS]),
        _ => starts_key_frame(codec, payload),
    }
}

/// Whether one of the units that begin in this payload is of one of these types.
fn h264(payload: &[u8], types: &[u8]) -> bool {
    let starts = |unit_type: u8| types.contains(&(unit_type & 0x1f));
    let Some(&indicator) = payload.first() else { return false };
    match indicator & 0x1f {
        STAP_A => {
            let mut rest = payload.get(1..).unwrap_or_default();
            for _ in 0..UNITS_MAX {
                let &[high, low, unit, ..] = rest else { return false };
                if starts(unit) {
                    return true;
                }
                rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..).unwrap_or_default();
            }
            false
        }
        FU_A => payload.get(1).is_some_and(|header| header & 0x80 != 0 && starts(*header)),
        unit => starts(unit),
    }
}

/// RFC 9628 section 4.2: not inter-picture predicted, begin of a frame, lowest spatial layer.
fn vp9(payload: &[u8]) -> bool {
    let Some(&first) = payload.first() else { return false };
    let (has_picture_id, predicted, has_layer, begins) =
        (first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0, first & 0x08 != 0);
    if predicted || !begins {
        return false;
    }
    if !has_layer {
        return true;
    }
    let mut at = 1;
    if has_picture_id {
        let Some(&picture) = payload.get(at) else { return false };
        at += if picture & 0x80 != 0 { 2 } else { 1 };
    }
    payload.get(at).is_some_and(|layer| layer >> 1 & 0x07 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn h264_in_its_three_packings() {
        let key = |payload: &[u8]| starts_key_frame(Codec::H264, payload);
        assert!(key(&[0x65, 1, 2]), "single IDR");
        assert!(key(&[0x67, 1, 2]), "single SPS");
        assert!(!key(&[0x41, 1, 2]), "single P slice");
        assert!(key(&[0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 1]), "STAP-A with SPS first");
        assert!(key(&[0x78, 0, 1, 0x06, 0, 2, 0x65, 1]), "STAP-A with SEI before the IDR");
        assert!(!key(&[0x78, 0, 9, 0x06]), "STAP-A cut short");
        assert!(key(&[0x7c, 0x85, 1]), "FU-A, start of an IDR");
        assert!(!key(&[0x7c, 0x05, 1]), "FU-A, middle of an IDR");
        assert!(!key(&[0x7c, 0x81, 1]), "FU-A, start of a P slice");
        assert!(!key(&[]));
    }

    #[test]
    fn an_idr_slice_without_parameter_sets_may_not_be_the_beginning() {
        let begins = |payload: &[u8]| begins_key_frame(Codec::H264, payload);
        assert!(begins(&[0x67, 1, 2]) && begins(&[0x78, 0, 1, 0x09, 0, 2, 0x67, 1]), "sequence parameter sets");
        assert!(!begins(&[0x65, 1, 2]) && !begins(&[0x7c, 0x85, 1]) && !begins(&[0x78, 0, 1, 0x68, 0, 2, 0x65, 1]));
        assert!(begins_key_frame(Codec::Av1, &[0x18]), "others say so themselves");
    }

    #[test]
    fn vp9_and_av1_by_their_descriptors() {
        assert!(starts_key_frame(Codec::Vp9, &[0x88, 0x80 | 1, 2]));
        assert!(!starts_key_frame(Codec::Vp9, &[0xc8, 1]), "predicted");
        assert!(!starts_key_frame(Codec::Vp9, &[0x80, 1]), "not the beginning");
        assert!(starts_key_frame(Codec::Vp9, &[0xa8, 0x01, 0x00]), "spatial layer 0");
        assert!(!starts_key_frame(Codec::Vp9, &[0xa8, 0x01, 0x02]), "spatial layer 1");
        assert!(starts_key_frame(Codec::Av1, &[0x18]));
        assert!(!starts_key_frame(Codec::Av1, &[0x10]));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus, Codec::H265] {
                assert!(starts_key_frame(codec, &bytes) || !begins_key_frame(codec, &bytes));
            }
        }
    }
}
