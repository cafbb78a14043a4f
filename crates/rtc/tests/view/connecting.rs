//! Connecting, moving, and the end of it: the same by both legs.

use std::time::Duration;

use media::Kind;
use stentor_rtc::{CloseReason, Event};

use crate::{
    media_path::Film,
    world::{BOTH, SERVER, Setting, Which, World},
};

fn media_flows(world: &mut World, film: &mut Film) {
    let before = world.client.of(Kind::Video).len();
    film.run(world, 500);
    let after = world.client.of(Kind::Video).len();
    assert!(after > before + 50, "{before} packets and then {after}");
}

#[test]
fn both_roles_of_dtls() {
    for setup in ["actpass", "active", "passive"] {
        let change: fn(String) -> String = match setup {
            "active" => |offer| offer.replace("a=setup:actpass", "a=setup:active"),
            "passive" => |offer| offer.replace("a=setup:actpass", "a=setup:passive"),
            _ => |offer| offer,
        };
        let mut world = World::with(Which::Own, Setting { change, ..Setting::default() });
        let expected = if setup == "passive" { "a=setup:active" } else { "a=setup:passive" };
        assert!(world.answer.sdp.contains(expected), "{setup}");
        world.run_for(1_000);
        world.assert_connected();
        media_flows(&mut world, &mut Film::new());
    }
}

#[test]
fn a_handshake_survives_the_loss_of_any_two_datagrams() {
    for (first, second) in (0..8).flat_map(|first| (first..8).map(move |second| (first, second))) {
        let mut world = World::new(Which::Own);
        let mut dtls = 0;
        world.lose = Box::new(move |_, _, bytes| {
            // Checks are repeated by the peer at its own pace.
            let place = dtls;
            let is_dtls = matches!(bytes.first(), Some(20..64));
            dtls += usize::from(is_dtls);
            is_dtls && (place == first || place == second)
        });
        world.run_for(8_000);
        world.assert_connected();
        media_flows(&mut world, &mut Film::new());
    }
}

#[test]
fn another_certificate_than_the_offers_is_refused() {
    let change = |offer: String| {
        let at = offer.find("a=fingerprint:sha-256 ").unwrap() + "a=fingerprint:sha-256 ".len();
        let (old, new) = (offer[at..at + 2].to_owned(), if &offer[at..at + 2] == "00" { "01" } else { "00" });
        let line = offer[at..].lines().next().unwrap().to_owned();
        offer.replace(&line, &line.replacen(&old, new, 1))
    };
    for which in BOTH {
        let mut world = World::with(which, Setting { change, ..Setting::default() });
        world.run_for(2_000);
        assert!(matches!(world.closed(), Some(CloseReason::Failed(_))), "{which:?}: {:?}", world.closed());
        assert!(!world.events.iter().any(|event| matches!(event, Event::Connected)));
    }
}

#[test]
fn we_say_goodbye_and_so_does_the_peer() {
    for which in BOTH {
        let mut world = World::connected(which);
        world.close_server();
        assert_eq!(world.closed(), Some(&CloseReason::Us));
        world.run_for(100);
        assert!(world.client.closed, "{which:?}: the client was told");

        let mut world = World::connected(which);
        world.close_client();
        world.run_for(100);
        assert_eq!(world.closed(), Some(&CloseReason::Peer), "{which:?}");
    }
}

#[test]
fn a_silent_peer_is_gone_when_it_is_by_the_str0m_leg() {
    let gone = BOTH.map(|which| {
        let mut world = World::connected(which);
        world.lose = Box::new(|_, to_server, _| to_server);
        let since = world.now;
        while world.closed().is_none() {
            world.run_for(100);
            assert!(world.now - since < Duration::from_secs(60));
        }
        assert_eq!(world.closed(), Some(&CloseReason::Silent));
        (world.now - since).as_secs_f64()
    });
    let [own, other] = gone;
    // str0m looks whenever it has something else to do.
    assert!((own - other).abs() < 3.0 && own > 15.0, "{own} s and {other} s");
}

#[test]
fn the_path_moves_with_the_viewer() {
    let mut world = World::connected(Which::Own);
    let mut film = Film::new();
    media_flows(&mut world, &mut film);
    world.restart_ice();
    world.move_client("192.0.2.44:6000");
    world.run_for(2_000);
    media_flows(&mut world, &mut film);
    assert!(world.closed().is_none());
}

#[test]
fn an_ice_restart_keeps_the_session() {
    for which in BOTH {
        let mut world = World::connected(which);
        let mut film = Film::new();
        media_flows(&mut world, &mut film);
        let old = match &world.server {
            crate::world::Server::Own(view) => view.ufrag().to_owned(),
            crate::world::Server::Str0m(leg) => leg.ufrag().to_owned(),
        };
        world.restart_ice();
        media_flows(&mut world, &mut film);
        world.run_for(1_000);
        media_flows(&mut world, &mut film);
        world.assert_connected();
        if let crate::world::Server::Own(view) = &world.server {
            assert_ne!(view.ufrag(), old);
            assert!(view.is_connected());
        }
    }
    let mut world = World::connected(Which::Own);
    assert!(world.own().restart_ice("m=audio 9 RTP/AVP 0\r\n").is_err());
    world.close_server();
    assert!(world.own().restart_ice("a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n").is_err());
}

#[test]
fn garbage_disturbs_nothing_in_any_state() {
    let mut random = 0x1234_5678_9abc_def1_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut world = World::new(Which::Own);
    let mut film = Film::new();
    let address = world.client.addr.to_string();
    for state in 0..4 {
        for _ in 0..3_000 {
            let length = (next() % 100) as usize;
            let mut bytes: Vec<u8> = (0..length).map(|_| next() as u8).collect();
            // From a stranger anything, from the peer's address whatever is not a plain DTLS record of a handshake, which
            // anybody who can forge the address may end.
            let from = if next() % 2 == 0 { "203.0.113.99:9" } else { &*address };
            if let Some(first) = bytes.first_mut() {
                *first = [0, 1, 2, 19, 64, 127, 128, 144, 191, 192, 255][(next() % 11) as usize];
            }
            if let Some(second) = bytes.get_mut(1) {
                *second = [0, 1, 96, 200, 201, 205, 206, 223][(next() % 8) as usize];
            }
            world.inject(from, &bytes);
        }
        match state {
            0 => world.run_for(45),
            1 => world.run_for(600),
            2 => media_flows(&mut world, &mut film),
            _ => {}
        }
        assert!(world.closed().is_none(), "{:?} in state {state}", world.closed());
    }
    world.assert_connected();
    media_flows(&mut world, &mut film);
    let refused = world.own().refused();
    assert!(refused.checks > 500 && refused.strange > 500 && refused.feedback > 500, "{refused:?}");
    assert_eq!(refused.numbers, 0);
    world.close_server();
    world.inject(&address, &[128, 201, 0, 1]);
    assert!(!world.own().accepts(
        stentor_rtc::Protocol::Udp,
        address.parse().unwrap(),
        SERVER.parse().unwrap(),
        &[128]
    ));
}

#[test]
fn what_came_before_is_refused_when_it_comes_again() {
    let mut world = World::connected(Which::Own);
    let mut film = Film::new();
    film.run(&mut world, 100);
    let kept = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let keep = kept.clone();
    world.lose = Box::new(move |_, to_server, bytes| {
        if to_server && matches!(bytes, [128..192, 192..224, ..]) {
            keep.borrow_mut().push(bytes.to_vec());
        }
        false
    });
    world.ask_key_frame(str0m::media::KeyframeRequestKind::Pli);
    film.run(&mut world, 600);
    world.events.clear();
    let (address, refused) = (world.client.addr.to_string(), world.own().refused().feedback);
    let feedback = kept.borrow().clone();
    assert!(feedback.len() > 2);
    for bytes in &feedback {
        world.inject(&address, bytes);
    }
    assert!(world.events.is_empty(), "{:?}", world.events);
    assert_eq!(world.own().refused().feedback, refused + feedback.len() as u64);
}

#[test]
fn what_is_authentic_is_taken_from_a_proven_address_only() {
    let mut world = World::connected(Which::Own);
    let mut film = Film::new();
    film.run(&mut world, 100);
    let kept = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let keep = kept.clone();
    world.lose = Box::new(move |_, to_server, bytes| {
        let feedback = to_server && matches!(bytes, [128..192, 192..224, ..]);
        if feedback {
            keep.borrow_mut().push(bytes.to_vec());
        }
        feedback
    });
    world.ask_key_frame(str0m::media::KeyframeRequestKind::Pli);
    world.run_for(20);
    world.events.clear();
    let (address, strange) = (world.client.addr.to_string(), world.own().refused().strange);
    let feedback = kept.borrow().clone();
    feedback.iter().for_each(|bytes| world.inject("203.0.113.99:9", bytes));
    assert!(world.events.is_empty(), "{:?}", world.events);
    assert_eq!(world.own().refused().strange, strange + feedback.len() as u64);
    feedback.iter().for_each(|bytes| world.inject(&address, bytes));
    assert!(world.events.iter().any(|event| matches!(event, Event::KeyFrameRequested { kind: Kind::Video, .. })));
}
