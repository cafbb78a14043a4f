//! What a viewer sends back: reports, requests for key frames and for packets, what it believes to fit.

use std::time::Duration;

use media::{Kind, Ssrc, WallTime};

use super::View;
use crate::leg::{Delivery, Quality, quality::ticks};
use crate::rtcp::{self, Nack, Packet, ReportBlock};

/// Numbers told of in one event at most: a burst that is longer is better answered by a key frame.
const WANTED_MAX: usize = 256;
/// A round trip that is longer is none: the report speaks of a clock that was set since.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(30);

/// RTP clocks of what viewers are sent.
const AUDIO_HZ: u32 = 48_000;
const VIDEO_HZ: u32 = 90_000;

/// What the viewer last reported of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    /// Of 256, since the report before.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; fewer than none where some came twice.
    pub lost: i32,
    /// Jitter in ticks of the track's clock.
    pub jitter: u32,
}

/// What was not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Binding requests that are not authentic, and other STUN.
    pub checks: u64,
    /// From an address that has not proved itself, or of no known kind.
    pub strange: u64,
    /// RTCP that is not authentic, came before, or cannot be read.
    pub feedback: u64,
    /// RTP: a viewer sends none.
    pub media: u64,
    /// Numbers asked for that did not go out lately, were answered just now, or are too many.
    pub numbers: u64,
}

impl Refused {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.checks + self.strange + self.feedback + self.media + self.numbers
    }
}

impl View {
    /// What is known of the way to the viewer and back.
    pub(crate) fn quality(&self) -> Quality {
        let delivery = |kind, rate_hz| {
            self.egress.iter().find(|egress| egress.kind == kind && egress.bound)?;
            let Reception { fraction_lost, lost, jitter } = self.reception(kind);
            let (lost, jitter) = (u64::try_from(lost).unwrap_or(0), ticks(jitter.into(), rate_hz));
            Some(Delivery { lost, lost_share: fraction_lost, jitter })
        };
        Quality {
            audio: delivery(Kind::Audio, AUDIO_HZ),
            video: delivery(Kind::Video, VIDEO_HZ),
            round_trip: self.round_trip(),
            estimate_bps: self.estimate_bps(),
            refused: self.refused().total(),
        }
    }

    /// Takes a compound packet that was decrypted.
    pub(super) fn feedback(&mut self, compound: &[u8]) {
        let mut packets = rtcp::read(compound);
        for packet in packets.by_ref() {
            match packet {
                Packet::SenderReport(report) => report.blocks().for_each(|block| self.reported(&block)),
                Packet::ReceiverReport(report) => report.blocks().for_each(|block| self.reported(&block)),
                Packet::Nack(nack) => self.asked(&nack),
                Packet::Pli { media_ssrc } => self.key_frame(media_ssrc),
                Packet::Fir(fir) => fir.requests().for_each(|(ssrc, _)| self.key_frame(ssrc)),
                Packet::Remb { bitrate_bps } => self.remb_bps = Some(bitrate_bps),
                Packet::Transport(feedback) if self.paced => self.bandwidth.feedback(self.now, &feedback),
                Packet::Transport(_) | Packet::Description(_) | Packet::Bye | Packet::Other => {}
            }
        }
        self.refused.feedback += u64::from(packets.is_unread());
    }

    fn key_frame(&mut self, ssrc: Ssrc) {
        match self.egress.iter_mut().find(|egress| egress.ssrc == ssrc.0) {
            Some(egress) => egress.wants_key_frame = true,
            None => self.refused.feedback += 1,
        }
    }

    fn asked(&mut self, nack: &Nack<'_>) {
        let egress = self.egress.iter_mut().find(|egress| egress.ssrc == nack.media_ssrc.0 && egress.rtx.is_some());
        let Some(egress) = egress else {
            self.refused.numbers += 1;
            return;
        };
        for number in nack.numbers() {
            let known = egress.wanted.len() < WANTED_MAX && egress.sent.find(number).is_some();
            if known && egress.repair.asked(self.now, number, self.round_trip) {
                egress.wanted.push(number);
            } else {
                self.refused.numbers += 1;
            }
        }
    }

    fn reported(&mut self, block: &ReportBlock) {
        let wall = self.wall_now();
        let Some(egress) = self.egress.iter_mut().find(|egress| egress.ssrc == block.ssrc.0) else { return };
        // The receiver knows the source, and with it the m= line.
        egress.bound = true;
        let place = usize::from(egress.kind == Kind::Video);
        let Some(reception) = self.reception.get_mut(place) else { return };
        *reception = Reception { fraction_lost: block.fraction_lost, lost: block.lost, jitter: block.jitter };
        let round_trip = round_trip(wall, block);
        self.round_trip = round_trip.or(self.round_trip);
        self.bandwidth.report(self.now, block.fraction_lost, round_trip);
    }
}

/// The round trip that a report block tells of, RFC 3550 section 6.4.1.
fn round_trip(wall: WallTime, block: &ReportBlock) -> Option<Duration> {
    if block.last_report == 0 {
        return None;
    }
    let now = (wall.to_ntp() >> 16) as u32;
    // In 1/65,536 s; what is negative by rounding is nothing.
    let ticks = now.wrapping_sub(block.last_report).wrapping_sub(block.since_last_report).cast_signed();
    let ticks = if (-64..0).contains(&ticks) { 0 } else { u64::try_from(ticks).ok()? };
    Some(Duration::from_micros((ticks * 1_000_000) >> 16)).filter(|trip| *trip < ROUND_TRIP_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_trip_is_what_is_left_without_the_receivers_wait() {
        let sent = WallTime(1_790_000_000_000_000);
        let block = ReportBlock {
            last_report: (sent.to_ntp() >> 16) as u32,
            since_last_report: 65_536 / 2,
            ..ReportBlock::default()
        };
        let after = |micros| round_trip(sent + micros, &block).map(|trip| trip.as_millis());
        assert_eq!(after(540_100), Some(40));
        assert_eq!(after(499_900), Some(0), "rounding");
        assert_eq!(after(400_000), None, "the clock was set back");
        assert_eq!(after(60_000_000), None, "or forward");
        assert_eq!(round_trip(sent, &ReportBlock::default()), None, "no report came yet");
    }
}
