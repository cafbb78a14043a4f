//! The sequence parameter set (ITU-T H.265 section 7.3.2.2), up to the order in which pictures are shown.

use thiserror::Error;

use super::{nal, nal_type};
use crate::{bits::BitReader, h264::unescape};

/// Why a sequence parameter set cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SpsError {
    /// The unit is of another type.
    #[error("the unit is no H.265 sequence parameter set")]
    NotAnSps,
    /// The bits end before what a server needs.
    #[error("the H.265 sequence parameter set is cut short")]
    Short,
    /// A picture larger than 16,384 in a direction, or of no size.
    #[error("the H.265 sequence parameter set names an impossible picture size")]
    Size,
}

/// What a server must know of a sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `sps_seq_parameter_set_id`.
    pub id: u32,
    /// `general_profile_space`, `general_tier_flag` and `general_profile_idc` in one byte, as they are on the wire.
    pub profile: u8,
    /// `general_profile_compatibility_flag`, the first in the highest bit.
    pub compatibility: u32,
    /// The 48 bits of constraint flags.
    pub constraints: [u8; 6],
    /// `general_level_idc`: thirty times the level.
    pub level_idc: u8,
    /// Number of the highest temporal sub-layer: 0 where there is one only.
    pub highest_sub_layer: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub temporal_id_nested: bool,
    /// Picture width in pixels after cropping.
    pub width: u32,
    /// Picture height in pixels after cropping.
    pub height: u32,
    /// 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// Bits of a chroma sample.
    pub chroma_depth: u8,
    /// Pictures that may come before one that is shown earlier: 0 rules B-frames out.
    pub reorder_pictures: u32,
}

const SIDE_MAX: u32 = 16_384;
/// Bytes of a set that are read: what is needed stands in the first hundred.
const SPS_BYTES_MAX: usize = 1_024;

impl Sps {
    /// Reads a NAL unit of type 33, header included.
    ///
    /// # Errors
    /// Where it is another unit, is cut short, or the picture size is impossible.
    pub fn parse(unit: &[u8]) -> Result<Self, SpsError> {
        if nal_type(unit) != nal::SPS {
            return Err(SpsError::NotAnSps);
        }
        let rbsp = unescape(unit.get(2..unit.len().min(SPS_BYTES_MAX)).unwrap_or_default());
        let sps = read(&mut BitReader::new(&rbsp)).ok_or(SpsError::Short)?;
        let is_possible = |side: u32| (1..=SIDE_MAX).contains(&side);
        if is_possible(sps.width) && is_possible(sps.height) { Ok(sps) } else { Err(SpsError::Size) }
    }
}

fn read(bits: &mut BitReader<'_>) -> Option<Sps> {
    bits.skip(4)?; // sps_video_parameter_set_id
    let highest_sub_layer = bits.bits(3)? as u8;
    let temporal_id_nested = bits.bit()?;
    let profile = bits.bits(8)? as u8;
    let compatibility = bits.bits(32)?;
    let mut constraints = [0; 6];
    for byte in &mut constraints {
        *byte = bits.bits(8)? as u8;
    }
    let level_idc = bits.bits(8)? as u8;
    skip_sub_layers(bits, highest_sub_layer)?;
    let id = bits.ue()?;
    let chroma_format = bits.ue()?;
    if chroma_format == 3 {
        bits.bit()?;
    }
    let (width, height) = (bits.ue()?, bits.ue()?);
    let (crop_x, crop_y) = if bits.bit()? { read_window(bits, chroma_format)? } else { (0, 0) };
    let bit_depth = bits.ue()?.checked_add(8)?;
    let chroma_depth = bits.ue()?.checked_add(8)?;
    bits.ue()?; // log2_max_pic_order_cnt_lsb_minus4
    let of_each = bits.bit()?;
    let mut reorder_pictures = 0;
    for _ in if of_each { 0 } else { highest_sub_layer }..=highest_sub_layer {
        bits.ue()?; // sps_max_dec_pic_buffering_minus1
        reorder_pictures = bits.ue()?;
        bits.ue()?; // sps_max_latency_increase_plus1
    }
    Some(Sps {
        id,
        profile,
        compatibility,
        constraints,
        level_idc,
        highest_sub_layer,
        temporal_id_nested,
        width: width.saturating_sub(crop_x),
        height: height.saturating_sub(crop_y),
        chroma_format: u8::try_from(chroma_format).ok().filter(|&format| format <= 3)?,
        bit_depth: u8::try_from(bit_depth).ok().filter(|&depth| depth <= 16)?,
        chroma_depth: u8::try_from(chroma_depth).ok().filter(|&depth| depth <= 16)?,
        reorder_pictures,
    })
}

/// Profiles and levels of the lower sub-layers (section 7.3.3).
fn skip_sub_layers(bits: &mut BitReader<'_>, highest: u8) -> Option<()> {
    let mut count_bits = 0;
    for _ in 0..highest {
        count_bits += if bits.bit()? { 88 } else { 0 };
        count_bits += if bits.bit()? { 8 } else { 0 };
    }
    if highest > 0 {
        bits.skip(2 * usize::from(8 - highest.min(8)))?;
    }
    bits.skip(count_bits)
}

/// Pixels cropped from the width and the height together on both sides.
fn read_window(bits: &mut BitReader<'_>, chroma_format: u32) -> Option<(u32, u32)> {
    let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
    let unit_x = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma_format == 1 { 2 } else { 1 };
    Some((left.checked_add(right)?.checked_mul(unit_x)?, top.checked_add(bottom)?.checked_mul(unit_y)?))
}
