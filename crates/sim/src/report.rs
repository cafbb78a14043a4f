//! What a run found: figures where all was well, or what went wrong, when, and what came before.

use std::fmt;

use crate::link::{Counts, Moment};

/// What happened in a run in which nothing went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packets that sources made.
    pub made: u64,
    /// Packets that came into tracks.
    pub tapped: u64,
    /// Datagrams of media sent to viewers, once each.
    pub sent: u64,
    /// Of those, lost on the way.
    pub lost: u64,
    /// Of those, repaired.
    pub repaired: u64,
    /// Packets that viewers got.
    pub got: u64,
    /// Pictures decoded by viewers.
    pub pictures: u64,
    /// How often viewers lost the picture.
    pub breaks: u64,
    /// Key frames asked of sources.
    pub key_frames_asked: u64,
    /// Viewers that connected.
    pub viewers: u64,
    /// What happened on all links.
    pub links: Counts,
    /// The same in every run of the scenario.
    pub digest: u64,
    /// What viewers got, wherever and whenever: the same for every number of shards.
    pub media: u64,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// The scenario.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// When.
    pub at: Moment,
    /// What.
    pub what: String,
    /// What happened last.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, seed, at, what, trace } = self;
        writeln!(f, "scenario {scenario}, seed {seed}, at {:.3} ms: {what}", at.as_micros() as f64 / 1_000.0)?;
        trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { made, tapped, sent, lost, repaired, got, pictures, breaks, key_frames_asked, viewers, .. } = self;
        write!(
            f,
            "{viewers} viewers: {made} packets made, {tapped} came, {sent} sent, {lost} lost, {repaired} repaired, {got} \
             got; {pictures} pictures, {breaks} breaks, {key_frames_asked} key frames asked"
        )
    }
}
