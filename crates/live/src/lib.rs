//! The frame path: streams and their names, the frame ring that every viewer reads, the clocks, and the two ways
//! between frames and packets.
//!
//! What does not live here: sockets, tasks and locks (that is `server`), the bytes of protocols (that is `wire`), and
//! packets that go to packets without becoming frames (that is `sfu`). Everything is plain state: time is handed in.
#![forbid(unsafe_code)]

pub mod clock;
mod cursor;
pub mod depacketise;
mod entry;
pub mod health;
pub mod hls;
mod mux;
pub mod name;
pub mod packetise;
mod ring;
#[cfg(test)]
mod sample;
mod stats;
pub mod stream;
pub mod timeline;
pub mod transcode;
