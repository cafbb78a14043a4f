//! The frames that a stream keeps: enough for a viewer to start at a key frame and for a slow one to be behind a
//! little. It knows nothing of viewers.

use std::{collections::VecDeque, sync::Arc};

use crate::entry::Entry;

/// Bounds of what a stream keeps. Whichever is reached first counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of frames, at most. Each format that somebody watches may take as much again.
    pub ring_bytes_max: usize,
    /// Media time from the oldest frame to the newest, in milliseconds, at most.
    pub ring_span_ms_max: u32,
    /// Groups of pictures, the current one included, at most. Two seconds are kept even where more begin in them.
    pub gops_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ring_bytes_max: 16 << 20, ring_span_ms_max: 8_000, gops_max: 2 }
    }
}

/// Where groups of pictures are shorter than a second, their number is no measure: a source of nothing but key frames
/// would leave viewers a slack of two frames. So much media time stays, in microseconds.
const SPAN_US_MIN: i64 = 2_000_000;

/// What an entry costs besides its coded bytes.
const ENTRY_BYTES: usize = 256;

#[derive(Debug)]
pub(crate) struct Ring {
    limits: Limits,
    entries: VecDeque<Arc<Entry>>,
    /// Positions of the key frames of the current video track, oldest first; all of them are in `entries`.
    keys: VecDeque<u64>,
    tail: u64,
    bytes: usize,
    newest_us: i64,
}

impl Ring {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, entries: VecDeque::new(), keys: VecDeque::new(), tail: 0, bytes: 0, newest_us: 0 }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The position that the next entry will have.
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    /// The position of the oldest entry; the tail, where there is none.
    pub(crate) fn front(&self) -> u64 {
        self.tail - self.entries.len() as u64
    }

    /// Coded bytes and what keeping them costs.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frames kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The newest decoding time of either track, in microseconds.
    pub(crate) fn newest_us(&self) -> i64 {
        self.newest_us
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&Arc<Entry>> {
        let index = seq.checked_sub(self.front())?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn newest_key(&self) -> Option<u64> {
        self.keys.back().copied()
    }

    /// The first key frame at or after a position.
    pub(crate) fn key_from(&self, seq: u64) -> Option<u64> {
        self.keys.iter().copied().find(|&key| key >= seq)
    }

    /// The position of the first of the entries that are within `back_us` of the newest.
    pub(crate) fn recent(&self, back_us: i64) -> u64 {
        let since_us = self.newest_us.saturating_sub(back_us);
        let count = self.entries.iter().rev().take_while(|entry| entry.time_us >= since_us).count();
        self.tail - count as u64
    }

    /// No viewer starts any more at the key frames that are there: their track has ended or changed.
    pub(crate) fn forget_keys(&mut self) {
        self.keys.clear();
    }

    /// Takes an entry made with `seq` = `tail()`.
    pub(crate) fn push(&mut self, entry: Entry) {
        debug_assert_eq!(entry.seq, self.tail);
        if entry.is_video_key() {
            self.keys.push_back(entry.seq);
        }
        self.bytes += cost(&entry);
        self.newest_us = self.newest_us.max(entry.time_us);
        self.tail += 1;
        self.entries.push_back(Arc::new(entry));
        self.evict();
    }

    fn evict(&mut self) {
        while self.keys.len() > self.limits.gops_max.max(1) {
            let Some(next) = self.keys.get(1).copied() else { break };
            if self.get(next).is_some_and(|entry| self.newest_us - entry.time_us < SPAN_US_MIN) {
                break;
            }
            self.evict_to(next);
        }
        while self.entries.len() > 1 && self.is_over() {
            match (self.keys.front(), self.keys.get(1)) {
                // The rest of a group of pictures is of no use to anybody who starts, so it goes whole.
                (Some(&first), Some(&next)) if first == self.front() => self.evict_to(next),
                _ => self.evict_to(self.front() + 1),
            }
        }
    }

    fn is_over(&self) -> bool {
        let span_us = self.entries.front().map_or(0, |oldest| self.newest_us - oldest.time_us);
        self.bytes > self.limits.ring_bytes_max || span_us > i64::from(self.limits.ring_span_ms_max) * 1_000
    }

    fn evict_to(&mut self, seq: u64) {
        while self.front() < seq {
            let Some(entry) = self.entries.pop_front() else { break };
            self.bytes -= cost(&entry);
        }
        while self.keys.front().is_some_and(|&key| key < seq) {
            self.keys.pop_front();
        }
    }
}

fn cost(entry: &Entry) -> usize {
    entry.frame.payload.len() + ENTRY_BYTES
}
