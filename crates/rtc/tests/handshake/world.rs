//! Our viewer's leg and a client in virtual time, and between them a network that decides of every flight of the handshake
//! what becomes of it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use media::{Codec, WallTime};
use stentor_rtc::{
    Batch, Certificate, CloseReason, Config, Event, Input, Output, Protocol, Purpose, light, view::View,
};
use str0m::{
    Candidate, Input as RtcInput, Output as RtcOutput, Rtc, RtcConfig,
    change::SdpAnswer,
    media::{Direction, MediaKind},
    net::{Protocol as RtcProtocol, Receive},
};

const SERVER: &str = "203.0.113.1:3478";
const CLIENT: &str = "198.51.100.7:5000";
pub const BOTH: [Which; 2] = [Which::Light, Which::Str0m];
pub const FLIGHTS: [Flight; 4] = [Flight::Hello, Flight::Certificate, Flight::Keys, Flight::Last];

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Light,
    Str0m,
}

/// What a datagram of the handshake is (RFC 6347 section 4.2.4; both ends put a flight into one datagram).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flight {
    /// `ClientHello`.
    Hello,
    /// `ServerHello` to `ServerHelloDone`.
    Certificate,
    /// The client's, to `Finished`.
    Keys,
    /// The server's `ChangeCipherSpec` and `Finished`.
    Last,
}

/// Is told a flight and how many times it came before; says after how many milliseconds it arrives, each time that it does.
pub type Fate = dyn FnMut(Flight, usize) -> Vec<u64>;

enum Client {
    Light(Box<light::Viewer>),
    Str0m(Box<Rtc>),
}

pub struct World {
    pub now: Instant,
    pub start: Instant,
    pub fate: Box<Fate>,
    /// Everything but the handshake takes so long one way.
    pub delay_ms: u64,
    /// While an end stands still (the server, the client; from and to, in milliseconds) its timers wait and its datagrams lie.
    pub stalls: [(u64, u64); 2],
    /// How often each flight was sent.
    pub sent: HashMap<Flight, usize>,
    /// When each end was done.
    pub connected: [Option<Duration>; 2],
    /// Why an end is over.
    pub closed: Vec<String>,
    server: View,
    client: Client,
    due: [Instant; 2],
    /// Media of the server comes to the client so often, whatever it has keys for.
    pub media: Option<Duration>,
    media_due: Instant,
    /// When, and whether to the server.
    wire: Vec<(Instant, bool, Vec<u8>)>,
    batch: Batch,
}

impl World {
    pub fn new(which: Which, certificates: &[Certificate; 2]) -> Self {
        let start = Instant::now();
        let config = Config::new(SERVER.parse().unwrap(), certificates[0].clone(), WallTime(0), start);
        let purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };
        let (server, client) = match which {
            Which::Light => {
                let mut client = light::Viewer::new(&light::Config::new(certificates[1].clone()), 7, start);
                let (view, answer) = View::answer(&config, &client.offer(), purpose, start).unwrap();
                client.accept(&answer.sdp, start).unwrap();
                (view, Client::Light(Box::new(client)))
            }
            Which::Str0m => {
                let mut rtc = RtcConfig::new().build(start);
                rtc.add_local_candidate(Candidate::host(CLIENT.parse().unwrap(), "udp").unwrap());
                let mut api = rtc.sdp_api();
                for kind in [MediaKind::Audio, MediaKind::Video] {
                    api.add_media(kind, Direction::RecvOnly, None, None, None);
                }
                let (offer, pending) = api.apply().unwrap();
                let (view, answer) = View::answer(&config, &offer.to_sdp_string(), purpose, start).unwrap();
                let answer = SdpAnswer::from_sdp_string(&answer.sdp).unwrap();
                rtc.sdp_api().accept_answer(pending, answer).unwrap();
                (view, Client::Str0m(Box::new(rtc)))
            }
        };
        Self {
            now: start,
            start,
            fate: Box::new(|_, _| vec![20]),
            delay_ms: 20,
            stalls: [(0, 0); 2],
            sent: HashMap::new(),
            connected: [None; 2],
            closed: Vec::new(),
            server,
            client,
            due: [start; 2],
            media: None,
            media_due: start,
            wire: Vec::new(),
            batch: Batch::new(100_000),
        }
    }

    /// The time until both ends were done; `None` where one was not within so many seconds.
    pub fn connect(&mut self, seconds: u64) -> Option<Duration> {
        let end = self.start + Duration::from_secs(seconds);
        while self.now < end && self.connected.contains(&None) && self.closed.is_empty() {
            self.step(end);
        }
        let [server, client] = self.connected;
        Some(server?.max(client?))
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
    }

    /// Flights that went out again: of the server's, of the light client's.
    pub fn repeated(&self) -> [u64; 2] {
        let client = match &self.client {
            Client::Light(viewer) => viewer.transport().flights_repeated,
            Client::Str0m(_) => 0,
        };
        [self.server.flights_repeated(), client]
    }

    /// Media that came to the light client before it had keys.
    pub fn early(&self) -> u64 {
        match &self.client {
            Client::Light(viewer) => viewer.transport().early,
            Client::Str0m(_) => 0,
        }
    }

    fn step(&mut self, end: Instant) {
        let never = end + Duration::from_secs(1);
        let lands = self.wire.iter().map(|(at, to_server, _)| self.awake(!to_server, *at)).min().unwrap_or(never);
        let due = [self.awake(false, self.due[0]), self.awake(true, self.due[1])];
        let media = self.media.map_or(never, |_| self.media_due);
        self.now = due[0].min(due[1]).min(lands).min(media).min(end).max(self.now);
        if lands <= self.now {
            let first =
                |(_, (at, to_server, _)): &(usize, &(Instant, bool, Vec<u8>))| (self.awake(!to_server, *at), *at);
            let at = self.wire.iter().enumerate().min_by_key(first).unwrap().0;
            let (_, to_server, bytes) = self.wire.remove(at);
            if to_server { self.reach_server(&bytes) } else { self.reach_client(bytes) }
        } else if let Some(every) = self.media.filter(|_| media <= self.now) {
            self.media_due = self.now + every;
            self.reach_client([&[128, 96, 0, 1][..], &[7; 100]].concat());
        } else {
            if due[0] <= self.now {
                self.server.handle(self.now, Input::Timeout);
            }
            if due[1] <= self.now {
                match &mut self.client {
                    Client::Light(viewer) => viewer.handle(self.now, light::Input::Timeout, &mut |_| {}),
                    Client::Str0m(rtc) => rtc.handle_input(RtcInput::Timeout(self.now)).unwrap(),
                }
            }
        }
        self.drain();
    }

    /// When an end takes notice of what happens then.
    fn awake(&self, client: bool, at: Instant) -> Instant {
        let (from, to) = self.stalls[usize::from(client)];
        let [from, to] = [from, to].map(|ms| self.start + Duration::from_millis(ms));
        if (from..to).contains(&at) { to } else { at }
    }

    fn reach_server(&mut self, bytes: &[u8]) {
        let (from, to) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        self.server.handle(self.now, Input::Datagram { proto: Protocol::Udp, from, to, bytes });
    }

    fn reach_client(&mut self, mut bytes: Vec<u8>) {
        let (from, to): (SocketAddr, SocketAddr) = (SERVER.parse().unwrap(), CLIENT.parse().unwrap());
        match &mut self.client {
            Client::Light(viewer) => {
                viewer.handle(self.now, light::Input::Datagram { from, bytes: &mut bytes }, &mut |_| {});
            }
            Client::Str0m(rtc) => {
                let receive = Receive::new(RtcProtocol::Udp, from, to, &bytes).unwrap();
                rtc.handle_input(RtcInput::Receive(self.now, receive)).unwrap();
            }
        }
    }

    fn drain(&mut self) {
        let since = self.now - self.start;
        loop {
            match self.server.poll_output(&mut self.batch) {
                Output::Event(Event::Connected) => self.connected[0] = Some(since),
                Output::Event(Event::Closed(why)) => self.closed.push(format!("server: {why:?}")),
                Output::Event(_) => {}
                Output::Timeout(at) => break self.due[0] = at,
            }
        }
        self.fly(false);
        let mut packets = Vec::new();
        match &mut self.client {
            Client::Light(viewer) => loop {
                match viewer.poll_output(&mut self.batch) {
                    light::Output::Event(light::Event::Connected) => self.connected[1] = Some(since),
                    light::Output::Event(light::Event::Closed(CloseReason::Us)) => {}
                    light::Output::Event(light::Event::Closed(why)) => self.closed.push(format!("client: {why:?}")),
                    light::Output::Event(_) => {}
                    light::Output::Timeout(at) => break self.due[1] = at,
                }
            },
            Client::Str0m(rtc) => loop {
                match rtc.poll_output() {
                    Ok(RtcOutput::Transmit(packet)) => packets.push(packet.contents.to_vec()),
                    Ok(RtcOutput::Event(str0m::Event::Connected)) => self.connected[1] = Some(since),
                    Ok(RtcOutput::Event(_)) => {}
                    Ok(RtcOutput::Timeout(at)) => break self.due[1] = at.max(self.now + Duration::from_millis(1)),
                    Err(error) => {
                        self.closed.push(format!("client: {error}"));
                        break;
                    }
                }
            },
        }
        for bytes in packets {
            self.batch.push(Protocol::Udp, SERVER.parse().unwrap(), &bytes);
        }
        self.fly(true);
    }

    fn fly(&mut self, to_server: bool) {
        let datagrams: Vec<Vec<u8>> =
            self.batch.runs().flat_map(|run| run.datagrams().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect();
        self.batch.clear();
        for bytes in datagrams {
            let arrives = match flight(to_server, &bytes) {
                Some(flight) => {
                    let times = self.sent.entry(flight).or_default();
                    *times += 1;
                    (self.fate)(flight, *times - 1)
                }
                // Checks and feedback are repeated by themselves.
                None => vec![self.delay_ms],
            };
            let arrives =
                arrives.into_iter().map(|ms| (self.now + Duration::from_millis(ms), to_server, bytes.clone()));
            self.wire.extend(arrives);
        }
    }
}

fn flight(to_server: bool, bytes: &[u8]) -> Option<Flight> {
    match (bytes.first()?, bytes.get(13)?) {
        (22, 1) => Some(Flight::Hello),
        (22, _) if to_server => Some(Flight::Keys),
        (22, _) => Some(Flight::Certificate),
        (20, _) if !to_server => Some(Flight::Last),
        (20..64, _) => panic!("a flight is in more than one datagram"),
        _ => None,
    }
}
