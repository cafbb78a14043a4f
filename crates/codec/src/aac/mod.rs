//! AAC-LC (ISO/IEC 14496-3): raw access units of 1,024 samples, without ADTS headers.

mod decoder;
mod encoder;
mod vo;

pub use decoder::Decoder;
pub use encoder::{DELAY_SAMPLES, Encoder, EncoderConfig};

use thiserror::Error;

/// Samples of each channel in an access unit.
pub const SAMPLES_PER_UNIT: usize = media::aac::SAMPLES_PER_FRAME as usize;

/// Why AAC cannot be coded.
#[derive(Debug, Error)]
pub enum AacError {
    /// An audio object type other than LC and the two that carry LC at half the rate.
    #[error("AAC of object type {0} cannot be decoded here; AAC-LC (2), HE-AAC (5) and HE-AAC v2 (29) can")]
    ObjectType(u8),
    /// More than two channels.
    #[error("AAC with {0} channels cannot be decoded here; mono and stereo can")]
    Channels(u8),
    /// Access units of 960 samples, as digital radio has them.
    #[error("AAC with access units of 960 samples cannot be decoded here; those of 1,024 can")]
    ShortUnits,
    /// A sampling rate that is none of the standard's.
    #[error("AAC at {0} Hz cannot be coded here")]
    Rate(u32),
    /// A bit rate that the encoder would quietly replace by another.
    #[error("the AAC encoder takes 8,000 to 160,000 bits a second for each channel, and not {0}")]
    Bitrate(u32),
    /// Samples handed in are no whole access unit.
    #[error("an AAC access unit takes {expected} samples, and {got} were handed in")]
    Length {
        /// Samples of all channels that a unit takes.
        expected: usize,
        /// Samples of all channels that came.
        got: usize,
    },
    /// The access unit is damaged.
    #[error("the AAC access unit is damaged")]
    Damaged,
    /// The C encoder failed, with its own code.
    #[error("the AAC encoder failed with code {0:#x}")]
    Encoder(std::ffi::c_ulong),
}

#[cfg(test)]
mod tests;
