use std::f64::consts::TAU;

use media::{Flags, MediaTime, Payload, WallTime};
use proptest::prelude::*;

use super::*;

const WALL_US: i64 = 1_700_000_000_000_000;

fn frame(codec: Codec, rate_hz: u32, pts: i64, unit: Bytes) -> Frame {
    let pts = MediaTime(pts);
    Frame {
        codec,
        flags: Flags { key: true, ..Flags::default() },
        dts: pts,
        pts,
        wall: WallTime(WALL_US) + pts.as_micros(rate_hz),
        payload: Payload::single(unit),
    }
}

/// Interleaved sound of `wave(channel, seconds)`.
fn sound(rate_hz: u32, channels: u8, seconds: f64, wave: impl Fn(usize, f64) -> f64) -> Vec<f32> {
    let channels = usize::from(channels);
    let samples = (seconds * f64::from(rate_hz)) as usize;
    (0..samples * channels).map(|at| wave(at % channels, (at / channels) as f64 / f64::from(rate_hz)) as f32).collect()
}

/// AAC of `sound`, stamped so that decoded sound lies where it was in `sound`.
fn aac_frames(rate_hz: u32, channels: u8, sound: &[f32]) -> (media::aac::Config, Vec<Frame>) {
    let config = aac::EncoderConfig { sample_rate_hz: rate_hz, channels, bitrate_bps: 48_000 * u32::from(channels) };
    let mut encoder = aac::Encoder::new(&config).unwrap();
    let frames = sound.chunks_exact(1_024 * usize::from(channels)).enumerate().map(|(at, chunk)| {
        let pts = at as i64 * 1_024 - i64::from(aac::DELAY_SAMPLES);
        frame(Codec::Aac, rate_hz, pts, encoder.encode(chunk).unwrap())
    });
    let frames = frames.collect();
    (encoder.config().clone(), frames)
}

/// Opus of `sound`, stamped as a sender of RTP does.
fn opus_frames(channels: u8, sound: &[f32]) -> Vec<Frame> {
    let config = opus::EncoderConfig { channels, bitrate_bps: 64_000 * i32::from(channels), fec: false };
    let mut encoder = opus::Encoder::new(&config).unwrap();
    let frames = sound.chunks_exact(960 * usize::from(channels)).enumerate();
    frames.map(|(at, chunk)| frame(Codec::Opus, 48_000, at as i64 * 960, encoder.encode(chunk).unwrap())).collect()
}

/// A stamp through RTMP and back: whole milliseconds, cut.
fn in_milliseconds(mut frame: Frame, rate_hz: u32) -> Frame {
    let ms = frame.pts.0 as f64 * 1_000.0 / f64::from(rate_hz);
    frame.pts = MediaTime(ms.floor() as i64).rescale(1_000, rate_hz);
    frame.dts = frame.pts;
    frame.wall = WallTime(WALL_US) + frame.pts.as_micros(rate_hz);
    frame
}

fn to_opus(config: &media::aac::Config, frames: &[Frame]) -> Vec<Frame> {
    let (mut transcoder, mut out) = (AacToOpus::new(config).unwrap(), Vec::new());
    assert_eq!(transcoder.track().clock_rate_hz, 48_000);
    for frame in frames {
        transcoder.push(frame, &mut out).unwrap();
    }
    out
}

fn to_aac(channels: u8, frames: &[Frame]) -> Vec<Frame> {
    let (mut transcoder, mut out) = (OpusToAac::new(channels).unwrap(), Vec::new());
    for frame in frames {
        transcoder.push(frame, &mut out).unwrap();
    }
    out
}

/// Decoded sound of one channel as (media time in seconds, sample).
fn decoded(channels: u8, frames: &[Frame], channel: usize) -> Vec<(f64, f64)> {
    let mut opus = opus::Decoder::new(channels).unwrap();
    let mut aac = aac::Decoder::new(&media::aac::Config::lc(48_000, channels).unwrap()).unwrap();
    let mut all = Vec::new();
    for frame in frames {
        let unit = &frame.payload.units[0];
        let sound = if frame.codec == Codec::Opus { opus.decode(unit).unwrap() } else { aac.decode(unit).unwrap() };
        let samples = sound.chunks(usize::from(channels)).enumerate();
        all.extend(samples.map(|(at, group)| ((frame.pts.0 + at as i64) as f64 / 48_000.0, f64::from(group[channel]))));
    }
    all
}

/// Amplitude of a tone of `hz` in the second half of the sound, and what is left without it.
fn amplitude(sound: &[(f64, f64)], hz: f64) -> (f64, f64) {
    let half = &sound[sound.len() / 2..];
    let count = half.len() as f64;
    let (sine, cosine) = half.iter().fold((0.0, 0.0), |(sine, cosine), (time, sample)| {
        (sine + sample * (TAU * hz * time).sin(), cosine + sample * (TAU * hz * time).cos())
    });
    let tone = 2.0 * sine.hypot(cosine) / count;
    let power = half.iter().map(|(_, sample)| sample * sample).sum::<f64>() / count;
    (tone, (power - tone * tone / 2.0).max(0.0).sqrt())
}

/// Asserts that the frames follow each other by `step` ticks and carry wall times that fit.
fn assert_contiguous(frames: &[Frame], step: i64) {
    assert!(frames.len() > 10);
    for pair in frames.windows(2) {
        assert_eq!(pair[1].pts - pair[0].pts, step, "at {:?}", pair[0].pts);
    }
    for frame in frames {
        assert_eq!(frame.dts, frame.pts);
        assert!(frame.flags.key && !frame.flags.discontinuity);
        let off = frame.wall.0 - WALL_US - frame.pts.as_micros(48_000);
        assert!(off.abs() <= 12, "wall time is off by {off} us");
    }
}

/// A click of 2 ms around `at` seconds.
fn click(at: f64) -> impl Fn(usize, f64) -> f64 {
    move |_, time| {
        let from_middle = (time - at) / 0.001;
        if from_middle.abs() < 1.0 {
            0.8 * (1.0 - from_middle.abs()) * (TAU * 3_000.0 * (time - at)).cos()
        } else {
            0.0
        }
    }
}

/// Centre of the energy, in seconds.
fn centre(sound: &[(f64, f64)]) -> f64 {
    let energy: f64 = sound.iter().map(|(_, sample)| sample * sample).sum();
    assert!(energy > 0.1, "the click is there: {energy}");
    sound.iter().map(|(time, sample)| time * sample * sample).sum::<f64>() / energy
}

#[test]
fn a_tone_of_aac_is_the_same_tone_in_opus() {
    for (rate_hz, channels) in
        [(48_000, 1), (48_000, 2), (44_100, 1), (44_100, 2), (22_050, 1), (22_050, 2), (96_000, 2)]
    {
        let tone =
            sound(rate_hz, channels, 1.5, |side, time| if side == 0 { 0.4 * (TAU * 997.0 * time).sin() } else { 0.0 });
        let (config, frames) = aac_frames(rate_hz, channels, &tone);
        let frames: Vec<Frame> = frames.into_iter().map(|frame| in_milliseconds(frame, rate_hz)).collect();
        let out = to_opus(&config, &frames);
        assert_contiguous(&out, 960);
        let (tone, rest) = amplitude(&decoded(channels, &out, 0), 997.0);
        assert!((tone - 0.4).abs() < 0.02 && rest < 0.03, "{rate_hz} Hz, {channels} channels: {tone} and {rest}");
        if channels == 2 {
            assert!(amplitude(&decoded(channels, &out, 1), 997.0).0 < 0.02, "nothing leaks to the right");
        }
    }
}

#[test]
fn a_tone_of_opus_is_the_same_tone_in_aac() {
    for (from, into) in [(1, 1), (2, 2), (1, 2), (2, 1)] {
        let tone = sound(48_000, from, 1.5, |_, time| 0.4 * (TAU * 997.0 * time).sin());
        let out = to_aac(into, &opus_frames(from, &tone));
        assert_contiguous(&out, 1_024);
        let (tone, rest) = amplitude(&decoded(into, &out, usize::from(into) - 1), 997.0);
        assert!((tone - 0.4).abs() < 0.02 && rest < 0.03, "{from} to {into} channels: {tone} and {rest}");
    }
}

#[test]
fn a_click_stays_where_it_was() {
    for rate_hz in [48_000, 44_100, 22_050] {
        let (config, frames) = aac_frames(rate_hz, 1, &sound(rate_hz, 1, 1.5, click(0.777)));
        let exact = centre(&decoded(1, &to_opus(&config, &frames), 0));
        assert!((exact - 0.777).abs() < 0.000_5, "{rate_hz} Hz: {exact}");
        let rough: Vec<Frame> = frames.into_iter().map(|frame| in_milliseconds(frame, rate_hz)).collect();
        let rough = centre(&decoded(1, &to_opus(&config, &rough), 0));
        assert!((rough - 0.777).abs() < 0.002, "{rate_hz} Hz in milliseconds: {rough}");
    }
    let out = to_aac(1, &opus_frames(1, &sound(48_000, 1, 1.5, click(0.777))));
    let found = centre(&decoded(1, &out, 0));
    assert!((found - 0.777).abs() < 0.000_5, "Opus: {found}");
}

#[test]
fn nothing_comes_out_before_the_first_frame() {
    let (config, frames) = aac_frames(44_100, 2, &sound(44_100, 2, 0.5, |_, _| 0.0));
    let begin = frames[0].pts.rescale(44_100, 48_000);
    let out = to_opus(&config, &frames);
    assert!(out[0].pts >= begin && out[0].pts - begin < 960, "{:?} {:?}", begin, out[0].pts);
    let out = to_aac(1, &opus_frames(1, &sound(48_000, 1, 0.5, |_, _| 0.0)));
    assert!(out[0].pts.0 >= 0 && out[0].pts.0 < 1_024, "{:?}", out[0].pts);
}

#[test]
fn a_gap_is_filled_and_a_jump_begins_anew() {
    let long = sound(44_100, 1, 4.0, |_, time| 0.4 * (TAU * 997.0 * time).sin());
    let (config, mut frames) = aac_frames(44_100, 1, &long);
    frames.drain(40..50); // 232 ms
    let out = to_opus(&config, &frames);
    assert_contiguous(&out, 960);
    let heard = decoded(1, &out, 0);
    // Unit 40 begins with sample 40 x 1,024 - 1,600; what it overlaps with is half gone too.
    let quiet =
        |from: f64, to: f64| heard.iter().filter(|(time, _)| (from..to).contains(time)).all(|(_, s)| s.abs() < 0.02);
    assert!(quiet(0.92, 1.10), "the gap is silence");
    assert!(!quiet(0.80, 0.89) && !quiet(1.14, 1.20), "and is where the sound was lost");

    for frame in &mut frames[60..] {
        frame.pts = frame.pts + 44_100 * 3;
    }
    let out = to_opus(&config, &frames);
    let breaks: Vec<_> = out.windows(2).filter(|pair| pair[1].pts - pair[0].pts != 960).collect();
    assert_eq!(breaks.len(), 1);
    assert!(breaks[0][1].flags.discontinuity);
    assert_eq!(out.iter().filter(|frame| frame.flags.discontinuity).count(), 1);
    let jump = breaks[0][1].pts - breaks[0][0].pts;
    assert!((jump - 3 * 48_000).abs() < 3_000, "{jump}");
}

#[test]
fn lost_packets_are_made_up_for() {
    let tone = sound(48_000, 1, 2.0, |_, time| 0.4 * (TAU * 500.0 * time).sin());
    let mut frames = opus_frames(1, &tone);
    frames.remove(50);
    frames[50].flags.discontinuity = true;
    let out = to_aac(1, &frames);
    assert_contiguous(&out, 1_024);
    let power: f64 =
        decoded(1, &out, 0).iter().filter(|(time, _)| (0.995..1.015).contains(time)).map(|(_, s)| s * s).sum();
    assert!(power > 10.0, "the decoder went on with the tone: {power}");
    let (tone, rest) = amplitude(&decoded(1, &out, 0), 500.0);
    assert!((tone - 0.4).abs() < 0.03 && rest < 0.08, "{tone} and {rest}: the phase is kept");
}

#[test]
fn damage_is_told_and_what_follows_is_taken() {
    let tone = sound(48_000, 2, 1.5, |_, time| 0.4 * (TAU * 997.0 * time).sin());
    let (config, frames) = aac_frames(48_000, 2, &tone);
    let (mut transcoder, mut out, mut errors) = (AacToOpus::new(&config).unwrap(), Vec::new(), 0);
    for (at, frame) in frames.iter().enumerate() {
        let mut frame = frame.clone();
        if at % 20 == 10 {
            frame.payload = Payload::single(Bytes::from_static(&[0xff; 40]));
        }
        errors += usize::from(transcoder.push(&frame, &mut out).is_err());
    }
    assert_eq!(errors, 3);
    assert_contiguous(&out, 960);
    assert!((centre(&decoded(2, &out, 0)) - 0.75).abs() < 0.05);

    let (mut transcoder, mut out, mut errors) = (OpusToAac::new(2).unwrap(), Vec::new(), 0);
    for (at, frame) in opus_frames(2, &tone).iter().enumerate() {
        let mut frame = frame.clone();
        if at % 20 == 10 {
            frame.payload = if at == 10 { Payload::default() } else { Payload::single(Bytes::from_static(&[0x7f; 3])) };
        }
        errors += usize::from(transcoder.push(&frame, &mut out).is_err());
    }
    assert_eq!(errors, 4);
    assert_contiguous(&out, 1_024);
}

#[test]
fn damage_moves_nothing() {
    let sound = sound(48_000, 1, 1.5, click(0.777));
    let damage = |mut frames: Vec<Frame>| {
        frames[10].payload = Payload::single(Bytes::from_static(&[0xff; 40]));
        frames
    };
    let (config, frames) = aac_frames(48_000, 1, &sound);
    let (mut transcoder, mut out) = (AacToOpus::new(&config).unwrap(), Vec::new());
    let errors = damage(frames).iter().filter(|frame| transcoder.push(frame, &mut out).is_err()).count();
    let found = centre(&decoded(1, &out, 0));
    assert!(errors == 1 && (found - 0.777).abs() < 0.002, "AAC: {errors} errors, {found}");

    let (mut transcoder, mut out) = (OpusToAac::new(1).unwrap(), Vec::new());
    let errors =
        damage(opus_frames(1, &sound)).iter().filter(|frame| transcoder.push(frame, &mut out).is_err()).count();
    let found = centre(&decoded(1, &out, 0));
    assert!(errors == 1 && (found - 0.777).abs() < 0.002, "Opus: {errors} errors, {found}");
}

#[test]
fn says_what_it_cannot_do() {
    let asc = media::aac::Config::parse(Bytes::from_static(&[0x11, 0xb0])).unwrap();
    assert!(matches!(AacToOpus::new(&asc), Err(TranscodeError::Aac(aac::AacError::Channels(6)))));
    let mut transcoder = OpusToAac::new(2).unwrap();
    let other = frame(Codec::Aac, 48_000, 0, Bytes::from_static(&[1]));
    assert!(matches!(transcoder.push(&other, &mut Vec::new()), Err(TranscodeError::Unsupported)));
    fn assert_send<T: Send>() {}
    assert_send::<(AacToOpus, OpusToAac)>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_stamps_and_bytes_are_survived(stamps in proptest::collection::vec((any::<i64>(), 0usize..3), 1..40)) {
        let (config, good) = aac_frames(44_100, 1, &sound(44_100, 1, 0.2, |_, _| 0.1));
        let packets = opus_frames(1, &sound(48_000, 1, 0.2, |_, _| 0.1));
        let (mut to_opus, mut to_aac, mut out) = (AacToOpus::new(&config).unwrap(), OpusToAac::new(2).unwrap(), Vec::new());
        for (stamp, kind) in stamps {
            let pts = match kind { 0 => stamp, 1 => stamp % 100_000, _ => stamp % 2_000 };
            for (source, rate_hz) in [(&good[3], 44_100), (&packets[3], 48_000)] {
                let frame = frame(source.codec, rate_hz, pts, source.payload.units[0].clone());
                let _ = to_opus.push(&frame, &mut out);
                let _ = to_aac.push(&frame, &mut out);
            }
            prop_assert!(out.len() < 100, "{} frames at once", out.len());
            out.clear();
        }
    }
}
