//! The packets of a track, shared by all its viewers: those since its newest key frame, to start with, and those of the
//! last second, for who has not got them yet or has lost them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use media::{Kind, MediaTime, RtpPacket, SeqNo, WallTime};

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

/// A key frame whose first packet was overtaken by more than this is begun in its middle, and repaired.
const FRAME_REACH: u64 = 512;
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
    pub(crate) start: Start,
}

/// What a packet says of the beginning of a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nothing.
    No,
    /// It starts one, but others may come before it that a decoder needs.
    Perhaps,
    /// It is the first that a decoder needs.
    Yes,
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
            start: match packet.codec {
                codec if !packet.key_start || codec.kind() == Kind::Audio => Start::No,
                codec if rtc::begins_key_frame(codec, &packet.payload) => Start::Yes,
                _ => Start::Perhaps,
            },
        }
    }
}

/// The newest key frame.
#[derive(Clone, Copy, Debug)]
struct Key {
    beginning: Beginning,
    /// Bytes since it began.
    bytes: usize,
}

/// Where a viewer may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// Of the packet of the key frame that came first; the one with the first number may have been overtaken.
    pub(crate) place: u64,
    /// Number of its first packet.
    pub(crate) seq: SeqNo,
    pub(crate) time: MediaTime,
}

/// The packets of a track in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    entries: VecDeque<Entry>,
    /// Place of the first entry; places only rise.
    first: u64,
    bytes: usize,
    key: Option<Key>,
    /// A key frame that is newer, and whose first packet is not known yet.
    unclear: Option<Beginning>,
}

/// What adding a packet did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// A key frame is there from its first packet on: a viewer may start with it.
    Key,
    /// The packet belongs to what a viewer may start with.
    Kept,
    /// There is no key frame to start with.
    NoKey,
}

impl Ring {
    /// Adds a packet.
    pub(crate) fn push(&mut self, entry: Entry, rate_hz: u32, limits: Limits) -> Added {
        if self.entries.back().is_some_and(|last| last.seq.0.abs_diff(entry.seq.0) > SEQ_JUMP) {
            (self.key, self.unclear) = (None, None);
        }
        let (newest, ends_frame, start, seq) = (entry.time, entry.marker, entry.start, entry.seq);
        let here = Beginning { place: self.end(), seq, time: newest };
        let bytes = entry.payload.len();
        self.bytes += bytes;
        self.entries.push_back(entry);
        let begins = self.begins(here, start);
        if let Some(key) = &mut self.key {
            key.bytes += if begins { 0 } else { bytes };
            let packets = self.first + self.entries.len() as u64 - key.beginning.place;
            let too_many = key.bytes > limits.bytes_max || packets > PACKETS_MAX as u64;
            if too_many || age(newest, key.beginning.time, rate_hz) > limits.age_max {
                self.key = None;
            }
        }
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

    /// Whether a key frame is there from its first packet on, since this one came.
    fn begins(&mut self, here: Beginning, start: Start) -> bool {
        let is_newer = |known: Option<Beginning>| known.is_none_or(|known| here.time > known.time);
        if start != Start::No && !is_newer(self.key()) {
            return false;
        }
        let mut first = match start {
            Start::Yes => {
                self.begin(here.seq, here.time);
                return true;
            }
            Start::Perhaps if is_newer(self.unclear) => here,
            // What it waited for may have come.
            _ => match self.unclear {
                Some(unclear) if here.seq.0.checked_add(1) == Some(unclear.seq.0) => unclear,
                _ => return false,
            },
        };
        let before = |first: Beginning| self.find(SeqNo(first.seq.0.checked_sub(1)?));
        for _ in 0..REACH {
            match before(first) {
                None => break,
                Some(entry) if entry.time < first.time => {
                    self.begin(first.seq, first.time);
                    return true;
                }
                Some(entry) => first.seq = entry.seq,
            }
        }
        self.unclear = Some(first);
        false
    }

    /// A key frame begins with this number. Packets of it may have overtaken that one.
    fn begin(&mut self, seq: SeqNo, time: MediaTime) {
        let end = self.end();
        let mut beginning = Beginning { place: end, seq, time };
        let (mut bytes, mut since) = (0, 0);
        for (entry, back) in self.entries.iter_mut().rev().zip(1..=FRAME_REACH) {
            since += entry.payload.len();
            if entry.seq == seq {
                // Other shards need not find out once more.
                entry.start = Start::Yes;
            }
            if entry.time == time && entry.seq >= seq {
                (beginning.place, bytes) = (end - back, since);
            }
        }
        self.unclear = self.unclear.filter(|unclear| unclear.time > time);
        self.key = Some(Key { beginning, bytes });
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
        let key_place = self.key.map_or(u64::MAX, |key| key.beginning.place);
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

    /// What follows came after a time in which nothing was taken in: leaves out of it what is here already. Where that does
    /// not reach back to what is here, something is missing between them.
    pub(crate) fn resume(&mut self, entries: &mut Vec<Entry>) {
        if entries.first().is_some_and(|first| self.find(first.seq).is_some()) {
            entries.retain(|entry| self.find(entry.seq).is_none());
        } else {
            (self.key, self.unclear) = (None, None);
        }
    }

    /// The newest key frame.
    pub(crate) fn key(&self) -> Option<Beginning> {
        self.key.map(|key| key.beginning)
    }

    /// The packets since the newest key frame began, to begin another ring with; none where there is no key frame.
    pub(crate) fn since_key(&self) -> Vec<Entry> {
        let place = self.key().and_then(|key| usize::try_from(key.place.checked_sub(self.first)?).ok());
        place.map_or(Vec::new(), |place| self.entries.iter().skip(place).cloned().collect())
    }

    /// Whether a packet that comes next would be the first of a key frame.
    pub(crate) fn would_begin(&self, entry: &Entry) -> bool {
        let before = || self.find(SeqNo(entry.seq.0.checked_sub(1)?));
        match entry.start {
            Start::No => false,
            Start::Yes => true,
            Start::Perhaps => before().is_some_and(|before| before.time < entry.time),
        }
    }

    /// The wall time of the packet that came last.
    pub(crate) fn last_wall(&self) -> Option<WallTime> {
        self.entries.back().map(|entry| entry.wall)
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
        let near = |guess: u64| (0..REACH).find_map(|step| at(guess + step).or_else(|| at(guess.checked_sub(step)?)));
        // Where much was lost, it is further on. Numbers rise but for what was overtaken.
        at(guess).or_else(|| near(self.first + self.entries.partition_point(|entry| entry.seq < seq) as u64))
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
            start: Start::No,
        }
    }

    fn key(seq: u64, ms: i64, bytes: usize) -> Entry {
        Entry { start: Start::Yes, ..entry(seq, ms, bytes) }
    }

    fn perhaps(seq: u64, ms: i64) -> Entry {
        Entry { start: Start::Perhaps, ..entry(seq, ms, 10) }
    }

    fn at(place: u64, seq: u64, ms: i64) -> Option<Beginning> {
        Some(Beginning { place, seq: SeqNo(seq), time: MediaTime(ms * 90) })
    }

    fn push_all(entries: impl IntoIterator<Item = Entry>) -> (Ring, Vec<Added>) {
        let mut ring = Ring::default();
        let added = entries.into_iter().map(|entry| ring.push(entry, 90_000, LIMITS)).collect();
        (ring, added)
    }

    #[test]
    fn a_key_frame_whose_first_packet_was_overtaken_is_begun_with_all_of_it() {
        use Added::{Kept, Key, NoKey};
        let late =
            [entry(1, 0, 10), entry(4, 33, 10), perhaps(3, 33), entry(1, 0, 10), entry(5, 33, 10), key(2, 33, 10)];
        let (ring, added) = push_all(late.clone().into_iter().chain([entry(6, 66, 10)]));
        assert_eq!(
            added,
            [NoKey, NoKey, NoKey, NoKey, NoKey, Key, Kept],
            "not with a slice whose parameters are missing"
        );
        assert_eq!(ring.key(), at(1, 2, 33));
        assert_eq!(ring.since_key().len(), 6, "from the first that came on, whatever its number");
        let (ring, added) = push_all(late.into_iter().chain([key(7, 66, 10), entry(8, 66, 10), perhaps(6, 66)]));
        assert_eq!((added[6], ring.key()), (Key, at(6, 7, 66)), "what is not needed may be missing");
    }

    #[test]
    fn a_key_frame_without_parameter_sets_begins_behind_the_frame_before_it() {
        use Added::{Kept, Key, NoKey};
        let (ring, added) = push_all([entry(1, 0, 10), perhaps(2, 33), entry(3, 33, 10)]);
        assert_eq!((added, ring.key()), (vec![NoKey, Key, Kept], at(1, 2, 33)));
        let (ring, added) = push_all([entry(1, 0, 10), perhaps(4, 33), entry(3, 33, 10), entry(2, 33, 10)]);
        assert_eq!((added, ring.key()), (vec![NoKey, NoKey, NoKey, Key], at(1, 2, 33)), "with what is before it");
        let (ring, _) = push_all([key(1, 0, 10), perhaps(4, 33), entry(5, 33, 10), entry(3, 33, 10)]);
        assert_eq!(ring.key(), at(0, 1, 0), "the last key frame is as good while a packet is missing");
        let (ring, added) = push_all([perhaps(2, 0), entry(3, 33, 10), perhaps(4, 66)]);
        assert_eq!((added, ring.key()), (vec![NoKey, NoKey, Key], at(2, 4, 66)), "not where a source begins");
    }

    #[test]
    fn keeps_the_newest_key_frame_and_what_was_before_it_for_a_while() {
        let mut ring = Ring::default();
        assert_eq!(ring.push(entry(1, 0, 10), 90_000, LIMITS), Added::NoKey);
        assert_eq!(ring.push(key(2, 33, 10), 90_000, LIMITS), Added::Key);
        assert_eq!(ring.push(key(3, 33, 10), 90_000, LIMITS), Added::Kept, "another slice of the same key frame");
        assert_eq!(ring.push(entry(4, 66, 10), 90_000, LIMITS), Added::Kept);
        assert_eq!((ring.start(), ring.end(), ring.key()), (0, 4, at(1, 2, 33)));
        assert_eq!(ring.push(key(5, 100, 10), 90_000, LIMITS), Added::Key);
        assert_eq!(ring.key(), at(4, 5, 100));
        assert!(ring.get(0).is_some(), "what came before may still be asked for");
        ring.push(entry(6, 1_600, 10), 90_000, LIMITS);
        assert_eq!((ring.start(), ring.end()), (4, 6), "and is forgotten when it is old, but never the key frame");
        assert!(ring.get(3).is_none());
        assert_eq!(ring.get(4).unwrap().seq, SeqNo(5));
    }

    #[test]
    fn is_bounded_in_time_and_bytes_and_begins_again_with_the_next_key_frame() {
        let mut ring = Ring::default();
        ring.push(key(1, 0, 10), 90_000, LIMITS);
        assert_eq!(ring.push(entry(2, 3_001, 10), 90_000, LIMITS), Added::NoKey, "too old");
        assert_eq!((ring.key(), ring.start()), (None, 1));
        assert_eq!(ring.push(entry(3, 3_033, 10), 90_000, LIMITS), Added::NoKey);
        ring.push(key(4, 3_066, 600), 90_000, LIMITS);
        assert_eq!(ring.push(entry(5, 3_066, 600), 90_000, LIMITS), Added::NoKey, "too many bytes");
        assert_eq!(ring.push(key(6, 4_000, 10), 90_000, LIMITS), Added::Key);
        let bytes: usize = (ring.start()..ring.end()).map(|place| ring.get(place).unwrap().payload.len()).sum();
        assert_eq!(ring.bytes, bytes);
    }

    #[test]
    fn a_key_frame_before_a_long_gap_is_nothing_to_begin_with() {
        let mut ring = Ring::default();
        ring.push(key(10, 0, 10), 90_000, LIMITS);
        assert_eq!(ring.push(entry(10 + SEQ_JUMP, 33, 10), 90_000, LIMITS), Added::Kept);
        assert_eq!(ring.push(entry(11 + 2 * SEQ_JUMP, 66, 10), 90_000, LIMITS), Added::NoKey);
        assert_eq!(ring.push(key(12 + 2 * SEQ_JUMP, 99, 10), 90_000, LIMITS), Added::Key);
    }

    #[test]
    fn what_comes_again_after_a_while_is_taken_once_and_hides_no_gap() {
        let shared = [key(1, 0, 10), entry(2, 33, 10), entry(3, 66, 10)];
        let (mut ring, _) = push_all(shared.clone());
        let mut again: Vec<_> = shared.into_iter().chain([entry(4, 99, 10)]).collect();
        ring.resume(&mut again);
        assert_eq!(again.iter().map(|entry| entry.seq.0).collect::<Vec<_>>(), [4]);
        assert_eq!(ring.key(), at(0, 1, 0), "the key frame goes on");
        let mut later = vec![key(9, 300, 10), entry(10, 333, 10)];
        ring.resume(&mut later);
        assert_eq!((later.len(), ring.key()), (2, None), "what is between them never came here");
        ring.resume(&mut Vec::new());
        assert_eq!(ring.key(), None);
    }

    #[test]
    fn a_slice_would_begin_a_key_frame_where_the_frame_before_it_is_there() {
        let (ring, _) = push_all([entry(1, 0, 10), entry(2, 33, 10)]);
        assert!(ring.would_begin(&key(9, 99, 10)) && ring.would_begin(&perhaps(3, 66)));
        assert!(!ring.would_begin(&perhaps(3, 33)), "its parameter sets are before it");
        assert!(!ring.would_begin(&perhaps(5, 99)), "what is before it never came");
        assert!(!ring.would_begin(&entry(3, 66, 10)));
    }

    #[test]
    fn packets_of_a_frame_that_is_split_evenly_are_made_equally_long() {
        let mut ring = Ring::default();
        for (seq, ms, bytes) in [(1, 0, 50), (2, 33, 99), (3, 33, 98), (4, 33, 101), (5, 33, 60)] {
            ring.push(Entry { marker: seq == 5, ..entry(seq, ms, bytes) }, 90_000, LIMITS);
        }
        let padding: Vec<u8> = (0..5).map(|place| ring.get(place).unwrap().padding).collect();
        assert_eq!(padding, [0, 2, 3, 0, 0], "not the other frame, and not the short end");
    }

    #[test]
    fn packets_are_found_by_number_though_some_never_came_and_some_came_late() {
        let mut ring = Ring::default();
        for (seq, ms) in [(10, 0), (11, 1), (14, 2), (13, 2), (20, 3), (21, 3)] {
            ring.push(if seq == 10 { key(seq, ms, 10) } else { entry(seq, ms, 10) }, 90_000, LIMITS);
        }
        for seq in [10, 11, 13, 14, 20, 21] {
            assert_eq!(ring.find(SeqNo(seq)).map(|entry| entry.seq.0), Some(seq));
        }
        for seq in [0, 9, 12, 15, 22, 1 << 40] {
            assert!(ring.find(SeqNo(seq)).is_none(), "{seq}");
        }
        assert!(Ring::default().find(SeqNo(1)).is_none());
    }

    #[test]
    fn packets_from_before_an_outage_are_found() {
        // 200 never came, and of those behind them the first were repaired on their way to us.
        let order = (500..1_100).chain(1_340..1_380).chain(1_300..1_340).chain(1_380..1_500);
        let (ring, _) = push_all(order.clone().map(|seq| if seq == 500 { key(seq, 0, 1) } else { entry(seq, 0, 1) }));
        for seq in order {
            assert_eq!(ring.find(SeqNo(seq)).map(|entry| entry.seq.0), Some(seq));
        }
        assert!((1_100..1_300).all(|seq| ring.find(SeqNo(seq)).is_none()));
    }
}
