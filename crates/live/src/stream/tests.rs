use std::time::Duration;

use proptest::prelude::*;
use wire::flv::{Demuxer, TagKind, Unpacked, Unpacker};

use super::*;
use crate::sample::{audio, main_profile, number, picture, sound, video};

/// A stream that is fed with pictures of 40 ms and sounds of 20 ms, a key frame every `gop` pictures.
struct Feed {
    stream: Stream,
    now: Instant,
    gop: u64,
    pictures: u64,
    ms: i64,
}

impl Feed {
    fn new(gop: u64) -> Self {
        let mut stream = Stream::new(Limits::default());
        assert!(stream.announce(video(0)));
        assert!(stream.announce(audio()));
        Self { stream, now: Instant::now(), gop, pictures: 0, ms: 0 }
    }

    fn run(&mut self, ms: i64) -> &mut Self {
        let end = self.ms + ms;
        while self.ms < end {
            let is_key = self.pictures.is_multiple_of(self.gop);
            self.stream.push(self.now, picture(is_key, self.pictures, self.ms, 1_000)).unwrap();
            self.pictures += 1;
            self.sound_only(40);
        }
        self
    }

    fn sound_only(&mut self, ms: i64) -> &mut Self {
        let end = self.ms + ms;
        while self.ms < end {
            self.stream.push(self.now, sound(self.ms, 100)).unwrap();
            self.now += Duration::from_millis(20);
            self.ms += 20;
        }
        self
    }

    fn read(&self, cursor: &mut Cursor) -> (Read, Vec<Arc<Entry>>) {
        let mut out = Vec::new();
        (self.stream.read(cursor, usize::MAX, &mut out), out)
    }
}

fn pictures(entries: &[Arc<Entry>]) -> Vec<u64> {
    entries.iter().filter(|entry| entry.frame.kind() == Kind::Video).map(|entry| number(&entry.frame)).collect()
}

#[test]
fn a_viewer_starts_at_the_key_frame_that_it_asked_for() {
    let mut feed = Feed::new(50);
    feed.run(5_000);
    let (read, newest) = feed.read(&mut feed.stream.cursor(Start::NewestKey));
    assert_eq!((read, number(&newest[0].frame)), (Read::Ready, 100));
    assert_eq!(pictures(&newest), (100..125).collect::<Vec<_>>());
    let (_, oldest) = feed.read(&mut feed.stream.cursor(Start::OldestKey));
    assert_eq!(pictures(&oldest), (50..125).collect::<Vec<_>>(), "the last complete group and the current one");
    let mut live = feed.stream.cursor(Start::Live);
    assert_eq!(feed.read(&mut live).0, Read::Pending);
    feed.run(2_000);
    assert_eq!(pictures(&feed.read(&mut live).1), (150..175).collect::<Vec<_>>());
    assert_eq!(feed.read(&mut live).0, Read::Pending);
}

#[test]
fn sound_older_than_the_first_key_frame_stays_behind() {
    let mut feed = Feed::new(50);
    feed.run(2_000);
    // The muxer was late with the sound: it comes after the key frame but belongs before it.
    feed.stream.push(feed.now, picture(true, 50, 2_400, 100)).unwrap();
    feed.sound_only(800);
    let (_, entries) = feed.read(&mut feed.stream.cursor(Start::NewestKey));
    assert_eq!(number(&entries[0].frame), 50);
    assert_eq!(entries[1].time_us, 2_400_000);
    assert_eq!(entries.len(), 1 + 20);
}

#[test]
fn a_slow_viewer_jumps_to_the_newest_key_frame() {
    let mut feed = Feed::new(50);
    feed.run(1_000);
    let mut cursor = feed.stream.cursor(Start::NewestKey);
    let (_, first) = feed.read(&mut cursor);
    let read_up_to = first.last().unwrap().seq;
    feed.run(9_000);
    let (read, nothing) = feed.read(&mut cursor);
    let (_, entries) = feed.read(&mut cursor);
    assert!(nothing.is_empty());
    assert_eq!(read, Read::Jumped { skipped: entries[0].seq - read_up_to - 1 });
    assert_eq!(pictures(&entries)[..2], [200, 201]);
}

#[test]
fn a_jump_waits_until_what_was_read_before_it_is_taken() {
    let mut feed = Feed::new(50);
    feed.run(1_000);
    let mut cursor = feed.stream.cursor(Start::NewestKey);
    let mut out = Vec::new();
    assert_eq!(feed.stream.read(&mut cursor, 10, &mut out), Read::Ready);
    feed.run(9_000);
    assert_eq!(feed.stream.read(&mut cursor, 10, &mut out), Read::Pending);
    assert_eq!(out.len(), 10);
    out.clear();
    assert!(matches!(feed.stream.read(&mut cursor, 10, &mut out), Read::Jumped { .. }));
}

#[test]
fn a_viewer_may_bound_its_own_lag() {
    let mut feed = Feed::new(25);
    feed.run(1_000);
    let mut patient = feed.stream.cursor(Start::NewestKey);
    feed.read(&mut patient);
    let mut hasty = patient.clone();
    hasty.lag_max = Some(Duration::from_millis(1_500));
    feed.run(960);
    assert_eq!(feed.read(&mut hasty.clone()).0, Read::Ready);
    feed.run(640);
    assert_eq!(feed.read(&mut patient).0, Read::Ready);
    assert!(matches!(feed.read(&mut hasty).0, Read::Jumped { .. }));
    assert_eq!(pictures(&feed.read(&mut hasty).1)[0], 50);
}

#[test]
fn a_change_of_the_track_reaches_everybody_once() {
    let mut feed = Feed::new(50);
    feed.run(1_000);
    let mut cursor = feed.stream.cursor(Start::NewestKey);
    let mut headers = Headers::default();
    let mut told = |entries: &[Arc<Entry>]| -> Vec<(Kind, u32)> {
        let needed = entries.iter().filter(|entry| headers.needs(entry));
        needed.map(|entry| (entry.frame.kind(), entry.track.epoch)).collect()
    };
    assert_eq!(told(&feed.read(&mut cursor).1), [(Kind::Video, 1), (Kind::Audio, 2)]);
    assert!(!feed.stream.announce(video(0)), "the same again is no change");
    assert!(feed.stream.announce(video(1)));
    let delta = picture(false, 25, 1_000, 100);
    assert_eq!(feed.stream.push(feed.now, delta), Err(PushError::AwaitingKey));
    feed.stream.push(feed.now, picture(true, 26, 1_040, 100)).unwrap();
    let (_, entries) = feed.read(&mut cursor);
    assert_eq!(told(&entries), [(Kind::Video, 3)]);
    assert_eq!(entries[0].track.info, video(1));
    let (_, fresh) = feed.read(&mut feed.stream.cursor(Start::OldestKey));
    assert_eq!(pictures(&fresh), [26], "nobody starts in the old track");
}

#[test]
fn the_end_comes_after_the_last_frame() {
    let mut feed = Feed::new(50);
    feed.run(1_000);
    let mut cursor = feed.stream.cursor(Start::NewestKey);
    let mut waiting = feed.stream.cursor(Start::Live);
    feed.stream.end(EndReason::TakenOver);
    feed.stream.end(EndReason::PublisherLeft);
    assert_eq!(feed.stream.push(feed.now, sound(9_000, 1)), Err(PushError::Ended));
    assert_eq!(feed.read(&mut cursor).1.len(), 75);
    assert_eq!(feed.read(&mut cursor).0, Read::Ended(EndReason::TakenOver));
    assert_eq!(feed.read(&mut waiting).0, Read::Ended(EndReason::TakenOver));
}

#[test]
fn a_stream_of_sound_alone_starts_a_second_back() {
    let mut stream = Stream::new(Limits::default());
    let mut early = stream.cursor(Start::NewestKey);
    assert_eq!(stream.read(&mut early, 9, &mut Vec::new()), Read::Pending);
    stream.announce(audio());
    for n in 0..250 {
        stream.push(Instant::now(), sound(n * 20, 100)).unwrap();
    }
    let mut out = Vec::new();
    stream.read(&mut stream.cursor(Start::NewestKey), usize::MAX, &mut out);
    assert_eq!((out[0].time_us, out.len()), (3_980_000, 51));
    assert_eq!(stream.read(&mut stream.cursor(Start::Live), 9, &mut Vec::new()), Read::Pending);
}

#[test]
fn while_the_camera_is_off_viewers_start_with_sound_and_see_the_key_frame_when_it_is_back() {
    let mut feed = Feed::new(50);
    feed.run(1_000).sound_only(10_000);
    let mut cursor = feed.stream.cursor(Start::NewestKey);
    let (_, entries) = feed.read(&mut cursor);
    assert_eq!((pictures(&entries).len(), entries.len()), (0, 51));
    feed.stream.push(feed.now, picture(false, 25, feed.ms, 100)).unwrap();
    feed.stream.push(feed.now, picture(true, 26, feed.ms + 40, 100)).unwrap();
    assert_eq!(pictures(&feed.read(&mut cursor).1), [26], "the delta frame has no picture to refer to");
}

#[test]
fn a_video_track_that_never_sends_does_not_hold_the_sound_back_for_ever() {
    let mut stream = Stream::new(Limits::default());
    stream.announce(video(0));
    stream.announce(audio());
    let mut cursor = stream.cursor(Start::NewestKey);
    stream.push(Instant::now(), sound(0, 100)).unwrap();
    assert_eq!(stream.read(&mut cursor, 9, &mut Vec::new()), Read::Pending);
    for n in 1..=151 {
        stream.push(Instant::now(), sound(n * 20, 100)).unwrap();
    }
    assert_eq!(stream.read(&mut cursor, 9, &mut Vec::new()), Read::Ready);
}

#[test]
fn a_group_of_pictures_longer_than_the_ring_does_not_break_those_who_watch() {
    let mut feed = Feed::new(400);
    feed.run(1_000);
    let mut watching = feed.stream.cursor(Start::NewestKey);
    for _ in 0..14 {
        assert_eq!(feed.read(&mut watching).0, Read::Ready);
        feed.run(1_000);
    }
    let mut fresh = feed.stream.cursor(Start::NewestKey);
    assert_eq!(feed.read(&mut fresh).0, Read::Pending, "no key frame is kept, so it waits for the next");
    feed.run(2_000);
    assert_eq!(pictures(&feed.read(&mut fresh).1)[0], 400);
}

#[test]
fn a_source_of_key_frames_alone_leaves_viewers_two_seconds() {
    let mut feed = Feed::new(1);
    feed.run(1_000);
    let mut cursor = feed.stream.cursor(Start::NewestKey);
    feed.read(&mut cursor);
    feed.run(1_900);
    assert_eq!(feed.read(&mut cursor).0, Read::Ready);
    assert!(feed.stream.stats(feed.now).ring_frames < 200);
}

#[test]
fn a_frame_out_of_place_is_refused_and_its_group_with_it() {
    let mut feed = Feed::new(50);
    feed.run(400);
    let now = feed.now;
    let mut push = |frame| feed.stream.push(now, frame);
    assert_eq!(push(picture(false, 9, 100, 100)), Err(PushError::Backwards));
    assert_eq!(push(picture(false, 10, 400, 100)), Err(PushError::AwaitingKey));
    assert_eq!(push(picture(true, 11, 440, 32 << 20)), Err(PushError::TooLarge { bytes: 32 << 20 }));
    assert_eq!(push(picture(true, 12, 480, 100)), Ok(()));
    assert_eq!(push(Frame { codec: media::Codec::Vp8, ..picture(true, 13, 520, 1) }), Err(PushError::NoTrack));
    assert_eq!(feed.stream.stats(now).refused, 4);
    feed.stream.withdraw(Kind::Audio);
    assert_eq!(feed.stream.push(now, sound(9_000, 1)), Err(PushError::NoTrack));
}

#[test]
fn a_stream_that_was_begun_anew_is_read_from_its_own_start() {
    let mut feed = Feed::new(50);
    feed.run(1_000);
    let mut cursor = feed.stream.cursor(Start::NewestKey);
    feed.read(&mut cursor);
    let mut anew = Feed::new(50);
    anew.run(400);
    assert_eq!(pictures(&anew.read(&mut cursor).1)[0], 0);
}

#[test]
fn b_frames_are_known_by_the_frames_and_ruled_out_by_the_parameter_sets() {
    let b = |ms, discardable| {
        let mut frame = picture(ms == 0, 0, ms, 100);
        frame.flags.b_frame = ms > 0;
        frame.flags.discardable = discardable;
        frame
    };
    let learned = |info, discardable| {
        let mut stream = Stream::new(Limits::default());
        stream.announce(info);
        stream.push(Instant::now(), b(0, false)).unwrap();
        stream.push(Instant::now(), b(40, discardable)).unwrap();
        stream.stats(Instant::now()).b_frames
    };
    assert_eq!(learned(main_profile(), true), BFrames::Discardable);
    assert_eq!(learned(main_profile(), false), BFrames::Referenced);
    assert_eq!(learned(video(0), false), BFrames::None, "baseline");
}

#[test]
fn frames_are_muxed_once_and_come_back_as_they_were() {
    let mut feed = Feed::new(50);
    feed.run(40);
    let (_, one) = feed.read(&mut feed.stream.cursor(Start::NewestKey));
    let (_, two) = feed.read(&mut feed.stream.cursor(Start::NewestKey));
    assert_eq!(one[0].flv().as_ptr(), two[0].flv().as_ptr());
    assert_eq!(one[0].rtmp().as_ptr(), two[0].rtmp().as_ptr());
    assert_eq!(one[0].track.flv_header().as_ptr(), two[0].track.flv_header().as_ptr());

    let mut demuxer = Demuxer::new();
    let mut unpacker = Unpacker::new();
    demuxer.push(&wire::flv::file_header(true, true));
    for entry in &one {
        demuxer.push(entry.track.flv_header());
        demuxer.push(entry.flv());
    }
    let mut frames = Vec::new();
    while let Some(tag) = demuxer.poll().unwrap() {
        assert_ne!(tag.kind, TagKind::Script);
        for unpacked in unpacker.unpack(tag.kind, tag.timestamp_ms, &tag.body).unwrap() {
            if let Unpacked::Frame(unit) = unpacked {
                frames.push((unit.codec, unit.dts_ms, unit.payload, unit.flags.key));
            }
        }
    }
    let sent: Vec<_> = one
        .iter()
        .map(|entry| {
            (entry.frame.codec, (entry.time_us / 1_000) as u32, entry.frame.payload.clone(), entry.frame.flags.key)
        })
        .collect();
    assert_eq!(frames, sent);
}

/// One thing that happens to a stream.
#[derive(Clone, Debug)]
enum Op {
    Picture { key: bool, step_ms: i64, bytes: usize },
    Sound { step_ms: i64 },
    Announce(u8),
    Withdraw,
    Begin(usize),
    Read { viewer: usize, max: usize },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (proptest::bool::weighted(0.15), prop_oneof![9 => 0i64..80, 1 => 0i64..5_000], 10usize..6_000)
            .prop_map(|(key, step_ms, bytes)| Op::Picture { key, step_ms, bytes }),
        8 => (0i64..60).prop_map(|step_ms| Op::Sound { step_ms }),
        1 => (0u8..3).prop_map(Op::Announce),
        1 => Just(Op::Withdraw),
        2 => (0usize..3).prop_map(Op::Begin),
        8 => (0usize..8, 1usize..40).prop_map(|(viewer, max)| Op::Read { viewer, max }),
    ]
}

/// What a viewer has got.
struct Got {
    cursor: Cursor,
    picture: Option<u64>,
    fresh: bool,
    sound_from_us: i64,
    seq: Option<u64>,
}

impl Got {
    fn check(&mut self, entry: &Entry) -> Result<(), TestCaseError> {
        prop_assert!(self.seq.is_none_or(|seq| entry.seq > seq), "in order, and nothing twice");
        self.seq = Some(entry.seq);
        if entry.frame.kind() == Kind::Video {
            let number = number(&entry.frame);
            let follows = self.picture.is_some_and(|picture| picture + 1 == number);
            prop_assert!(entry.frame.flags.key || follows, "picture {} after {:?}", number, self.picture);
            self.picture = Some(number);
            if std::mem::take(&mut self.fresh) {
                self.sound_from_us = entry.time_us;
            }
        } else {
            prop_assert!(entry.time_us >= self.sound_from_us, "sound from before the key frame");
            self.fresh = false;
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_viewer_ever_gets_a_picture_without_those_before_it(ops in proptest::collection::vec(op(), 1..400)) {
        let limits = Limits { ring_bytes_max: 60_000, ring_span_ms_max: 4_000, gops_max: 2 };
        let mut stream = Stream::new(limits);
        stream.announce(audio());
        let mut viewers: Vec<Got> = Vec::new();
        let (now, mut ms, mut pictures) = (Instant::now(), 0, 0);
        for op in ops {
            match op {
                Op::Picture { key, step_ms, bytes } => {
                    ms += step_ms;
                    if stream.push(now, picture(key, pictures, ms, bytes)).is_ok() {
                        pictures += 1;
                    }
                }
                Op::Sound { step_ms } => {
                    ms += step_ms;
                    stream.push(now, sound(ms, 100)).unwrap();
                }
                Op::Announce(variant) => {
                    // A new track's pictures refer to nothing of the old one's.
                    pictures += u64::from(stream.announce(video(variant)));
                }
                Op::Withdraw => {
                    stream.withdraw(Kind::Video);
                    pictures += 1;
                }
                Op::Begin(start) => {
                    let start = [Start::NewestKey, Start::OldestKey, Start::Live][start];
                    let mut cursor = stream.cursor(start);
                    cursor.lag_max = viewers.len().is_multiple_of(2).then_some(Duration::from_millis(700));
                    viewers.push(Got { cursor, picture: None, fresh: true, sound_from_us: 0, seq: None });
                }
                Op::Read { viewer, max } => {
                    let count = viewers.len();
                    let Some(got) = viewers.get_mut(viewer % count.max(1)) else { continue };
                    let mut out = Vec::new();
                    match stream.read(&mut got.cursor, max, &mut out) {
                        Read::Ready => prop_assert!(!out.is_empty() && out.len() <= max),
                        Read::Jumped { skipped } => {
                            prop_assert!(skipped > 0 && out.is_empty());
                            (got.fresh, got.picture) = (true, None);
                        }
                        Read::Pending | Read::Ended(_) => prop_assert!(out.is_empty()),
                    }
                    for entry in &out {
                        got.check(entry)?;
                    }
                }
            }
            let stats = stream.stats(now);
            prop_assert!(stats.ring_bytes <= 60_000 || stats.ring_frames == 1);
        }
    }
}
