//! Receiving: one kind of a publisher, in all its layers. A packet is parsed here, once.

use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Codec, Kind, MediaTime, RtpPacket, SeqNo, WallTime};
use smallvec::SmallVec;
use str0m::{
    Rtc,
    media::{KeyframeRequestKind, Mid, Rid, SenderFeedback},
    rtp::Ssrc,
};

use crate::{
    clock::{Sender, Track},
    key_start::starts_key_frame,
    leg::{Delivery, Event, quality::Arrivals},
    sdp::Active,
};

#[derive(Debug)]
pub(super) struct Ingress {
    pub(super) kind: Kind,
    pub(super) codec: Codec,
    pub(super) mid: Mid,
    pts: Vec<u8>,
    layers: SmallVec<[Layer; 1]>,
}

/// One coding of the picture, or the only one: a sequence of packets with numbers and times of its own.
#[derive(Debug)]
struct Layer {
    rid: Option<Rid>,
    /// The source that it came from last: the name is in the first packets alone.
    ssrc: Option<Ssrc>,
    clock: Track,
    numbers: Numbers,
    arrivals: Arrivals,
}

impl Ingress {
    pub(super) fn new(rtc: &mut Rtc, active: &Active, now: Instant) -> Self {
        let mid = Mid::from(active.inner_mid.as_str());
        if let Some((main, repair)) = active.ssrc
            && rtc.media(mid).is_some()
        {
            let nack = active.formats.iter().any(|format| format.nack);
            let repair = repair.filter(|_| active.formats.iter().any(|format| format.rtx.is_some()));
            rtc.direct_api().expect_stream_rx(main.into(), repair.map(Into::into), mid, None).suppress_nack(!nack);
        }
        let rate_hz = active.formats.first().map_or(90_000, |format| format.rate_hz);
        let pts = active.formats.iter().map(|format| format.pt).collect();
        let layer = |rid| Layer {
            rid,
            ssrc: None,
            clock: Track::new(rate_hz),
            numbers: Numbers::default(),
            arrivals: Arrivals::new(rate_hz, now),
        };
        let layers = if active.layers.is_empty() {
            SmallVec::from_iter([layer(None)])
        } else {
            active.layers.iter().map(|name| layer(Some(Rid::from(name.as_str())))).collect()
        };
        Self { kind: active.kind, codec: active.codec, mid, pts, layers }
    }

    /// The event of a packet, where it is of this kind.
    pub(super) fn packet(
        &mut self,
        rtc: &mut Rtc,
        sender: &mut Sender,
        packet: &str0m::rtp::RtpPacket,
        arrived: WallTime,
        now: Instant,
    ) -> Option<Event> {
        if !self.pts.contains(&packet.header.payload_type) {
            return None;
        }
        let header = &packet.header;
        let place = self.place_of(rtc, header.ssrc)?;
        let layer = self.layers.get_mut(place)?;
        let (seq, time) = layer.numbers.extend(*header.ssrc, header.sequence_number, header.timestamp);
        let micros = u64::try_from(arrived.0).unwrap_or(0);
        layer.arrivals.note(now, seq.0, time.0, Duration::from_micros(micros));
        let wall = layer.clock.wall(sender, time, arrived);
        let payload = Bytes::from_owner(packet.payload.clone());
        let packet = RtpPacket {
            codec: self.codec,
            layer: u8::try_from(place).unwrap_or(0),
            seq,
            time,
            wall,
            arrived: now,
            marker: header.marker,
            key_start: starts_key_frame(self.codec, &payload),
            audio_level: header.ext_vals.audio_level.map(|level| level.unsigned_abs().min(127)),
            payload,
        };
        Some(Event::Packet { kind: self.kind, packet })
    }

    /// Which layer a source sends.
    fn place_of(&mut self, rtc: &mut Rtc, ssrc: Ssrc) -> Option<usize> {
        if let [only] = self.layers.as_slice()
            && only.rid.is_none()
        {
            return Some(0);
        }
        if let Some(place) = self.layers.iter().position(|layer| layer.ssrc == Some(ssrc)) {
            return Some(place);
        }
        let mut direct = rtc.direct_api();
        let stream = direct.stream_rx(&ssrc).filter(|stream| stream.mid() == self.mid)?;
        let rid = stream.rid()?;
        let place = self.layers.iter().position(|layer| layer.rid == Some(rid))?;
        self.layers.get_mut(place)?.ssrc = Some(ssrc);
        Some(place)
    }

    pub(super) fn report(&mut self, sender: &mut Sender, feedback: &SenderFeedback, arrived: WallTime) {
        let info = &feedback.sender_info;
        if info.sender_packet_count == 0 {
            // Nothing was sent yet: the RTP time of such a report is made up.
            return;
        }
        let Some(layer) = self.layers.iter_mut().find(|layer| layer.rid == feedback.rid) else { return };
        let Ok(since) = info.ntp_time.duration_since(std::time::SystemTime::UNIX_EPOCH) else { return };
        let Ok(micros) = i64::try_from(since.as_micros()) else { return };
        let rtp = (info.rtp_time.numer() as u32).wrapping_add(layer.numbers.time_shift as u32);
        layer.clock.report(sender, rtp, WallTime(micros), arrived);
    }

    /// How packets of all layers arrive: losses together, and the worst of the rest.
    pub(super) fn delivery(&self) -> Option<Delivery> {
        let each = self.layers.iter().filter_map(|layer| layer.arrivals.delivery());
        each.reduce(|one, two| Delivery {
            lost: one.lost.saturating_add(two.lost),
            lost_share: one.lost_share.max(two.lost_share),
            jitter: one.jitter.max(two.jitter),
        })
    }

    pub(super) fn request_key_frame(&self, rtc: &mut Rtc, layer: u8) -> bool {
        let Some(layer) = self.layers.get(usize::from(layer)) else { return false };
        let mut direct = rtc.direct_api();
        let stream = direct.stream_rx_by_mid(self.mid, layer.rid);
        stream.map(|stream| stream.request_keyframe(KeyframeRequestKind::Pli)).is_some()
    }
}

/// Numbers of a track that never wrap and survive a change of the sender's source (SSRC): the new source goes on behind
/// the old one.
#[derive(Debug, Default)]
struct Numbers {
    last: Option<Last>,
    seq_shift: i64,
    time_shift: i64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    ssrc: u32,
    seq: SeqNo,
    time: MediaTime,
}

impl Numbers {
    fn extend(&mut self, ssrc: u32, seq: u16, time: u32) -> (SeqNo, MediaTime) {
        let Some(mut last) = self.last else {
            // One cycle up, so that what came before the first packet is not below zero.
            let first = Last { ssrc, seq: SeqNo(1 << 16 | u64::from(seq)), time: MediaTime(1 << 32 | i64::from(time)) };
            self.last = Some(first);
            return (first.seq, first.time);
        };
        if last.ssrc != ssrc {
            self.seq_shift = (last.seq.0 + 1).cast_signed() - i64::from(seq);
            self.time_shift = last.time.0 + 1 - i64::from(time);
            last.ssrc = ssrc;
        }
        let wire_seq = i64::from(seq).wrapping_add(self.seq_shift) as u16;
        let wire_time = i64::from(time).wrapping_add(self.time_shift) as u32;
        let seq = last.seq.extend(wire_seq);
        let delta = wire_time.wrapping_sub(last.time.0 as u32).cast_signed();
        let time = last.time + i64::from(delta);
        self.last = Some(Last { ssrc, seq: last.seq.max(seq), time: last.time.max(time) });
        (seq, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_reordering_and_another_source_do_not_show() {
        let mut numbers = Numbers::default();
        let mut next = |ssrc, seq, time| {
            let (seq, time) = numbers.extend(ssrc, seq, time);
            (seq.0 - 65_536, time.0 - (1 << 32))
        };
        assert_eq!(next(1, 65_535, u32::MAX), (65_535, i64::from(u32::MAX)));
        assert_eq!(next(1, 0, 0), (65_536, 1 << 32));
        assert_eq!(next(1, 65_534, u32::MAX - 3), (65_534, i64::from(u32::MAX) - 3), "a late packet");
        assert_eq!(next(2, 40_000, 7), (65_537, (1 << 32) + 1), "another source goes on behind");
        assert_eq!(next(2, 40_001, 3_007), (65_538, (1 << 32) + 3_001));
    }

    #[test]
    fn a_packet_before_the_first_is_not_below_zero() {
        let mut numbers = Numbers::default();
        numbers.extend(1, 0, 0);
        assert_eq!(numbers.extend(1, 65_535, u32::MAX).0, SeqNo(65_535));
    }
}
