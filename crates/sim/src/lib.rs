//! The packet path on virtual time: shards, legs and links in one process, all from a seed, and oracles that watch every
//! packet. For developers; nothing that we ship links it.
//!
//! What lives here: links with faults, sources whose packets say what they are, the world that moves time on, oracles, and
//! scenarios, named and made up from a seed. What does not: sockets, threads, and real time; the first is handed in.
//!
//! What is random and not from the seed are keys, ICE credentials and source numbers. Outcomes do not depend on them: a
//! digest of what happened to the media is the same in every run of a seed.
#![forbid(unsafe_code)]

mod client;
mod decoder;
mod layers;
mod ledger;
mod link;
mod random;
mod report;
mod scenario;
mod source;
mod trace;
mod watch;
mod world;

pub use link::{Burst, Counts, Moment, Path};
pub use report::{Failure, Report};
pub use scenario::{Goodbye, Origin, Scenario, Stream, Viewer, layered, named, random};
pub use source::Camera;
pub use world::{Far, Setup, run};
