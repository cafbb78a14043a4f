//! AV1: open bitstream units, the sequence header, and what a server must know of a picture without decoding it.

mod config;
mod sequence;

use bytes::Bytes;

pub use config::{Config, ConfigError};
pub use sequence::{Sequence, SequenceError};

use crate::bits::BitReader;

/// `obu_type` of the AV1 bitstream specification section 6.2.2, where the server cares.
pub mod obu {
    /// Sequence header.
    pub const SEQUENCE_HEADER: u8 = 1;
    /// Temporal delimiter: it has no place in FLV and MP4.
    pub const TEMPORAL_DELIMITER: u8 = 2;
    /// Frame header.
    pub const FRAME_HEADER: u8 = 3;
    /// Frame header and tiles.
    pub const FRAME: u8 = 6;
    /// Tiles in a list, which only still pictures of large scale have.
    pub const TILE_LIST: u8 = 8;
    /// Padding.
    pub const PADDING: u8 = 15;
}

/// OBUs in one temporal unit, at most.
pub const OBUS_MAX: usize = 1_024;

const HAS_SIZE: u8 = 0x02;
const HAS_EXTENSION: u8 = 0x04;

/// The type of an OBU, from its header byte; a reserved one for an empty one.
pub fn obu_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header >> 3 & 0x0f)
}

/// What an OBU carries after header and size field. `None` where it is cut short.
pub fn payload(unit: &[u8]) -> Option<&[u8]> {
    let header = *unit.first()?;
    let at = 1 + usize::from(header & HAS_EXTENSION != 0);
    let rest = unit.get(at..)?;
    if header & HAS_SIZE == 0 {
        return Some(rest);
    }
    let (size, size_bytes) = leb128(rest)?;
    rest.get(size_bytes..size_bytes.checked_add(size)?)
}

/// The OBUs of a temporal unit in the low-overhead format (section 5.2), as slices of `body`, each with its header and
/// size field; the last may lack the field. `None` where a size points past the end, or more than `OBUS_MAX` follow.
pub fn split(body: &Bytes) -> Option<Vec<Bytes>> {
    let mut units = Vec::new();
    let mut at = 0;
    while let Some(&header) = body.get(at) {
        if header & 0x80 != 0 || units.len() >= OBUS_MAX {
            return None;
        }
        let head = 1 + usize::from(header & HAS_EXTENSION != 0);
        let end = if header & HAS_SIZE == 0 {
            body.len()
        } else {
            let (size, size_bytes) = leb128(body.get(at + head..)?)?;
            at.checked_add(head + size_bytes)?.checked_add(size)?
        };
        if end > body.len() || end < at + head {
            return None;
        }
        units.push(body.slice(at..end));
        at = end;
    }
    Some(units)
}

/// Whether a temporal unit begins with a picture at which a decoder may start: a shown key frame. `reduced` is what the
/// sequence header says of still pictures.
pub fn is_key(units: &[Bytes], reduced: bool) -> bool {
    let frame = units.iter().find(|unit| matches!(obu_type(unit), obu::FRAME | obu::FRAME_HEADER));
    let Some(head) = frame.and_then(|unit| payload(unit)) else { return false };
    let mut bits = BitReader::new(head);
    // show_existing_frame, frame_type, show_frame (section 5.9.2)
    reduced || (bits.bit() == Some(false) && bits.bits(2) == Some(0) && bits.bit() == Some(true))
}

/// Whether the unit belongs to a picture, and not only to what is around it.
pub fn is_picture(unit: &[u8]) -> bool {
    (obu::FRAME_HEADER..=obu::TILE_LIST).contains(&obu_type(unit)) && obu_type(unit) != METADATA
}

const METADATA: u8 = 5;

/// A number of section 4.10.5 and the bytes it takes: 8 at most, and 32 bits at most.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()? as usize, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests;
