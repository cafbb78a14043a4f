//! Bad input to the real binary, and what it gets: each test starts its own server on free ports, and says what the
//! person on the other side is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(unreachable_pub, reason = "a test exports nothing")]

mod b_frames;
mod changes;
mod codecs;
mod commands;
mod doors;
mod drain;
mod health;
mod publishers;
mod rest;
#[path = "../rig/mod.rs"]
mod rig;
mod rtmps;
mod signatures;
mod slow_viewer;
mod timestamps;
mod tokens;
mod tracks;
mod unknown_stream;
mod webrtc;
