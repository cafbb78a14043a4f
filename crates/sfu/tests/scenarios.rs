//! Publishers and viewers through a shard, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod world;

use bytes::Bytes;
use media::{Codec, Kind, MediaTime, RtpPacket, SeqNo, WallTime};
use rtc::Purpose;
use stentor_sfu::{Command, Drop, EndReason, Event, TrackId};
use world::{World, picture};

/// Every scenario gives the same with one shard and with three, in whose mail nothing is lost.
macro_rules! with_one_and_three_shards {
    ($($name:ident,)*) => {
        mod one_shard {
            $(#[test] fn $name() { super::$name(1); })*
        }
        mod three_shards {
            $(#[test] fn $name() { super::$name(3); })*
        }
    };
}

with_one_and_three_shards! {
    two_viewers_get_what_is_published_in_order_and_whole,
    vp8_goes_the_same_way,
    losses_are_repaired_on_both_ways,
    who_comes_late_starts_from_the_key_frame_and_is_live_at_once,
    without_a_kept_key_frame_the_source_is_asked_and_not_too_often,
    a_fed_track_keeps_a_long_group_and_replays_it_to_who_lost_the_picture,
    reports_to_viewers_align_sound_and_picture,
    a_storm_of_garbage_changes_nothing_and_costs_nothing,
    a_stun_request_with_the_name_of_a_leg_but_not_its_password_gets_no_answer,
    the_offer_says_who_opens_dtls,
    ice_restarts_and_media_goes_on_from_another_address,
    legs_end_when_nobody_connects_when_the_peer_goes_and_when_it_is_told,
    a_tap_tells_packets_as_they_were_sent,
    what_comes_late_from_before_the_start_is_not_sent,
    the_way_to_a_publisher_and_to_a_viewer_is_told,
}

const H264: &[Codec] = &[Codec::H264];
const BOTH: &[Codec] = &[Codec::Opus, Codec::H264];

fn two_viewers_get_what_is_published_in_order_and_whole(shards: usize) {
    let mut world = World::new(shards);
    let (publisher, _, tracks) = world.publisher("198.51.100.1:1000", &[Codec::Opus, Codec::H264]);
    let (one, _) = world.viewer("198.51.100.2:1000", &[Codec::Opus, Codec::H264], &tracks);
    let (two, _) = world.viewer("198.51.100.3:1000", &[Codec::Opus, Codec::H264], &tracks);
    world.run_to(1_000);
    for place in [publisher, one, two] {
        assert!(world.clients[place].connected, "client {place}");
    }
    let connected = world.events.iter().filter(|event| matches!(event, Event::Connected { .. })).count();
    assert_eq!(connected, 3);
    let (mut seq, mut time) = (60_000, 4_294_900_000);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 60, 30);
    world.run_for(200);
    for place in [one, two] {
        let got = world.clients[place].of(Kind::Video);
        assert_eq!(got.len() as u64, seq - 60_000, "every packet, once");
        for pair in got.windows(2) {
            assert_eq!(pair[1].seq, pair[0].seq + 1);
            assert!(pair[1].time.wrapping_sub(pair[0].time) <= 3_000);
        }
        assert!(got[0].seq < 65_536, "the receiver's rollover counter begins at 0");
        assert_eq!(got[0].time, 4_294_900_000, "the source's time");
        assert!(!got[0].marker && got[2].marker, "and its marker");
    }
}

fn vp8_goes_the_same_way(shards: usize) {
    let mut world = World::new(shards);
    let (publisher, _, tracks) = world.publisher("198.51.100.1:1000", &[Codec::Vp8]);
    let (viewer, _) = world.viewer("198.51.100.2:1000", &[Codec::Vp8], &tracks);
    world.run_to(1_000);
    let (mut seq, mut time) = (100, 0);
    world.film(publisher, Codec::Vp8, &mut seq, &mut time, 40, 30);
    world.run_for(200);
    let got = world.clients[viewer].of(Kind::Video);
    assert_eq!(got.len() as u64, seq - 100);
    assert_eq!(got[0].payload, picture(Codec::Vp8, true, 100)[0].0, "payloads pass through");
}

fn losses_are_repaired_on_both_ways(shards: usize) {
    let mut world = World::new(shards);
    let (publisher, _, tracks) = world.publisher("198.51.100.1:1000", H264);
    let (viewer, _) = world.viewer("198.51.100.2:1000", H264, &tracks);
    world.run_to(1_000);
    let (mut seq, mut time) = (100, 0);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 5, 60);
    // One datagram in ten that looks like RTP, in each direction; the numbers differ, so the losses do.
    world.lose = Box::new(|number, _, bytes| bytes[0] & 0xc0 == 0x80 && bytes[1] & 0x7f >= 96 && number % 10 == 3);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 150, 60);
    world.lose = Box::new(|_, _, _| false);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 10, 60);
    world.run_for(1_000);
    let mut got: Vec<u64> = world.clients[viewer].of(Kind::Video).iter().map(|got| got.seq).collect();
    got.sort_unstable();
    let before = got.len();
    got.dedup();
    assert_eq!(got.len(), before, "nothing twice");
    assert_eq!(got.len() as u64, seq - 100, "everything once");
    assert_eq!(got[got.len() - 1] - got[0] + 1, got.len() as u64);
}

fn who_comes_late_starts_from_the_key_frame_and_is_live_at_once(shards: usize) {
    let mut world = World::new(shards);
    let (publisher, _, tracks) = world.publisher("198.51.100.1:1000", H264);
    world.run_to(1_000);
    let (mut seq, mut time) = (100, 90_000);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 62, 60);
    let key_seq = 100 + 3 + 59;
    let (viewer, _) = world.viewer("198.51.100.2:1000", H264, &tracks);
    world.go_on(publisher, Codec::H264, &mut seq, &mut time, 40);
    world.run_for(200);
    let got = world.clients[viewer].of(Kind::Video);
    assert_eq!(got[0].payload[..2], [0x78, 0], "begins with the parameter sets of a key frame");
    assert_eq!(got[0].payload, picture(Codec::H264, true, key_seq)[0].0, "of the newest one");
    for pair in got.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq + 1);
        assert!(pair[1].time >= pair[0].time, "time never goes back");
    }
    let live = got.iter().position(|got| got.time % 3_000 == 0).unwrap();
    let backlog = &got[..live];
    assert!(!backlog.is_empty() && backlog.len() < 16);
    let squeezed = got[live].time - backlog[0].time;
    assert!(squeezed < 90 * 50, "the backlog plays in {squeezed} ticks");
    let span = backlog[backlog.len() - 1].at.duration_since(backlog[0].at);
    assert!(span.as_millis() < 5, "and comes within {span:?}");
    assert_eq!(got[got.len() - 1].time, time - 3_000, "then the true time");
}

fn without_a_kept_key_frame_the_source_is_asked_and_not_too_often(shards: usize) {
    let mut world = World::new(shards);
    let (publisher, _, tracks) = world.publisher("198.51.100.1:1000", H264);
    world.run_to(500);
    let (mut seq, mut time) = (100, 0);
    for _ in 0..20 {
        world.send(publisher, Kind::Video, seq, time, true, &[0x41, 1, 2]);
        (seq, time) = (seq + 1, time + 3_000);
        world.run_for(33);
    }
    let (viewer, _) = world.viewer("198.51.100.2:1000", H264, &tracks);
    for _ in 0..60 {
        world.send(publisher, Kind::Video, seq, time, true, &[0x41, 1, 2]);
        (seq, time) = (seq + 1, time + 3_000);
        world.run_for(33);
    }
    let asked = world.clients[publisher].key_frame_requests;
    assert!((3..=5).contains(&asked), "every half second while one waits: {asked}");
    assert!(world.clients[viewer].of(Kind::Video).is_empty(), "nothing that cannot be decoded");
    world.film(publisher, Codec::H264, &mut seq, &mut time, 30, 1_000);
    world.run_for(200);
    assert_eq!(world.clients[viewer].of(Kind::Video).len(), 32);
    assert_eq!(world.clients[publisher].key_frame_requests, asked);
    for _ in 0..20 {
        world.ask_key_frame(viewer);
        world.run_for(50);
    }
    let more = world.clients[publisher].key_frame_requests - asked;
    assert!((3..=4).contains(&more), "a second of asking passes on every 300 ms: {more}");
}

/// A fed packet of a picture that was taken `ms` after the start.
fn fed(world: &World, seq: u64, ms: i64, payload: &[u8], marker: bool) -> RtpPacket {
    let payload = Bytes::copy_from_slice(payload);
    RtpPacket {
        codec: Codec::H264,
        layer: 0,
        seq: SeqNo(seq),
        time: MediaTime(ms * 90),
        wall: WallTime(world.config.wall.0.0 + ms * 1_000),
        arrived: world.now,
        marker,
        key_start: rtc::starts_key_frame(Codec::H264, &payload),
        audio_level: None,
        payload,
    }
}

fn feed(world: &mut World, track: TrackId, seq: &mut u64, frames: u64) {
    for frame in 0..frames {
        let ms = i64::try_from(world.ms()).unwrap();
        let packets = picture(Codec::H264, frame == 0, *seq);
        let packets = packets
            .iter()
            .zip(*seq..)
            .map(|((payload, last), seq)| fed(world, seq, ms, payload, *last))
            .collect::<Vec<_>>();
        *seq += packets.len() as u64;
        world.command(Command::Packets { track, packets });
        world.run_for(33);
    }
}

fn a_fed_track_keeps_a_long_group_and_replays_it_to_who_lost_the_picture(shards: usize) {
    let mut world = World::new(shards);
    let track = world.track(Codec::H264);
    let mut seq = 5_000_000;
    feed(&mut world, track, &mut seq, 250);
    let (viewer, _) = world.viewer("198.51.100.2:1000", H264, &[track]);
    for _ in 0..30 {
        let ms = i64::try_from(world.ms()).unwrap();
        let packets = vec![fed(&world, seq, ms, &picture(Codec::H264, false, seq)[0].0, true)];
        seq += 1;
        world.command(Command::Packets { track, packets });
        world.run_for(33);
    }
    let got = world.clients[viewer].of(Kind::Video);
    let started = got.len();
    assert!(started >= 250, "the whole group: {started}");
    let span = got[251].at.duration_since(got[0].at);
    assert!(span.as_millis() < 100, "in {span:?}");
    world.ask_key_frame(viewer);
    world.run_for(200);
    world.ask_key_frame(viewer);
    world.run_for(200);
    let got = world.clients[viewer].of(Kind::Video);
    assert!(got.len() >= started + 250, "once more");
    assert!(got.len() < started + 500, "but once a second at most");
    for pair in got.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq + 1);
        assert!(pair[1].time.wrapping_sub(pair[0].time) < 1 << 31, "time never goes back");
    }
    assert_eq!(got[started].payload[..2], [0x78, 0]);
    assert!(got[got.len() - 1].time - got[started - 1].time < 3_000, "between two frames");
}

fn reports_to_viewers_align_sound_and_picture(shards: usize) {
    let mut world = World::new(shards);
    let (publisher, _, tracks) = world.publisher("198.51.100.1:1000", BOTH);
    let (viewer, _) = world.viewer("198.51.100.2:1000", BOTH, &tracks);
    world.run_to(1_000);
    let (mut audio, mut video) = (0u64, 0u64);
    // Both tracks are captured together, with clocks that have nothing in common; pictures leave 120 ms late.
    for ms in (0u64..4_000).step_by(20) {
        world.run_to(1_000 + ms);
        world.send(publisher, Kind::Audio, 10 + audio, 777 + audio as u32 * 960, false, &[0xfc, 1, 2]);
        audio += 1;
        if ms >= 120 && ms % 40 == 0 {
            let payload = picture(Codec::H264, video % 25 == 0, video);
            let time = 3_000_000_000 + (ms - 120) as u32 * 90;
            world.send_captured(publisher, Kind::Video, 10 + video, time, 120, &payload[0].0);
            video += 1;
        }
    }
    world.run_for(500);
    let last = |kind| world.clients[viewer].reports.iter().rev().find(|report| report.0 == kind).unwrap();
    let (audio_report, video_report) = (last(Kind::Audio), last(Kind::Video));
    // When was time 0 of the capture, by each report?
    let audio_zero = audio_report.2 - i64::from(audio_report.1.wrapping_sub(777)) * 1_000_000 / 48_000;
    let video_zero = video_report.2 - i64::from(video_report.1.wrapping_sub(3_000_000_000)) * 1_000_000 / 90_000;
    let apart = (audio_zero - video_zero).abs();
    assert!(apart < 5_000, "{apart} us apart");
    let first = &world.clients[viewer].reports[0];
    assert_ne!(first.1, 0, "no report before the first packet");
}

fn a_storm_of_garbage_changes_nothing_and_costs_nothing(shards: usize) {
    let mut world = World::new(shards);
    let (_, _, tracks) = world.publisher("198.51.100.1:1000", H264);
    let (viewer, _) = world.viewer("198.51.100.2:1000", H264, &tracks);
    world.run_to(1_000);
    let events = world.events.len();
    let sent = world.sum(|stats| stats.datagrams_out);
    let mut random = 0x1234_5678_9abc_def0_u64;
    for round in 0..5_000u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
        let length = (random >> 32) as usize % 300;
        let mut bytes: Vec<u8> = (0..length).map(|at| (random >> (at % 56)) as u8).collect();
        if round % 3 == 0 && length > 20 {
            bytes[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        }
        world.datagram(&format!("192.0.2.{}:{}", round % 250, 1_024 + round), &bytes);
        // Also from the address of a leg: what it does not understand it drops.
        world.datagram("198.51.100.2:1000", &bytes);
    }
    assert_eq!(world.sum(|stats| stats.legs_connected), 2, "{:?}", world.events.last());
    let refused = world.dropped(Drop::UnknownAddress) + world.dropped(Drop::UnknownUser);
    assert!(refused >= 5_000, "{refused}");
    assert_eq!(world.sum(|stats| stats.datagrams_out), sent);
    assert_eq!(world.events.len(), events);
    assert!(world.clients[viewer].connected);
}

fn a_stun_request_with_the_name_of_a_leg_but_not_its_password_gets_no_answer(shards: usize) {
    let mut world = World::new(shards);
    let (_, _, answer) = world.join("198.51.100.1:1000", H264, Purpose::Publish, |offer| offer);
    world.run_to(500);
    let out = world.sum(|stats| stats.datagrams_out);
    let user = format!("{}:abcd", answer.ufrag);
    let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    bytes.extend([0, 6, 0, user.len() as u8]);
    bytes.extend(user.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = (bytes.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    world.datagram("192.0.2.1:5", &bytes);
    assert_eq!(world.dropped(Drop::Unauthentic), 1);
    assert_eq!(world.sum(|stats| stats.datagrams_out), out);
}

fn the_offer_says_who_opens_dtls(shards: usize) {
    for (setup, expected) in [("actpass", "passive"), ("active", "passive"), ("passive", "active")] {
        let mut world = World::new(shards);
        let change = |offer: String| offer.replace("a=setup:actpass", &format!("a=setup:{setup}"));
        let (client, _, answer) = world.join("198.51.100.1:1000", BOTH, Purpose::Publish, change);
        assert!(answer.sdp.contains(&format!("a=setup:{expected}\r\n")), "{setup}");
        assert!(answer.sdp.contains("a=ice-lite\r\n"));
        world.run_to(1_000);
        assert!(world.clients[client].connected, "offered {setup}");
    }
}

fn ice_restarts_and_media_goes_on_from_another_address(shards: usize) {
    let mut world = World::new(shards);
    let (publisher, _, tracks) = world.publisher("198.51.100.1:1000", H264);
    let (viewer, leg) = world.viewer("198.51.100.2:1000", H264, &tracks);
    world.run_to(1_000);
    let (mut seq, mut time) = (100, 0);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 30, 30);
    world.run_for(100);
    let before = world.clients[viewer].of(Kind::Video).len();
    let fragment = world.restart_ice(viewer, leg, "198.51.100.77:4000");
    assert!(fragment.contains("a=ice-ufrag:") && fragment.contains("a=candidate:1 1 udp"), "{fragment}");
    world.run_for(1_000);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 30, 30);
    world.run_for(1_000);
    let got = world.clients[viewer].of(Kind::Video);
    assert_eq!(got.len(), before + 32, "over the new path");
    assert_eq!(got[got.len() - 1].seq - got[0].seq + 1, got.len() as u64, "and the numbers go on");
}

fn legs_end_when_nobody_connects_when_the_peer_goes_and_when_it_is_told(shards: usize) {
    let mut world = World::new(shards);
    world.lose = Box::new(|_, _, _| true);
    let (_, never, _) = world.join("198.51.100.1:1000", H264, Purpose::Publish, |offer| offer);
    world.run_to(35_000);
    let ended = |world: &World, id| {
        let found = world.events.iter().find_map(|event| match event {
            Event::Ended { leg, reason } if *leg == id => Some(reason.clone()),
            _ => None,
        });
        found.map(|reason| format!("{reason:?}"))
    };
    assert_eq!(ended(&world, never), Some(format!("{:?}", EndReason::NeverConnected)));

    world.lose = Box::new(|_, _, _| false);
    let (_, silent, tracks) = world.publisher("198.51.100.2:1000", H264);
    let (viewer, told) = world.viewer("198.51.100.3:1000", H264, &tracks);
    world.run_for(1_000);
    world.command(Command::RemoveLeg { id: told });
    world.run_for(500);
    assert!(world.clients[viewer].closed, "the viewer is told goodbye");
    assert_eq!(ended(&world, told), None, "who removes it is not told");
    world.lose = Box::new(|_, to_server, _| to_server);
    world.run_for(30_000);
    assert_eq!(ended(&world, silent).as_deref(), Some("Closed(Silent)"));
    assert_eq!(world.sum(|stats| stats.legs), 0);
}

fn a_tap_tells_packets_as_they_were_sent(shards: usize) {
    let mut world = World::new(shards);
    let (publisher, leg, tracks) = world.publisher("198.51.100.1:1000", H264);
    world.command(Command::Tap { track: tracks[0], on: true });
    world.run_to(500);
    let (mut seq, mut time) = (100, 7_000);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 30, 30);
    world.run_for(1_200);
    let packets: Vec<&RtpPacket> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Packet { packet, .. } => Some(packet),
            _ => None,
        })
        .collect();
    assert_eq!(packets.len(), 32);
    assert!(packets[0].key_start && packets[1].key_start && !packets[2].key_start && !packets[3].key_start);
    assert_eq!(&*packets[0].payload, &picture(Codec::H264, true, 100)[0].0[..]);
    assert_eq!(packets[31].time - packets[0].time, 29 * 3_000);
    let walls = packets[31].wall - packets[0].wall;
    assert!((29 * 33_000..=29 * 33_700).contains(&walls), "{walls} us");
    assert!(world.events.iter().any(|event| matches!(event, Event::Received { leg: alive } if *alive == leg)));
    assert!(world.events.iter().any(|event| matches!(event, Event::Stats(stats) if stats.packets_in == 32)));
}

fn what_comes_late_from_before_the_start_is_not_sent(shards: usize) {
    let mut world = World::new(shards);
    let track = world.track(Codec::H264);
    let mut seq = 100;
    feed(&mut world, track, &mut seq, 5);
    let before = fed(&world, seq, i64::try_from(world.ms()).unwrap() - 66, &[0x41, 1], true);
    feed(&mut world, track, &mut seq, 5);
    let (viewer, _) = world.viewer("198.51.100.2:1000", H264, &[track]);
    world.run_for(500);
    let started = world.clients[viewer].of(Kind::Video).len();
    assert_eq!(started, 7, "the newest group: three packets of the key frame and four pictures");
    world.command(Command::Packets { track, packets: vec![before] });
    world.run_for(100);
    assert_eq!(world.clients[viewer].of(Kind::Video).len(), started);
    assert_eq!(world.dropped(Drop::BeforeStart), 1);
}

fn the_way_to_a_publisher_and_to_a_viewer_is_told(shards: usize) {
    let mut world = World::new(shards);
    let (publisher, source, tracks) = world.publisher("198.51.100.1:1000", &[Codec::Opus]);
    let (_, leg) = world.viewer("198.51.100.2:1000", &[Codec::Opus], &tracks);
    world.run_to(1_000);
    let quality = |world: &World, leg| {
        let all: Vec<_> = world.shards.iter().flat_map(|shard| shard.stats().per_leg).collect();
        all.iter().find(|stats| stats.leg == leg && stats.bytes_in > 0).unwrap().quality
    };
    assert_eq!((quality(&world, source).audio, quality(&world, leg).audio), (None, None), "nobody has said anything");
    // Sound is not asked for again. Every fifth packet is lost on its way in, from the second second on.
    let mut count = 0;
    for seq in 0..250u64 {
        if seq == 100 {
            world.lose = Box::new(move |_, to_server, bytes| {
                let is_sound = to_server && (128..192).contains(&bytes[0]) && !(192..224).contains(&bytes[1]);
                count += u64::from(is_sound);
                is_sound && count % 5 == 0
            });
        }
        if seq == 100 {
            let sound = quality(&world, source).audio.unwrap();
            assert_eq!((sound.lost, sound.lost_share), (0, 0));
        }
        world.send(publisher, Kind::Audio, 500 + seq, 960 * seq as u32, false, &[0xfc; 40]);
        world.run_for(20);
    }
    let sound = quality(&world, source).audio.unwrap();
    assert!((25..=35).contains(&sound.lost), "{sound:?}");
    assert!((40..=60).contains(&sound.lost_share), "a fifth of 256: {sound:?}");
    let viewer = quality(&world, leg);
    let round_trip = viewer.round_trip.unwrap().as_millis();
    assert!((38..=48).contains(&round_trip), "{viewer:?}");
    assert!(viewer.audio.is_some() && viewer.video.is_none() && viewer.refused == 0, "{viewer:?}");
    world.datagram("198.51.100.2:1000", &[0x80, 0x6f, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
    assert_eq!(quality(&world, leg).refused, 1, "a viewer sends no media");
}
