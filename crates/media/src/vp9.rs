//! VP9: the configuration record (VP Codec ISO Media File Format Binding 1.0) and the head of a frame (VP9 bitstream
//! specification section 7.2).

use bytes::Bytes;
use thiserror::Error;

use crate::bits::BitReader;

/// Why a VP9 configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The record ends before its last field.
    #[error("the VP9 configuration record is cut short")]
    Short,
    /// A profile beyond 3, or a bit depth that is not 8, 10 or 12.
    #[error("the VP9 configuration record names a profile or bit depth that does not exist")]
    Profile,
}

/// What a decoder must know of a VP9 track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The VPCodecConfigurationRecord as it came.
    pub record: Bytes,
    /// 0 to 3.
    pub profile: u8,
    /// Ten times the level; 0 where it is not said.
    pub level: u8,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// 0 and 1 are 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma: u8,
    /// Samples use the full range.
    pub full_range: bool,
    /// Primaries, transfer and matrix by the numbers of ISO/IEC 23091-2.
    pub colour: [u8; 3],
    /// Width and height in pixels, which the record does not say: they come from the key frames.
    pub size: Option<(u32, u32)>,
}

/// Bytes of the record that are read.
const RECORD_BYTES: usize = 6;
/// Version and flags of the MP4 box around the record, which some writers leave on it. No record begins so: its third
/// byte would be a bit depth of 0.
const BOX_HEAD: [u8; 4] = [1, 0, 0, 0];
const SYNC_CODE: u32 = 0x49_83_42;
const RGB: u32 = 7;

impl Config {
    /// Reads a VPCodecConfigurationRecord, with or without the version and flags of its box.
    ///
    /// # Errors
    /// Where it is cut short or names a profile or depth that does not exist.
    pub fn parse(record: Bytes) -> Result<Self, ConfigError> {
        let inner = record.strip_prefix(&BOX_HEAD).unwrap_or(&record);
        let &[profile, level, depth, c0, c1, c2] = inner.first_chunk::<RECORD_BYTES>().ok_or(ConfigError::Short)?;
        let bit_depth = depth >> 4;
        if profile > 3 || !matches!(bit_depth, 8 | 10 | 12) {
            return Err(ConfigError::Profile);
        }
        let (chroma, full_range) = (depth >> 1 & 7, depth & 1 == 1);
        Ok(Self { profile, level, bit_depth, chroma, full_range, colour: [c0, c1, c2], size: None, record })
    }

    /// The `vp09` string of RFC 6381: profile, level, depth.
    pub fn mime(&self) -> String {
        let level = if self.level == 0 { LEVEL_UNKNOWN } else { self.level };
        format!("vp09.{:02}.{level:02}.{:02}", self.profile, self.bit_depth)
    }
}

/// The level that is named where the record says none: 5.1, which holds 4K, and which decoders do not hold one to.
const LEVEL_UNKNOWN: u8 = 51;

/// What the head of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A decoder can start here; width and height in pixels.
    Key(u32, u32),
    /// Any other frame.
    Delta,
}

/// Reads the head of a frame, or of the first frame of a superframe. `None` where it is no VP9.
pub fn head(frame: &[u8]) -> Option<Head> {
    let mut bits = BitReader::new(frame);
    if bits.bits(2)? != 2 {
        return None;
    }
    let profile = u32::from(bits.bit()?) | u32::from(bits.bit()?) << 1;
    if profile == 3 {
        bits.bit()?;
    }
    let shows_existing = bits.bit()?;
    if shows_existing || bits.bit()? {
        return Some(Head::Delta);
    }
    bits.skip(2)?; // show_frame, error_resilient_mode
    if bits.bits(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        bits.bit()?;
    }
    let has_subsampling = profile % 2 == 1;
    match (bits.bits(3)? == RGB, has_subsampling) {
        (false, true) => bits.skip(4)?,
        (false, false) | (true, true) => bits.skip(1)?,
        (true, false) => {}
    }
    let (width, height) = (bits.bits(16)? + 1, bits.bits(16)? + 1);
    Some(Head::Key(width, height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_with_and_without_its_box() {
        let bare = [0, 31, 0x82, 2, 2, 2, 0, 0];
        let config = Config::parse(Bytes::copy_from_slice(&bare)).unwrap();
        assert_eq!((config.profile, config.level, config.bit_depth, config.chroma), (0, 31, 8, 1));
        assert_eq!(config.mime(), "vp09.00.31.08");
        let boxed = Config::parse([&BOX_HEAD[..], &bare].concat().into()).unwrap();
        assert_eq!(Config { record: config.record.clone(), ..boxed }, config);
        assert_eq!(Config::parse(Bytes::copy_from_slice(&bare[..5])), Err(ConfigError::Short));
        assert_eq!(Config::parse(Bytes::from_static(&[4, 31, 0x82, 2, 2, 2])), Err(ConfigError::Profile));
        assert_eq!(Config::parse(Bytes::from_static(&[0, 31, 0x72, 2, 2, 2])), Err(ConfigError::Profile));
    }

    #[test]
    fn heads_of_frames() {
        let key = [0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x36];
        assert_eq!(head(&key), Some(Head::Key(320, 180)), "of libvpx");
        assert_eq!(head(&[0x86, 0, 0]), Some(Head::Delta));
        assert_eq!(head(&[0x88]), Some(Head::Delta), "an existing frame is shown");
        assert_eq!(head(&[0x02, 0x49, 0x83, 0x42]), None, "no frame marker");
        assert_eq!(head(&[0x82, 0x49, 0x83, 0x43, 0, 0, 0, 0, 0]), None, "no sync code");
        assert_eq!(head(&key[..6]), None);
        assert_eq!(head(&[]), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            let _ = head(&bytes);
            let _ = Config::parse(bytes.into());
        }
    }
}
