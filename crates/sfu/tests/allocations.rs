//! What a shard allocates while it forwards: a few words for each packet that comes in, whoever watches, and nothing for
//! each that goes out. Alone in its binary, since it counts what this thread allocates.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use media::{Codec, Kind, MediaTime, RtpPacket, SeqNo, WallTime};
use rtc::{Batch, Certificate, Leg, Offering, Outgoing, Protocol, Purpose, Wanted, light};
use stentor_sfu::{Command, Config, Event, Input, LegId, Output, Pace, Shard, TrackId};

thread_local! {
    /// What is counted goes to this purpose; `None`: nothing is counted.
    static PURPOSE: Cell<Option<usize>> = const { Cell::new(None) };
    static COUNTS: Cell<[u64; PURPOSES]> = const { Cell::new([0; PURPOSES]) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// What the shard is doing: it takes packets of a track, takes datagrams of a publisher, takes feedback of a viewer, or
/// sends.
const FED: usize = 0;
const PUBLISHED: usize = 1;
const FEEDBACK: usize = 2;
const SENDING: usize = 3;
const OTHER: usize = 4;
const PURPOSES: usize = 5;

struct Counting;

fn note(allocations: u64, bytes: i64) {
    let Some(purpose) = PURPOSE.get() else { return };
    LIVE_BYTES.set(LIVE_BYTES.get() + bytes);
    let mut counts = COUNTS.get();
    counts[purpose] += allocations;
    COUNTS.set(counts);
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller keeps what `System` asks of it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted<T>(purpose: usize, run: impl FnOnce() -> T) -> T {
    PURPOSE.set(Some(purpose));
    let result = run();
    PURPOSE.set(None);
    result
}

const SERVER: &str = "203.0.113.1:3478";
const PUBLISHER: &str = "198.51.100.1:4000";
const WALL: i64 = 1_790_000_000_000_000;
const VIEWERS: usize = 50;
const FRAME: Duration = Duration::from_millis(33);
const PACKETS_OF_A_FRAME: usize = 4;
const FRAMES_OF_A_GROUP: u64 = 30;

/// A picture or a sound, cut into packets.
struct Source {
    seq: u64,
    frame: u64,
}

impl Source {
    /// The packets of one frame: number, marker, whether a key frame begins, payload.
    fn picture(&mut self) -> Vec<(u64, bool, bool, Arc<[u8]>)> {
        let key = self.frame.is_multiple_of(FRAMES_OF_A_GROUP);
        let packet = |place: usize| {
            self.seq += 1;
            let begins = key && place == 0;
            let mut payload = vec![0x41; 1_100 + place];
            payload[0] = if key { 0x65 } else { 0x41 };
            (self.seq, place + 1 == PACKETS_OF_A_FRAME, begins, Arc::from(payload))
        };
        let packets = (0..PACKETS_OF_A_FRAME).map(packet).collect();
        self.frame += 1;
        packets
    }

    fn sound(&mut self) -> (u64, Arc<[u8]>) {
        self.seq += 1;
        self.frame += 1;
        (self.seq, Arc::from(vec![0xfc; 160]))
    }
}

struct World {
    now: Instant,
    start: Instant,
    shard: Shard,
    out: Batch,
    viewers: Vec<light::Viewer>,
    publisher: Leg,
    /// What the publisher has to send.
    unsent: Batch,
    fed: [TrackId; 2],
    video: Source,
    audio: Source,
    /// Statistics that were told.
    told: u64,
    /// Datagrams that each side took.
    published: u64,
    feedbacks: u64,
}

fn address(viewer: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 10_000 + viewer as u16))
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let certificate = Certificate::generate().unwrap();
        let config = rtc::Config::new(SERVER.parse().unwrap(), certificate.clone(), WallTime(WALL), now);
        let mut shard = Shard::new(Config::default(), 0, 1, now);
        let mut out = Batch::new(128 * 1024);
        let mut command = |command| shard.handle(now, Input::Command(command), &mut out);
        let track = |number| TrackId::new(0, number);
        for (number, codec) in [(1, Codec::H264), (2, Codec::Opus), (3, Codec::H264), (4, Codec::Opus)] {
            command(Command::AddTrack { id: track(number), codec, pace: Pace::Audience });
        }
        let peer = rtc::Config::new(PUBLISHER.parse().unwrap(), certificate.clone(), WallTime(WALL), now);
        let wanted = Wanted::Send { video: Some(0x42e01f), audio: true, layers: 1 };
        let offering = Offering::new(&peer, wanted, now).unwrap();
        let (leg, answer) = Leg::answer(&config, offering.sdp(), Purpose::Publish, now).unwrap();
        let publisher = offering.accept(&answer.sdp, now).unwrap();
        let source = LegId::new(0, 1_000);
        command(Command::AddLeg { id: source, leg: Box::new(leg) });
        command(Command::Bind { leg: source, kind: Kind::Video, track: track(3) });
        command(Command::Bind { leg: source, kind: Kind::Audio, track: track(4) });
        let mut viewers = Vec::new();
        for number in 0..VIEWERS {
            let mut viewer = light::Viewer::new(&light::Config::new(certificate.clone()), number as u64 + 1, now);
            let purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };
            let offer = viewer.offer();
            let answer = counted(OTHER, || {
                let (leg, answer) = Leg::answer(&config, &offer, purpose, now).unwrap();
                let id = LegId::new(0, number as u64 + 1);
                command(Command::AddLeg { id, leg: Box::new(leg) });
                // The first half watches what is fed, the other the leg.
                let of = if number < VIEWERS / 2 { [1, 2] } else { [3, 4] };
                of.iter().for_each(|of| command(Command::Subscribe { leg: id, track: track(*of) }));
                answer
            });
            viewer.accept(&answer.sdp, now).unwrap();
            counted(OTHER, || drop(answer));
            viewers.push(viewer);
        }
        Self {
            now,
            start: now,
            shard,
            out,
            viewers,
            publisher,
            unsent: Batch::new(0),
            fed: [track(1), track(2)],
            video: Source { seq: 0, frame: 0 },
            audio: Source { seq: 0, frame: 0 },
            told: 0,
            published: 0,
            feedbacks: 0,
        }
    }

    fn take(&mut self, purpose: usize, from: SocketAddr, bytes: &[u8]) {
        let (now, to) = (self.now, SERVER.parse().unwrap());
        let input = Input::Datagram { proto: Protocol::Udp, from, to, bytes };
        counted(purpose, || self.shard.handle(now, input, &mut self.out));
        self.send(purpose);
    }

    /// Takes what the shard has to send and to say; what that costs is the shard's and goes to `purpose`, what becomes of
    /// it does not.
    fn send(&mut self, purpose: usize) {
        loop {
            let output = counted(purpose, || self.shard.poll_output(&mut self.out));
            match output {
                Output::Event(Event::Stats(_)) => self.told += 1,
                Output::Event(_) | Output::Mail { .. } => {}
                Output::Full => self.deliver(),
                Output::Timeout(_) if !self.out.is_empty() => self.deliver(),
                Output::Timeout(_) => return,
            }
        }
    }

    fn deliver(&mut self) {
        let mut bytes = Vec::new();
        let out = std::mem::replace(&mut self.out, Batch::new(0));
        for run in out.runs() {
            for datagram in run.datagrams() {
                bytes.clear();
                bytes.extend_from_slice(datagram);
                if run.to.port() >= 10_000 {
                    let viewer = &mut self.viewers[usize::from(run.to.port() - 10_000)];
                    let input = light::Input::Datagram { from: SERVER.parse().unwrap(), bytes: &mut bytes };
                    viewer.handle(self.now, input, &mut |_| {});
                } else {
                    let (proto, from) = (Protocol::Udp, SERVER.parse().unwrap());
                    let input = rtc::Input::Datagram { proto, from, to: run.to, bytes: &bytes };
                    self.publisher.handle(self.now, input);
                    while let rtc::Output::Event(_) = self.publisher.poll_output(&mut self.unsent) {}
                }
            }
        }
        self.out = out;
        self.out.clear();
    }

    /// Lets the peers do what is due, and the shard.
    fn step(&mut self) {
        self.publisher.handle(self.now, rtc::Input::Timeout);
        while let rtc::Output::Event(_) = self.publisher.poll_output(&mut self.unsent) {}
        let unsent = std::mem::replace(&mut self.unsent, Batch::new(0));
        for datagram in unsent.runs().flat_map(|run| run.datagrams()) {
            self.published += 1;
            self.take(PUBLISHED, PUBLISHER.parse().unwrap(), datagram);
        }
        let mut out = Batch::new(0);
        for viewer in 0..self.viewers.len() {
            self.viewers[viewer].handle(self.now, light::Input::Timeout, &mut |_| {});
            while let light::Output::Event(_) = self.viewers[viewer].poll_output(&mut out) {}
            for datagram in out.runs().flat_map(|run| run.datagrams()) {
                self.feedbacks += 1;
                self.take(FEEDBACK, address(viewer), datagram);
            }
            out.clear();
        }
        let now = self.now;
        counted(SENDING, || self.shard.handle(now, Input::Timeout, &mut self.out));
        self.send(SENDING);
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += Duration::from_millis(1);
            self.step();
        }
    }

    /// One frame of both sources, and the time until the next.
    fn frame(&mut self) {
        let micros = self.now.duration_since(self.start).as_micros() as i64;
        let (now, wall) = (self.now, WallTime(WALL + micros));
        let packet = |codec, seq, time, marker, key_start, payload: &Arc<[u8]>| RtpPacket {
            codec,
            layer: 0,
            seq: SeqNo(65_536 + seq),
            time: MediaTime(time),
            wall,
            arrived: now,
            marker,
            key_start,
            audio_level: None,
            payload: payload.to_vec().into(),
        };
        let time = micros * 9 / 100;
        let picture = self.video.picture();
        let (number, sound) = self.audio.sound();
        let sound_time = number as i64 * 960;
        let packets: Vec<_> = picture
            .iter()
            .map(|(seq, marker, key, payload)| packet(Codec::H264, *seq, time, *marker, *key, payload))
            .collect();
        let sounds = vec![packet(Codec::Opus, number, sound_time, false, false, &sound)];
        for (track, packets) in self.fed.into_iter().zip([packets, sounds]) {
            let command = Input::Command(Command::Packets { track, packets });
            counted(FED, || self.shard.handle(now, command, &mut self.out));
        }
        self.send(SENDING);
        let outgoing = |codec, seq, time: i64, marker, payload| {
            let time = time as u32;
            Outgoing { codec, seq, time, wall, marker, payload, padding: 0, audio_level: None }
        };
        for (seq, marker, _, payload) in &picture {
            let packet = outgoing(Codec::H264, *seq, time, *marker, payload);
            self.publisher.send(now, Kind::Video, packet, &mut self.unsent).unwrap();
        }
        let packet = outgoing(Codec::Opus, number, sound_time, false, &sound);
        self.publisher.send(now, Kind::Audio, packet, &mut self.unsent).unwrap();
        self.pass(FRAME);
    }

    fn forwarded(&self) -> u64 {
        self.shard.stats().packets_forwarded
    }
}

#[test]
fn forwarding_allocates_nothing_for_a_packet_of_a_viewer() {
    let mut world = World::new();
    let idle = LIVE_BYTES.get() / VIEWERS as i64;
    while !(world.publisher.is_connected() && world.viewers.iter().all(light::Viewer::is_connected)) {
        world.pass(Duration::from_millis(1));
        assert!(world.now.duration_since(world.start) < Duration::from_secs(5), "not connected");
    }
    // Long enough that every queue and every wheel has been as full as it gets.
    for _ in 0..6 * FRAMES_OF_A_GROUP {
        world.frame();
    }
    eprintln!("live bytes of a viewer: {idle} before connecting, {} with media", LIVE_BYTES.get() / VIEWERS as i64);
    COUNTS.set([0; PURPOSES]);
    let before = (world.forwarded(), world.shard.stats().packets_in, world.told, world.published, world.feedbacks);
    let frames = 3 * FRAMES_OF_A_GROUP;
    for _ in 0..frames {
        world.frame();
    }
    let counts = COUNTS.get();
    let forwarded = world.forwarded() - before.0;
    let came = world.shard.stats().packets_in - before.1;
    let (told, published, feedbacks) = (world.told - before.2, world.published - before.3, world.feedbacks - before.4);
    eprintln!(
        "{came} packets came, {forwarded} were forwarded; allocations: {} for {} fed, {} for {published} datagrams of the \
         publisher, {} for {feedbacks} of viewers, {} while sending, with {told} statistics",
        counts[FED],
        came / 2,
        counts[PUBLISHED],
        counts[FEEDBACK],
        counts[SENDING],
    );
    let per_frame = PACKETS_OF_A_FRAME as u64 + 1;
    assert_eq!(came, 2 * frames * per_frame);
    assert_eq!(forwarded, came * VIEWERS as u64 / 2, "everybody got everything");
    assert!(told >= 2 && feedbacks > 1_000);
    assert_eq!(counts[FED], came / 2, "a packet that comes is copied once, for all viewers");
    assert_eq!(counts[FEEDBACK], 0, "what viewers send back costs nothing");
    // Statistics, and what the publisher's leg says to its peer; nothing of packets.
    assert!(counts[SENDING] <= 16 * told, "{} allocations while {forwarded} packets were sent", counts[SENDING]);
    // Decryption, and the events and packets of the str0m leg.
    assert!(counts[PUBLISHED] <= 5 * published, "{} allocations of {published} datagrams", counts[PUBLISHED]);
}
