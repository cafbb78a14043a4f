//! The socket under a leg that offers.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use media::{Kind, RtpPacket, WallTime};
use rtc::{Batch, Certificate, CloseReason, Config, Event, Input, Leg, Offering, Outgoing, Output, Protocol, Wanted};
use tokio::{net::UdpSocket, time::sleep_until};

use super::{Session, exchange, local_address};
use crate::{Error, Intent, Signal, Trust};

const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Bytes that go to the socket at once.
const BATCH_BYTES: usize = 32 * 1024;
/// From the answer until media can go.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a peer has to say.
#[derive(Debug)]
pub(crate) enum Pulse {
    /// Packets can be sent.
    Connected,
    /// A packet came.
    Packet(Kind, RtpPacket),
    /// The peer wants a key frame.
    KeyFrameRequested,
    /// The time that was asked for has come.
    Woken,
}

/// A leg and its socket.
pub(crate) struct Peer {
    leg: Leg,
    out: Batch,
    events: VecDeque<Event>,
    socket: UdpSocket,
    local: SocketAddr,
    session: Session,
    began: Instant,
    connected: bool,
    closed_by_peer: bool,
    due: Instant,
    buffer: Vec<u8>,
}

impl Peer {
    /// Offers, and takes the answer.
    pub(crate) async fn open(signal: &Signal, intent: Intent, wanted: Wanted, trust: Trust) -> Result<Self, Error> {
        let ours = |error: &dyn std::fmt::Display| Error::Unsupported(format!("WebRTC cannot be used here: {error}"));
        let ip = local_address(signal, trust).await?;
        let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await.map_err(|error| ours(&error))?;
        let local = SocketAddr::new(ip, socket.local_addr().map_err(|error| ours(&error))?.port());
        let certificate = Certificate::generate().map_err(|error| ours(&error))?;
        let config = Config::new(local, certificate, wall_now(), Instant::now());
        let offering = Offering::new(&config, wanted, Instant::now()).map_err(|error| ours(&error))?;
        let (session, answer) = exchange(signal, intent, offering.sdp(), trust).await?;
        let now = Instant::now();
        match offering.accept(&answer, now) {
            Ok(leg) => {
                let buffer = vec![0; DATAGRAM_BYTES_MAX];
                Ok(Self {
                    leg,
                    out: Batch::new(BATCH_BYTES),
                    events: VecDeque::new(),
                    socket,
                    local,
                    session,
                    began: now,
                    connected: false,
                    closed_by_peer: false,
                    due: now,
                    buffer,
                })
            }
            Err(error) => {
                session.end().await;
                Err(Error::Unsupported(error.to_string()))
            }
        }
    }

    /// Whether a kind was accepted.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.leg.codec(kind).is_some()
    }

    /// What happens next, until `until`. It may be dropped while it waits.
    pub(crate) async fn next(&mut self, until: Option<Instant>) -> Result<Pulse, Error> {
        loop {
            self.pump().await;
            if let Some(pulse) = self.event()? {
                return Ok(pulse);
            }
            let wake = until.map_or(self.due, |until| until.min(self.due));
            let read = tokio::select! {
                read = self.socket.recv_from(&mut self.buffer) => Some(read),
                () = sleep_until(wake.into()) => None,
            };
            let now = Instant::now();
            match read {
                Some(Ok((bytes, from))) => {
                    let bytes = self.buffer.get(..bytes).unwrap_or_default();
                    self.leg.handle(now, Input::Datagram { proto: Protocol::Udp, from, to: self.local, bytes });
                }
                // Ports that nobody listens at are said by ICMP; ICE notices by itself.
                Some(Err(_)) => {}
                None => {
                    if now >= self.due {
                        self.leg.handle(now, Input::Timeout);
                    }
                    if until.is_some_and(|until| now >= until) {
                        return Ok(Pulse::Woken);
                    }
                }
            }
            if !self.connected && now.duration_since(self.began) > CONNECT_TIMEOUT {
                return Err(Error::Unreachable(format!(
                    "no WebRTC connection within {} s: is UDP open on the way to the server?",
                    CONNECT_TIMEOUT.as_secs()
                )));
            }
        }
    }

    /// Sends packets of one kind.
    pub(crate) async fn send(&mut self, kind: Kind, packets: &[RtpPacket]) {
        for packet in packets {
            let payload: Arc<[u8]> = Arc::from(&packet.payload[..]);
            let outgoing = Outgoing {
                codec: packet.codec,
                seq: packet.seq.0,
                time: packet.time.0 as u32,
                wall: packet.wall,
                marker: packet.marker,
                payload: &payload,
                padding: 0,
                audio_level: None,
            };
            // Not negotiated, or over: the one is known, the other is said by the next pulse.
            let _ = self.leg.send(Instant::now(), kind, outgoing, &mut self.out);
            self.pump().await;
        }
    }

    /// Whether the connection was ended from the other side.
    pub(crate) fn was_closed_by_peer(&self) -> bool {
        self.closed_by_peer
    }

    /// Asks for a key frame.
    pub(crate) fn request_key_frame(&mut self) {
        self.leg.request_key_frame(Kind::Video, 0);
    }

    /// Says good-bye.
    pub(crate) async fn close(mut self) {
        self.leg.close();
        self.pump().await;
        self.session.end().await;
    }

    /// Sends what waits to be sent, and keeps what happened.
    async fn pump(&mut self) {
        loop {
            match self.leg.poll_output(&mut self.out) {
                Output::Event(event) => self.events.push_back(event),
                Output::Timeout(at) => {
                    self.due = at;
                    break;
                }
            }
        }
        for run in self.out.runs() {
            for datagram in run.datagrams() {
                let _ = self.socket.send_to(datagram, run.to).await;
            }
        }
        self.out.clear();
    }

    fn event(&mut self) -> Result<Option<Pulse>, Error> {
        Ok(Some(match self.events.pop_front() {
            None => return Ok(None),
            Some(Event::Connected) => {
                self.connected = true;
                Pulse::Connected
            }
            Some(Event::Packet { kind, packet }) => Pulse::Packet(kind, packet),
            Some(Event::KeyFrameRequested { .. }) => Pulse::KeyFrameRequested,
            // Only legs that answered leave repairs to their owner; this one made the offer.
            Some(Event::Repair { .. }) => return Ok(None),
            Some(Event::Closed(reason)) => {
                self.closed_by_peer = reason == CloseReason::Peer;
                return Err(closed(reason));
            }
        }))
    }
}

fn closed(reason: CloseReason) -> Error {
    Error::Lost(match reason {
        CloseReason::Us => "closed".to_owned(),
        CloseReason::Peer => "the server closed the WebRTC connection".to_owned(),
        CloseReason::Silent => "the server fell silent".to_owned(),
        CloseReason::Failed(why) => format!("the WebRTC connection failed: {why}"),
    })
}

fn wall_now() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
