//! AAC: the AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1).

use bytes::Bytes;
use thiserror::Error;

use crate::bits::BitReader;

/// Samples in one AAC access unit of a source that does not say otherwise.
pub const SAMPLES_PER_FRAME: u32 = 1_024;

const RATES_HZ: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Why an AudioSpecificConfig cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The bytes end before the configuration does.
    #[error("the AAC configuration is cut short")]
    Short,
    /// A sampling frequency that the standard does not have, or 0.
    #[error("the AAC configuration names no valid sampling frequency")]
    Rate,
    /// No channels, or more than 8.
    #[error("the AAC configuration has no valid channel count")]
    Channels,
}

/// What a decoder must know of an AAC track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Audio object type: 2 is AAC-LC, 5 HE-AAC (SBR), 29 HE-AAC v2 (PS).
    pub object_type: u8,
    /// Sampling rate of the core coder in Hz. An HE-AAC source plays at twice this.
    pub sample_rate_hz: u32,
    /// Channels of the core coder, 1 to 8.
    pub channels: u8,
    /// The AudioSpecificConfig as it came.
    pub asc: Bytes,
}

impl Config {
    /// Reads an AudioSpecificConfig.
    ///
    /// # Errors
    /// Where it is cut short or names an impossible rate or channel count.
    pub fn parse(asc: Bytes) -> Result<Self, ConfigError> {
        let mut bits = BitReader::new(&asc);
        let mut read = || -> Option<(u8, u32, u8)> {
            let object_type = object_type(&mut bits)?;
            let rate = sampling_frequency(&mut bits)?;
            let channels = bits.bits(4)? as u8;
            Some((object_type, rate, channels))
        };
        let (object_type, sample_rate_hz, channel_config) = read().ok_or(ConfigError::Short)?;
        if !(7_350..=96_000).contains(&sample_rate_hz) {
            return Err(ConfigError::Rate);
        }
        let channels = match channel_config {
            1..=6 => channel_config,
            7 => 8,
            _ => return Err(ConfigError::Channels),
        };
        Ok(Self { object_type, sample_rate_hz, channels, asc })
    }

    /// A configuration for AAC-LC.
    ///
    /// # Errors
    /// Where the rate is not one of the standard's thirteen, or the channels are not 1 to 6.
    pub fn lc(sample_rate_hz: u32, channels: u8) -> Result<Self, ConfigError> {
        let index = RATES_HZ.iter().position(|&rate| rate == sample_rate_hz).ok_or(ConfigError::Rate)?;
        if !(1..=6).contains(&channels) {
            return Err(ConfigError::Channels);
        }
        let word = 2u16 << 11 | (index as u16) << 7 | u16::from(channels) << 3;
        Ok(Self { object_type: 2, sample_rate_hz, channels, asc: Bytes::copy_from_slice(&word.to_be_bytes()) })
    }

    /// The `mp4a` string of RFC 6381.
    pub fn mime(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }
}

fn object_type(bits: &mut BitReader<'_>) -> Option<u8> {
    let short = bits.bits(5)?;
    Some(if short == 31 { 32 + bits.bits(6)? as u8 } else { short as u8 })
}

fn sampling_frequency(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.bits(4)? {
        15 => bits.bits(24),
        index => Some(RATES_HZ.get(index as usize).copied().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_it_writes() {
        for rate in RATES_HZ {
            for channels in 1..=6 {
                let made = Config::lc(rate, channels).unwrap();
                assert_eq!(Config::parse(made.asc.clone()).unwrap(), made);
            }
        }
    }

    #[test]
    fn the_usual_one_of_obs() {
        let config = Config::parse(Bytes::from_static(&[0x11, 0x90, 0x56, 0xe5, 0x00])).unwrap();
        assert_eq!((config.object_type, config.sample_rate_hz, config.channels), (2, 48_000, 2));
        assert_eq!(config.mime(), "mp4a.40.2");
    }

    #[test]
    fn refuses_what_cannot_be() {
        assert_eq!(Config::parse(Bytes::new()), Err(ConfigError::Short));
        assert_eq!(Config::parse(Bytes::from_static(&[0x16, 0x90])), Err(ConfigError::Rate));
        assert_eq!(Config::parse(Bytes::from_static(&[0x11, 0x80])), Err(ConfigError::Channels));
        assert_eq!(Config::lc(47_999, 2), Err(ConfigError::Rate));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            let _ = Config::parse(Bytes::from(bytes));
        }
    }
}
