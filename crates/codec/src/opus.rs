//! Opus (RFC 6716) at 48 kHz, by libopus.

use bytes::Bytes;
use thiserror::Error;

/// The sampling rate at both ends, in Hz (RFC 7587 section 4.1).
pub const SAMPLE_RATE_HZ: u32 = 48_000;
/// Samples of each channel in a packet that we make: 20 ms.
pub const SAMPLES_PER_PACKET: usize = 960;
/// Samples of each channel in a packet, at most: 120 ms (RFC 6716 section 3.2.5).
pub const SAMPLES_MAX: usize = 5_760;
/// Lost sound is made up for in steps of this many samples: 2.5 ms.
pub const CONCEAL_STEP: usize = 120;

/// Bytes of a packet that we make, at most: below what one RTP packet carries on any path.
const PACKET_BYTES_MAX: usize = 1_200;
/// The trade of CPU for quality, 0 to 10: above 5 libopus gains little for music at the rates that we use.
const COMPLEXITY: i32 = 5;
/// Loss in percent that in-band FEC is tuned for.
const FEC_LOSS_PERCENT: i32 = 10;

/// Why Opus cannot be coded.
#[derive(Debug, Error)]
pub enum OpusError {
    /// Neither mono nor stereo.
    #[error("Opus tracks have 1 or 2 channels here, not {0}")]
    Channels(u8),
    /// Samples handed in are no whole packet.
    #[error("an Opus packet takes {expected} samples, and {got} were handed in")]
    Length {
        /// Samples of all channels that a packet takes.
        expected: usize,
        /// Samples of all channels that came.
        got: usize,
    },
    /// What should be a packet begins like none.
    #[error("the Opus packet is damaged")]
    Damaged,
    /// libopus refused: the packet is damaged, or memory is short.
    #[error(transparent)]
    Codec(#[from] opus::Error),
}

/// What an [`Encoder`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// 1 or 2.
    pub channels: u8,
    /// Bits a second, 6,000 to 510,000.
    pub bitrate_bps: i32,
    /// Carry a coarse copy of the last packet in each (RFC 6716 section 2.1.7). It works on speech only.
    pub fec: bool,
}

/// Makes packets of 20 ms.
pub struct Encoder {
    inner: opus::Encoder,
    channels: usize,
    packet: [u8; PACKET_BYTES_MAX],
}

impl Encoder {
    /// An encoder.
    ///
    /// # Errors
    /// Where libopus refuses the configuration.
    pub fn new(config: &EncoderConfig) -> Result<Self, OpusError> {
        let mut inner = opus::Encoder::new(SAMPLE_RATE_HZ, channels(config.channels)?, opus::Application::Audio)?;
        inner.set_bitrate(opus::Bitrate::Bits(config.bitrate_bps))?;
        inner.set_complexity(COMPLEXITY)?;
        inner.set_inband_fec(config.fec)?;
        inner.set_packet_loss_perc(if config.fec { FEC_LOSS_PERCENT } else { 0 })?;
        Ok(Self { inner, channels: usize::from(config.channels), packet: [0; PACKET_BYTES_MAX] })
    }

    /// Samples of each channel by which decoded sound lags what was handed in.
    ///
    /// # Errors
    /// Where libopus does not say.
    pub fn delay_samples(&mut self) -> Result<u32, OpusError> {
        Ok(u32::try_from(self.inner.get_lookahead()?).unwrap_or(0))
    }

    /// Codes 960 samples of each channel, interleaved, full scale at +-1.
    ///
    /// # Errors
    /// Where the length is another, or libopus fails.
    pub fn encode(&mut self, samples: &[f32]) -> Result<Bytes, OpusError> {
        let expected = SAMPLES_PER_PACKET * self.channels;
        if samples.len() != expected {
            return Err(OpusError::Length { expected, got: samples.len() });
        }
        let length = self.inner.encode_float(samples, &mut self.packet)?;
        Ok(Bytes::copy_from_slice(self.packet.get(..length).unwrap_or_default()))
    }

    /// Forgets the sound so far.
    ///
    /// # Errors
    /// Where libopus fails.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        Ok(self.inner.reset_state()?)
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("channels", &self.channels).finish_non_exhaustive()
    }
}

/// Turns packets into sound.
pub struct Decoder {
    inner: opus::Decoder,
    channels: usize,
    sound: Vec<f32>,
}

impl Decoder {
    /// A decoder whose output has 1 or 2 channels, whatever the packets have.
    ///
    /// # Errors
    /// Where the channels are others.
    pub fn new(channel_count: u8) -> Result<Self, OpusError> {
        let inner = opus::Decoder::new(SAMPLE_RATE_HZ, channels(channel_count)?)?;
        let channels = usize::from(channel_count);
        Ok(Self { inner, channels, sound: vec![0.0; SAMPLES_MAX * channels] })
    }

    /// Decodes a packet into interleaved samples, full scale at +-1.
    ///
    /// # Errors
    /// Where the packet is damaged. The decoder stays usable.
    pub fn decode(&mut self, packet: &[u8]) -> Result<&[f32], OpusError> {
        // libopus takes an empty packet for a lost one; `conceal` is the door for those.
        if media::opus::duration_samples(packet).is_none() {
            return Err(OpusError::Damaged);
        }
        let samples = self.inner.decode_float(packet, &mut self.sound, false)?;
        Ok(self.sound.get(..samples * self.channels).unwrap_or_default())
    }

    /// Makes up `samples` of each channel for lost packets; it is cut to whole [`CONCEAL_STEP`]s and [`SAMPLES_MAX`].
    ///
    /// # Errors
    /// Where libopus fails.
    pub fn conceal(&mut self, samples: usize) -> Result<&[f32], OpusError> {
        let samples = samples.min(SAMPLES_MAX) / CONCEAL_STEP * CONCEAL_STEP;
        if samples == 0 {
            return Ok(&[]);
        }
        let sound = self.sound.get_mut(..samples * self.channels).unwrap_or_default();
        let made = self.inner.decode_float(&[], sound, false)?;
        Ok(self.sound.get(..made * self.channels).unwrap_or_default())
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("channels", &self.channels).finish_non_exhaustive()
    }
}

fn channels(count: u8) -> Result<opus::Channels, OpusError> {
    match count {
        1 => Ok(opus::Channels::Mono),
        2 => Ok(opus::Channels::Stereo),
        other => Err(OpusError::Channels(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    fn tone(channels: usize, samples: usize) -> Vec<f32> {
        let one = |at: usize| (TAU * 997.0 * at as f64 / 48_000.0).sin() as f32 * 0.5;
        (0..samples * channels).map(|at| one(at / channels)).collect()
    }

    fn encoder(channels: u8, fec: bool) -> Encoder {
        Encoder::new(&EncoderConfig { channels, bitrate_bps: 64_000 * i32::from(channels), fec }).unwrap()
    }

    #[test]
    fn a_tone_survives_and_its_delay_is_known() {
        for channels in [1u8, 2] {
            let count = usize::from(channels);
            let (mut encoder, mut decoder) = (encoder(channels, false), Decoder::new(channels).unwrap());
            let delay = encoder.delay_samples().unwrap() as usize;
            assert_eq!(delay, 312);
            let sound = tone(count, 50 * SAMPLES_PER_PACKET);
            let (mut signal, mut noise) = (0.0f64, 0.0f64);
            for (at, chunk) in sound.chunks_exact(SAMPLES_PER_PACKET * count).enumerate() {
                let packet = encoder.encode(chunk).unwrap();
                assert_eq!(media::opus::duration_samples(&packet), Some(960));
                let back = decoder.decode(&packet).unwrap();
                if at < 5 {
                    continue;
                }
                for (offset, &sample) in back.iter().enumerate() {
                    let wanted = f64::from(sound[(at * SAMPLES_PER_PACKET - delay) * count + offset]);
                    signal += wanted * wanted;
                    noise += (f64::from(sample) - wanted).powi(2);
                }
            }
            let snr = 10.0 * (signal / noise).log10();
            assert!(snr > 20.0, "{channels} channels: {snr:.1} dB");
        }
    }

    #[test]
    fn a_lost_packet_is_made_up_for() {
        let (mut encoder, mut decoder) = (encoder(1, true), Decoder::new(1).unwrap());
        for chunk in tone(1, 20 * SAMPLES_PER_PACKET).chunks_exact(SAMPLES_PER_PACKET) {
            decoder.decode(&encoder.encode(chunk).unwrap()).unwrap();
        }
        let made = decoder.conceal(1_000).unwrap();
        assert_eq!(made.len(), 960, "whole steps of 2.5 ms");
        let energy: f32 = made.iter().take(480).map(|sample| sample * sample).sum();
        assert!(energy > 5.0, "the tone goes on: {energy}");
        assert_eq!(decoder.conceal(0).unwrap().len(), 0);
        assert_eq!(decoder.conceal(usize::MAX).unwrap().len(), SAMPLES_MAX);
    }

    #[test]
    fn mono_packets_fill_both_ears() {
        let (mut encoder, mut decoder) = (encoder(1, false), Decoder::new(2).unwrap());
        let packet = encoder.encode(&tone(1, SAMPLES_PER_PACKET)).unwrap();
        let sound = decoder.decode(&packet).unwrap();
        assert_eq!(sound.len(), 2 * SAMPLES_PER_PACKET);
        assert!(sound.chunks(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn says_what_it_cannot_do() {
        assert!(matches!(Decoder::new(3), Err(OpusError::Channels(3))));
        assert!(matches!(encoder(2, false).encode(&[0.0; 960]), Err(OpusError::Length { .. })));
        assert!(Decoder::new(1).unwrap().decode(&[]).is_err(), "an empty packet is not a lost one");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new(2).unwrap();
            let _ = decoder.decode(&bytes);
            let _ = decoder.decode(&bytes);
        }
    }
}
