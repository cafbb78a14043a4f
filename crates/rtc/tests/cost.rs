//! What a viewer costs: no allocation for a packet, and how much memory a connected leg holds. The only test of its
//! binary, since it counts the allocations of the whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use media::{Codec, Kind, WallTime};
use stentor_rtc::{Batch, Certificate, Config, Input, Outgoing, Output, Protocol, Purpose, view::View};
use str0m::{
    Candidate, Input as RtcInput, Output as RtcOutput, Rtc, RtcConfig,
    change::SdpAnswer,
    media::{Direction, MediaKind},
    net::{Protocol as RtcProtocol, Receive},
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicI64 = AtomicI64::new(0);

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        HELD.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that all of a leg may hold when it is connected: issue of the project's goals for a viewer is 50 KiB in all.
const HELD_MAX: i64 = 50 * 1024;
const SERVER: &str = "203.0.113.1:3478";
const CLIENT: &str = "198.51.100.7:5000";

struct Pair {
    now: Instant,
    view: Box<View>,
    client: Rtc,
    batch: Batch,
    /// Held by the view, as it grew in its own calls.
    held: i64,
    connected: bool,
}

impl Pair {
    fn new(config: &Config) -> Self {
        let now = Instant::now();
        let mut client = RtcConfig::new().clear_codecs().enable_opus(true, false).enable_h264(true).build(now);
        client.add_local_candidate(Candidate::host(CLIENT.parse().unwrap(), "udp").unwrap());
        let mut api = client.sdp_api();
        for kind in [MediaKind::Audio, MediaKind::Video] {
            api.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = api.apply().unwrap();
        let offer = offer.to_sdp_string();
        let purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };
        let before = HELD.load(Ordering::Relaxed);
        let (view, sdp) = {
            let (view, answer) = View::answer(config, &offer, purpose, now).unwrap();
            (Box::new(view), answer.sdp.into_boxed_str())
        };
        let held = HELD.load(Ordering::Relaxed) - before - sdp.len() as i64;
        client.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&sdp).unwrap()).unwrap();
        Self { now, view, client, batch: Batch::new(1_000_000), held, connected: false }
    }

    fn view<T>(&mut self, call: impl FnOnce(&mut View, &mut Batch) -> T) -> T {
        let before = HELD.load(Ordering::Relaxed);
        let result = call(&mut self.view, &mut self.batch);
        self.held += HELD.load(Ordering::Relaxed) - before;
        result
    }

    fn drain(&mut self) {
        while let Output::Event(event) = self.view(View::poll_output) {
            self.connected |= matches!(event, stentor_rtc::Event::Connected);
        }
    }

    /// Hands everything over until nobody has anything to say, then lets time pass.
    fn run(&mut self, ms: u64) {
        let (client, server): (SocketAddr, SocketAddr) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        for _ in 0..ms {
            self.now += Duration::from_millis(1);
            let now = self.now;
            self.view(|view, _| view.handle(now, Input::Timeout));
            self.drain();
            self.client.handle_input(RtcInput::Timeout(self.now)).unwrap();
            for _ in 0..8 {
                let sent: Vec<Vec<u8>> =
                    self.batch.runs().flat_map(|run| run.datagrams().map(<[u8]>::to_vec)).collect();
                self.batch.clear();
                for bytes in sent {
                    let receive = Receive::new(RtcProtocol::Udp, server, client, &bytes).unwrap();
                    self.client.handle_input(RtcInput::Receive(self.now, receive)).unwrap();
                }
                let mut back: Vec<Vec<u8>> = Vec::new();
                loop {
                    match self.client.poll_output().unwrap() {
                        RtcOutput::Transmit(transmit) => back.push(transmit.contents.into()),
                        RtcOutput::Event(_) => {}
                        RtcOutput::Timeout(_) => break,
                    }
                }
                for bytes in back {
                    let input = Input::Datagram { proto: Protocol::Udp, from: client, to: server, bytes: &bytes };
                    self.view(|view, _| view.handle(now, input));
                    self.drain();
                }
            }
        }
    }
}

#[test]
fn a_packet_costs_no_allocation_and_a_viewer_little_memory() {
    let certificate = Certificate::generate().unwrap();
    let mut config = Config::new(SERVER.parse().unwrap(), certificate, WallTime(1_790_000_000_000_000), Instant::now());
    config.playout_delay_ms = Some((0, 100));
    let mut pair = Pair::new(&config);
    let fresh = pair.held;
    pair.run(300);
    assert!(pair.connected);
    let connected = pair.held;
    let payload: Arc<[u8]> = Arc::from(vec![0x65; 1_100]);
    let mut seq = 100;
    let mut per_packet = 0;
    for round in 0..100u32 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let now = pair.now;
        for packet in 0..6u32 {
            let kind = if packet == 5 { Kind::Audio } else { Kind::Video };
            let outgoing = Outgoing {
                codec: if packet == 5 { Codec::Opus } else { Codec::H264 },
                seq,
                time: round * 3_000,
                wall: WallTime(1_790_000_000_000_000),
                marker: packet == 4,
                payload: &payload,
                padding: 0,
                audio_level: (packet == 5).then_some(30),
            };
            pair.view.send(now, kind, outgoing, &mut pair.batch).unwrap();
            seq += 1;
        }
        while let Output::Event(_) = pair.view.poll_output(&mut pair.batch) {}
        // With the first packet comes the memory of what was sent, once.
        if round > 0 {
            per_packet += ALLOCATIONS.load(Ordering::Relaxed) - before;
        }
        assert!(pair.batch.datagrams() >= 6);
        pair.run(10);
    }
    let playing = pair.held;
    println!(
        "size_of {} B; held when answered {fresh} B, connected {connected} B, playing {playing} B",
        size_of::<View>()
    );
    assert_eq!(per_packet, 0, "allocations for 594 packets");
    assert!(playing < HELD_MAX, "{playing} bytes");
}
