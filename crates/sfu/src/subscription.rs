//! One viewer of one track: where it is in the ring, and how its numbers differ from the track's.

use std::time::{Duration, Instant};

use media::{Codec, Kind, MediaTime, WallTime};
use rtc::{Leg, NotSent, Outgoing};

use crate::{
    ring::{Entry, Ring},
    shard::LegId,
    stats::Drop,
};

/// Sequence numbers towards viewers begin here: far enough from 0 that a late packet from before the first has a number.
const SEQ_FIRST: u64 = 1_024;
/// A source that jumps by more sequence numbers than this has begun anew; the viewer is not told of a gap.
const SEQ_JUMP: u64 = 512;
/// Packets of a backlog that go out in one tick of a millisecond: some 150 Mbit/s.
const BURST: usize = 16;
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
    Behind(u64),
    /// Packets are forwarded as they come.
    Live,
}

/// How sequence numbers of the track become those of the viewer.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    source: u64,
    viewer: u64,
    highest_source: u64,
    highest_viewer: u64,
}

/// One viewer of one track.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) leg: LegId,
    kind: Kind,
    codec: Codec,
    rate_hz: u32,
    state: State,
    numbers: Option<Numbers>,
    renumber: bool,
    from: MediaTime,
    squeeze: Option<Squeeze>,
    replayed: Option<Instant>,
}

impl Subscription {
    pub(crate) fn new(leg: LegId, codec: Codec) -> Self {
        let (kind, rate_hz) = (codec.kind(), rtp_rate_hz(codec));
        Self {
            leg,
            kind,
            codec,
            rate_hz,
            state: State::Waiting,
            numbers: None,
            renumber: false,
            from: MediaTime(i64::MIN),
            squeeze: None,
            replayed: None,
        }
    }

    /// Whether it waits for a key frame.
    pub(crate) fn waits(&self) -> bool {
        self.state == State::Waiting
    }

    /// Whether it has a backlog to send.
    pub(crate) fn is_behind(&self) -> bool {
        matches!(self.state, State::Behind(_))
    }

    /// Begins with the next packet.
    pub(crate) fn start_live(&mut self) {
        self.state = State::Live;
    }

    /// Begins with the key frame of the ring, squeezed so that its last frame has its true time. False where the ring
    /// has none.
    pub(crate) fn start_from(&mut self, ring: &Ring) -> bool {
        let (Some(from), Some(to)) = (ring.key(), ring.newest()) else { return false };
        let ticks = (to - from) / SQUEEZE;
        self.squeeze = Some(Squeeze { from, to, base: to + -ticks, ticks });
        self.begin_at(ring, from);
        true
    }

    /// Plays the ring once more between the last frame and the next, for a viewer that lost its picture of a source that
    /// cannot be asked for a key frame. False where it may not.
    pub(crate) fn replay(&mut self, ring: &Ring, now: Instant) -> bool {
        let (Some(from), Some(to)) = (ring.key(), ring.newest()) else { return false };
        let early = self.replayed.is_some_and(|at| now.saturating_duration_since(at) < REPLAY_INTERVAL);
        if early || self.state != State::Live {
            return false;
        }
        self.replayed = Some(now);
        self.squeeze = Some(Squeeze { from, to, base: to + 1, ticks: REPLAY_TICKS });
        self.begin_at(ring, from);
        true
    }

    fn begin_at(&mut self, ring: &Ring, from: MediaTime) {
        self.state = State::Behind(ring.start());
        self.from = from;
        self.renumber = true;
    }

    /// A packet came into the track: it goes out at once to a viewer that is live.
    pub(crate) fn live(&mut self, entry: &Entry, leg: &mut Leg, now: Instant) -> Result<bool, Drop> {
        if self.state == State::Live { self.send(entry, leg, now).map(|()| true) } else { Ok(false) }
    }

    /// Begins live with this packet, which begins a key frame.
    pub(crate) fn begin_with(&mut self, entry: &Entry) {
        self.state = State::Live;
        self.from = entry.time;
        self.squeeze = None;
        self.renumber = true;
    }

    /// Sends the next part of the backlog. `jumped` is set where the ring had gone on without it.
    pub(crate) fn catch_up(&mut self, ring: &Ring, leg: &mut Leg, now: Instant, count: &mut CatchUp) {
        for _ in 0..BURST {
            let State::Behind(place) = self.state else { return };
            if place < ring.start() {
                count.jumped += 1;
                if !self.start_from(ring) {
                    self.state = State::Waiting;
                    return;
                }
                continue;
            }
            let Some(entry) = ring.get(place) else {
                self.state = State::Live;
                return;
            };
            match self.send(entry, leg, now) {
                Ok(()) => count.sent += 1,
                Err(reason) => count.dropped.push(reason),
            }
            self.state = State::Behind(place + 1);
        }
        if self.state == State::Behind(ring.end()) {
            self.state = State::Live;
        }
    }

    fn send(&mut self, entry: &Entry, leg: &mut Leg, now: Instant) -> Result<(), Drop> {
        if entry.time < self.from {
            return Err(Drop::BeforeStart);
        }
        let seq = self.number(entry.seq.0).ok_or(Drop::BeforeStart)?;
        let time = self
            .squeeze
            .filter(|squeeze| entry.time <= squeeze.to)
            .map_or(entry.time, |squeeze| squeeze.map(entry.time));
        let shift_us = MediaTime(time - entry.time).as_micros(self.rate_hz);
        let outgoing = Outgoing {
            codec: self.codec,
            seq,
            time: time.0 as u32,
            wall: WallTime(entry.wall.0.saturating_add(shift_us)),
            marker: entry.marker,
            payload: &entry.payload,
            audio_level: entry.audio_level,
        };
        leg.send(now, self.kind, outgoing).map_err(|error| match error {
            NotSent::NotConnected => Drop::NotConnected,
            NotSent::NotNegotiated => Drop::NotNegotiated,
            NotSent::TooLong => Drop::TooLong,
        })
    }

    /// The viewer's sequence number of a packet; `None` for one from before its start.
    fn number(&mut self, source: u64) -> Option<u64> {
        let fresh = |viewer| Numbers { source, viewer, highest_source: source, highest_viewer: viewer };
        let renumber = std::mem::take(&mut self.renumber);
        let numbers = match &mut self.numbers {
            None => self.numbers.insert(fresh(SEQ_FIRST)),
            Some(numbers) => {
                let jumped = numbers.highest_source.abs_diff(source) > SEQ_JUMP;
                if renumber || jumped {
                    *numbers = fresh(numbers.highest_viewer + 1);
                }
                numbers
            }
        };
        let viewer = numbers.viewer.checked_add(source)?.checked_sub(numbers.source)?;
        numbers.highest_source = numbers.highest_source.max(source);
        numbers.highest_viewer = numbers.highest_viewer.max(viewer);
        Some(viewer)
    }
}

/// What catching up did.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    pub(crate) sent: u64,
    pub(crate) jumped: u64,
    pub(crate) dropped: smallvec::SmallVec<[Drop; 4]>,
}

/// Ticks a second of a codec's RTP clock.
pub(crate) fn rtp_rate_hz(codec: Codec) -> u32 {
    if codec.kind() == Kind::Audio { 48_000 } else { 90_000 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subscription() -> Subscription {
        Subscription::new(LegId(1), Codec::H264)
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
        one.renumber = true;
        assert_eq!(one.number(2), Some(SEQ_FIRST + 5), "a replay goes on where the viewer is");
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
