//! Sockets of the media threads: UDP, and TCP with the framing of RFC 4571, behind one door.
//!
//! What lives here: sockets and nothing else. Who a datagram is for is `sfu`'s business.
#![forbid(unsafe_code)]

mod framing;
mod socket;
mod tcp;

pub use socket::{MediaSocket, Protocol, Received, Waker};
pub use tcp::TcpStats;
