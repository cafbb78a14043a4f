//! The last things that happened, for whoever has to find out why something went wrong.

use std::{collections::VecDeque, fmt};

use crate::{link::Moment, random::hash};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    at: Moment,
    what: &'static str,
    who: usize,
    one: u64,
    two: u64,
}

/// What happened, the newest last.
#[derive(Debug)]
pub(crate) struct Trace {
    most: usize,
    notes: VecDeque<Note>,
    digest: u64,
}

impl Trace {
    /// A trace that remembers so many things.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, notes: VecDeque::new(), digest: 0 }
    }

    /// Something happened to a client.
    pub(crate) fn note(&mut self, at: Moment, what: &'static str, who: usize, one: u64, two: u64) {
        if self.notes.len() >= self.most {
            self.notes.pop_front();
        }
        self.notes.push_back(Note { at, what, who, one, two });
    }

    /// As `note`, and it must be the same whenever the seed is.
    pub(crate) fn sign(&mut self, at: Moment, what: &'static str, who: usize, one: u64, two: u64) {
        self.digest = hash(&[self.digest, at.as_nanos() as u64, who as u64, one, two]);
        self.note(at, what, who, one, two);
    }

    /// A number that depends on all that was signed.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// What happened last, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.notes.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, what, who, one, two } = self;
        write!(f, "{:>10.3} ms  client {who:<3} {what:<24} {one} {two}", at.as_micros() as f64 / 1_000.0)
    }
}
