//! The packets of a track, shared by all its viewers: those since its newest key frame, to start with, and those of the
//! last second, for who has not got them yet or has lost them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use media::{MediaTime, RtpPacket, SeqNo, WallTime};

/// What is kept of a track since its key frame at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) age_max: Duration,
    pub(crate) bytes_max: usize,
}

/// Packets kept at most, whatever their size.
const PACKETS_MAX: usize = 16_384;
/// What is older than this and older than the key frame is forgotten: nobody can use a repair that late.
const HISTORY: Duration = Duration::from_millis(1_500);
/// Bytes of packets older than the key frame at most.
const HISTORY_BYTES_MAX: usize = 1 << 20;
/// A source that jumps by more sequence numbers than this has begun anew: what came before is nothing to begin with.
pub(crate) const SEQ_JUMP: u64 = 512;
/// Packets that came out of order are this near to their place; further away nobody looks.
const REACH: u64 = 128;

/// Packets of a frame that are made equally long, at most.
const FRAME_PACKETS_MAX: usize = 64;
/// Bytes that a packet is padded by at most.
const PADDING_MAX: u8 = 3;

/// A packet as viewers need it. Cloning shares the payload.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seq: SeqNo,
    pub(crate) time: MediaTime,
    pub(crate) wall: WallTime,
    pub(crate) marker: bool,
    pub(crate) audio_level: Option<u8>,
    pub(crate) payload: Arc<[u8]>,
    /// Bytes that are missing to the longest packet of the frame, where they are few.
    pub(crate) padding: u8,
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
            padding: 0,
        }
    }
}

/// The newest key frame.
#[derive(Clone, Copy, Debug)]
struct Key {
    place: u64,
    time: MediaTime,
    /// Bytes since it began.
    bytes: usize,
}

/// The packets of a track in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    entries: VecDeque<Entry>,
    /// Place of the first entry; places only rise.
    first: u64,
    bytes: usize,
    key: Option<Key>,
}

/// What adding a packet did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// The packet begins a key frame: a viewer may start with it.
    Key,
    /// The packet belongs to what a viewer may start with.
    Kept,
    /// There is no key frame to start with.
    NoKey,
}

impl Ring {
    /// Adds a packet.
    pub(crate) fn push(&mut self, entry: Entry, key_start: bool, rate_hz: u32, limits: Limits) -> Added {
        if self.entries.back().is_some_and(|last| last.seq.0.abs_diff(entry.seq.0) > SEQ_JUMP) {
            self.key = None;
        }
        let begins = key_start && self.key.is_none_or(|key| entry.time > key.time);
        if begins {
            self.key = Some(Key { place: self.end(), time: entry.time, bytes: 0 });
        }
        if let Some(key) = &mut self.key {
            key.bytes += entry.payload.len();
            let packets = self.first + self.entries.len() as u64 - key.place;
            let too_many = key.bytes > limits.bytes_max || packets >= PACKETS_MAX as u64;
            if too_many || age(entry.time, key.time, rate_hz) > limits.age_max {
                self.key = None;
            }
        }
        let (newest, ends_frame) = (entry.time, entry.marker);
        self.bytes += entry.payload.len();
        self.entries.push_back(entry);
        if ends_frame {
            self.equalise(newest);
        }
        self.forget(newest, rate_hz);
        match self.key {
            None => Added::NoKey,
            Some(_) if begins => Added::Key,
            Some(_) => Added::Kept,
        }
    }

    /// Browsers split a picture evenly, but for a byte. Packets that are equally long leave in one run, and with a byte of
    /// padding they are.
    fn equalise(&mut self, frame: MediaTime) {
        let frame = || self.entries.iter().rev().take(FRAME_PACKETS_MAX).take_while(move |entry| entry.time == frame);
        let (count, longest) =
            frame().fold((0, 0), |(count, longest), entry| (count + 1, entry.payload.len().max(longest)));
        for entry in self.entries.iter_mut().rev().take(count) {
            let missing = u8::try_from(longest - entry.payload.len()).unwrap_or(u8::MAX);
            entry.padding = if missing <= PADDING_MAX { missing } else { 0 };
        }
    }

    fn forget(&mut self, newest: MediaTime, rate_hz: u32) {
        let key_place = self.key.map_or(u64::MAX, |key| key.place);
        let key_bytes = self.key.map_or(0, |key| key.bytes);
        while let Some(front) = self.entries.front() {
            let too_much = self.bytes - key_bytes > HISTORY_BYTES_MAX || self.entries.len() > PACKETS_MAX;
            if self.first >= key_place || !(too_much || age(newest, front.time, rate_hz) > HISTORY) {
                return;
            }
            self.bytes -= front.payload.len();
            self.first += 1;
            self.entries.pop_front();
        }
    }

    /// What comes next does not go on from what there is.
    pub(crate) fn cut(&mut self) {
        self.key = None;
    }

    /// Place and time of the newest key frame.
    pub(crate) fn key(&self) -> Option<(u64, MediaTime)> {
        self.key.map(|key| (key.place, key.time))
    }

    /// The packets since the newest key frame began, to begin another ring with; none where there is no key frame.
    pub(crate) fn since_key(&self) -> Vec<Entry> {
        let place = self.key.and_then(|key| usize::try_from(key.place.checked_sub(self.first)?).ok());
        place.map_or(Vec::new(), |place| self.entries.iter().skip(place).cloned().collect())
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

    /// The packet of a number.
    pub(crate) fn find(&self, seq: SeqNo) -> Option<&Entry> {
        let back = self.entries.back()?.seq.0.checked_sub(seq.0).map_or(0, |back| back);
        // Where nothing was lost on the way to us and nothing overtaken, this is the place.
        let guess = self.end().saturating_sub(1).saturating_sub(back);
        let at = |place: u64| self.get(place).filter(|entry| entry.seq == seq);
        (0..REACH).find_map(|step| at(guess + step).or_else(|| at(guess.checked_sub(step)?)))
    }
}

/// How much older `then` is than `now`; nothing where it is not.
fn age(now: MediaTime, then: MediaTime, rate_hz: u32) -> Duration {
    Duration::from_micros(u64::try_from(MediaTime(now - then).as_micros(rate_hz)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { age_max: Duration::from_secs(3), bytes_max: 1_000 };

    fn entry(seq: u64, ms: i64, bytes: usize) -> Entry {
        let payload = vec![0; bytes].into();
        Entry {
            seq: SeqNo(seq),
            time: MediaTime(ms * 90),
            wall: WallTime(0),
            marker: true,
            audio_level: None,
            payload,
            padding: 0,
        }
    }

    #[test]
    fn keeps_the_newest_key_frame_and_what_was_before_it_for_a_while() {
        let mut ring = Ring::default();
        assert_eq!(ring.push(entry(1, 0, 10), false, 90_000, LIMITS), Added::NoKey);
        assert_eq!(ring.push(entry(2, 33, 10), true, 90_000, LIMITS), Added::Key);
        assert_eq!(
            ring.push(entry(3, 33, 10), true, 90_000, LIMITS),
            Added::Kept,
            "another slice of the same key frame"
        );
        assert_eq!(ring.push(entry(4, 66, 10), false, 90_000, LIMITS), Added::Kept);
        assert_eq!((ring.start(), ring.end(), ring.key()), (0, 4, Some((1, MediaTime(33 * 90)))));
        assert_eq!(ring.push(entry(5, 100, 10), true, 90_000, LIMITS), Added::Key);
        assert_eq!(ring.key(), Some((4, MediaTime(100 * 90))));
        assert!(ring.get(0).is_some(), "what came before may still be asked for");
        ring.push(entry(6, 1_600, 10), false, 90_000, LIMITS);
        assert_eq!((ring.start(), ring.end()), (4, 6), "and is forgotten when it is old, but never the key frame");
        assert!(ring.get(3).is_none());
        assert_eq!(ring.get(4).unwrap().seq, SeqNo(5));
    }

    #[test]
    fn is_bounded_in_time_and_bytes_and_begins_again_with_the_next_key_frame() {
        let mut ring = Ring::default();
        ring.push(entry(1, 0, 10), true, 90_000, LIMITS);
        assert_eq!(ring.push(entry(2, 3_001, 10), false, 90_000, LIMITS), Added::NoKey, "too old");
        assert_eq!((ring.key(), ring.start()), (None, 1));
        assert_eq!(ring.push(entry(3, 3_033, 10), false, 90_000, LIMITS), Added::NoKey);
        ring.push(entry(4, 3_066, 600), true, 90_000, LIMITS);
        assert_eq!(ring.push(entry(5, 3_066, 600), false, 90_000, LIMITS), Added::NoKey, "too many bytes");
        assert_eq!(ring.push(entry(6, 4_000, 10), true, 90_000, LIMITS), Added::Key);
        let bytes: usize = (ring.start()..ring.end()).map(|place| ring.get(place).unwrap().payload.len()).sum();
        assert_eq!(ring.bytes, bytes);
    }

    #[test]
    fn a_key_frame_before_a_long_gap_is_nothing_to_begin_with() {
        let mut ring = Ring::default();
        ring.push(entry(10, 0, 10), true, 90_000, LIMITS);
        assert_eq!(ring.push(entry(10 + SEQ_JUMP, 33, 10), false, 90_000, LIMITS), Added::Kept);
        assert_eq!(ring.push(entry(11 + 2 * SEQ_JUMP, 66, 10), false, 90_000, LIMITS), Added::NoKey);
        assert_eq!(ring.push(entry(12 + 2 * SEQ_JUMP, 99, 10), true, 90_000, LIMITS), Added::Key);
    }

    #[test]
    fn packets_of_a_frame_that_is_split_evenly_are_made_equally_long() {
        let mut ring = Ring::default();
        for (seq, ms, bytes) in [(1, 0, 50), (2, 33, 99), (3, 33, 98), (4, 33, 101), (5, 33, 60)] {
            ring.push(Entry { marker: seq == 5, ..entry(seq, ms, bytes) }, false, 90_000, LIMITS);
        }
        let padding: Vec<u8> = (0..5).map(|place| ring.get(place).unwrap().padding).collect();
        assert_eq!(padding, [0, 2, 3, 0, 0], "not the other frame, and not the short end");
    }

    #[test]
    fn packets_are_found_by_number_though_some_never_came_and_some_came_late() {
        let mut ring = Ring::default();
        for (seq, ms) in [(10, 0), (11, 1), (14, 2), (13, 2), (20, 3), (21, 3)] {
            ring.push(entry(seq, ms, 10), seq == 10, 90_000, LIMITS);
        }
        for seq in [10, 11, 13, 14, 20, 21] {
            assert_eq!(ring.find(SeqNo(seq)).map(|entry| entry.seq.0), Some(seq));
        }
        for seq in [0, 9, 12, 15, 22, 1 << 40] {
            assert!(ring.find(SeqNo(seq)).is_none(), "{seq}");
        }
        assert!(Ring::default().find(SeqNo(1)).is_none());
    }
}
