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
    Answer, AnswerError, Batch, Certificate, CloseReason, Leg, Offering, Outgoing, Protocol, Purpose, ViewerLeg,
    Wanted,
    leg::{Event as LegEvent, Input as LegInput, Output as LegOutput},
    sdp::uri,
    view::View,
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

/// Who sends: the leg of str0m, or our own.
enum Server {
    Str0m(Box<Leg>),
    Own(Box<View>),
}

impl Server {
    fn is_connected(&self) -> bool {
        match self {
            Self::Str0m(leg) => leg.is_connected(),
            Self::Own(view) => view.is_connected(),
        }
    }

    fn handle(&mut self, now: Instant, input: LegInput<'_>) {
        match self {
            Self::Str0m(leg) => leg.handle(now, input),
            Self::Own(view) => view.handle(now, input),
        }
    }

    fn poll_output(&mut self, out: &mut Batch) -> LegOutput {
        match self {
            Self::Str0m(leg) => leg.poll_output(out),
            Self::Own(view) => view.poll_output(out),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Str0m(leg) => leg.close(),
            Self::Own(view) => view.close(),
        }
    }
}

/// A leg that sends, a light viewer that receives, and a network that loses what it is told to lose.
struct World {
    now: Instant,
    viewer: Viewer,
    leg: Server,
    /// The server numbers its packets, so that it is to be told of their arrival.
    numbered: bool,
    /// What was sent, for repair.
    history: Vec<(Kind, u64, Codec)>,
    /// What the server sends.
    batch: Batch,
    /// When, whether towards the viewer, and what.
    flying: VecDeque<(Instant, bool, Vec<u8>)>,
    /// Datagrams towards the viewer are lost where this says so, by their place.
    loses: fn(&[u8], usize) -> bool,
    sent: usize,
    seen: Vec<Seen>,
    events: Vec<Event>,
    leg_events: Vec<LegEvent>,
}

fn server(now: Instant) -> crate::Config {
    let certificate = Certificate::generate().unwrap();
    let config = crate::Config::new(SERVER.parse().unwrap(), certificate, WallTime(0), now);
    crate::Config { viewer_leg: ViewerLeg::Str0m, ..config }
}

fn config() -> Config {
    Config::new(Certificate::generate().unwrap())
}

const PLAY: Purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Str0m,
    Own,
}

const BOTH: [Which; 2] = [Which::Str0m, Which::Own];

fn answer(which: Which, offer: &str, now: Instant) -> (Server, Answer) {
    match which {
        Which::Str0m => {
            let (leg, answer) = Leg::answer(&server(now), offer, PLAY, now).unwrap();
            (Server::Str0m(Box::new(leg)), answer)
        }
        Which::Own => {
            let (view, answer) = View::answer(&server(now), offer, PLAY, now).unwrap();
            (Server::Own(Box::new(view)), answer)
        }
    }
}

impl World {
    fn new(config: &Config, which: Which) -> Self {
        let now = Instant::now();
        let mut viewer = Viewer::new(config, 7, now);
        let (leg, answer) = answer(which, &viewer.offer(), now);
        viewer.accept(&answer.sdp, now).unwrap();
        let numbered = answer.sdp.contains(uri::TRANSPORT_CC);
        Self { numbered, ..Self::of(viewer, leg, now) }
    }

    fn of(viewer: Viewer, leg: Server, now: Instant) -> Self {
        Self {
            now,
            viewer,
            leg,
            numbered: false,
            history: Vec::new(),
            batch: Batch::new(100_000),
            flying: VecDeque::new(),
            loses: |_, _| false,
            sent: 0,
            seen: Vec::new(),
            events: Vec::new(),
            leg_events: Vec::new(),
        }
    }

    fn connected(config: &Config, which: Which) -> Self {
        let mut world = Self::new(config, which);
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
                LegOutput::Event(LegEvent::Repair { kind, numbers }) => {
                    for number in numbers {
                        let known = |(of, seq, _): &&(Kind, u64, Codec)| *of == kind && *seq as u16 == number;
                        let (_, seq, codec) = *self.history.iter().find(known).unwrap();
                        self.write(kind, codec, seq, true);
                    }
                }
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
        self.history.push((kind, seq, codec));
        self.write(kind, codec, seq, false);
    }

    fn write(&mut self, kind: Kind, codec: Codec, seq: u64, again: bool) {
        let payload: Arc<[u8]> = Arc::from([&[0x65][..], &seq.to_be_bytes(), &[0; 500]].concat());
        let packet = Outgoing {
            codec,
            seq,
            time: seq as u32 * 3_000,
            wall: WallTime(0),
            marker: seq.is_multiple_of(3),
            payload: &payload,
            padding: (seq % 4) as u8,
            audio_level: None,
        };
        match (&mut self.leg, again) {
            (Server::Str0m(leg), _) => leg.send(self.now, kind, packet, &mut self.batch).unwrap(),
            (Server::Own(view), false) => view.send(self.now, kind, packet, &mut self.batch).unwrap(),
            (Server::Own(view), true) => view.resend(self.now, kind, packet, &mut self.batch).unwrap(),
        }
    }

    /// A picture and a sound every 20 ms, and a second of rest.
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
    for which in BOTH {
        let mut world = World::connected(&config(), which);
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
        assert_eq!(transport.feedbacks > 10, world.numbered, "{transport:?}");
        assert_eq!(world.numbered, which == Which::Own);
        if let Server::Own(view) = &world.leg {
            assert!(view.estimate_bps().is_some(), "it understands the feedback");
        }
    }
}

#[test]
fn what_is_lost_is_asked_for_and_repaired() {
    for which in BOTH {
        let mut world = World::connected(&config(), which);
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
}

#[test]
fn a_handshake_gets_through_a_network_that_loses_a_third() {
    for which in BOTH {
        let mut world = World::new(&config(), which);
        world.loses = |_, place| place % 3 == 1;
        world.run(Duration::from_secs(20));
        assert!(world.viewer.is_connected() && world.leg.is_connected(), "{:?}", world.events);
    }
}

#[test]
fn a_sample_is_opened_and_the_rest_is_counted() {
    for which in BOTH {
        let config = Config { decrypt_every: 10, ..config() };
        let mut world = World::connected(&config, which);
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
}

#[test]
fn key_frames_are_asked_for_and_goodbye_is_said() {
    for which in BOTH {
        let mut world = World::connected(&config(), which);
        world.play(0..5);
        world.viewer.request_key_frame(Kind::Video);
        world.run(Duration::from_millis(100));
        let asked = |event: &&LegEvent| matches!(event, LegEvent::KeyFrameRequested { kind: Kind::Video, .. });
        assert_eq!(world.leg_events.iter().filter(asked).count(), 1);
        world.viewer.close();
        world.run(Duration::from_millis(100));
        assert!(world.leg_events.iter().any(|event| matches!(event, LegEvent::Closed(CloseReason::Peer))));
        assert_eq!(world.events.last(), Some(&Event::Closed(CloseReason::Us)));
    }
}

#[test]
fn the_servers_goodbye_is_heard_and_so_is_its_silence() {
    for which in BOTH {
        let mut world = World::connected(&config(), which);
        world.leg.close();
        world.run(Duration::from_millis(100));
        assert_eq!(world.events.last(), Some(&Event::Closed(CloseReason::Peer)));
        let mut world = World::connected(&config(), which);
        world.run(Duration::from_secs(40));
        assert!(world.viewer.is_connected(), "checks keep it");
        world.loses = |_, _| true;
        world.run(Duration::from_secs(16));
        assert_eq!(world.events.last(), Some(&Event::Closed(CloseReason::Silent)));
        let mut world = World::new(&config(), which);
        world.loses = |_, _| true;
        world.run(Duration::from_secs(31));
        let Some(Event::Closed(CloseReason::Failed(why))) = world.events.last() else { panic!("{:?}", world.events) };
        assert_eq!(why, "no check was answered within 30 s");
    }
}

#[test]
fn a_server_that_offers_is_answered() {
    let now = Instant::now();
    let offering =
        Offering::new(&server(now), Wanted::Send { video: Some(0x42_e0_1f), audio: true, layers: 1 }, now).unwrap();
    for local in [Some(CLIENT.parse().unwrap()), None] {
        let config = Config { local, ..config() };
        let offering =
            Offering::new(&server(now), Wanted::Send { video: Some(0x42_e0_1f), audio: true, layers: 1 }, now).unwrap();
        let (viewer, answer) = Viewer::answer(&config, offering.sdp(), 3, now).unwrap();
        // str0m's end wants an address in the answer.
        let Ok(leg) = offering.accept(&answer, now) else {
            assert!(local.is_none());
            continue;
        };
        let mut world = World::of(viewer, Server::Str0m(Box::new(leg)), now);
        world.run(Duration::from_secs(2));
        assert_eq!(world.events, [Event::Reached, Event::Connected]);
        world.loses = |bytes, _| is_rtp(bytes) && bytes[3] % 7 == 3;
        world.play(0..50);
        world.loses = |_, _| false;
        world.play(50..52);
        assert_eq!(world.numbers(Kind::Video), (0..52).collect::<Vec<u64>>());
    }
    let many = Viewer::new(&config(), 1, now).offer().replace("a=recvonly", "a=sendonly");
    let wanted = Config { video: vec![Codec::Vp9, Codec::H264], ..config() };
    let (_, answer) = Viewer::answer(&wanted, &many, 3, now).unwrap();
    assert!(answer.contains("m=video 9 UDP/TLS/RTP/SAVPF 98 99\r\n"), "one coding, the best: {answer}");
    let silent = offering.sdp().replace("a=sendonly", "a=recvonly");
    assert!(Viewer::answer(&config(), &silent, 3, now).is_err(), "nothing to receive");
}

#[test]
fn another_certificate_than_the_answers_ends_it() {
    let now = Instant::now();
    let mut world = World::new(&config(), Which::Str0m);
    let other = Certificate::generate().unwrap().fingerprint();
    let (leg, answer) = answer(Which::Str0m, &world.viewer.offer(), now);
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
fn what_comes_from_elsewhere_is_not_heard() {
    let mut world = World::connected(&config(), Which::Own);
    world.send(Kind::Video, Codec::H264, 0);
    world.drain_leg();
    let mut bytes = world.flying.iter().find(|(_, _, bytes)| is_rtp(bytes)).unwrap().2.clone();
    world.receive("192.0.2.1:9".parse().unwrap(), &mut bytes.clone());
    assert!(world.seen.is_empty());
    assert_eq!(world.viewer.transport().strange, 1);
    world.receive(SERVER.parse().unwrap(), &mut bytes);
    assert_eq!(world.seen.len(), 1);
}

#[test]
fn reports_come_every_second() {
    let mut world = World::connected(&config(), Which::Own);
    world.loses = |bytes, _| is_rtp(bytes) && bytes[3] % 4 == 3;
    world.play(0..120);
    let Server::Own(view) = &world.leg else { panic!("our own") };
    let first = view.reception(Kind::Audio);
    assert!(first.lost >= 20, "{first:?}");
    world.play(120..240);
    let Server::Own(view) = &world.leg else { panic!("our own") };
    assert!(view.reception(Kind::Audio).lost >= first.lost + 20, "another one came");
}

#[test]
fn strangers_and_garbage_are_counted_and_change_nothing() {
    for which in BOTH {
        let mut world = World::connected(&config(), which);
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
