//! One viewer of one track: where it is in the ring, and how its numbers differ from the track's.

use std::time::{Duration, Instant};

use media::{Codec, Kind, MediaTime, SeqNo, WallTime};
use rtc::{Batch, Leg, NotSent, Outgoing};
use smallvec::SmallVec;

use crate::{
    ring::{Beginning, Entry, Ring, SEQ_JUMP},
    shard::TrackKey,
    stats::Drop,
};

/// Sequence numbers towards viewers begin here: far enough from 0 that a late packet from before the first has a number.
const SEQ_FIRST: u64 = 1_024;
/// Packets of a backlog that go out in one tick of a millisecond: some 150 Mbit/s.
const BURST: usize = 16;
/// Packets that go to one viewer at once at most; what is left goes with the next tick.
const LIVE_MAX: usize = 256;
/// Stretches of numbers that are remembered for repairs.
const STRETCHES_MAX: usize = 4;
/// The backlog is played this many times faster than it was made: 10 s in 160 ms.
const SQUEEZE: i64 = 64;
/// A replay after a loss is squeezed between two frames: into so many ticks of the RTP clock, half a frame at 60 Hz.
const REPLAY_TICKS: i64 = 750;
/// A viewer gets one replay in this time.
const REPLAY_INTERVAL: Duration = Duration::from_secs(1);

/// A stretch of the track's time that is played in less time.
#[derive(Clone, Copy, Debug)]
struct Squeeze {
    from: MediaTime,
    to: MediaTime,
    base: MediaTime,
    ticks: i64,
}

impl Squeeze {
    fn map(&self, time: MediaTime) -> MediaTime {
        let length = (self.to - self.from).max(1);
        let into = i128::from((time - self.from).max(0)) * i128::from(self.ticks) / i128::from(length);
        self.base + i64::try_from(into).unwrap_or(0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not connected yet, or waiting for a key frame.
    Waiting,
    /// The packet at this place of the ring is next.
    At(u64),
}

/// A stretch of the viewer's sequence numbers, and how those of the track become them.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// The viewer's first.
    first: u64,
    /// The viewer's less the track's.
    shift: i64,
    squeeze: Option<Squeeze>,
}

/// One viewer of one track.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) track: TrackKey,
    pub(crate) codec: Codec,
    rate_hz: u32,
    state: State,
    /// It has a backlog to catch up with, which goes out in small parts.
    behind: bool,
    /// The track's number with which it begins anew.
    renumber: Option<SeqNo>,
    from: MediaTime,
    squeeze: Option<Squeeze>,
    /// The newest last. Repairs look further back than the newest.
    stretches: SmallVec<[Stretch; 2]>,
    highest_source: u64,
    highest_viewer: u64,
    /// When it was played the ring once more, and up to where.
    replayed: Option<(Instant, MediaTime)>,
    /// Where the peer is with another track of this kind, which this one goes on from; until it has.
    after: Option<Ending>,
    /// It went on from another: numbers before its own are not its own.
    goes_on: bool,
    /// What is added to times, so that they go on.
    offset: i64,
    /// The latest time that was sent, and when.
    latest: Option<(MediaTime, Instant)>,
}

/// Where the numbers and times of a peer are when it gets no more of a track: those of the next track of this kind go on
/// from here. A number that is used twice would be encrypted twice with one nonce, and times that go back freeze players.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) number: u64,
    time: MediaTime,
    at: Instant,
}

impl Subscription {
    /// A viewer of a track, which goes on where another of this kind ended.
    pub(crate) fn new(track: TrackKey, codec: Codec, after: Option<Ending>) -> Self {
        Self {
            track,
            codec,
            rate_hz: rtp_rate_hz(codec),
            state: State::Waiting,
            behind: false,
            renumber: None,
            from: MediaTime(i64::MIN),
            squeeze: None,
            stretches: SmallVec::new(),
            highest_source: 0,
            highest_viewer: after.map_or(0, |after| after.number),
            replayed: None,
            after,
            goes_on: after.is_some(),
            offset: 0,
            latest: None,
        }
    }

    /// Where another track goes on.
    pub(crate) fn ending(&self) -> Option<Ending> {
        let latest = self.latest.map(|(time, at)| Ending { number: self.highest_viewer, time, at });
        latest.or(self.after)
    }

    /// Whether it waits for a key frame.
    pub(crate) fn waits(&self) -> bool {
        self.state == State::Waiting
    }

    /// Whether there is something that it has not got yet.
    pub(crate) fn has_unsent(&self, ring: &Ring) -> bool {
        matches!(self.state, State::At(place) if place < ring.end())
    }

    /// Begins with the next packet.
    pub(crate) fn start_live(&mut self, ring: &Ring) {
        self.state = State::At(ring.end());
    }

    /// Begins with the key frame of the ring, squeezed so that its last frame has its true time. False where the ring
    /// has none.
    pub(crate) fn start_from(&mut self, ring: &Ring) -> bool {
        let (Some(beginning), Some(to)) = (ring.key(), ring.newest()) else { return false };
        let from = beginning.time;
        let base = to + -((to - from) / SQUEEZE);
        let base = self.played().map_or(base, |played| base.max(played + 1));
        self.begin_at(beginning, Some(Squeeze { from, to, base, ticks: (to - base).max(0) }));
        true
    }

    /// Plays the ring once more between the last frame and the next, for a viewer that lost its picture of a source that
    /// cannot be asked for a key frame. False where it may not.
    pub(crate) fn replay(&mut self, ring: &Ring, now: Instant) -> bool {
        let (Some(beginning), Some(to)) = (ring.key(), ring.newest()) else { return false };
        // Where nothing came since the last replay, there is no time left to play it in.
        let early =
            self.replayed.is_some_and(|(at, up_to)| now.saturating_duration_since(at) < REPLAY_INTERVAL || to <= up_to);
        if early || self.waits() || self.behind {
            return false;
        }
        self.replayed = Some((now, to));
        let squeeze = Squeeze { from: beginning.time, to, base: to + 1, ticks: REPLAY_TICKS };
        self.begin_at(beginning, Some(squeeze));
        true
    }

    /// Begins live with the key frame that the ring has now. Where it is older than what the viewer was sent last, since its
    /// first packet came late, it is squeezed: times that go back freeze players.
    pub(crate) fn begin_live(&mut self, ring: &Ring) {
        let Some(beginning) = ring.key() else { return };
        if self.played().is_some_and(|played| played >= beginning.time) {
            self.start_from(ring);
        } else {
            self.begin_at(beginning, None);
        }
        self.behind = false;
    }

    /// The latest time that the viewer was sent, by the track's clock.
    fn played(&self) -> Option<MediaTime> {
        self.latest.map(|(time, _)| time + -self.offset)
    }

    fn begin_at(&mut self, beginning: Beginning, squeeze: Option<Squeeze>) {
        self.state = State::At(beginning.place);
        self.behind = true;
        self.from = beginning.time;
        self.squeeze = squeeze;
        self.renumber = Some(beginning.seq);
    }

    /// Sends what the viewer has not got yet, as much as may go at once.
    pub(crate) fn write(&mut self, ring: &Ring, leg: &mut Leg, now: Instant, out: &mut Batch, done: &mut Written) {
        let State::At(mut place) = self.state else { return };
        if place < ring.start() {
            done.jumped += 1;
            if !self.start_from(ring) {
                self.state = State::Waiting;
                return;
            }
            let State::At(start) = self.state else { return };
            place = start;
        }
        let most = if self.behind { BURST } else { LIVE_MAX };
        // Sound is little, and is missed at once: it passes, and what it takes is taken from the picture.
        let mut allowance = if self.codec.kind() == Kind::Audio { usize::MAX } else { leg.allowance(now) };
        for _ in 0..most {
            let Some(entry) = ring.get(place) else { break };
            if self.has_lost_its_place(entry) {
                // What the pictures behind a long gap refer to is lost, and players would not see the gap.
                done.jumped += 1;
                if !self.start_from(ring) {
                    self.state = State::Waiting;
                }
                return;
            }
            if entry.payload.len() > allowance {
                break;
            }
            match self.send(entry, leg, now, out) {
                Ok(()) => {
                    allowance -= entry.payload.len();
                    done.sent += 1;
                }
                Err(reason) => done.dropped.push(reason),
            }
            place += 1;
        }
        self.state = State::At(place);
        self.behind &= place < ring.end();
    }

    /// Sends a packet once more that the viewer misses, by the number that it had for the viewer.
    pub(crate) fn repair(
        &self,
        ring: &Ring,
        number: u16,
        leg: &mut Leg,
        now: Instant,
        out: &mut Batch,
    ) -> Result<(), Drop> {
        let seq = SeqNo(self.highest_viewer).extend(number).0;
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.first <= seq).or(self.stretches.first());
        let own = |stretch: &&Stretch| seq <= self.highest_viewer && !(self.goes_on && seq < stretch.first);
        let stretch = stretch.filter(own).ok_or(Drop::NotRepairable)?;
        let source = seq.checked_add_signed(-stretch.shift).ok_or(Drop::NotRepairable)?;
        let entry = ring.find(SeqNo(source)).ok_or(Drop::NotRepairable)?;
        leg.resend(now, self.codec.kind(), self.outgoing(entry, seq, stretch.squeeze), out).map_err(why)
    }

    fn send(&mut self, entry: &Entry, leg: &mut Leg, now: Instant, out: &mut Batch) -> Result<(), Drop> {
        if entry.time < self.from {
            return Err(Drop::BeforeStart);
        }
        let seq = self.number(entry.seq.0).ok_or(Drop::BeforeStart)?;
        let time = self.squeezed(entry.time, self.squeeze);
        if let Some(after) = self.after.take() {
            let passed = now.saturating_duration_since(after.at).as_micros() * u128::from(self.rate_hz) / 1_000_000;
            let passed = i64::try_from(passed).unwrap_or(0).max(1);
            self.offset = after.time + passed - time;
        }
        let time = time + self.offset;
        self.latest = Some((self.latest.map_or(time, |(latest, _)| latest.max(time)), now));
        leg.send(now, self.codec.kind(), self.outgoing(entry, seq, self.squeeze), out).map_err(why)
    }

    fn squeezed(&self, time: MediaTime, squeeze: Option<Squeeze>) -> MediaTime {
        squeeze.filter(|squeeze| time <= squeeze.to).map_or(time, |squeeze| squeeze.map(time))
    }

    /// Whether so much is missing before a packet that it begins anew, and a picture cannot be made of what follows.
    fn has_lost_its_place(&self, entry: &Entry) -> bool {
        let goes_on = !self.stretches.is_empty() && self.renumber.is_none() && self.codec.kind() == Kind::Video;
        goes_on && self.highest_source.abs_diff(entry.seq.0) > SEQ_JUMP
    }

    fn outgoing<'a>(&self, entry: &'a Entry, seq: u64, squeeze: Option<Squeeze>) -> Outgoing<'a> {
        let time = self.squeezed(entry.time, squeeze);
        let shift_us = MediaTime(time - entry.time).as_micros(self.rate_hz);
        Outgoing {
            codec: self.codec,
            seq,
            time: (time + self.offset).0 as u32,
            wall: WallTime(entry.wall.0.saturating_add(shift_us)),
            marker: entry.marker,
            payload: &entry.payload,
            padding: entry.padding,
            audio_level: entry.audio_level,
        }
    }

    /// The viewer's sequence number of a packet; `None` for one from before its start.
    fn number(&mut self, source: u64) -> Option<u64> {
        let begins = self.renumber.take();
        let jumped = self.highest_source.abs_diff(source) > SEQ_JUMP;
        if self.stretches.is_empty() || begins.is_some() || jumped {
            // Where the first packet was overtaken on its way to us, its number is kept for it.
            let begins = begins.map_or(source, |begins| begins.0);
            let origin = if begins.abs_diff(source) > SEQ_JUMP { source } else { begins };
            let first = match (self.stretches.is_empty(), self.after) {
                (true, None) => SEQ_FIRST,
                (true, Some(after)) => after.number + 1,
                (false, _) => self.highest_viewer + 1,
            };
            if self.stretches.len() >= STRETCHES_MAX {
                self.stretches.remove(0);
            }
            let shift = first.cast_signed().checked_sub(i64::try_from(origin).ok()?)?;
            self.stretches.push(Stretch { first, shift, squeeze: self.squeeze });
            (self.highest_source, self.highest_viewer) = (origin, first);
        }
        let stretch = self.stretches.last()?;
        let viewer = source.checked_add_signed(stretch.shift)?;
        if viewer < stretch.first && (self.stretches.len() > 1 || stretch.first > SEQ_FIRST) {
            // It came late, from before a new beginning. Its number has been used, and with it its place in the cipher.
            return None;
        }
        self.highest_source = self.highest_source.max(source);
        self.highest_viewer = self.highest_viewer.max(viewer);
        Some(viewer)
    }
}

fn why(error: NotSent) -> Drop {
    match error {
        NotSent::NotConnected => Drop::NotConnected,
        NotSent::NotNegotiated => Drop::NotNegotiated,
        NotSent::TooLong => Drop::TooLong,
        NotSent::Twice | NotSent::TooMany => Drop::NotRepairable,
    }
}

/// What sending to a viewer did.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) sent: u64,
    pub(crate) jumped: u64,
    pub(crate) dropped: SmallVec<[Drop; 4]>,
}

/// Ticks a second of a codec's RTP clock.
pub(crate) fn rtp_rate_hz(codec: Codec) -> u32 {
    if codec.kind() == Kind::Audio { 48_000 } else { 90_000 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Start;
    use proptest::prelude::*;

    fn subscription() -> Subscription {
        Subscription::new(TrackKey(1), Codec::H264, None)
    }

    fn entry() -> Entry {
        Entry {
            seq: SeqNo(0),
            time: MediaTime(0),
            wall: WallTime(0),
            marker: true,
            audio_level: None,
            payload: [0; 10].into(),
            padding: 0,
            start: Start::No,
        }
    }

    #[test]
    fn numbers_are_continuous_and_late_packets_keep_their_place() {
        let mut one = subscription();
        assert_eq!(one.number(70_000), Some(SEQ_FIRST));
        assert_eq!(one.number(70_002), Some(SEQ_FIRST + 2));
        assert_eq!(one.number(70_001), Some(SEQ_FIRST + 1), "late");
        assert_eq!(one.number(69_999), Some(SEQ_FIRST - 1), "from before the first");
        assert_eq!(one.number(3), Some(SEQ_FIRST + 3), "a source that begins anew leaves no gap");
        assert_eq!(one.number(4), Some(SEQ_FIRST + 4));
        one.renumber = Some(SeqNo(2));
        assert_eq!(one.number(2), Some(SEQ_FIRST + 5), "a replay goes on where the viewer is");
    }

    #[test]
    fn a_key_frame_from_before_what_was_played_takes_nobody_back() {
        let mut ring = Ring::default();
        let limits = crate::ring::Limits { age_max: Duration::from_secs(3), bytes_max: 1_000 };
        for (seq, time, start) in [(1, 0, Start::No), (2, 3_000, Start::Yes), (3, 6_000, Start::No)] {
            ring.push(Entry { seq: SeqNo(seq), time: MediaTime(time), start, ..entry() }, 90_000, limits);
        }
        let times = |played: Option<i64>| {
            let mut one = subscription();
            one.latest = played.map(|played| (MediaTime(played), Instant::now()));
            one.begin_live(&ring);
            [3_000, 6_000, 9_000].map(|time| one.squeezed(MediaTime(time), one.squeeze).0)
        };
        assert_eq!(times(None), [3_000, 6_000, 9_000]);
        assert_eq!(times(Some(2_999)), [3_000, 6_000, 9_000]);
        assert_eq!(times(Some(3_500)), [5_954, 6_000, 9_000], "it goes on near the live edge");
        assert_eq!(times(Some(5_990)), [5_991, 6_000, 9_000]);
        assert_eq!(times(Some(6_700)), [6_701, 6_701, 9_000], "behind a replay");
    }

    #[test]
    fn another_track_goes_on_where_the_last_one_ended() {
        let mut one = subscription();
        assert_eq!(one.number(70_000), Some(SEQ_FIRST));
        assert!(one.ending().is_none(), "nothing was sent");
        one.latest = Some((MediaTime(9_000), Instant::now()));
        let mut two = Subscription::new(TrackKey(2), Codec::H264, one.ending());
        assert_eq!(two.ending().map(|ending| ending.number), Some(SEQ_FIRST), "it has not begun either");
        assert_eq!(two.number(5), Some(SEQ_FIRST + 1));
        assert_eq!(two.number(4), None, "what is late would get a number of the first track");
        assert_eq!(two.number(6), Some(SEQ_FIRST + 2));
    }

    proptest! {
        #[test]
        fn a_squeeze_keeps_the_order_and_ends_at_its_end(from in 0i64..1 << 40, length in 1i64..900_000, a in 0i64..900_000, b in 0i64..900_000) {
            let (from, to) = (MediaTime(from), MediaTime(from + length));
            let ticks = length / SQUEEZE;
            let squeeze = Squeeze { from, to, base: to + -ticks, ticks };
            prop_assert_eq!(squeeze.map(to), to);
            let (a, b) = (a.min(length), b.min(length));
            prop_assert_eq!(a.cmp(&b).is_le() || squeeze.map(from + a) >= squeeze.map(from + b), true);
            prop_assert!(a > b || squeeze.map(from + a) <= squeeze.map(from + b));
        }
    }
}
