//! The sequence header (AV1 bitstream specification section 5.5).

use thiserror::Error;

use super::{obu, obu_type, payload};
use crate::bits::BitReader;

/// Why a sequence header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SequenceError {
    /// The unit is of another type.
    #[error("the unit is no AV1 sequence header")]
    NotASequence,
    /// The bits end before the header does.
    #[error("the AV1 sequence header is cut short")]
    Short,
    /// A profile that does not exist.
    #[error("the AV1 sequence header names profile {0}, and only 0 to 2 exist")]
    Profile(u8),
}

/// What a server must know of a sequence header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// 0 main, 1 high, 2 professional.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point.
    pub level: u8,
    /// The high tier.
    pub high_tier: bool,
    /// Largest picture width in pixels.
    pub width: u32,
    /// Largest picture height in pixels.
    pub height: u32,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// No colours.
    pub monochrome: bool,
    /// Chroma has half the width.
    pub subsampling_x: bool,
    /// Chroma has half the height.
    pub subsampling_y: bool,
    /// `chroma_sample_position`.
    pub chroma_position: u8,
    /// The header is the short one of still pictures: every frame is a key frame.
    pub reduced: bool,
}

impl Sequence {
    /// Reads an OBU of type 1, header included.
    ///
    /// # Errors
    /// Where it is another unit, is cut short, or of a profile that does not exist.
    pub fn parse(unit: &[u8]) -> Result<Self, SequenceError> {
        if obu_type(unit) != obu::SEQUENCE_HEADER {
            return Err(SequenceError::NotASequence);
        }
        let mut bits = BitReader::new(payload(unit).ok_or(SequenceError::Short)?);
        let profile = bits.bits(3).ok_or(SequenceError::Short)? as u8;
        if profile > 2 {
            return Err(SequenceError::Profile(profile));
        }
        read(&mut bits, profile).ok_or(SequenceError::Short)
    }
}

fn read(bits: &mut BitReader<'_>, profile: u8) -> Option<Sequence> {
    bits.bit()?; // still_picture
    let reduced = bits.bit()?;
    let (level, high_tier) = if reduced { (bits.bits(5)? as u8, false) } else { read_operating_points(bits)? };
    let width_bits = bits.bits(4)? + 1;
    let height_bits = bits.bits(4)? + 1;
    let (width, height) = (bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1);
    skip_tools(bits, reduced)?;
    bits.skip(3)?; // superres, cdef, restoration
    let colour = read_colour(bits, profile)?;
    Some(Sequence { profile, level, high_tier, width, height, reduced, ..colour })
}

/// Level and tier of the first operating point.
fn read_operating_points(bits: &mut BitReader<'_>) -> Option<(u8, bool)> {
    let mut delay_bits = None;
    if bits.bit()? {
        bits.skip(64)?; // num_units_in_display_tick, time_scale
        if bits.bit()? {
            skip_uvlc(bits)?;
        }
        if bits.bit()? {
            delay_bits = Some(bits.bits(5)? as usize + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let has_display_delay = bits.bit()?;
    let mut first = None;
    for _ in 0..=bits.bits(5)? {
        bits.skip(12)?; // operating_point_idc
        let level = bits.bits(5)? as u8;
        let high_tier = level > 7 && bits.bit()?;
        if let Some(delay_bits) = delay_bits
            && bits.bit()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if has_display_delay && bits.bit()? {
            bits.skip(4)?;
        }
        first.get_or_insert((level, high_tier));
    }
    first
}

fn skip_uvlc(bits: &mut BitReader<'_>) -> Option<()> {
    let mut zeros = 0;
    while !bits.bit()? {
        zeros += 1;
    }
    if zeros < 32 { bits.skip(zeros) } else { Some(()) }
}

/// From the frame numbers to the order hint.
fn skip_tools(bits: &mut BitReader<'_>, reduced: bool) -> Option<()> {
    if !reduced && bits.bit()? {
        bits.skip(7)?;
    }
    bits.skip(3)?; // 128x128 superblocks, filter intra, intra edge filter
    if reduced {
        return Some(());
    }
    bits.skip(4)?; // interintra, masked compounds, warped motion, dual filter
    let has_order_hint = bits.bit()?;
    if has_order_hint {
        bits.skip(2)?;
    }
    let chooses_screen_tools = bits.bit()?;
    let has_screen_tools = chooses_screen_tools || bits.bit()?;
    if has_screen_tools && !bits.bit()? {
        bits.skip(1)?;
    }
    if has_order_hint { bits.skip(3) } else { Some(()) }
}

/// `color_config` (section 5.5.2), in a header that is otherwise empty.
fn read_colour(bits: &mut BitReader<'_>, profile: u8) -> Option<Sequence> {
    let high_depth = bits.bit()?;
    let twelve_bits = profile == 2 && high_depth && bits.bit()?;
    let monochrome = profile != 1 && bits.bit()?;
    let description = if bits.bit()? { bits.bits(24)? } else { UNSPECIFIED };
    let mut colour = Sequence {
        profile,
        level: 0,
        high_tier: false,
        width: 0,
        height: 0,
        bit_depth: if twelve_bits { 12 } else { 8 + 2 * u8::from(high_depth) },
        monochrome,
        subsampling_x: true,
        subsampling_y: true,
        chroma_position: 0,
        reduced: false,
    };
    if monochrome {
        bits.bit()?;
        return Some(colour);
    }
    if description == SRGB {
        (colour.subsampling_x, colour.subsampling_y) = (false, false);
        return Some(colour);
    }
    bits.bit()?; // color_range
    (colour.subsampling_x, colour.subsampling_y) = match profile {
        0 => (true, true),
        1 => (false, false),
        _ if twelve_bits => {
            let x = bits.bit()?;
            (x, x && bits.bit()?)
        }
        _ => (true, false),
    };
    if colour.subsampling_x && colour.subsampling_y {
        colour.chroma_position = bits.bits(2)? as u8;
    }
    Some(colour)
}

/// Primaries, transfer and matrix in one number.
const UNSPECIFIED: u32 = 0x02_02_02;
/// BT.709 primaries, the transfer of sRGB and the identity matrix: 4:4:4 by definition.
const SRGB: u32 = 0x01_0d_00;
