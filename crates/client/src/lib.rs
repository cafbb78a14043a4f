//! Publishing and playing by every kind of URL: the client's end of all doors.
//!
//! What lives here: addresses and what they mean, sources of media (files, a clip), pacing, the sessions of each door,
//! reconnects, and what is counted on the way. What does not: the bytes of protocols (those are `wire`'s), WebRTC itself
//! (`rtc`), and what is printed (the `stentor` binary).
#![forbid(unsafe_code)]

mod address;
mod error;
pub mod hls;
mod meter;
pub mod mp4;
mod net;
mod pace;
mod play;
mod push;
mod retry;
pub mod source;
mod webrtc;

pub use address::{Address, AddressError, Dialect, HttpUrl, Intent, Signal};
pub use error::Error;
pub use meter::{Meter, Packets, TrackReport};
pub use net::Trust;
pub use pace::Pace;
pub use play::{PlayOptions, PlayReport, play};
pub use push::{PushOptions, PushReport, push};
pub use retry::Retry;
pub use source::Source;

/// How a push or a play ended.
#[derive(Debug)]
pub struct Outcome<R> {
    /// What was counted.
    pub report: R,
    /// Why it failed; `None` where it was done, or was stopped.
    pub error: Option<Error>,
}
