//! The segment that is being filled.

use std::time::Duration;

use media::{Codec, Frame, Kind, MediaTime, TrackInfo, WallTime};
use wire::mp4::{ReferenceTime, Run, Sample};

/// Sound is moved by so many ticks a frame, at most, to follow its stamps: 0.2 % of 1,024.
const SOUND_STEP_MAX: i64 = 2;
/// The part of a disagreement that a frame makes good: stamps in whole ms do not move the sound at all.
const SOUND_STEP_PART: i64 = 64;
/// Beyond this disagreement sound is missing, or its clock has jumped: 30 ms.
const SOUND_JUMP_MS: i64 = 30;
/// Sound that is stamped so much before the end of what there is has not come late: its clock has gone back. 500 ms.
const SOUND_BACK_MS: i64 = 500;
/// Sound so far ahead of what there is belongs to another clock too: 10 s.
const SOUND_AWAY_MS: i64 = 10_000;
/// The duration of a lone picture, in ms.
const LONE_PICTURE_MS: i64 = 40;

/// Places frames of sound one behind the other, where their stamps only say roughly that they are: players make a
/// click of every tick between two frames.
#[derive(Debug, Default)]
pub(super) struct SoundClock {
    next: Option<i64>,
}

impl SoundClock {
    /// The decoding time of a frame that lasts `length` ticks of a clock of `rate_hz`.
    fn place(&mut self, dts: i64, length: i64, rate_hz: u32) -> Place {
        let ticks = |ms: i64| ms * i64::from(rate_hz) / 1_000;
        let time = match self.next.map(|next| (next, dts.saturating_sub(next))) {
            Some((_, off)) if off < -ticks(SOUND_BACK_MS) || off > ticks(SOUND_AWAY_MS) => return Place::Elsewhere,
            Some((_, off)) if off < -ticks(SOUND_JUMP_MS) => return Place::Late,
            Some((next, off)) if off <= ticks(SOUND_JUMP_MS) => {
                next + (off / SOUND_STEP_PART).clamp(-SOUND_STEP_MAX, SOUND_STEP_MAX)
            }
            _ => dts,
        };
        self.next = Some(time.saturating_add(length));
        Place::At(time)
    }
}

/// Where a frame of sound belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Here.
    At(i64),
    /// Where other sound already is: dropping it brings the clock and the stamps together.
    Late,
    /// So far away that the stamps have begun anew.
    Elsewhere,
}

/// A frame of sound where it is placed.
#[derive(Debug)]
struct Sound {
    time: i64,
    length: i64,
    frame: Frame,
}

/// The frames of a segment, so far.
#[derive(Debug)]
pub(super) struct Open {
    lead: Kind,
    /// Ticks a second of the track that is cut by.
    rate_hz: u32,
    start: MediaTime,
    first_pts: MediaTime,
    wall: WallTime,
    video: Vec<Frame>,
    audio: Vec<Sound>,
    bytes: usize,
    refused: bool,
}

/// What a segment is, once it is closed.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) runs: Vec<Run>,
    pub(super) duration: Duration,
    pub(super) wall: WallTime,
    pub(super) reference: ReferenceTime,
    /// Pictures a second.
    pub(super) frame_rate: Option<f64>,
}

impl Open {
    /// A segment that begins at this frame (which is still to be pushed) and is cut by frames of its kind.
    pub(super) fn new(first: &Frame, rate_hz: u32) -> Self {
        Self {
            lead: first.kind(),
            rate_hz,
            start: first.dts,
            first_pts: first.pts,
            wall: first.wall,
            video: Vec::new(),
            audio: Vec::new(),
            bytes: 0,
            refused: false,
        }
    }

    pub(super) fn lead(&self) -> Kind {
        self.lead
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn frames(&self) -> u64 {
        (self.video.len() + self.audio.len()) as u64
    }

    pub(super) fn has_sound(&self) -> bool {
        !self.audio.is_empty()
    }

    /// Sound came whose clock has jumped.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// Decoding time of the last picture.
    pub(super) fn video_end(&self) -> Option<MediaTime> {
        self.video.last().map(|frame| frame.dts)
    }

    /// Microseconds from the start to `dts`, on the clock of the track that is cut by. `None` before the start.
    pub(super) fn elapsed_us(&self, dts: MediaTime) -> Option<i64> {
        (dts >= self.start).then(|| MediaTime(dts - self.start).as_micros(self.rate_hz))
    }

    /// Whether `dts` cannot follow the last frame of the track that is cut by: not later (sound that is stamped a little
    /// early is only jitter), or much later.
    pub(super) fn breaks(&self, dts: MediaTime, gap_us_max: i64) -> bool {
        let (last, back) = match self.lead {
            Kind::Video => (self.video_end(), 0),
            Kind::Audio => (self.audio.last().map(|sound| sound.frame.dts), -SOUND_BACK_MS * 1_000),
        };
        let off = last.map(|last| MediaTime(dts - last).as_micros(self.rate_hz));
        off.is_some_and(|us| us <= back || us > gap_us_max)
    }

    pub(super) fn push_video(&mut self, frame: Frame) {
        self.bytes = self.bytes.saturating_add(frame.payload.len());
        self.video.push(frame);
    }

    /// Takes sound; false where it has no place.
    pub(super) fn push_audio(&mut self, frame: &Frame, rate_hz: u32, clock: &mut SoundClock) -> bool {
        let length = sound_length(frame);
        let place = clock.place(frame.dts.0, length, rate_hz);
        self.refused |= place == Place::Elsewhere;
        let Place::At(time) = place else { return false };
        self.bytes = self.bytes.saturating_add(frame.payload.len());
        self.audio.push(Sound { time, length, frame: frame.clone() });
        true
    }

    /// The runs of these tracks, in this order. `end` is where the next segment begins, where that is known.
    pub(super) fn close(&self, tracks: &[&TrackInfo], end: Option<MediaTime>) -> Closed {
        let mut lead = (1, 0i64);
        let mut runs = Vec::with_capacity(tracks.len());
        for (index, track) in tracks.iter().enumerate() {
            let track_id = wire::mp4::track_id(index);
            let lead_end = end.filter(|_| track.kind() == self.lead).map(|end| end.0);
            let run = match track.kind() {
                Kind::Video => self.video_run(track_id, track.codec, lead_end),
                Kind::Audio => self.audio_run(track_id, track.codec),
            };
            if track.kind() == self.lead {
                lead = (track_id, run.samples.iter().map(|sample| i64::from(sample.duration)).sum());
            }
            runs.push(run);
        }
        let (track_id, ticks) = lead;
        let duration = Duration::from_micros(MediaTime(ticks).as_micros(self.rate_hz).max(0).cast_unsigned());
        let media_time = u64::try_from(self.first_pts.0).unwrap_or(0);
        Closed {
            runs,
            duration,
            wall: self.wall,
            reference: ReferenceTime { track_id, media_time, wall: self.wall },
            frame_rate: (!self.video.is_empty() && !duration.is_zero())
                .then(|| self.video.len() as f64 / duration.as_secs_f64()),
        }
    }

    fn video_run(&self, track_id: u32, codec: Codec, end: Option<i64>) -> Run {
        let lone = LONE_PICTURE_MS * i64::from(self.rate_hz) / 1_000;
        let mut length = lone;
        let mut samples = Vec::with_capacity(self.video.len());
        for (at, frame) in self.video.iter().enumerate() {
            let next = self.video.get(at + 1).map(|next| next.dts.0).or(end);
            // The last of a segment that nothing follows lasts as long as the one before.
            length = next.map_or(length, |next| next.saturating_sub(frame.dts.0));
            samples.push(Sample {
                duration: ticks(length),
                composition_offset: (frame.pts - frame.dts).clamp(i32::MIN.into(), i32::MAX.into()) as i32,
                key: frame.flags.key,
                discardable: frame.flags.discardable,
                payload: frame.payload.clone(),
            });
        }
        Run { track_id, codec, decode_time: self.video.first().map_or(0, |frame| unsigned(frame.dts.0)), samples }
    }

    fn audio_run(&self, track_id: u32, codec: Codec) -> Run {
        let mut samples = Vec::with_capacity(self.audio.len());
        for (at, sound) in self.audio.iter().enumerate() {
            let next = self.audio.get(at + 1).map(|next| next.time);
            samples.push(Sample {
                duration: ticks(next.map_or(sound.length, |next| next.saturating_sub(sound.time))),
                composition_offset: 0,
                key: true,
                discardable: false,
                payload: sound.frame.payload.clone(),
            });
        }
        Run { track_id, codec, decode_time: self.audio.first().map_or(0, |sound| unsigned(sound.time)), samples }
    }
}

/// What a frame of sound lasts, in ticks of its track.
pub(super) fn sound_length(frame: &Frame) -> i64 {
    let packet = frame.payload.units.first().filter(|_| frame.codec == Codec::Opus);
    let opus = packet.and_then(|packet| media::opus::duration_samples(packet));
    i64::from(opus.unwrap_or(if frame.codec == Codec::Opus { 960 } else { media::aac::SAMPLES_PER_FRAME }))
}

fn ticks(length: i64) -> u32 {
    u32::try_from(length.max(0)).unwrap_or(u32::MAX)
}

/// MP4 has no times below 0; a stream may begin a few ticks below.
fn unsigned(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}
