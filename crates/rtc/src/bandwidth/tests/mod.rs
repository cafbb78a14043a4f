//! The control loop against a bottleneck in virtual time: feedback is written and read as bytes.

mod world;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::rtcp::{Packet, read};
use world::{App, Link, World};

/// Courses of chance that a test goes through.
const SEEDS: u64 = 8;

fn following(rate_bps: u64) -> App {
    App { rate_bps, follows: true, want_bps: None, key_frames: 0 }
}

fn steady(rate_bps: u64) -> App {
    App { rate_bps, follows: false, want_bps: None, key_frames: 0 }
}

fn print(name: &str, world: &World) {
    for (second, chunk) in world.estimates.chunks(1_000).enumerate() {
        let queue = world.queues[second * 1_000..].iter().take(1_000).max().unwrap() / 1_000;
        println!("{name} {second:>3} s: {:>5} kbit/s, queue {queue} ms", chunk.iter().sum::<u64>() / 1_000_000);
    }
    println!(
        "{name}: mean {} lowest {} queue {} ms sent {} dropped {} padding {}",
        world.mean_estimate(),
        world.lowest_estimate(),
        world.queue_ms(),
        world.sent,
        world.dropped,
        world.padding
    );
}

#[test]
fn settles_under_a_narrow_link() {
    let mut world = World::new(Link::of(500_000), following(3_000_000));
    world.run(5);
    print("narrow", &world);
    world.record();
    world.run(30);
    print("narrow", &world);
    assert!((350_000..520_000).contains(&world.mean_estimate()), "{}", world.mean_estimate());
    assert!(world.queue_ms() < 100, "{} ms", world.queue_ms());
    assert_eq!(world.dropped, 0);
}

#[test]
fn random_loss_without_a_queue_does_not_make_it_collapse() {
    for seed in 0..SEEDS {
        let mut world = World::new(Link { loss: 100, ..Link::of(10_000_000) }, steady(1_500_000)).seeded(seed);
        world.run(40);
        print("loss", &world);
        world.estimates.drain(..3_000);
        assert!(world.lowest_estimate() > 1_100_000, "{}", world.lowest_estimate());
        assert!(world.mean_estimate() > 1_400_000, "{}", world.mean_estimate());
    }
}

#[test]
fn heavy_random_loss_is_got_used_to() {
    for seed in 0..SEEDS {
        let mut world = World::new(Link { loss: 500, ..Link::of(10_000_000) }, following(1_500_000)).seeded(seed);
        world.run(30);
        print("heavy loss", &world);
        world.estimates.drain(..20_000);
        assert!(world.mean_estimate() > 400_000, "{}", world.mean_estimate());
    }
}

#[test]
fn a_policer_without_a_queue_is_found_by_its_loss() {
    let mut world = World::new(Link { queue_bytes: 3_000, ..Link::of(600_000) }, following(3_000_000));
    world.run(30);
    print("policer", &world);
    world.estimates.drain(..10_000);
    assert!((300_000..800_000).contains(&world.mean_estimate()), "{}", world.mean_estimate());
}

#[test]
fn follows_the_capacity_down_and_up() {
    let mut world = World::new(Link::of(3_000_000), following(2_500_000));
    world.run(15);
    print("steps", &world);
    assert!(world.estimate() > 2_000_000, "{}", world.estimate());
    world.link.rate_bps = 1_000_000;
    world.record();
    world.run(2);
    assert!(world.estimate() < 1_100_000, "{}", world.estimate());
    world.run(10);
    print("steps", &world);
    world.queues.drain(..3_000);
    assert!(world.queue_ms() < 100, "{} ms", world.queue_ms());
    world.link.rate_bps = 3_000_000;
    world.record();
    world.run(20);
    print("steps", &world);
    assert!(world.estimate() > 2_000_000, "{}", world.estimate());
}

#[test]
fn leaves_room_for_somebody_else() {
    let mut world = World::new(Link { cross_bps: 500_000, ..Link::of(1_500_000) }, following(3_000_000));
    world.run(30);
    print("cross", &world);
    world.record();
    world.run(20);
    assert!((650_000..1_050_000).contains(&world.mean_estimate()), "{}", world.mean_estimate());
    assert!(world.queue_ms() < 100, "{} ms", world.queue_ms());
}

#[test]
fn feedback_that_is_lost_and_reordered_is_good_enough() {
    for seed in 0..SEEDS {
        let link = Link { report_loss: 300, report_jitter_us: 150_000, ..Link::of(1_000_000) };
        let mut world = World::new(link, following(3_000_000)).seeded(seed);
        world.run(10);
        print("reports", &world);
        world.record();
        world.run(30);
        print("reports", &world);
        assert!((600_000..1_050_000).contains(&world.mean_estimate()), "{}", world.mean_estimate());
        assert!(world.queue_ms() < 200, "{} ms", world.queue_ms());
    }
}

#[test]
fn jitter_and_reordering_are_no_queue() {
    for seed in 0..SEEDS {
        let mut world = World::new(Link { jitter_us: 40_000, ..Link::of(5_000_000) }, steady(1_500_000)).seeded(seed);
        world.run(60);
        print("jitter", &world);
        world.estimates.drain(..5_000);
        assert!(world.lowest_estimate() > 1_300_000, "{}", world.lowest_estimate());
    }
}

#[test]
fn pictures_that_queue_behind_themselves_are_no_queue() {
    let mut world = World::new(Link::of(2_200_000), App { key_frames: 30, ..steady(1_500_000) });
    world.run(60);
    print("key frames", &world);
    world.estimates.drain(..5_000);
    assert!(world.lowest_estimate() > 1_200_000, "{}", world.lowest_estimate());
    assert!(world.mean_estimate() > 1_500_000, "{}", world.mean_estimate());
}

#[test]
fn an_application_that_sends_little_neither_sinks_nor_raises_it() {
    let mut world = World::new(Link::of(10_000_000), steady(300_000));
    world.run(250);
    assert!(world.number() > 17_000);
    world.estimates.drain(..5_000);
    assert!(world.lowest_estimate() >= 300_000, "{}", world.lowest_estimate());
    assert!(world.estimate() <= 1_500_000, "{}", world.estimate());
    assert_eq!(world.padding, 0);
}

#[test]
fn numbers_wrap_unnoticed() {
    let mut world = World::new(Link::of(10_000_000), steady(4_000_000));
    world.run(170);
    assert!(world.number() > 70_000);
    assert_eq!(world.bandwidth.unknown(), 0);
    world.estimates.drain(..10_000);
    assert!(world.lowest_estimate() > 3_600_000, "{}", world.lowest_estimate());
}

#[test]
fn what_is_wanted_is_probed_and_proven() {
    let mut world = World::new(Link::of(5_000_000), App { want_bps: Some(1_650_000), ..steady(300_000) });
    world.run(10);
    print("probe", &world);
    assert!(world.estimate() >= 1_650_000, "{}", world.estimate());
    assert!(world.padding > 0 && world.padding < 60_000, "{}", world.padding);
}

#[test]
fn a_probe_of_what_does_not_fit_finds_what_does_and_is_not_repeated_soon() {
    let mut world = World::new(Link::of(800_000), App { want_bps: Some(1_650_000), ..steady(300_000) });
    world.run(60);
    print("vain", &world);
    world.estimates.drain(..10_000);
    assert!((600_000..900_000).contains(&world.mean_estimate()), "{}", world.mean_estimate());
    assert!(world.lowest_estimate() > 600_000, "its own queue lowers nothing: {}", world.lowest_estimate());
    assert!(world.padding < 100_000, "{}", world.padding);
    assert!(world.queue_ms() < 50, "{} ms", world.queue_ms());
    assert_eq!(world.bandwidth.proven_bps(world.now()).filter(|bps| *bps > 900_000), None);
}

#[test]
fn what_cannot_follow_waits_at_our_end_and_not_in_the_queue() {
    let mut world = World::new(Link { queue_bytes: 500_000, ..Link::of(500_000) }, steady(1_500_000));
    world.run(10);
    print("stubborn", &world);
    world.record();
    world.run(20);
    print("stubborn", &world);
    assert!(world.queue_ms() < 200, "{} ms", world.queue_ms());
    assert!(world.delivered * 8 / 20 > 350_000, "{}", world.delivered * 8 / 20);
}

#[test]
fn silence_lowers_it_and_the_next_word_raises_it_again() {
    let mut world = World::new(Link::of(5_000_000), steady(1_500_000));
    world.run(10);
    world.link.report_loss = 1_000;
    world.run(2);
    assert!(world.estimate() > 1_400_000, "{}", world.estimate());
    world.run(10);
    assert!(world.estimate() < 200_000, "{}", world.estimate());
    world.link.report_loss = 0;
    world.run(5);
    print("silence", &world);
    assert!(world.estimate() > 1_200_000, "{}", world.estimate());
}

#[test]
fn without_feedback_nothing_is_held_back_and_reports_bound_it() {
    let start = Instant::now();
    let mut bandwidth = Bandwidth::with(start, Config { feedback: false, ..Config::default() });
    let mut now = start;
    for _ in 0..100 {
        now += Duration::from_millis(10);
        assert!(bandwidth.allowance(now) > 40_000);
        bandwidth.sent(now, 18_750);
    }
    assert_eq!(bandwidth.estimate_bps(), None);
    bandwidth.report(now, 128, Some(Duration::from_millis(50)));
    assert_eq!(bandwidth.estimate_bps(), Some(7_500_000));
    assert_eq!(bandwidth.rtt(), Some(Duration::from_millis(50)));
    bandwidth.remb(now, 2_000_000);
    assert_eq!(bandwidth.estimate_bps(), Some(2_000_000));
    assert_eq!(bandwidth.allowance(now + Duration::from_secs(1)), 25_000, "40 ms of 5 Mbit/s");
    let mut promised = Bandwidth::new(start);
    promised.sent(start, 48_000);
    assert_eq!(promised.allowance(start), 0);
    assert!(promised.allowance(start + Duration::from_secs(1)) < 20_000);
    promised.allowance(start + Duration::from_secs(6));
    assert!(promised.allowance(start + Duration::from_secs(7)) > 700_000, "the promise was not kept");
}

#[test]
fn the_reference_time_wraps_unnoticed() {
    let mut bandwidth = Bandwidth::new(Instant::now());
    let wire = [0x7f_ffff, -0x80_0000, -1, 0, 0x40_0000, 0x7f_ffff, -0x80_0000, 0x7f_fff0];
    let extended = wire.map(|wire| bandwidth.extend(wire));
    let turn = 0x100_0000;
    let expected = [-1, 0, turn / 2 - 1, turn / 2, turn * 3 / 4, turn - 1, turn, turn - 16];
    assert_eq!(extended.map(|ticks| ticks - turn / 2), expected);
}

#[test]
fn timers_are_in_the_future_and_end_the_waiting() {
    let start = Instant::now();
    let mut bandwidth = Bandwidth::new(start);
    assert_eq!(bandwidth.next_timer(), None);
    bandwidth.sent(start, 48_000);
    let at = bandwidth.next_timer().expect("no room is left");
    assert!(at > start && bandwidth.allowance(at) >= 1_200);
    assert_eq!(bandwidth.next_timer(), None);
}

#[test]
fn a_probe_that_cannot_begin_wakes_nobody_all_the_time() {
    let mut world = World::new(Link::of(5_000_000), steady(300_000));
    world.run(3);
    world.link.report_loss = 1_000;
    world.run(3);
    world.bandwidth.want(Some(20_000_000));
    let now = world.now();
    assert_eq!(world.bandwidth.padding(now), 0, "nobody answers");
    assert!(world.bandwidth.allowance(now) > 1_200);
    let at = world.bandwidth.next_timer().expect("a probe is wanted");
    assert!(at >= now + Duration::from_millis(99), "{:?}", at - now);
}

proptest! {
    #[test]
    fn nothing_that_is_reported_ends_it(
        steps in proptest::collection::vec(
            (any::<u16>(), 0u64..3_000_000, proptest::collection::vec(any::<u8>(), 4..64), any::<(u8, u8, bool)>()),
            1..120,
        ),
    ) {
        let start = Instant::now();
        let (mut bandwidth, mut now) = (Bandwidth::new(start), start);
        for (number, passed_us, tail, (lost, burst, near)) in steps {
            now += Duration::from_micros(passed_us);
            let mut last = 0;
            for _ in 0..burst % 40 {
                last = bandwidth.sent(now, usize::from(number));
            }
            let base = if near { last.wrapping_sub(20) } else { number };
            let mut bytes = vec![0x8f, 205, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
            bytes.extend(base.to_be_bytes());
            bytes.extend([0, 14, tail[0], tail[1], tail[2], 0]);
            bytes.extend([0x80 | tail[3] & 0x3f, lost]);
            bytes.extend(&tail);
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[3] = (bytes.len() / 4 - 1) as u8;
            for packet in read(&bytes) {
                if let Packet::Transport(feedback) = packet {
                    bandwidth.feedback(now, &feedback);
                }
            }
            bandwidth.report(now, lost, near.then_some(Duration::from_micros(passed_us)));
            bandwidth.want(near.then_some(u64::from(number) << 10));
            let padding = bandwidth.padding(now);
            prop_assert!(padding <= 101_000);
            prop_assert!(bandwidth.allowance(now) <= 1_000_000);
            prop_assert!(bandwidth.estimate_bps().is_none_or(|bps| bps <= 150_000_000));
            prop_assert!(bandwidth.next_timer().is_none_or(|at| at > now));
        }
    }
}
