//! Sockets of the media threads: UDP, and TCP with the framing of RFC 4571, behind one door.
//!
//! What lives here: sockets and nothing else. Who a datagram is for is `sfu`'s business.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod bind;
mod cpu;
mod framing;
pub mod ring;
mod singles;
mod socket;
pub mod stamped;
mod stats;
mod sys;
mod tcp;
mod udp;

pub use cpu::{cpus, pin_to_cpu};
pub use socket::{MediaSocket, Protocol, Received, Waker};
pub use stats::SocketStats;
pub use tcp::TcpStats;
