//! The nouns of Stentor: times, codecs, tracks, frames, packets, and the bitstream headers that tell them apart.
//!
//! What does not live here: anything that has a state over time (that is `live` and `sfu`), and anything that is
//! a container or a protocol (that is `wire`).
#![forbid(unsafe_code)]

pub mod aac;
pub mod av1;
pub mod bits;
mod frame;
pub mod h264;
pub mod h265;
pub mod opus;
mod packet;
mod time;
mod track;
pub mod vp8;
pub mod vp9;

pub use frame::{Flags, Frame, Payload};
pub use packet::{LAYERS_MAX, RtpPacket, SeqNo, Ssrc};
pub use time::{MediaTime, WallTime};
pub use track::{Codec, Config, Kind, TrackInfo};
