use super::*;
use crate::ring::Start;
use proptest::prelude::*;

fn subscription() -> Subscription {
    Subscription::new(TrackKey(1), Codec::H264, None)
}

fn entry() -> Entry {
    Entry {
        seq: SeqNo(0),
        time: MediaTime(0),
        wall: WallTime(0),
        marker: true,
        audio_level: None,
        payload: [0; 10].into(),
        padding: 0,
        start: Start::No,
    }
}

#[test]
fn numbers_are_continuous_and_late_packets_keep_their_place() {
    let mut one = subscription();
    assert_eq!(one.number(70_000), Some(SEQ_FIRST));
    assert_eq!(one.number(70_002), Some(SEQ_FIRST + 2));
    assert_eq!(one.number(70_001), Some(SEQ_FIRST + 1), "late");
    assert_eq!(one.number(69_999), Some(SEQ_FIRST - 1), "from before the first");
    assert_eq!(one.number(3), Some(SEQ_FIRST + 3), "a source that begins anew leaves no gap");
    assert_eq!(one.number(4), Some(SEQ_FIRST + 4));
    one.renumber = Some(SeqNo(2));
    assert_eq!(one.number(2), Some(SEQ_FIRST + 5), "a replay goes on where the viewer is");
}

#[test]
fn a_key_frame_from_before_what_was_played_takes_nobody_back() {
    let mut layers = Layers::default();
    let limits = crate::ring::Limits { age_max: Duration::from_secs(3), bytes_max: 1_000 };
    for (seq, time, start) in [(1, 0, Start::No), (2, 3_000, Start::Yes), (3, 6_000, Start::No)] {
        let entry = Entry { seq: SeqNo(seq), time: MediaTime(time), start, ..entry() };
        layers.at(0).unwrap().ring.push(entry, 90_000, limits);
    }
    let times = |played: Option<i64>| {
        let mut one = subscription();
        one.latest = played.map(|played| (MediaTime(played), Instant::now(), WallTime(0)));
        one.begin_live(0, &layers);
        [3_000, 6_000, 9_000].map(|time| one.squeezed(MediaTime(time), one.squeeze).0)
    };
    assert_eq!(times(None), [3_000, 6_000, 9_000]);
    assert_eq!(times(Some(2_999)), [3_000, 6_000, 9_000]);
    assert_eq!(times(Some(3_500)), [5_954, 6_000, 9_000], "it goes on near the live edge");
    assert_eq!(times(Some(5_990)), [5_991, 6_036, 9_000], "pictures keep times of their own");
    assert_eq!(times(Some(6_700)), [6_701, 7_178, 9_000], "behind a replay");
}

#[test]
fn sound_that_fell_behind_goes_on_with_what_comes_next() {
    let limits = crate::ring::Limits { age_max: Duration::from_secs(3), bytes_max: 1_000 };
    let certificate = rtc::Certificate::generate().unwrap();
    let now = Instant::now();
    let config = rtc::Config::new("127.0.0.1:9".parse().unwrap(), certificate, WallTime(0), now);
    let offer = rtc::Offering::new(&config, rtc::Wanted::Receive, now).unwrap();
    let purpose = rtc::Purpose::Play { video: None, audio: Some(Codec::Opus) };
    let (mut leg, _) = Leg::answer(&config, offer.sdp(), purpose, now).unwrap();
    let mut layers = Layers::default();
    let push = |layers: &mut Layers, seq: u64, ms: i64| {
        let entry = Entry { seq: SeqNo(seq), time: MediaTime(ms * 48), ..entry() };
        layers.at(0).unwrap().ring.push(entry, 48_000, limits);
    };
    push(&mut layers, 1, 0);
    let mut one = Subscription::new(TrackKey(1), Codec::Opus, None);
    one.start_live(layers.ring(0).unwrap());
    // Longer than anything is kept, as where the machine stood still, or the sender's clock jumped.
    push(&mut layers, 2, 20);
    push(&mut layers, 3, 10_000);
    let (mut out, mut done) = (Batch::new(2_048), Written::default());
    one.write(&layers, &mut leg, now, &mut out, &mut done);
    assert_eq!(done.jumped, 1);
    assert!(!one.waits(), "it would wait for a key frame for ever");
    push(&mut layers, 4, 10_020);
    assert!(one.has_unsent(&layers));
}

#[test]
fn another_track_goes_on_where_the_last_one_ended() {
    let mut one = subscription();
    assert_eq!(one.number(70_000), Some(SEQ_FIRST));
    assert!(one.ending().is_none(), "nothing was sent");
    one.latest = Some((MediaTime(9_000), Instant::now(), WallTime(0)));
    let mut two = Subscription::new(TrackKey(2), Codec::H264, one.ending());
    assert_eq!(two.ending().map(|ending| ending.number), Some(SEQ_FIRST), "it has not begun either");
    assert_eq!(two.number(5), Some(SEQ_FIRST + 1));
    assert_eq!(two.number(4), None, "what is late would get a number of the first track");
    assert_eq!(two.number(6), Some(SEQ_FIRST + 2));
}

proptest! {
    #[test]
    fn a_squeeze_keeps_the_order_and_ends_at_its_end(from in 0i64..1 << 40, length in 1i64..900_000, a in 0i64..900_000, b in 0i64..900_000) {
        let (from, to) = (MediaTime(from), MediaTime(from + length));
        let ticks = length / SQUEEZE;
        let squeeze = Squeeze { from, to, base: to + -ticks, ticks };
        prop_assert_eq!(squeeze.map(to), to);
        let (a, b) = (a.min(length), b.min(length));
        prop_assert_eq!(a.cmp(&b).is_le() || squeeze.map(from + a) >= squeeze.map(from + b), true);
        prop_assert!(a > b || squeeze.map(from + a) <= squeeze.map(from + b));
    }
}
