//! One publisher's 32-bit millisecond timestamps (RTMP, FLV) as media time of both its tracks on one origin: wraps,
//! jumps and gaps end here.
//!
//! A source's clock is trusted for steps and for how the tracks lie to each other, and for nothing else. When it jumps,
//! the output goes on where it was; the other track, which jumps a moment later by as much, follows with the same
//! offset, so that sound and picture stay together.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use media::{Kind, MediaTime};

/// Where a frame belongs on the stream's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// When to decode, in ticks of the rate that was asked for. Rises strictly within a track.
    pub dts: MediaTime,
    /// When to show, in the same ticks.
    pub pts: MediaTime,
    /// The source's clock jumped, or the source was silent, before this frame.
    pub discontinuity: bool,
}

/// One publisher's timestamps.
#[derive(Debug, Default)]
pub struct Timeline {
    audio: Lane,
    video: Lane,
    /// Further tracks, by number. Whoever calls bounds how many there are.
    further: BTreeMap<(u8, Kind), Lane>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    last: Option<Last>,
}

/// The newest frame of a track.
#[derive(Clone, Copy, Debug)]
struct Last {
    raw_ms: u32,
    /// `raw_ms` without wraps.
    source_ms: i64,
    /// What is added to the source's time.
    offset_ms: i64,
    out_ms: i64,
    /// The newest ordinary step between two frames.
    step_ms: i64,
    dts: MediaTime,
    rate_hz: u32,
    arrived: Instant,
}

/// A step forward longer than this is a gap or a jump; so is the distance between the tracks.
const GAP_MS: i64 = 3_000;
/// A step back longer than this is a jump; a shorter one is the jitter of a careless muxer.
const BACK_MS: i64 = 500;

impl Timeline {
    /// Places a frame. `composition_ms` is how much later than its decoding it is shown.
    pub fn map(&mut self, now: Instant, kind: Kind, dts_ms: u32, composition_ms: i32, rate_hz: u32) -> Mapped {
        let (own, other) = match kind {
            Kind::Audio => (&mut self.audio, &self.video),
            Kind::Video => (&mut self.video, &self.audio),
        };
        own.map(now, other.last, dts_ms, composition_ms, rate_hz)
    }

    /// Places a frame of a further track, which goes by the first track of its kind where there is one: the two have
    /// one clock, and jump together.
    pub fn map_further(
        &mut self,
        now: Instant,
        (number, kind): (u8, Kind),
        dts_ms: u32,
        composition_ms: i32,
        rate_hz: u32,
    ) -> Mapped {
        let (same, other) = match kind {
            Kind::Audio => (self.audio.last, self.video.last),
            Kind::Video => (self.video.last, self.audio.last),
        };
        let own = self.further.entry((number, kind)).or_default();
        own.map(now, same.or(other), dts_ms, composition_ms, rate_hz)
    }
}

impl Lane {
    fn map(&mut self, now: Instant, other: Option<Last>, dts_ms: u32, composition_ms: i32, rate_hz: u32) -> Mapped {
        let own = self;
        let next = match (own.last, other) {
            (Some(own), other) => go_on(now, own, other, dts_ms),
            (None, other) => begin(other, dts_ms),
        };
        let mut dts = MediaTime(next.out_ms).rescale(1_000, rate_hz);
        if let Some(last) = own.last {
            dts = dts.max(last.dts.rescale(last.rate_hz, rate_hz) + 1);
        }
        own.last = Some(Last {
            raw_ms: dts_ms,
            source_ms: next.source_ms,
            offset_ms: next.offset_ms,
            out_ms: next.out_ms,
            step_ms: next.step_ms,
            dts,
            rate_hz,
            arrived: now,
        });
        let composition = MediaTime(i64::from(composition_ms)).rescale(1_000, rate_hz);
        Mapped { dts, pts: dts + composition.0, discontinuity: next.is_jump }
    }
}

struct Next {
    source_ms: i64,
    offset_ms: i64,
    out_ms: i64,
    step_ms: i64,
    is_jump: bool,
}

/// The first frame of a track.
fn begin(other: Option<Last>, raw_ms: u32) -> Next {
    let Some(other) = other else {
        let source_ms = i64::from(raw_ms);
        return Next { source_ms, offset_ms: -source_ms, out_ms: 0, step_ms: 0, is_jump: false };
    };
    let source_ms = unwrap(other, raw_ms);
    // A track on a clock of its own: it begins where the other is, for want of anything better.
    let is_near = (source_ms - other.source_ms).abs() <= GAP_MS;
    let offset_ms = if is_near { other.offset_ms } else { other.out_ms - source_ms };
    Next { source_ms, offset_ms, out_ms: (source_ms + offset_ms).max(0), step_ms: 0, is_jump: false }
}

/// A frame after others of its track.
fn go_on(now: Instant, own: Last, other: Option<Last>, raw_ms: u32) -> Next {
    let source_ms = unwrap(own, raw_ms);
    let step_ms = source_ms - own.source_ms;
    if (-BACK_MS..=GAP_MS).contains(&step_ms) {
        let out_ms = (source_ms + own.offset_ms).max(own.out_ms);
        let step_ms = if step_ms > 0 { step_ms } else { own.step_ms };
        return Next { source_ms, offset_ms: own.offset_ms, out_ms, step_ms, is_jump: false };
    }
    let elapsed_ms = millis(now.saturating_duration_since(own.arrived));
    let (offset_ms, is_jump) = match other {
        // The other track is there already: it never paused, or it jumped first.
        Some(other) if (source_ms - other.source_ms).abs() <= GAP_MS => {
            (other.offset_ms, other.offset_ms != own.offset_ms)
        }
        // The source was silent for as long as its clock says.
        _ if step_ms > 0 && (step_ms - elapsed_ms).abs() <= GAP_MS => (own.offset_ms, true),
        _ => {
            // Past both tracks, so that the other one, following, does not have to go back.
            let newest_ms = other.map_or(own.out_ms, |other| other.out_ms.max(own.out_ms));
            let pause_ms = elapsed_ms.clamp(own.step_ms, GAP_MS);
            ((own.out_ms + pause_ms).max(newest_ms) - source_ms, true)
        }
    };
    let out_ms = (source_ms + offset_ms).max(own.out_ms);
    Next { source_ms, offset_ms, out_ms, step_ms: own.step_ms, is_jump }
}

/// The time nearest to the newest one whose low 32 bits are `raw_ms`.
fn unwrap(last: Last, raw_ms: u32) -> i64 {
    last.source_ms + i64::from(raw_ms.wrapping_sub(last.raw_ms).cast_signed())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
