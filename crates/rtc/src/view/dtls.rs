//! DTLS of a viewer (RFC 5764, RFC 8827 section 6.5): the handshake, the peer's fingerprint, keys for SRTP, goodbye.

use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use dimpl::{Dtls as Engine, DtlsCertificate, KeyingMaterial, Output, SrtpProfile};

use super::{
    flights::{self, CHANGE_CIPHER_SPEC, Flights, HANDSHAKE, HANDSHAKE_MAX, Last},
    ice::Way,
};
use crate::{batch::Batch, config::Certificate};

/// What one record or certificate of the peer needs as a buffer; a bigger certificate ends the leg.
const RECORD_BYTES_MAX: usize = 2_048;
const CERTIFICATE_BYTES_MAX: usize = 16 * 1_024;
/// Errors that are survived once media flows: nobody but the peer can make the engine useless, and it may have gone on.
const ERRORS_MAX: u32 = 64;

pub(crate) struct Dtls {
    engine: Box<Engine>,
    /// What the offer said, until a certificate was compared to it.
    expected: Option<Fingerprint>,
    verified: bool,
    connected: bool,
    /// There may be something to poll.
    stirred: bool,
    now: Instant,
    flights: Flights,
    /// Ours that the peer may not have.
    last: Option<Last>,
    /// How often that went out again.
    repeated: u64,
    errors: u32,
}

struct Fingerprint {
    algorithm: &'static digest::Algorithm,
    /// As SDP has it.
    value: Box<str>,
}

/// What became of it.
pub(crate) enum Step {
    /// Nothing more until the next input.
    Idle,
    /// The handshake is done.
    Connected(SrtpProfile, KeyingMaterial),
    /// The peer said goodbye.
    Closed,
    /// It cannot go on.
    Failed(String),
}

impl Dtls {
    pub(crate) fn new(certificate: &Certificate, (hash, value): (&str, &str), active: bool, now: Instant) -> Self {
        let own = DtlsCertificate {
            certificate: certificate.identity.certificate.clone(),
            private_key: certificate.identity.private_key.clone(),
        };
        let mut engine = Box::new(Engine::new_12(certificate.dtls.clone(), own, now));
        engine.set_active(active);
        let algorithm = if hash == "sha-1" { &digest::SHA1_FOR_LEGACY_USE_ONLY } else { &digest::SHA256 };
        let expected = Some(Fingerprint { algorithm, value: value.into() });
        Self {
            engine,
            expected,
            verified: false,
            connected: false,
            stirred: true,
            now,
            flights: Flights::new(now),
            last: None,
            repeated: 0,
            errors: 0,
        }
    }

    /// Repeats flights by what is known of the round trip.
    pub(crate) fn round_trip(&mut self, round_trip: Duration) {
        self.flights.round_trip(round_trip);
    }

    /// The peer has keys: it has our last flight.
    pub(crate) fn confirmed(&mut self) {
        self.last = None;
    }

    /// Flights that went out again.
    pub(crate) fn repeated(&self) -> u64 {
        self.flights.repeated() + self.repeated
    }

    pub(crate) fn is_active(&self) -> bool {
        self.engine.is_active()
    }

    /// When time has to pass for it.
    pub(crate) fn timer(&self) -> Option<Instant> {
        if self.connected { self.last.as_ref().and_then(Last::timer) } else { self.flights.timer() }
    }

    pub(crate) fn timeout(&mut self, now: Instant) -> Result<(), String> {
        (self.stirred, self.now) = (true, now);
        if self.connected {
            if let Some(last) = &mut self.last {
                last.time_passes(now);
            }
            return Ok(());
        }
        let clock = self.flights.turn(now);
        if self.flights.is_late(now) {
            return Err(format!("the DTLS handshake did not end within {} s", HANDSHAKE_MAX.as_secs()));
        }
        let result = self.engine.handle_timeout(clock);
        self.survive(result)
    }

    /// Takes a record.
    pub(crate) fn handle(&mut self, now: Instant, bytes: &[u8]) -> Result<(), String> {
        (self.stirred, self.now) = (true, now);
        // Clear text is over: what still comes of it is late, a stranger's, or the peer's last flight again.
        if self.connected && is_clear(bytes) {
            if let (Some(last), Some(&HANDSHAKE)) = (&mut self.last, bytes.first()) {
                last.asked(now);
            }
            return Ok(());
        }
        self.flights.begin(now);
        // The packet comes first: a timer that is late would else repeat what the packet answers.
        let clock = self.flights.clock();
        let mut result = self.engine.handle_timeout(clock);
        for flight in flights::split(bytes, !self.is_active()).into_iter().filter(|flight| !flight.is_empty()) {
            result = result.and_then(|()| self.engine.handle_packet(flight));
        }
        self.survive(result)
    }

    pub(crate) fn close(&mut self) {
        self.stirred = self.engine.close().is_ok();
    }

    /// Writes what there is to send, until something happens.
    pub(crate) fn poll(&mut self, way: Way, out: &mut Batch) -> Step {
        if !self.stirred {
            return Step::Idle;
        }
        let mut space = [0; RECORD_BYTES_MAX];
        let mut more = Vec::new();
        loop {
            let space = if more.is_empty() { &mut space[..] } else { &mut more[..] };
            match self.engine.poll_output(space) {
                Output::Packet(record) => {
                    let is_active = self.engine.is_active();
                    for flight in flights::split(record, is_active).into_iter().filter(|flight| !flight.is_empty()) {
                        if self.connected && self.last.is_none() && flight.first() == Some(&CHANGE_CIPHER_SPEC) {
                            self.last = Some(Last::new(flight, self.now));
                        }
                        out.push(way.0, way.1, flight);
                    }
                }
                Output::PeerCert(certificate) => {
                    let expected = self.expected.take();
                    self.verified = expected.is_some_and(|expected| expected.fits(certificate));
                    if !self.verified {
                        return Step::Failed(
                            "the peer's certificate is not the one whose fingerprint it offered".into(),
                        );
                    }
                }
                Output::KeyingMaterial(material, profile) if self.verified => {
                    self.connected = true;
                    return Step::Connected(profile, material);
                }
                Output::KeyingMaterial(..) => return Step::Failed("the peer has shown no certificate".into()),
                Output::CloseNotify => return Step::Closed,
                Output::BufferTooSmall { needed } if needed <= CERTIFICATE_BYTES_MAX => more = vec![0; needed],
                Output::BufferTooSmall { .. } => return Step::Failed("the peer's certificate is too long".into()),
                Output::Timeout(at) => {
                    self.flights.waits_for(at, self.now);
                    self.stirred = false;
                    self.repeat(way, out);
                    return Step::Idle;
                }
                // Nobody speaks of data channels here.
                _ => {}
            }
        }
    }

    fn repeat(&mut self, way: Way, out: &mut Batch) {
        if let Some(bytes) = self.last.as_mut().and_then(|last| last.take(self.now)) {
            self.repeated += 1;
            out.push(way.0, way.1, bytes);
        }
    }

    /// Before media flows an error is the end; later it is the peer's or a stranger's, who is left alone.
    fn survive(&mut self, result: Result<(), dimpl::Error>) -> Result<(), String> {
        let Err(error) = result else { return Ok(()) };
        self.errors += 1;
        if self.connected && self.errors < ERRORS_MAX { Ok(()) } else { Err(error.to_string()) }
    }
}

/// Whether a datagram begins with a record that is not encrypted: its epoch is 0 (RFC 6347 section 4.1).
fn is_clear(bytes: &[u8]) -> bool {
    bytes.get(3..5) == Some(&[0, 0])
}

impl Fingerprint {
    fn fits(&self, certificate: &[u8]) -> bool {
        let hash = digest::digest(self.algorithm, certificate);
        let mut own = hash.as_ref().iter();
        // Not a secret: the offer says it, and so does the certificate.
        self.value.split(':').all(|byte| u8::from_str_radix(byte, 16).ok().as_ref() == own.next())
            && own.next().is_none()
    }
}
