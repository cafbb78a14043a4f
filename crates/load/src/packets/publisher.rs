//! One thread of publishers: pictures and sounds of the size and at the pace of an encoder's.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use media::{Codec, Kind, WallTime};
use mio::{Events, Poll, Token, Waker};
use net::stamped::Stamped;
use rtc::{Batch, Event, Input, Leg, Outgoing, Output, Protocol};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    clock::Clock,
    histogram::Histogram,
    janus::{AUDIO_PT, VIDEO_PT},
    own::{Meter, Used},
    payload::{self, Split, Stamp},
    socket::{Socket, room},
};

const WAKE: Token = Token(0);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const EVENTS_MAX: usize = 256;
/// A sound lasts so long.
const SOUND_INTERVAL: Duration = Duration::from_millis(20);
/// A key frame that was asked for does not come sooner after another.
const KEY_INTERVAL_MIN: Duration = Duration::from_millis(300);
/// What one publisher sends at once, about.
const BATCH_BYTES: usize = 4_096;
/// Datagrams that are written down at most.
const RECORDED_MAX: usize = 2_000;
/// A layer has so much less than the highest: the next, and the one after it.
const LAYER_SHARES: [u64; 3] = [1, 3, 10];
/// Packets of lower layers say that they are of streams above this one.
pub(crate) const LOWER_STREAMS: u16 = 0xff00;
/// Sequence numbers begin here.
const SEQ_FIRST: u64 = 1_000;

/// What is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) bitrate_bps: u64,
    pub(crate) fps: u64,
    /// Pictures from one key frame to the next.
    pub(crate) gop: u64,
    /// A key frame is so many times as long as another picture.
    pub(crate) key_factor: u64,
    /// The packets of a picture are spread over so long.
    pub(crate) pace: Duration,
    pub(crate) split: Split,
    /// Layers of the picture: the highest has the bitrate, each lower one a share of it.
    pub(crate) layers: u8,
    /// Bytes of a sound; 0: none is sent.
    pub(crate) sound_bytes: usize,
}

/// Somebody who is about to publish.
pub(crate) struct Publisher {
    /// Its number.
    pub(crate) stream: u16,
    pub(crate) to: To,
    pub(crate) socket: Socket,
    /// Its first picture is so much later than the first one's: publishers of life are apart.
    pub(crate) late: Duration,
}

/// Where packets go.
pub(crate) enum To {
    /// A server that has answered.
    Leg(Box<Leg>),
    /// As plain RTP: pictures, then sounds.
    Plain([SocketAddr; 2]),
}

/// What publishers say.
#[derive(Debug)]
pub(crate) enum Said {
    Publishing,
    Lost { stream: u16, why: String },
}

/// What was sent.
#[derive(Default)]
pub(crate) struct Totals {
    /// By stream: packets of pictures, then of sounds, that were sent in the window.
    pub(crate) in_window: Vec<(u16, [u64; 2])>,
    /// Microseconds from when a picture or sound was due to when it went, in the window.
    pub(crate) lateness: Histogram,
    pub(crate) key_frames_asked: u64,
    pub(crate) used: Option<(Duration, Used)>,
}

/// The thread.
pub(crate) struct Thread {
    publishers: Sender<Publisher>,
    waker: Arc<Waker>,
    handle: JoinHandle<Totals>,
}

impl Thread {
    pub(crate) fn spawn(
        shape: Shape,
        clock: Arc<Clock>,
        said: UnboundedSender<Said>,
        record: Option<&Path>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let record = record.map(File::create).transpose()?.map(|file| Record { file, left: RECORDED_MAX });
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (publishers, coming) = channel();
        let mut stage =
            Stage { poll, shape, clock, said, coming, streams: Vec::new(), totals: Totals::default(), record };
        let handle = std::thread::Builder::new().name("publishers".to_owned()).spawn(move || {
            stage.run();
            stage.totals
        })?;
        Ok(Self { publishers, waker, handle })
    }

    pub(crate) fn add(&self, publisher: Publisher) {
        // A thread that is gone is found out when it is joined.
        let _ = self.publishers.send(publisher);
        let _ = self.waker.wake();
    }

    /// Waits for its end, which `Clock::end` brings about.
    pub(crate) fn join(self) -> anyhow::Result<Totals> {
        let _ = self.waker.wake();
        self.handle.join().map_err(|_| anyhow::anyhow!("the thread of publishers has panicked"))
    }
}

struct Stage {
    poll: Poll,
    shape: Shape,
    clock: Arc<Clock>,
    said: UnboundedSender<Said>,
    coming: Receiver<Publisher>,
    streams: Vec<Stream>,
    totals: Totals,
    /// For the first stream.
    record: Option<Record>,
}

/// Where datagrams are written down.
struct Record {
    file: File,
    left: usize,
}

impl Record {
    fn note(&mut self, datagram: &[u8]) {
        if self.left > 0 {
            self.left -= 1;
            let hexadecimal: String = datagram.iter().map(|byte| format!("{byte:02x}")).collect();
            // A full disk makes it shorter.
            let _ = writeln!(self.file, "{hexadecimal}");
        }
    }
}

struct Stream {
    stream: u16,
    to: To,
    socket: Socket,
    /// When the leg wants to be asked.
    due: Instant,
    connected: bool,
    over: bool,
    /// When the first picture was due; `None` before the connection.
    began: Option<Instant>,
    late: Duration,
    pictures: u64,
    sounds: u64,
    key_at: Option<Instant>,
    key_wanted: bool,
    /// Packets of a picture that wait for their time.
    paced: VecDeque<(Instant, Packet)>,
    /// Packets so far: of pictures, then of sounds.
    numbers: [u64; 2],
    /// Packets of lower layers so far.
    lower: [u64; 2],
    in_window: [u64; 2],
    random: u64,
    record: Option<Record>,
    out: Batch,
}

struct Packet {
    kind: Kind,
    /// How many layers are above it.
    below: u8,
    payload: Vec<u8>,
    marker: bool,
    time: u32,
}

impl Stage {
    fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut stamped = room();
        let mut meter = Meter::new();
        while !self.clock.is_over() {
            let now = Instant::now();
            meter.look(now, self.clock.counts(self.clock.ns(now)));
            let next = self.streams.iter().map(|stream| stream.next(self.shape)).min().unwrap_or(now + LOOK_INTERVAL);
            let wait = next.saturating_duration_since(now).min(LOOK_INTERVAL);
            if self.poll.poll(&mut events, Some(wait)).is_err() {
                continue;
            }
            while let Ok(publisher) = self.coming.try_recv() {
                self.take(publisher);
            }
            let Self { shape, clock, said, streams, totals, .. } = self;
            for event in &events {
                let Some(stream) = event.token().0.checked_sub(1).and_then(|at| streams.get_mut(at)) else { continue };
                stream.read(&mut stamped, said);
            }
            for stream in streams {
                stream.act(*shape, clock, said, totals);
            }
        }
        self.totals.used = meter.used;
        for mut stream in self.streams.drain(..) {
            if let To::Leg(leg) = &mut stream.to {
                leg.close();
            }
            stream.drain(&self.said);
            self.totals.in_window.push((stream.stream, stream.in_window));
        }
    }

    fn take(&mut self, publisher: Publisher) {
        let Publisher { stream, to, mut socket, late } = publisher;
        if let Err(error) = socket.register(self.poll.registry(), Token(self.streams.len() + 1)) {
            let _ = self.said.send(Said::Lost { stream, why: error.to_string() });
        }
        self.streams.push(Stream {
            stream,
            to,
            socket,
            due: Instant::now(),
            connected: false,
            over: false,
            began: None,
            late,
            pictures: 0,
            sounds: 0,
            key_at: None,
            key_wanted: false,
            paced: VecDeque::new(),
            numbers: [0; 2],
            lower: [0; 2],
            in_window: [0; 2],
            random: u64::from(stream) + 1,
            record: self.record.take(),
            out: Batch::new(BATCH_BYTES),
        });
    }
}

impl Stream {
    /// When there is something to do next.
    fn next(&self, shape: Shape) -> Instant {
        if self.over {
            return self.due + Duration::from_secs(3_600);
        }
        let media = self.began.map(|began| {
            let picture = began + at(self.pictures, shape.fps);
            let sound = Some(began + SOUND_INTERVAL * self.sounds as u32).filter(|_| shape.sound_bytes > 0);
            let paced = self.paced.front().map(|(at, _)| *at);
            [sound, paced].into_iter().flatten().fold(picture, Instant::min)
        });
        media.map_or(self.due, |media| media.min(self.due))
    }

    fn read(&mut self, stamped: &mut Stamped, said: &UnboundedSender<Said>) {
        let to = self.socket.addr();
        let mut came = Vec::new();
        while self.socket.read(stamped, &mut |it| came.push((it.from, it.bytes.to_vec()))) {}
        for (from, bytes) in &came {
            if let To::Leg(leg) = &mut self.to {
                leg.handle(Instant::now(), Input::Datagram { proto: Protocol::Udp, from: *from, to, bytes });
            }
            self.drain(said);
        }
    }

    /// Does what is due.
    fn act(&mut self, shape: Shape, clock: &Clock, said: &UnboundedSender<Said>, totals: &mut Totals) {
        let now = Instant::now();
        if self.over {
            return;
        }
        if now >= self.due {
            if let To::Leg(leg) = &mut self.to {
                leg.handle(now, Input::Timeout);
            }
            self.drain(said);
        }
        let Some(began) = self.began else { return };
        let counts = clock.counts(clock.ns(now));
        let mut late = |due: Instant| {
            if counts {
                totals.lateness.add(now.saturating_duration_since(due).as_micros() as u64);
            }
        };
        let due = began + SOUND_INTERVAL * self.sounds as u32;
        if shape.sound_bytes > 0 && now >= due {
            late(due);
            let time = (self.sounds * 960) as u32;
            self.sounds += 1;
            let payload = payload::sound(shape.sound_bytes);
            self.send(shape, Packet { kind: Kind::Audio, below: 0, payload, marker: false, time }, clock, said);
        }
        let due = began + at(self.pictures, shape.fps);
        if now >= due {
            late(due);
            self.picture(shape, now, due);
        }
        while self.paced.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, packet)) = self.paced.pop_front() {
                self.send(shape, packet, clock, said);
            }
        }
        if std::mem::take(&mut self.key_wanted) {
            totals.key_frames_asked += 1;
            // The next picture is one, unless the last was just now.
            self.key_at = self.key_at.filter(|at| now.duration_since(*at) < KEY_INTERVAL_MIN);
        }
    }

    fn picture(&mut self, shape: Shape, now: Instant, due: Instant) {
        let gop = shape.gop.max(1);
        let time = (self.pictures * 90_000 / shape.fps) as u32;
        let key = self.key_at.is_none_or(|_| self.pictures.is_multiple_of(gop));
        self.pictures += 1;
        if key {
            self.key_at = Some(now);
        }
        // A group of pictures has gop - 1 of one length and one of several times that, a fifth more or less.
        let plain = shape.bitrate_bps / 8 * gop / shape.fps / (gop - 1 + shape.key_factor);
        let mean = if key { plain * shape.key_factor } else { plain };
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bytes = mean * (800 + (self.random >> 33) % 401) / 1_000;
        let mut packets = Vec::new();
        for (below, share) in (0..shape.layers).zip(LAYER_SHARES).rev() {
            let payloads = payload::picture(key, (bytes / share) as usize, shape.split);
            let count = payloads.len();
            let numbered = payloads.into_iter().enumerate();
            packets.extend(numbered.map(|(index, payload)| (below, payload, index + 1 == count)));
        }
        let count = packets.len() as u32;
        for (index, (below, payload, marker)) in packets.into_iter().enumerate() {
            let packet = Packet { kind: Kind::Video, below, payload, marker, time };
            self.paced.push_back((due + shape.pace * index as u32 / count, packet));
        }
    }

    fn send(&mut self, shape: Shape, packet: Packet, clock: &Clock, said: &UnboundedSender<Said>) {
        let Packet { kind, below, payload, marker, time } = packet;
        if below > 0 {
            return self.send_lower(shape, below, (payload, marker, time), clock, said);
        }
        let index = usize::from(kind == Kind::Audio);
        let Some((number, in_window)) = self.numbers.get_mut(index).zip(self.in_window.get_mut(index)) else { return };
        let now = Instant::now();
        let sent_ns = clock.ns(now);
        let payload = payload::stamp(payload, Stamp { stream: self.stream, number: *number, sent_ns });
        let leg = match &mut self.to {
            To::Leg(leg) => leg,
            To::Plain(addresses) => {
                let seq = SEQ_FIRST + *number;
                *number += 1;
                *in_window += counted(clock, sent_ns);
                let (pt, to) = if index == 0 { (VIDEO_PT, addresses[0]) } else { (AUDIO_PT, addresses[1]) };
                self.socket.send(to, &plain(pt, marker, seq as u16, time, index as u32 + 1, &payload));
                return;
            }
        };
        let outgoing = Outgoing {
            codec: if kind == Kind::Audio { Codec::Opus } else { Codec::H264 },
            seq: SEQ_FIRST + *number,
            time,
            wall: WallTime(i64::try_from(sent_ns / 1_000).unwrap_or(0)),
            marker,
            padding: 0,
            payload: &payload,
            audio_level: (kind == Kind::Audio).then_some(30),
        };
        let sent = if shape.layers > 1 && kind == Kind::Video {
            leg.send_layer(now, shape.layers - 1, outgoing)
        } else {
            leg.send(now, kind, outgoing, &mut self.out)
        };
        if sent.is_ok() {
            *number += 1;
            *in_window += counted(clock, sent_ns);
        }
        self.drain(said);
    }

    /// A packet of a lower layer: how many were sent does not count.
    fn send_lower(
        &mut self,
        shape: Shape,
        below: u8,
        (payload, marker, time): (Vec<u8>, bool, u32),
        clock: &Clock,
        said: &UnboundedSender<Said>,
    ) {
        let (To::Leg(leg), Some(number)) = (&mut self.to, self.lower.get_mut(usize::from(below) - 1)) else { return };
        let now = Instant::now();
        let sent_ns = clock.ns(now);
        let stream = LOWER_STREAMS | u16::from(below);
        let payload = payload::stamp(payload, Stamp { stream, number: *number, sent_ns });
        let outgoing = Outgoing {
            codec: Codec::H264,
            seq: SEQ_FIRST + *number,
            time,
            wall: WallTime(i64::try_from(sent_ns / 1_000).unwrap_or(0)),
            marker,
            padding: 0,
            payload: &payload,
            audio_level: None,
        };
        let layer = shape.layers.saturating_sub(1 + below);
        *number += u64::from(leg.send_layer(now, layer, outgoing).is_ok());
        self.drain(said);
    }

    fn drain(&mut self, said: &UnboundedSender<Said>) {
        let To::Leg(leg) = &mut self.to else {
            if !std::mem::replace(&mut self.connected, true) {
                self.began = Some(Instant::now() + self.late);
                let _ = said.send(Said::Publishing);
            }
            self.due = Instant::now() + Duration::from_secs(3_600);
            return;
        };
        loop {
            match leg.poll_output(&mut self.out) {
                Output::Event(Event::Connected) if !self.connected => {
                    self.connected = true;
                    self.began = Some(Instant::now() + self.late);
                    let _ = said.send(Said::Publishing);
                }
                Output::Event(Event::KeyFrameRequested { .. }) => self.key_wanted = true,
                Output::Event(Event::Closed(why)) => {
                    self.over = true;
                    let _ = said.send(Said::Lost { stream: self.stream, why: format!("{why:?}") });
                }
                Output::Event(_) => {}
                Output::Timeout(at) => {
                    self.due = at;
                    break;
                }
            }
        }
        if let Some(record) = &mut self.record {
            self.out.runs().for_each(|run| run.datagrams().for_each(|datagram| record.note(datagram)));
        }
        self.socket.send_all(&mut self.out);
    }
}

/// 1 where a packet of this time counts.
fn counted(clock: &Clock, sent_ns: u64) -> u64 {
    let counts = clock.counts(sent_ns);
    if counts {
        clock.sent();
    }
    u64::from(counts)
}

/// A packet of RTP (RFC 3550 section 5.1).
fn plain(pt: u8, marker: bool, seq: u16, time: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(12 + payload.len());
    packet.extend([0x80, pt | u8::from(marker) << 7]);
    packet.extend(seq.to_be_bytes());
    packet.extend(time.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// When picture number `number` is due.
fn at(number: u64, fps: u64) -> Duration {
    Duration::from_nanos(number * 1_000_000_000 / fps.max(1))
}
