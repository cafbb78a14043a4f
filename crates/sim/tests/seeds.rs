//! Scenarios made up from seeds. `STENTOR_SIM_SEEDS` says how many; the binary of this crate runs thousands.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::time::Instant;

use rtc::{Certificate, ViewerLeg};
use stentor_sim::{Far, Scenario, Setup, layered, random, run};

/// Seeds that found something.
const FOUND: &[(u64, &str)] = &[
    (3, "a viewer that went to another track began again at number 1024: one nonce, two packets"),
    (10, "a fed stream that had stopped was played once more at times that had been used"),
    (36, "after a track ended and came back, numbers began again"),
    (
        259,
        "a key frame whose first packet was lost on the uplink was begun with its second, and its parameter sets never came",
    ),
    (24, "repairs of numbers of the last track took packets of the new one"),
];

fn seeds() -> u64 {
    std::env::var("STENTOR_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15)
}

fn check(seeds: impl Iterator<Item = u64>, shards: usize, viewer_leg: ViewerLeg, viewer: Far) {
    check_all(seeds.map(random), shards, viewer_leg, viewer);
}

fn check_all(scenarios: impl Iterator<Item = Scenario>, shards: usize, viewer_leg: ViewerLeg, viewer: Far) {
    let certificate = Certificate::generate().unwrap();
    let setup = Setup { start: Instant::now(), certificate, shards, viewer_leg, viewer, trace: 60 };
    for mut scenario in scenarios {
        if viewer_leg == ViewerLeg::Str0m {
            // str0m's leg does not follow a peer whose address changes a second time: ours does.
            scenario.viewers.iter_mut().for_each(|viewer| viewer.rebinds.clear());
        }
        if let Err(failure) = run(&scenario, &setup) {
            panic!("{failure}");
        }
    }
}

#[test]
fn seeds_that_found_something() {
    for (seed, what) in FOUND {
        println!("{seed}: {what}");
        check([*seed].into_iter(), 1, ViewerLeg::Own, Far::Full);
    }
}

#[test]
fn through_our_own_leg() {
    check(0..seeds(), 1, ViewerLeg::Own, Far::Full);
}

#[test]
fn to_light_viewers_over_three_shards() {
    check(1_000..1_000 + seeds(), 3, ViewerLeg::Own, Far::Light);
}

#[test]
fn in_layers_to_viewers_whose_links_change() {
    check_all((0..seeds()).map(layered), 1, ViewerLeg::Own, Far::Light);
}

#[test]
fn in_layers_over_three_shards() {
    check_all((100..100 + seeds()).map(layered), 3, ViewerLeg::Own, Far::Light);
}

#[test]
fn in_layers_through_the_leg_of_str0m() {
    check_all((200..200 + seeds() / 3).map(layered), 1, ViewerLeg::Str0m, Far::Full);
}

#[test]
fn through_the_leg_of_str0m() {
    check(2_000..2_000 + seeds(), 1, ViewerLeg::Str0m, Far::Full);
}
