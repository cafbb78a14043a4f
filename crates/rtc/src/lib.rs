//! One WebRTC peer without input or output: an offer is answered or made, datagrams and time go in, datagrams and packets come out.
//!
//! What lives here: SDP of WHIP and WHEP, the leg, what is read from a packet at ingress, and the clock that maps a
//! sender's time to ours. What does not: who gets which packet (that is `sfu`), and sockets (that is `net`). str0m is
//! behind this door and appears in no public type.
#![forbid(unsafe_code)]

pub mod bandwidth;
mod batch;
mod clock;
mod config;
mod error;
mod full;
mod key_start;
mod leg;
pub mod light;
pub mod rtcp;
mod sdp;
pub mod srtp;
pub mod stun;
pub mod view;

pub use batch::{Batch, Outbound};
pub use config::{Certificate, CertificateError, Config, Protocol, Purpose, ViewerLeg};
pub use error::{AnswerError, NotSent, OfferError, RestartError};
pub use full::{Offering, Wanted};
pub use key_start::{begins_key_frame, starts_key_frame};
pub use leg::{CloseReason, Delivery, Event, Input, Leg, Outgoing, Output, PAYLOAD_BYTES_MAX, Quality};
pub use sdp::{Answer, OFFER_BYTES_MAX, is_ice_restart};
