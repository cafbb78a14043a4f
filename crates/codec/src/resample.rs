//! From one sampling rate to another, in whole codec frames, with an account of where each sample came from.

use rubato::{
    Adjustable, Async, FixedAsync, ResampleError as RubatoError, Resampler as _, ResamplerConstructionError,
    SincInterpolationParameters, SincInterpolationType, WindowFunction, audioadapter_buffers::SizeError,
    audioadapter_buffers::direct::InterleavedSlice,
};
use thiserror::Error;

/// Points of the filter. 64 keep everything below 19 kHz of sound at 44.1 kHz; more cost CPU and delay.
const FILTER_POINTS: usize = 64;
/// Positions between two input samples that the filter is tabulated for.
const FILTER_PHASES: usize = 128;
/// Where the library lies in the input one step before its first output sample: it reaches back by half the filter, less
/// one tabulated phase. A test holds it.
const START: f64 = 1.0 / FILTER_PHASES as f64 - FILTER_POINTS as f64 / 2.0;
/// Sound may be stretched or squeezed by this part, so that it follows a drifting clock: 0.5 %, a twelfth of a semitone.
const STRETCH_MAX: f64 = 0.005;
/// Seconds of sound that may wait, at most.
const WAITING_S_MAX: usize = 2;

/// Why sound cannot be brought to another rate.
#[derive(Debug, Error)]
pub enum ResampleError {
    /// Rates, channels or frame length that are 0 or absurd.
    #[error("sound of {from_hz} Hz and {channels} channels cannot be brought to {to_hz} Hz")]
    Format {
        /// Rate of the input.
        from_hz: u32,
        /// Rate of the output.
        to_hz: u32,
        /// Channels of both.
        channels: u8,
    },
    /// More was pushed than is pulled.
    #[error("more than {WAITING_S_MAX} s of sound wait to be resampled")]
    Overflow,
    /// The library refused to be made so.
    #[error(transparent)]
    Construction(#[from] ResamplerConstructionError),
    /// The library failed.
    #[error(transparent)]
    Library(#[from] RubatoError),
    /// A buffer is shorter than it must be: a mistake of ours.
    #[error(transparent)]
    Size(#[from] SizeError),
}

/// Takes interleaved sound in any portions and gives it out in frames of one length.
#[derive(Debug)]
pub struct Resampler {
    inner: Async<f32>,
    from_hz: u32,
    channels: usize,
    frame: usize,
    /// Interleaved input that is not used up, from `taken` on.
    waiting: Vec<f32>,
    /// Where the last output sample lies in the input, in samples since the start.
    last: f64,
}

impl Resampler {
    /// From `from_hz` to `to_hz`, in frames of `frame` samples of each channel.
    ///
    /// # Errors
    /// Where a rate is outside 7,350 to 96,000 Hz, or channels or frame are 0 or absurd.
    pub fn new(from_hz: u32, to_hz: u32, channels: u8, frame: usize) -> Result<Self, ResampleError> {
        let rates = 7_350..=96_000;
        if !rates.contains(&from_hz) || !rates.contains(&to_hz) || !(1..=8).contains(&channels) {
            return Err(ResampleError::Format { from_hz, to_hz, channels });
        }
        let ratio = f64::from(to_hz) / f64::from(from_hz);
        let parameters = SincInterpolationParameters {
            sinc_len: FILTER_POINTS,
            f_cutoff: None,
            oversampling_factor: FILTER_PHASES,
            interpolation: SincInterpolationType::Quadratic,
            window: WindowFunction::Blackman,
        };
        let channels = usize::from(channels);
        let inner = Async::new_sinc(ratio, 1.0 + 2.0 * STRETCH_MAX, &parameters, frame, channels, FixedAsync::Output)?;
        Ok(Self { inner, from_hz, channels, frame, waiting: Vec::new(), last: START })
    }

    /// Where the first sample of the next frame lies in the input, in samples of the input since the start (or since
    /// [`Self::reset`]). It begins below 0: the filter reaches back before the first sample.
    pub fn position(&self) -> f64 {
        self.last + 1.0 / self.inner.resample_ratio()
    }

    /// Stretches what comes out from now on by `1 + part`: positive makes more samples of the same sound. Cut to
    /// +-[`STRETCH_MAX`].
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn set_stretch(&mut self, part: f64) -> Result<(), ResampleError> {
        let relative = 1.0 + part.clamp(-STRETCH_MAX, STRETCH_MAX);
        self.inner.set_resample_ratio_relative(relative, false)?;
        Ok(())
    }

    /// Takes interleaved sound in.
    ///
    /// # Errors
    /// Where more than 2 s wait; nothing is taken then.
    pub fn push(&mut self, sound: &[f32]) -> Result<(), ResampleError> {
        self.reserve(sound.len())?;
        self.waiting.extend_from_slice(sound);
        Ok(())
    }

    /// Takes `samples` of silence in, on each channel.
    ///
    /// # Errors
    /// Where more than 2 s wait; nothing is taken then.
    pub fn push_silence(&mut self, samples: usize) -> Result<(), ResampleError> {
        let length = samples.saturating_mul(self.channels);
        self.reserve(length)?;
        self.waiting.resize(self.waiting.len() + length, 0.0);
        Ok(())
    }

    /// Replaces what `out` holds by the next frame, interleaved. False, and `out` empty, where input is lacking.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn pull(&mut self, out: &mut Vec<f32>) -> Result<bool, ResampleError> {
        out.clear();
        let needed = self.inner.input_frames_next();
        if self.waiting.len() < needed * self.channels {
            return Ok(false);
        }
        out.resize(self.frame * self.channels, 0.0);
        let input = InterleavedSlice::new(self.waiting.as_slice(), self.channels, needed)?;
        let mut output = InterleavedSlice::new_mut(out.as_mut_slice(), self.channels, self.frame)?;
        let step = 1.0 / self.inner.resample_ratio();
        let (used, _) = self.inner.process_into_buffer(&input, &mut output, None)?;
        self.waiting.drain(..(used * self.channels).min(self.waiting.len()));
        self.last += step * self.frame as f64;
        Ok(true)
    }

    /// Forgets all sound, and counts positions anew.
    pub fn reset(&mut self) {
        self.inner.reset();
        self.waiting.clear();
        self.last = START;
    }

    fn reserve(&self, length: usize) -> Result<(), ResampleError> {
        let most = WAITING_S_MAX * self.from_hz as usize * self.channels;
        if self.waiting.len().saturating_add(length) > most { Err(ResampleError::Overflow) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
