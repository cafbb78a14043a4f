//! One RTP packet of the packet path, parsed once, and the numbers that identify it.

use std::time::Instant;

use bytes::Bytes;

use crate::{Codec, MediaTime, WallTime};

/// A synchronisation source, RFC 3550 section 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

/// An RTP sequence number extended to 64 bits, RFC 3550 section A.1. It never wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqNo(pub u64);

impl SeqNo {
    /// The extended number nearest to `self` whose low 16 bits are `wire`.
    pub fn extend(self, wire: u16) -> Self {
        let delta = i64::from(wire.wrapping_sub(self.wire()).cast_signed());
        Self(self.0.saturating_add_signed(delta))
    }

    /// The 16 bits that go on the wire.
    pub fn wire(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The next number.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Layers of a picture at most: browsers have no more.
pub const LAYERS_MAX: usize = 3;

/// One RTP packet without its wire header: what every egress needs to know, parsed once at ingress.
/// Cloning shares the payload.
#[derive(Clone, Debug)]
pub struct RtpPacket {
    /// The coding of the track.
    pub codec: Codec,
    /// Which of the codings of one picture it is, where the sender sends several (simulcast, RFC 8853), in the order in
    /// which it names them: below `LAYERS_MAX`, and 0 where there is one. Each layer has sequence numbers and times of its
    /// own; `wall` is common to them.
    pub layer: u8,
    /// Extended sequence number of the source track.
    pub seq: SeqNo,
    /// RTP timestamp, extended, in ticks of the codec's RTP clock (90 kHz video, 48 kHz Opus).
    pub time: MediaTime,
    /// Capture time on the server's wall clock, as well as is known when the packet is forwarded.
    pub wall: WallTime,
    /// When it arrived, or was made.
    pub arrived: Instant,
    /// The RTP marker bit: last packet of a video frame, first of a talk spurt in audio.
    pub marker: bool,
    /// A decoder can start with the frame that begins in this packet.
    pub key_start: bool,
    /// Level of RFC 6464 in -dBov (0 loudest, 127 silent), where the sender gave one.
    pub audio_level: Option<u8>,
    /// The RTP payload after header, extensions and padding.
    pub payload: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extends_across_the_wrap_in_both_directions() {
        assert_eq!(SeqNo(65_535).extend(0), SeqNo(65_536));
        assert_eq!(SeqNo(65_536).extend(65_535), SeqNo(65_535));
        assert_eq!(SeqNo(0).extend(65_535), SeqNo(0), "nothing is before the first");
    }

    proptest! {
        #[test]
        fn extends_any_number_within_half_the_range(base in 40_000u64..1 << 48, step in -32_767i64..32_767) {
            let target = SeqNo(base.saturating_add_signed(step));
            prop_assert_eq!(SeqNo(base).extend(target.wire()), target);
        }
    }
}
