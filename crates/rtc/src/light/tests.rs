#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use media::{Codec, Kind, WallTime};
use proptest::prelude::*;

use super::*;
use crate::{
    AnswerError, Batch, Certificate, CloseReason, Leg, Outgoing, Protocol, Purpose,
    leg::{Event as LegEvent, Input as LegInput, Output as LegOutput},
};

const CLIENT: &str = "198.51.100.7:5000";
const SERVER: &str = "203.0.113.1:3478";
/// One way.
const DELAY: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    kind: Kind,
    seq: u64,
    time: u32,
    marker: bool,
    payload: Vec<u8>,
    is_rtx: bool,
    is_opened: bool,
}

/// A str0m leg that sends, a light viewer that receives, and a network that loses what it is told to lose.
struct World {
    now: Instant,
    viewer: Viewer,
    leg: Leg,
    /// When, whether towards the viewer, and what.
    flying: VecDeque<(Instant, bool, Vec<u8>)>,
    /// Datagrams towards the viewer are lost where this says so, by their place.
    loses: fn(&[u8], usize) -> bool,
    sent: usize,
    batch: Batch,
    seen: Vec<Seen>,
    events: Vec<Event>,
    leg_events: Vec<LegEvent>,
}

fn server(now: Instant) -> crate::Config {
    crate::Config::new(SERVER.parse().unwrap(), Certificate::generate().unwrap(), WallTime(0), now)
}

fn config() -> Config {
    Config::new(Certificate::generate().unwrap())
}

const PLAY: Purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };

impl World {
    fn new(config: &Config, purpose: Purpose) -> Self {
        let now = Instant::now();
        let mut viewer = Viewer::new(config, 7, now);
        let (leg, answer) = Leg::answer(&server(now), &viewer.offer(), purpose, now).unwrap();
        viewer.accept(&answer.sdp, now).unwrap();
        Self {
            now,
            viewer,
            leg,
            flying: VecDeque::new(),
            loses: |_, _| false,
            sent: 0,
            batch: Batch::new(10_000),
            seen: Vec::new(),
            events: Vec::new(),
            leg_events: Vec::new(),
        }
    }

    fn connected(config: &Config, purpose: Purpose) -> Self {
        let mut world = Self::new(config, purpose);
        world.run(Duration::from_secs(2));
        assert!(world.viewer.is_connected() && world.leg.is_connected());
        world
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = self.drain_leg().min(self.drain_viewer());
            let lands = self.flying.front().map_or(end, |(at, ..)| *at);
            let next = due.min(lands).min(end);
            assert!(next >= self.now);
            self.now = next;
            if next >= end {
                return;
            }
            if lands <= next {
                let (_, to_viewer, mut bytes) = self.flying.pop_front().unwrap();
                self.land(to_viewer, &mut bytes);
            } else {
                self.leg.handle(self.now, LegInput::Timeout);
                self.viewer.handle(self.now, Input::Timeout, &mut |_| panic!("nothing came"));
            }
        }
    }

    fn land(&mut self, to_viewer: bool, bytes: &mut [u8]) {
        let (client, server): (SocketAddr, SocketAddr) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        if to_viewer {
            self.receive(server, bytes);
        } else {
            self.leg.handle(self.now, LegInput::Datagram { proto: Protocol::Udp, from: client, to: server, bytes });
        }
    }

    fn receive(&mut self, from: SocketAddr, bytes: &mut [u8]) {
        let seen = &mut self.seen;
        self.viewer.handle(self.now, Input::Datagram { from, bytes }, &mut |packet| {
            let Packet { kind, seq, time, marker, payload, is_rtx, is_opened, .. } = packet;
            seen.push(Seen { kind, seq, time, marker, payload: payload.to_vec(), is_rtx, is_opened });
        });
    }

    fn drain_leg(&mut self) -> Instant {
        let due = loop {
            match self.leg.poll_output(&mut self.batch) {
                LegOutput::Event(event) => self.leg_events.push(event),
                LegOutput::Timeout(at) => break at,
            }
        };
        for run in self.batch.runs() {
            assert_eq!(run.to, CLIENT.parse().unwrap());
            for bytes in run.datagrams() {
                self.sent += 1;
                if !(self.loses)(bytes, self.sent) {
                    self.flying.push_back((self.now + DELAY, true, bytes.to_vec()));
                }
            }
        }
        self.batch.clear();
        due
    }

    fn drain_viewer(&mut self) -> Instant {
        let mut batch = Batch::new(10_000);
        let due = loop {
            match self.viewer.poll_output(&mut batch) {
                Output::Event(event) => self.events.push(event),
                Output::Timeout(at) => break at,
            }
        };
        for run in batch.runs() {
            assert_eq!((run.protocol, run.to), (Protocol::Udp, SERVER.parse().unwrap()));
            run.datagrams().for_each(|bytes| self.flying.push_back((self.now + DELAY, false, bytes.to_vec())));
        }
        due
    }

    fn send(&mut self, kind: Kind, codec: Codec, seq: u64) {
        let payload: Arc<[u8]> = Arc::from([&[0x65][..], &seq.to_be_bytes(), &[0; 500]].concat());
        let packet = Outgoing {
            codec,
            seq,
            time: seq as u32 * 3_000,
            wall: WallTime(0),
            marker: seq.is_multiple_of(3),
            payload: &payload,
            audio_level: None,
        };
        self.leg.send(self.now, kind, packet, &mut self.batch).unwrap();
    }

    /// Ten seconds of packets, a picture and a sound every 20 ms.
    fn play(&mut self, numbers: std::ops::Range<u64>) {
        for seq in numbers {
            self.send(Kind::Video, Codec::H264, seq);
            self.send(Kind::Audio, Codec::Opus, seq);
            self.run(Duration::from_millis(20));
        }
        self.run(Duration::from_secs(1));
    }

    fn numbers(&self, kind: Kind) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.seen.iter().filter(|seen| seen.kind == kind).map(|seen| seen.seq).collect();
        numbers.sort_unstable();
        numbers
    }
}

fn is_rtp(bytes: &[u8]) -> bool {
    bytes.len() > 400 && (128..192).contains(&bytes[0])
}

#[test]
fn a_viewer_connects_and_receives_sound_and_picture() {
    let mut world = World::connected(&config(), PLAY);
    assert_eq!(world.events, [Event::Reached, Event::Connected]);
    assert_eq!(world.viewer.transport().rtt, Some(2 * DELAY));
    world.play(0..100);
    let all: Vec<u64> = (0..100).collect();
    assert_eq!((world.numbers(Kind::Video), world.numbers(Kind::Audio)), (all.clone(), all));
    assert_eq!(world.viewer.codec(Kind::Video), Some(Codec::H264));
    let seen = &world.seen[2 * 42];
    assert_eq!((seen.time, seen.marker, seen.is_rtx, seen.is_opened), (42 * 3_000, true, false, true));
    assert_eq!(seen.payload, [&[0x65][..], &42u64.to_be_bytes(), &[0; 500]].concat());
    let counts = world.viewer.counts(Kind::Video);
    assert_eq!((counts.packets, counts.lost, counts.missing, counts.duplicates), (100, 0, 0, 0));
    assert!(counts.bytes > 100 * 509);
    let transport = world.viewer.transport();
    assert_eq!((transport.srtp.total(), transport.strange, transport.stun_refused), (0, 0, 0));
    assert!(transport.sender_reports >= 2, "{transport:?}");
}

#[test]
fn what_is_lost_is_asked_for_and_repaired() {
    let mut world = World::connected(&config(), PLAY);
    // By the number in the header: retransmissions have numbers of their own and are lost as well.
    world.loses = |bytes, _| is_rtp(bytes) && bytes[3] % 7 == 3;
    world.play(0..200);
    world.loses = |_, _| false;
    world.play(200..210);
    assert_eq!(world.numbers(Kind::Video), (0..210).collect::<Vec<u64>>(), "each number once");
    let (video, audio) = (world.viewer.counts(Kind::Video), world.viewer.counts(Kind::Audio));
    assert!(video.repaired >= 20 && video.nacked >= video.repaired, "{video:?}");
    assert_eq!((video.missing, video.lost), (0, 0));
    assert!(audio.lost >= 20 && audio.nacked == 0 && audio.packets + audio.lost == 210, "{audio:?}");
    assert!(world.seen.iter().filter(|seen| seen.is_rtx).all(|seen| seen.payload[1..9] == seen.seq.to_be_bytes()));
}

#[test]
fn a_handshake_gets_through_a_network_that_loses_a_third() {
    let mut world = World::new(&config(), PLAY);
    world.loses = |_, place| place % 3 == 1;
    world.run(Duration::from_secs(20));
    assert!(world.viewer.is_connected() && world.leg.is_connected(), "{:?}", world.events);
}

#[test]
fn a_sample_is_opened_and_the_rest_is_counted() {
    let config = Config { decrypt_every: 10, ..config() };
    let mut world = World::connected(&config, PLAY);
    world.loses = |bytes, _| is_rtp(bytes) && bytes[3] % 11 == 3;
    world.play(0..200);
    world.loses = |_, _| false;
    world.play(200..201);
    assert_eq!(world.numbers(Kind::Video), (0..201).collect::<Vec<u64>>());
    for seen in &world.seen {
        assert_eq!(seen.is_opened, seen.is_rtx || seen.seq % 10 == 0);
        assert_eq!(seen.payload.is_empty(), !seen.is_opened);
    }
}

#[test]
fn key_frames_are_asked_for_and_goodbye_is_said() {
    let mut world = World::connected(&config(), PLAY);
    world.play(0..5);
    world.viewer.request_key_frame(Kind::Video);
    world.run(Duration::from_millis(100));
    let asked = |event: &&LegEvent| matches!(event, LegEvent::KeyFrameRequested { kind: Kind::Video });
    assert_eq!(world.leg_events.iter().filter(asked).count(), 1);
    world.viewer.close();
    world.run(Duration::from_millis(100));
    assert!(world.leg_events.iter().any(|event| matches!(event, LegEvent::Closed(CloseReason::Peer))));
    assert_eq!(world.events.last(), Some(&Event::Closed(CloseReason::Us)));
}

#[test]
fn the_servers_goodbye_is_heard_and_so_is_its_silence() {
    let mut world = World::connected(&config(), PLAY);
    world.leg.close();
    world.run(Duration::from_millis(100));
    assert_eq!(world.events.last(), Some(&Event::Closed(CloseReason::Peer)));
    let mut world = World::connected(&config(), PLAY);
    world.run(Duration::from_secs(40));
    assert!(world.viewer.is_connected(), "checks keep it");
    world.loses = |_, _| true;
    world.run(Duration::from_secs(16));
    assert_eq!(world.events.last(), Some(&Event::Closed(CloseReason::Silent)));
    let mut world = World::new(&config(), PLAY);
    world.loses = |_, _| true;
    world.run(Duration::from_secs(31));
    let Some(Event::Closed(CloseReason::Failed(why))) = world.events.last() else { panic!("{:?}", world.events) };
    assert_eq!(why, "no check was answered within 30 s");
}

#[test]
fn another_certificate_than_the_answers_ends_it() {
    let now = Instant::now();
    let mut world = World::new(&config(), PLAY);
    let other = Certificate::generate().unwrap().fingerprint();
    let (leg, answer) = Leg::answer(&server(now), &world.viewer.offer(), PLAY, now).unwrap();
    let line = answer.sdp.lines().find(|line| line.starts_with("a=fingerprint:")).unwrap();
    let forged = answer.sdp.replace(line, &format!("a=fingerprint:{other}"));
    world.leg = leg;
    world.viewer.accept(&forged, world.now).unwrap();
    world.run(Duration::from_secs(3));
    assert!(matches!(world.events.last(), Some(Event::Closed(CloseReason::Failed(_)))), "{:?}", world.events);
}

#[test]
fn answers_of_no_use_are_refused_in_sentences() {
    let now = Instant::now();
    let viewer = Viewer::new(&config(), 1, now);
    let good = Leg::answer(&server(now), &viewer.offer(), PLAY, now).unwrap().1.sdp;
    let accept = |answer: &str| Viewer::new(&config(), 1, now).accept(answer, now).unwrap_err();
    let without = |what: &str| good.lines().filter(|line| !line.starts_with(what)).collect::<Vec<_>>().join("\r\n");
    assert_eq!(accept(&without("a=candidate")), AnswerError::NoCandidates);
    assert!(accept("<html>").to_string().contains("not an SDP answer"));
    assert!(accept(&good.replace("a=sendonly", "a=inactive")).to_string().contains("accepts none"));
    let elsewhere = Config { local: Some("[2001:db8::1]:9".parse().unwrap()), ..config() };
    assert_eq!(Viewer::new(&elsewhere, 1, now).accept(&good, now), Err(AnswerError::NoCandidates), "another family");
}

#[test]
fn strangers_and_garbage_are_counted_and_change_nothing() {
    let mut world = World::connected(&config(), PLAY);
    world.play(0..3);
    let server: SocketAddr = SERVER.parse().unwrap();
    let mut state = random::Random::new(1);
    for round in 0..20_000u64 {
        let length = (state.word() % 120) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| state.word() as u8).collect();
        if let Some(first) = bytes.first_mut() {
            // DTLS apart, whose engine is given less, since it may give up after 64 errors of its peer's address.
            *first = [0, 1, 3, 4, 64, 79, 128, 144, 160, 191, 200, 255][(round % 12) as usize];
        }
        let from = if round % 3 == 0 { "192.0.2.1:9".parse().unwrap() } else { server };
        world.receive(from, &mut bytes);
        world.drain_viewer();
    }
    for round in 0..50u64 {
        world.receive(server, &mut [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, round as u8, 0, 4, 1, 2, 3, 4]);
        world.drain_viewer();
    }
    world.flying.clear();
    world.play(3..10);
    assert_eq!(world.numbers(Kind::Video), (0..10).collect::<Vec<u64>>());
    let transport = world.viewer.transport();
    assert!(
        transport.strange > 1_000 && transport.stun_refused > 1_000 && transport.srtp.total() > 100,
        "{transport:?}"
    );
}

#[test]
fn two_of_one_seed_are_the_same_and_of_two_seeds_are_not() {
    let (config, now) = (config(), Instant::now());
    assert_eq!(Viewer::new(&config, 5, now).offer(), Viewer::new(&config, 5, now).offer());
    assert_ne!(Viewer::new(&config, 5, now).offer(), Viewer::new(&config, 6, now).offer());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn an_answer_that_is_broken_anywhere_never_panics(at in 0usize..4_000, with in "[ -~]{0,12}") {
        let now = Instant::now();
        let config = config();
        let mut viewer = Viewer::new(&config, 1, now);
        let mut answer = Leg::answer(&server(now), &viewer.offer(), PLAY, now).unwrap().1.sdp;
        let at = at.min(answer.len());
        let end = (at + with.len()).min(answer.len());
        answer.replace_range(at..end, &with);
        if viewer.accept(&answer, now).is_ok() {
            viewer.close();
            let _ = viewer.poll_output(&mut Batch::new(1_000));
        }
    }
}
