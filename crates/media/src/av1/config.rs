//! The decoder configuration of an AV1 track, and its record in FLV and MP4 (AV1 Codec ISO Media File Format Binding
//! section 2.3).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::{Sequence, SequenceError, obu, obu_type, split};

/// Why an AV1 configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The record ends before its fourth byte.
    #[error("the AV1 configuration record is cut short")]
    Short,
    /// The marker bit is not set, or the version is not 1.
    #[error("the AV1 configuration record is of a version that does not exist")]
    Version,
    /// The OBUs in it do not add up.
    #[error("the AV1 configuration record has OBUs whose sizes do not add up")]
    Sizes,
    /// Its sequence header is wrong.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
}

/// What a decoder must know of an AV1 track.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The AV1CodecConfigurationRecord as it came, or as it was made from a sequence header.
    pub record: Bytes,
    /// The sequence header in the record, header and size field included.
    pub header: Bytes,
    /// What it says.
    pub sequence: Sequence,
}

/// Bytes of the record before its OBUs.
const HEAD_BYTES: usize = 4;
const MARKER_AND_VERSION: u8 = 0x81;

impl Config {
    /// Reads an AV1CodecConfigurationRecord. `None` where it has no sequence header: the first key frame has one.
    ///
    /// # Errors
    /// Where it is cut short, of another version, or its sequence header is wrong.
    pub fn parse_av1c(record: &Bytes) -> Result<Option<Self>, ConfigError> {
        let [version, ..] = record.first_chunk::<HEAD_BYTES>().ok_or(ConfigError::Short)?;
        if *version != MARKER_AND_VERSION {
            return Err(ConfigError::Version);
        }
        let units = split(&record.slice(HEAD_BYTES..)).ok_or(ConfigError::Sizes)?;
        let Some(header) = units.into_iter().find(|unit| obu_type(unit) == obu::SEQUENCE_HEADER) else {
            return Ok(None);
        };
        let sequence = Sequence::parse(&header)?;
        Ok(Some(Self { record: record.clone(), header, sequence }))
    }

    /// A configuration from a sequence header that came in band.
    ///
    /// # Errors
    /// Where it is no sequence header, or a wrong one.
    pub fn from_header(header: Bytes) -> Result<Self, ConfigError> {
        let sequence = Sequence::parse(&header)?;
        let mut out = BytesMut::with_capacity(HEAD_BYTES + header.len());
        out.put_slice(&[MARKER_AND_VERSION, sequence.profile << 5 | sequence.level & 0x1f]);
        let flags = [
            sequence.high_tier,
            sequence.bit_depth > 8,
            sequence.bit_depth > 10,
            sequence.monochrome,
            sequence.subsampling_x,
            sequence.subsampling_y,
        ];
        let flags = flags.into_iter().fold(0u8, |sum, flag| sum << 1 | u8::from(flag));
        out.put_slice(&[flags << 2 | sequence.chroma_position & 3, 0]);
        out.put_slice(&header);
        Ok(Self { record: out.freeze(), header, sequence })
    }

    /// The `av01` string of the binding's section 5: profile, level and tier, depth.
    pub fn mime(&self) -> String {
        let Sequence { profile, level, high_tier, bit_depth, .. } = self.sequence;
        format!("av01.{profile}.{level:02}{}.{bit_depth:02}", if high_tier { 'H' } else { 'M' })
    }
}
