//! What only several shards do: claiming legs, carrying tracks across, passing datagrams on, and forgetting all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod world;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use media::{Codec, Kind, MediaTime, RtpPacket, SeqNo, WallTime};
use rtc::{Answer, Batch, Leg, Protocol, Purpose};
use stentor_sfu::{self as sfu, Command, Drop, EndReason, Event, Expect, Input, LegId, Output, Shard, TrackId};
use str0m::media::Direction;
use world::{Client, SERVER, World, picture};

const H264: &[Codec] = &[Codec::H264];
const BOTH: &[Codec] = &[Codec::Opus, Codec::H264];
const PUBLISHER: &str = "198.51.100.1:1000";

/// Three shards; the last byte of a client's address says which one its datagrams come to.
fn three() -> World {
    let mut world = World::new(3);
    world.route = Box::new(last_byte);
    world
}

fn last_byte(from: SocketAddr) -> usize {
    match from.ip() {
        std::net::IpAddr::V4(ip) => usize::from(ip.octets()[3] / 10),
        std::net::IpAddr::V6(_) => 0,
    }
}

/// What a viewer was sent: time of each packet, its length, and the number that `picture` has written into it.
fn media(world: &World, client: usize) -> Vec<(u32, usize, u64)> {
    let number = |payload: &[u8]| {
        let at = if payload[0] == 0x78 { 11 } else { 2 };
        u64::from_be_bytes(payload[at..at + 8].try_into().unwrap())
    };
    world.clients[client]
        .of(Kind::Video)
        .iter()
        .map(|got| (got.time, got.payload.len(), number(&got.payload)))
        .collect()
}

fn nothing_is_left(world: &World) {
    assert_eq!(world.kept().iter().sum::<usize>(), 0, "{:?}", world.kept());
}

fn end(world: &mut World, legs: &[LegId], tracks: &[TrackId]) {
    for id in legs {
        world.command(Command::RemoveLeg { id: *id });
    }
    for id in tracks {
        world.command(Command::RemoveTrack { id: *id });
    }
    world.run_for(500);
}

#[test]
fn a_publisher_in_one_shard_has_viewers_in_all_and_each_packet_crosses_once_to_each() {
    let mut world = three();
    let (publisher, source, tracks) = world.publisher(PUBLISHER, H264);
    let viewers: Vec<(usize, LegId)> = [2, 3, 10, 11, 12, 20, 21]
        .iter()
        .map(|host| world.viewer(&format!("198.51.100.{host}:1000"), H264, &tracks))
        .collect();
    world.run_to(1_000);
    assert_eq!(world.at(source), Some(0));
    for ((_, leg), shard) in viewers.iter().zip([0, 0, 1, 1, 1, 2, 2]) {
        assert_eq!(world.at(*leg), Some(shard), "where its datagrams come, whatever its home");
    }
    let (mut seq, mut time) = (100, 0);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 60, 30);
    world.run_for(300);
    let sent = seq - 100;
    let first = media(&world, viewers[0].0);
    assert_eq!(first.len() as u64, sent);
    for (client, _) in &viewers {
        assert_eq!(media(&world, *client), first);
    }
    assert_eq!(world.sum(|stats| stats.packets_crossed), 2 * sent, "once to each, not once for each viewer");
    assert_eq!(world.sum(|stats| stats.packets_in), sent, "counted where it comes in");
    assert_eq!(world.sum(|stats| stats.legs), 8);
    assert_eq!(world.sum(|stats| stats.tracks), 1);
    let legs: Vec<LegId> = viewers.iter().map(|(_, leg)| *leg).chain([source]).collect();
    end(&mut world, &legs, &tracks);
    nothing_is_left(&world);
}

#[test]
fn one_shard_and_three_give_the_same_media_whatever_the_homes_and_the_mail() {
    let run = |shards: usize, home: Option<usize>, mail_ms: u64| {
        let mut world = World::new(shards);
        (world.home, world.mail_delay_max) = (home, Duration::from_millis(mail_ms));
        let (publisher, source, tracks) = world.publisher(PUBLISHER, BOTH);
        let mut viewers: Vec<(usize, LegId)> =
            (2..7).map(|host| world.viewer(&format!("198.51.100.{host}:1000"), BOTH, &tracks)).collect();
        world.run_to(1_000);
        let (mut seq, mut time) = (100, 0);
        world.film(publisher, Codec::H264, &mut seq, &mut time, 40, 40);
        let late = world.viewer("198.51.100.9:1000", BOTH, &tracks);
        viewers.push(late);
        world.go_on(publisher, Codec::H264, &mut seq, &mut time, 20);
        world.film(publisher, Codec::H264, &mut seq, &mut time, 40, 40);
        world.run_for(300);
        let all: Vec<Vec<_>> = viewers.iter().map(|(client, _)| media(&world, *client)).collect();
        let late: Vec<(usize, u64)> = all[5].iter().map(|(_, length, number)| (*length, *number)).collect();
        let legs: Vec<LegId> = viewers.iter().map(|(_, leg)| *leg).chain([source]).collect();
        end(&mut world, &legs, &tracks);
        nothing_is_left(&world);
        (all[..5].to_vec(), late)
    };
    let (expected, late) = run(1, None, 0);
    assert!(expected.iter().all(|got| got.len() == 104) && late.len() >= 62, "{}", late.len());
    for (home, mail_ms) in [(None, 0), (None, 3), (Some(0), 2), (Some(1), 2), (Some(2), 2), (None, 40)] {
        let (got, got_late) = run(3, home, mail_ms);
        assert_eq!(got, expected, "home {home:?}, mail {mail_ms} ms");
        assert_eq!(got_late, late, "home {home:?}, mail {mail_ms} ms");
    }
}

#[test]
fn a_viewer_lost_to_another_network_is_served_from_where_it_was() {
    let mut world = three();
    let (publisher, source, tracks) = world.publisher(PUBLISHER, H264);
    let (viewer, leg) = world.viewer("198.51.100.10:1000", H264, &tracks);
    world.run_to(1_000);
    let (mut seq, mut time) = (100, 0);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 30, 30);
    assert_eq!(world.at(leg), Some(1));
    let fragment = world.restart_ice(viewer, leg, "198.51.100.20:4000");
    assert!(fragment.contains("a=ice-ufrag:"));
    world.run_for(1_000);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 30, 30);
    world.ask_key_frame(viewer);
    world.run_for(1_000);
    assert_eq!(world.at(leg), Some(1), "it stays where it is");
    assert!(world.sum(|stats| stats.datagrams_crossed) > 0, "and its datagrams are passed on");
    assert_eq!(world.clients[viewer].of(Kind::Video).len() as u64, seq - 100);
    assert!(world.clients[publisher].key_frame_requests > 0, "the wish went through three shards");
    end(&mut world, &[leg, source], &tracks);
    nothing_is_left(&world);
}

#[test]
fn who_is_passive_is_sent_the_first_record_by_the_shard_that_it_comes_to() {
    for home in 0..3 {
        let mut world = three();
        world.home = Some(home);
        let change = |offer: String| offer.replace("a=setup:actpass", "a=setup:passive");
        let (client, leg, _) = world.join("198.51.100.10:1000", BOTH, Purpose::Publish, change);
        world.run_to(1_500);
        assert!(world.clients[client].connected);
        assert_eq!(world.at(leg), Some(1));
        end(&mut world, &[leg], &[]);
        nothing_is_left(&world);
    }
}

#[test]
fn a_leg_that_ends_while_it_is_claimed_leaves_nothing_whenever_that_is() {
    for ms in 0..160 {
        let mut world = three();
        (world.home, world.mail_delay_max) = (Some(2), Duration::from_millis(9));
        let (_, source, tracks) = world.publisher(PUBLISHER, H264);
        let (_, viewer) = world.viewer("198.51.100.10:1000", H264, &tracks);
        world.run_to(ms);
        world.command(Command::RemoveLeg { id: viewer });
        world.run_for(ms % 7);
        world.command(Command::RemoveLeg { id: source });
        for id in &tracks {
            world.command(Command::RemoveTrack { id: *id });
        }
        world.run_for(500);
        nothing_is_left(&world);
        let ended = world.events.iter().any(|event| matches!(event, Event::Ended { .. }));
        assert!(!ended, "who removes it is not told, {ms}");
    }
}

#[test]
fn a_track_that_ends_while_it_is_attached_leaves_nothing_whenever_that_is() {
    for ms in (0..60).step_by(2) {
        let mut world = three();
        (world.home, world.mail_delay_max) = (Some(2), Duration::from_millis(9));
        let (publisher, source, tracks) = world.publisher(PUBLISHER, H264);
        let (_, viewer) = world.viewer("198.51.100.10:1000", H264, &[]);
        world.run_to(1_000);
        let (mut seq, mut time) = (100, 0);
        world.film(publisher, Codec::H264, &mut seq, &mut time, 5, 30);
        world.command(Command::Subscribe { leg: viewer, track: tracks[0] });
        world.run_for(ms);
        world.command(Command::RemoveTrack { id: tracks[0] });
        world.film(publisher, Codec::H264, &mut seq, &mut time, 5, 30);
        assert_eq!(world.sum(|stats| stats.tracks), 0);
        end(&mut world, &[viewer, source], &[]);
        nothing_is_left(&world);
    }
}

#[test]
fn who_comes_and_goes_while_mail_is_under_way_gets_every_packet_once() {
    let mut world = three();
    world.mail_delay_max = Duration::from_millis(30);
    let (publisher, source, tracks) = world.publisher(PUBLISHER, H264);
    let (viewer, leg) = world.viewer("198.51.100.10:1000", H264, &[]);
    world.run_to(1_000);
    let (mut seq, mut time) = (100, 0);
    for round in 0..12 {
        world.command(Command::Subscribe { leg, track: tracks[0] });
        world.film(publisher, Codec::H264, &mut seq, &mut time, 1 + round % 3, 1);
        world.command(Command::Unsubscribe { leg, kind: Kind::Video });
        world.run_for(round * 5);
    }
    world.command(Command::Subscribe { leg, track: tracks[0] });
    world.film(publisher, Codec::H264, &mut seq, &mut time, 10, 100);
    world.run_for(300);
    let numbers: Vec<u64> = media(&world, viewer).iter().map(|(_, _, number)| *number).collect();
    let key = seq - 12;
    let expected: Vec<u64> = [key, key, key].into_iter().chain(key + 3..seq).collect();
    assert_eq!(numbers[numbers.len() - 12..], expected, "the newest pictures, once each and in order");
    assert!(numbers.is_sorted());
    let seqs: Vec<u64> = world.clients[viewer].of(Kind::Video).iter().map(|got| got.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "one numbering, however often it began: {seqs:?}");
    assert_eq!(world.sum(|stats| stats.tracks), 1);
    end(&mut world, &[leg, source], &tracks);
    nothing_is_left(&world);
}

#[test]
fn a_track_moves_to_the_shard_of_the_leg_that_is_bound_to_it_later() {
    let mut world = three();
    world.home = Some(2);
    let track = world.track(Codec::H264);
    let viewers: Vec<(usize, LegId)> =
        [2, 10, 20].iter().map(|host| world.viewer(&format!("198.51.100.{host}:1000"), H264, &[track])).collect();
    world.run_to(800);
    // Fed at its home for a while.
    let mut seq = 5_000;
    for frame in 0..10 {
        let packets = fed(&world, &mut seq, frame == 0);
        world.command(Command::Packets { track, packets });
        world.run_for(33);
    }
    let before: Vec<usize> = viewers.iter().map(|(client, _)| media(&world, *client).len()).collect();
    assert_eq!(before, [12, 12, 12]);
    // Then one leg after the other, of different shards, takes it over.
    let mut sources = Vec::new();
    for (round, host) in [1, 11, 21, 5].into_iter().enumerate() {
        let (client, source, _) = world.join(&format!("198.51.100.{host}:2000"), H264, Purpose::Publish, |offer| offer);
        world.run_for(500);
        world.command(Command::Bind { leg: source, kind: Kind::Video, track });
        world.run_for(50);
        let (mut seq, mut time) = (40_000 - 5_000 * round as u64, (round as u32 + 1) * 90_000 * 10);
        world.film(client, Codec::H264, &mut seq, &mut time, 10, 30);
        world.run_for(200);
        for (client, _) in &viewers {
            let got = media(&world, *client);
            assert_eq!(got.len(), 12 * (round + 2), "round {round}");
            let seqs: Vec<u64> = world.clients[*client].of(Kind::Video).iter().map(|got| got.seq).collect();
            assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "one numbering for the viewer");
        }
        sources.push(source);
    }
    sources.extend(viewers.iter().map(|(_, leg)| *leg));
    end(&mut world, &sources, &[track]);
    nothing_is_left(&world);
}

#[test]
fn what_the_old_origin_sent_is_not_mixed_into_what_the_new_one_sends() {
    let mut world = three();
    world.home = Some(2);
    let track = world.track(Codec::H264);
    let (viewer, _) = world.viewer("198.51.100.10:1000", H264, &[track]);
    let mut sources = [1, 21].map(|host| {
        let (client, leg, _) = world.join(&format!("198.51.100.{host}:2000"), H264, Purpose::Publish, |offer| offer);
        (client, leg, 1_000 * host, 90_000 * (40 - host as u32))
    });
    world.run_to(1_000);
    world.command(Command::Bind { leg: sources[0].1, kind: Kind::Video, track });
    world.run_for(50);
    world.slow_mail = Some((0, 1, Duration::from_millis(400)));
    for (client, leg, seq, time) in &mut sources {
        world.command(Command::Bind { leg: *leg, kind: Kind::Video, track });
        world.run_for(20);
        world.film(*client, Codec::H264, seq, time, 10, 30);
    }
    world.run_for(1_000);
    let numbers: Vec<u64> = media(&world, viewer).iter().map(|(_, _, number)| *number).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert_eq!(numbers.iter().filter(|number| **number >= 21_000).count(), 12);
}

#[test]
fn who_lets_a_kind_go_before_it_is_there_gets_nothing_of_it() {
    let mut world = three();
    let (publisher, _, tracks) = world.publisher(PUBLISHER, BOTH);
    let (viewer, leg) = world.viewer("198.51.100.10:1000", BOTH, &[]);
    world.run_to(1_000);
    world.slow_mail = Some((0, 1, Duration::from_millis(50)));
    for track in &tracks {
        world.command(Command::Subscribe { leg, track: *track });
    }
    world.command(Command::Unsubscribe { leg, kind: Kind::Video });
    let (mut seq, mut time) = (100, 0);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 10, 30);
    for number in 0..10 {
        world.send(publisher, Kind::Audio, 10 + number, 960 * number as u32, false, &[0xfc, 1, 2]);
        world.run_for(20);
    }
    world.run_for(200);
    assert_eq!(media(&world, viewer).len(), 0);
    assert_eq!(world.clients[viewer].of(Kind::Audio).len(), 10);
    let crossed = world.sum(|stats| stats.packets_crossed);
    world.command(Command::Unsubscribe { leg, kind: Kind::Audio });
    world.run_for(200);
    for number in 10..20 {
        world.send(publisher, Kind::Audio, 10 + number, 960 * number as u32, false, &[0xfc, 1, 2]);
        world.film(publisher, Codec::H264, &mut seq, &mut time, 1, 30);
    }
    assert_eq!(world.sum(|stats| stats.packets_crossed), crossed, "nothing crosses to where nobody is");
}

fn fed(world: &World, seq: &mut u64, key: bool) -> Vec<RtpPacket> {
    let ms = i64::try_from(world.ms()).unwrap();
    let pictures = picture(Codec::H264, key, *seq);
    let packets = pictures.iter().zip(*seq..).map(|((payload, last), seq)| RtpPacket {
        codec: Codec::H264,
        layer: 0,
        seq: SeqNo(seq),
        time: MediaTime(ms * 90),
        wall: WallTime(world.config.wall.0.0 + ms * 1_000),
        arrived: world.now,
        marker: *last,
        key_start: rtc::starts_key_frame(Codec::H264, payload),
        audio_level: None,
        payload: Bytes::copy_from_slice(payload),
    });
    let packets: Vec<RtpPacket> = packets.collect();
    *seq += packets.len() as u64;
    packets
}

#[test]
fn taps_follow_a_track_to_its_origin() {
    let mut world = three();
    world.home = Some(2);
    let track = world.track(Codec::H264);
    world.command(Command::Tap { track, on: true });
    let (client, source, _) = world.join(PUBLISHER, H264, Purpose::Publish, |offer| offer);
    world.command(Command::Bind { leg: source, kind: Kind::Video, track });
    world.run_to(800);
    let (mut seq, mut time) = (100, 0);
    let tapped =
        |world: &World| world.events.iter().filter(|event| matches!(event, Event::Packet { .. })).count() as u64;
    world.film(client, Codec::H264, &mut seq, &mut time, 10, 30);
    world.run_for(100);
    assert_eq!(tapped(&world), seq - 100);
    assert_eq!(world.sum(|stats| stats.packets_crossed), 0, "no packet crosses for a tap");
    world.command(Command::Tap { track, on: false });
    world.run_for(100);
    world.film(client, Codec::H264, &mut seq, &mut time, 10, 30);
    assert_eq!(tapped(&world), 12);
    world.command(Command::RequestKeyFrame { track });
    world.run_for(200);
    assert_eq!(world.clients[client].key_frame_requests, 1);
}

#[test]
fn packets_that_find_no_room_are_counted_and_the_next_key_frame_heals() {
    let mut world = three();
    let (publisher, source, tracks) = world.publisher(PUBLISHER, H264);
    let (viewer, leg) = world.viewer("198.51.100.10:1000", H264, &tracks);
    world.run_to(1_000);
    let (mut seq, mut time) = (100, 0);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 10, 30);
    world.lose_mail = Box::new(|| true);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 5, 30);
    world.lose_mail = Box::new(|| false);
    world.film(publisher, Codec::H264, &mut seq, &mut time, 10, 30);
    world.run_for(200);
    let got = media(&world, viewer);
    assert_eq!(got.len(), 24);
    assert!(world.dropped(Drop::MailFull) >= 7);
    end(&mut world, &[leg, source], &tracks);
    nothing_is_left(&world);
}

#[test]
fn nobody_claims_a_leg_without_its_password() {
    let mut world = three();
    let (_, leg, answer) = world.join(PUBLISHER, H264, Purpose::Publish, |offer| offer);
    world.lose = Box::new(|_, _, _| true);
    let out = world.sum(|stats| stats.datagrams_out);
    let kept = world.kept();
    for host in 0..30 {
        for port in 1..200 {
            let from = format!("192.0.2.{host}:{port}");
            world.datagram(&from, &unsigned(&answer));
            world.datagram(&from, &[22, 254, 253, 0, 0, 0, 0]);
            world.datagram(&from, &[0x80, 96, 0, 0]);
        }
    }
    world.run_for(100);
    assert_eq!(world.dropped(Drop::Unauthentic), 30 * 199);
    assert_eq!(world.dropped(Drop::UnknownAddress), 2 * 30 * 199);
    assert_eq!((world.sum(|stats| stats.datagrams_out), world.kept()), (out, kept), "no answer and no memory");
    assert_eq!((world.at(leg), world.sum(|stats| stats.legs)), (Some(leg.home()), 1), "it waits at its home");
}

/// A request that says the name of a leg, and is not signed.
fn unsigned(answer: &Answer) -> Vec<u8> {
    let user = format!("{}:abcd", answer.ufrag);
    let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    bytes.extend([0, 6, 0, user.len() as u8]);
    bytes.extend(user.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = (bytes.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

#[test]
fn what_nobody_claims_is_forgotten_by_all() {
    let mut world = three();
    world.lose = Box::new(|_, _, _| true);
    let mut legs: Vec<LegId> = [1, 10, 20]
        .iter()
        .map(|host| world.join(&format!("198.51.100.{host}:1"), H264, Purpose::Publish, |offer| offer).1)
        .collect();
    legs.sort_unstable();
    assert_eq!(world.sum(|stats| stats.legs), 3, "each counted once");
    world.run_to(40_000);
    let mut ended: Vec<LegId> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Ended { leg, reason: EndReason::NeverConnected } => Some(*leg),
            _ => None,
        })
        .collect();
    ended.sort_unstable();
    assert_eq!(ended, legs, "told once each");
    nothing_is_left(&world);
}

#[test]
fn an_expectation_whose_leg_never_came_is_forgotten() {
    let mut world = three();
    let (_, offer, _) = Client::offer(world.now, PUBLISHER, H264, Direction::SendOnly);
    let (leg, _) = Leg::answer(&world.config, &offer, Purpose::Publish, world.now).unwrap();
    let now = world.now;
    let mut out = Batch::new(1_000);
    let expect = Expect::of(LegId::new(0, 77), &leg);
    world.shards[1].handle(now, Input::Command(Command::Expect(expect)), &mut out);
    assert!(world.kept()[1] > 0);
    world.run_to(70_000);
    nothing_is_left(&world);
}

/// Two shards, and the mail between them in the test's hands.
struct Pair {
    shards: Vec<Shard>,
    now: Instant,
    out: Batch,
    mail: Vec<(usize, sfu::Mail)>,
    sent: Vec<(SocketAddr, Protocol, Vec<u8>)>,
}

impl Pair {
    fn tell(&mut self, shard: usize, input: Input<'_>) {
        self.shards[shard].handle(self.now, input, &mut self.out);
        loop {
            match self.shards[shard].poll_output(&mut self.out) {
                Output::Mail { to, mail } => self.mail.push((to, mail)),
                Output::Event(_) => {}
                Output::Full | Output::Timeout(_) if !self.out.is_empty() => {
                    for run in self.out.runs() {
                        if !self.shards[shard].divert(&run) {
                            let datagrams = run.datagrams().map(|bytes| (run.to, run.protocol, bytes.to_vec()));
                            self.sent.extend(datagrams);
                        }
                    }
                    self.out.clear();
                }
                Output::Full | Output::Timeout(_) => return,
            }
        }
    }

    fn deliver(&mut self) {
        while !self.mail.is_empty() {
            let (to, mail) = self.mail.remove(0);
            self.tell(to, Input::Mail(mail));
        }
    }
}

/// A leg at home 0, and the requests by which its peer proves itself from wherever.
fn pair() -> (Pair, LegId, Client) {
    let world = World::new(1);
    let now = world.now;
    let (mut client, offer, pending) = Client::offer(now, PUBLISHER, H264, Direction::SendOnly);
    let (leg, answer) = Leg::answer(&world.config, &offer, Purpose::Publish, now).unwrap();
    client
        .rtc
        .sdp_api()
        .accept_answer(pending, str0m::change::SdpAnswer::from_sdp_string(&answer.sdp).unwrap())
        .unwrap();
    let shards = (0..2).map(|index| Shard::new(sfu::Config::default(), index, 2, now)).collect();
    let mut pair = Pair { shards, now, out: Batch::new(4_000), mail: Vec::new(), sent: Vec::new() };
    let id = LegId::new(0, 9);
    pair.tell(1, Input::Command(Command::Expect(Expect::of(id, &leg))));
    pair.tell(0, Input::Command(Command::AddLeg { id, leg: Box::new(leg) }));
    (pair, id, client)
}

/// What the client sends until it has nothing more to say.
fn said(client: &mut Client, now: Instant) -> Vec<Vec<u8>> {
    client.rtc.handle_input(str0m::Input::Timeout(now)).unwrap();
    let mut out = Vec::new();
    loop {
        match client.rtc.poll_output().unwrap() {
            str0m::Output::Transmit(transmit) => out.push(Vec::from(transmit.contents)),
            str0m::Output::Event(_) => {}
            str0m::Output::Timeout(_) => return out,
        }
    }
}

fn datagram<'a>(proto: Protocol, from: &str, bytes: &'a [u8]) -> Input<'a> {
    Input::Datagram { proto, from: from.parse().unwrap(), to: SERVER.parse().unwrap(), bytes }
}

const RECORD: &[u8] = &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn two_shards_that_claim_at_once_agree_on_one_and_the_other_passes_on() {
    let (mut pair, leg, mut client) = pair();
    let requests = said(&mut client, pair.now + Duration::from_millis(60));
    let request = requests.iter().find(|bytes| bytes[0] == 0).unwrap();
    for (shard, from) in [(0, "198.51.100.1:1000"), (1, "198.51.100.1:2000")] {
        pair.tell(shard, datagram(Protocol::Udp, from, request));
    }
    assert_eq!(pair.sent.len(), 2, "both answer");
    // The other asks first, but the home is given a record before it hears of that.
    pair.tell(1, datagram(Protocol::Udp, "198.51.100.1:2000", RECORD));
    pair.tell(1, datagram(Protocol::Udp, "198.51.100.1:2000", RECORD));
    pair.tell(0, datagram(Protocol::Udp, "198.51.100.1:1000", RECORD));
    pair.deliver();
    let has = |pair: &Pair, shard: usize| pair.shards[shard].stats().per_leg.iter().any(|stats| stats.leg == leg);
    assert!(has(&pair, 0) && !has(&pair, 1));
    let crossed = pair.shards[1].stats().datagrams_crossed;
    assert_eq!(crossed, 3, "the request and both records");
    pair.tell(1, datagram(Protocol::Udp, "198.51.100.1:2000", RECORD));
    pair.deliver();
    assert_eq!(pair.shards[1].stats().datagrams_crossed, 4);
    pair.tell(0, Input::Command(Command::RemoveLeg { id: leg }));
    pair.deliver();
    assert_eq!((pair.shards[0].kept(), pair.shards[1].kept()), (0, 0));
}

#[test]
fn while_a_leg_is_asked_for_no_more_is_kept_than_a_flight() {
    let (mut pair, leg, mut client) = pair();
    let requests = said(&mut client, pair.now + Duration::from_millis(60));
    pair.tell(1, datagram(Protocol::Udp, "198.51.100.1:1000", &requests[0]));
    for _ in 0..100 {
        pair.tell(1, datagram(Protocol::Udp, "198.51.100.1:1000", RECORD));
    }
    assert_eq!(pair.mail.len(), 1, "asked once");
    assert_eq!(pair.shards[1].stats().dropped(Drop::Unclaimed), 92);
    pair.deliver();
    assert_eq!(pair.shards[1].stats().legs_claimed, 1);
    assert_eq!((pair.shards[0].stats().legs, pair.shards[1].stats().legs), (0, 1));
    assert!(pair.shards[0].stats().per_leg.is_empty());
    // Its home is told, whoever ends it.
    pair.tell(0, Input::Command(Command::RemoveLeg { id: leg }));
    pair.deliver();
    assert_eq!((pair.shards[0].kept(), pair.shards[1].kept()), (0, 0));
}

#[test]
fn a_tcp_connection_of_another_shard_is_sent_what_is_for_it_there() {
    let (mut pair, leg, mut client) = pair();
    let requests = said(&mut client, pair.now + Duration::from_millis(60));
    pair.tell(0, datagram(Protocol::Udp, "198.51.100.1:1000", &requests[0]));
    pair.tell(0, datagram(Protocol::Udp, "198.51.100.1:1000", RECORD));
    pair.deliver();
    pair.sent.clear();
    pair.tell(1, datagram(Protocol::Tcp, "198.51.100.1:7000", &requests[0]));
    assert!(pair.sent.is_empty(), "the leg answers itself, now that there is who has it");
    pair.deliver();
    let tcp: Vec<_> = pair.sent.iter().filter(|(_, proto, _)| *proto == Protocol::Tcp).collect();
    assert_eq!(tcp.len(), 1, "the answer goes over the connection");
    assert_eq!(tcp[0].0, "198.51.100.1:7000".parse().unwrap());
    assert_eq!(pair.shards[0].stats().datagrams_crossed, 1);
    pair.tell(0, Input::Command(Command::RemoveLeg { id: leg }));
    pair.deliver();
    assert_eq!((pair.shards[0].kept(), pair.shards[1].kept()), (0, 0));
}
