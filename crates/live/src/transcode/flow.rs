//! Sound between a decoder and an encoder: where it is on the stream's clock, what to do where stamps and samples
//! disagree, and the stamps of what comes out.

use bytes::Bytes;
use codec::Resampler;
use media::{Codec, Flags, Frame, MediaTime, Payload, WallTime};

use super::{OUT_HZ, TranscodeError};

/// A disagreement of stamps and samples longer than this is a new beginning: 500 ms.
const JUMP_TICKS: f64 = OUT_HZ as f64 * 0.5;
/// Sound that comes so much too early is dropped, frame by frame, until the stamps have passed it: 60 ms. What is
/// below is jitter of the stamps.
const OVERLAP_TICKS: f64 = OUT_HZ as f64 * 0.06;
/// Stamps so many frames past the samples mean that sound is missing. The half keeps the burst of an encoder that
/// stamps two frames alike out of it.
const GAP_FRAMES: f64 = 1.5;
/// The same where the source or the decoder said that something is missing.
const GAP_FRAMES_TOLD: f64 = 0.5;
/// Seconds over which the disagreement is averaged: takes the jitter of millisecond stamps out.
const SMOOTHING_S: f64 = 2.0;
/// Seconds in which the stretch would make good for a disagreement. Four times the smoothing, so that it does not
/// overshoot; a drift of 200 ppm leaves 1.6 ms.
const CORRECTION_S: f64 = 4.0 * SMOOTHING_S;

/// What a [`Flow`] lies between.
#[derive(Debug)]
pub(super) struct Config {
    /// Rate of the decoded sound, which is also the clock of the input's stamps, in Hz.
    pub(super) from_hz: u32,
    /// Channels throughout.
    pub(super) channels: u8,
    /// Samples of each channel that the encoder takes at once.
    pub(super) frame: usize,
    /// Samples at 48 kHz by which decoded sound is older than its stamp.
    pub(super) delay_in: u32,
    /// Samples at 48 kHz by which what the encoder makes is older than what it is given.
    pub(super) delay_out: u32,
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Admission {
    /// Its sound follows what came before.
    Take,
    /// First, so many samples (at the input's rate) of something else: sound is missing.
    Gap(usize),
    /// Its sound lies where sound already is: pass it over.
    Drop,
    /// Its sound has nothing to do with what came before: the encoder begins anew.
    Restart,
}

/// Sound on its way.
#[derive(Debug)]
pub(super) struct Flow {
    resampler: Resampler,
    from_hz: u32,
    frame: i64,
    delay_in: f64,
    delay_out: i64,
    /// Samples pushed since the anchor, of each channel; `None` before the first frame.
    pushed: Option<usize>,
    channels: usize,
    /// Time of the first sample of the next frame that goes to the encoder, in ticks.
    next: i64,
    /// Nothing that begins before this is let out: it would hold the encoder's run-up.
    earliest: i64,
    /// Averaged disagreement in ticks: positive where the sound belongs later than it is.
    error: f64,
    /// Wall time less media time, in microseconds.
    wall_offset_us: i64,
    restarted: bool,
    missing: bool,
    sound: Vec<f32>,
}

impl Flow {
    pub(super) fn new(config: &Config) -> Result<Self, TranscodeError> {
        Ok(Self {
            resampler: Resampler::new(config.from_hz, OUT_HZ, config.channels, config.frame)?,
            from_hz: config.from_hz,
            frame: config.frame as i64,
            delay_in: f64::from(config.delay_in),
            delay_out: i64::from(config.delay_out),
            pushed: None,
            channels: usize::from(config.channels.max(1)),
            next: 0,
            earliest: 0,
            error: 0.0,
            wall_offset_us: 0,
            restarted: false,
            missing: false,
            sound: Vec::new(),
        })
    }

    /// The next frame will tell where the sound goes on.
    pub(super) fn note_missing(&mut self) {
        self.missing = true;
    }

    /// Decides about a frame of `samples` samples a channel, from its stamp.
    pub(super) fn admit(&mut self, frame: &Frame, samples: usize) -> Admission {
        self.wall_offset_us = frame.wall.0.saturating_sub(frame.pts.as_micros(self.from_hz));
        let time = frame.pts.0 as f64 * self.ticks_per_sample() - self.delay_in;
        let length = samples as f64 * self.ticks_per_sample();
        let told = std::mem::take(&mut self.missing) || frame.flags.discontinuity;
        let Some(pushed) = self.pushed else {
            self.anchor(time, frame.pts);
            return Admission::Take;
        };
        let head = time - (pushed as f64 - self.resampler.position()) * self.ticks_per_sample();
        let error = head - self.next as f64;
        if error.abs() > JUMP_TICKS {
            self.anchor(time, frame.pts);
            self.restarted = true;
            return Admission::Restart;
        }
        if error > length * if told { GAP_FRAMES_TOLD } else { GAP_FRAMES } {
            return Admission::Gap((error / self.ticks_per_sample()).round() as usize);
        }
        if error < -OVERLAP_TICKS {
            return Admission::Drop;
        }
        self.steer(error, length);
        Admission::Take
    }

    /// Takes decoded sound, interleaved.
    pub(super) fn push(&mut self, sound: &[f32]) -> Result<(), TranscodeError> {
        self.resampler.push(sound)?;
        self.count(sound.len() / self.channels);
        Ok(())
    }

    /// Takes so many samples of silence on each channel.
    pub(super) fn push_silence(&mut self, samples: usize) -> Result<(), TranscodeError> {
        self.resampler.push_silence(samples)?;
        self.count(samples);
        Ok(())
    }

    /// Encodes all frames that are whole and appends them, stamped.
    pub(super) fn drain(
        &mut self,
        codec: Codec,
        out: &mut Vec<Frame>,
        mut encode: impl FnMut(&[f32]) -> Result<Bytes, TranscodeError>,
    ) -> Result<(), TranscodeError> {
        while self.resampler.pull(&mut self.sound)? {
            let pts = MediaTime(self.next.saturating_sub(self.delay_out));
            self.next = self.next.saturating_add(self.frame);
            let coded = encode(&self.sound)?;
            if pts.0 < self.earliest {
                continue;
            }
            let discontinuity = std::mem::take(&mut self.restarted);
            out.push(Frame {
                codec,
                flags: Flags { key: true, discontinuity, ..Flags::default() },
                dts: pts,
                pts,
                wall: WallTime(pts.as_micros(OUT_HZ).saturating_add(self.wall_offset_us)),
                payload: Payload::single(coded),
            });
        }
        Ok(())
    }

    /// Begins to count at a frame stamped `pts` whose first sample belongs to `time`.
    fn anchor(&mut self, time: f64, pts: MediaTime) {
        self.resampler.reset();
        self.pushed = Some(0);
        self.next = (time + self.resampler.position() * self.ticks_per_sample()).round() as i64;
        self.earliest = pts.rescale(self.from_hz, OUT_HZ).0;
        self.error = 0.0;
    }

    /// Follows the stamps slowly.
    fn steer(&mut self, error: f64, length: f64) {
        let ticks = f64::from(OUT_HZ);
        let weight = (length / ticks / SMOOTHING_S).min(1.0);
        self.error += (error - self.error) * weight;
        // A stretch that the library refuses leaves the old one in force, and the next frame tries again.
        let _ = self.resampler.set_stretch(self.error / (ticks * CORRECTION_S));
    }

    fn count(&mut self, samples: usize) {
        if let Some(pushed) = &mut self.pushed {
            *pushed = pushed.saturating_add(samples);
        }
    }

    fn ticks_per_sample(&self) -> f64 {
        f64::from(OUT_HZ) / f64::from(self.from_hz)
    }
}

#[cfg(test)]
mod tests;
