//! AAC to Opus and Opus to AAC, frame by frame, on the stream's clock.
//!
//! Output times come from counting samples, not from the stamps of the input: packets follow each other without a gap
//! or an overlap of a single tick, as receivers of RTP expect. The stamps only steer: when they drift from the count,
//! the sound is stretched or squeezed by half a percent at most until it is where they say. The delays of decoder,
//! filter and encoder are subtracted, so that sound stays with its picture.
//!
//! What does not live here: threads (that is the server's audio pool) and the codecs (that is `codec`).

mod flow;

use bytes::Bytes;
use codec::{ResampleError, aac, opus};
use media::{Codec, Frame, TrackInfo};
use thiserror::Error;

use flow::{Admission, Flow};

/// Clock of what comes out, in Hz: of Opus because RTP has no other, of AAC because it needs no second resampling.
const OUT_HZ: u32 = 48_000;
/// Bits a second of each channel that is made: at this rate neither codec is heard.
const BITRATE_PER_CHANNEL_BPS: u32 = 64_000;
/// Samples at 48 kHz by which sound that libopus decoded lags what its encoder was given. Senders of RTP stamp a packet
/// with the time of its first sample before the encoder (RFC 7587 section 4.1), so this is added to every stamp.
const OPUS_DELAY_SAMPLES: u32 = 312;
/// Lost sound is made up for so long, in samples at 48 kHz; then silence is better. 60 ms.
const CONCEAL_SAMPLES_MAX: usize = 2_880;

/// Why a frame, or a track, cannot be transcoded.
#[derive(Debug, Error)]
pub enum TranscodeError {
    /// The track or frame is of a coding that has no way into the other.
    #[error("only AAC can be made Opus here, and only Opus AAC")]
    Unsupported,
    /// The AAC codec refused: a damaged frame from the source, or a configuration that it does not know.
    #[error(transparent)]
    Aac(#[from] aac::AacError),
    /// The Opus codec refused: a damaged packet from the source.
    #[error(transparent)]
    Opus(#[from] opus::OpusError),
    /// The resampler failed.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

/// Makes Opus of AAC, in packets of 20 ms, with the channels of the source.
#[derive(Debug)]
pub struct AacToOpus {
    decoder: aac::Decoder,
    encoder: opus::Encoder,
    flow: Flow,
}

impl AacToOpus {
    /// For a source of this configuration.
    ///
    /// # Errors
    /// Where the source is not AAC-LC (or HE-AAC, whose core is taken) in mono or stereo.
    pub fn new(config: &media::aac::Config) -> Result<Self, TranscodeError> {
        let channels = config.channels;
        let decoder = aac::Decoder::new(config)?;
        let bitrate_bps = (BITRATE_PER_CHANNEL_BPS * u32::from(channels)).cast_signed();
        let mut encoder = opus::Encoder::new(&opus::EncoderConfig { channels, bitrate_bps, fec: false })?;
        let flow = Flow::new(&flow::Config {
            from_hz: config.sample_rate_hz,
            channels,
            frame: opus::SAMPLES_PER_PACKET,
            delay_in: 0,
            delay_out: encoder.delay_samples()?,
        })?;
        Ok(Self { decoder, encoder, flow })
    }

    /// What comes out.
    pub fn track(&self) -> TrackInfo {
        TrackInfo::opus(self.decoder.channels())
    }

    /// Takes a frame in and appends what it completes to `out`: none, one or two packets, and up to 25 more where a
    /// gap was filled with silence.
    ///
    /// # Errors
    /// Where the frame is damaged: nothing of it comes out, and the frames after it are taken as ever.
    pub fn push(&mut self, frame: &Frame, out: &mut Vec<Frame>) -> Result<(), TranscodeError> {
        let unit = single(frame, Codec::Aac)?;
        let admission = self.flow.admit(frame, aac::SAMPLES_PER_UNIT);
        match admission {
            Admission::Restart => self.encoder.reset()?,
            Admission::Gap(samples) => self.flow.push_silence(samples)?,
            Admission::Take | Admission::Drop => {}
        }
        // Decoded even when it is dropped: the next unit overlaps with it.
        let sound = self.decoder.decode(unit).inspect_err(|_| self.flow.note_missing())?;
        if !matches!(admission, Admission::Drop) {
            self.flow.push(sound)?;
        }
        let encoder = &mut self.encoder;
        self.flow.drain(Codec::Opus, out, |sound| Ok(encoder.encode(sound)?))
    }
}

/// Makes AAC-LC of Opus, at 48 kHz.
#[derive(Debug)]
pub struct OpusToAac {
    decoder: opus::Decoder,
    encoder: aac::Encoder,
    config: aac::EncoderConfig,
    flow: Flow,
}

impl OpusToAac {
    /// Into AAC with 1 or 2 channels, whatever the packets have.
    ///
    /// # Errors
    /// Where the channels are others.
    pub fn new(channels: u8) -> Result<Self, TranscodeError> {
        let decoder = opus::Decoder::new(channels)?;
        let bitrate_bps = BITRATE_PER_CHANNEL_BPS * u32::from(channels);
        let config = aac::EncoderConfig { sample_rate_hz: OUT_HZ, channels, bitrate_bps };
        let flow = Flow::new(&flow::Config {
            from_hz: opus::SAMPLE_RATE_HZ,
            channels,
            frame: aac::SAMPLES_PER_UNIT,
            delay_in: OPUS_DELAY_SAMPLES,
            delay_out: aac::DELAY_SAMPLES,
        })?;
        Ok(Self { decoder, encoder: aac::Encoder::new(&config)?, config, flow })
    }

    /// What comes out.
    pub fn track(&self) -> TrackInfo {
        TrackInfo::aac(self.encoder.config().clone())
    }

    /// Takes a packet in and appends the access units that it completes to `out`: up to six for one packet of 120 ms,
    /// and up to 24 more where a gap was filled.
    ///
    /// # Errors
    /// Where the packet is damaged: nothing of it comes out, and the packets after it are taken as ever.
    pub fn push(&mut self, frame: &Frame, out: &mut Vec<Frame>) -> Result<(), TranscodeError> {
        let packet = single(frame, Codec::Opus)?;
        let Some(samples) = media::opus::duration_samples(packet) else {
            self.flow.note_missing();
            return Err(opus::OpusError::Damaged.into());
        };
        let admission = self.flow.admit(frame, samples as usize);
        match admission {
            // A new encoder: the library has no way to forget its sound.
            Admission::Restart => self.encoder = aac::Encoder::new(&self.config)?,
            Admission::Gap(samples) => self.fill(samples)?,
            Admission::Take | Admission::Drop => {}
        }
        let sound = self.decoder.decode(packet).inspect_err(|_| self.flow.note_missing())?;
        if !matches!(admission, Admission::Drop) {
            self.flow.push(sound)?;
        }
        let encoder = &mut self.encoder;
        self.flow.drain(Codec::Aac, out, |sound| Ok(encoder.encode(sound)?))
    }

    /// Puts sound into a gap: first what the decoder makes up, then silence.
    fn fill(&mut self, samples: usize) -> Result<(), TranscodeError> {
        let made = self.decoder.conceal(samples.min(CONCEAL_SAMPLES_MAX))?;
        self.flow.push(made)?;
        let silence = samples.saturating_sub(made.len() / usize::from(self.config.channels));
        self.flow.push_silence(silence)
    }
}

/// The one unit of a frame that is of this coding.
fn single(frame: &Frame, codec: Codec) -> Result<&Bytes, TranscodeError> {
    static EMPTY: Bytes = Bytes::new();
    if frame.codec != codec {
        return Err(TranscodeError::Unsupported);
    }
    Ok(frame.payload.units.first().unwrap_or(&EMPTY))
}

#[cfg(test)]
mod tests;
