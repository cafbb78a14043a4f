//! The health of an ingest: what its publisher sends, measured over a few seconds before anybody puts it right, and what
//! is wrong with it, with a sentence that says which setting to change.
//!
//! Plain state of a fixed size: time is handed in with every call, a frame costs constant time, and the rules are
//! applied once a second. What does not live here: putting anything right (that is `timeline`), and what viewers are
//! given.

mod coding;
mod fault;
mod lane;
mod ledger;
mod report;
mod rules;
mod window;

use std::time::{Duration, Instant};

use media::{Codec, Flags, Kind, TrackInfo};

pub use coding::Coding;
pub use fault::{B_FRAMES_ADVICE, Fault, Severity};
pub use ledger::{DECAY, HISTORY_MAX, Spell};
pub use report::{Audio, Report, Score, Video};
pub use window::{SECONDS_MAX, Second};

use self::{
    lane::{Lane, Step},
    ledger::Ledger,
    window::Window,
};
use crate::stream::BFrames;

/// One frame as the publisher sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Sound or picture.
    pub kind: Kind,
    /// Its decoding time as it came, in milliseconds: it wraps, and may jump.
    pub dts_ms: u32,
    /// Its coded bytes.
    pub bytes: usize,
    /// What it is.
    pub flags: Flags,
}

/// What the publisher's metadata claims.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Claims {
    /// Pictures a second.
    pub frame_rate: Option<f64>,
    /// There will be a picture.
    pub video: bool,
    /// There will be sound.
    pub audio: bool,
}

/// Watches one ingest.
#[derive(Debug, Default)]
pub struct Health {
    window: Window,
    ledger: Ledger,
    video: Lane,
    audio: Lane,
    claims: Claims,
    packets: Option<Packets>,
    heard: Option<Instant>,
    stalls: u64,
    /// Seconds on end in which media came more slowly than it plays.
    slow_s: u32,
}

/// A source of packets: its frames are not looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Packets {
    video: Option<Codec>,
    audio: Option<Codec>,
    sent: Moved,
}

/// What a source of packets has sent since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes that came.
    pub bytes: u64,
    /// Packets that came.
    pub packets: u64,
    /// Packets that did not, and will not.
    pub lost: u64,
}

/// Silence longer than this is a stall.
const STALL: Duration = Duration::from_secs(2);
/// The same where media is heard of once a second only.
const PACKETS_STALL: Duration = Duration::from_secs(4);
/// A pause up to this is the rhythm of a slow source.
const GAP_MS_MAX: i64 = 2_000;

impl Health {
    /// A track is announced, or changed.
    pub fn announce(&mut self, now: Instant, info: &TrackInfo) {
        self.look(now);
        let lane = self.lane_mut(info.kind());
        let change = match &lane.info {
            Some(old) if old == info => return,
            Some(old) => Some(changed(old, info)),
            None => None,
        };
        lane.begin(now, info.clone());
        if let Some(fault) = change {
            self.ledger.raise(now, fault, 0.0);
        }
        self.judge_coding(now);
    }

    /// Metadata came.
    pub fn claim(&mut self, now: Instant, claims: Claims) {
        self.look(now);
        let rate = claims.frame_rate.filter(|rate| (1.0..=1_000.0).contains(rate));
        self.claims = Claims { frame_rate: rate, ..claims };
        for (claimed, lane) in [(claims.video, &mut self.video), (claims.audio, &mut self.audio)] {
            if claimed {
                lane.announced.get_or_insert(now);
            }
        }
    }

    /// A frame came.
    pub fn frame(&mut self, now: Instant, arrival: Arrival) {
        self.look(now);
        self.hear(now, STALL);
        let is_picture = arrival.kind == Kind::Video;
        let step = self.lane_mut(arrival.kind).step(now, arrival.dts_ms);
        let (on_ms, gap_ms, is_uneven) = match step {
            Step::On { ms, uneven } => (ms, 0, uneven),
            Step::Gap(ms) => (0, ms, false),
            Step::First | Step::Back(_) | Step::Jump(_) => (0, 0, false),
        };
        self.judge_step(now, arrival.kind, step);
        let apart_ms = self.apart_ms(now, arrival);
        if let Some(second) = self.window.current() {
            let (bytes, count, on, gap) = if is_picture {
                (&mut second.video_bytes, &mut second.pictures, &mut second.video_ms, &mut second.video_gap_ms)
            } else {
                (&mut second.audio_bytes, &mut second.sounds, &mut second.audio_ms, &mut second.audio_gap_ms)
            };
            *bytes = bytes.saturating_add(arrival.bytes as u64);
            *count = count.saturating_add(1);
            *on = on.saturating_add(u32::try_from(on_ms).unwrap_or(0));
            *gap = gap.saturating_add(u32::try_from(gap_ms).unwrap_or(0));
            second.uneven = second.uneven.saturating_add(u32::from(is_picture && is_uneven));
            second.apart_ms = match (second.apart_ms, apart_ms) {
                (Some(old), Some(new)) => Some(old.min(new)),
                (old, new) => old.or(new),
            };
        }
        if is_picture {
            // A stall is told as one, and makes no key frame late.
            let pause_ms = if gap_ms > GAP_MS_MAX { 0 } else { gap_ms };
            self.video.picture(arrival.flags, on_ms.saturating_add(pause_ms));
            if arrival.flags.b_frame && self.video.keys.b_frames == BFrames::Referenced {
                self.ledger.raise(now, Fault::BFrames, 0.0);
            }
        }
    }

    /// A message came that could not be read.
    pub fn damaged(&mut self, now: Instant) {
        self.look(now);
        self.hear(now, STALL);
        self.ledger.raise(now, Fault::Damaged, 0.0);
    }

    /// The publisher sends packets of these codings, and nobody looks at its frames here.
    pub fn announce_packets(&mut self, now: Instant, video: Option<Codec>, audio: Option<Codec>) {
        self.packets = Some(Packets { video, audio, sent: Moved::default() });
        self.look(now);
        self.judge_coding(now);
    }

    /// A source of packets is alive, and has sent so much since it began.
    pub fn packets(&mut self, now: Instant, sent: Moved) {
        self.look(now);
        let from = self.heard.unwrap_or(now);
        self.hear(now, PACKETS_STALL);
        let Some(packets) = &mut self.packets else { return };
        let before = packets.sent;
        // Figures may be older than the last.
        let sent = if sent.packets < before.packets { before } else { sent };
        packets.sent = Moved { bytes: sent.bytes.max(before.bytes), ..sent };
        self.window.spread(from, now, sent.bytes.saturating_sub(before.bytes));
        self.judge_loss(now, before, sent);
    }

    /// Nothing came: time has passed. To be called twice a second, so that silence is noticed.
    pub fn look(&mut self, now: Instant) {
        if self.window.advance(now) {
            self.judge(now);
            self.ledger.decay(now);
        }
    }

    /// A fault that began since it was last asked.
    pub fn poll_begun(&mut self) -> Option<Fault> {
        self.ledger.poll_begun()
    }

    fn hear(&mut self, now: Instant, stall: Duration) {
        if let Some(heard) = self.heard.replace(now) {
            let silence = now.saturating_duration_since(heard);
            if silence > stall {
                self.stalls = self.stalls.saturating_add(1);
                self.ledger.raise(now, Fault::Stalled, silence.as_secs_f64());
            }
        }
    }

    fn judge_step(&mut self, now: Instant, kind: Kind, step: Step) {
        let is_video = kind == Kind::Video;
        match step {
            Step::Back(ms) => {
                let fault = if is_video { Fault::VideoBackwards } else { Fault::AudioBackwards };
                self.ledger.raise(now, fault, ms as f64);
            }
            Step::Jump(ms) => {
                let fault = if is_video { Fault::VideoJump } else { Fault::AudioJump };
                self.ledger.raise(now, fault, ms as f64 / 1_000.0);
            }
            Step::First | Step::On { .. } | Step::Gap(_) => {}
        }
    }

    /// How far the newest times of sound and picture are from each other, where both come.
    fn apart_ms(&self, now: Instant, arrival: Arrival) -> Option<u32> {
        let other = if arrival.kind == Kind::Video { &self.audio } else { &self.video };
        let other_ms = other.raw_ms.filter(|_| other.is_alive(now, STALL))?;
        Some(arrival.dts_ms.wrapping_sub(other_ms).cast_signed().unsigned_abs())
    }

    fn lane_mut(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        }
    }
}

/// What kind of change there is between two tracks that differ.
fn changed(old: &TrackInfo, new: &TrackInfo) -> Fault {
    let (before, after) = (Coding::of(old), Coding::of(new));
    if old.codec != new.codec {
        Fault::CodecChanged
    } else if old.clock_rate_hz != new.clock_rate_hz {
        Fault::SampleRateChanged
    } else if before.size != after.size {
        Fault::ResolutionChanged
    } else {
        Fault::ConfigChanged
    }
}

#[cfg(test)]
mod tests;
