use proptest::prelude::*;

use super::*;

const EPOCH_US: i64 = 1_700_000_000_000_000;
const HOUR_US: i64 = 3_600_000_000;

/// One publisher whose two RTP clocks are wrong, each by its own.
struct Sender {
    align: Align,
    audio_ppm: i64,
    video_ppm: i64,
}

impl Sender {
    fn send(&mut self, kind: Kind, true_us: i64, wall_error_us: i64) -> Aligned {
        let (rate, ppm, base) = match kind {
            Kind::Audio => (48_000, self.audio_ppm, 4_000_000_000),
            Kind::Video => (90_000, self.video_ppm, 77),
        };
        let ticks = i128::from(true_us) * i128::from(rate) * i128::from(1_000_000 + ppm) / 1_000_000_000_000;
        let wall = WallTime(EPOCH_US + true_us + wall_error_us);
        self.align.map(kind, MediaTime(base + ticks as i64), wall, rate)
    }
}

#[test]
fn an_hour_of_skewed_clocks_stays_within_20_ms() {
    let mut sender = Sender { align: Align::default(), audio_ppm: 200, video_ppm: -200 };
    let (mut audio_us, mut worst_us) = (0i64, 0i64);
    let mut last = [0i64; 2];
    let mut at_us = 0;
    while at_us < HOUR_US {
        // The walls are as sender reports leave them: right to some milliseconds, and not the same for both.
        let audio = sender.send(Kind::Audio, at_us, (at_us / 20_000 * 7_919) % 3_000);
        audio_us = audio.time.as_micros(48_000);
        assert!(!audio.discontinuity);
        let step = audio.time.0 - std::mem::replace(&mut last[0], audio.time.0);
        assert!(at_us == 0 || (955..=965).contains(&step), "a step of {step} samples at {at_us} us");
        if at_us % 40_000 == 0 {
            let video = sender.send(Kind::Video, at_us, -((at_us / 40_000 * 104_729) % 3_000));
            worst_us = worst_us.max((video.time.as_micros(90_000) - audio_us).abs());
            let step = video.time.0 - std::mem::replace(&mut last[1], video.time.0);
            assert!(at_us == 0 || (3_580..=3_620).contains(&step), "a step of {step} ticks at {at_us} us");
        }
        at_us += 20_000;
    }
    assert!(worst_us < 20_000, "{worst_us} us");
    let late_us = audio_us - (HOUR_US - 20_000 + ORIGIN_LEAD_US);
    assert!(late_us.abs() < 10_000, "and on the wall clock: {late_us} us");
}

#[test]
fn a_true_clock_keeps_its_steps_to_the_tick() {
    let mut align = Align::default();
    let mut last = None;
    for n in 0..10_000i64 {
        let noise_us = (n * 7_919) % 3_500;
        let out = align.map(Kind::Audio, MediaTime(n * 960), WallTime(EPOCH_US + n * 20_000 + noise_us), 48_000);
        assert!(last.is_none_or(|last| out.time - last == 960), "frame {n}");
        last = Some(out.time);
    }
}

#[test]
fn the_first_report_may_move_a_track_once_at_once() {
    let mut sender = Sender { align: Align::default(), audio_ppm: 0, video_ppm: 0 };
    let mut sent = |at_us: i64, video_error_us: i64| {
        let audio = sender.send(Kind::Audio, at_us, 0).time.as_micros(48_000);
        sender.send(Kind::Video, at_us, video_error_us).time.as_micros(90_000) - audio
    };
    for n in 0..25 {
        assert!((sent(n * 40_000, 150_000) - 150_000).abs() <= 30, "as it arrived");
    }
    // From here on the walls are by report: the picture had waited 150 ms before it was sent.
    let skews: Vec<i64> = (25..50).map(|n| sent(n * 40_000, 0)).collect();
    assert!(skews.iter().skip(4).all(|skew_us| skew_us.abs() < 100), "{skews:?}");
    let later: Vec<i64> = (60..100).map(|n| sent(n * 40_000, 150_000)).collect();
    assert!(later.iter().all(|skew_us| *skew_us <= 51 * 200), "afterwards at 0.5 %: {later:?}");
}

#[test]
fn a_clock_that_jumps_goes_on_by_the_wall() {
    for jump in [90_000i64 * 3_600, -90_000 * 3_600] {
        let mut align = Align::default();
        for n in 0..100i64 {
            align.map(Kind::Video, MediaTime(n * 3_600), WallTime(EPOCH_US + n * 40_000), 90_000);
        }
        let out = align.map(Kind::Video, MediaTime(100 * 3_600 + jump), WallTime(EPOCH_US + 4_000_000), 90_000);
        assert!(out.discontinuity);
        assert_eq!(out.time.as_micros(90_000), 4_000_000 + ORIGIN_LEAD_US);
        let out = align.map(Kind::Video, MediaTime(101 * 3_600 + jump), WallTime(EPOCH_US + 4_040_000), 90_000);
        assert!(!out.discontinuity);
        assert_eq!(out.time.as_micros(90_000), 4_040_000 + ORIGIN_LEAD_US);
    }
}

#[test]
fn a_pause_of_the_sender_is_a_gap_and_says_so() {
    let mut align = Align::default();
    align.map(Kind::Video, MediaTime(0), WallTime(EPOCH_US), 90_000);
    let out = align.map(Kind::Video, MediaTime(900_000), WallTime(EPOCH_US + 10_000_000), 90_000);
    assert!(out.discontinuity);
    assert_eq!(out.time.as_micros(90_000), 10_000_000 + ORIGIN_LEAD_US);
}

proptest! {
    #[test]
    fn any_times_give_times_that_rise(
        packets in proptest::collection::vec((any::<bool>(), any::<i64>(), any::<i64>()), 1..200)
    ) {
        let mut align = Align::default();
        let mut last = [MediaTime(-1); 2];
        for (is_audio, time, wall) in packets {
            let kind = if is_audio { Kind::Audio } else { Kind::Video };
            let out = align.map(kind, MediaTime(time >> 8), WallTime(wall >> 12), 48_000);
            prop_assert!(out.time > last[kind as usize]);
            last[kind as usize] = out.time;
        }
    }
}
