use bytes::Bytes;
use media::{Codec, Flags, Payload, WallTime, aac, h264};
use proptest::prelude::*;

use super::*;

const WALL_US: i64 = 1_700_000_000_000_000;

fn picture_track() -> TrackInfo {
    let sps = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0];
    let pps = Bytes::from_static(&[0x68, 0xce, 0x3c, 0x80]);
    TrackInfo::h264(h264::Config::from_sets(vec![Bytes::copy_from_slice(&sps)], vec![pps]).unwrap())
}

fn sound_track() -> TrackInfo {
    TrackInfo::aac(aac::Config::lc(44_100, 2).unwrap())
}

fn frame(codec: Codec, rate_hz: u32, ms: i64, key: bool, bytes: usize) -> Frame {
    let dts = MediaTime(ms).rescale(1_000, rate_hz);
    Frame {
        codec,
        flags: Flags { key, ..Flags::default() },
        dts,
        pts: dts,
        wall: WallTime(WALL_US + ms * 1_000),
        payload: Payload::single(Bytes::from(vec![7; bytes])),
    }
}

/// A stream at 25 pictures a second with a key frame every `gop_ms`, and sound stamped in whole milliseconds.
struct Source {
    packager: Packager,
    epochs: [u32; 2],
    gop_ms: i64,
    offset_ms: i64,
    sound_offset_ms: i64,
    sound_at: i64,
    picture_bytes: usize,
}

impl Source {
    fn new(config: Config, gop_ms: i64) -> Self {
        Self {
            packager: Packager::new(config),
            epochs: [1, 2],
            gop_ms,
            offset_ms: 0,
            sound_offset_ms: 0,
            sound_at: 0,
            picture_bytes: 500,
        }
    }

    fn picture(&mut self, ms: i64, flags: impl Fn(&mut Flags)) {
        let mut frame = frame(Codec::H264, 90_000, ms + self.offset_ms, ms % self.gop_ms == 0, self.picture_bytes);
        flags(&mut frame.flags);
        self.packager.push(self.epochs[0], &picture_track(), &frame);
    }

    fn sound(&mut self, until_ms: i64) {
        while self.sound_at * 1_024_000 / 44_100 < until_ms {
            let ms = self.sound_at * 1_024_000 / 44_100;
            let frame = frame(Codec::Aac, 44_100, ms + self.offset_ms + self.sound_offset_ms, true, 200);
            self.packager.push(self.epochs[1], &sound_track(), &frame);
            self.sound_at += 1;
        }
    }

    fn run(&mut self, from_ms: i64, to_ms: i64) {
        for ms in (from_ms..to_ms).step_by(40) {
            self.picture(ms, |_| ());
            self.sound(ms + 40);
        }
    }

    fn playlist(&self) -> String {
        self.packager.playlist("").unwrap()
    }

    fn durations(&self) -> Vec<f64> {
        let parse = |line: &str| line.strip_prefix("#EXTINF:").map(|rest| rest.trim_end_matches(',').parse().unwrap());
        self.playlist().lines().filter_map(parse).collect()
    }
}

/// Decoding time, and (duration, size, composition offset) of each sample, of the run at `index` in a segment.
fn run(segment: &Bytes, index: usize) -> (u64, Vec<(u32, u32, i32)>) {
    let body = |name: &[u8; 4]| {
        let at = segment.windows(4).enumerate().filter(|(_, word)| word == name).nth(index).unwrap().0;
        segment.slice(at + 4..)
    };
    let word = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let (tfdt, trun) = (body(b"tfdt"), body(b"trun"));
    let time = u64::from(word(&tfdt, 4)) << 32 | u64::from(word(&tfdt, 8));
    let (flags, count) = (word(&trun, 0) & 0xff_ffff, word(&trun, 4) as usize);
    let (has_flags, has_cts) = (flags & 0x400 != 0, flags & 0x800 != 0);
    let stride = 8 + 4 * usize::from(has_flags) + 4 * usize::from(has_cts);
    let sample = |at: usize| {
        let at = 12 + at * stride;
        let cts = if has_cts { word(&trun, at + stride - 4).cast_signed() } else { 0 };
        (word(&trun, at), word(&trun, at + 4), cts)
    };
    (time, (0..count).map(sample).collect())
}

#[test]
fn cuts_at_the_first_key_frame_that_is_late_enough() {
    let mut source = Source::new(Config::default(), 800);
    source.run(0, 2_400);
    assert!(!source.packager.ready() && source.packager.playlist("").is_none());
    assert!(source.packager.multivariant("media.m3u8").is_none());
    source.run(2_400, 7_400);
    assert!(source.packager.ready());
    insta::assert_snapshot!(source.packager.playlist("?key=1").unwrap(), @r#"
    #EXTM3U
    #EXT-X-VERSION:7
    #EXT-X-TARGETDURATION:2
    #EXT-X-MEDIA-SEQUENCE:0
    #EXT-X-INDEPENDENT-SEGMENTS
    #EXT-X-MAP:URI="init0.mp4?key=1"
    #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
    #EXTINF:2.40000,
    seg0.m4s?key=1
    #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22.400Z
    #EXTINF:2.40000,
    seg1.m4s?key=1
    #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:24.800Z
    #EXTINF:2.40000,
    seg2.m4s?key=1
    "#);
    insta::assert_snapshot!(source.packager.multivariant("a/media.m3u8").unwrap(), @r#"
    #EXTM3U
    #EXT-X-VERSION:7
    #EXT-X-INDEPENDENT-SEGMENTS
    #EXT-X-STREAM-INF:BANDWIDTH=176040,AVERAGE-BANDWIDTH=175809,CODECS="avc1.42C01F,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=25.000
    a/media.m3u8
    "#);
}

#[test]
fn a_key_frame_that_comes_a_little_early_ends_a_segment() {
    let mut source = Source::new(Config::default(), 1_960);
    source.run(0, 12_000);
    assert!(source.durations().iter().all(|&seconds| (1.9..2.1).contains(&seconds)), "{:?}", source.durations());
}

#[test]
fn time_runs_on_from_segment_to_segment() {
    let mut source = Source::new(Config::default(), 2_000);
    source.run(0, 10_040);
    let [mut picture_next, mut sound_next] = [0, 0];
    for number in 0..5 {
        let segment = source.packager.segment(number).unwrap();
        let (time, samples) = run(&segment, 0);
        assert_eq!(time, picture_next, "pictures of segment {number}");
        assert_eq!(samples.len(), 50);
        picture_next += samples.iter().map(|sample| u64::from(sample.0)).sum::<u64>();
        let (time, samples) = run(&segment, 1);
        assert!(time.abs_diff(sound_next) <= 2, "sound of segment {number}: {time} after {sound_next}");
        assert!(samples.iter().all(|sample| sample.0 == 1_024), "stamps in ms do not show");
        sound_next = time + 1_024 * samples.len() as u64;
    }
    assert_eq!(picture_next, 900_000);
    assert!(sound_next.abs_diff(441_000) < 2_048);
}

#[test]
fn sound_follows_its_stamps_in_small_steps() {
    let mut clock = open::SoundClock::default();
    let mut open = Open::new(&frame(Codec::Aac, 44_100, 0, true, 1), 44_100);
    // 500 ppm: 30 ms in a minute.
    for at in 0..2_600i64 {
        let mut frame = frame(Codec::Aac, 44_100, 0, true, 1);
        frame.dts = MediaTime(at * 1_024 * 10_005 / 10_000);
        assert!(open.push_audio(&frame, 44_100, &mut clock));
    }
    let closed = open.close(&[&sound_track()], None);
    assert!(closed.runs[0].samples.iter().all(|sample| (1_022..=1_026).contains(&sample.duration)));
    let end = closed.runs[0].samples.iter().map(|sample| i64::from(sample.duration)).sum::<i64>();
    let wanted = 2_600 * 1_024 * 10_005 / 10_000;
    assert!((end - wanted).abs() < 200, "{end} for {wanted}");
}

#[test]
fn pictures_that_are_shown_in_another_order_keep_their_times() {
    let mut packager = Packager::new(Config::default());
    for at in 0..60i64 {
        let mut frame = frame(Codec::H264, 90_000, at * 40, at % 50 == 0, 100);
        frame.pts = frame.dts + [3_600, 10_800, 0][(at % 3) as usize];
        packager.push(1, &picture_track(), &frame);
    }
    let (time, samples) = run(&packager.segment(0).unwrap(), 0);
    assert_eq!((time, samples.len()), (0, 50));
    assert_eq!(samples[..4], [(3_600, 104, 3_600), (3_600, 104, 10_800), (3_600, 104, 0), (3_600, 104, 3_600)]);
}

#[test]
fn sound_alone_is_cut_by_time() {
    let mut source = Source::new(Config::default(), 2_000);
    source.sound(7_000);
    assert_eq!(source.durations().len(), 3);
    assert!(source.durations().iter().all(|&seconds| (2.0..2.03).contains(&seconds)));
    let multivariant = source.packager.multivariant("m.m3u8").unwrap();
    assert!(multivariant.contains("CODECS=\"mp4a.40.2\"\n"), "{multivariant}");
}

#[test]
fn a_new_track_is_a_new_map_and_a_discontinuity() {
    let mut source = Source::new(Config { segments: 3, keep: 1, ..Config::default() }, 2_000);
    source.run(0, 4_000);
    source.epochs[0] = 3;
    source.run(4_000, 6_040);
    let playlist = source.playlist();
    let from = playlist.find("#EXT-X-DISCONTINUITY\n").unwrap();
    assert!(playlist[from..].starts_with("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init1.mp4\"\n"), "{playlist}");
    assert!(playlist.contains("#EXT-X-DISCONTINUITY-SEQUENCE:0\n"));
    source.run(6_040, 12_040);
    let playlist = source.playlist();
    assert!(!playlist.contains("#EXT-X-DISCONTINUITY\n"), "{playlist}");
    assert!(playlist.contains("#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{playlist}");
    assert!(source.packager.init(0).is_none() && source.packager.init(1).is_some());

    // Sound changes in the middle of a group of pictures, and waits for its end.
    source.epochs[1] = 4;
    source.run(12_040, 16_040);
    assert_eq!(source.durations(), [2.0; 3]);
    assert!(source.playlist().contains("init2.mp4"));
    assert!(source.packager.dropped().frames > 70, "{:?}", source.packager.dropped());
}

#[test]
fn a_jump_of_time_is_a_discontinuity() {
    for (offset_ms, flag) in [(-5_000, false), (60_000, false), (0, true), (500, true)] {
        let mut source = Source::new(Config::default(), 2_000);
        source.run(0, 6_000);
        source.offset_ms = offset_ms;
        source.picture(6_000, |flags| flags.discontinuity = flag);
        source.run(6_040, 10_040);
        let playlist = source.playlist();
        assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{offset_ms} {flag}: {playlist}");
        assert!(source.durations().iter().all(|&seconds| (seconds - 2.0).abs() < 0.001), "{playlist}");
        let (time, samples) = run(&source.packager.segment(3).unwrap(), 1);
        let expected = (6_000 + offset_ms) * 44_100 / 1_000;
        assert!(time.abs_diff(expected as u64) < 2_100 && samples.len() > 80, "sound begins anew too: {time}");
    }
}

#[test]
fn sound_whose_clock_jumps_is_taken_up_at_the_next_cut() {
    for offset_ms in [-1_000, 20_000] {
        let mut source = Source::new(Config::default(), 2_000);
        source.run(0, 4_000);
        source.sound_offset_ms = offset_ms;
        source.run(4_000, 8_040);
        assert_eq!(source.playlist().matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{}", source.playlist());
        let (time, samples) = run(&source.packager.segment(3).unwrap(), 1);
        let wanted = (6_000 + offset_ms).cast_unsigned() * 44_100 / 1_000;
        assert!(time.abs_diff(wanted) < 2_100 && samples.len() > 80, "{time} for {wanted}");
    }
}

#[test]
fn stamps_of_sound_that_come_in_pairs_break_nothing() {
    let mut packager = Packager::new(Config::default());
    for at in 0..300i64 {
        let frame = frame(Codec::Aac, 44_100, at / 2 * 2 * 1_024_000 / 44_100, true, 10);
        packager.push(1, &sound_track(), &frame);
    }
    assert!(!packager.playlist("").unwrap().contains("DISCONTINUITY"));
    assert_eq!(packager.dropped().frames, 0);
}

#[test]
fn a_group_is_never_cut_and_one_that_is_too_large_is_dropped() {
    let mut source = Source::new(Config::default(), 12_000);
    source.run(0, 12_040);
    assert_eq!(source.durations(), [12.0]);
    assert!(source.playlist().contains("#EXT-X-TARGETDURATION:12\n"));
    source.picture_bytes = SEGMENT_BYTES_MAX / 100;
    source.run(12_040, 24_000);
    assert_eq!(source.packager.dropped().segments, 1);
    source.picture_bytes = 500;
    source.run(24_000, 36_040);
    assert_eq!(source.durations(), [12.0, 12.0]);
    assert!(source.playlist().contains("#EXT-X-DISCONTINUITY\n"));
}

#[test]
fn what_is_kept_is_bounded() {
    let mut source = Source::new(Config { segments: 6, keep: 3, ..Config::default() }, 2_000);
    source.run(0, 60_040);
    assert_eq!(source.durations().len(), 6);
    let kept: Vec<u64> = (0..40).filter(|&number| source.packager.segment(number).is_some()).collect();
    assert_eq!(kept, (21..30).collect::<Vec<_>>(), "six listed and three more");
    assert!(source.playlist().contains("#EXT-X-MEDIA-SEQUENCE:24\n"));
    source.packager.end();
    assert!(source.playlist().ends_with("#EXT-X-ENDLIST\n"));
    let before = source.playlist();
    source.run(60_040, 66_000);
    assert_eq!(source.playlist(), before, "nothing comes after the end");
}

#[test]
fn the_sound_before_the_first_picture_makes_no_segment() {
    let mut source = Source::new(Config::default(), 2_000);
    source.sound(300);
    source.sound_at = 0;
    source.run(0, 4_040);
    assert!(!source.playlist().contains("DISCONTINUITY") && source.packager.init(1).is_none());
}

#[test]
fn goes_on_with_sound_when_pictures_stop() {
    let mut source = Source::new(Config::default(), 2_000);
    source.run(0, 4_040);
    source.sound(20_000);
    let playlist = source.playlist();
    assert!(playlist.contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init1.mp4\""), "{playlist}");
    assert!(!source.packager.multivariant("m").unwrap().contains("avc1"));
    source.run(20_000, 24_040);
    assert!(source.packager.multivariant("m").unwrap().contains("avc1"), "and takes them up again");
}

#[test]
fn what_cannot_be_packaged_is_counted() {
    let mut packager = Packager::new(Config::default());
    let vp8 = TrackInfo { codec: Codec::Vp8, clock_rate_hz: 90_000, config: media::Config::None };
    packager.push(1, &vp8, &frame(Codec::Vp8, 90_000, 0, true, 10));
    packager.push(2, &picture_track(), &frame(Codec::H264, 90_000, 0, false, 10));
    assert_eq!(packager.dropped(), Dropped { frames: 2, segments: 0 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_order_of_frames_is_survived(
        steps in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), 0u32..3, 0u8..3, any::<i64>()), 1..200),
    ) {
        let mut packager = Packager::new(Config { segment_ms: 100, ..Config::default() });
        let (picture, sound) = (picture_track(), sound_track());
        for (is_picture, key, flag, epoch, kind, time) in steps {
            let (codec, rate_hz, info) = if is_picture { (Codec::H264, 90_000, &picture) } else { (Codec::Aac, 44_100, &sound) };
            let mut frame = frame(codec, rate_hz, 0, key || !is_picture, 10);
            frame.dts = MediaTime(match kind { 0 => time, 1 => time % 10_000_000, _ => time % 50_000 });
            frame.pts = MediaTime(time.wrapping_mul(3));
            frame.flags.discontinuity = flag;
            packager.push(epoch, info, &frame);
        }
        packager.end();
        prop_assert!((0..400).filter(|&number| packager.segment(number).is_some()).count() <= 9);
        if packager.ready() {
            prop_assert!(packager.playlist("").is_some() && packager.multivariant("m").is_some());
        }
    }
}
