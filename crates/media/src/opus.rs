//! Opus: the configuration of a track and the length of a packet (RFC 6716 section 3.1).

/// What a decoder must know of an Opus track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// 1 or 2.
    pub channels: u8,
    /// Samples at 48 kHz to drop at the start (RFC 7845 section 4.2); 0 for live sources.
    pub pre_skip: u16,
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
