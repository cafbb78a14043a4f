//! One WebRTC peer on str0m: connecting, closing, and the drain of its outputs. Receiving is in `ingress`, sending in
//! `egress`.

mod egress;
mod ingress;
mod offering;

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use media::{Codec, Kind, WallTime};
use smallvec::SmallVec;
use str0m::{
    Candidate, IceConnectionState, IceCreds, Input as RtcInput, Output as RtcOutput, Rtc, RtcConfig,
    change::SdpOffer,
    net::{Receive, TcpType},
};

use crate::{
    batch::Batch,
    clock::Sender,
    config::{Config, Protocol, Purpose},
    error::{OfferError, RestartError},
    leg::{CloseReason, Event, Input, Output, Quality},
    sdp::{self, Answer, Inner, Local, Offer, Plan, Transport},
    stun,
};
use egress::Egress;
use ingress::Ingress;
pub use offering::{Offering, Wanted};

/// Timers never ask for less: a peer with a round trip of microseconds would otherwise spin.
const TICK_MIN: Duration = Duration::from_millis(1);
/// A leg with nothing to wait for is looked at this often.
const IDLE_TICK: Duration = Duration::from_secs(3_600);
/// A peer that answers no ICE check and sends no media for this long is gone. str0m says so 15 s after the last check.
const SILENT_MAX: Duration = Duration::from_secs(5);
/// Sender reports of sound; str0m's own 5 s would leave players out of step for so long.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Packets kept for retransmission, and the share of traffic that retransmissions may take.
const REPAIR_PACKETS_MAX: usize = 1_024;
/// Errors that a leg survives before it is closed: each is a datagram that could not be understood.
const ERRORS_MAX: u32 = 64;

/// One WebRTC peer that sends, receives or does both.
pub(crate) struct Full {
    rtc: Rtc,
    config: Config,
    /// What str0m was offered; `None` where we made the offer.
    inner: Option<Inner>,
    ufrag: String,
    pwd: String,
    opens_dtls: bool,
    sections: SmallVec<[(Kind, String); 2]>,
    wall: (WallTime, Instant),
    sender: Sender,
    ingress: SmallVec<[Ingress; 2]>,
    egress: SmallVec<[Egress; 2]>,
    events: VecDeque<Event>,
    /// Something was written at this time that str0m must be driven for.
    written: Option<Instant>,
    now: Instant,
    media_at: Instant,
    disconnected_at: Option<Instant>,
    connected: bool,
    closed: bool,
    errors: u32,
}

impl Full {
    /// Answers an SDP offer: ICE-lite, one bundle, DTLS passive unless the offer is passive.
    ///
    /// # Errors
    /// Says in a sentence what is wrong with the offer, or why this stream cannot serve it.
    pub(crate) fn answer(
        config: &Config,
        offer: &str,
        purpose: Purpose,
        now: Instant,
    ) -> Result<(Self, Answer), OfferError> {
        let offer = Offer::parse(offer)?;
        let plan = sdp::choose(&offer, purpose)?;
        let inner = Inner::new(&offer, &plan, purpose);
        let mut rtc = build(config, &plan, None, now)?;
        let refused = |error: &dyn fmt::Display| OfferError::Refused(error.to_string());
        let text = SdpOffer::from_sdp_string(&inner.text(offer.ufrag, offer.pwd)).map_err(|error| refused(&error))?;
        rtc.sdp_api().accept_offer(text).map_err(|error| refused(&error))?;
        let transport = own_transport(&mut rtc, &offer);
        let (mut ingress, mut egress) = (SmallVec::new(), SmallVec::new());
        for active in plan.active() {
            match purpose {
                Purpose::Publish => ingress.push(Ingress::new(&mut rtc, active, now)),
                Purpose::Play { .. } => egress.extend(Egress::new(&mut rtc, active)),
            }
        }
        let local: SmallVec<[Local; 2]> = egress.iter().map(Egress::local).collect();
        let answer = Answer {
            sdp: sdp::write_answer(config, &offer, &plan, purpose, &transport, &local),
            ufrag: transport.ufrag.clone(),
            kinds: plan.active().map(|active| (active.kind, active.codec)).collect(),
        };
        let sections = offer.sections.iter().zip(&plan.roles).filter_map(|(section, role)| match role {
            sdp::Role::Active(active) => Some((active.kind, section.mid.unwrap_or("0").to_owned())),
            _ => None,
        });
        let sections = sections.collect();
        let mut leg = Self::new(rtc, config, (transport.ufrag, transport.pwd), now);
        leg.opens_dtls = transport.active;
        (leg.inner, leg.sections, leg.ingress, leg.egress) = (Some(inner), sections, ingress, egress);
        Ok((leg, answer))
    }

    fn new(rtc: Rtc, config: &Config, (ufrag, pwd): (String, String), now: Instant) -> Self {
        Self {
            rtc,
            config: config.clone(),
            inner: None,
            ufrag,
            pwd,
            opens_dtls: false,
            sections: SmallVec::new(),
            wall: config.wall,
            sender: Sender::default(),
            ingress: SmallVec::new(),
            egress: SmallVec::new(),
            events: VecDeque::new(),
            written: None,
            now,
            media_at: now,
            disconnected_at: None,
            connected: false,
            closed: false,
            errors: 0,
        }
    }

    /// Our ICE user name fragment: STUN requests for this leg carry it.
    pub(crate) fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// Our ICE password.
    pub(crate) fn password(&self) -> &str {
        &self.pwd
    }

    /// Whether we send the first DTLS record.
    pub(crate) fn opens_dtls(&self) -> bool {
        self.opens_dtls
    }

    /// Whether the handshake is done and the leg is not over.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected && !self.closed
    }

    /// Whether the leg is over.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The codec negotiated for a kind.
    pub(crate) fn codec(&self, kind: Kind) -> Option<Codec> {
        let received = self.ingress.iter().find(|ingress| ingress.kind == kind).map(|ingress| ingress.codec);
        received.or_else(|| self.egress.iter().find(|egress| egress.kind == kind).map(|egress| egress.codec))
    }

    /// What is known of the way to the peer and back: how packets arrive here. str0m keeps the rest to itself.
    pub(crate) fn quality(&self) -> Quality {
        let of = |kind| self.ingress.iter().find(|ingress| ingress.kind == kind)?.delivery();
        Quality { audio: of(Kind::Audio), video: of(Kind::Video), refused: self.errors.into(), ..Quality::default() }
    }

    /// Sets the same moment on the wall clock and the monotonic clock, where `Config::wall` has grown old.
    pub(crate) fn set_wall_clock(&mut self, wall: WallTime, now: Instant) {
        self.wall = (wall, now);
    }

    /// Whether a datagram is authentic STUN for this leg, or comes from an address that proved itself so.
    pub(crate) fn accepts(&self, proto: Protocol, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> bool {
        let to = self.local_address(proto, from, to);
        let mended = self.mend(bytes);
        let bytes = mended.as_deref().unwrap_or(bytes);
        let Ok(receive) = Receive::new(proto.to_str0m(), from, to, bytes) else { return false };
        !self.closed && self.rtc.accepts(&RtcInput::Receive(self.now, receive))
    }

    /// Takes a datagram, or lets time pass.
    pub(crate) fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        if self.closed {
            return;
        }
        let result = match input {
            Input::Timeout => self.rtc.handle_input(RtcInput::Timeout(self.now)),
            Input::Datagram { proto, from, to, bytes } => {
                let to = self.local_address(proto, from, to);
                let mended = self.mend(bytes);
                let bytes = mended.as_deref().unwrap_or(bytes);
                let Ok(receive) = Receive::new(proto.to_str0m(), from, to, bytes) else { return };
                self.rtc.handle_input(RtcInput::Receive(self.now, receive))
            }
        };
        self.written = None;
        self.survive(result);
        self.give_up_silent();
    }

    /// What is to be sent goes into `out`. The next thing to know; a timeout says that there is nothing more until then.
    pub(crate) fn poll_output(&mut self, out: &mut Batch) -> Output {
        if let Some(now) = self.written.take() {
            self.now = self.now.max(now);
            let result = self.rtc.handle_input(RtcInput::Timeout(self.now));
            self.survive(result);
        }
        loop {
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            match self.rtc.poll_output() {
                Ok(RtcOutput::Transmit(transmit)) => {
                    out.push(Protocol::from_str0m(transmit.proto), transmit.destination, &transmit.contents);
                }
                Ok(RtcOutput::Event(event)) => self.event(event),
                Ok(RtcOutput::Timeout(at)) if self.rtc.is_alive() => {
                    return Output::Timeout(at.clamp(self.now + TICK_MIN, self.now + IDLE_TICK));
                }
                Ok(RtcOutput::Timeout(_)) if self.closed => return Output::Timeout(self.now + IDLE_TICK),
                Ok(RtcOutput::Timeout(_)) => self.over(CloseReason::Peer),
                Err(error) => {
                    self.rtc.disconnect();
                    self.over(CloseReason::Failed(error.to_string()));
                }
            }
        }
    }

    /// Asks the peer for a key frame (PLI, RFC 4585 section 6.3.1). The caller limits how often.
    pub(crate) fn request_key_frame(&mut self, kind: Kind, layer: u8) {
        let Some(ingress) = self.ingress.iter().find(|ingress| ingress.kind == kind) else { return };
        if ingress.request_key_frame(&mut self.rtc, layer) {
            self.written = Some(self.now);
        }
    }

    /// Restarts ICE with the peer's new credentials (RFC 9725 section 4.3.1) and returns the fragment with ours. From
    /// then on `ufrag` is the new one; media goes on over the old path until the new one is found.
    ///
    /// # Errors
    /// Where the fragment has no credentials, or the leg is over.
    pub(crate) fn restart_ice(&mut self, fragment: &str) -> Result<String, RestartError> {
        let (ufrag, pwd) = sdp::fragment_credentials(fragment).ok_or(RestartError::NoCredentials)?;
        if self.closed {
            return Err(RestartError::Closed);
        }
        let refused = |error: &dyn fmt::Display| RestartError::Refused(error.to_string());
        let inner = self.inner.as_ref().ok_or_else(|| refused(&"the offer was ours, so is the restart"))?;
        let offer = SdpOffer::from_sdp_string(&inner.text(ufrag, pwd)).map_err(|error| refused(&error))?;
        self.rtc.sdp_api().accept_offer(offer).map_err(|error| refused(&error))?;
        for egress in &self.egress {
            egress.keep_source(&mut self.rtc);
        }
        let credentials = self.rtc.direct_api().local_ice_credentials();
        self.ufrag.clone_from(&credentials.ufrag);
        self.pwd.clone_from(&credentials.pass);
        self.disconnected_at = None;
        self.written = Some(self.now);
        Ok(sdp::write_fragment(&self.config, &credentials.ufrag, &credentials.pass, &self.sections))
    }

    /// Says goodbye to the peer. Drain the leg once more, then drop it.
    pub(crate) fn close(&mut self) {
        if !self.closed {
            let result = self.rtc.close();
            self.survive(result);
            self.over(CloseReason::Us);
        }
    }

    fn over(&mut self, reason: CloseReason) {
        if !std::mem::replace(&mut self.closed, true) {
            self.events.push_back(Event::Closed(reason));
        }
    }

    /// A datagram that cannot be understood is dropped; many of them end the leg.
    fn survive(&mut self, result: Result<(), str0m::RtcError>) {
        let Err(error) = result else { return };
        self.errors += 1;
        if self.errors > ERRORS_MAX || !self.rtc.is_alive() {
            self.rtc.disconnect();
            self.over(CloseReason::Failed(error.to_string()));
        }
    }

    fn give_up_silent(&mut self) {
        let silent = |since: Instant| self.now.saturating_duration_since(since.max(self.media_at)) > SILENT_MAX;
        if self.disconnected_at.is_some_and(silent) {
            self.rtc.disconnect();
            self.over(CloseReason::Silent);
        }
    }

    /// The candidate that stands for the local address a datagram came to: sockets are bound to a wildcard, of both IP
    /// versions perhaps, or are behind a router that maps them one to one.
    fn local_address(&self, proto: Protocol, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let own = || self.config.candidates.iter().filter(|(known, _)| *known == proto).map(|(_, addr)| *addr);
        let exact = own().find(|addr| *addr == to);
        exact.or_else(|| own().find(|addr| addr.is_ipv4() == from.is_ipv4())).or_else(|| own().next()).unwrap_or(to)
    }

    /// A STUN request that str0m would refuse for what it lacks, with what it lacks.
    fn mend(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let hmac = self.config.certificate.crypto.sha1_hmac_provider;
        let sign = |payloads: &[&[u8]]| hmac.sha1_hmac(self.pwd.as_bytes(), payloads);
        stun::is_stun(bytes).then(|| stun::with_priority(bytes, sign)).flatten()
    }

    fn event(&mut self, event: str0m::Event) {
        match event {
            str0m::Event::Connected => {
                self.connected = true;
                self.events.push_back(Event::Connected);
            }
            str0m::Event::IceConnectionStateChange(state) => {
                self.disconnected_at = (state == IceConnectionState::Disconnected).then_some(self.now);
            }
            str0m::Event::RtpPacket(packet) => {
                self.media_at = self.now;
                let arrived = self.wall.0 + micros_between(self.wall.1, self.now);
                let Self { rtc, sender, now, .. } = self;
                let mut kinds = self.ingress.iter_mut();
                let found = kinds.find_map(|ingress| ingress.packet(rtc, sender, &packet, arrived, *now));
                self.events.extend(found);
            }
            str0m::Event::SenderFeedback(feedback) => {
                let arrived = self.wall.0 + micros_between(self.wall.1, feedback.received_at);
                for ingress in self.ingress.iter_mut().filter(|ingress| ingress.mid == feedback.mid) {
                    ingress.report(&mut self.sender, &feedback, arrived);
                }
            }
            str0m::Event::KeyframeRequest(request) => {
                let asked = |egress: &&Egress| egress.mid == request.mid && egress.rid == request.rid;
                let asked = self.egress.iter().find(asked);
                self.events.extend(asked.map(|of| Event::KeyFrameRequested { kind: of.kind, layer: of.layer }));
            }
            str0m::Event::Closed => self.over(CloseReason::Peer),
            _ => {}
        }
    }
}

impl fmt::Debug for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full")
            .field("ufrag", &self.ufrag)
            .field("connected", &self.connected)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// An agent for this plan: ICE-lite, unless credentials say that the offer is ours.
fn build(config: &Config, plan: &Plan, credentials: Option<IceCreds>, now: Instant) -> Result<Rtc, OfferError> {
    let mut builder = RtcConfig::new()
        .set_crypto_provider(config.certificate.crypto.clone())
        .set_dtls_cert((*config.certificate.identity).clone())
        .set_ice_lite(credentials.is_none())
        .set_rtp_mode(true)
        .set_rtcp_report_interval_audio(REPORT_INTERVAL)
        .set_rtcp_report_interval_video(REPORT_INTERVAL)
        .set_send_buffer_video(REPAIR_PACKETS_MAX)
        .set_extension_map(sdp::extension_map(plan));
    *builder.codec_config() = sdp::codec_config(plan);
    if let Some(credentials) = credentials {
        builder = builder.set_local_ice_credentials(credentials);
    }
    let mut rtc = builder.build(now);
    for (proto, addr) in &config.candidates {
        let candidate = match proto {
            Protocol::Udp => Candidate::builder().udp().host(*addr).build(),
            Protocol::Tcp => Candidate::builder().tcp().host(*addr).tcptype(TcpType::Passive).build(),
        };
        let candidate =
            candidate.map_err(|error| OfferError::Refused(format!("our address {addr} cannot be used: {error}")))?;
        rtc.add_local_candidate(candidate);
    }
    Ok(rtc)
}

fn own_transport(rtc: &mut Rtc, offer: &Offer<'_>) -> Transport {
    let direct = rtc.direct_api();
    let credentials = direct.local_ice_credentials();
    let fingerprint = direct.local_dtls_fingerprint().to_string();
    Transport {
        ufrag: credentials.ufrag,
        pwd: credentials.pass,
        fingerprint,
        active: offer.setup == sdp::Setup::Passive,
    }
}

/// Microseconds from `from` to `to`, negative where `to` is earlier.
fn micros_between(from: Instant, to: Instant) -> i64 {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    if to >= from { micros(to.duration_since(from)) } else { -micros(from.duration_since(to)) }
}
