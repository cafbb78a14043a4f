//! Packets to frames: back in order within a deadline, put together, and after a loss nothing until the next key
//! frame, so that no frame path viewer ever sees a broken picture.

mod h264;
mod order;
mod sets;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use media::{Codec, Flags, Frame, Kind, MediaTime, Payload, RtpPacket, TrackInfo, WallTime};
use thiserror::Error;

use crate::{
    clock::Align,
    packetise::{OPUS_CLOCK_HZ, VIDEO_CLOCK_HZ},
};
use order::{Next, Order};

/// A packet that is missing is waited for so long: a retransmission over a bad path takes two round trips.
pub const REORDER_DEADLINE: Duration = Duration::from_millis(200);
/// Packets that may wait for a missing one: 200 ms of 50 Mbit/s.
pub const PACKETS_MAX: usize = 1_024;
/// Bytes of one frame.
pub const FRAME_BYTES_MAX: usize = 4 << 20;
/// Frames that may wait to be polled.
const FRAMES_MAX: usize = 256;

/// This coding has no frame form here: it stays between WebRTC ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{} has no form for FLV, HLS and RTMP viewers here; publish H264 and opus for those", .0.name())]
pub struct Unsupported(pub Codec);

/// What comes out.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// What the frames that follow are.
    Track(TrackInfo),
    /// A frame, whole.
    Frame(Frame),
    /// Nothing more comes until the source has made a key frame. Said once for each loss.
    NeedKeyFrame,
}

/// What was lost and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came twice, or after they had been given up.
    pub late: u64,
    /// Packets that cannot be read, of types that mode 1 does not have, or out of place.
    pub malformed: u64,
    /// Frames dropped while a key frame was waited for.
    pub frames_dropped: u64,
    /// Frames or queues that grew past their bounds.
    pub overflows: u64,
}

/// Puts the packets of one track together.
#[derive(Debug)]
pub struct Depacketiser {
    order: Order,
    form: Form,
    ready: VecDeque<Ready>,
    counts: Counts,
}

#[derive(Debug)]
enum Form {
    H264(Box<h264::Assembler>),
    Opus { announced: bool, lost: bool },
}

/// An output that is not on the stream's clock yet.
#[derive(Debug)]
enum Ready {
    Track(TrackInfo),
    Frame { flags: Flags, time: MediaTime, wall: WallTime, payload: Payload },
    NeedKeyFrame,
}

impl Depacketiser {
    /// For a track of this coding.
    ///
    /// # Errors
    /// Where the coding has no frame form here: all but H.264 and Opus.
    pub fn new(codec: Codec) -> Result<Self, Unsupported> {
        let form = match codec {
            Codec::H264 => Form::H264(Box::default()),
            Codec::Opus => Form::Opus { announced: false, lost: false },
            other => return Err(Unsupported(other)),
        };
        Ok(Self { order: Order::default(), form, ready: VecDeque::new(), counts: Counts::default() })
    }

    /// Takes a packet. `poll` has to be called until it gives nothing more.
    pub fn push(&mut self, now: Instant, packet: RtpPacket) {
        if !self.order.push(now, packet) {
            self.counts.late += 1;
        }
        self.advance(now);
    }

    /// The next output, its frames placed on the publisher's clock.
    pub fn poll(&mut self, now: Instant, align: &mut Align) -> Option<Output> {
        self.advance(now);
        Some(match self.ready.pop_front()? {
            Ready::Track(info) => Output::Track(info),
            Ready::NeedKeyFrame => Output::NeedKeyFrame,
            Ready::Frame { mut flags, time, wall, payload } => {
                let codec = self.codec();
                let at = align.map(codec.kind(), time, wall, rate_hz(codec));
                flags.discontinuity |= at.discontinuity;
                // Browsers send no B-frames, so a picture is decoded when it is shown.
                Output::Frame(Frame { codec, flags, dts: at.time, pts: at.time, wall: at.wall, payload })
            }
        })
    }

    /// When `poll` has to be called although no packet came: the missing one is given up then.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.order.deadline()
    }

    /// What was lost and dropped so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn codec(&self) -> Codec {
        match self.form {
            Form::H264(_) => Codec::H264,
            Form::Opus { .. } => Codec::Opus,
        }
    }

    fn advance(&mut self, now: Instant) {
        while let Some(next) = self.order.next(now) {
            match next {
                Next::Lost(packets) => {
                    self.counts.lost += packets;
                    match &mut self.form {
                        Form::H264(assembler) => assembler.lose(&mut self.counts, &mut self.ready),
                        Form::Opus { lost, .. } => *lost = true,
                    }
                }
                Next::Packet(packet) => match &mut self.form {
                    Form::H264(assembler) => assembler.push(&packet, &mut self.counts, &mut self.ready),
                    Form::Opus { announced, lost } => {
                        let after_loss = std::mem::take(lost);
                        opus(announced, after_loss, packet, &mut self.counts, &mut self.ready);
                    }
                },
            }
            self.bound();
        }
    }

    /// Nobody polls: what waits is dropped, and the source has to begin anew.
    fn bound(&mut self) {
        if self.ready.len() <= FRAMES_MAX {
            return;
        }
        self.counts.overflows += 1;
        // A track that was announced still holds for what comes after.
        self.ready.retain(|ready| matches!(ready, Ready::Track(_)));
        let surplus = self.ready.len().saturating_sub(1);
        self.ready.drain(..surplus);
        if let Form::H264(assembler) = &mut self.form {
            assembler.lose(&mut self.counts, &mut self.ready);
        }
    }
}

fn opus(announced: &mut bool, after_loss: bool, packet: RtpPacket, counts: &mut Counts, ready: &mut VecDeque<Ready>) {
    if media::opus::duration_samples(&packet.payload).is_none() {
        counts.malformed += 1;
        return;
    }
    if !std::mem::replace(announced, true) {
        // Two channels whatever the packets say: their own bit follows the bitrate, and a decoder makes two of one.
        ready.push_back(Ready::Track(TrackInfo::opus(2)));
    }
    // Whoever decodes it conceals what is missing before it, also where that is a single packet.
    let flags = Flags { key: true, discontinuity: after_loss, ..Flags::default() };
    ready.push_back(Ready::Frame {
        flags,
        time: packet.time,
        wall: packet.wall,
        payload: Payload::single(packet.payload),
    });
}

fn rate_hz(codec: Codec) -> u32 {
    match codec.kind() {
        Kind::Audio => OPUS_CLOCK_HZ,
        Kind::Video => VIDEO_CLOCK_HZ,
    }
}

#[cfg(test)]
mod tests;
