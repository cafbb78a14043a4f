//! SDP of WHIP (RFC 9725) and WHEP: reading an offer, choosing what to serve, and writing the answer.
//!
//! str0m never sees what the peer wrote: it gets a small offer of our own making with only what was chosen.

mod answer;
mod fragment;
mod inner;
mod offer;
mod own_offer;
mod plan;
mod simulcast;

use media::{Codec, Kind};

pub(crate) use answer::{CNAME, Local, Transport, write as write_answer};
pub(crate) use fragment::{credentials as fragment_credentials, write as write_fragment};
pub(crate) use inner::{Inner, codec_config, extension_map};
pub(crate) use offer::{Offer, Offered, Section, Setup};
pub(crate) use own_offer::{candidates as answered_candidates, narrow, offered, write as write_offer};
pub(crate) use plan::{Active, Plan, Role, choose, choose_with, uri};

pub use fragment::is_ice_restart;

/// Bytes of an offer, at most.
pub const OFFER_BYTES_MAX: usize = 64 * 1024;

/// The answer to an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The SDP.
    pub sdp: String,
    /// Our ICE user name fragment: STUN requests for this leg carry it.
    pub ufrag: String,
    /// Which kinds were negotiated, with which codec.
    pub kinds: Vec<(Kind, Codec)>,
}

impl Answer {
    /// The codec negotiated for a kind.
    pub fn codec(&self, kind: Kind) -> Option<Codec> {
        self.kinds.iter().find(|(known, _)| *known == kind).map(|(_, codec)| *codec)
    }
}
