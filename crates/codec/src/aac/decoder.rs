//! AAC-LC decoding by symphonia.

use std::panic::{AssertUnwindSafe, catch_unwind};

use media::{aac::Config, bits::BitReader};
use symphonia_codec_aac::AacDecoder;
use symphonia_core::{
    codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_AAC},
    packet::PacketRef,
    units::{Duration, Timestamp},
};

use super::{AacError, SAMPLES_PER_UNIT};

/// Bytes of an access unit, at most: 6,144 bits a channel (ISO/IEC 14496-3 section 4.5.3.2), twice over.
const UNIT_BYTES_MAX: usize = 3_072;
/// `id_syn_ele` of an access unit that ends before any sound.
const ID_END: u8 = 7;

/// Turns raw access units into sound, of one or two channels. Sound comes without delay: the first unit gives the
/// first samples, faded in.
///
/// HE-AAC is decoded as its core: at half the rate that it would play at and without the upper half of the band, and
/// HE-AAC v2 in mono.
pub struct Decoder {
    inner: AacDecoder,
    config: Config,
    sound: Vec<f32>,
}

impl Decoder {
    /// A decoder.
    ///
    /// # Errors
    /// Where the object type, the rate, the channels or the length of units is none that can be decoded.
    pub fn new(config: &Config) -> Result<Self, AacError> {
        if !matches!(config.object_type, 2 | 5 | 29) {
            return Err(AacError::ObjectType(config.object_type));
        }
        if !(1..=2).contains(&config.channels) {
            return Err(AacError::Channels(config.channels));
        }
        if has_short_units(config) {
            return Err(AacError::ShortUnits);
        }
        let inner = open(config)?;
        Ok(Self { inner, config: config.clone(), sound: Vec::with_capacity(SAMPLES_PER_UNIT * 2) })
    }

    /// Channels in what is decoded, 1 or 2.
    pub fn channels(&self) -> u8 {
        self.config.channels
    }

    /// Decodes one access unit into 1,024 samples of each channel, interleaved, full scale at +-1.
    ///
    /// # Errors
    /// Where the unit is damaged or empty. The decoder stays usable.
    pub fn decode(&mut self, unit: &[u8]) -> Result<&[f32], AacError> {
        // A unit without sound would be answered with the samples of the last one.
        let silent = unit.first().is_none_or(|first| first >> 5 == ID_END);
        if silent || unit.len() > UNIT_BYTES_MAX {
            return Err(AacError::Damaged);
        }
        let (inner, sound) = (&mut self.inner, &mut self.sound);
        let decode = AssertUnwindSafe(|| {
            let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, unit);
            let decoded = inner.decode_ref(&packet).map_err(|_| AacError::Damaged)?;
            decoded.copy_to_vec_interleaved(sound);
            Ok(())
        });
        // A panic in the decoder is a damaged unit too: its state is thrown away, nothing of it is seen again.
        match catch_unwind(decode) {
            Ok(result) => result?,
            Err(_) => {
                self.inner = open(&self.config)?;
                return Err(AacError::Damaged);
            }
        }
        for sample in &mut self.sound {
            if !sample.is_finite() {
                *sample = 0.0;
            }
            *sample = sample.clamp(-1.0, 1.0);
        }
        Ok(&self.sound)
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A decoder of the core, whatever extension the source's configuration announces: symphonia refuses those.
fn open(config: &Config) -> Result<AacDecoder, AacError> {
    let rate = AacError::Rate(config.sample_rate_hz);
    let Ok(core) = Config::lc(config.sample_rate_hz, config.channels) else { return Err(rate) };
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(CODEC_ID_AAC).with_extra_data(core.asc.to_vec().into_boxed_slice());
    AacDecoder::try_new(&parameters, &AudioDecoderOptions::default()).map_err(|_| rate)
}

/// `frameLengthFlag` of the GASpecificConfig (ISO/IEC 14496-3 section 4.4.1), for plain AAC-LC.
fn has_short_units(config: &Config) -> bool {
    let mut bits = BitReader::new(&config.asc);
    let mut read = || -> Option<bool> {
        if bits.bits(5)? != 2 {
            return Some(false);
        }
        if bits.bits(4)? == 15 {
            bits.skip(24)?;
        }
        bits.skip(4)?;
        bits.bit()
    };
    read().unwrap_or(false)
}
