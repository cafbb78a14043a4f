//! RTP as bytes: the packet header (RFC 3550) and the payload formats that frames are made of and cut into.
//!
//! What does not live here: putting packets in order and pictures together, which takes time and memory (`live`).

pub mod h264;
mod header;

pub use header::{Header, HeaderError};
