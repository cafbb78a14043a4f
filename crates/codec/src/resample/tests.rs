use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;

fn tone(rate_hz: u32, hz: f64, samples: usize) -> Vec<f32> {
    (0..samples).map(|at| (TAU * hz * at as f64 / f64::from(rate_hz)).sin() as f32 * 0.5).collect()
}

/// Largest difference between what comes out and the tone at the positions that the resampler claims.
fn worst_error(from_hz: u32, to_hz: u32, hz: f64, stretch: f64) -> f64 {
    let mut resampler = Resampler::new(from_hz, to_hz, 1, 960).unwrap();
    resampler.set_stretch(stretch).unwrap();
    let (mut frame, mut worst) = (Vec::new(), 0.0f64);
    for chunk in tone(from_hz, hz, from_hz as usize / 2).chunks(1_024) {
        resampler.push(chunk).unwrap();
        loop {
            let position = resampler.position();
            if !resampler.pull(&mut frame).unwrap() {
                break;
            }
            let step = (resampler.position() - position) / 960.0;
            for (at, &sample) in frame.iter().enumerate() {
                let place = position + step * at as f64;
                if place > 100.0 {
                    let wanted = (TAU * hz * place / f64::from(from_hz)).sin() * 0.5;
                    worst = worst.max((f64::from(sample) - wanted).abs());
                }
            }
        }
    }
    worst
}

#[test]
fn every_sample_comes_from_where_the_account_says() {
    // At 5 kHz an error of a hundredth of a sample would be 0.003.
    for from_hz in [48_000, 44_100, 32_000, 24_000, 22_050] {
        for stretch in [0.0, 0.0002, -0.0002, STRETCH_MAX, -STRETCH_MAX] {
            let worst = worst_error(from_hz, 48_000, 5_000.0, stretch);
            assert!(worst < 0.000_1, "{from_hz} Hz, stretch {stretch}: off by {worst}");
        }
    }
}

#[test]
fn what_the_output_cannot_hold_is_filtered_out() {
    let mut resampler = Resampler::new(96_000, 48_000, 1, 960).unwrap();
    resampler.push(&tone(96_000, 30_000.0, 48_000)).unwrap();
    let mut frame = Vec::new();
    resampler.pull(&mut frame).unwrap();
    while resampler.pull(&mut frame).unwrap() {
        let loudest = frame.iter().fold(0.0f32, |most, sample| most.max(sample.abs()));
        assert!(loudest < 0.001, "30 kHz folded back at {loudest}");
    }
}

#[test]
fn channels_stay_apart() {
    let mut resampler = Resampler::new(44_100, 48_000, 2, 960).unwrap();
    let stereo: Vec<f32> = tone(44_100, 1_000.0, 22_050).into_iter().flat_map(|left| [left, 0.0]).collect();
    resampler.push(&stereo).unwrap();
    let mut frame = Vec::new();
    let mut energy = [0.0f64; 2];
    while resampler.pull(&mut frame).unwrap() {
        for pair in frame.chunks(2) {
            energy[0] += f64::from(pair[0]).powi(2);
            energy[1] += f64::from(pair[1]).powi(2);
        }
    }
    assert!(energy[0] > 1_000.0 && energy[1] == 0.0, "{energy:?}");
}

#[test]
fn is_bounded_and_can_be_reset() {
    let mut resampler = Resampler::new(44_100, 48_000, 1, 960).unwrap();
    resampler.push_silence(2 * 44_100).unwrap();
    assert!(matches!(resampler.push(&[0.0]), Err(ResampleError::Overflow)));
    let mut frame = Vec::new();
    assert!(resampler.pull(&mut frame).unwrap());
    resampler.reset();
    assert!(!resampler.pull(&mut frame).unwrap());
    assert!(resampler.position() < 0.0);
    assert!(Resampler::new(0, 48_000, 1, 960).is_err());
    assert!(Resampler::new(48_000, 48_000, 0, 960).is_err());
}

proptest! {
    #[test]
    fn portions_do_not_matter(sizes in proptest::collection::vec(1usize..3_000, 1..12)) {
        let sound = tone(44_100, 440.0, sizes.iter().sum());
        let run = |portions: &[usize]| {
            let mut resampler = Resampler::new(44_100, 48_000, 1, 960).unwrap();
            let (mut all, mut frame, mut at) = (Vec::new(), Vec::new(), 0);
            for &portion in portions {
                resampler.push(&sound[at..at + portion]).unwrap();
                at += portion;
                while resampler.pull(&mut frame).unwrap() {
                    all.extend_from_slice(&frame);
                }
            }
            all
        };
        prop_assert_eq!(run(&sizes), run(&[sound.len()]));
    }
}
