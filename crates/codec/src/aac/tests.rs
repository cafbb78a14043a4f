use std::f64::consts::TAU;

use bytes::Bytes;
use media::aac::Config;
use proptest::prelude::*;

use super::*;

fn encoder(sample_rate_hz: u32, channels: u8, bitrate_bps: u32) -> Encoder {
    Encoder::new(&EncoderConfig { sample_rate_hz, channels, bitrate_bps }).unwrap()
}

fn tone(rate_hz: u32, hz: f64, channels: usize, samples: usize) -> Vec<f32> {
    let one = move |at: usize| (TAU * hz * at as f64 / f64::from(rate_hz)).sin() as f32 * 0.5;
    (0..samples * channels).map(|at| one(at / channels)).collect()
}

/// There and back, all units.
fn round_trip(encoder: &mut Encoder, sound: &[f32]) -> Vec<f32> {
    let channels = usize::from(encoder.config().channels);
    let mut decoder = Decoder::new(encoder.config()).unwrap();
    let mut out = Vec::new();
    for chunk in sound.chunks_exact(SAMPLES_PER_UNIT * channels) {
        let unit = encoder.encode(chunk).unwrap();
        out.extend_from_slice(decoder.decode(&unit).unwrap());
    }
    out
}

/// Signal to noise in dB of `got` against `wanted`, delayed by `delay` samples, past the first two units.
fn snr_db(wanted: &[f32], got: &[f32], channels: usize, delay: usize) -> f64 {
    let (mut signal, mut noise) = (0.0f64, 0.0f64);
    for at in 4_096 * channels..got.len() {
        let wanted = f64::from(wanted[at - delay * channels]);
        signal += wanted * wanted;
        noise += (f64::from(got[at]) - wanted).powi(2);
    }
    10.0 * (signal / noise.max(1e-12)).log10()
}

#[test]
fn a_tone_survives_at_every_rate_and_its_delay_is_known() {
    for (rate_hz, channels, bitrate_bps) in
        [(48_000, 1, 64_000), (48_000, 2, 128_000), (44_100, 2, 128_000), (32_000, 2, 96_000), (22_050, 1, 48_000)]
    {
        let sound = tone(rate_hz, 997.0, usize::from(channels), 20 * SAMPLES_PER_UNIT);
        let back = round_trip(&mut encoder(rate_hz, channels, bitrate_bps), &sound);
        let snr = snr_db(&sound, &back, usize::from(channels), DELAY_SAMPLES as usize);
        assert!(snr > 20.0, "{rate_hz} Hz, {channels} channels: {snr:.1} dB");
    }
}

#[test]
fn an_impulse_is_where_the_delay_says() {
    let mut sound = vec![0.0; 12 * SAMPLES_PER_UNIT];
    let at = 5_300;
    sound[at] = 0.9;
    let back = round_trip(&mut encoder(48_000, 1, 96_000), &sound);
    let peak = (0..back.len()).max_by(|&a, &b| back[a].abs().total_cmp(&back[b].abs())).unwrap();
    assert_eq!(peak, at + DELAY_SAMPLES as usize);
}

#[test]
fn left_is_not_right() {
    let left = tone(48_000, 1_000.0, 1, 20 * SAMPLES_PER_UNIT);
    let stereo: Vec<f32> = left.iter().flat_map(|&sample| [sample, 0.0]).collect();
    let back = round_trip(&mut encoder(48_000, 2, 128_000), &stereo);
    let energy = |side: usize| back.chunks(2).map(|pair| f64::from(pair[side]).powi(2)).sum::<f64>();
    assert!(energy(0) > 1_000.0 * energy(1), "left {} right {}", energy(0), energy(1));
}

#[test]
fn units_stay_below_the_bit_rate() {
    let noise: Vec<f32> =
        (0u32..48 * 2_048).map(|at| (at.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect();
    let mut encoder = encoder(48_000, 2, 128_000);
    let bytes: usize = noise.chunks_exact(2_048).map(|chunk| encoder.encode(chunk).unwrap().len()).sum();
    let bps = bytes as f64 * 8.0 / (48.0 * 1_024.0 / 48_000.0);
    assert!((90_000.0..140_000.0).contains(&bps), "{bps} bits a second");
}

#[test]
fn many_encoders_in_many_threads() {
    let sound = tone(48_000, 997.0, 2, 40 * SAMPLES_PER_UNIT);
    let alone = round_trip(&mut encoder(48_000, 2, 128_000), &sound);
    std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..8).map(|_| scope.spawn(|| round_trip(&mut encoder(48_000, 2, 128_000), &sound))).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), alone, "encoders share no state");
        }
    });
}

#[test]
fn says_what_it_cannot_do() {
    let open = |asc: &'static [u8]| Decoder::new(&Config::parse(Bytes::from_static(asc)).unwrap()).err();
    assert!(matches!(open(&[0x0a, 0x10]), Some(AacError::ObjectType(1))), "AAC Main");
    assert!(matches!(open(&[0x11, 0xb0]), Some(AacError::Channels(6))), "5.1");
    assert!(matches!(open(&[0x11, 0x94]), Some(AacError::ShortUnits)), "960 samples");
    assert!(open(&[0x11, 0x90, 0x56, 0xe5, 0x00]).is_none(), "as OBS writes it");
    assert!(open(&[0x13, 0x90, 0x56, 0xe5, 0x98]).is_none(), "LC that announces SBR");
    let refused = |sample_rate_hz, channels, bitrate_bps| {
        Encoder::new(&EncoderConfig { sample_rate_hz, channels, bitrate_bps }).unwrap_err()
    };
    assert!(matches!(refused(48_000, 3, 128_000), AacError::Channels(3)));
    assert!(matches!(refused(48_001, 2, 128_000), AacError::Rate(_)));
    assert!(matches!(refused(7_350, 1, 32_000), AacError::Rate(_)));
    assert!(matches!(refused(48_000, 1, 400_000), AacError::Bitrate(_)));
    assert!(matches!(refused(8_000, 1, 64_000), AacError::Bitrate(_)), "more than 6 bits a sample");
    assert!(matches!(encoder(48_000, 1, 64_000).encode(&[0.0; 7]), Err(AacError::Length { .. })));
}

#[test]
fn silence_and_nonsense_are_encoded_all_the_same() {
    let mut encoder = encoder(48_000, 2, 128_000);
    for value in [0.0, f32::NAN, f32::INFINITY, -7.0, 1e30] {
        for _ in 0..4 {
            encoder.encode(&[value; 2_048]).unwrap();
        }
    }
}

#[test]
fn goes_on_after_damage() {
    let sound = tone(48_000, 997.0, 2, 10 * SAMPLES_PER_UNIT);
    let mut encoder = encoder(48_000, 2, 128_000);
    let mut decoder = Decoder::new(encoder.config()).unwrap();
    for (at, chunk) in sound.chunks_exact(2_048).enumerate() {
        let unit = encoder.encode(chunk).unwrap();
        if at == 5 {
            assert!(decoder.decode(&[]).is_err());
            assert!(decoder.decode(&[0xe0]).is_err(), "an end without sound is no repetition of the last unit");
            assert!(decoder.decode(&vec![0x21; 4_000]).is_err());
            assert!(decoder.decode(&unit[..unit.len() / 3]).is_err());
        }
        assert_eq!(decoder.decode(&unit).unwrap().len(), 2_048);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), stereo in any::<bool>(), rate in 0usize..3) {
        let rate_hz = [48_000, 22_050, 8_000][rate];
        let mut decoder = Decoder::new(&Config::lc(rate_hz, 1 + u8::from(stereo)).unwrap()).unwrap();
        for _ in 0..2 {
            if let Ok(sound) = decoder.decode(&bytes) {
                prop_assert!(sound.iter().all(|sample| (-1.0..=1.0).contains(sample)));
            }
        }
    }

    #[test]
    fn flipped_bits_never_panic(flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..12)) {
        let sound = tone(48_000, 997.0, 2, 4 * SAMPLES_PER_UNIT);
        let mut encoder = encoder(48_000, 2, 128_000);
        let mut decoder = Decoder::new(encoder.config()).unwrap();
        for chunk in sound.chunks_exact(2_048) {
            let mut unit = encoder.encode(chunk).unwrap().to_vec();
            for (index, bit) in &flips {
                let at = index.index(unit.len());
                unit[at] ^= 1 << bit;
            }
            let _ = decoder.decode(&unit);
        }
    }
}
