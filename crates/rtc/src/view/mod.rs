//! A viewer's peer connection, our own: it answers, receives nothing but feedback, and sends what it is given straight into
//! the batch that leaves.
//!
//! Connecting is in `ice` and `dtls`, sending in `egress`, `header` and `repair`, what comes back in `feedback`. It keeps
//! numbers and keys, never packets. The str0m leg behind the same door is what it is compared with.

pub(crate) mod dtls;
mod egress;
mod feedback;
pub(crate) mod flights;
mod header;
pub(crate) mod ice;
mod repair;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use dimpl::{KeyingMaterial, SrtpProfile};
use media::{Codec, Kind, WallTime};
use smallvec::SmallVec;

use crate::{
    bandwidth::{self, Bandwidth},
    batch::Batch,
    config::{Config, Protocol, Purpose},
    error::{NotSent, OfferError, RestartError},
    leg::{CloseReason, Event, Input, Outgoing, Output},
    rtcp,
    sdp::{self, Answer, Local, Offer, Setup, Transport},
    srtp::{self, Opener, Profile, Sealer},
    stun,
};
use dtls::{Dtls, Step};
use egress::{Egress, Sending};
pub use feedback::{Reception, Refused};
use ice::Ice;

/// Timers never ask for less: a peer with a round trip of microseconds would otherwise spin.
const TICK_MIN: Duration = Duration::from_millis(1);
/// A leg with nothing to wait for is looked at this often.
const IDLE_TICK: Duration = Duration::from_secs(3_600);
/// Sender reports, as on the str0m leg.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// What is believed to fit to a viewer of whom nothing is known, and what goes to it at once: a stream from its key frame on
/// is there in a moment on most lines, and on a narrow one the first feedback says so before much has piled up.
const START_BPS: u64 = 3_000_000;
const START_BYTES: usize = 100_000;
/// The longest datagram that is looked at.
const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Two sender reports with their descriptions and the cipher's tail.
const REPORT_BYTES_MAX: usize = 256;

/// One viewer. Every input and every send is followed by `poll_output` until it returns a timeout; several sends may go
/// before one drain.
pub struct View {
    config: Config,
    sections: SmallVec<[(Kind, String); 2]>,
    ice: Ice,
    opens_dtls: bool,
    dtls: Dtls,
    link: Option<Link>,
    egress: SmallVec<[Egress; 2]>,
    bandwidth: Box<Bandwidth>,
    /// Some packets carry transport-wide numbers; only those are reckoned with, or the others would seem lost.
    paced: bool,
    /// Padding may be wanted.
    probes: bool,
    pending: Pending,
    wall: (WallTime, Instant),
    now: Instant,
    report_at: Option<Instant>,
    round_trip: Option<Duration>,
    reception: [Reception; 2],
    remb_bps: Option<u64>,
    refused: Refused,
    closed: bool,
}

/// The keys of both directions.
struct Link {
    sealer: Sealer,
    opener: Opener,
}

/// Events of the connection that nobody was told of yet; each comes once.
#[derive(Default)]
struct Pending {
    connected: bool,
    closed: Option<CloseReason>,
}

impl View {
    /// Answers an SDP offer of a viewer: ICE-lite, one bundle, DTLS passive unless the offer is passive.
    ///
    /// # Errors
    /// Says in a sentence what is wrong with the offer, or why this stream cannot serve it.
    pub fn answer(config: &Config, offer: &str, purpose: Purpose, now: Instant) -> Result<(Self, Answer), OfferError> {
        let offer = Offer::parse(offer)?;
        if purpose == Purpose::Publish {
            return Err(OfferError::Refused("this connection only plays".into()));
        }
        let plan = sdp::choose_with(&offer, purpose, true)?;
        let machine = || OfferError::Refused("this machine gives no random numbers".into());
        let ice = Ice::new(offer.ufrag).ok_or_else(machine)?;
        let active = offer.setup == Setup::Passive;
        let dtls = Dtls::new(&config.certificate, offer.fingerprint, active, now);
        let mut egress: SmallVec<[Egress; 2]> = SmallVec::new();
        for active in plan.active() {
            egress.push(Egress::new(active, config.playout_delay_ms, now).ok_or_else(machine)?);
        }
        let (ufrag, pwd) = (ice.ufrag.clone(), ice.password.clone());
        let transport = Transport { ufrag, pwd, fingerprint: config.certificate.fingerprint(), active };
        let local: SmallVec<[Local; 2]> = egress.iter().map(Egress::local).collect();
        let answer = Answer {
            sdp: sdp::write_answer(config, &offer, &plan, purpose, &transport, &local),
            ufrag: transport.ufrag,
            kinds: plan.active().map(|active| (active.kind, active.codec)).collect(),
        };
        let sections = offer.sections.iter().zip(&plan.roles).filter_map(|(section, role)| match role {
            sdp::Role::Active(active) => Some((active.kind, section.mid.unwrap_or("0").to_owned())),
            _ => None,
        });
        let feedback = egress.iter().any(|egress| egress.extensions.numbered());
        let bandwidth = bandwidth::Config { start_bps: START_BPS, start_bytes: START_BYTES, feedback };
        let view = Self {
            config: config.clone(),
            sections: sections.collect(),
            ice,
            opens_dtls: active,
            dtls,
            link: None,
            egress,
            bandwidth: Box::new(Bandwidth::with(now, bandwidth)),
            paced: feedback,
            probes: false,
            pending: Pending::default(),
            wall: config.wall,
            now,
            report_at: None,
            round_trip: None,
            reception: [Reception::default(); 2],
            remb_bps: None,
            refused: Refused::default(),
            closed: false,
        };
        Ok((view, answer))
    }

    /// Our ICE user name fragment: STUN requests for this leg carry it.
    pub fn ufrag(&self) -> &str {
        &self.ice.ufrag
    }

    /// Our ICE password: with it any shard can answer a check (`stun::answer`).
    pub fn password(&self) -> &str {
        &self.ice.password
    }

    /// Whether we send the first DTLS record.
    pub(crate) fn opens_dtls(&self) -> bool {
        self.opens_dtls
    }

    /// Whether the handshake is done and the leg is not over.
    pub fn is_connected(&self) -> bool {
        self.link.is_some() && !self.closed
    }

    /// Whether the leg is over.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The codec negotiated for a kind.
    pub fn codec(&self, kind: Kind) -> Option<Codec> {
        self.egress.iter().find(|egress| egress.kind == kind).map(|egress| egress.codec)
    }

    /// Sets the same moment on the wall clock and the monotonic clock, where `Config::wall` has grown old.
    pub fn set_wall_clock(&mut self, wall: WallTime, now: Instant) {
        self.wall = (wall, now);
    }

    /// What the viewer last reported of a kind.
    pub fn reception(&self, kind: Kind) -> Reception {
        let [audio, video] = self.reception;
        if kind == Kind::Audio { audio } else { video }
    }

    /// The round trip to the viewer, by its last report.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What was not taken so far.
    pub fn refused(&self) -> Refused {
        let opener = self.link.as_ref().map_or(0, |link| link.opener.refusals().total());
        Refused { feedback: self.refused.feedback + opener, ..self.refused }
    }

    /// Flights of the DTLS handshake that went out again, because nothing came back or the peer repeated its own.
    pub fn flights_repeated(&self) -> u64 {
        self.dtls.repeated()
    }

    /// What fits towards the viewer in bits a second, where that is known.
    pub fn estimate_bps(&self) -> Option<u64> {
        self.bandwidth.estimate_bps().into_iter().chain(self.remb_bps).min()
    }

    /// Bytes that pacing lets out now.
    pub fn allowance(&mut self, now: Instant) -> usize {
        self.bandwidth.allowance(now)
    }

    /// More would be sent if this much fitted, in bits a second: it is probed now and then by padding. `None`: all is sent
    /// that there is.
    pub fn want(&mut self, bps: Option<u64>) {
        self.probes = bps.is_some();
        self.bandwidth.want(bps);
    }

    /// What a probe found to fit within the last seconds, in bits a second.
    pub fn proven_bps(&self, now: Instant) -> Option<u64> {
        self.bandwidth.proven_bps(now)
    }

    /// Whether `poll_output` has something after a `send`.
    pub fn wants_drain(&self) -> bool {
        self.report_at.is_some_and(|at| at <= self.now)
    }

    /// Whether a datagram is authentic STUN for this leg, or comes from an address that proved itself so.
    pub fn accepts(&self, proto: Protocol, from: SocketAddr, _to: SocketAddr, bytes: &[u8]) -> bool {
        !self.closed && if stun::is_stun(bytes) { self.ice.accepts(bytes) } else { self.ice.knows((proto, from)) }
    }

    /// Takes a datagram, or lets time pass.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        if self.closed {
            return;
        }
        if let Input::Datagram { proto, from, bytes, .. } = input {
            self.datagram((proto, from), bytes);
        }
        if self.ice.timeout(self.now) {
            self.over(CloseReason::Silent);
        }
        if self.dtls_timer().is_some_and(|at| self.now >= at)
            && let Err(error) = self.dtls.timeout(self.now)
        {
            self.over(CloseReason::Failed(error));
        }
    }

    /// The next thing to do; a timeout says that there is nothing more until then.
    pub fn poll_output(&mut self, out: &mut Batch) -> Output {
        self.ice.write_answer(out);
        self.poll_dtls(out);
        self.write_report(out);
        self.write_padding(out);
        if let Some(event) = self.next_event() {
            return Output::Event(event);
        }
        let probe = self.bandwidth.next_timer().filter(|_| self.probes && self.link.is_some());
        let timers = [self.dtls_timer(), self.report_at, self.ice.timer(self.now), probe];
        let next = timers.into_iter().flatten().min().filter(|_| !self.closed).unwrap_or(self.now + IDLE_TICK);
        Output::Timeout(next.clamp(self.now + TICK_MIN, self.now + IDLE_TICK))
    }

    /// Writes a packet for the viewer, encrypted, into the batch.
    ///
    /// # Errors
    /// Where the packet cannot go out: the caller counts and forgets it.
    pub fn send(&mut self, now: Instant, kind: Kind, packet: Outgoing<'_>, out: &mut Batch) -> Result<(), NotSent> {
        self.write(now, kind, &packet, out, Egress::send)?;
        self.report_at.get_or_insert(now);
        Ok(())
    }

    /// Writes a packet that the viewer asked for again, as a retransmission (RFC 4588).
    ///
    /// # Errors
    /// Where the viewer has no retransmissions, the packet did not go out lately, or they take half of what is sent.
    pub fn resend(&mut self, now: Instant, kind: Kind, packet: Outgoing<'_>, out: &mut Batch) -> Result<(), NotSent> {
        self.write(now, kind, &packet, out, Egress::resend)
    }

    /// Restarts ICE with the peer's new credentials (RFC 9725 section 4.3.1) and returns the fragment with ours. From
    /// then on `ufrag` is the new one; media goes on over the old path until the new one is found.
    ///
    /// # Errors
    /// Where the fragment has no credentials, or the leg is over.
    pub fn restart_ice(&mut self, fragment: &str) -> Result<String, RestartError> {
        let (ufrag, _) = sdp::fragment_credentials(fragment).ok_or(RestartError::NoCredentials)?;
        if self.closed {
            return Err(RestartError::Closed);
        }
        self.ice.restart(ufrag).ok_or_else(|| RestartError::Refused("this machine gives no random numbers".into()))?;
        Ok(sdp::write_fragment(&self.config, &self.ice.ufrag, &self.ice.password, &self.sections))
    }

    /// Says goodbye to the peer. Drain the leg once more, then drop it.
    pub fn close(&mut self) {
        if !self.closed {
            self.dtls.close();
            self.over(CloseReason::Us);
        }
    }

    fn over(&mut self, reason: CloseReason) {
        if !std::mem::replace(&mut self.closed, true) {
            self.pending.closed = Some(reason);
        }
    }

    fn wall_now(&self) -> WallTime {
        let (wall, at) = self.wall;
        wall_at(wall, at, self.now)
    }

    fn dtls_timer(&self) -> Option<Instant> {
        self.dtls.timer().filter(|_| self.ice.way().is_some())
    }

    fn next_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.pending.connected) {
            return Some(Event::Connected);
        }
        if let Some(egress) = self.egress.iter_mut().find(|egress| egress.wants_key_frame) {
            egress.wants_key_frame = false;
            return Some(Event::KeyFrameRequested { kind: egress.kind, layer: 0 });
        }
        if let Some(egress) = self.egress.iter_mut().find(|egress| !egress.wanted.is_empty()) {
            return Some(Event::Repair { kind: egress.kind, numbers: std::mem::take(&mut egress.wanted) });
        }
        self.pending.closed.take().map(Event::Closed)
    }

    /// What a datagram is, RFC 7983.
    fn datagram(&mut self, way: ice::Way, bytes: &[u8]) {
        if stun::is_stun(bytes) {
            let unknown = self.ice.way().is_none();
            if !self.ice.check(self.now, way, bytes) {
                self.refused.checks += u64::from(!stun::is_indication(bytes));
            } else if unknown && self.dtls.is_active() {
                self.handshake(|dtls, now| dtls.timeout(now));
            }
            return;
        }
        match (bytes.first(), bytes.get(1)) {
            _ if !self.ice.knows(way) => self.refused.strange += 1,
            (Some(20..64), _) => self.handshake(|dtls, now| dtls.handle(now, bytes)),
            // RTCP among RTP, RFC 5761 section 4.
            (Some(128..192), Some(192..224)) => self.sealed(bytes),
            (Some(128..192), _) => self.refused.media += 1,
            _ => self.refused.strange += 1,
        }
    }

    fn handshake(&mut self, step: impl FnOnce(&mut Dtls, Instant) -> Result<(), String>) {
        if let Err(error) = step(&mut self.dtls, self.now) {
            self.over(CloseReason::Failed(error));
        }
    }

    fn sealed(&mut self, bytes: &[u8]) {
        let mut space = [0; DATAGRAM_BYTES_MAX];
        let (Some(link), Some(space)) = (self.link.as_mut(), space.get_mut(..bytes.len())) else {
            self.refused.feedback += 1;
            return;
        };
        space.copy_from_slice(bytes);
        // What is refused is counted there.
        if let Ok(compound) = link.opener.open_rtcp(space) {
            self.dtls.confirmed();
            self.feedback(compound);
        }
    }

    fn poll_dtls(&mut self, out: &mut Batch) {
        let Some(way) = self.ice.way() else { return };
        loop {
            match self.dtls.poll(way, out) {
                Step::Idle => return,
                Step::Connected(profile, material) => self.connected(profile, &material),
                // The engine answers a goodbye with its own, which is polled in the next turn.
                Step::Closed => self.over(CloseReason::Peer),
                Step::Failed(error) => return self.over(CloseReason::Failed(error)),
            }
        }
    }

    fn connected(&mut self, profile: SrtpProfile, material: &KeyingMaterial) {
        let keys = Profile::from_dtls(profile).and_then(|known| srtp::keys(known, material, self.dtls.is_active()));
        match keys {
            Some((sealer, opener)) => {
                self.link = Some(Link { sealer, opener });
                self.pending.connected = true;
            }
            None => self.over(CloseReason::Failed(format!("the DTLS handshake gave no keys for {profile}"))),
        }
    }

    fn write(
        &mut self,
        now: Instant,
        kind: Kind,
        packet: &Outgoing<'_>,
        out: &mut Batch,
        how: impl FnOnce(&mut Egress, &mut Sending<'_>, &Outgoing<'_>, &mut Batch) -> Result<(), NotSent>,
    ) -> Result<(), NotSent> {
        let (Some(link), Some(way), false) = (&self.link, self.ice.way(), self.closed) else {
            return Err(NotSent::NotConnected);
        };
        let egress = self.egress.iter_mut().find(|egress| egress.kind == kind && egress.codec == packet.codec);
        let egress = egress.ok_or(NotSent::NotNegotiated)?;
        self.now = self.now.max(now);
        let wall = wall_at(self.wall.0, self.wall.1, now);
        let reckons = egress.extensions.numbered() || !self.paced;
        let bandwidth = reckons.then_some(&mut *self.bandwidth);
        let mut sending = Sending { now, wall, sealer: &link.sealer, bandwidth, way };
        how(egress, &mut sending, packet, out)
    }

    /// A probe, by the first kind that has retransmissions.
    fn write_padding(&mut self, out: &mut Batch) {
        if !self.probes || self.closed {
            return;
        }
        let (Some(link), Some(way)) = (&self.link, self.ice.way()) else { return };
        let numbered = |egress: &&mut Egress| egress.rtx.is_some() && egress.extensions.numbered();
        let Some(egress) = self.egress.iter_mut().find(numbered) else { return };
        let bytes = self.bandwidth.padding(self.now);
        if bytes > 0 {
            let wall = wall_at(self.wall.0, self.wall.1, self.now);
            let bandwidth = Some(&mut *self.bandwidth);
            egress.pad(&mut Sending { now: self.now, wall, sealer: &link.sealer, bandwidth, way }, bytes, out);
        }
    }

    /// Sender reports of both kinds in one datagram, once a second while something is sent.
    fn write_report(&mut self, out: &mut Batch) {
        if self.closed || self.report_at.is_none_or(|at| self.now < at) {
            return;
        }
        let wall = self.wall_now();
        let (Some(link), Some((proto, to))) = (&mut self.link, self.ice.way()) else { return };
        let (mut space, mut length) = ([0; REPORT_BYTES_MAX], 0);
        let mut fresh = false;
        for egress in &mut self.egress {
            let Some(info) = egress.report(wall) else { continue };
            fresh |= std::mem::take(&mut egress.unreported);
            length += space.get_mut(length..).map_or(0, |out| rtcp::write::sender_report(out, &info, &[]));
            length += space.get_mut(length..).map_or(0, |out| rtcp::write::sdes_cname(out, info.ssrc, sdp::CNAME));
        }
        // A stream that pauses needs no reports, and its viewers no timers.
        self.report_at = fresh.then(|| self.now + REPORT_INTERVAL);
        let sealed = length + link.sealer.rtcp_overhead();
        if let (true, Some(clear)) = (fresh, space.get(..length)) {
            out.write(proto, to, sealed, |space| {
                space.get_mut(..length).is_some_and(|space| {
                    space.copy_from_slice(clear);
                    true
                }) && link.sealer.seal_rtcp(space)
            });
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("ufrag", &self.ice.ufrag)
            .field("connected", &self.is_connected())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// A moment on the wall clock.
fn wall_at(wall: WallTime, at: Instant, now: Instant) -> WallTime {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    wall + if now >= at { micros(now.duration_since(at)) } else { -micros(at.duration_since(now)) }
}
