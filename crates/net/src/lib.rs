//! Sockets of the media threads: UDP, and TCP with the framing of RFC 4571, behind one door.
//!
//! What lives here: sockets and nothing else. Who a datagram is for is `sfu`'s business.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod framing;
mod socket;
pub mod stamped;
mod tcp;

pub use socket::{MediaSocket, Protocol, Received, Waker};
pub use tcp::TcpStats;
