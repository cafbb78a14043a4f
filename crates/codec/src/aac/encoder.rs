//! AAC-LC encoding by vo-aacenc.

use std::{ffi::c_void, ptr};

use bytes::Bytes;

use super::{AacError, SAMPLES_PER_UNIT, vo};

/// Samples of each channel by which decoded sound lags what was handed in: one unit of overlap, and what the encoder
/// looks ahead to choose its windows. A test measures it.
pub const DELAY_SAMPLES: u32 = 1_600;

/// Bytes of an access unit, at most. The standard allows 768 for a channel (ISO/IEC 14496-3 section 4.5.3.2); the
/// encoder checks no length while it writes, so there is room to spare.
const UNIT_BYTES_MAX: usize = 20_480;
const BITRATE_PER_CHANNEL_BPS: std::ops::RangeInclusive<u32> = 8_000..=160_000;
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=96_000;

/// What an [`Encoder`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// One of the standard's rates from 8,000 to 96,000 Hz.
    pub sample_rate_hz: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Bits a second for all channels together.
    pub bitrate_bps: u32,
}

/// Makes raw access units of AAC-LC.
#[derive(Debug)]
pub struct Encoder {
    handle: Handle,
    channels: usize,
    config: media::aac::Config,
    // The encoder reads the sound in place after it was set, so both buffers live as long as the handle.
    sound: Vec<i16>,
    unit: Vec<u8>,
}

impl Encoder {
    /// An encoder.
    ///
    /// # Errors
    /// Where a value is outside what the encoder takes: it would change bit rates and rates quietly.
    pub fn new(config: &EncoderConfig) -> Result<Self, AacError> {
        if !(1..=2).contains(&config.channels) {
            return Err(AacError::Channels(config.channels));
        }
        let described = media::aac::Config::lc(config.sample_rate_hz, config.channels)
            .map_err(|_| AacError::Rate(config.sample_rate_hz))?;
        if !RATES_HZ.contains(&config.sample_rate_hz) {
            return Err(AacError::Rate(config.sample_rate_hz));
        }
        let per_channel = config.bitrate_bps / u32::from(config.channels);
        if !BITRATE_PER_CHANNEL_BPS.contains(&per_channel) || per_channel > config.sample_rate_hz.saturating_mul(6) {
            return Err(AacError::Bitrate(config.bitrate_bps));
        }
        let channels = usize::from(config.channels);
        Ok(Self {
            handle: Handle::open(config)?,
            channels,
            config: described,
            sound: Vec::with_capacity(SAMPLES_PER_UNIT * channels),
            unit: vec![0; UNIT_BYTES_MAX],
        })
    }

    /// What a decoder must know.
    pub fn config(&self) -> &media::aac::Config {
        &self.config
    }

    /// Codes 1,024 samples of each channel, interleaved, full scale at +-1; louder is clipped.
    ///
    /// # Errors
    /// Where the length is another, or the encoder fails.
    pub fn encode(&mut self, samples: &[f32]) -> Result<Bytes, AacError> {
        let expected = SAMPLES_PER_UNIT * self.channels;
        if samples.len() != expected {
            return Err(AacError::Length { expected, got: samples.len() });
        }
        self.sound.clear();
        self.sound.extend(samples.iter().map(|&sample| to_i16(sample)));
        let length = self.handle.encode(&mut self.sound, &mut self.unit)?;
        Ok(Bytes::copy_from_slice(self.unit.get(..length).ok_or(AacError::Encoder(0))?))
    }
}

/// One open encoder of the library.
#[derive(Debug)]
struct Handle {
    api: Functions,
    raw: *mut c_void,
}

// SAFETY: the library keeps all state behind the handle and has no writable globals; nothing in it is bound to the
// thread that opened it. `Handle` is not Sync: every call needs `&mut self`.
unsafe impl Send for Handle {}

/// The entries of the library's table that are called.
#[derive(Clone, Copy, Debug)]
struct Functions {
    set_input: unsafe extern "C" fn(*mut c_void, *mut vo::Buffer) -> std::ffi::c_ulong,
    get_output: unsafe extern "C" fn(*mut c_void, *mut vo::Buffer, *mut vo::OutputInfo) -> std::ffi::c_ulong,
    uninit: unsafe extern "C" fn(*mut c_void) -> std::ffi::c_ulong,
}

impl Handle {
    fn open(config: &EncoderConfig) -> Result<Self, AacError> {
        let mut api = vo::Api::default();
        // SAFETY: `api` is a valid table of the library's layout that it fills in.
        check(unsafe { vo::voGetAACEncAPI(&mut api) }.cast_unsigned())?;
        let (Some(init), Some(set_parameter), Some(set_input), Some(get_output), Some(uninit)) =
            (api.init, api.set_parameter, api.set_input, api.get_output, api.uninit)
        else {
            return Err(AacError::Encoder(0));
        };
        let mut memory = vo::InitData { flag: 0, data: ptr::from_ref(&vo::MEMORY).cast_mut().cast(), reserved: [0; 2] };
        let mut raw = ptr::null_mut();
        // SAFETY: the three pointers are valid for the call; the memory operator is static, as the library keeps its
        // address, and it only reads it.
        check(unsafe { init(&mut raw, vo::CODING_AAC, &mut memory) })?;
        if raw.is_null() {
            return Err(AacError::Encoder(0));
        }
        // From here on the handle is closed on every way out.
        let handle = Self { api: Functions { set_input, get_output, uninit }, raw };
        let mut parameters = vo::Parameters {
            sample_rate: config.sample_rate_hz.cast_signed(),
            bit_rate: config.bitrate_bps.cast_signed(),
            channels: i16::from(config.channels.cast_signed()),
            adts_used: 0,
        };
        // SAFETY: the handle is open and the parameters have the layout of AACENC_PARAM.
        check(unsafe { set_parameter(handle.raw, vo::PARAMETERS, ptr::from_mut(&mut parameters).cast()) })?;
        Ok(handle)
    }

    /// Codes exactly one access unit of `sound` into `unit`, which has room for it, and gives its length in bytes.
    fn encode(&mut self, sound: &mut [i16], unit: &mut [u8]) -> Result<usize, AacError> {
        debug_assert!(unit.len() >= UNIT_BYTES_MAX);
        let mut input = vo::Buffer { buffer: sound.as_mut_ptr().cast(), length: size_of_val(sound) as _, time: 0 };
        let mut output = vo::Buffer { buffer: unit.as_mut_ptr(), length: unit.len() as _, time: 0 };
        let mut info = vo::OutputInfo::default();
        // SAFETY: the handle is open; `sound` is aligned for i16, as long as it says and outlives both calls: the
        // library consumes one whole unit, which is what came in, and so keeps no pointer to it. `unit` has room for
        // more than the largest access unit.
        let length = unsafe {
            check((self.api.set_input)(self.raw, &mut input))?;
            check((self.api.get_output)(self.raw, &mut output, &mut info))?;
            output.length
        };
        usize::try_from(length).map_err(|_| AacError::Encoder(0))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open and is used no more.
        unsafe { (self.api.uninit)(self.raw) };
    }
}

fn check(code: std::ffi::c_ulong) -> Result<(), AacError> {
    if code == vo::OK { Ok(()) } else { Err(AacError::Encoder(code)) }
}

/// NaN becomes 0, and what is too loud the loudest.
fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}
