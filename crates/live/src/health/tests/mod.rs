mod world;

use std::time::{Duration, Instant};

use media::{Codec, Flags, Kind};
use proptest::prelude::*;

use super::*;
use world::{World, aac, bare, h264};

/// These and no others.
fn is_only(world: &mut World, faults: &[Fault]) {
    let mut found = world.faults();
    found.sort();
    let mut expected = faults.to_vec();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_good_stream_has_its_measures_and_no_fault_across_a_wrap() {
    let mut world = World::new();
    world.health.claim(world.begin, Claims { frame_rate: Some(30.0), video: true, audio: true });
    world.run(90_000);
    is_only(&mut world, &[]);
    let report = world.report();
    assert_eq!(report.score, Score::Good);
    let video = report.video.unwrap();
    assert!((video.frame_rate.unwrap() - 30.3).abs() < 0.05, "{video:?}");
    assert_eq!(video.gop, Some((990, 30)));
    assert_eq!(video.gop_ms_max, Some(990));
    assert_eq!(video.coding.profile.as_deref(), Some("High"));
    assert_eq!(video.coding.size, Some((1_920, 1_080)));
    assert_eq!(video.b_frames, BFrames::None);
    assert!((1_900_000..1_970_000).contains(&video.bitrate_bps.unwrap()), "{:?}", video.bitrate_bps);
    let audio = report.audio.unwrap();
    assert_eq!((audio.coding.sound, audio.coding.profile.as_deref()), (Some((48_000, 2)), Some("AAC-LC")));
    assert!((report.speed.unwrap() - 1.0).abs() < 0.02, "{:?}", report.speed);
    assert!(report.apart_ms.unwrap() <= 33);
    assert_eq!(report.seconds.len(), SECONDS_MAX);
    assert!(report.seconds.iter().all(|second| (29..=31).contains(&second.pictures)));
}

#[test]
fn every_fault_has_a_code_of_its_own_and_a_sentence_that_names_a_setting() {
    let mut codes: Vec<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Fault::ALL.len());
    for fault in Fault::ALL {
        let sentence = fault.sentence(3.25);
        assert!(!sentence.contains('{') && !sentence.contains("  "), "{sentence}");
        assert!(sentence.contains("OBS") && sentence.to_lowercase().contains("ffmpeg"), "{sentence}");
    }
    assert!(Fault::KeyFrameIntervalLong.sentence(9.99).contains(" 10 s apart"));
    assert!(Fault::Slow.sentence(0.82).contains(" 0.8 s of media"));
}

#[test]
fn the_page_of_the_documentation_has_every_fault() {
    let page = include_str!("../../../../../docs/health.md");
    for fault in Fault::ALL {
        let row = format!("| `{}` | {} | ", fault.code(), fault.severity().name());
        assert!(page.contains(&row), "docs/health.md lacks: {row}");
    }
    assert_eq!(page.matches("\n| `").count(), Fault::ALL.len() + MEASURES);
}

/// Rows of the table of measures that begin with a name.
const MEASURES: usize = 10;

#[test]
fn what_is_over_is_gone_after_a_while_and_stays_in_a_bounded_history() {
    let mut world = World::new();
    world.run(5_000).shift(-500).run(1_000);
    is_only(&mut world, &[Fault::VideoBackwards, Fault::AudioBackwards]);
    let first = world.report().faults[0];
    assert_eq!((first.fault, first.count, first.found), (Fault::VideoBackwards, 1, 467.0));
    world.run(28_000);
    is_only(&mut world, &[Fault::VideoBackwards, Fault::AudioBackwards]);
    world.run(3_000);
    is_only(&mut world, &[]);
    let history = world.report().history;
    assert_eq!(history.len(), 2);
    assert!(history.contains(&first));
    for _ in 0..2 * HISTORY_MAX {
        world.shift(-500).run(32_000);
    }
    assert_eq!(world.report().history.len(), HISTORY_MAX);
    let begun = std::iter::from_fn(|| world.health.poll_begun()).count();
    assert!((4..=2 * Fault::ALL.len()).contains(&begun), "{begun}");
}

#[test]
fn a_fault_that_comes_back_goes_on_and_is_counted_as_begun_once() {
    let mut world = World::new();
    world.run(5_000);
    for _ in 0..5 {
        world.shift(-500).run(10_000);
    }
    let spell = world.report().faults[0];
    assert_eq!((spell.fault, spell.count), (Fault::VideoBackwards, 5));
    assert!(spell.last > spell.since);
    let begun: Vec<_> = std::iter::from_fn(|| world.health.poll_begun()).collect();
    assert_eq!(begun, [Fault::VideoBackwards, Fault::AudioBackwards]);
}

#[test]
fn clocks_that_jump() {
    let mut world = World::new();
    world.run(5_000).shift(3_600_000).run(3_000);
    is_only(&mut world, &[Fault::VideoJump, Fault::AudioJump]);
    let mut world = World::new();
    world.run(5_000).shift(-3_600_000).run(3_000);
    is_only(&mut world, &[Fault::VideoJump, Fault::AudioJump]);
    let mut world = World::new();
    world.run(5_000).shift(900).run(3_000);
    is_only(&mut world, &[]);
}

#[test]
fn a_source_that_was_silent_did_not_jump_but_stalled() {
    let mut world = World::new();
    world.run(8_000).silent(1_500).shift(1_500).run(6_000);
    is_only(&mut world, &[]);
    // What it kept back for a moment comes with less silence than its clock says.
    world.silent(1_500).shift(2_200).run(6_000);
    is_only(&mut world, &[]);
    world.silent(3_000);
    is_only(&mut world, &[Fault::Stalled]);
    assert_eq!(world.report().stalls, 0, "it is not over");
    world.shift(3_000).run(3_000);
    is_only(&mut world, &[Fault::Stalled]);
    assert_eq!(world.report().stalls, 1);
}

#[test]
fn sound_and_picture_apart() {
    let mut world = World::new();
    world.audio_ms = world.audio_ms.wrapping_sub(1_500);
    world.run(4_000);
    is_only(&mut world, &[Fault::Apart]);
    assert!((1_450..=1_550).contains(&world.report().apart_ms.unwrap()));
    let mut world = World::new();
    world.audio_ms = world.audio_ms.wrapping_sub(800);
    world.run(9_000);
    is_only(&mut world, &[]);
}

#[test]
fn changes_by_their_kind() {
    let cases = [
        (h264(80), Fault::ResolutionChanged),
        (aac(44_100, 2), Fault::SampleRateChanged),
        (aac(48_000, 1), Fault::ConfigChanged),
        (TrackInfo::opus(2), Fault::CodecChanged),
    ];
    for (info, fault) in cases {
        let mut world = World::new();
        let same = if info.kind() == Kind::Video { h264(120) } else { aac(48_000, 2) };
        world.run(5_000).announce(&same);
        is_only(&mut world, &[]);
        world.announce(&info).run(1_000);
        is_only(&mut world, &[fault]);
    }
}

#[test]
fn codings_that_not_everybody_plays() {
    for codec in [Codec::H265, Codec::Av1, Codec::Vp9] {
        let mut health = Health::default();
        let now = Instant::now();
        health.announce(now, &bare(codec));
        assert_eq!(health.report(now).faults[0].fault, Fault::CodecNotEverywhere);
        assert_eq!(health.report(now).score, Score::Good, "nothing is wrong with it");
        let mut health = Health::default();
        health.announce_packets(now, Some(codec), Some(Codec::Opus));
        assert_eq!(health.report(now).faults[0].fault, Fault::CodecOnlyWebrtc);
    }
}

#[test]
fn frame_rates() {
    let mut world = World::new();
    world.step_ms = 125;
    world.gop_frames = 8;
    world.run(8_000);
    is_only(&mut world, &[Fault::FrameRateLow]);

    let mut world = World::new();
    world.health.claim(world.begin, Claims { frame_rate: Some(60.0), video: true, audio: true });
    world.run(8_000);
    is_only(&mut world, &[Fault::FrameRateClaim]);
    world.health.claim(world.now(), Claims { frame_rate: Some(29.97), video: true, audio: true });
    world.run(40_000);
    is_only(&mut world, &[]);

    let mut world = World::new();
    for _ in 0..80 {
        world.run(99);
        world.at_ms += 66;
        world.shift(66);
    }
    is_only(&mut world, &[Fault::FrameRateUnstable]);
}

#[test]
fn key_frames() {
    let mut world = World::new();
    world.gop_frames = 0;
    world.run(2_900);
    is_only(&mut world, &[]);
    world.run(1_200);
    is_only(&mut world, &[Fault::NoKeyFrame]);
    assert_eq!(world.report().score, Score::Bad);

    let mut world = World::new();
    world.gop_frames = 300;
    world.run(25_000);
    is_only(&mut world, &[Fault::KeyFrameIntervalLong]);
    assert_eq!(world.report().video.unwrap().gop, Some((9_900, 300)));
    assert_eq!(world.report().score, Score::Fair);

    let mut world = World::new();
    world.gop_frames = 90;
    world.run(25_000);
    is_only(&mut world, &[]);

    let mut world = World::new();
    for frames in [30, 12, 75, 20, 60] {
        world.gop_frames = frames;
        world.frames = 0;
        world.run(frames * 33);
    }
    world.run(2_000);
    is_only(&mut world, &[Fault::KeyFrameIntervalIrregular]);
}

#[test]
fn b_frames_stay_a_fault_as_long_as_the_coding_stays() {
    let mut world = World::new();
    world.run(2_000);
    world.flags = Flags { b_frame: true, discardable: true, ..Flags::default() };
    world.run(2_000);
    is_only(&mut world, &[]);
    assert_eq!(world.b_frames(), BFrames::Discardable);
    world.flags.discardable = false;
    world.picture();
    is_only(&mut world, &[Fault::BFrames]);
    world.flags.b_frame = false;
    world.run(60_000);
    is_only(&mut world, &[Fault::BFrames]);
    world.announce(&h264(80)).run(32_000);
    is_only(&mut world, &[]);
}

#[test]
fn sound_that_webrtc_viewers_do_not_get_whole() {
    let mut world = World::new();
    world.announce(&aac(48_000, 6)).run(5_000);
    is_only(&mut world, &[Fault::ConfigChanged, Fault::ManyChannels]);
    let mut health = Health::default();
    let asc = bytes::Bytes::from_static(&[0x2b, 0x11, 0x88]);
    health.announce(Instant::now(), &TrackInfo::aac(media::aac::Config::parse(asc).unwrap()));
    assert_eq!(health.report(Instant::now()).faults[0].fault, Fault::HeAac);
}

#[test]
fn bitrates() {
    let mut world = World::new();
    world.picture_bytes = 100;
    world.run(8_000);
    is_only(&mut world, &[Fault::BitrateLow]);

    let mut world = World::new();
    world.run(14_000);
    is_only(&mut world, &[]);
    world.picture_bytes = 80_000;
    world.run(6_000);
    is_only(&mut world, &[Fault::BitrateUnstable]);
}

#[test]
fn slow_and_in_floods() {
    let mut world = World::new();
    world.pace_percent = 80;
    world.run(12_000);
    is_only(&mut world, &[Fault::Slow]);
    assert!((world.report().speed.unwrap() - 0.8).abs() < 0.05);

    let mut world = World::new();
    world.pace_percent = 300;
    world.run(2_900);
    is_only(&mut world, &[]);
    world.pace_percent = 100;
    world.run(9_000);
    is_only(&mut world, &[]);
    world.pace_percent = 300;
    world.run(4_000);
    is_only(&mut world, &[Fault::Bursts]);
}

#[test]
fn what_is_announced_and_does_not_come() {
    let mut world = World::new();
    world.audio = false;
    world.run(2_500);
    is_only(&mut world, &[]);
    world.run(3_000);
    is_only(&mut world, &[Fault::AudioMissing]);
    world.audio = true;
    world.audio_ms = world.video_ms;
    world.run(40_000);
    is_only(&mut world, &[]);
    world.video = false;
    world.run(5_000);
    is_only(&mut world, &[Fault::VideoMissing]);

    let now = Instant::now();
    let mut health = Health::default();
    health.announce(now, &h264(80));
    health.claim(now, Claims { audio: true, ..Claims::default() });
    let mut world = World { health, ..World::new() };
    (world.begin, world.audio) = (now, false);
    world.run(5_000);
    is_only(&mut world, &[Fault::AudioMissing]);
}

#[test]
fn damaged_messages() {
    let mut world = World::new();
    world.run(3_000);
    world.health.damaged(world.now());
    is_only(&mut world, &[Fault::Damaged]);
}

#[test]
fn a_source_of_packets_has_its_bitrate_and_its_stalls() {
    let begin = Instant::now();
    let mut health = Health::default();
    health.announce_packets(begin, Some(Codec::H264), Some(Codec::Opus));
    // Heard of once a second, now a little before the second is whole and now a little after.
    for second in 1..=20u64 {
        let at_ms = second * 1_000 + if second % 2 == 0 { 10 } else { 0 } - 5;
        health.packets(begin + Duration::from_millis(at_ms), Moved { bytes: at_ms * 125, ..Moved::default() });
    }
    let report = health.report(begin + Duration::from_millis(20_010));
    assert!((990_000..=1_010_000).contains(&report.bitrate_bps), "{}", report.bitrate_bps);
    assert_eq!(report.score, Score::Good);
    let even = report.seconds.iter().skip(2).all(|second| (120_000..=130_000).contains(&second.video_bytes));
    assert!(even, "{:?}", report.seconds);
    assert_eq!(report.video.unwrap().codec, Some(Codec::H264));
    health.packets(begin + Duration::from_secs(25), Moved::default());
    let report = health.report(begin + Duration::from_secs(26));
    assert_eq!((report.faults[0].fault, report.stalls), (Fault::Stalled, 1));
}

#[test]
fn lost_packets_are_said_once_they_are_many_and_an_old_figure_is_none() {
    let begin = Instant::now();
    let mut health = Health::default();
    health.announce_packets(begin, Some(Codec::H264), None);
    let faults = |health: &mut Health, second: u64, packets, lost| {
        let now = begin + Duration::from_secs(second);
        health.packets(now, Moved { bytes: packets * 1_000, packets, lost });
        health.report(now).faults.iter().map(|spell| (spell.fault, spell.found)).collect::<Vec<_>>()
    };
    assert_eq!(faults(&mut health, 1, 200, 0), []);
    assert_eq!(faults(&mut health, 2, 400, 2), [], "two of two hundred are few");
    assert_eq!(faults(&mut health, 3, 600, 3), []);
    assert_eq!(faults(&mut health, 4, 0, 0), [], "the media thread has said nothing");
    assert_eq!(faults(&mut health, 5, 700, 3), []);
    assert_eq!(faults(&mut health, 6, 890, 13), [(Fault::PacketsLost, 5.0)]);
    assert_eq!(health.report(begin + Duration::from_secs(6)).score, Score::Fair);
}

/// Anything at all that a publisher may do.
#[derive(Clone, Debug)]
enum Input {
    Frame { video: bool, dts_ms: u32, bytes: usize, key: bool, b_frame: bool },
    Announce(u8),
    Claim(f64),
    Damaged,
    Packets(u64, u64, u64),
    Look,
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        8 => (any::<bool>(), any::<u32>(), any::<usize>(), any::<bool>(), any::<bool>())
            .prop_map(|(video, dts_ms, bytes, key, b_frame)| Input::Frame { video, dts_ms, bytes, key, b_frame }),
        1 => any::<u8>().prop_map(Input::Announce),
        1 => any::<f64>().prop_map(Input::Claim),
        1 => Just(Input::Damaged),
        1 => any::<(u64, u64, u64)>().prop_map(|(bytes, packets, lost)| Input::Packets(bytes, packets, lost)),
        1 => Just(Input::Look),
    ]
}

proptest! {
    #[test]
    fn nothing_that_comes_panics_or_grows(
        inputs in proptest::collection::vec((input(), prop_oneof![0u64..2_000, any::<u32>().prop_map(u64::from)]), 1..300),
        packets in any::<bool>(),
    ) {
        let mut now = Instant::now();
        let mut health = Health::default();
        if packets {
            health.announce_packets(now, Some(Codec::Av1), None);
        }
        for (input, wait_ms) in inputs {
            now += Duration::from_millis(wait_ms);
            match input {
                Input::Frame { video, dts_ms, bytes, key, b_frame } => {
                    let kind = if video { Kind::Video } else { Kind::Audio };
                    let flags = Flags { key, b_frame, ..Flags::default() };
                    health.frame(now, Arrival { kind, dts_ms, bytes, flags });
                }
                Input::Announce(number) if number % 2 == 0 => health.announce(now, &h264(number)),
                Input::Announce(number) => health.announce(now, &aac(48_000, number % 6 + 1)),
                Input::Claim(rate) => {
                    health.claim(now, Claims { frame_rate: Some(rate), video: true, audio: true });
                }
                Input::Damaged => health.damaged(now),
                Input::Packets(bytes, packets, lost) => health.packets(now, Moved { bytes, packets, lost }),
                Input::Look => health.look(now),
            }
            let report = health.report(now);
            prop_assert!(report.faults.len() <= Fault::ALL.len() && report.history.len() <= HISTORY_MAX);
            prop_assert!(report.seconds.len() <= SECONDS_MAX);
            prop_assert!(report.speed.is_none_or(f64::is_finite));
            prop_assert!(report.faults.iter().all(|spell| spell.found.is_finite() && spell.last <= now));
        }
    }
}
