//! What is counted of a stream on its way: frames, gaps, rates, and how evenly it comes.

use std::time::{Duration, Instant};

use media::{Codec, Config, Kind, TrackInfo};
use serde::Serialize;

/// A step between two frames is a gap where it is this long, and longer than `GAP_FRAMES` of the usual steps.
const GAP_MIN_US: i64 = 250_000;
const GAP_FRAMES: i64 = 4;
/// A frame as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Sound or picture.
    pub kind: Kind,
    /// The coding.
    pub codec: Codec,
    /// A decoder may start here.
    pub key: bool,
    /// Decoding time on a clock that both tracks share, in microseconds.
    pub dts_us: i64,
    /// Bytes of coded media.
    pub bytes: usize,
}

/// What was counted of a track.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackReport {
    /// The coding, by the name that SDP has for it.
    pub codec: String,
    /// Width of the picture in pixels, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height of the picture in pixels, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Channels of the sound, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    /// Frames.
    pub frames: u64,
    /// Of them key frames; of sound every one is.
    pub key_frames: u64,
    /// Bytes of coded media.
    pub bytes: u64,
    /// Time from the first to the last frame by their own times, without the gaps, in milliseconds.
    pub media_ms: i64,
    /// Frames a second of media time.
    pub fps: f64,
    /// Kilobits a second of media time.
    pub kbps: f64,
    /// Steps in time that were much longer than usual.
    pub gaps: u64,
    /// Frames whose time did not rise.
    pub backwards: u64,
}

/// What was counted of RTP packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Packets {
    /// Packets that came.
    pub received: u64,
    /// Packets that never came, also not when they were asked for again.
    pub lost: u64,
    /// Interarrival jitter of the picture, or of the sound alone (RFC 3550 section 6.4.1), in milliseconds.
    pub jitter_ms: f64,
}

#[derive(Debug, Default)]
struct Track {
    report: TrackReport,
    last_us: Option<i64>,
    media_us: i64,
    usual_us: i64,
}

/// Counts both tracks of a stream.
#[derive(Debug, Default)]
pub struct Meter {
    video: Option<Track>,
    audio: Option<Track>,
    first: Option<Instant>,
    /// The smallest (arrival - decoding time) so far, and the newest, in microseconds since the first arrival.
    fastest_us: Option<i64>,
    newest_us: i64,
    /// Frames and bytes, and when that was looked at last.
    looked: Option<(Instant, u64, u64)>,
}

impl Meter {
    /// Takes what a track is.
    pub fn track(&mut self, info: &TrackInfo) {
        let report = &mut self.lane(info.kind()).report;
        info.codec.name().clone_into(&mut report.codec);
        match &info.config {
            Config::H264(config) => {
                (report.width, report.height) = (Some(config.picture.width), Some(config.picture.height));
            }
            Config::Aac(config) => report.channels = Some(config.channels),
            Config::Opus(config) => report.channels = Some(config.channels),
            _ => {}
        }
    }

    /// Counts a frame.
    pub fn frame(&mut self, now: Instant, frame: Counted) {
        let first = *self.first.get_or_insert(now);
        let arrived_us = i64::try_from(now.saturating_duration_since(first).as_micros()).unwrap_or(i64::MAX);
        self.newest_us = arrived_us.saturating_sub(frame.dts_us);
        self.fastest_us = Some(self.fastest_us.map_or(self.newest_us, |fastest| fastest.min(self.newest_us)));
        let lane = self.lane(frame.kind);
        if lane.report.codec.is_empty() {
            frame.codec.name().clone_into(&mut lane.report.codec);
        }
        lane.count(&frame);
    }

    /// The connection was renewed: what is between the last frame and the next is not a gap of the stream.
    pub fn renew(&mut self) {
        for lane in [&mut self.video, &mut self.audio].into_iter().flatten() {
            lane.last_us = None;
        }
        self.fastest_us = None;
    }

    /// When the first frame came.
    pub fn first(&self) -> Option<Instant> {
        self.first
    }

    /// What was counted of a kind.
    pub fn report(&self, kind: Kind) -> Option<TrackReport> {
        let lane = match kind {
            Kind::Video => self.video.as_ref(),
            Kind::Audio => self.audio.as_ref(),
        }?;
        let mut report = lane.report.clone();
        report.media_ms = lane.media_us / 1_000;
        if lane.media_us > 0 {
            let seconds = lane.media_us as f64 / 1e6;
            // The last frame lasts as well.
            let share = (report.frames.saturating_sub(1)) as f64 / report.frames.max(1) as f64;
            report.fps = round((report.frames.saturating_sub(1)) as f64 / seconds);
            report.kbps = round(report.bytes as f64 * share * 8.0 / seconds / 1e3);
        }
        Some(report)
    }

    /// How much later than the fastest frame of all the newest one came, in milliseconds.
    pub fn behind_ms(&self) -> i64 {
        self.fastest_us.map_or(0, |fastest| self.newest_us.saturating_sub(fastest) / 1_000)
    }

    /// Kilobits and pictures (or sounds, where there are none) a second since this was asked last.
    pub fn rates(&mut self, now: Instant) -> (f64, f64) {
        let tracks = || [&self.video, &self.audio].into_iter().flatten();
        let frames = tracks().next().map_or(0, |lane| lane.report.frames);
        let bytes = tracks().map(|lane| lane.report.bytes).sum();
        let last = self.looked.replace((now, frames, bytes));
        let Some((then, frames_then, bytes_then)) = last else { return (0.0, 0.0) };
        let seconds = now.saturating_duration_since(then).max(Duration::from_millis(1)).as_secs_f64();
        let since = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        (since(bytes, bytes_then) * 8.0 / 1e3, since(frames, frames_then))
    }

    fn lane(&mut self, kind: Kind) -> &mut Track {
        match kind {
            Kind::Video => self.video.get_or_insert_default(),
            Kind::Audio => self.audio.get_or_insert_default(),
        }
    }
}

impl Track {
    fn count(&mut self, frame: &Counted) {
        self.report.frames += 1;
        self.report.key_frames += u64::from(frame.key);
        self.report.bytes += frame.bytes as u64;
        let Some(last) = self.last_us.replace(frame.dts_us) else { return };
        let step = frame.dts_us.saturating_sub(last);
        if step <= 0 {
            self.report.backwards += 1;
        } else if step >= GAP_MIN_US && self.usual_us > 0 && step > self.usual_us * GAP_FRAMES {
            self.report.gaps += 1;
            self.media_us += self.usual_us;
        } else {
            self.media_us += step;
            self.usual_us = if self.usual_us == 0 { step } else { (self.usual_us * 7 + step) / 8 };
        }
    }
}

/// To a tenth: more would only look precise.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(frame: i64, key: bool) -> Counted {
        Counted { kind: Kind::Video, codec: Codec::H264, key, dts_us: frame * 40_000, bytes: 1_000 }
    }

    #[test]
    fn an_even_stream_has_its_rates_and_no_gap() {
        let (begin, mut meter) = (Instant::now(), Meter::default());
        for frame in 0..251 {
            meter.frame(begin + Duration::from_millis(40 * frame as u64), picture(frame, frame % 50 == 0));
        }
        let report = meter.report(Kind::Video).unwrap();
        assert_eq!((report.frames, report.key_frames, report.media_ms), (251, 6, 10_000));
        assert_eq!((report.fps, report.kbps, report.gaps, report.backwards), (25.0, 200.0, 0, 0));
        assert_eq!((report.codec.as_str(), meter.behind_ms()), ("H264", 0));
        assert_eq!(meter.report(Kind::Audio), None);
    }

    #[test]
    fn missing_time_and_time_that_goes_back_are_counted() {
        let (now, mut meter) = (Instant::now(), Meter::default());
        for frame in [0, 1, 2, 3, 20, 21, 21, 19, 20] {
            meter.frame(now, picture(frame, false));
        }
        let report = meter.report(Kind::Video).unwrap();
        assert_eq!((report.gaps, report.backwards), (1, 2));
        meter.renew();
        meter.frame(now, picture(900, true));
        assert_eq!(meter.report(Kind::Video).unwrap().gaps, 1, "a new connection is no gap");
    }

    #[test]
    fn a_slow_stream_is_not_full_of_gaps() {
        let (now, mut meter) = (Instant::now(), Meter::default());
        (0..20).for_each(|frame| meter.frame(now, Counted { dts_us: frame * 1_000_000, ..picture(0, true) }));
        assert_eq!(meter.report(Kind::Video).unwrap().gaps, 0);
    }

    #[test]
    fn what_comes_late_is_behind() {
        let (begin, mut meter) = (Instant::now(), Meter::default());
        meter.frame(begin, picture(0, true));
        meter.frame(begin + Duration::from_millis(340), picture(1, false));
        assert_eq!(meter.behind_ms(), 300);
    }
}
