use super::*;

fn flow(from_hz: u32) -> Flow {
    Flow::new(&Config { from_hz, channels: 1, frame: 960, delay_in: 0, delay_out: 0 }).unwrap()
}

fn stamped(from_hz: u32, seconds: f64) -> Frame {
    let pts = MediaTime((seconds * f64::from(from_hz)).round() as i64);
    Frame { codec: Codec::Aac, flags: Flags::default(), dts: pts, pts, wall: WallTime(0), payload: Payload::default() }
}

/// Pushes a frame of `samples` samples of silence and drains what is whole.
fn push(flow: &mut Flow, frame: &Frame, samples: usize) -> Admission {
    let admission = flow.admit(frame, samples);
    flow.push_silence(samples).unwrap();
    flow.drain(Codec::Opus, &mut Vec::new(), |_| Ok(Bytes::new())).unwrap();
    admission
}

/// How far the next frame that goes out lies from where a source that stands at `seconds` has it, in ms.
fn disagreement_ms(flow: &Flow, seconds: f64) -> f64 {
    let waiting = (flow.pushed.unwrap() as f64 - flow.resampler.position()) / f64::from(flow.from_hz);
    (seconds - waiting) * 1_000.0 - flow.next as f64 / 48.0
}

#[test]
fn drifting_stamps_are_followed() {
    // Twenty minutes, a year after the stream's origin: left alone they would end 120 ms apart.
    let (mut flow, mut worst, mut seconds) = (flow(44_100), 0.0f64, 31_536_000.0);
    let frames = 1_200 * 44_100 / 1_024;
    for at in 0..frames {
        // The source's sound runs at 44.1 kHz by its crystal; its stamps, in ms, run by another clock.
        let ppm = if at < frames / 2 { 200.0 } else { -200.0 };
        let frame = stamped(44_100, f64::floor(seconds * 1_000.0) / 1_000.0);
        assert_eq!(push(&mut flow, &frame, 1_024), Admission::Take);
        seconds += 1_024.0 / 44_100.0 * (1.0 + ppm / 1e6);
        worst = worst.max(disagreement_ms(&flow, seconds).abs());
    }
    assert!(worst < 5.0, "off by {worst} ms");
    assert!(worst > 1.0, "the stamps did drift: {worst} ms");
}

#[test]
fn jitter_of_stamps_changes_nothing_that_is_heard() {
    let mut flow = flow(48_000);
    for at in 0..3_000u32 {
        // Two frames with one stamp, and 12 ms of noise.
        let noise = f64::from(at.wrapping_mul(2_654_435_761) >> 20) / 4_096.0 * 0.012;
        let frame = stamped(48_000, f64::from(at / 2 * 2) * 0.02 + noise);
        assert_eq!(push(&mut flow, &frame, 960), Admission::Take, "frame {at}");
    }
    // The middle of the noise, less half a frame that every second stamp is early.
    let off = disagreement_ms(&flow, 3_000.0 * 0.02) + 6.0 - 10.0;
    assert!(off.abs() < 3.0, "settled {off} ms from the middle");
}

#[test]
fn decides_by_the_size_of_the_disagreement() {
    let later = |ms: f64, told: bool| {
        let mut flow = flow(48_000);
        for at in 0..10 {
            push(&mut flow, &stamped(48_000, f64::from(at) * 0.02), 960);
        }
        let mut frame = stamped(48_000, 0.2 + ms / 1_000.0);
        frame.flags.discontinuity = told;
        flow.admit(&frame, 960)
    };
    assert_eq!(later(0.0, true), Admission::Take, "told of a loss, but nothing is missing");
    assert_eq!(later(20.0, false), Admission::Take, "jitter");
    assert_eq!(later(20.0, true), Admission::Gap(960));
    assert_eq!(later(60.0, false), Admission::Gap(2_880));
    assert_eq!(later(499.0, false), Admission::Gap(23_952));
    assert_eq!(later(501.0, false), Admission::Restart);
    assert_eq!(later(-50.0, false), Admission::Take);
    assert_eq!(later(-70.0, false), Admission::Drop);
    assert_eq!(later(-501.0, false), Admission::Restart);
}
