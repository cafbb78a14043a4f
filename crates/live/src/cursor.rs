//! A viewer's place in a stream: where it starts, what it gets, and how it jumps when it is too slow. It never gets a
//! picture without the key frame before it.

use std::{sync::Arc, time::Duration};

use media::Kind;

use crate::{entry::Entry, ring::Ring, stream::EndReason};

/// Where a viewer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the newest key frame that is kept: a picture at once, and as far behind as that key frame is old.
    NewestKey,
    /// At the oldest key frame that is kept: for those who cut the stream into files.
    OldestKey,
    /// At the next key frame to come.
    Live,
}

/// What reading gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// At least one entry was added; there may be more.
    Ready,
    /// Nothing now; read again when the stream has changed.
    Pending,
    /// The viewer was too slow and has been moved to the newest key frame, or to the next if none is kept. Entries
    /// follow with the next read.
    Jumped {
        /// How many frames it missed.
        skipped: u64,
    },
    /// The stream has ended and everything of it has been read.
    Ended(EndReason),
}

/// A viewer's place in a stream.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// A viewer further behind than this, in media time, jumps although the ring still holds what it has not read.
    /// `None`: it jumps only when the ring has let go of what it needs.
    pub lag_max: Option<Duration>,
    place: Place,
    /// The key frame of the pictures that come now was handed out.
    video_open: bool,
    /// Sound before this time belongs before the key frame that the viewer started with.
    audio_from_us: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Not placed yet; never before position `from`.
    Waiting { start: Start, from: u64 },
    /// The next entry to read.
    At(u64),
}

/// What a cursor must know of the stream besides the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    /// No track at all is announced.
    pub(crate) is_blank: bool,
    /// Pictures come, or are about to; whoever starts has to wait for a key frame.
    pub(crate) has_live_video: bool,
    pub(crate) ended: Option<EndReason>,
}

/// A start without pictures begins so far back, in microseconds: enough for any player's buffer to fill at once.
const AUDIO_BACK_US: i64 = 1_000_000;

impl Cursor {
    pub(crate) fn new(start: Start, tail: u64) -> Self {
        let from = if start == Start::Live { tail } else { 0 };
        Self { lag_max: None, place: Place::Waiting { start, from }, video_open: false, audio_from_us: None }
    }

    pub(crate) fn read(&mut self, ring: &Ring, edge: Edge, max: usize, out: &mut Vec<Arc<Entry>>) -> Read {
        let Some(next) = self.settle(ring, edge) else {
            return edge.ended.map_or(Read::Pending, Read::Ended);
        };
        if self.is_too_slow(ring, next) {
            // What is in `out` belongs before the jump; it is made, and told, when that has been taken.
            return if out.is_empty() { self.jump(ring, edge, next) } else { Read::Pending };
        }
        let (mut seq, mut added) = (next, 0);
        while added < max
            && let Some(entry) = ring.get(seq)
        {
            seq += 1;
            if self.takes(entry) {
                out.push(entry.clone());
                added += 1;
            }
        }
        self.place = Place::At(seq);
        match edge.ended {
            _ if added > 0 => Read::Ready,
            Some(reason) if seq == ring.tail() => Read::Ended(reason),
            _ => Read::Pending,
        }
    }

    /// The next position to read, once there is one.
    fn settle(&mut self, ring: &Ring, edge: Edge) -> Option<u64> {
        if let Place::At(next) = self.place
            && next > ring.tail()
        {
            // The stream was begun anew under this viewer.
            self.place = Place::Waiting { start: Start::NewestKey, from: 0 };
        }
        let (start, from) = match self.place {
            Place::At(next) => return Some(next),
            Place::Waiting { start, from } => (start, from),
        };
        if edge.is_blank {
            return None;
        }
        let key = match start {
            Start::NewestKey => ring.newest_key().filter(|&key| key >= from),
            Start::OldestKey | Start::Live => ring.key_from(from),
        };
        if let Some(key) = key {
            self.place_at_key(ring, key);
            return Some(key);
        }
        if edge.has_live_video {
            return None;
        }
        let sound = match start {
            Start::NewestKey => ring.recent(AUDIO_BACK_US),
            Start::OldestKey | Start::Live => ring.front(),
        };
        let next = sound.max(from);
        self.place = Place::At(next);
        Some(next)
    }

    fn place_at_key(&mut self, ring: &Ring, key: u64) {
        self.place = Place::At(key);
        self.video_open = false;
        self.audio_from_us = ring.get(key).map(|entry| entry.time_us);
    }

    fn is_too_slow(&self, ring: &Ring, next: u64) -> bool {
        if next < ring.front() {
            return true;
        }
        let (Some(lag_max), Some(entry)) = (self.lag_max, ring.get(next)) else { return false };
        let lag_us = ring.newest_us().saturating_sub(entry.time_us);
        let is_late = u128::try_from(lag_us).is_ok_and(|lag_us| lag_us > lag_max.as_micros());
        is_late && ring.newest_key().is_some_and(|key| key > next)
    }

    fn jump(&mut self, ring: &Ring, edge: Edge, next: u64) -> Read {
        let to = match ring.newest_key() {
            Some(key) => {
                self.place_at_key(ring, key);
                key
            }
            None => {
                self.video_open = false;
                self.audio_from_us = None;
                let to = if edge.has_live_video { ring.tail() } else { ring.recent(AUDIO_BACK_US) };
                self.place = Place::Waiting { start: Start::Live, from: to };
                to
            }
        };
        Read::Jumped { skipped: to.saturating_sub(next) }
    }

    /// Whether the viewer gets this entry.
    fn takes(&mut self, entry: &Entry) -> bool {
        match entry.frame.kind() {
            Kind::Video => {
                self.video_open |= entry.frame.flags.key;
                self.video_open
            }
            Kind::Audio => {
                let is_early = self.audio_from_us.is_some_and(|from_us| entry.time_us < from_us);
                if !is_early {
                    self.audio_from_us = None;
                }
                !is_early
            }
        }
    }
}
