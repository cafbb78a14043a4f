//! Offers of our own against answers of our own, in virtual time; and answers with faults.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use media::{Codec, Kind, WallTime};
use proptest::prelude::*;
use stentor_rtc::{
    AnswerError, Batch, Certificate, CloseReason, Config, Event, Input, Leg, Offering, Outgoing, Output, Protocol,
    Purpose, Wanted,
};

const CLIENT: &str = "198.51.100.7:5000";
const SERVER: &str = "203.0.113.1:3478";
const SEND: Wanted = Wanted::Send { video: Some(0x42_c0_1e), audio: true, layers: 1 };

fn config(addr: &str, now: Instant) -> Config {
    Config::new(addr.parse().unwrap(), Certificate::generate().unwrap(), WallTime(0), now)
}

/// Two legs, and time that only passes when nothing is left to do.
struct World {
    now: Instant,
    /// The client, then the server.
    legs: [Leg; 2],
    events: [Vec<Event>; 2],
    out: [Batch; 2],
}

impl World {
    fn new(wanted: Wanted, purpose: Purpose) -> Self {
        let now = Instant::now();
        let offering = Offering::new(&config(CLIENT, now), wanted, now).unwrap();
        let (server, answer) = Leg::answer(&config(SERVER, now), offering.sdp(), purpose, now).unwrap();
        let client = offering.accept(&answer.sdp, now).unwrap();
        Self {
            now,
            legs: [client, server],
            events: [Vec::new(), Vec::new()],
            out: [Batch::new(1 << 20), Batch::new(1 << 20)],
        }
    }

    /// Goes on by so much time. A leg is drained after every input, as `Leg` demands.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut flying = VecDeque::new();
        while self.now < end {
            let due = (0..self.legs.len()).map(|at| self.drain(at, &mut flying)).min().unwrap_or(end).min(end);
            if let Some((from, transmit)) = flying.pop_front() {
                let (to, bytes) = transmit;
                let source: SocketAddr = [CLIENT, SERVER][from].parse().unwrap();
                assert_eq!(to, [SERVER, CLIENT][from].parse().unwrap(), "only the address of the answer");
                let input = Input::Datagram { proto: Protocol::Udp, from: source, to, bytes: &bytes };
                self.legs[1 - from].handle(self.now, input);
                continue;
            }
            self.now = due;
            self.legs.iter_mut().for_each(|leg| leg.handle(due, Input::Timeout));
        }
    }

    /// Takes what a leg has to say; the time at which it wants to be asked again.
    fn drain(&mut self, at: usize, flying: &mut VecDeque<(usize, (SocketAddr, Vec<u8>))>) -> Instant {
        let due = loop {
            match self.legs[at].poll_output(&mut self.out[at]) {
                Output::Event(event) => self.events[at].push(event),
                Output::Timeout(due) => break due,
            }
        };
        let datagrams = self.out[at].runs().flat_map(|run| run.datagrams().map(move |bytes| (run.to, bytes.to_vec())));
        flying.extend(datagrams.map(|datagram| (at, datagram)));
        self.out[at].clear();
        due
    }

    fn send(&mut self, from: usize, kind: Kind, codec: Codec, seq: u64) {
        let payload: Arc<[u8]> = Arc::from(vec![0x65; 100]);
        let packet = Outgoing {
            codec,
            seq,
            time: seq as u32 * 3_000,
            wall: WallTime(0),
            marker: true,
            payload: &payload,
            padding: 0,
            audio_level: None,
        };
        self.legs[from].send(self.now, kind, packet, &mut self.out[from]).unwrap();
    }

    fn packets(&self, at: usize, of: Kind) -> Vec<u64> {
        let seq = |event: &Event| match event {
            Event::Packet { kind, packet } if *kind == of => Some(packet.seq.0 & 0xffff),
            _ => None,
        };
        self.events[at].iter().filter_map(seq).collect()
    }
}

#[test]
fn what_we_offer_to_send_arrives() {
    let mut world = World::new(SEND, Purpose::Publish);
    world.run(Duration::from_secs(2));
    assert!(world.legs.iter().all(Leg::is_connected));
    assert_eq!(world.legs[0].codec(Kind::Video), Some(Codec::H264));
    for seq in 0..10 {
        world.send(0, Kind::Video, Codec::H264, seq);
        world.send(0, Kind::Audio, Codec::Opus, seq);
        world.run(Duration::from_millis(33));
    }
    let all: Vec<u64> = (0..10).collect();
    assert_eq!((world.packets(1, Kind::Video), world.packets(1, Kind::Audio)), (all.clone(), all));
    world.legs[1].request_key_frame(Kind::Video, 0);
    world.run(Duration::from_secs(1));
    assert!(world.events[0].iter().any(|event| matches!(event, Event::KeyFrameRequested { kind: Kind::Video, .. })));
}

#[test]
fn what_we_offer_to_receive_arrives_whatever_the_coding() {
    for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let mut world = World::new(Wanted::Receive, Purpose::Play { video: Some(codec), audio: Some(Codec::Opus) });
        world.run(Duration::from_secs(2));
        for seq in 0..5 {
            world.send(1, Kind::Video, codec, seq);
            world.send(1, Kind::Audio, Codec::Opus, seq);
            world.run(Duration::from_millis(33));
        }
        let all: Vec<u64> = (0..5).collect();
        assert_eq!((world.packets(0, Kind::Video), world.packets(0, Kind::Audio)), (all.clone(), all), "{codec:?}");
        assert_eq!(world.legs[0].codec(Kind::Video), Some(codec));
    }
}

#[test]
fn a_stream_without_sound_is_taken_and_the_end_is_heard() {
    let mut world = World::new(Wanted::Receive, Purpose::Play { video: Some(Codec::H264), audio: None });
    world.run(Duration::from_secs(2));
    assert_eq!((world.legs[0].codec(Kind::Audio), world.legs[0].is_connected()), (None, true));
    world.legs[1].close();
    world.run(Duration::from_secs(1));
    assert!(world.events[0].iter().any(|event| matches!(event, Event::Closed(CloseReason::Peer))));
}

#[test]
fn answers_with_faults_are_refused_in_sentences() {
    let now = Instant::now();
    let good = {
        let offering = Offering::new(&config(CLIENT, now), SEND, now).unwrap();
        Leg::answer(&config(SERVER, now), offering.sdp(), Purpose::Publish, now).unwrap().1.sdp
    };
    let accept = |answer: &str| {
        let offering = Offering::new(&config(CLIENT, now), SEND, now).unwrap();
        offering.accept(answer, now).map(|_| ()).unwrap_err()
    };
    let without = |what: &str| good.lines().filter(|line| !line.starts_with(what)).collect::<Vec<_>>().join("\r\n");
    assert_eq!(accept(&without("a=candidate")), AnswerError::NoCandidates);
    assert!(accept("<html>").to_string().contains("not an SDP answer"));
    assert!(accept(&without("a=fingerprint")).to_string().contains("a=fingerprint"));
    assert!(accept(&good.replace("a=recvonly", "a=inactive")).to_string().contains("accepts none"));
    assert!(accept(&good.replace("H264", "H265").replace("opus", "PCMU")).to_string().contains("opus, H264"));
    let elsewhere = good.replace(" 203.0.113.1 3478 typ", " host.example 3478 typ");
    assert_eq!(accept(&elsewhere), AnswerError::NoCandidates, "names are not looked up");
}

#[test]
fn an_offer_for_nothing_is_none() {
    let now = Instant::now();
    assert!(Offering::new(&config(CLIENT, now), Wanted::Send { video: None, audio: false, layers: 1 }, now).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn an_answer_that_is_broken_anywhere_never_panics(at in 0usize..4_000, with in "[ -~]{0,12}") {
        let now = Instant::now();
        let certificate = Config::new(CLIENT.parse().unwrap(), Certificate::generate().unwrap(), WallTime(0), now);
        let offering = Offering::new(&certificate, Wanted::Receive, now).unwrap();
        let purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };
        let mut answer = Leg::answer(&certificate, offering.sdp(), purpose, now).unwrap().1.sdp;
        let at = at.min(answer.len());
        let end = (at + with.len()).min(answer.len());
        answer.replace_range(at..end, &with);
        if let Ok(mut leg) = offering.accept(&answer, now) {
            leg.close();
        }
    }
}

#[test]
fn a_picture_in_layers_arrives_as_sequences_of_their_own_and_key_frames_are_asked_of_one() {
    let wanted = Wanted::Send { video: Some(0x42_c0_1e), audio: true, layers: 3 };
    let mut world = World::new(wanted, Purpose::Publish);
    world.run(Duration::from_secs(2));
    assert!(world.legs.iter().all(Leg::is_connected));
    let payload: Arc<[u8]> = Arc::from(vec![0x65; 100]);
    for number in 0..10u64 {
        for layer in 0..4u8 {
            let packet = Outgoing {
                codec: Codec::H264,
                seq: 1_000 * (u64::from(layer) + 1) + number,
                time: u32::from(layer) * 1_000_000_000 + number as u32 * 3_000,
                wall: WallTime(0),
                marker: true,
                payload: &payload,
                padding: 0,
                audio_level: None,
            };
            assert_eq!(world.legs[0].send_layer(world.now, layer, packet).is_ok(), layer < 3);
        }
        world.run(Duration::from_millis(33));
    }
    world.run(Duration::from_secs(2));
    let mut walls: Vec<Vec<i64>> = Vec::new();
    for layer in 0..3u8 {
        let packets: Vec<_> = world.events[1]
            .iter()
            .filter_map(|event| match event {
                Event::Packet { kind: Kind::Video, packet } if packet.layer == layer => Some(packet),
                _ => None,
            })
            .collect();
        let numbers: Vec<u64> = packets.iter().map(|packet| packet.seq.0 & 0xffff).collect();
        let first = 1_000 * (u64::from(layer) + 1);
        assert_eq!(numbers, (first..first + 10).collect::<Vec<_>>(), "layer {layer}");
        walls.push(packets.iter().map(|packet| packet.wall.0).collect());
    }
    for (low, high) in walls[0].iter().zip(&walls[2]) {
        assert!((low - high).abs() < 20_000, "one picture has one wall time: {low} and {high}");
    }
    for layer in [2, 0] {
        world.legs[1].request_key_frame(Kind::Video, layer);
    }
    world.run(Duration::from_secs(1));
    let asked: Vec<u8> = world.events[0]
        .iter()
        .filter_map(|event| match event {
            Event::KeyFrameRequested { kind: Kind::Video, layer } => Some(*layer),
            _ => None,
        })
        .collect();
    assert!(asked.contains(&0) && asked.contains(&2) && !asked.contains(&1), "{asked:?}");
}
