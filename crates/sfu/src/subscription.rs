//! One viewer of one track: which layer it gets, where it is in the ring, and how its numbers differ from the track's.

use std::time::{Duration, Instant};

use media::{Codec, Kind, MediaTime, SeqNo, WallTime};
use rtc::{
    Batch, Leg, NotSent, Outgoing,
    bandwidth::{Rising, choose_layer, wanted_bps},
};
use smallvec::SmallVec;

use crate::{
    layers::{Layers, Ranked},
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
/// A viewer that gets another layer begins with a key frame of it that is no further behind what it has got, in microseconds.
const BEHIND_MAX_US: i64 = 300_000;
/// A picture whose end does not come is given up for another layer after this long, in microseconds.
const UNFINISHED_US: i64 = 200_000;
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
    /// What is added to times.
    offset: i64,
    layer: usize,
}

/// One viewer of one track.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) track: TrackKey,
    pub(crate) codec: Codec,
    rate_hz: u32,
    layer: usize,
    /// The layer that it gets from its next key frame on.
    wanted: usize,
    rising: Rising,
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
    /// The latest time that was sent, when, and the wall time of it.
    latest: Option<(MediaTime, Instant, WallTime)>,
    /// The time of the picture of which something was sent, but not the end.
    unfinished: Option<MediaTime>,
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
            layer: 0,
            wanted: 0,
            rising: Rising::default(),
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
            unfinished: None,
        }
    }

    /// Where another track goes on.
    pub(crate) fn ending(&self) -> Option<Ending> {
        let latest = self.latest.map(|(time, at, _)| Ending { number: self.highest_viewer, time, at });
        latest.or(self.after)
    }

    /// Whether it waits for a key frame.
    pub(crate) fn waits(&self) -> bool {
        self.state == State::Waiting
    }

    /// The layer that it gets.
    pub(crate) fn layer(&self) -> usize {
        self.layer
    }

    /// The layer that it gets from its next key frame on.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    /// The layer that it waits for a key frame of.
    pub(crate) fn awaits(&self) -> Option<usize> {
        (self.waits() || self.wanted != self.layer).then_some(self.wanted)
    }

    /// Chooses the layer by what fits to the viewer, of those that it may get. `beside_bps` is what else goes to it.
    pub(crate) fn choose(&mut self, ranked: &Ranked, leg: &mut Leg, beside_bps: u64, now: Instant) {
        let Some(top) = ranked.len().checked_sub(1) else { return };
        let rates: SmallVec<[u64; 4]> = ranked.iter().map(|(_, bps)| *bps).collect();
        let current = ranked.iter().position(|(place, _)| *place == self.wanted);
        let fits = leg.estimate_bps().map(|bps| bps.saturating_sub(beside_bps));
        let proven = leg.proven_bps(now).map(|bps| bps.saturating_sub(beside_bps));
        let chosen = fits.map_or(top, |fits| {
            // Whoever has got nothing yet, or whose layer has ended, gets what fits at once.
            let current = current.filter(|_| self.latest.is_some()).unwrap_or(top);
            choose_layer(&mut self.rising, now, fits, proven, current, &rates)
        });
        self.wanted = ranked.get(chosen).map_or(self.wanted, |(place, _)| *place);
        leg.want(wanted_bps(chosen, &rates).map(|bps| bps.saturating_add(beside_bps)));
    }

    /// Whether there is something that it has not got yet.
    pub(crate) fn has_unsent(&self, layers: &Layers) -> bool {
        matches!(self.state, State::At(place) if layers.ring(self.layer).is_some_and(|ring| place < ring.end()))
    }

    /// Begins with the next packet.
    pub(crate) fn start_live(&mut self, ring: &Ring) {
        self.state = State::At(ring.end());
    }

    /// Begins with the key frame that is kept of the wanted layer, or of a lower one, squeezed so that its last frame has
    /// its true time. False where there is none.
    pub(crate) fn start_from(&mut self, layers: &Layers) -> bool {
        let places = (0..layers.len()).filter(|place| layers.is_within(*place, self.wanted));
        let has_key = |place: &usize| layers.has_beginning(*place);
        // The wanted one is within itself; of the others any, since it is for a moment only.
        let place = Some(self.wanted).filter(has_key).or_else(|| places.rev().find(has_key));
        place.is_some_and(|place| self.begin_with_key(place, layers))
    }

    /// Begins with the key frame of a ring: the same or another layer's.
    fn begin_with_key(&mut self, layer: usize, layers: &Layers) -> bool {
        let Some(ring) = layers.ring(layer) else { return false };
        let (Some(beginning), Some(to)) = (ring.key(), ring.newest()) else { return false };
        self.turn_to(layer, ring, beginning);
        let floor = self.played().map(|played| played + 1);
        self.begin_at(beginning, Some(squeezed_from(beginning.time, to, floor)));
        true
    }

    /// Whether a viewer that waits may begin with a key frame of this layer.
    pub(crate) fn may_begin(&self, layer: usize, layers: &Layers) -> bool {
        self.waits() && layers.is_within(layer, self.wanted)
    }

    /// The times of another layer go on from those of the last, by the wall clock that they share.
    fn turn_to(&mut self, layer: usize, ring: &Ring, beginning: Beginning) {
        let other = std::mem::replace(&mut self.layer, layer) != layer;
        let Some((time, _, wall)) = self.latest.filter(|_| other) else { return };
        let key_wall = ring.get(beginning.place).map_or(wall, |entry| entry.wall);
        self.offset = (time + ticks(key_wall - wall, self.rate_hz)) - beginning.time;
    }

    /// Goes over to the wanted layer, where a key frame of it is there: true where it did. The picture that goes out is
    /// finished first.
    fn turn(&mut self, layers: &Layers, leg: &mut Leg, now: Instant, out: &mut Batch, done: &mut Written) -> bool {
        let ring = layers.ring(self.wanted).filter(|_| self.wanted != self.layer);
        let Some(key) = ring.and_then(|ring| ring.get(ring.key()?.place)) else { return false };
        if self.latest.is_some_and(|(_, _, wall)| wall - key.wall > BEHIND_MAX_US) {
            return false;
        }
        let key_wall = key.wall;
        if let (Some(time), Some(old)) = (self.unfinished, layers.ring(self.layer)) {
            self.write_while(old, leg, now, out, done, |entry| entry.time == time);
            let next = if let State::At(place) = self.state { old.get(place) } else { None };
            let ends = next.is_some_and(|entry| entry.time != time);
            let overdue = self.latest.is_none_or(|(_, _, wall)| key_wall - wall > UNFINISHED_US);
            if self.unfinished.is_some() && !ends && !(next.is_none() && overdue) {
                return false;
            }
        }
        done.turned += 1;
        self.unfinished = None;
        self.begin_with_key(self.wanted, layers)
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

    /// Begins live with the key frame that the layer has now. Where it is older than what the viewer was sent last, since
    /// its first packet came late, or that was of another layer, it is squeezed: times that go back freeze players.
    pub(crate) fn begin_live(&mut self, layer: usize, layers: &Layers) {
        let Some(ring) = layers.ring(layer) else { return };
        let Some(beginning) = ring.key() else { return };
        self.turn_to(layer, ring, beginning);
        if self.played().is_some_and(|played| played >= beginning.time) {
            self.begin_with_key(layer, layers);
        } else {
            self.begin_at(beginning, None);
        }
        self.behind = false;
    }

    /// The latest time that the viewer was sent, by the clock of the layer.
    fn played(&self) -> Option<MediaTime> {
        self.latest.map(|(time, ..)| time + -self.offset)
    }

    fn begin_at(&mut self, beginning: Beginning, squeeze: Option<Squeeze>) {
        self.state = State::At(beginning.place);
        self.behind = true;
        self.from = beginning.time;
        self.squeeze = squeeze;
        self.renumber = Some(beginning.seq);
    }

    /// Sends what the viewer has not got yet, as much as may go at once.
    pub(crate) fn write(&mut self, layers: &Layers, leg: &mut Leg, now: Instant, out: &mut Batch, done: &mut Written) {
        if self.waits() {
            return;
        }
        done.lost = false;
        if !self.turn(layers, leg, now, out, done) && !self.has_unsent(layers) {
            return;
        }
        let Some(ring) = layers.ring(self.layer) else { return };
        if matches!(self.state, State::At(place) if place < ring.start()) {
            done.jumped += 1;
            if self.codec.kind() == Kind::Audio {
                // Sound has no key frames to wait for: it goes on with what comes next.
                return self.start_live(ring);
            }
            if !self.begin_with_key(self.layer, layers) {
                self.state = State::Waiting;
                return;
            }
        }
        self.write_while(ring, leg, now, out, done, |_| true);
        if done.lost && !self.begin_with_key(self.layer, layers) {
            self.state = State::Waiting;
        }
    }

    fn write_while(
        &mut self,
        ring: &Ring,
        leg: &mut Leg,
        now: Instant,
        out: &mut Batch,
        done: &mut Written,
        goes: impl Fn(&Entry) -> bool,
    ) {
        let State::At(mut place) = self.state else { return };
        let most = if self.behind { BURST } else { LIVE_MAX };
        // Sound is little, and is missed at once: it passes, and what it takes is taken from the picture.
        let mut allowance = if self.codec.kind() == Kind::Audio { usize::MAX } else { leg.allowance(now) };
        for _ in 0..most {
            let Some(entry) = ring.get(place).filter(|entry| goes(entry)) else { break };
            if self.has_lost_its_place(entry) {
                // What the pictures behind a long gap refer to is lost, and players would not see the gap.
                done.jumped += 1;
                done.lost = true;
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
        layers: &Layers,
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
        let too_much = leg.estimate_bps().is_some_and(|fits| fits < layers.rate_bps(stretch.layer));
        if stretch.layer != self.wanted && too_much {
            // The way is full of this layer, which is left for that: repairs of it would delay what comes instead.
            return Err(Drop::NotRepairable);
        }
        let ring = layers.ring(stretch.layer).ok_or(Drop::NotRepairable)?;
        let entry = ring.find(SeqNo(source)).ok_or(Drop::NotRepairable)?;
        leg.resend(now, self.codec.kind(), self.outgoing(entry, seq, stretch.squeeze, stretch.offset), out).map_err(why)
    }

    fn send(&mut self, entry: &Entry, leg: &mut Leg, now: Instant, out: &mut Batch) -> Result<(), Drop> {
        if entry.time < self.from {
            return Err(Drop::BeforeStart);
        }
        let time = self.squeezed(entry.time, self.squeeze);
        if let Some(after) = self.after {
            let passed = now.saturating_duration_since(after.at).as_micros() * u128::from(self.rate_hz) / 1_000_000;
            let passed = i64::try_from(passed).unwrap_or(0).max(1);
            self.offset = after.time + passed - time;
        }
        let seq = self.number(entry.seq.0).ok_or(Drop::BeforeStart)?;
        self.after = None;
        let time = time + self.offset;
        let outgoing = self.outgoing(entry, seq, self.squeeze, self.offset);
        if self.latest.is_none_or(|(latest, ..)| time >= latest) {
            self.latest = Some((time, now, outgoing.wall));
        } else if let Some((_, at, _)) = &mut self.latest {
            *at = now;
        }
        self.unfinished = (!entry.marker).then_some(entry.time);
        leg.send(now, self.codec.kind(), outgoing, out).map_err(why)
    }

    fn squeezed(&self, time: MediaTime, squeeze: Option<Squeeze>) -> MediaTime {
        squeeze.filter(|squeeze| time <= squeeze.to).map_or(time, |squeeze| squeeze.map(time))
    }

    /// Whether so much is missing before a packet that it begins anew, and a picture cannot be made of what follows.
    fn has_lost_its_place(&self, entry: &Entry) -> bool {
        let goes_on = !self.stretches.is_empty() && self.renumber.is_none() && self.codec.kind() == Kind::Video;
        goes_on && self.highest_source.abs_diff(entry.seq.0) > SEQ_JUMP
    }

    fn outgoing<'a>(&self, entry: &'a Entry, seq: u64, squeeze: Option<Squeeze>, offset: i64) -> Outgoing<'a> {
        let time = self.squeezed(entry.time, squeeze);
        let shift_us = MediaTime(time - entry.time).as_micros(self.rate_hz);
        Outgoing {
            codec: self.codec,
            seq,
            time: (time + offset).0 as u32,
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
            let (squeeze, offset, layer) = (self.squeeze, self.offset, self.layer);
            self.stretches.push(Stretch { first, shift, squeeze, offset, layer });
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
    /// How often another layer began.
    pub(crate) turned: u64,
    /// What comes next in the ring does not go on from what was sent.
    lost: bool,
    pub(crate) dropped: SmallVec<[Drop; 4]>,
}

/// A stretch from a key frame to the newest that is played in less time, so that the newest has its true time; where nothing
/// may be before `floor`, and much of it would be, it comes late, and times are true again after twice that.
fn squeezed_from(from: MediaTime, to: MediaTime, floor: Option<MediaTime>) -> Squeeze {
    let short = (to - from) / SQUEEZE;
    let base = floor.map_or(to + -short, |floor| floor.max(to + -short));
    let end = to.max(base + short.max(base - to));
    Squeeze { from, to: end, base, ticks: end - base }
}

/// Microseconds as ticks of an RTP clock.
pub(crate) fn ticks(us: i64, rate_hz: u32) -> i64 {
    i64::try_from(i128::from(us) * i128::from(rate_hz) / 1_000_000).unwrap_or(0)
}

/// Ticks a second of a codec's RTP clock.
pub(crate) fn rtp_rate_hz(codec: Codec) -> u32 {
    if codec.kind() == Kind::Audio { 48_000 } else { 90_000 }
}

#[cfg(test)]
mod tests;
