//! A handshake ends whenever the network delivers some of the repeats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod world;

use std::{cell::RefCell, collections::HashSet, rc::Rc, time::Duration};

use stentor_rtc::Certificate;
use world::{BOTH, FLIGHTS, Flight, Which, World};

/// Both ends give up after so long.
const PATIENCE_S: u64 = 30;

fn certificates() -> [Certificate; 2] {
    [Certificate::generate().unwrap(), Certificate::generate().unwrap()]
}

/// str0m sends a flight so often and no more.
const STR0M_SENDS: usize = 5;

/// Small numbers of a seed.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 11
    }
}

#[test]
fn every_flight_may_be_lost_several_times() {
    let certificates = certificates();
    let mut failed = Vec::new();
    for which in BOTH {
        for (flight, times) in FLIGHTS.into_iter().flat_map(|flight| (0..=6).map(move |times| (flight, times))) {
            let theirs = which == Which::Str0m && matches!(flight, Flight::Hello | Flight::Keys);
            if theirs && times >= STR0M_SENDS {
                continue;
            }
            let mut world = World::new(which, &certificates);
            world.fate = Box::new(move |of, before| if of == flight && before < times { vec![] } else { vec![20] });
            let took = world.connect(PATIENCE_S);
            if took.is_none() {
                failed.push(format!("{which:?} {flight:?} {times} {:?} {:?}", world.closed, world.sent));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_is_lost_doubled_and_late_at_random_ends_all_the_same() {
    let certificates = certificates();
    let mut failed = Vec::new();
    for (which, seed) in BOTH.into_iter().flat_map(|which| (1..=300).map(move |seed| (which, seed))) {
        let mut world = World::new(which, &certificates);
        let mut random = random(seed);
        let arrived = Rc::new(RefCell::new(HashSet::new()));
        let arrives = arrived.clone();
        // A third is lost, a third comes twice, and some come so late that others have overtaken them.
        world.fate = Box::new(move |flight, _| {
            let copies = [0, 1, 2][(random() % 3) as usize];
            if copies > 0 {
                arrives.borrow_mut().insert(flight);
            }
            (0..copies).map(|_| if random().is_multiple_of(4) { random() % 2_000 } else { 20 }).collect()
        });
        let connected = world.connect(PATIENCE_S).is_some();
        // Of a flight that str0m gave up, none may have arrived.
        let given_up = |flight| {
            !arrived.borrow().contains(&flight) && world.sent.get(&flight).is_some_and(|sent| *sent >= STR0M_SENDS)
        };
        if !(connected || which == Which::Str0m && [Flight::Hello, Flight::Keys].into_iter().any(given_up)) {
            failed.push(format!("{which:?} {seed} {:?} {:?} {:?}", world.connected, world.closed, world.sent));
        }
    }
    assert!(failed.is_empty(), "{} of 600: {failed:#?}", failed.len());
}

#[test]
fn a_lost_flight_costs_a_moment_on_a_near_line() {
    let certificates = certificates();
    let mut failed = Vec::new();
    for flight in FLIGHTS {
        let mut world = World::new(Which::Light, &certificates);
        world.delay_ms = 1;
        world.fate = Box::new(move |of, before| if of == flight && before == 0 { vec![] } else { vec![1] });
        let took = world.connect(PATIENCE_S);
        // Three round trips, and the wait.
        if took.is_none_or(|took| took > Duration::from_millis(6 + 63)) || world.repeated() == [0; 2] {
            failed.push(format!("{flight:?}: {took:?}, {:?}", world.repeated()));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn nothing_is_repeated_once_the_viewer_has_shown_its_keys() {
    let certificates = certificates();
    for which in BOTH {
        let mut world = World::new(which, &certificates);
        world.connect(PATIENCE_S).unwrap();
        world.run_for(Duration::from_secs(60));
        let flights: Vec<usize> = FLIGHTS.iter().map(|flight| world.sent[flight]).collect();
        // A viewer that is sent nothing reports nothing at first; the last flight then goes out a few times unasked.
        assert!(flights[..3] == [1; 3] && flights[3] <= 9, "{which:?}: {flights:?}");
    }
}

#[test]
fn late_copies_of_every_flight_disturb_nothing() {
    let certificates = certificates();
    for (which, flight) in BOTH.into_iter().flat_map(|which| FLIGHTS.map(|flight| (which, flight))) {
        let mut world = World::new(which, &certificates);
        world.fate =
            Box::new(
                move |of, before| {
                    if of == flight && before == 0 { vec![20, 21, 60, 500, 501, 1_500, 5_000] } else { vec![20] }
                },
            );
        assert!(world.connect(PATIENCE_S).is_some(), "{which:?} {flight:?}: {:?}", world.closed);
        world.run_for(Duration::from_secs(8));
        assert!(world.closed.is_empty(), "{which:?} {flight:?}: {:?}", world.closed);
    }
}

#[test]
fn media_before_the_keys_is_left_alone() {
    let mut world = World::new(Which::Light, &certificates());
    world.media = Some(Duration::from_millis(5));
    world.fate = Box::new(|of, before| if of == Flight::Last && before < 4 { vec![] } else { vec![20] });
    let took = world.connect(PATIENCE_S);
    assert!(took.is_some() && world.early() > 50, "{took:?}, {} packets, {:?}", world.early(), world.closed);
}

#[test]
fn ends_that_stand_still_for_a_while_are_not_taken_for_strangers() {
    let certificates = certificates();
    let mut failed = Vec::new();
    for (which, client, length) in BOTH
        .into_iter()
        .flat_map(|which| [false, true].map(|client| (which, client)))
        .flat_map(|(which, client)| [200, 300, 1_000, 3_000].map(|length| (which, client, length)))
    {
        for from in (0..=200).step_by(10) {
            let mut world = World::new(which, &certificates);
            world.stalls[usize::from(client)] = (from, from + length);
            // What lies while somebody stands still is read then; after that a few round trips have to do.
            let took = world.connect(PATIENCE_S);
            let most = Duration::from_millis(from + length + 400);
            if took.is_none_or(|took| took > most) {
                failed.push(format!(
                    "{which:?} client {client} from {from} for {length}: {took:?} {:?} {:?}",
                    world.closed, world.sent
                ));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
