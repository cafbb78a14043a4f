//! A leg and a str0m client in virtual time: a wire with delay and loss, no sockets, no sleeping. The leg is our own or
//! that of str0m; what happens to both is the same.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use media::{Codec, Kind, WallTime};
use stentor_rtc::{
    Answer, Batch, Certificate, CloseReason, Config, Event, Input, Leg, NotSent, Outgoing, Output, Protocol, Purpose,
    ViewerLeg, view::View,
};
use str0m::{
    Candidate, Input as RtcInput, Output as RtcOutput, Rtc, RtcConfig,
    change::{SdpAnswer, SdpPendingOffer},
    media::{Direction, KeyframeRequestKind, MediaKind, Mid},
    net::{Protocol as RtcProtocol, Receive},
    rtp::ExtensionValues,
};

pub const SERVER: &str = "203.0.113.1:3478";
pub const CLIENT: &str = "198.51.100.7:5000";
pub const WALL: i64 = 1_790_000_000_000_000;
pub const BOTH: [Which; 2] = [Which::Own, Which::Str0m];

/// Which leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Own,
    Str0m,
}

/// A packet that the client received.
#[derive(Clone, Debug)]
pub struct Got {
    pub at: Instant,
    pub kind: Kind,
    pub seq: u64,
    pub time: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
    pub extensions: ExtensionValues,
}

/// A sender report.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub at: Instant,
    pub kind: Kind,
    pub time: u32,
    pub ntp_us: i64,
    pub packets: u32,
    pub octets: u32,
}

pub struct Client {
    pub rtc: Rtc,
    pub addr: SocketAddr,
    pub mids: Vec<(Kind, Mid)>,
    pub connected: bool,
    pub closed: bool,
    pub got: Vec<Got>,
    pub reports: Vec<Report>,
    timeout: Instant,
}

pub enum Server {
    Own(Box<View>),
    Str0m(Box<Leg>),
}

struct Flying {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// Is told a running number, whether it goes to the server, and the bytes; true loses it.
type Lose = dyn FnMut(u64, bool, &[u8]) -> bool;

pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub server: Server,
    pub client: Client,
    pub answer: Answer,
    pub events: Vec<Event>,
    pub delay: Duration,
    pub lose: Box<Lose>,
    /// How much fits towards the client, in bits a second; what would wait for more than a third of a second is lost.
    pub narrow_bps: Option<u64>,
    free_at: Instant,
    /// Answered repairs by the sfu's part: what was sent, by kind and number.
    pub history: Vec<(Kind, Outbox)>,
    pub repaired: usize,
    /// Lengths of what the server sent, by datagram.
    pub sent: Vec<usize>,
    /// How often the server was woken by its timer.
    pub wakes: usize,
    wire: VecDeque<Flying>,
    number: u64,
    timeout: Instant,
    batch: Batch,
}

/// A packet as it was handed to the leg.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub codec: Codec,
    pub seq: u64,
    pub time: u32,
    pub wall: WallTime,
    pub marker: bool,
    pub payload: Arc<[u8]>,
    pub audio_level: Option<u8>,
    pub padding: u8,
}

/// How a world differs from the usual.
pub struct Setting {
    pub codecs: Vec<Codec>,
    pub change: fn(String) -> String,
    pub certificate: Certificate,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            codecs: vec![Codec::Opus, Codec::H264],
            change: |offer| offer,
            certificate: Certificate::generate().unwrap(),
        }
    }
}

impl World {
    pub fn new(which: Which) -> Self {
        Self::with(which, Setting::default())
    }

    pub fn with(which: Which, setting: Setting) -> Self {
        let start = Instant::now();
        let mut config = Config::new(SERVER.parse().unwrap(), setting.certificate, WallTime(WALL), start);
        config.playout_delay_ms = Some((0, 200));
        let (mut client, offer, pending) = Client::offer(start, &setting.codecs);
        let offer = (setting.change)(offer);
        let of = |kind| setting.codecs.iter().copied().find(|codec| codec.kind() == kind);
        let purpose = Purpose::Play { video: of(Kind::Video), audio: of(Kind::Audio) };
        let (server, answer) = match which {
            Which::Own => {
                let (view, answer) = View::answer(&config, &offer, purpose, start).unwrap();
                (Server::Own(Box::new(view)), answer)
            }
            Which::Str0m => {
                config.viewer_leg = ViewerLeg::Str0m;
                let (leg, answer) = Leg::answer(&config, &offer, purpose, start).unwrap();
                (Server::Str0m(Box::new(leg)), answer)
            }
        };
        let sdp = SdpAnswer::from_sdp_string(&answer.sdp).expect(&answer.sdp);
        client.rtc.sdp_api().accept_answer(pending, sdp).unwrap();
        Self {
            start,
            now: start,
            server,
            client,
            answer,
            events: Vec::new(),
            delay: Duration::from_millis(20),
            lose: Box::new(|_, _, _| false),
            narrow_bps: None,
            free_at: start,
            history: Vec::new(),
            repaired: 0,
            sent: Vec::new(),
            wakes: 0,
            wire: VecDeque::new(),
            number: 0,
            timeout: start,
            batch: Batch::new(100_000),
        }
    }

    /// A world whose ends are connected.
    pub fn connected(which: Which) -> Self {
        let mut world = Self::new(which);
        world.run_for(500);
        world.assert_connected();
        world
    }

    pub fn assert_connected(&self) {
        assert!(self.client.connected, "the client is not connected");
        assert_eq!(self.events.iter().filter(|event| matches!(event, Event::Connected)).count(), 1);
    }

    pub fn own(&mut self) -> &mut View {
        match &mut self.server {
            Server::Own(view) => view,
            Server::Str0m(_) => panic!("not our own leg"),
        }
    }

    pub fn closed(&self) -> Option<&CloseReason> {
        let reason = |event: &'_ Event| matches!(event, Event::Closed(_));
        assert!(self.events.iter().filter(|event| reason(event)).count() <= 1, "it comes once");
        self.events.iter().find_map(|event| if let Event::Closed(reason) = event { Some(reason) } else { None })
    }

    pub fn wall(&self) -> WallTime {
        WallTime(WALL) + self.now.duration_since(self.start).as_micros() as i64
    }

    pub fn send(&mut self, kind: Kind, packet: &Outbox) -> Result<(), NotSent> {
        let result = match &mut self.server {
            Server::Own(view) => view.send(self.now, kind, packet.outgoing(), &mut self.batch),
            Server::Str0m(leg) => leg.send(self.now, kind, packet.outgoing(), &mut self.batch),
        };
        if result.is_ok() {
            self.history.push((kind, packet.clone()));
        }
        self.flush_server();
        result
    }

    /// Hands bytes to the server as if they came from there.
    pub fn inject(&mut self, from: &str, bytes: &[u8]) {
        let (from, to) = (from.parse().unwrap(), SERVER.parse().unwrap());
        self.deliver_to_server(from, to, bytes);
    }

    pub fn ask_key_frame(&mut self, kind: KeyframeRequestKind) {
        let mid = self.client.mids.iter().find(|(kind, _)| *kind == Kind::Video).unwrap().1;
        self.client.rtc.direct_api().stream_rx_by_mid(mid, None).unwrap().request_keyframe(kind);
        self.client.timeout = self.now;
    }

    pub fn close_server(&mut self) {
        match &mut self.server {
            Server::Own(view) => view.close(),
            Server::Str0m(leg) => leg.close(),
        }
        self.flush_server();
    }

    pub fn close_client(&mut self) {
        let _ = self.client.rtc.close();
        self.flush_client();
    }

    /// The client moves to another address and offers it by checks alone.
    pub fn move_client(&mut self, addr: &str) {
        self.client.addr = addr.parse().unwrap();
        self.client.rtc.add_local_candidate(Candidate::host(self.client.addr, "udp").unwrap());
        self.client.timeout = self.now;
    }

    pub fn restart_ice(&mut self) {
        let mut api = self.client.rtc.sdp_api();
        let credentials = api.ice_restart(true);
        let (_, pending) = api.apply().unwrap();
        let fragment = format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", credentials.ufrag, credentials.pass);
        let answer = match &mut self.server {
            Server::Own(view) => view.restart_ice(&fragment).unwrap(),
            Server::Str0m(leg) => leg.restart_ice(&fragment).unwrap(),
        };
        let find = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let (ufrag, pwd) = (find("a=ice-ufrag:"), find("a=ice-pwd:"));
        let lines = self.answer.sdp.lines().map(|line| match line.split_once(':') {
            Some(("a=ice-ufrag", _)) => format!("a=ice-ufrag:{ufrag}\r\n"),
            Some(("a=ice-pwd", _)) => format!("a=ice-pwd:{pwd}\r\n"),
            _ => format!("{line}\r\n"),
        });
        let text: String = lines.collect();
        self.client.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&text).unwrap()).unwrap();
        self.flush_server();
        self.client.timeout = self.now;
    }

    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        for step in 0.. {
            assert!(step < 2_000_000, "time does not go on");
            let wire = self.wire.iter().map(|flying| flying.at).min();
            let next = [Some(self.timeout), Some(self.client.timeout), wire].into_iter().flatten().min().unwrap();
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn step(&mut self) {
        if let Some(place) = self.wire.iter().position(|flying| flying.at <= self.now) {
            let flying = self.wire.remove(place).unwrap();
            if flying.to == SERVER.parse().unwrap() {
                self.deliver_to_server(flying.from, flying.to, &flying.bytes);
            } else if flying.to == self.client.addr {
                let receive = Receive::new(RtcProtocol::Udp, flying.from, flying.to, &flying.bytes).unwrap();
                let _ = self.client.rtc.handle_input(RtcInput::Receive(self.now, receive));
                self.flush_client();
            }
            return;
        }
        if self.timeout <= self.now {
            self.wakes += 1;
            match &mut self.server {
                Server::Own(view) => view.handle(self.now, Input::Timeout),
                Server::Str0m(leg) => leg.handle(self.now, Input::Timeout),
            }
            self.flush_server();
            assert!(self.timeout > self.now, "a timeout in the past makes no progress");
        }
        if self.client.timeout <= self.now {
            let _ = self.client.rtc.handle_input(RtcInput::Timeout(self.now));
            self.flush_client();
        }
    }

    fn deliver_to_server(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let input = Input::Datagram { proto: Protocol::Udp, from, to, bytes };
        match &mut self.server {
            Server::Own(view) => view.handle(self.now, input),
            Server::Str0m(leg) => leg.handle(self.now, input),
        }
        self.flush_server();
    }

    fn flush_server(&mut self) {
        for turn in 0.. {
            assert!(turn < 1_000, "a leg is drained at some time");
            let output = match &mut self.server {
                Server::Own(view) => view.poll_output(&mut self.batch),
                Server::Str0m(leg) => leg.poll_output(&mut self.batch),
            };
            match output {
                Output::Event(event) => self.event(event),
                Output::Timeout(at) => {
                    self.timeout = at;
                    break;
                }
            }
        }
        let sent: Vec<(SocketAddr, Vec<u8>)> =
            self.batch.runs().flat_map(|run| run.datagrams().map(move |bytes| (run.to, bytes.to_vec()))).collect();
        self.batch.clear();
        for (to, bytes) in sent {
            self.sent.push(bytes.len());
            self.fly(false, SERVER.parse().unwrap(), to, bytes);
        }
    }

    /// What the sfu does: finds what is asked for and sends it again.
    fn event(&mut self, event: Event) {
        if let (Event::Repair { kind, numbers }, Server::Own(view)) = (&event, &mut self.server) {
            for number in numbers {
                let own = |entry: &&(Kind, Outbox)| entry.0 == *kind && entry.1.seq as u16 == *number;
                let packet = self.history.iter().rev().find(own).expect("only what was sent is asked for");
                let result = view.resend(self.now, *kind, packet.1.outgoing(), &mut self.batch);
                self.repaired += usize::from(result.is_ok());
            }
        }
        self.events.push(event);
    }

    fn flush_client(&mut self) {
        loop {
            let Ok(output) = self.client.rtc.poll_output() else {
                self.client.closed = true;
                self.client.timeout = self.now + Duration::from_secs(3_600);
                return;
            };
            match output {
                RtcOutput::Transmit(transmit) => {
                    // Behind its own address nothing comes in any more when the client has moved.
                    if transmit.source == self.client.addr {
                        self.fly(true, transmit.source, transmit.destination, transmit.contents.into());
                    }
                }
                RtcOutput::Event(event) => self.client.event(self.now, event),
                RtcOutput::Timeout(at) => {
                    self.client.timeout = at.max(self.now + Duration::from_millis(1));
                    return;
                }
            }
        }
    }

    fn fly(&mut self, to_server: bool, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.number += 1;
        if (self.lose)(self.number, to_server, &bytes) {
            return;
        }
        let mut at = self.now;
        if let (Some(bps), false) = (self.narrow_bps, to_server) {
            at = self.free_at.max(self.now) + Duration::from_micros(bytes.len() as u64 * 8_000_000 / bps);
            if at > self.now + Duration::from_millis(333) {
                return;
            }
            self.free_at = at;
        }
        self.wire.push_back(Flying { at: at + self.delay, from, to, bytes });
    }
}

impl Outbox {
    pub fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            codec: self.codec,
            seq: self.seq,
            time: self.time,
            wall: self.wall,
            marker: self.marker,
            payload: &self.payload,
            padding: self.padding,
            audio_level: self.audio_level,
        }
    }
}

impl Client {
    fn offer(now: Instant, codecs: &[Codec]) -> (Self, String, SdpPendingOffer) {
        let has = |codec| codecs.contains(&codec);
        let mut rtc = RtcConfig::new()
            .clear_codecs()
            .enable_opus(has(Codec::Opus), false)
            .enable_h264(has(Codec::H264))
            .enable_vp8(has(Codec::Vp8))
            .set_rtp_mode(true)
            .set_extension(9, str0m::rtp::Extension::AbsoluteCaptureTime)
            .set_extension(10, str0m::rtp::Extension::PlayoutDelay)
            .set_rtcp_report_interval_audio(Duration::from_millis(500))
            .set_rtcp_report_interval_video(Duration::from_millis(500))
            .build(now);
        let addr: SocketAddr = CLIENT.parse().unwrap();
        rtc.add_local_candidate(Candidate::host(addr, "udp").unwrap());
        let mut api = rtc.sdp_api();
        let mut mids = Vec::new();
        for kind in [Kind::Audio, Kind::Video] {
            if codecs.iter().any(|codec| codec.kind() == kind) {
                let media = if kind == Kind::Audio { MediaKind::Audio } else { MediaKind::Video };
                mids.push((kind, api.add_media(media, Direction::RecvOnly, None, None, None)));
            }
        }
        let (offer, pending) = api.apply().unwrap();
        let (got, reports) = (Vec::new(), Vec::new());
        let client = Self { rtc, addr, mids, connected: false, closed: false, got, reports, timeout: now };
        (client, offer.to_sdp_string(), pending)
    }

    /// Packets of a kind, in the order of their arrival.
    pub fn of(&self, kind: Kind) -> Vec<&Got> {
        self.got.iter().filter(|got| got.kind == kind).collect()
    }

    fn kind(&self, mid: Mid) -> Kind {
        self.mids.iter().find(|(_, known)| *known == mid).unwrap().0
    }

    fn event(&mut self, now: Instant, event: str0m::Event) {
        match event {
            str0m::Event::Connected => self.connected = true,
            str0m::Event::Closed => self.closed = true,
            str0m::Event::RtpPacket(packet) => {
                let mid = self.rtc.direct_api().stream_rx(&packet.header.ssrc).unwrap().mid();
                self.got.push(Got {
                    at: now,
                    kind: self.kind(mid),
                    seq: *packet.seq_no,
                    time: packet.header.timestamp,
                    marker: packet.header.marker,
                    payload: packet.payload.to_vec(),
                    extensions: packet.header.ext_vals,
                });
            }
            str0m::Event::SenderFeedback(feedback) => {
                let info = feedback.sender_info;
                let ntp = info.ntp_time.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
                self.reports.push(Report {
                    at: now,
                    kind: self.kind(feedback.mid),
                    time: info.rtp_time.numer() as u32,
                    ntp_us: ntp.as_micros() as i64,
                    packets: info.sender_packet_count,
                    octets: info.sender_octet_count,
                });
            }
            _ => {}
        }
    }
}
