//! Protocols as bytes and messages, without input or output: a folder each.
//!
//! Time and randomness are handed in; sockets, clocks and threads live above.
#![forbid(unsafe_code)]

pub mod flv;
pub mod hls;
pub mod mp4;
pub mod rtmp;
pub mod rtp;
pub mod sign;
