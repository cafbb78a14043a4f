//! The other way round: we offer, a server answers. The leg that comes of it is like any other, but it is a full ICE
//! agent and controls.

use std::{fmt, time::Instant};

use media::Kind;
use smallvec::SmallVec;
use str0m::{
    Candidate, IceCreds,
    crypto::Fingerprint,
    media::{MediaKind, Mid},
};

use super::{Egress, Full, Ingress, build};
use crate::{
    config::{Config, Protocol},
    error::{AnswerError, OfferError},
    leg::Leg,
    sdp::{self, Active, Local, Offer, Plan, Setup, Transport},
};

/// What we want of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To send.
    Send {
        /// H.264, with the `profile-level-id` of RFC 6184 section 8.1 as its first parameter set says it.
        video: Option<u32>,
        /// Opus.
        audio: bool,
        /// The picture in so many layers side by side (RFC 8853), from the lowest to the highest, where that is more than
        /// one; three at most.
        layers: u8,
    },
    /// To receive one picture (H.264, VP8, VP9 or AV1) and one sound (Opus).
    Receive,
}

/// An offer that waits for its answer.
pub struct Offering {
    config: Config,
    plan: Plan,
    sends: bool,
    credentials: IceCreds,
    local: SmallVec<[Local; 2]>,
    sdp: String,
}

impl Offering {
    /// Makes an offer. `Config::candidates` are our own addresses; those of UDP are offered.
    ///
    /// # Errors
    /// Where nothing is wanted, or an address of ours cannot be used.
    pub fn new(config: &Config, wanted: Wanted, now: Instant) -> Result<Self, OfferError> {
        let mut config = config.clone();
        config.candidates.retain(|(protocol, _)| *protocol == Protocol::Udp);
        let plan = sdp::offered(&wanted);
        if plan.roles.is_empty() {
            return Err(OfferError::NoMedia);
        }
        let sends = matches!(wanted, Wanted::Send { .. });
        // This one only makes up credentials and source numbers; the agent is built when the answer is known.
        let mut rtc = build(&config, &plan, None, now)?;
        let direct = rtc.direct_api();
        let credentials = direct.local_ice_credentials();
        let transport = Transport {
            ufrag: credentials.ufrag.clone(),
            pwd: credentials.pass.clone(),
            fingerprint: direct.local_dtls_fingerprint().to_string(),
            active: false,
        };
        let source =
            |kind| Local { kind, ssrc: *direct.new_ssrc(), rtx: (kind == Kind::Video).then(|| *direct.new_ssrc()) };
        // One for each layer.
        let sources = |active: &Active| std::iter::repeat_n(active.kind, active.layers.len().max(1));
        let local = plan.active().filter(|_| sends).flat_map(sources).map(source).collect::<SmallVec<[Local; 2]>>();
        let sdp = sdp::write_offer(&config, &plan, sends, &transport, &local);
        Ok(Self { config, plan, sends, credentials, local, sdp })
    }

    /// The offer.
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    /// Takes the answer.
    ///
    /// # Errors
    /// Says in a sentence why it is of no use.
    pub fn accept(self, answer: &str, now: Instant) -> Result<Leg, AnswerError> {
        let malformed = |error: OfferError| AnswerError::Malformed(error.to_string().replace("offer", "answer"));
        let refused = |error: &dyn fmt::Display| AnswerError::Refused(error.to_string());
        let parsed = Offer::parse_answer(answer).map_err(malformed)?;
        let plan = sdp::narrow(&self.plan, self.sends, &parsed);
        if plan.roles.is_empty() {
            let codecs = self.plan.active().flat_map(|active| &active.formats).map(|format| format.codec.name());
            return Err(AnswerError::NothingAccepted { offered: codecs.collect::<Vec<_>>().join(", ") });
        }
        let addresses = sdp::answered_candidates(answer);
        if addresses.is_empty() {
            return Err(AnswerError::NoCandidates);
        }
        let own = (self.credentials.ufrag.clone(), self.credentials.pass.clone());
        let mut rtc = build(&self.config, &plan, Some(self.credentials), now).map_err(|error| refused(&error))?;
        for address in addresses {
            let candidate = Candidate::builder().udp().host(address).build().map_err(|error| refused(&error))?;
            rtc.add_remote_candidate(candidate);
        }
        let (hash, value) = parsed.fingerprint;
        let bytes = value.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(true);
        direct.set_remote_ice_credentials(IceCreds { ufrag: parsed.ufrag.to_owned(), pass: parsed.pwd.to_owned() });
        direct.set_remote_fingerprint(Fingerprint { hash_func: hash.to_owned(), bytes });
        for active in plan.active() {
            let kind = if active.kind == Kind::Audio { MediaKind::Audio } else { MediaKind::Video };
            direct.declare_media(Mid::from(active.inner_mid.as_str()), kind);
        }
        direct.start_dtls(parsed.setup != Setup::Active).map_err(|error| refused(&error))?;
        let (mut ingress, mut egress) = (SmallVec::new(), SmallVec::new());
        for active in plan.active() {
            let mut local = self.local.iter().filter(|local| local.kind == active.kind).peekable();
            if local.peek().is_none() {
                ingress.push(Ingress::new(&mut rtc, active, now));
            }
            let layers = local.take(active.layers.len().max(1)).enumerate();
            egress.extend(layers.filter_map(|(layer, local)| Egress::offered(active, local, layer)));
        }
        let mut leg = Full::new(rtc, &self.config, own, now);
        (leg.ingress, leg.egress, leg.written) = (ingress, egress, Some(now));
        Ok(leg.into())
    }
}

impl fmt::Debug for Offering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offering").field("plan", &self.plan).finish_non_exhaustive()
    }
}
