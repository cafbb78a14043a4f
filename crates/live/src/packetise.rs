//! Frames to packets: once for a track, for all its WebRTC viewers. H.264 by RFC 6184 mode 1, Opus by RFC 7587.

use std::time::Instant;

use bytes::Bytes;
use media::{Codec, Config, Frame, MediaTime, RtpPacket, SeqNo, TrackInfo};
use wire::rtp::h264;

use crate::stats::shows_in_order;

/// Bytes of an RTP payload, at most: with RTP header and extensions, SRTP tag, RTX and TURN around it, a packet stays
/// within the 1,280 bytes that every IPv6 path carries.
pub const PAYLOAD_MAX: usize = 1_160;

/// RTP clock of every video coding, and of Opus (RFC 6184 section 8.2.1, RFC 7587 section 4.1), in Hz.
pub(crate) const VIDEO_CLOCK_HZ: u32 = 90_000;
pub(crate) const OPUS_CLOCK_HZ: u32 = 48_000;
/// Cuts the frames of one track into packets.
#[derive(Debug)]
pub struct Packetiser {
    /// Leave out B-frames that nothing refers to: WebRTC shows pictures in the order in which they come.
    pub drop_b: bool,
    codec: Codec,
    payload_max: usize,
    next: SeqNo,
    spurt_begins: bool,
    counts: Counts,
}

/// What was not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// B-frames left out on demand.
    pub dropped_b: u64,
    /// Frames of another coding than the track's, or of one that has no packets here.
    pub unsupported: u64,
}

impl Packetiser {
    /// For a track of this coding, with payloads of `PAYLOAD_MAX`. The first packet has number 0.
    pub fn new(codec: Codec) -> Self {
        Self {
            drop_b: false,
            codec,
            payload_max: PAYLOAD_MAX,
            next: SeqNo(0),
            spurt_begins: true,
            counts: Counts::default(),
        }
    }

    /// The same with payloads of another size, in bytes; 3 at least.
    #[must_use]
    pub fn with_payload_max(self, payload_max: usize) -> Self {
        Self { payload_max: payload_max.max(3), ..self }
    }

    /// What was not sent so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Adds the packets of a frame to `out`. A key frame of H.264 begins with its parameter sets.
    pub fn packetise(&mut self, now: Instant, track: &TrackInfo, frame: &Frame, out: &mut Vec<RtpPacket>) {
        if frame.codec != self.codec || track.codec != self.codec {
            self.counts.unsupported += 1;
            return;
        }
        match self.codec {
            Codec::H264 => self.h264(now, track, frame, out),
            Codec::Opus => self.opus(now, track, frame, out),
            _ => self.counts.unsupported += 1,
        }
    }

    fn h264(&mut self, now: Instant, track: &TrackInfo, frame: &Frame, out: &mut Vec<RtpPacket>) {
        let flags = frame.flags;
        if self.drop_b && flags.b_frame && flags.discardable && !shows_in_order(track) {
            self.counts.dropped_b += 1;
            return;
        }
        let first = out.len();
        let mut emit = |payload: Bytes| {
            let time = frame.pts.rescale(track.clock_rate_hz, VIDEO_CLOCK_HZ);
            out.push(packet(&mut self.next, now, time, frame, payload));
        };
        if let (true, Config::H264(config)) = (flags.key, &track.config) {
            let sets = config.sps.iter().chain(&config.pps);
            match h264::stap_a(sets.clone(), self.payload_max) {
                Some(together) => emit(together),
                None => sets.flat_map(|set| h264::payloads(set, self.payload_max)).for_each(&mut emit),
            }
        }
        frame.payload.units.iter().flat_map(|unit| h264::payloads(unit, self.payload_max)).for_each(emit);
        if let Some(packet) = out.get_mut(first) {
            packet.key_start = flags.key;
        }
        if let Some(last) = out.get_mut(first..).and_then(<[_]>::last_mut) {
            last.marker = true;
        }
    }

    fn opus(&mut self, now: Instant, track: &TrackInfo, frame: &Frame, out: &mut Vec<RtpPacket>) {
        let time = frame.pts.rescale(track.clock_rate_hz, OPUS_CLOCK_HZ);
        let begins = self.spurt_begins || frame.flags.discontinuity;
        for unit in &frame.payload.units {
            let mut packet = packet(&mut self.next, now, time, frame, unit.clone());
            packet.key_start = true;
            packet.marker = begins;
            out.push(packet);
            self.spurt_begins = false;
        }
    }
}

fn packet(next: &mut SeqNo, now: Instant, time: MediaTime, frame: &Frame, payload: Bytes) -> RtpPacket {
    let seq = std::mem::replace(next, next.next());
    RtpPacket {
        codec: frame.codec,
        layer: 0,
        seq,
        time,
        wall: frame.wall,
        arrived: now,
        marker: false,
        key_start: false,
        audio_level: None,
        payload,
    }
}

#[cfg(test)]
mod tests;
