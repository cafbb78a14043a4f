//! The sequence parameter set (ITU-T H.264 section 7.3.2.1.1), as far as a server needs it.
//!
//! Reading is lenient: encoders in the field write levels that their pictures exceed and VUI that ends early.

use thiserror::Error;

use super::{nal, nal_type, unescape};
use crate::bits::BitReader;

/// Why a sequence parameter set cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SpsError {
    /// The unit is of another type.
    #[error("the unit is no H.264 sequence parameter set")]
    NotAnSps,
    /// The bits end before the picture size.
    #[error("the H.264 sequence parameter set is cut short")]
    Short,
    /// A picture larger than 16,384 in a direction, or of no size.
    #[error("the H.264 sequence parameter set names an impossible picture size")]
    Size,
}

/// What a server must know of a sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`: 66 baseline, 77 main, 100 high.
    pub profile_idc: u8,
    /// The six constraint flags and two reserved bits.
    pub constraints: u8,
    /// `level_idc`: ten times the level.
    pub level_idc: u8,
    /// Picture width in pixels after cropping.
    pub width: u32,
    /// Picture height in pixels after cropping.
    pub height: u32,
    /// Pictures may be coded as fields.
    pub interlaced: bool,
    /// 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// Frames that may come before one that is shown earlier: 0 rules B-frames out. `None` where it is not said.
    pub reorder_frames: Option<u32>,
}

const SIDE_MAX: u32 = 16_384;

impl Sps {
    /// Reads a NAL unit of type 7, header byte included.
    ///
    /// # Errors
    /// Where it is another unit, is cut short before the picture size, or the size is impossible.
    pub fn parse(unit: &[u8]) -> Result<Self, SpsError> {
        if nal_type(unit) != nal::SPS {
            return Err(SpsError::NotAnSps);
        }
        let rbsp = unescape(unit.get(1..unit.len().min(1_024)).unwrap_or_default());
        let mut bits = BitReader::new(&rbsp);
        let (mut sps, baseline_order) = read_up_to_size(&mut bits).ok_or(SpsError::Short)?;
        if sps.width == 0 || sps.height == 0 || sps.width > SIDE_MAX || sps.height > SIDE_MAX {
            return Err(SpsError::Size);
        }
        // Baseline has no B slices, and pic_order_cnt_type 2 means output order is decoding order.
        sps.reorder_frames =
            if sps.profile_idc == 66 || baseline_order { Some(0) } else { reorder_from_vui(&mut bits) };
        Ok(sps)
    }

    /// Non-interlaced, 4:2:0, 8 bits: what every WebRTC decoder takes, under whatever profile it was offered.
    pub fn is_plain(&self) -> bool {
        !self.interlaced && self.chroma_format == 1 && self.bit_depth == 8
    }
}

fn read_up_to_size(bits: &mut BitReader<'_>) -> Option<(Sps, bool)> {
    let profile_idc = bits.bits(8)? as u8;
    let constraints = bits.bits(8)? as u8;
    let level_idc = bits.bits(8)? as u8;
    bits.ue()?; // seq_parameter_set_id
    let (mut chroma_format, mut bit_depth) = (1, 8);
    if matches!(profile_idc, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma_format = bits.ue()?;
        if chroma_format == 3 {
            bits.bit()?;
        }
        bit_depth = bits.ue()?.checked_add(8)?;
        bits.ue()?; // bit_depth_chroma_minus8
        bits.bit()?;
        if bits.bit()? {
            skip_scaling_lists(bits, if chroma_format == 3 { 12 } else { 8 })?;
        }
    }
    bits.ue()?; // log2_max_frame_num_minus4
    let order_type = bits.ue()?;
    skip_order(bits, order_type)?;
    bits.ue()?; // max_num_ref_frames
    bits.bit()?;
    let width_mbs = bits.ue()?.checked_add(1)?;
    let height_units = bits.ue()?.checked_add(1)?;
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.bit()?;
    }
    bits.bit()?;
    let field_factor = if frames_only { 1 } else { 2 };
    let (crop_x, crop_y) = if bits.bit()? { read_crop(bits, chroma_format, field_factor)? } else { (0, 0) };
    let sps = Sps {
        profile_idc,
        constraints,
        level_idc,
        width: width_mbs.checked_mul(16)?.saturating_sub(crop_x),
        height: height_units.checked_mul(16 * field_factor)?.saturating_sub(crop_y),
        interlaced: !frames_only,
        chroma_format: u8::try_from(chroma_format).ok()?,
        bit_depth: u8::try_from(bit_depth).ok()?,
        reorder_frames: None,
    };
    Some((sps, order_type == 2))
}

/// Pixels cropped from the width and the height together on both sides.
fn read_crop(bits: &mut BitReader<'_>, chroma_format: u32, field_factor: u32) -> Option<(u32, u32)> {
    let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
    let unit_x = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
    let unit_y = field_factor * if chroma_format == 1 { 2 } else { 1 };
    Some((left.checked_add(right)?.checked_mul(unit_x)?, top.checked_add(bottom)?.checked_mul(unit_y)?))
}

fn skip_order(bits: &mut BitReader<'_>, order_type: u32) -> Option<()> {
    match order_type {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.bit()?;
            bits.se()?;
            bits.se()?;
            let cycle = bits.ue()?;
            for _ in 0..cycle.min(255) {
                bits.se()?;
            }
        }
        _ => {}
    }
    Some(())
}

fn skip_scaling_lists(bits: &mut BitReader<'_>, lists: usize) -> Option<()> {
    for list in 0..lists {
        if !bits.bit()? {
            continue;
        }
        let (mut last, mut next) = (8i32, 8i32);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = last.wrapping_add(bits.se()?).wrapping_add(256).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

/// `max_num_reorder_frames` of the VUI (ITU-T H.264 section E.1.1), where it is there.
fn reorder_from_vui(bits: &mut BitReader<'_>) -> Option<u32> {
    if !bits.bit()? {
        return None;
    }
    if bits.bit()? && bits.bits(8)? == 255 {
        bits.skip(32)?;
    }
    if bits.bit()? {
        bits.bit()?;
    }
    if bits.bit()? {
        bits.skip(4)?;
        if bits.bit()? {
            bits.skip(24)?;
        }
    }
    if bits.bit()? {
        bits.ue()?;
        bits.ue()?;
    }
    if bits.bit()? {
        bits.skip(65)?;
    }
    let nal_hrd = bits.bit()?;
    if nal_hrd {
        skip_hrd(bits)?;
    }
    let vcl_hrd = bits.bit()?;
    if vcl_hrd {
        skip_hrd(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.bit()?;
    }
    bits.bit()?;
    if !bits.bit()? {
        return None;
    }
    bits.bit()?;
    for _ in 0..4 {
        bits.ue()?;
    }
    bits.ue()
}

fn skip_hrd(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue()?.checked_add(1)?;
    bits.skip(8)?;
    for _ in 0..count.min(32) {
        bits.ue()?;
        bits.ue()?;
        bits.bit()?;
    }
    bits.skip(20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn high_profile_1080p_of_x264() {
        let sps = Sps::parse(&[
            0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04,
            0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
        ])
        .unwrap();
        assert_eq!((sps.width, sps.height, sps.profile_idc, sps.level_idc), (1920, 1080, 100, 40));
        assert_eq!(sps.reorder_frames, Some(2));
        assert!(sps.is_plain());
    }

    #[test]
    fn constrained_baseline_of_a_browser() {
        let sps =
            Sps::parse(&[0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0])
                .unwrap();
        assert_eq!((sps.width, sps.height), (1280, 720));
        assert_eq!(sps.reorder_frames, Some(0), "baseline has no B-frames");
    }

    #[test]
    fn refuses_other_units_and_short_ones() {
        assert_eq!(Sps::parse(&[0x68, 1, 2]), Err(SpsError::NotAnSps));
        assert_eq!(Sps::parse(&[0x67, 0x42]), Err(SpsError::Short));
        assert_eq!(Sps::parse(&[]), Err(SpsError::NotAnSps));
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 1..96)) {
            bytes[0] = 0x67;
            let _ = Sps::parse(&bytes);
        }
    }
}
