//! Lanes in virtual time.

use super::*;
use proptest::prelude::*;

fn notice(hook: usize, lane: &str, id: u32) -> Notice {
    Notice { id: id.to_string(), hook, lane: lane.into(), application: 1, body: String::new(), created_ms: 0 }
}

fn sends(lanes: &mut Lanes, now: Instant) -> Vec<Arc<Notice>> {
    let mut all = Vec::new();
    while let Some(order) = lanes.poll(now) {
        match order {
            Order::Send(notice) => all.push(notice),
            Order::Expired(notice) => panic!("{notice:?} expired"),
        }
    }
    all
}

fn ids(notices: &[Arc<Notice>]) -> Vec<&str> {
    notices.iter().map(|notice| notice.id.as_str()).collect()
}

#[test]
fn a_failing_lane_holds_no_other_and_gives_up_after_a_minute() {
    let begin = Instant::now();
    let mut lanes = Lanes::default();
    for (lane, id) in [("a", 1), ("a", 2), ("b", 3), ("b", 4)] {
        lanes.push(begin, notice(0, lane, id));
    }
    let first = sends(&mut lanes, begin);
    assert_eq!(ids(&first), ["1", "3"], "one of each lane");
    assert_eq!(lanes.done(begin, &first[1], true), Fate::Delivered);
    assert_eq!(lanes.done(begin, &first[0], false), Fate::Retried);
    let second = sends(&mut lanes, begin);
    assert_eq!(ids(&second), ["4", "1"], "the failed one again at once, and the other lane goes on");
    lanes.done(begin, &second[0], true);
    let (mut now, mut tries) = (begin, 2);
    while lanes.done(now, &first[0], false) == Fate::Retried {
        now = lanes.wake().unwrap();
        assert_eq!(ids(&sends(&mut lanes, now)), ["1"]);
        tries += 1;
    }
    assert_eq!((tries, now - begin), (8, Duration::from_secs(60)));
    assert_eq!(ids(&sends(&mut lanes, now)), ["2"], "what stood behind it has its own attempts");
}

#[test]
fn requests_to_one_webhook_are_bounded_and_another_is_not_held() {
    let now = Instant::now();
    let mut lanes = Lanes::default();
    for at in 0..FLYING_MAX as u32 + 5 {
        lanes.push(now, notice(0, &format!("lane {at}"), at));
    }
    lanes.push(now, notice(1, "lane 0", 1_000));
    let first = sends(&mut lanes, now);
    assert_eq!(first.len(), FLYING_MAX + 1);
    assert_eq!(first.last().unwrap().hook, 1);
    lanes.done(now, &first[0], true);
    assert_eq!(sends(&mut lanes, now).len(), 1);
}

#[test]
fn what_waited_too_long_is_dropped() {
    let now = Instant::now();
    let mut lanes = Lanes::default();
    lanes.push(now, notice(0, "a", 1));
    let late = now + AGE_MAX + Duration::from_secs(1);
    lanes.push(late, notice(0, "a", 2));
    assert!(matches!(lanes.poll(late), Some(Order::Expired(notice)) if notice.id == "1"));
    assert_eq!(ids(&sends(&mut lanes, late)), ["2"]);
}

proptest! {
    /// Whatever fails and however long it takes: every notice ends once, in the order of its lane, and nothing is left.
    #[test]
    fn every_notice_ends_once_and_in_order(
        notices in prop::collection::vec((0..3_usize, 0..4_u32), 1..60),
        outcomes in prop::collection::vec((any::<bool>(), 0..6_000_u64), 1..40),
    ) {
        let mut now = Instant::now();
        let mut lanes = Lanes::default();
        for (id, (hook, lane)) in notices.iter().enumerate() {
            lanes.push(now, notice(*hook, &lane.to_string(), id as u32));
        }
        let mut outcomes = outcomes.iter().cycle();
        let mut flying: VecDeque<Arc<Notice>> = VecDeque::new();
        let mut over: HashMap<LaneKey, Vec<u32>> = HashMap::new();
        loop {
            flying.extend(sends(&mut lanes, now));
            if let Some(sent) = flying.pop_front() {
                let (delivered, takes_ms) = outcomes.next().unwrap();
                now += Duration::from_millis(*takes_ms);
                if lanes.done(now, &sent, *delivered) != Fate::Retried {
                    over.entry((sent.hook, sent.lane.clone())).or_default().push(sent.id.parse().unwrap());
                }
            } else if let Some(due) = lanes.wake() {
                now = now.max(due);
            } else {
                break;
            }
        }
        prop_assert_eq!(over.values().map(Vec::len).sum::<usize>(), notices.len());
        prop_assert!(over.values().all(|ids| ids.is_sorted()));
        prop_assert!(lanes.lanes.is_empty());
    }
}
