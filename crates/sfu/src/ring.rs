//! The packets of a video track since its newest key frame, shared by all its viewers.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use media::{MediaTime, RtpPacket, SeqNo, WallTime};

/// What is kept of a track at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) age_max: Duration,
    pub(crate) bytes_max: usize,
}

/// Packets kept at most, whatever their size.
const PACKETS_MAX: usize = 16_384;

/// A packet as viewers need it. Cloning shares the payload.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seq: SeqNo,
    pub(crate) time: MediaTime,
    pub(crate) wall: WallTime,
    pub(crate) marker: bool,
    pub(crate) audio_level: Option<u8>,
    pub(crate) payload: Arc<[u8]>,
}

impl Entry {
    /// Copies the payload once, for all viewers.
    pub(crate) fn new(packet: &RtpPacket) -> Self {
        Self {
            seq: packet.seq,
            time: packet.time,
            wall: packet.wall,
            marker: packet.marker,
            audio_level: packet.audio_level,
            payload: Arc::from(&*packet.payload),
        }
    }
}

/// The packets since the newest key frame, in the order they came. Empty while there is none.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    entries: VecDeque<Entry>,
    /// Place of the first entry; places only rise.
    first: u64,
    bytes: usize,
    /// Time of the key frame that the ring begins with.
    key: Option<MediaTime>,
}

/// What adding a packet did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// The packet begins a key frame, and with it the ring.
    Key,
    /// The packet belongs to what the ring keeps.
    Kept,
    /// There is no key frame to begin with.
    NotKept,
}

impl Ring {
    /// Adds a packet.
    pub(crate) fn push(&mut self, entry: &Entry, key_start: bool, rate_hz: u32, limits: Limits) -> Added {
        let begins = key_start && self.key.is_none_or(|key| entry.time > key);
        if begins {
            self.clear();
            self.key = Some(entry.time);
        }
        let Some(key) = self.key else { return Added::NotKept };
        let age_us = MediaTime(entry.time - key).as_micros(rate_hz);
        let too_old = u128::try_from(age_us).is_ok_and(|age| age > limits.age_max.as_micros());
        if too_old || self.bytes + entry.payload.len() > limits.bytes_max || self.entries.len() >= PACKETS_MAX {
            self.clear();
            return Added::NotKept;
        }
        self.bytes += entry.payload.len();
        self.entries.push_back(entry.clone());
        if begins { Added::Key } else { Added::Kept }
    }

    fn clear(&mut self) {
        self.first += self.entries.len() as u64;
        self.entries.clear();
        self.bytes = 0;
        self.key = None;
    }

    /// Time of the key frame that the ring begins with.
    pub(crate) fn key(&self) -> Option<MediaTime> {
        self.key
    }

    /// The latest time in the ring.
    pub(crate) fn newest(&self) -> Option<MediaTime> {
        // Times rise but for reordering and B-frames: the last few packets have the latest.
        self.entries.iter().rev().take(64).map(|entry| entry.time).max()
    }

    /// Place of the first packet.
    pub(crate) fn start(&self) -> u64 {
        self.first
    }

    /// Place behind the last packet.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The packet at a place.
    pub(crate) fn get(&self, place: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(place.checked_sub(self.first)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { age_max: Duration::from_secs(3), bytes_max: 1_000 };

    fn entry(seq: u64, ms: i64, bytes: usize) -> Entry {
        let payload = vec![0; bytes].into();
        Entry { seq: SeqNo(seq), time: MediaTime(ms * 90), wall: WallTime(0), marker: true, audio_level: None, payload }
    }

    #[test]
    fn begins_with_the_newest_key_frame() {
        let mut ring = Ring::default();
        assert_eq!(ring.push(&entry(1, 0, 10), false, 90_000, LIMITS), Added::NotKept);
        assert_eq!(ring.push(&entry(2, 33, 10), true, 90_000, LIMITS), Added::Key);
        assert_eq!(
            ring.push(&entry(3, 33, 10), true, 90_000, LIMITS),
            Added::Kept,
            "another slice of the same key frame"
        );
        assert_eq!(ring.push(&entry(4, 66, 10), false, 90_000, LIMITS), Added::Kept);
        assert_eq!((ring.start(), ring.end()), (0, 3));
        assert_eq!(ring.push(&entry(5, 100, 10), true, 90_000, LIMITS), Added::Key);
        assert_eq!((ring.start(), ring.end()), (3, 4), "places go on rising");
        assert!(ring.get(2).is_none());
        assert_eq!(ring.get(3).unwrap().seq, SeqNo(5));
    }

    #[test]
    fn is_bounded_in_time_and_bytes_and_begins_again_with_the_next_key_frame() {
        let mut ring = Ring::default();
        ring.push(&entry(1, 0, 10), true, 90_000, LIMITS);
        assert_eq!(ring.push(&entry(2, 3_001, 10), false, 90_000, LIMITS), Added::NotKept, "too old");
        assert_eq!(ring.key(), None);
        assert_eq!(ring.push(&entry(3, 3_033, 10), false, 90_000, LIMITS), Added::NotKept);
        ring.push(&entry(4, 3_066, 600), true, 90_000, LIMITS);
        assert_eq!(ring.push(&entry(5, 3_066, 600), false, 90_000, LIMITS), Added::NotKept, "too many bytes");
        assert_eq!(ring.bytes, 0);
        assert_eq!(ring.push(&entry(6, 4_000, 10), true, 90_000, LIMITS), Added::Key);
    }
}
