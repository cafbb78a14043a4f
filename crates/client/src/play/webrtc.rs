//! WebRTC by any dialect: packets are counted, and put together where that is known.

use std::time::{Duration, Instant};

use live::{
    clock::Align,
    depacketise::{Depacketiser, Output},
};
use media::{Codec, Kind, MediaTime, RtpPacket, WallTime};
use rtc::Wanted;

use super::{Event, Events};
use crate::{
    Error, Intent, Signal, Trust,
    meter::{Counted, Packets},
    source::Item,
    webrtc::{Peer, Pulse},
};

/// How often the packets are reported, and a key frame asked for at most.
const EVERY: Duration = Duration::from_millis(500);

pub(super) async fn run(signal: &Signal, trust: Trust, events: Events) -> Result<(), Error> {
    let opened = tokio::select! {
        opened = Peer::open(signal, Intent::Play, Wanted::Receive, trust) => opened,
        () = events.closed() => return Ok(()),
    };
    let mut peer = opened?;
    let mut receiver = Receiver::default();
    let mut report_at = Instant::now() + EVERY;
    let mut connected = false;
    loop {
        let until = receiver.timeout().map_or(report_at, |due| due.min(report_at));
        let pulse = tokio::select! {
            pulse = peer.next(Some(until)) => pulse,
            () = events.closed() => {
                peer.close().await;
                return Ok(());
            }
        };
        let now = Instant::now();
        match pulse {
            Ok(Pulse::Packet(kind, packet)) => receiver.packet(now, kind, packet),
            Ok(Pulse::Connected) => connected = true,
            Ok(_) => {}
            // A server that ends a stream closes the connection: so this is its end.
            Err(Error::Lost(_)) if connected && receiver.packets.received > 0 && peer.was_closed_by_peer() => {
                return Ok(());
            }
            Err(error) => {
                peer.close().await;
                return Err(error);
            }
        }
        for event in receiver.take(now) {
            let _ = events.send(event).await;
        }
        if now >= report_at {
            report_at = now + EVERY;
            if std::mem::take(&mut receiver.needs_key_frame) {
                peer.request_key_frame();
            }
            let _ = events.send(Event::Packets(receiver.count())).await;
        }
    }
}

#[derive(Default)]
struct Receiver {
    audio: Lane,
    video: Lane,
    align: Align,
    packets: Packets,
    ready: Vec<Event>,
    needs_key_frame: bool,
}

#[derive(Default)]
struct Lane {
    form: Option<Depacketiser>,
    /// Of codings that are not put together: the first and the newest number, and how many came.
    numbers: Option<(u64, u64, u64)>,
    /// The first packet's time, on its own clock and on ours.
    first: Option<(MediaTime, WallTime)>,
    jitter: Jitter,
    bytes: usize,
    key: bool,
}

impl Receiver {
    fn packet(&mut self, now: Instant, kind: Kind, mut packet: RtpPacket) {
        self.packets.received += 1;
        let lane = if kind == Kind::Video { &mut self.video } else { &mut self.audio };
        lane.jitter.take(&packet, now);
        // Times are counted as the sender's RTP clock has them, and not as sender reports move them.
        let (time, wall) = *lane.first.get_or_insert((packet.time, packet.wall));
        let rate = if kind == Kind::Video { 90_000 } else { 48_000 };
        packet.wall = wall + MediaTime(packet.time - time).as_micros(rate);
        if matches!(packet.codec, Codec::H264 | Codec::Opus) {
            if lane.form.is_none() {
                lane.form = Depacketiser::new(packet.codec).ok();
            }
            if let Some(form) = &mut lane.form {
                form.push(now, packet);
            }
            return;
        }
        self.ready.extend(lane.count(kind, &packet).map(Event::Counted));
    }

    /// What is whole by now.
    fn take(&mut self, now: Instant) -> Vec<Event> {
        for lane in [&mut self.audio, &mut self.video] {
            let Some(form) = &mut lane.form else { continue };
            while let Some(output) = form.poll(now, &mut self.align) {
                match output {
                    Output::Track(info) => self.ready.push(Event::Item(Item::Track(info))),
                    Output::Frame(frame) => self.ready.push(Event::Item(Item::Frame(frame))),
                    Output::NeedKeyFrame => self.needs_key_frame = true,
                }
            }
        }
        std::mem::take(&mut self.ready)
    }

    fn timeout(&self) -> Option<Instant> {
        let lanes = [&self.audio, &self.video].into_iter();
        lanes.filter_map(|lane| lane.form.as_ref()?.poll_timeout()).min()
    }

    fn count(&self) -> Packets {
        let lost = |lane: &Lane| match (&lane.form, lane.numbers) {
            (Some(form), _) => form.counts().lost,
            (None, Some((first, newest, came))) => (newest + 1 - first).saturating_sub(came),
            (None, None) => 0,
        };
        let jitter = if self.video.jitter.last.is_some() { &self.video.jitter } else { &self.audio.jitter };
        let jitter_ms = (jitter.us / 100.0).round() / 10.0;
        Packets { lost: lost(&self.audio) + lost(&self.video), jitter_ms, ..self.packets }
    }
}

impl Lane {
    /// A frame of a coding that is not put together: it ends with the marker.
    fn count(&mut self, kind: Kind, packet: &RtpPacket) -> Option<Counted> {
        let (first, newest, came) = self.numbers.unwrap_or((packet.seq.0, packet.seq.0, 0));
        self.numbers = Some((first.min(packet.seq.0), newest.max(packet.seq.0), came + 1));
        let first = self.first.map_or(packet.time, |(time, _)| time);
        self.bytes += packet.payload.len();
        self.key |= packet.key_start;
        packet.marker.then(|| Counted {
            kind,
            codec: packet.codec,
            key: std::mem::take(&mut self.key),
            dts_us: MediaTime(packet.time - first).as_micros(90_000),
            bytes: std::mem::take(&mut self.bytes),
        })
    }
}

/// Interarrival jitter, RFC 3550 section 6.4.1 and appendix A.8, in microseconds.
#[derive(Default)]
struct Jitter {
    last: Option<(Instant, MediaTime)>,
    us: f64,
}

impl Jitter {
    fn take(&mut self, packet: &RtpPacket, now: Instant) {
        let rate = if packet.codec.kind() == Kind::Video { 90_000 } else { 48_000 };
        let Some((then, time)) = self.last.replace((now, packet.time)) else { return };
        let came = now.saturating_duration_since(then).as_secs_f64() * 1e6;
        let sent = MediaTime(packet.time - time).as_micros(rate) as f64;
        self.us += ((came - sent).abs() - self.us) / 16.0;
    }
}
