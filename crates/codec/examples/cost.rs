//! Prints what a second of sound costs, each step and both ways whole, and how well the AAC encoder keeps a tone and
//! a sweep: `cargo run --release -p stentor-codec --example cost`.
//!
//! The figures are time on one thread; a busy machine makes them larger.

use std::{error::Error, f64::consts::TAU, hint::black_box, time::Instant};

use stentor_codec::{Resampler, aac, opus};

const SECONDS: usize = 60;
const RATE_HZ: u32 = 48_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    for channels in [1u8, 2] {
        let sound = music(channels);
        println!("{channels} channel(s), {SECONDS} s of sound at {RATE_HZ} Hz: percent of one core");
        let packets = timed("encode Opus", || encode_opus(&sound, channels))?;
        let units = timed("encode AAC", || encode_aac(&sound, channels))?;
        timed("decode Opus", || decode_opus(&packets, channels))?;
        timed("decode AAC", || decode_aac(&units, channels))?;
        timed("resample 44.1 -> 48 kHz", || resample(&sound, 44_100, channels))?;
        timed("AAC -> Opus", || encode_opus(&resample(&decode_aac(&units, channels)?, RATE_HZ, channels)?, channels))?;
        timed("Opus -> AAC", || {
            encode_aac(&resample(&decode_opus(&packets, channels)?, RATE_HZ, channels)?, channels)
        })?;
        for bitrate_bps in [48_000, 64_000, 96_000] {
            let bitrate_bps = bitrate_bps * u32::from(channels);
            println!(
                "  AAC at {:>3} kbit/s: tone {:.1} dB, sweep {:.1} dB",
                bitrate_bps / 1_000,
                snr_db(&tone(channels), channels, bitrate_bps)?,
                snr_db(&sweep(channels), channels, bitrate_bps)?
            );
        }
    }
    Ok(())
}

fn timed<T>(name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let begin = Instant::now();
    let made = black_box(work()?);
    println!("  {name:<24}{:.3} %", begin.elapsed().as_secs_f64() / SECONDS as f64 * 100.0);
    Ok(made)
}

fn encode_opus(sound: &[f32], channels: u8) -> Outcome<Vec<bytes::Bytes>> {
    let bitrate_bps = 64_000 * i32::from(channels);
    let mut encoder = opus::Encoder::new(&opus::EncoderConfig { channels, bitrate_bps, fec: false })?;
    let chunks = sound.chunks_exact(opus::SAMPLES_PER_PACKET * usize::from(channels));
    Ok(chunks.map(|chunk| encoder.encode(chunk)).collect::<Result<_, _>>()?)
}

fn decode_opus(packets: &[bytes::Bytes], channels: u8) -> Outcome<Vec<f32>> {
    let (mut decoder, mut sound) = (opus::Decoder::new(channels)?, Vec::new());
    for packet in packets {
        sound.extend_from_slice(decoder.decode(packet)?);
    }
    Ok(sound)
}

fn aac_encoder(channels: u8, bitrate_bps: u32) -> Outcome<aac::Encoder> {
    Ok(aac::Encoder::new(&aac::EncoderConfig { sample_rate_hz: RATE_HZ, channels, bitrate_bps })?)
}

fn encode_aac(sound: &[f32], channels: u8) -> Outcome<Vec<bytes::Bytes>> {
    let mut encoder = aac_encoder(channels, 64_000 * u32::from(channels))?;
    let chunks = sound.chunks_exact(aac::SAMPLES_PER_UNIT * usize::from(channels));
    Ok(chunks.map(|chunk| encoder.encode(chunk)).collect::<Result<_, _>>()?)
}

fn decode_aac(units: &[bytes::Bytes], channels: u8) -> Outcome<Vec<f32>> {
    let mut decoder = aac::Decoder::new(&media::aac::Config::lc(RATE_HZ, channels)?)?;
    let mut sound = Vec::new();
    for unit in units {
        sound.extend_from_slice(decoder.decode(unit)?);
    }
    Ok(sound)
}

fn resample(sound: &[f32], from_hz: u32, channels: u8) -> Outcome<Vec<f32>> {
    let mut resampler = Resampler::new(from_hz, RATE_HZ, channels, 960)?;
    let (mut all, mut frame) = (Vec::new(), Vec::new());
    for chunk in sound.chunks(1_024 * usize::from(channels)) {
        resampler.push(chunk)?;
        while resampler.pull(&mut frame)? {
            all.extend_from_slice(&frame);
        }
    }
    Ok(all)
}

fn snr_db(sound: &[f32], channels: u8, bitrate_bps: u32) -> Outcome<f64> {
    let mut encoder = aac_encoder(channels, bitrate_bps)?;
    let mut decoder = aac::Decoder::new(encoder.config())?;
    let count = usize::from(channels);
    let mut back = Vec::new();
    for chunk in sound.chunks_exact(aac::SAMPLES_PER_UNIT * count) {
        back.extend_from_slice(decoder.decode(&encoder.encode(chunk)?)?);
    }
    let delayed = back.iter().skip(aac::DELAY_SAMPLES as usize * count);
    let (signal, noise) =
        sound.iter().zip(delayed).skip(4_096 * count).fold((0.0, 0.0), |(signal, noise), (&a, &b)| {
            (signal + f64::from(a).powi(2), noise + f64::from(a - b).powi(2))
        });
    Ok(10.0 * (signal / f64::max(noise, 1e-12)).log10())
}

/// `wave` of the seconds, on all channels.
fn sound(channels: u8, wave: impl Fn(f64) -> f64) -> Vec<f32> {
    let count = usize::from(channels);
    (0..SECONDS * RATE_HZ as usize * count).map(|at| wave((at / count) as f64 / f64::from(RATE_HZ)) as f32).collect()
}

fn tone(channels: u8) -> Vec<f32> {
    sound(channels, |s| 0.5 * (TAU * 1_000.0 * s).sin())
}

/// 100 Hz to 10 kHz in a minute.
fn sweep(channels: u8) -> Vec<f32> {
    sound(channels, |s| 0.5 * (TAU * (100.0 * s + 9_900.0 * s * s / (2.0 * SECONDS as f64))).sin())
}

/// Partials of a changing chord with a beat: harder to code than a tone.
fn music(channels: u8) -> Vec<f32> {
    sound(channels, |s| {
        let root = 110.0 * 2f64.powf((s * 2.0).floor() % 12.0 / 12.0);
        let beat = 1.0 - (s * 2.0).fract();
        beat * (1..12).map(|partial| (TAU * root * f64::from(partial) * s).sin() / f64::from(partial)).sum::<f64>()
            * 0.3
    })
}
