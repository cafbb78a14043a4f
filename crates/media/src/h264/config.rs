//! The decoder configuration of an H.264 track, and its record in FLV and MP4 (ISO/IEC 14496-15 section 5.3.3.1).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::{Sps, SpsError};

/// Why an H.264 configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The record ends before what it announces.
    #[error("the H.264 configuration record is cut short")]
    Short,
    /// Version is not 1.
    #[error("the H.264 configuration record is of version {0}, and only 1 exists")]
    Version(u8),
    /// NAL unit lengths of 3 bytes, which the standard forbids.
    #[error("the H.264 configuration record asks for lengths of 3 bytes")]
    LengthSize,
    /// No sequence or no picture parameter set.
    #[error("the H.264 configuration has no parameter sets")]
    Empty,
    /// The first sequence parameter set is wrong.
    #[error(transparent)]
    Sps(#[from] SpsError),
}

/// Parameter sets of an H.264 track.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Sequence parameter sets, at least one.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, at least one.
    pub pps: Vec<Bytes>,
    /// What the first sequence parameter set says.
    pub picture: Sps,
    /// Bytes of the length before each NAL unit in the source: 1, 2 or 4. What we write always has 4.
    pub length_size: usize,
}

const SETS_MAX: usize = 31;

impl Config {
    /// A configuration from parameter sets that came in band.
    ///
    /// # Errors
    /// Where one kind is missing or the first sequence parameter set is wrong.
    pub fn from_sets(sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<Self, ConfigError> {
        let first = sps.first().ok_or(ConfigError::Empty)?;
        if pps.is_empty() {
            return Err(ConfigError::Empty);
        }
        let picture = Sps::parse(first)?;
        Ok(Self { sps, pps, picture, length_size: 4 })
    }

    /// Reads an AVCDecoderConfigurationRecord; the sets are slices of it.
    ///
    /// # Errors
    /// Where it is cut short, of another version, or its first sequence parameter set is wrong.
    pub fn parse_avcc(record: &Bytes) -> Result<Self, ConfigError> {
        let head = record.get(..6).ok_or(ConfigError::Short)?;
        let [version, _, _, _, length, sps_count] = head else { return Err(ConfigError::Short) };
        if *version != 1 {
            return Err(ConfigError::Version(*version));
        }
        let length_size = usize::from(length & 3) + 1;
        if length_size == 3 {
            return Err(ConfigError::LengthSize);
        }
        let mut at = 6;
        let sps = read_sets(record, &mut at, usize::from(sps_count & 0x1f))?;
        let pps_count = *record.get(at).ok_or(ConfigError::Short)?;
        at += 1;
        let pps = read_sets(record, &mut at, usize::from(pps_count).min(SETS_MAX))?;
        Ok(Self { length_size, ..Self::from_sets(sps, pps)? })
    }

    /// Writes an AVCDecoderConfigurationRecord for lengths of 4 bytes.
    pub fn to_avcc(&self) -> Bytes {
        let picture = &self.picture;
        let mut out = BytesMut::with_capacity(64);
        out.put_slice(&[1, picture.profile_idc, picture.constraints, picture.level_idc, 0xff]);
        for (sets, mark) in [(&self.sps, 0xe0u8), (&self.pps, 0)] {
            let count = sets.len().min(SETS_MAX);
            out.put_u8(mark | count as u8);
            for set in sets.iter().take(count) {
                let set = set.slice(..set.len().min(usize::from(u16::MAX)));
                out.put_u16(set.len() as u16);
                out.put_slice(&set);
            }
        }
        if matches!(picture.profile_idc, 100 | 110 | 122 | 144) {
            let depth = picture.bit_depth.saturating_sub(8) & 7;
            out.put_slice(&[0xfc | picture.chroma_format & 3, 0xf8 | depth, 0xf8 | depth, 0]);
        }
        out.freeze()
    }

    /// The `avc1` string of RFC 6381.
    pub fn mime(&self) -> String {
        let picture = &self.picture;
        format!("avc1.{:02X}{:02X}{:02X}", picture.profile_idc, picture.constraints, picture.level_idc)
    }
}

fn read_sets(record: &Bytes, at: &mut usize, count: usize) -> Result<Vec<Bytes>, ConfigError> {
    let mut sets = Vec::with_capacity(count.min(4));
    for _ in 0..count {
        let Some(&[high, low]) = record.get(*at..*at + 2) else { return Err(ConfigError::Short) };
        let end = *at + 2 + usize::from(u16::from_be_bytes([high, low]));
        if end > record.len() {
            return Err(ConfigError::Short);
        }
        sets.push(record.slice(*at + 2..end));
        *at = end;
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sets() -> (Vec<Bytes>, Vec<Bytes>) {
        let sps = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0];
        (vec![Bytes::copy_from_slice(&sps)], vec![Bytes::from_static(&[0x68, 0xce, 0x3c, 0x80])])
    }

    #[test]
    fn reads_what_it_writes() {
        let (sps, pps) = sets();
        let config = Config::from_sets(sps, pps).unwrap();
        assert_eq!(Config::parse_avcc(&config.to_avcc()).unwrap(), config);
        assert_eq!(config.mime(), "avc1.42C01F");
    }

    #[test]
    fn refuses_what_is_cut_short() {
        let (sps, pps) = sets();
        let record = Config::from_sets(sps, pps).unwrap().to_avcc();
        for end in 0..record.len() {
            assert!(Config::parse_avcc(&record.slice(..end)).is_err(), "{end} of {} bytes", record.len());
        }
        assert_eq!(Config::from_sets(vec![], vec![]), Err(ConfigError::Empty));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = Config::parse_avcc(&Bytes::from(bytes));
        }
    }
}
