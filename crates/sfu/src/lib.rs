//! The packet path: who gets which packet. One shard is a state machine over many legs and tracks; what it is told and
//! what it wants done are values, so that it runs on a thread with sockets and in virtual time alike.
//!
//! What lives here: demultiplexing, tracks with their packets since the newest key frame, subscriptions, key frame
//! requests. What does not: a single peer (that is `rtc`), frames (that is `live`), sockets (that is `net`).
#![forbid(unsafe_code)]

mod demux;
mod layers;
mod rhythm;
mod ring;
mod shard;
mod stats;
mod subscription;
mod tap;
mod track;
mod wheel;

pub use shard::{
    Care, Census, Command, Config, EndReason, Event, Expect, Input, LegId, Mail, Output, Pace, SHARDS_MAX, Shard,
    TrackId,
};
pub use stats::{Drop, LegStats, ShardStats};
