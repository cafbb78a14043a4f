//! The viewer itself: who gets which datagram, and what is sent when. RTCP is in `reports`.

mod reports;

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use media::{Codec, Kind, Ssrc};
use smallvec::SmallVec;

use super::{
    Config, Counts, Event, Input, Output, Packet, Transport, answering,
    description::{self, Agreed},
    feedback::Feedback,
    header::{Header, transport_number},
    ice::{Heard, Ice, Remote},
    random::Random,
    stream::{Arrival, Stream},
};
use crate::{
    batch::Batch,
    config::Protocol,
    error::{AnswerError, OfferError},
    leg::CloseReason,
    srtp::{self, Opener, Profile, Sealer},
    view::dtls::{Dtls, Step},
};

use reports::REPORT_INTERVAL;

/// Timers never ask for less.
const TICK_MIN: Duration = Duration::from_millis(1);
/// A viewer with nothing to wait for is looked at this often.
const IDLE_TICK: Duration = Duration::from_secs(3_600);
/// ICE and DTLS take this long at most.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// A server that answers no check and sends nothing for this long is gone.
const SILENT_MAX: Duration = Duration::from_secs(15);

/// A viewer. Every `handle` is followed by `poll_output` until it returns a timeout.
pub struct Viewer {
    config: Config,
    ice: Ice,
    agreed: Option<Box<Agreed>>,
    dtls: Option<Dtls>,
    keys: Option<Box<Keys>>,
    streams: SmallVec<[Stream; 2]>,
    feedback: Option<Feedback>,
    reduced: bool,
    ssrc: Ssrc,
    counts: Transport,
    events: VecDeque<Event>,
    report_due: Option<Instant>,
    began: Instant,
    heard: Instant,
    now: Instant,
    connected: bool,
    closed: bool,
    /// We go, and have not said so yet.
    leaving: bool,
}

struct Keys {
    sealer: Sealer,
    opener: Opener,
}

impl Viewer {
    /// A viewer whose names and numbers are made of `seed`: to whoever knows it they are no secret.
    pub fn new(config: &Config, seed: u64, now: Instant) -> Self {
        let mut random = Random::new(seed);
        let ssrc = Ssrc(random.word() as u32 | 1);
        Self {
            config: config.clone(),
            ice: Ice::new(random),
            agreed: None,
            dtls: None,
            keys: None,
            streams: SmallVec::new(),
            feedback: None,
            reduced: false,
            ssrc,
            counts: Transport::default(),
            events: VecDeque::new(),
            report_due: None,
            began: now,
            heard: now,
            now,
            connected: false,
            closed: false,
            leaving: false,
        }
    }

    /// The SDP offer.
    pub fn offer(&self) -> String {
        description::write_offer(&self.config, self.ice.ufrag(), self.ice.pwd())
    }

    /// Takes the answer and begins to connect.
    ///
    /// # Errors
    /// Says in a sentence why it is of no use.
    pub fn accept(&mut self, answer: &str, now: Instant) -> Result<(), AnswerError> {
        let agreed = description::read_answer(&self.config, answer)?;
        self.start(agreed, true, now);
        Ok(())
    }

    /// A viewer that answers the offer of a server, as servers that offer want it, and its SDP answer. The server's
    /// addresses may be missing: then its first authentic check shows one.
    ///
    /// # Errors
    /// Says in a sentence what is wrong with the offer, or that nothing in it can be received.
    pub fn answer(config: &Config, offer: &str, seed: u64, now: Instant) -> Result<(Self, String), OfferError> {
        let mut viewer = Self::new(config, seed, now);
        let (agreed, lite) = answering::read_offer(config, offer)?;
        let answer = answering::write(config, offer, &agreed, viewer.ice.ufrag(), viewer.ice.pwd())?;
        viewer.start(agreed, lite, now);
        Ok((viewer, answer))
    }

    fn start(&mut self, agreed: Agreed, controlling: bool, now: Instant) {
        let remote = Remote {
            ufrag: agreed.ufrag.clone(),
            pwd: agreed.pwd.clone(),
            candidates: agreed.candidates.clone(),
            controlling,
        };
        self.ice.start(remote, now);
        self.streams = agreed.lines.iter().cloned().map(Stream::new).collect();
        self.feedback = agreed.transport.map(|id| Feedback::new(id, now));
        self.reduced = agreed.reduced;
        self.agreed = Some(Box::new(agreed));
        (self.began, self.heard, self.now) = (now, now, self.now.max(now));
    }

    /// Whether ICE and DTLS are done and the viewer is not over.
    pub fn is_connected(&self) -> bool {
        self.connected && !self.closed
    }

    /// Whether the viewer is over.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The coding that was agreed on; the first, where it is one of several.
    pub fn codec(&self, kind: Kind) -> Option<Codec> {
        self.stream(kind)?.format().map(|format| format.codec)
    }

    /// What was received of a kind so far.
    pub fn counts(&self, kind: Kind) -> Counts {
        self.stream(kind).map(Stream::counts).unwrap_or_default()
    }

    /// What happened on the transport so far.
    pub fn transport(&self) -> Transport {
        Transport {
            rtt: self.ice.rtt(),
            srtp: self.keys.as_ref().map(|keys| keys.opener.refusals()).unwrap_or_default(),
            stun_refused: self.ice.refused(),
            flights_repeated: self.dtls.as_ref().map_or(0, Dtls::repeated),
            feedbacks: self.feedback.as_ref().map_or(0, Feedback::sent),
            ..self.counts
        }
    }

    /// Asks for a key frame (PLI) as soon as the source is known. The caller limits how often.
    pub fn request_key_frame(&mut self, kind: Kind) {
        self.streams.iter_mut().filter(|stream| stream.kind() == kind).for_each(Stream::want_key_frame);
    }

    /// Says goodbye to the server (RTCP BYE and DTLS `close_notify`). Drain the viewer once more, then drop it.
    pub fn close(&mut self) {
        if !self.closed {
            self.leaving = true;
            self.over(CloseReason::Us);
        }
    }

    /// Takes a datagram, or lets time pass. `seen` is told of each packet of RTP, once for each number.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, seen: &mut dyn FnMut(Packet<'_>)) {
        self.now = self.now.max(now);
        if self.closed {
            return;
        }
        match input {
            Input::Datagram { from, bytes } => self.datagram(from, bytes, seen),
            Input::Timeout => self.time_passes(),
        }
    }

    /// Writes what there is to send and says what happened; a timeout says that there is nothing more until then.
    pub fn poll_output(&mut self, out: &mut Batch) -> Output {
        if self.leaving {
            self.leave(out);
        } else if !self.closed {
            self.ice.poll(self.now, out);
            self.drive_dtls(out);
            self.report(out);
        }
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Timeout(self.due()),
        }
    }

    fn stream(&self, kind: Kind) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.kind() == kind)
    }

    /// RFC 7983: the first byte says what it is.
    fn datagram(&mut self, from: SocketAddr, bytes: &mut [u8], seen: &mut dyn FnMut(Packet<'_>)) {
        let known = self.ice.reached() == Some(from);
        match (bytes.first(), bytes.get(1)) {
            (Some(0..=3), _) => self.stun(from, bytes),
            (Some(20..=63), _) if known => {
                let result = self.dtls.as_mut().map(|dtls| dtls.handle(self.now, bytes));
                self.survive(result);
            }
            // RFC 5761 section 4.
            (Some(128..=191), Some(192..=223)) if known => self.rtcp(bytes),
            (Some(128..=191), Some(_)) if known => self.rtp(bytes, seen),
            _ => self.counts.strange += 1,
        }
    }

    fn stun(&mut self, from: SocketAddr, bytes: &[u8]) {
        if self.ice.handle(self.now, from, bytes) != Heard::Answer {
            return;
        }
        self.heard = self.now;
        if let Some(agreed) = self.agreed.take() {
            self.events.push_back(Event::Reached);
            let (hash, value) = &agreed.fingerprint;
            let mut dtls = Dtls::new(&self.config.certificate, (hash, value), agreed.active, self.now);
            if let Some(round_trip) = self.ice.rtt() {
                dtls.round_trip(round_trip);
            }
            let result = dtls.timeout(self.now);
            self.dtls = Some(dtls);
            self.survive(Some(result));
        }
    }

    fn rtp(&mut self, bytes: &mut [u8], seen: &mut dyn FnMut(Packet<'_>)) {
        let Some(header) = Header::read(bytes) else {
            self.counts.strange += 1;
            return;
        };
        let Some(keys) = &mut self.keys else {
            self.counts.early += 1;
            return;
        };
        let found = self.streams.iter_mut().find_map(|stream| {
            let (format, is_rtx) = stream.payload_type(header.pt)?;
            Some((stream, format, is_rtx))
        });
        let Some((stream, format, is_rtx)) = found else {
            self.counts.unknown_payload_types += 1;
            return;
        };
        let low = bytes.get(3).copied().map_or(0, u32::from) | bytes.get(2).copied().map_or(0, u32::from) << 8;
        let is_opened = is_rtx || low % self.config.decrypt_every.max(1) == 0;
        let opened = if is_opened { keys.opener.open_rtp(bytes) } else { keys.opener.skip_rtp(bytes) };
        let Ok(opened) = opened else { return };
        self.heard = self.now;
        stream.counts_mut().bytes += bytes.len() as u64;
        let at_us = i64::try_from(self.now.saturating_duration_since(self.began).as_micros()).unwrap_or(i64::MAX);
        if let Some(feedback) = &mut self.feedback
            && let Some(number) = transport_number(bytes.get(..opened.header_len).unwrap_or_default(), feedback.id())
        {
            feedback.arrived(self.now, number, at_us, bytes.len());
        }
        let mut payload = bytes.get(opened.payload).unwrap_or_default();
        let (mut seq, mut ssrc) = (opened.seq_index, opened.ssrc);
        if is_rtx {
            // RFC 4588 section 4: the number that the packet had stands before its payload.
            let original = payload.split_first_chunk::<2>().zip(stream.highest());
            let Some(((number, rest), highest)) = original else {
                stream.counts_mut().padding += 1;
                return;
            };
            let Some(extended) = srtp::extend(highest, u16::from_be_bytes(*number)) else { return };
            (payload, seq, ssrc) = (rest, extended, stream.ssrc().unwrap_or(ssrc));
        }
        let arrival = Arrival { seq, time: header.time, is_rtx, at_us };
        if !stream.arrived(self.now, ssrc, &format, arrival) {
            return;
        }
        if is_opened && payload.is_empty() {
            stream.counts_mut().padding += 1;
            return;
        }
        stream.counts_mut().packets += 1;
        let payload = if is_opened { payload } else { &[] };
        let (kind, codec) = (stream.kind(), format.codec);
        let Header { marker, time, .. } = header;
        seen(Packet { kind, codec, ssrc, seq, time, marker, payload, is_rtx, is_opened });
    }

    fn time_passes(&mut self) {
        let now = self.now;
        let result = self.dtls.as_mut().filter(|dtls| dtls.timer().is_some_and(|at| at <= now));
        let result = result.map(|dtls| dtls.timeout(now));
        self.survive(result);
        let (waited, silent) = (now.saturating_duration_since(self.began), now.saturating_duration_since(self.heard));
        if self.connected && silent > SILENT_MAX {
            self.over(CloseReason::Silent);
        } else if !self.connected && waited > HANDSHAKE_MAX {
            let done = if self.ice.reached().is_some() { "DTLS did not end" } else { "no check was answered" };
            self.over(CloseReason::Failed(format!("{done} within {} s", HANDSHAKE_MAX.as_secs())));
        }
    }

    fn drive_dtls(&mut self, out: &mut Batch) {
        let (Some(dtls), Some(to)) = (&mut self.dtls, self.ice.reached()) else { return };
        let is_client = dtls.is_active();
        match dtls.poll((Protocol::Udp, to), out) {
            Step::Idle => {}
            Step::Connected(profile, material) => {
                let keys = Profile::from_dtls(profile).and_then(|profile| srtp::keys(profile, &material, is_client));
                let Some((sealer, opener)) = keys else {
                    self.over(CloseReason::Failed(format!("the server chose {profile}, which is not known here")));
                    return;
                };
                self.keys = Some(Box::new(Keys { sealer, opener }));
                self.connected = true;
                self.report_due = Some(self.now + REPORT_INTERVAL);
                self.events.push_back(Event::Connected);
                // The flight may go on behind this.
                self.drive_dtls(out);
            }
            Step::Closed => self.over(CloseReason::Peer),
            Step::Failed(why) => self.over(CloseReason::Failed(why)),
        }
    }

    fn survive(&mut self, result: Option<Result<(), String>>) {
        if let Some(Err(why)) = result {
            self.over(CloseReason::Failed(why));
        }
    }

    fn over(&mut self, reason: CloseReason) {
        if !std::mem::replace(&mut self.closed, true) {
            self.events.push_back(Event::Closed(reason));
        }
    }

    fn due(&self) -> Instant {
        let idle = self.now + IDLE_TICK;
        if self.closed {
            return idle;
        }
        let end = if self.connected { self.heard + SILENT_MAX } else { self.began + HANDSHAKE_MAX };
        let dtls = self.dtls.as_ref().and_then(Dtls::timer);
        let feedback = self.feedback.as_ref().and_then(Feedback::due).filter(|_| self.connected);
        let nack = self.streams.iter().filter_map(Stream::due).min();
        let due = [self.ice.due(self.now), dtls, feedback, nack, self.report_due, Some(end + TICK_MIN)];
        due.into_iter().flatten().min().unwrap_or(idle).max(self.now + TICK_MIN)
    }
}

impl fmt::Debug for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewer")
            .field("ufrag", &self.ice.ufrag())
            .field("connected", &self.connected)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
