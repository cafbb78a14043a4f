//! Opus: the configuration of a track, its identification header (RFC 7845 section 5.1), and the length of a packet
//! (RFC 6716 section 3.1).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// What a decoder must know of an Opus track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// 1 or 2.
    pub channels: u8,
    /// Samples at 48 kHz to drop at the start (RFC 7845 section 4.2); 0 for live sources.
    pub pre_skip: u16,
    /// Sampling rate of what was coded, in Hz. A hint: Opus is decoded at 48 kHz.
    pub input_rate_hz: u32,
    /// What a decoder raises the volume by, in 1/256 dB.
    pub gain: i16,
}

/// Why an identification header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// Not `OpusHead`, cut short, or of a major version other than 0.
    #[error("the Opus configuration is no identification header that is known")]
    NotAHead,
    /// More than two channels, or none.
    #[error("the Opus configuration has {0} channels, and 1 or 2 are served")]
    Channels(u8),
}

const MAGIC: &[u8; 8] = b"OpusHead";
/// Bytes of the header where the channels are mapped by family 0.
const HEAD_BYTES: usize = 19;

impl Config {
    /// A live source: nothing to skip, coded from 48 kHz.
    pub fn new(channels: u8) -> Self {
        Self { channels, pre_skip: 0, input_rate_hz: 48_000, gain: 0 }
    }

    /// Reads an identification header.
    ///
    /// # Errors
    /// Where it is none, or has more channels than two.
    pub fn parse_head(head: &[u8]) -> Result<Self, HeadError> {
        let head =
            head.first_chunk::<HEAD_BYTES>().filter(|head| head.starts_with(MAGIC)).ok_or(HeadError::NotAHead)?;
        let [_, _, _, _, _, _, _, _, version, channels, skip0, skip1, r0, r1, r2, r3, g0, g1, _] = *head;
        if version >> 4 != 0 {
            return Err(HeadError::NotAHead);
        }
        if !(1..=2).contains(&channels) {
            return Err(HeadError::Channels(channels));
        }
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([skip0, skip1]),
            input_rate_hz: u32::from_le_bytes([r0, r1, r2, r3]),
            gain: i16::from_le_bytes([g0, g1]),
        })
    }

    /// Writes an identification header.
    pub fn to_head(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEAD_BYTES);
        out.put_slice(MAGIC);
        out.put_slice(&[1, self.channels]);
        out.put_u16_le(self.pre_skip);
        out.put_u32_le(self.input_rate_hz);
        out.put_i16_le(self.gain);
        out.put_u8(0);
        out.freeze()
    }
}

/// Length of a packet in samples at 48 kHz, from its TOC byte; `None` where the packet is not Opus.
pub fn duration_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880].get(usize::from(config % 4)).copied()?,
        config @ 12..=15 => [480, 960].get(usize::from(config % 2)).copied()?,
        config => [120, 240, 480, 960].get(usize::from(config % 4)).copied()?,
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*packet.get(1)? & 0x3f),
    };
    let samples = frame * count;
    (samples > 0 && samples <= 5_760).then_some(samples)
}

/// Whether the packet is coded as stereo (the `s` bit of the TOC byte).
pub fn is_stereo(packet: &[u8]) -> bool {
    packet.first().is_some_and(|toc| toc & 4 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let config = Config { channels: 2, pre_skip: 312, input_rate_hz: 44_100, gain: -256 };
        let head = config.to_head();
        assert_eq!(Config::parse_head(&head), Ok(config));
        for end in 0..head.len() {
            assert_eq!(Config::parse_head(&head[..end]), Err(HeadError::NotAHead));
        }
        let mut other = head.to_vec();
        other[9] = 6;
        assert_eq!(Config::parse_head(&other), Err(HeadError::Channels(6)));
        other[8] = 0x10;
        assert_eq!(Config::parse_head(&other), Err(HeadError::NotAHead));
    }

    #[test]
    fn durations_of_the_usual_packets() {
        assert_eq!(duration_samples(&[0x78]), Some(960), "CELT fullband 20 ms, as browsers send");
        assert_eq!(duration_samples(&[0xfc]), Some(960));
        assert_eq!(duration_samples(&[0xfd]), Some(1_920), "two frames");
        assert_eq!(duration_samples(&[0xfb, 3]), Some(2_880), "three frames by count byte");
        assert_eq!(duration_samples(&[0xfb, 63]), None, "more than 120 ms is not Opus");
        assert_eq!(duration_samples(&[]), None);
        assert_eq!(duration_samples(&[0x7b]), None);
    }
}
