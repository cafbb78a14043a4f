use proptest::prelude::*;

use super::*;

const AUDIO_HZ: u32 = 48_000;
const VIDEO_HZ: u32 = 90_000;

/// A source of both tracks: 40 ms pictures, 20 ms sound, and a clock that can be moved.
struct Source {
    timeline: Timeline,
    now: Instant,
    true_ms: i64,
    base_ms: u32,
    video_ms: i64,
    audio_ms: i64,
    jumps: usize,
    skew_ms_max: i64,
}

impl Source {
    fn new(base_ms: u32) -> Self {
        let mut timeline = Timeline::default();
        let now = Instant::now();
        let first = timeline.map(now, Kind::Video, base_ms, 0, VIDEO_HZ);
        assert_eq!((first.dts, first.discontinuity), (MediaTime(0), false));
        Self { timeline, now, true_ms: 0, base_ms, video_ms: 0, audio_ms: 0, jumps: 0, skew_ms_max: 0 }
    }

    fn frame(&mut self, kind: Kind, at_ms: i64) -> Mapped {
        let raw_ms = self.base_ms.wrapping_add(at_ms as u32);
        let rate = if kind == Kind::Audio { AUDIO_HZ } else { VIDEO_HZ };
        let mapped = self.timeline.map(self.now, kind, raw_ms, 0, rate);
        let last_ms = if kind == Kind::Audio { &mut self.audio_ms } else { &mut self.video_ms };
        let out_ms = mapped.dts.as_millis(rate);
        assert!(out_ms >= *last_ms, "{kind:?} went back from {last_ms} to {out_ms}");
        *last_ms = out_ms;
        self.jumps += usize::from(mapped.discontinuity);
        mapped
    }

    /// Sends for so long; sound and picture of one moment come with one timestamp.
    fn run(&mut self, ms: i64) {
        let end_ms = self.true_ms + ms;
        while self.true_ms < end_ms {
            self.true_ms += 20;
            self.now += Duration::from_millis(20);
            self.frame(Kind::Audio, self.true_ms);
            if self.true_ms % 40 == 0 {
                self.frame(Kind::Video, self.true_ms);
                self.skew_ms_max = self.skew_ms_max.max((self.video_ms - self.audio_ms).abs());
            }
        }
    }
}

#[test]
fn the_wrap_is_not_seen() {
    let mut source = Source::new(u32::MAX - 1_000);
    source.run(3_000);
    assert_eq!((source.video_ms, source.audio_ms, source.jumps), (3_000, 3_000, 0));
}

#[test]
fn weeks_go_by_without_a_jump() {
    let mut timeline = Timeline::default();
    let mut now = Instant::now();
    // 60 days of 2 s steps: past the wrap at 49.7 days.
    for n in 0..(60u64 * 86_400 / 2) {
        let mapped = timeline.map(now, Kind::Audio, (n * 2_000) as u32, 0, AUDIO_HZ);
        assert_eq!(mapped.dts, MediaTime(n as i64 * 96_000));
        now += Duration::from_secs(2);
    }
}

#[test]
fn a_jump_of_hours_either_way_goes_on_where_it_was_with_both_tracks_together() {
    for jump_ms in [3_600_000i64, -3_600_000, 7 * 3_600_000, -12_345, 10_001, 1_000_000_000, -1_000_000_000] {
        let mut source = Source::new(500_000_000);
        source.run(4_000);
        source.base_ms = source.base_ms.wrapping_add(jump_ms as u32);
        source.run(4_000);
        assert_eq!(source.jumps, 2, "once a track, for {jump_ms}");
        assert!((source.video_ms - 8_000).abs() <= 60, "{jump_ms}: {} ms", source.video_ms);
        assert_eq!(source.video_ms, source.audio_ms, "{jump_ms}");
        assert!(source.skew_ms_max <= 40, "{jump_ms}: {} ms", source.skew_ms_max);
    }
}

#[test]
fn the_second_track_may_jump_later() {
    let mut source = Source::new(0);
    source.run(2_000);
    // The muxer had 300 ms of sound of the old clock queued when the picture began on the new one.
    let hour_ms = 3_600_000;
    let mut at_ms = 2_000;
    for _ in 0..15 {
        at_ms += 20;
        source.now += Duration::from_millis(20);
        source.frame(Kind::Audio, at_ms);
        if at_ms % 40 == 0 {
            source.frame(Kind::Video, at_ms + hour_ms);
        }
    }
    source.true_ms = at_ms;
    source.base_ms = hour_ms as u32;
    source.run(2_000);
    assert_eq!(source.jumps, 2);
    assert_eq!(source.video_ms + 20, source.audio_ms, "the last sound is of 20 ms after the last picture");
    assert!((4_250..4_450).contains(&source.video_ms), "{}", source.video_ms);
}

#[test]
fn a_silence_that_the_clock_knows_of_stays() {
    let mut source = Source::new(0);
    source.run(1_000);
    source.now += Duration::from_secs(10);
    source.true_ms += 10_000;
    source.run(1_000);
    assert_eq!((source.video_ms, source.audio_ms), (12_000, 12_000));
    assert_eq!(source.jumps, 1, "the first track after the silence says so");
}

#[test]
fn a_camera_that_pauses_comes_back_in_step() {
    let mut source = Source::new(0);
    source.run(1_000);
    for _ in 0..500 {
        source.true_ms += 20;
        source.now += Duration::from_millis(20);
        source.frame(Kind::Audio, source.true_ms);
    }
    source.run(1_000);
    assert_eq!((source.video_ms, source.audio_ms, source.jumps), (12_000, 12_000, 0));
}

#[test]
fn a_track_on_a_clock_of_its_own_begins_where_the_other_is() {
    let mut timeline = Timeline::default();
    let now = Instant::now();
    for n in 0..100 {
        timeline.map(now, Kind::Audio, 90_000_000 + n * 20, 0, AUDIO_HZ);
    }
    assert_eq!(timeline.map(now, Kind::Video, 0, 0, VIDEO_HZ).dts.as_millis(VIDEO_HZ), 1_980);
    assert_eq!(timeline.map(now, Kind::Video, 40, 0, VIDEO_HZ).dts.as_millis(VIDEO_HZ), 2_020);
}

#[test]
fn composition_is_kept_and_a_late_frame_is_held_at_the_last() {
    let mut timeline = Timeline::default();
    let now = Instant::now();
    timeline.map(now, Kind::Video, 1_000, 0, VIDEO_HZ);
    let second = timeline.map(now, Kind::Video, 1_040, 80, VIDEO_HZ);
    assert_eq!((second.dts, second.pts), (MediaTime(3_600), MediaTime(3_600 + 7_200)));
    let late = timeline.map(now, Kind::Video, 1_035, 0, VIDEO_HZ);
    assert_eq!((late.dts, late.discontinuity), (MediaTime(3_601), false));
    let third = timeline.map(now, Kind::Video, 1_080, 0, VIDEO_HZ);
    assert_eq!(third.dts, MediaTime(7_200), "and the offset has not moved");
}

#[test]
fn a_sound_that_began_before_the_picture_is_not_before_the_origin() {
    let mut timeline = Timeline::default();
    let now = Instant::now();
    timeline.map(now, Kind::Video, 100, 0, VIDEO_HZ);
    assert_eq!(timeline.map(now, Kind::Audio, 60, 0, AUDIO_HZ).dts, MediaTime(0));
    assert_eq!(timeline.map(now, Kind::Audio, 120, 0, AUDIO_HZ).dts.as_millis(AUDIO_HZ), 20);
}

#[test]
fn a_further_track_keeps_to_the_clock_of_the_first() {
    for base_ms in [0u32, 5_000, u32::MAX - 300] {
        let (mut timeline, now) = (Timeline::default(), Instant::now());
        let raw = |ms: u32| base_ms.wrapping_add(ms);
        for ms in (0..1_000).step_by(40) {
            let first = timeline.map(now, Kind::Video, raw(ms), 40, VIDEO_HZ);
            let further = timeline.map_further(now, (1, Kind::Video), raw(ms), 40, VIDEO_HZ);
            assert_eq!(further, first, "{ms} ms after {base_ms}");
            let sound = timeline.map_further(now, (1, Kind::Audio), raw(ms), 0, AUDIO_HZ);
            assert_eq!(sound.dts.as_millis(AUDIO_HZ), first.dts.as_millis(VIDEO_HZ));
        }
        // The source's clock jumps: the further tracks follow the first.
        for ms in (60_000..61_000).step_by(40) {
            let first = timeline.map(now, Kind::Video, raw(ms), 0, VIDEO_HZ);
            let further = timeline.map_further(now, (1, Kind::Video), raw(ms), 0, VIDEO_HZ);
            assert_eq!(further, first, "{ms} ms after {base_ms}");
        }
        assert!(timeline.map(now, Kind::Video, raw(61_000), 0, VIDEO_HZ).dts.as_millis(VIDEO_HZ) < 6_000);
    }
}

proptest! {
    #[test]
    fn any_clock_gives_times_that_rise_and_never_run_away(
        steps in proptest::collection::vec((any::<bool>(), prop_oneof![any::<u32>(), 0u32..100, Just(u32::MAX - 5)], 0u64..50), 1..300)
    ) {
        let mut timeline = Timeline::default();
        let mut now = Instant::now();
        let begin = now;
        let mut last = [MediaTime(-1); 2];
        let mut raw = 0u32;
        for (count, (is_audio, step, wait_ms)) in steps.into_iter().enumerate() {
            now += Duration::from_millis(wait_ms);
            raw = raw.wrapping_add(step);
            let (kind, rate) = if is_audio { (Kind::Audio, 44_100) } else { (Kind::Video, VIDEO_HZ) };
            let mapped = timeline.map(now, kind, raw, 0, rate);
            prop_assert!(mapped.dts > last[kind as usize]);
            last[kind as usize] = mapped.dts;
            // No single step, however wild, moves the output by more than a gap beyond what has gone by.
            let bound_ms = millis(now.saturating_duration_since(begin)) + GAP_MS * (count as i64 + 1);
            prop_assert!(mapped.dts.as_millis(rate) <= bound_ms);
        }
    }
}
