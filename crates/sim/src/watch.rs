//! What one viewer is sent of one kind, and what of it arrives: numbers, times and delays.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use media::{Kind, SeqNo};

use crate::{
    ledger::{Ledger, Tapped},
    link::{Moment, Rtp},
    source::Stamp,
};

/// A source that jumps by more is a new one to the server, and viewers are not told of a gap.
const SEQ_JUMP: u64 = 512;
/// Who begins, or begins anew, is live after this.
const SETTLE: Duration = Duration::from_millis(500);
/// A shard's tick, and what it takes to use it.
const TICKS: Duration = Duration::from_millis(2);
/// A viewer gets a packet that came into its track within this, whatever it is doing.
const STALL: Duration = Duration::from_millis(1_500);
/// Numbers that a receiver of SRTP remembers (RFC 3711 section 3.3.2).
const REPLAY_WINDOW: u64 = 60;
/// A packet that was overtaken on its way was by fewer than this.
const OVERTAKEN: usize = 500;
/// Numbers behind the highest that str0m's receiver asks for, and takes, at most.
const ASKS_BACK: u64 = 100;
/// A light viewer, as Chromium, has asked for a number often enough by then, and does not expect it any more.
const GIVES_UP: Duration = Duration::from_millis(500);
/// The number with which every viewer's picture begins.
const FIRST: u64 = 1_024;
/// The longest backlog that a viewer may begin with.
const BACKLOG_TICKS: i32 = 90_000 * 15;

/// A datagram of media that the server sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Moment,
    lost: bool,
}

/// A packet that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Got {
    pub(crate) stamp: Stamp,
    pub(crate) time: u32,
}

/// A packet as a viewer sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Sound or picture.
    pub(crate) kind: Kind,
    /// Its number, of which the low 16 bits count.
    pub(crate) seq: u16,
    /// Its RTP time.
    pub(crate) time: u32,
    /// RTP marker bit.
    pub(crate) marker: bool,
    /// Its payload.
    pub(crate) payload: Bytes,
}

impl Seen {
    /// What a light viewer sees.
    pub(crate) fn of(packet: rtc::light::Packet<'_>) -> Self {
        let rtc::light::Packet { kind, seq, time, marker, payload, .. } = packet;
        Self { kind, seq: seq as u16, time, marker, payload: Bytes::copy_from_slice(payload) }
    }
}

/// One viewer of one kind.
#[derive(Debug)]
pub(crate) struct Watch {
    kind: Kind,
    /// The track that it gets, and the one that it got before.
    track: Option<u32>,
    subscribed: Moment,
    /// When it was sent the first packet of it.
    started: Option<Moment>,
    before: Option<(u32, Moment)>,
    ssrc: Option<u32>,
    highest: SeqNo,
    pub(crate) sent: BTreeMap<u64, Sent>,
    pub(crate) got: BTreeMap<u64, Got>,
    /// Until when it began, or began anew: what came into the track before that may be squeezed.
    began: Moment,
    lost: u64,
    /// The highest number that arrived.
    arrived: u64,
    /// Each number that was the highest when it arrived, and when that was.
    highs: BTreeMap<u64, Moment>,
    /// The number that arrived first: what came before it is from before the stream, to a receiver.
    pub(crate) first_got: Option<u64>,
    /// Tracks that it got, and when it left them.
    left: Vec<(u32, Moment)>,
    /// By how much times differ from those of the track; known when the first live packet came.
    offset: Option<i32>,
    /// It was subscribed to the track that it had, once more.
    again: bool,
    /// The server tells what it thinks that the path carries, and paces what it sends by that.
    pub(crate) slack: Duration,
    /// The server paces what it sends, by what it thinks that the path carries: it may come late, and jump.
    pub(crate) paced: bool,
    /// It is a light viewer.
    pub(crate) is_light: bool,
    /// The tracks that are layers of the picture, the smallest first, where it has several.
    pub(crate) layers: Vec<u32>,
    /// By how much times differ from those since the source began, once it is live, and since when it gets its layer.
    pub(crate) capture: Option<i32>,
    pub(crate) turned: Moment,
}

impl Watch {
    /// A viewer of a kind that gets nothing yet.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            track: None,
            subscribed: Moment::ZERO,
            started: None,
            before: None,
            ssrc: None,
            highest: SeqNo(0),
            sent: BTreeMap::new(),
            got: BTreeMap::new(),
            began: Moment::ZERO,
            lost: 0,
            arrived: 0,
            highs: BTreeMap::new(),
            first_got: None,
            left: Vec::new(),
            offset: Some(0),
            again: false,
            slack: Duration::ZERO,
            paced: false,
            is_light: false,
            layers: Vec::new(),
            capture: None,
            turned: Moment::ZERO,
        }
    }

    /// The track that it gets.
    pub(crate) fn track(&self) -> Option<u32> {
        self.track
    }

    /// It gets this track from now on.
    pub(crate) fn subscribe(&mut self, now: Moment, track: Option<u32>) {
        self.before = self.track.map(|before| (before, now));
        self.left.extend(self.track.map(|track| (track, now)));
        let had = self.got.last_key_value().map(|(_, got)| got.stamp.track);
        self.again |= track.is_some() && (self.track == track || had == track);
        if self.before.is_some() || !self.got.is_empty() {
            // The times of another track go on where those of the last one ended.
            self.offset = None;
        }
        (self.track, self.subscribed) = (track, now);
        self.begin(now);
    }

    /// It may begin, or begin anew, until then.
    pub(crate) fn begin(&mut self, until: Moment) {
        self.began = self.began.max(until);
    }

    /// Until when it may have begun last.
    pub(crate) fn began(&self) -> Moment {
        self.began
    }

    /// Datagrams sent, lost on the way, and packets that arrived.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.sent.len() as u64, self.lost, self.got.len() as u64)
    }

    /// Packets that arrived though they were lost on the way.
    pub(crate) fn repaired(&self) -> u64 {
        self.sent.iter().filter(|(number, sent)| sent.lost && self.got.contains_key(number)).count() as u64
    }

    /// The number that is the first, whichever was sent first.
    pub(crate) fn first(&self) -> Option<u64> {
        self.sent.first_key_value().map(|(number, _)| FIRST.min(*number))
    }

    /// What the payloads were that arrived, by number.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = (u64, Stamp)> + '_ {
        self.got.iter().map(|(number, got)| (*number, got.stamp))
    }

    /// The server sent a datagram of media for the first time.
    ///
    /// # Errors
    /// Where its number was used before, or its source is another.
    pub(crate) fn sent(&mut self, now: Moment, rtp: Rtp, lost: bool) -> Result<(), String> {
        if *self.ssrc.get_or_insert(rtp.ssrc) != rtp.ssrc {
            return Err(format!("another {} source than before was sent", self.kind.name()));
        }
        let number = if self.sent.is_empty() { SeqNo(rtp.seq.into()) } else { self.highest.extend(rtp.seq) };
        self.highest = self.highest.max(number);
        if self.started.is_none_or(|started| started < self.subscribed) {
            // What came of a key frame before its first packet did has waited for it.
            self.started = Some(now);
            self.begin(now);
        }
        self.lost += u64::from(lost);
        match self.sent.insert(number.0, Sent { at: now, lost }) {
            Some(_) => Err(format!("{} number {} was sent twice, and encrypted twice", self.kind.name(), number.0)),
            None => Ok(()),
        }
    }

    /// A datagram arrived. To a viewer that has no keys yet it is lost, and so is one that so many others overtook that its
    /// number is below the window in which a receiver of SRTP can tell it from a replay. One that comes so late that a
    /// light viewer has given it up is lost as well: where uplinks lose much and pacing holds back, that happens.
    pub(crate) fn arrives(&mut self, now: Moment, rtp: Rtp, has_keys: bool) {
        let number = self.highest.extend(rtp.seq).0;
        let passed = self.highs.range(number + 1..).next().map(|(_, at)| *at);
        let given_up = self.is_light && passed.is_some_and(|passed| now >= passed + GIVES_UP);
        // A repair moves the window of str0m's receiver, too.
        let behind = self.got.last_key_value().is_some_and(|(highest, _)| number + ASKS_BACK <= *highest);
        // Where a hundred are missing at once, it takes some of them for ones that it has.
        let around = self.highs.range(..number).next_back().zip(self.highs.range(number + 1..).next());
        let skipped = around.is_some_and(|((below, _), (above, _))| above - below > ASKS_BACK);
        let forgotten = !self.is_light && (behind || skipped);
        let too_late = number + REPLAY_WINDOW < self.arrived || given_up || forgotten;
        if has_keys && number > self.arrived {
            self.highs.insert(number, now);
        }
        self.arrived = self.arrived.max(number);
        let unseen = !self.got.contains_key(&number);
        if (!has_keys || too_late)
            && let Some(sent) = self.sent.get_mut(&number).filter(|sent| !sent.lost && unseen)
        {
            sent.lost = true;
            self.lost += 1;
        }
    }

    /// A packet arrived; its number and what it is.
    ///
    /// # Errors
    /// Where anything about it is not as it should be.
    pub(crate) fn received(&mut self, now: Moment, seen: &Seen, ledger: &Ledger) -> Result<(u64, Stamp), String> {
        let number = self.highest.extend(seen.seq).0;
        let stamp =
            Stamp::read(&seen.payload).ok_or_else(|| format!("number {number} has a payload that nobody sent"))?;
        let what = format!("{} number {number}, packet {} of track {}", self.kind.name(), stamp.seq, stamp.track);
        if !self.layers.is_empty() {
            self.received_layer(number, stamp, seen, ledger).map_err(|error| format!("{what}, {error}"))?;
            return Ok((number, stamp));
        }
        self.is_of_its_track(now, stamp).map_err(|error| format!("{what}: {error}"))?;
        let sent = self.sent.get(&number).copied().ok_or_else(|| format!("{what}, was never sent"))?;
        let track = ledger.get(stamp.track).ok_or_else(|| format!("{what}: unknown track"))?;
        let tapped = track.find(stamp.seq).ok_or_else(|| format!("{what}, never came into the track"))?;
        if seen.marker != (self.kind == Kind::Video && stamp.is_last()) {
            return Err(format!("{what}, has marker {}", seen.marker));
        }
        self.is_in_time(sent, tapped, track.hold).map_err(|error| format!("{what}, {error}"))?;
        self.has_its_time(seen.time, sent, tapped, ledger).map_err(|error| format!("{what}, {error}"))?;
        self.first_got.get_or_insert(number);
        if self.got.insert(number, Got { stamp, time: seen.time }).is_some() {
            return Err(format!("{what}, arrived twice"));
        }
        self.fits(number, ledger).map_err(|error| format!("{what}, {error}"))?;
        Ok((number, stamp))
    }

    fn is_of_its_track(&self, now: Moment, stamp: Stamp) -> Result<(), String> {
        // What was under way when it switched, as often as it did, arrives afterwards.
        let recently = |(left, at): &(u32, Moment)| *left == stamp.track && now < *at + Duration::from_secs(2);
        if self.track == Some(stamp.track) || self.left.iter().any(recently) {
            return Ok(());
        }
        Err(format!("the viewer gets {:?}", self.track))
    }

    fn is_in_time(&self, sent: Sent, tapped: &Tapped, hold: Duration) -> Result<(), String> {
        let took = sent.at.saturating_sub(tapped.at);
        if !self.paced && tapped.at > self.began + SETTLE && took > hold + TICKS + self.slack {
            return Err(format!(
                "was sent {} us after it came, {} ms are the hold",
                took.as_micros(),
                hold.as_millis()
            ));
        }
        Ok(())
    }

    fn has_its_time(&mut self, time: u32, sent: Sent, tapped: &Tapped, ledger: &Ledger) -> Result<(), String> {
        let shift = time.wrapping_sub(tapped.time).cast_signed();
        // What was sent before it was subscribed, maybe to this track too, has another offset; str0m's leg repairs it still.
        if self.track != Some(tapped.stamp.track) || sent.at < self.subscribed {
            return Ok(());
        }
        // What was overtaken on its way to the server belongs to what was there at the start.
        let mut later =
            ledger.get(tapped.stamp.track).into_iter().flat_map(|track| track.from(tapped.stamp.seq)).take(OVERTAKEN);
        let is_live = tapped.at > self.began && !later.any(|other| other.at <= self.began);
        let Some(offset) = self.offset else {
            self.offset = is_live.then_some(shift);
            return Ok(());
        };
        let total = shift;
        let shift = shift.wrapping_sub(offset);
        if shift == 0 {
            return Ok(());
        }
        if shift < 0 && (self.before.is_some() || self.paced) {
            // The offset was taken from a packet that was squeezed itself; who is paced may jump at any time.
            self.offset = Some(total);
            return Ok(());
        }
        if is_live && !self.paced {
            let own = tapped.time.wrapping_add(offset.cast_unsigned());
            return Err(format!("has time {time} where {own} is its own: it came after the start"));
        }
        if !(0..=BACKLOG_TICKS).contains(&shift) {
            return Err(format!("is squeezed by {shift} ticks"));
        }
        Ok(())
    }

    /// Whether a packet fits between those before and behind it.
    fn fits(&self, number: u64, ledger: &Ledger) -> Result<(), String> {
        let Some(own) = self.got.get(&number) else { return Ok(()) };
        let before = self.got.range(..number).next_back();
        let behind = self.got.range(number + 1..).next();
        for ((a, one), (b, two)) in
            before.map(|it| (it, (&number, own))).into_iter().chain(behind.map(|it| ((&number, own), it)))
        {
            let ahead = two.time.wrapping_sub(one.time).cast_signed();
            if ahead < 0 {
                return Err(format!("{a} has time {}, and {b} behind it has {}", one.time, two.time));
            }
            if *b == *a + 1 {
                // A key frame that comes while a backlog goes out may make an end of it.
                let begins_anew = self.sent.get(b).is_some_and(|sent| sent.at < self.began + SETTLE);
                self.follows(one.stamp, two.stamp, begins_anew, ledger)
                    .map_err(|error| format!("{a} and {b} follow each other, {error}"))?;
            }
        }
        Ok(())
    }

    fn follows(&self, one: Stamp, two: Stamp, begins_anew: bool, ledger: &Ledger) -> Result<(), String> {
        if one.track == two.track && two.seq == one.seq + 1 {
            return Ok(());
        }
        let begins = self.kind == Kind::Audio || (two.key && two.part == 0);
        let fed = ledger.get(two.track).is_some_and(|track| track.is_fed);
        let jumped = two.seq.abs_diff(one.seq) > SEQ_JUMP;
        if begins
            && (begins_anew
                || self.again
                || one.track != two.track
                || ((fed || self.paced) && self.kind == Kind::Video)
                || jumped)
        {
            return Ok(());
        }
        Err(format!("but packet {} of track {} does not follow {} of {}", two.seq, two.track, one.seq, one.track))
    }

    /// Whether it gets what comes into its track: nothing is kept back, and nothing forgotten.
    ///
    /// # Errors
    /// Where something was not sent in time.
    pub(crate) fn is_served(&self, now: Moment, ledger: &Ledger) -> Result<(), String> {
        let Some((number, track)) = self.newest().filter(|_| !self.paced && self.layers.is_empty()) else {
            return Ok(());
        };
        let (Some(track), Some(got)) = (ledger.get(track), self.got.get(&number)) else { return Ok(()) };
        let overdue = |tapped: &&Tapped| tapped.at + STALL < now && self.began + STALL < now;
        for tapped in track.from(got.stamp.seq).filter(overdue) {
            let wanted = number + (tapped.stamp.seq - got.stamp.seq);
            if !self.sent.contains_key(&wanted) && tapped.stamp.seq - got.stamp.seq <= SEQ_JUMP {
                let waits = (now - tapped.at).as_millis();
                let (seq, track) = (tapped.stamp.seq, tapped.stamp.track);
                return Err(format!("packet {seq} of track {track} came {waits} ms ago, and was not sent as {wanted}"));
            }
        }
        Ok(())
    }

    /// The newest packet of the track that it gets.
    fn newest(&self) -> Option<(u64, u32)> {
        let (number, got) = self.got.last_key_value()?;
        let begun = self.sent.get(number).is_some_and(|sent| sent.at > self.began);
        (begun && Some(got.stamp.track) == self.track).then_some((*number, got.stamp.track))
    }

    /// Whether every number that is missing was lost by a link; at the end, when nothing is under way any more.
    ///
    /// # Errors
    /// Where a number is missing for another reason; `repaired_in` says that none may where it can be repaired within that.
    /// What was sent from `until` on is not judged.
    pub(crate) fn is_complete(
        &self,
        ledger: &Ledger,
        repaired_in: Option<Duration>,
        until: Moment,
    ) -> Result<(), String> {
        if let Some((number, sent)) = self.sent.first_key_value()
            && self.kind == Kind::Video
            && *number > FIRST
            && sent.at + SETTLE < until
            && self.left.is_empty()
        {
            return Err(format!("number {number} was sent first, and {FIRST}, which begins the key frame, never"));
        }
        let mut last: Option<(u64, Got)> = None;
        for (number, got) in &self.got {
            let settled = self.sent.get(number).is_some_and(|sent| sent.at < until);
            // What of a layer reached the server is not known, nor is what was left out when it was left.
            if let Some((a, one)) = last.filter(|_| settled && self.layers.is_empty()) {
                let judged = |missing: &u64| self.sent.get(missing).is_none_or(|sent| sent.at < until);
                for missing in (a + 1..*number).filter(judged) {
                    self.may_miss(missing, (a, one), (*number, *got), ledger, repaired_in)?;
                }
            }
            last = Some((*number, *got));
        }
        let first = self.first_got.unwrap_or(u64::MAX);
        let unseen = self
            .sent
            .range(first..)
            .filter(|(number, sent)| !sent.lost && sent.at < until && !self.got.contains_key(number));
        match unseen.map(|(number, _)| number).next() {
            Some(number) => Err(format!("{} number {number} arrived, but the viewer never saw it", self.kind.name())),
            None => Ok(()),
        }
    }

    /// Whether a viewer asks for a picture's number for long enough. str0m's receiver does not where a hundred others come
    /// before the repair is there, as they do where a backlog, or what an outage held up, comes in a few milliseconds.
    fn can_be_repaired(&self, number: u64, sent: Sent, trip: Duration) -> bool {
        let mut behind = self.sent.range(number + ASKS_BACK..);
        let forgets = !self.is_light && behind.any(|(_, other)| other.at < sent.at + trip);
        self.kind == Kind::Video && self.left.is_empty() && !forgets
    }

    fn may_miss(
        &self,
        missing: u64,
        (a, one): (u64, Got),
        (b, two): (u64, Got),
        ledger: &Ledger,
        repaired_in: Option<Duration>,
    ) -> Result<(), String> {
        let kind = self.kind.name();
        match self.sent.get(&missing) {
            Some(sent) if sent.lost && !repaired_in.is_some_and(|trip| self.can_be_repaired(missing, *sent, trip)) => {
                Ok(())
            }
            Some(sent) if sent.lost => Err(format!("{kind} number {missing} was lost and never repaired")),
            Some(_) if self.first_got.is_some_and(|first| missing < first) => Ok(()),
            Some(_) => Err(format!("{kind} number {missing} arrived, but the viewer never saw it")),
            // It fell behind and jumped, and what came late from before that was left out.
            None if self.paced => Ok(()),
            None => {
                // What overtook the beginning of the picture that the viewer began with was not sent to it.
                let first = self.got.values().find(|got| got.stamp.track == two.stamp.track).map(|got| got.stamp);
                let began = first.and_then(|first| ledger.get(first.track)?.find(first.seq)).map(|tapped| tapped.at);
                // What waited for others when it left, or when the track ended, was not sent to it either.
                let hold = ledger.get(two.stamp.track).map_or(Duration::ZERO, |track| track.hold) + TICKS + self.slack;
                let came = |track: u32, seq: Option<u64>| {
                    let tapped = seq.and_then(|seq| ledger.get(track).and_then(|track| track.find(seq)));
                    let left = self.left.iter().find(|(left, _)| *left == track).map(|(_, at)| *at);
                    tapped.is_some_and(|tapped| {
                        began.is_none_or(|began| tapped.at > began) && left.is_none_or(|left| tapped.at + hold < left)
                    })
                };
                let by_one = came(one.stamp.track, one.stamp.seq.checked_add(missing - a));
                let by_two = came(two.stamp.track, two.stamp.seq.checked_sub(b - missing));
                if by_one && by_two {
                    return Err(format!("{kind} number {missing} was never sent, though its packet came"));
                }
                Ok(())
            }
        }
    }
}
