//! What is told outside of a track: one layer, the highest, with numbers and times that go on where it becomes another.

use media::{MediaTime, RtpPacket, SeqNo, WallTime};

/// Where the numbers and times that were told are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tap {
    layer: Option<usize>,
    /// What is added to numbers and times of the layer.
    shift: (i64, i64),
    /// The first number of the layer that is told.
    from: SeqNo,
    /// Times of the layer from here on come later by so much, less and less: its pictures came behind those of the last.
    lag: Option<(MediaTime, i64)>,
    last: Option<(SeqNo, MediaTime, WallTime)>,
}

impl Tap {
    /// The layer that is told.
    pub(crate) fn layer(&self) -> Option<usize> {
        self.layer
    }

    /// A packet of a layer as it is told, where it is. Another layer than that of the last begins with a key frame, of which
    /// this packet is the first where it `begins` one.
    pub(crate) fn pass(
        &mut self,
        packet: &RtpPacket,
        (layer, begins): (usize, bool),
        wanted: usize,
        rate_hz: u32,
    ) -> Option<RtpPacket> {
        if self.layer.is_none_or(|now| now != layer) {
            if layer != wanted || !(begins || self.layer.is_none()) {
                return None;
            }
            self.begin(packet, rate_hz);
            self.layer = Some(layer);
        }
        if packet.seq < self.from {
            return None;
        }
        let (seq_shift, time_shift) = self.shift;
        let seq = SeqNo(packet.seq.0.checked_add_signed(seq_shift)?);
        let time = self.late(packet.time) + time_shift;
        let newest = self.last.is_none_or(|(last, ..)| seq > last);
        if newest {
            let latest = self.last.map_or(time, |(_, latest, _)| latest.max(time));
            self.last = Some((seq, latest, packet.wall));
        }
        // Whoever is told knows one sequence of packets.
        Some(RtpPacket { seq, time, layer: 0, ..packet.clone() })
    }

    fn begin(&mut self, packet: &RtpPacket, rate_hz: u32) {
        let Some((seq, time, wall)) = self.last else { return };
        self.from = packet.seq;
        let true_time = time + crate::subscription::ticks(packet.wall - wall, rate_hz);
        self.shift = ((seq.0 + 1).cast_signed() - packet.seq.0.cast_signed(), true_time - packet.time);
        let lag = (time - true_time) + 1;
        self.lag = (lag > 0).then_some((packet.time, lag));
    }

    fn late(&self, time: MediaTime) -> MediaTime {
        match self.lag {
            Some((from, lag)) => time + (lag - (time - from).max(0) / 2).max(0),
            None => time,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use media::Codec;

    use super::*;

    fn packet(layer: u8, seq: u64, time: i64, wall_ms: i64, key_start: bool) -> RtpPacket {
        RtpPacket {
            codec: Codec::H264,
            layer,
            seq: SeqNo(seq),
            time: MediaTime(time),
            wall: WallTime(wall_ms * 1_000),
            arrived: Instant::now(),
            marker: true,
            key_start,
            audio_level: None,
            payload: vec![0].into(),
        }
    }

    #[test]
    fn one_layer_is_told_until_the_wanted_one_has_a_key_frame_and_numbers_go_on() {
        let mut tap = Tap::default();
        let mut told = |packet: RtpPacket, wanted| {
            let layer = usize::from(packet.layer);
            tap.pass(&packet, (layer, packet.key_start), wanted, 90_000)
                .map(|packet| (packet.seq.0, packet.time.0, packet.layer))
        };
        assert_eq!(told(packet(1, 500, 90_000, 1_000, true), 1), Some((500, 90_000, 0)));
        assert_eq!(told(packet(0, 7, 1_000, 1_000, true), 1), None);
        assert_eq!(told(packet(0, 8, 4_000, 1_033, false), 0), None, "no key frame");
        assert_eq!(told(packet(1, 501, 93_000, 1_033, false), 0), Some((501, 93_000, 0)));
        assert_eq!(told(packet(0, 10, 10_000, 1_100, true), 0), Some((502, 99_030, 0)), "at its true time");
        assert_eq!(told(packet(1, 502, 96_000, 1_066, false), 0), None);
        assert_eq!(told(packet(0, 9, 7_000, 1_066, false), 0), None, "late, from before");
        assert_eq!(told(packet(0, 12, 16_000, 1_166, false), 0), Some((504, 105_030, 0)));
        assert_eq!(told(packet(0, 11, 13_000, 1_133, false), 0), Some((503, 102_030, 0)), "overtaken");
    }

    #[test]
    fn times_never_go_back_and_are_true_again_soon() {
        let mut tap = Tap::default();
        tap.pass(&packet(0, 1, 900_000, 10_000, true), (0, true), 0, 90_000);
        let mut last = 900_000;
        for picture in 0..30 {
            // 100 ms behind.
            let told = tap.pass(
                &packet(1, 50 + picture, picture as i64 * 3_000, 9_900 + picture as i64 * 100 / 3, picture == 0),
                (1, picture == 0),
                1,
                90_000,
            );
            let time = told.unwrap().time.0;
            assert!(time > last, "{time} behind {last}");
            last = time;
        }
        assert_eq!(last, 900_000 - 9_000 + 29 * 3_000);
    }
}
