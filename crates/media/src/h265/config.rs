//! The decoder configuration of an H.265 track, and its record in FLV and MP4 (ISO/IEC 14496-15 section 8.3.3.1).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::{Sps, SpsError, is_parameter_set, nal, nal_type};

/// Why an H.265 configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The record ends before what it announces.
    #[error("the H.265 configuration record is cut short")]
    Short,
    /// Version is not 1.
    #[error("the H.265 configuration record is of version {0}, and only 1 exists")]
    Version(u8),
    /// NAL unit lengths of 3 bytes, which the standard forbids.
    #[error("the H.265 configuration record asks for lengths of 3 bytes")]
    LengthSize,
    /// More parameter sets than a track may have.
    #[error("the H.265 configuration has more than {SETS_MAX} parameter sets")]
    TooMany,
    /// No sequence parameter set.
    #[error("the H.265 configuration has no sequence parameter set")]
    Empty,
    /// The first sequence parameter set is wrong.
    #[error(transparent)]
    Sps(#[from] SpsError),
}

/// Parameter sets of an H.265 track.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The HEVCDecoderConfigurationRecord, for lengths of 4 bytes, else as it came.
    pub record: Bytes,
    /// Video, sequence and picture parameter sets, in the order of the record. At least one sequence parameter set.
    pub sets: Vec<Bytes>,
    /// What the first sequence parameter set says.
    pub picture: Sps,
    /// Bytes of the length before each NAL unit in the source: 1, 2 or 4. What we write always has 4.
    pub length_size: usize,
}

/// Parameter sets of all kinds in a track, at most: 16 video and 16 sequence ones and half of the 64 picture ones.
const SETS_MAX: usize = 64;
/// Bytes of the record before its arrays.
const HEAD_BYTES: usize = 23;
/// Where in the record the length size is.
const LENGTH_SIZE_AT: usize = 21;

impl Config {
    /// A configuration from parameter sets that came in band, in any order.
    ///
    /// # Errors
    /// Where there is no sequence parameter set, the first is wrong, or there are too many.
    pub fn from_sets(sets: &[Bytes]) -> Result<Self, ConfigError> {
        if sets.len() > SETS_MAX {
            return Err(ConfigError::TooMany);
        }
        let of = |kind: u8| sets.iter().filter(move |set| nal_type(set) == kind);
        let picture = Sps::parse(of(nal::SPS).next().ok_or(ConfigError::Empty)?)?;
        let mut out = BytesMut::with_capacity(HEAD_BYTES + 64);
        out.put_slice(&[1, picture.profile]);
        out.put_u32(picture.compatibility);
        out.put_slice(&picture.constraints);
        let depth = |bits: u8| 0xf8 | bits.saturating_sub(8) & 7;
        out.put_slice(&[picture.level_idc, 0xf0, 0, 0xfc, 0xfc | picture.chroma_format]);
        out.put_slice(&[depth(picture.bit_depth), depth(picture.chroma_depth), 0, 0]);
        let layers = (picture.highest_sub_layer + 1) << 3;
        out.put_u8(layers | u8::from(picture.temporal_id_nested) << 2 | 3);
        let kinds = [nal::VPS, nal::SPS, nal::PPS];
        out.put_u8(kinds.iter().filter(|&&kind| of(kind).next().is_some()).count() as u8);
        let mut ordered = Vec::with_capacity(sets.len());
        for kind in kinds {
            let count = of(kind).count();
            if count > 0 {
                out.put_u8(0x80 | kind);
                out.put_u16(count as u16);
            }
            for set in of(kind) {
                let set = set.slice(..set.len().min(usize::from(u16::MAX)));
                out.put_u16(set.len() as u16);
                out.put_slice(&set);
                ordered.push(set);
            }
        }
        Ok(Self { record: out.freeze(), sets: ordered, picture, length_size: 4 })
    }

    /// Reads an HEVCDecoderConfigurationRecord; the sets are slices of it.
    ///
    /// # Errors
    /// Where it is cut short, of another version, too large, or its first sequence parameter set is wrong.
    pub fn parse_hvcc(record: &Bytes) -> Result<Self, ConfigError> {
        let head = record.first_chunk::<HEAD_BYTES>().ok_or(ConfigError::Short)?;
        let [version, .., length, arrays] = *head;
        if version != 1 {
            return Err(ConfigError::Version(version));
        }
        let length_size = usize::from(length & 3) + 1;
        if length_size == 3 {
            return Err(ConfigError::LengthSize);
        }
        let mut at = HEAD_BYTES;
        let mut sets = Vec::new();
        for _ in 0..arrays {
            let Some(&[_, high, low]) = record.get(at..at + 3) else { return Err(ConfigError::Short) };
            at += 3;
            for _ in 0..u16::from_be_bytes([high, low]) {
                let set = read_set(record, &mut at)?;
                if is_parameter_set(&set) {
                    sets.push(set);
                }
                if sets.len() > SETS_MAX {
                    return Err(ConfigError::TooMany);
                }
            }
        }
        let first = sets.iter().find(|set| nal_type(set) == nal::SPS).ok_or(ConfigError::Empty)?;
        let picture = Sps::parse(first)?;
        Ok(Self { record: with_lengths_of_4(&record.slice(..at)), sets, picture, length_size })
    }

    /// The `hvc1` string of ISO/IEC 14496-15 annex E.3: profile, compatibility, tier and level, constraints.
    pub fn mime(&self) -> String {
        let picture = &self.picture;
        let space = ["", "A", "B", "C"].get(usize::from(picture.profile >> 6)).copied().unwrap_or_default();
        let tier = if picture.profile & 0x20 == 0 { 'L' } else { 'H' };
        let profile = picture.profile & 0x1f;
        let mut text =
            format!("hvc1.{space}{profile}.{:X}.{tier}{}", picture.compatibility.reverse_bits(), picture.level_idc);
        let used = picture.constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        for byte in picture.constraints.iter().take(used) {
            text.push_str(&format!(".{byte:X}"));
        }
        text
    }
}

fn read_set(record: &Bytes, at: &mut usize) -> Result<Bytes, ConfigError> {
    let Some(&[high, low]) = record.get(*at..*at + 2) else { return Err(ConfigError::Short) };
    let begin = *at + 2;
    let end = begin + usize::from(u16::from_be_bytes([high, low]));
    if end > record.len() {
        return Err(ConfigError::Short);
    }
    *at = end;
    Ok(record.slice(begin..end))
}

/// The record as it is to be handed on: whatever the source uses, we write lengths of 4 bytes.
fn with_lengths_of_4(record: &Bytes) -> Bytes {
    match record.get(LENGTH_SIZE_AT) {
        Some(byte) if byte & 3 != 3 => {
            let mut own = record.to_vec();
            if let Some(byte) = own.get_mut(LENGTH_SIZE_AT) {
                *byte |= 3;
            }
            own.into()
        }
        _ => record.clone(),
    }
}

#[cfg(test)]
mod tests;
