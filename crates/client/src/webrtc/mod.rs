//! WebRTC: carrying an offer and its answer, and the socket under a leg.

mod peer;
mod signalling;

pub(crate) use peer::{Peer, Pulse};
pub(crate) use signalling::{Session, exchange, local_address};

/// Bytes of an answer that are read.
pub(crate) const ANSWER_BYTES_MAX: usize = 128 * 1024;
