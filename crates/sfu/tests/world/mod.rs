//! Shards and their peers in virtual time: str0m clients, a wire with delay and loss, mail between shards that takes its
//! time, no sockets, no sleeping.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    dead_code,
    unreachable_pub
)]

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use media::{Codec, Kind, WallTime};
use rtc::{Answer, Batch, Certificate, Leg, Protocol, Purpose};
use stentor_sfu::{
    self as sfu, Command, Drop, Event, Expect, Input, LegId, Mail, Output, Pace, Shard, ShardStats, TrackId,
};
use str0m::{
    Candidate, Input as RtcInput, Output as RtcOutput, Rtc, RtcConfig,
    change::{SdpAnswer, SdpPendingOffer},
    media::{Direction, KeyframeRequestKind, MediaKind, Mid, Pt, Rid, Simulcast, SimulcastLayer},
    net::{Protocol as RtcProtocol, Receive},
    rtp::RtpWrite,
};

pub const SERVER: &str = "203.0.113.1:3478";
const WALL: i64 = 1_790_000_000_000_000;

/// A packet that a client received.
#[derive(Clone, Debug)]
pub struct Got {
    pub at: Instant,
    pub kind: Kind,
    pub seq: u64,
    pub time: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
}

pub struct Client {
    pub rtc: Rtc,
    pub addr: SocketAddr,
    pub connected: bool,
    pub closed: bool,
    pub got: Vec<Got>,
    /// Sender reports: kind, RTP time, NTP in microseconds.
    pub reports: Vec<(Kind, u32, i64)>,
    pub key_frame_requests: usize,
    /// Layers of which a key frame was asked, and nobody has looked.
    pub asked: Vec<String>,
    pub mids: Vec<(Kind, Mid)>,
    timeout: Instant,
}

impl Client {
    /// A client with one m= line of each kind, and its offer.
    pub fn offer(now: Instant, addr: &str, codecs: &[Codec], direction: Direction) -> (Self, String, SdpPendingOffer) {
        Self::offer_layers(now, addr, codecs, direction, &[])
    }

    /// The same, with a picture in layers of these names.
    pub fn offer_layers(
        now: Instant,
        addr: &str,
        codecs: &[Codec],
        direction: Direction,
        layers: &[&str],
    ) -> (Self, String, SdpPendingOffer) {
        let has = |codec| codecs.contains(&codec);
        let mut rtc = RtcConfig::new()
            .clear_codecs()
            .enable_opus(has(Codec::Opus), false)
            .enable_h264(has(Codec::H264))
            .enable_vp8(has(Codec::Vp8))
            .set_rtp_mode(true)
            .set_rtcp_report_interval_audio(Duration::from_millis(500))
            .set_rtcp_report_interval_video(Duration::from_millis(500))
            .build(now);
        let addr: SocketAddr = addr.parse().unwrap();
        rtc.add_local_candidate(Candidate::host(addr, "udp").unwrap());
        let mut api = rtc.sdp_api();
        let mut mids = Vec::new();
        for kind in [Kind::Audio, Kind::Video] {
            if codecs.iter().any(|codec| codec.kind() == kind) {
                let media = if kind == Kind::Audio { MediaKind::Audio } else { MediaKind::Video };
                let send = layers.iter().map(|name| SimulcastLayer::new(name)).collect();
                let layers = (kind == Kind::Video && !layers.is_empty()).then(|| Simulcast { send, recv: Vec::new() });
                mids.push((kind, api.add_media(media, direction, None, None, layers)));
            }
        }
        let (offer, pending) = api.apply().unwrap();
        let client = Self {
            rtc,
            addr,
            connected: false,
            closed: false,
            got: Vec::new(),
            reports: Vec::new(),
            key_frame_requests: 0,
            asked: Vec::new(),
            mids,
            timeout: now,
        };
        (client, offer.to_sdp_string(), pending)
    }

    fn mid(&self, kind: Kind) -> Mid {
        self.mids.iter().find(|(known, _)| *known == kind).unwrap().1
    }

    /// Packets of a kind, in the order of their arrival.
    pub fn of(&self, kind: Kind) -> Vec<&Got> {
        self.got.iter().filter(|got| got.kind == kind).collect()
    }

    fn event(&mut self, now: Instant, event: str0m::Event) {
        match event {
            str0m::Event::Connected => self.connected = true,
            str0m::Event::Closed => self.closed = true,
            str0m::Event::KeyframeRequest(request) => {
                self.key_frame_requests += 1;
                self.asked.extend(request.rid.map(|rid| rid.to_string()));
            }
            str0m::Event::RtpPacket(packet) => {
                let mid = self.rtc.direct_api().stream_rx(&packet.header.ssrc).unwrap().mid();
                let kind = self.mids.iter().find(|(_, known)| *known == mid).unwrap().0;
                self.got.push(Got {
                    at: now,
                    kind,
                    seq: *packet.seq_no,
                    time: packet.header.timestamp,
                    marker: packet.header.marker,
                    payload: packet.payload.to_vec(),
                });
            }
            str0m::Event::SenderFeedback(feedback) => {
                let kind = self.mids.iter().find(|(_, known)| *known == feedback.mid).unwrap().0;
                let ntp = feedback.sender_info.ntp_time.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
                self.reports.push((kind, feedback.sender_info.rtp_time.numer() as u32, ntp.as_micros() as i64));
            }
            _ => {}
        }
    }
}

type Lose = dyn FnMut(u64, bool, &[u8]) -> bool;

struct Flying {
    at: Instant,
    proto: Protocol,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

type Route = dyn Fn(SocketAddr) -> usize;

/// Mail on its way from a shard to another.
struct Carried {
    at: Instant,
    from: usize,
    to: usize,
    mail: Mail,
}

pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub shards: Vec<Shard>,
    pub config: rtc::Config,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    pub delay: Duration,
    /// Called for each datagram with a running number, whether it goes to the server, and its bytes: true loses it.
    pub lose: Box<Lose>,
    /// Which shard's socket the kernel gives the datagrams of an address to.
    pub route: Box<Route>,
    /// The shard that the next legs and tracks have as their home; in turn, where `None`.
    pub home: Option<usize>,
    /// Mail takes from nothing to this long, each pair's in order.
    pub mail_delay_max: Duration,
    /// Mail from the one to the other takes this much longer.
    pub slow_mail: Option<(usize, usize, Duration)>,
    /// Called for each piece of mail that may be lost: true loses it.
    pub lose_mail: Box<dyn FnMut() -> bool>,
    /// The way to an address lets so many bits a second through, with a queue of so long; when it is free again.
    pub narrow: Option<(SocketAddr, u64, Duration)>,
    free_at: Instant,
    mail: Vec<Carried>,
    random: u64,
    wire: VecDeque<Flying>,
    number: u64,
    shard_timeouts: Vec<Instant>,
    out: Batch,
    next_id: u64,
}

impl World {
    pub fn new(shards: usize) -> Self {
        let now = Instant::now();
        let config = rtc::Config::new(SERVER.parse().unwrap(), Certificate::generate().unwrap(), WallTime(WALL), now);
        Self {
            start: now,
            now,
            shards: (0..shards).map(|index| Shard::new(sfu::Config::default(), index, shards, now)).collect(),
            config,
            clients: Vec::new(),
            events: Vec::new(),
            delay: Duration::from_millis(20),
            lose: Box::new(|_, _, _| false),
            route: Box::new(move |from| {
                let bytes = from.to_string();
                bytes.bytes().fold(7u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)) as usize
                    % shards
            }),
            home: None,
            mail_delay_max: Duration::from_millis(2),
            slow_mail: None,
            lose_mail: Box::new(|| false),
            narrow: None,
            free_at: now,
            mail: Vec::new(),
            random: 0x2545_f491_4f6c_dd1d,
            wire: VecDeque::new(),
            number: 0,
            shard_timeouts: vec![now; shards],
            out: Batch::new(4_000),
            next_id: 1,
        }
    }

    pub fn ms(&self) -> u64 {
        self.now.duration_since(self.start).as_millis() as u64
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn command(&mut self, command: Command) {
        let shard = command.home().unwrap();
        self.tell(shard, Input::Command(command));
    }

    fn tell(&mut self, shard: usize, input: Input<'_>) {
        self.shards[shard].handle(self.now, input, &mut self.out);
        self.flush_shard(shard);
    }

    pub fn datagram(&mut self, from: &str, bytes: &[u8]) {
        let (from, to) = (from.parse().unwrap(), SERVER.parse().unwrap());
        self.tell((self.route)(from), Input::Datagram { proto: Protocol::Udp, from, to, bytes });
    }

    fn next_home(&mut self) -> usize {
        let number = self.next_id();
        self.home.unwrap_or(number as usize % self.shards.len())
    }

    /// The sum over all shards.
    pub fn sum(&self, of: impl Fn(&ShardStats) -> u64) -> u64 {
        self.shards.iter().map(|shard| of(&shard.stats())).sum()
    }

    pub fn dropped(&self, reason: Drop) -> u64 {
        self.sum(|stats| stats.dropped(reason))
    }

    /// Things that are kept, by shard.
    pub fn kept(&self) -> Vec<usize> {
        self.shards.iter().map(Shard::kept).collect()
    }

    /// Which shard has a leg.
    pub fn at(&self, leg: LegId) -> Option<usize> {
        self.shards.iter().position(|shard| shard.stats().per_leg.iter().any(|stats| stats.leg == leg))
    }

    pub fn track(&mut self, codec: Codec) -> TrackId {
        let home = self.next_home();
        let id = TrackId::new(home, self.next_id());
        self.command(Command::AddTrack { id, codec, pace: Pace::Audience });
        id
    }

    /// A client that is answered; its place in `clients`, its leg, and the answer.
    pub fn join(
        &mut self,
        addr: &str,
        codecs: &[Codec],
        purpose: Purpose,
        change: impl Fn(String) -> String,
    ) -> (usize, LegId, Answer) {
        self.join_layers(addr, codecs, purpose, &[], change)
    }

    /// The same, with layers.
    pub fn join_layers(
        &mut self,
        addr: &str,
        codecs: &[Codec],
        purpose: Purpose,
        layers: &[&str],
        change: impl Fn(String) -> String,
    ) -> (usize, LegId, Answer) {
        let direction = if purpose == Purpose::Publish { Direction::SendOnly } else { Direction::RecvOnly };
        let (mut client, offer, pending) = Client::offer_layers(self.now, addr, codecs, direction, layers);
        let (leg, answer) = Leg::answer(&self.config, &change(offer), purpose, self.now).unwrap();
        client
            .rtc
            .sdp_api()
            .accept_answer(pending, SdpAnswer::from_sdp_string(&answer.sdp).expect(&answer.sdp))
            .unwrap();
        let home = self.next_home();
        let id = LegId::new(home, self.next_id());
        for shard in (0..self.shards.len()).filter(|shard| *shard != home) {
            self.tell(shard, Input::Command(Command::Expect(Expect::of(id, &leg))));
        }
        self.command(Command::AddLeg { id, leg: Box::new(leg) });
        client.timeout = self.now;
        self.clients.push(client);
        (self.clients.len() - 1, id, answer)
    }

    /// A publisher, its leg and its tracks: one of each codec.
    pub fn publisher(&mut self, addr: &str, codecs: &[Codec]) -> (usize, LegId, Vec<TrackId>) {
        self.publisher_of_layers(addr, codecs, &[])
    }

    /// The same, with a picture in layers.
    pub fn publisher_of_layers(
        &mut self,
        addr: &str,
        codecs: &[Codec],
        layers: &[&str],
    ) -> (usize, LegId, Vec<TrackId>) {
        let (client, leg, answer) = self.join_layers(addr, codecs, Purpose::Publish, layers, |offer| offer);
        let tracks: Vec<TrackId> = answer
            .kinds
            .iter()
            .map(|(kind, codec)| {
                let track = self.track(*codec);
                self.command(Command::Bind { leg, kind: *kind, track });
                track
            })
            .collect();
        (client, leg, tracks)
    }

    /// A viewer of tracks.
    pub fn viewer(&mut self, addr: &str, codecs: &[Codec], tracks: &[TrackId]) -> (usize, LegId) {
        let of = |kind| codecs.iter().copied().find(|codec: &Codec| codec.kind() == kind);
        let purpose = Purpose::Play { video: of(Kind::Video), audio: of(Kind::Audio) };
        let (client, leg, _) = self.join(addr, codecs, purpose, |offer| offer);
        for track in tracks {
            self.command(Command::Subscribe { leg, track: *track });
        }
        (client, leg)
    }

    pub fn restart_ice(&mut self, client: usize, leg: LegId, new_addr: &str) -> String {
        let rtc = &mut self.clients[client].rtc;
        let mut api = rtc.sdp_api();
        let credentials = api.ice_restart(false);
        let (_, pending) = api.apply().unwrap();
        let fragment = format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", credentials.ufrag, credentials.pass);
        self.command(Command::RestartIce { leg, fragment });
        self.run_for(10);
        let answer = self.events.iter().rev().find_map(|event| match event {
            Event::IceRestarted { answer, .. } => Some(answer.clone().unwrap()),
            _ => None,
        });
        let answer = answer.unwrap();
        self.clients[client].pending_restart(pending, &answer, new_addr);
        answer
    }

    /// Sends a packet from a client; true where it was connected.
    pub fn send(&mut self, client: usize, kind: Kind, seq: u64, time: u32, marker: bool, payload: &[u8]) {
        self.write(client, kind, seq, time, 0, marker, payload);
    }

    /// Sends a packet that was captured so many milliseconds ago, which is what the client's reports say.
    pub fn send_captured(&mut self, client: usize, kind: Kind, seq: u64, time: u32, ago_ms: u64, payload: &[u8]) {
        self.write(client, kind, seq, time, ago_ms, true, payload);
    }

    #[allow(clippy::too_many_arguments)]
    fn write(&mut self, client: usize, kind: Kind, seq: u64, time: u32, ago_ms: u64, marker: bool, payload: &[u8]) {
        let now = self.now;
        let captured = now - Duration::from_millis(ago_ms);
        let client = &mut self.clients[client];
        let mid = client.mid(kind);
        let pt: Pt = client.rtc.media(mid).unwrap().remote_pts()[0];
        let mut direct = client.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None).unwrap();
        stream.write_rtp(
            RtpWrite::new(pt, seq.into(), time, captured, payload).marker(marker).nackable(kind == Kind::Video),
        );
        client.timeout = now;
    }

    /// Sends a packet of a layer.
    pub fn send_layer(&mut self, client: usize, layer: &str, seq: u64, time: u32, marker: bool, payload: &[u8]) {
        let now = self.now;
        let client = &mut self.clients[client];
        let mid = client.mid(Kind::Video);
        let pt: Pt = client.rtc.media(mid).unwrap().remote_pts()[0];
        let mut direct = client.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, Some(Rid::from(layer))).expect("the layer was accepted");
        stream.write_rtp(RtpWrite::new(pt, seq.into(), time, now, payload).marker(marker).nackable(true));
        client.timeout = now;
    }

    pub fn ask_key_frame(&mut self, client: usize) {
        let now = self.now;
        let client = &mut self.clients[client];
        let mid = client.mid(Kind::Video);
        client.rtc.direct_api().stream_rx_by_mid(mid, None).unwrap().request_keyframe(KeyframeRequestKind::Pli);
        client.timeout = now;
    }

    /// Runs for so many milliseconds.
    pub fn run_for(&mut self, ms: u64) {
        self.run_to(self.ms() + ms);
    }

    /// Runs until everything that happens before `ms` after the start has happened.
    pub fn run_to(&mut self, ms: u64) {
        let end = self.start + Duration::from_millis(ms);
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 2_000_000, "time does not go on");
            let clients = self.clients.iter().map(|client| client.timeout).min();
            let wire = self.wire.iter().map(|flying| flying.at).min();
            let mail = self.mail.iter().map(|carried| carried.at).min();
            let shards = self.shard_timeouts.iter().copied().min();
            let next = [shards, clients, wire, mail].into_iter().flatten().min().unwrap();
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.step();
        }
    }

    fn step(&mut self) {
        if let Some(place) = self.mail.iter().position(|carried| carried.at <= self.now) {
            let Carried { to, mail, .. } = self.mail.remove(place);
            return self.tell(to, Input::Mail(mail));
        }
        if let Some(place) = self.wire.iter().position(|flying| flying.at <= self.now) {
            let flying = self.wire.remove(place).unwrap();
            self.deliver(flying);
            return;
        }
        for shard in 0..self.shards.len() {
            if self.shard_timeouts[shard] <= self.now {
                self.tell(shard, Input::Timeout);
                assert!(self.shard_timeouts[shard] > self.now, "a timeout in the past makes no progress");
            }
        }
        for place in 0..self.clients.len() {
            if self.clients[place].timeout <= self.now {
                self.clients[place].rtc.handle_input(RtcInput::Timeout(self.now)).unwrap();
                self.flush_client(place);
            }
        }
    }

    fn deliver(&mut self, flying: Flying) {
        if flying.to == SERVER.parse().unwrap() {
            let input = Input::Datagram { proto: flying.proto, from: flying.from, to: flying.to, bytes: &flying.bytes };
            self.tell((self.route)(flying.from), input);
        } else if let Some(place) = self.clients.iter().position(|client| client.addr == flying.to) {
            let receive = Receive::new(RtcProtocol::Udp, flying.from, flying.to, &flying.bytes).unwrap();
            self.clients[place].rtc.handle_input(RtcInput::Receive(self.now, receive)).unwrap();
            self.flush_client(place);
        }
    }

    fn flush_shard(&mut self, shard: usize) {
        loop {
            match self.shards[shard].poll_output(&mut self.out) {
                Output::Full => self.fly_batch(),
                Output::Event(event) => self.events.push(event),
                Output::Mail { to, mail } => self.carry(shard, to, mail),
                Output::Timeout(at) => {
                    self.shard_timeouts[shard] = at;
                    self.fly_batch();
                    return;
                }
            }
        }
    }

    /// Mail of a pair of shards keeps its order; that of different pairs does not.
    fn carry(&mut self, from: usize, to: usize, mail: Mail) {
        assert!(from != to && to < self.shards.len());
        if mail.care() != sfu::Care::Keep && (self.lose_mail)() {
            return self.shards[from].mail_lost();
        }
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let micros = (self.random >> 33) % (self.mail_delay_max.as_micros() as u64 + 1);
        let before =
            self.mail.iter().filter(|carried| carried.from == from && carried.to == to).map(|mail| mail.at).max();
        let slow = self.slow_mail.filter(|slow| (slow.0, slow.1) == (from, to)).map_or(Duration::ZERO, |slow| slow.2);
        let at = before.into_iter().fold(self.now + Duration::from_micros(micros) + slow, Instant::max);
        self.mail.push(Carried { at, from, to, mail });
    }

    fn fly_batch(&mut self) {
        let runs = self.out.runs();
        let datagrams: Vec<_> =
            runs.flat_map(|run| run.datagrams().map(move |bytes| (run.to, bytes.to_vec()))).collect();
        self.out.clear();
        for (to, bytes) in datagrams {
            self.fly(false, SERVER.parse().unwrap(), to, bytes);
        }
    }

    fn flush_client(&mut self, place: usize) {
        loop {
            let Ok(output) = self.clients[place].rtc.poll_output() else {
                self.clients[place].closed = true;
                self.clients[place].timeout = self.now + Duration::from_secs(3_600);
                return;
            };
            match output {
                RtcOutput::Transmit(transmit) => {
                    let bytes: Vec<u8> = transmit.contents.into();
                    self.fly(true, transmit.source, transmit.destination, bytes);
                }
                RtcOutput::Event(event) => self.clients[place].event(self.now, event),
                RtcOutput::Timeout(at) => {
                    self.clients[place].timeout = at.max(self.now + Duration::from_millis(1));
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
        let mut at = self.now + self.delay;
        if let Some((_, bps, queue)) = self.narrow.filter(|(narrow, ..)| *narrow == to) {
            if self.free_at > self.now + queue {
                return;
            }
            self.free_at = self.free_at.max(self.now) + Duration::from_micros(bytes.len() as u64 * 8_000_000 / bps);
            at = self.free_at + self.delay;
        }
        self.wire.push_back(Flying { at, proto: Protocol::Udp, from, to, bytes });
    }

    /// Sends `frames` frames of a camera from now on, a packet each 33 ms; every `gop`th begins with a key frame of
    /// `key_packets` packets. Calls `between` after each frame. Sequence numbers go on from `seq`.
    pub fn film(&mut self, client: usize, codec: Codec, seq: &mut u64, time: &mut u32, frames: u64, gop: u64) {
        for frame in 0..frames {
            self.frame(client, codec, seq, time, frame % gop == 0);
        }
    }

    /// Goes on filming without key frames.
    pub fn go_on(&mut self, client: usize, codec: Codec, seq: &mut u64, time: &mut u32, frames: u64) {
        for _ in 0..frames {
            self.frame(client, codec, seq, time, false);
        }
    }

    fn frame(&mut self, client: usize, codec: Codec, seq: &mut u64, time: &mut u32, key: bool) {
        for payload in picture(codec, key, *seq) {
            let last = payload.1;
            self.send(client, Kind::Video, *seq, *time, last, &payload.0);
            *seq += 1;
        }
        *time = time.wrapping_add(3_000);
        self.run_for(33);
    }
}

impl Client {
    fn pending_restart(&mut self, pending: SdpPendingOffer, fragment: &str, new_addr: &str) {
        let find = |name: &str| fragment.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let (ufrag, pwd) = (find("a=ice-ufrag:"), find("a=ice-pwd:"));
        // What a WHIP client does: the old answer with the new credentials.
        let mids: Vec<String> = self.mids.iter().map(|(_, mid)| mid.to_string()).collect();
        let mut text = format!(
            "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=ice-lite\r\n",
            mids.join(" ")
        );
        let fingerprint = self.rtc.direct_api().remote_dtls_fingerprint().unwrap().to_string();
        for (kind, mid) in &self.mids {
            let media = self.rtc.media(*mid).unwrap();
            let pt = media.remote_pts()[0];
            let params = self.rtc.codec_config().find(|params| params.pt() == pt).unwrap();
            let name = if *kind == Kind::Audio {
                "opus/48000/2"
            } else if format!("{:?}", params.spec().codec) == "H264" {
                "H264/90000"
            } else {
                "VP8/90000"
            };
            let direction = if media.direction() == Direction::SendOnly { "recvonly" } else { "sendonly" };
            let fmtp = params.spec().format.profile_level_id.map_or(String::new(), |id| {
                format!("a=fmtp:{pt} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={id:06x}\r\n")
            });
            text += &format!(
                "m={} 9 UDP/TLS/RTP/SAVPF {pt}\r\nc=IN IP4 0.0.0.0\r\na=candidate:1 1 udp 2130706431 203.0.113.1 3478 typ host\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=fingerprint:{fingerprint}\r\na=setup:passive\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\na=rtpmap:{pt} {name}\r\n{fmtp}",
                kind.name(),
            );
        }
        self.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&text).unwrap()).unwrap();
        self.addr = new_addr.parse().unwrap();
        self.rtc.add_local_candidate(Candidate::host(self.addr, "udp").unwrap());
    }
}

/// The payloads of a picture, and whether each is the last.
pub fn picture(codec: Codec, key: bool, number: u64) -> Vec<(Vec<u8>, bool)> {
    let body = |head: &[u8], fill: usize| {
        let mut out = head.to_vec();
        out.extend(number.to_be_bytes());
        out.resize(out.len() + fill, 0xab);
        out
    };
    match (codec, key) {
        (Codec::H264, true) => vec![
            (body(&[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 2, 0x68, 0xce], 0), false),
            (body(&[0x7c, 0x85], 900), false),
            (body(&[0x7c, 0x45], 300), true),
        ],
        (Codec::H264, false) => vec![(body(&[0x41, 0x9a], 400), true)],
        (_, true) => vec![
            (body(&[0x90, 0x80, 0x01, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a], 700), false),
            (body(&[0x80, 0x80, 0x01], 500), true),
        ],
        (_, false) => vec![(body(&[0x90, 0x80, 0x02, 0x11], 400), true)],
    }
}
