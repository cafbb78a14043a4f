//! What was published, and what of it reached the server: the truth that viewers are compared with.

use std::{collections::BTreeMap, time::Duration};

use media::{Codec, Kind, RtpPacket};

use crate::{
    link::Moment,
    source::{Made, Stamp},
};

/// A packet as it came into a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tapped {
    /// What it is.
    pub stamp: Stamp,
    /// The low 32 bits of its RTP time.
    pub time: u32,
    /// When it came into the track.
    pub at: Moment,
}

/// All that is known of a track.
#[derive(Debug)]
pub(crate) struct Track {
    /// Its coding.
    pub codec: Codec,
    /// How long its packets may wait for one another.
    pub hold: Duration,
    /// Commands bring its packets.
    pub is_fed: bool,
    made: BTreeMap<u64, u32>,
    tapped: BTreeMap<u64, Tapped>,
    shift: Option<u64>,
    asked: Vec<Moment>,
    /// When its source began, and the RTP time of that, where it is a layer.
    began: (Moment, u32),
    /// What is told of it, where it has layers.
    told: Option<Told>,
}

impl Track {
    fn new(codec: Codec, hold: Duration, is_fed: bool) -> Self {
        let (made, tapped) = (BTreeMap::new(), BTreeMap::new());
        Self { codec, hold, is_fed, made, tapped, shift: None, asked: Vec::new(), began: (Moment::ZERO, 0), told: None }
    }

    /// A packet of a number, where it came into the track.
    pub(crate) fn find(&self, seq: u64) -> Option<&Tapped> {
        self.tapped.get(&seq)
    }

    /// Packets from a number on that came into the track.
    pub(crate) fn from(&self, seq: u64) -> impl Iterator<Item = &Tapped> {
        self.tapped.range(seq..).map(|(_, tapped)| tapped)
    }

    /// How often its source was asked for a key frame.
    pub(crate) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// When the source of a layer began, and how long after that a packet was made, in ticks.
    pub(crate) fn made_at(&self, seq: u64) -> Option<(Moment, i32)> {
        let (began, base) = self.began;
        self.made.get(&seq).map(|time| (began, time.wrapping_sub(base).cast_signed()))
    }

    /// Packets that its source made.
    pub(crate) fn made(&self) -> u64 {
        self.made.len() as u64
    }

    /// Packets that came into the track.
    pub(crate) fn tapped(&self) -> u64 {
        self.tapped.len() as u64
    }

    fn tap(&mut self, now: Moment, packet: &RtpPacket) -> Result<(), String> {
        let stamp = Stamp::read(&packet.payload).ok_or("a payload came into a track that nobody sent")?;
        let made = self.made.get(&stamp.seq).ok_or_else(|| format!("packet {} was never made", stamp.seq))?;
        let time = packet.time.0 as u32;
        if *made != time {
            return Err(format!("packet {} came with time {time}, but was sent with {made}", stamp.seq));
        }
        let shift = packet.seq.0.wrapping_sub(stamp.seq);
        if *self.shift.get_or_insert(shift) != shift {
            return Err(format!("packet {} came as {}, which breaks the order", stamp.seq, packet.seq.0));
        }
        let marker = self.codec.kind() == Kind::Video && stamp.is_last();
        if packet.marker != marker {
            return Err(format!("packet {} came with marker {}", stamp.seq, packet.marker));
        }
        let tapped = Tapped { stamp, time, at: now };
        if self.tapped.insert(stamp.seq, tapped).is_some() {
            return Err(format!("packet {} came into the track twice", stamp.seq));
        }
        Ok(())
    }

    fn ask(&mut self, now: Moment, apart: Duration) -> Result<(), String> {
        let last = self.asked.last().copied();
        self.asked.push(now);
        match last {
            Some(last) if now < last + apart => {
                Err(format!("a key frame was asked for {} ms after the last request", (now - last).as_millis()))
            }
            _ => Ok(()),
        }
    }
}

/// All tracks of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger(BTreeMap<u32, Track>);

impl Ledger {
    /// A new track.
    pub(crate) fn add(&mut self, track: u32, codec: Codec, hold: Duration, is_fed: bool) {
        self.0.insert(track, Track::new(codec, hold, is_fed));
    }

    /// The layers of a track, the smallest first, each with the RTP time of its beginning.
    pub(crate) fn add_layers(&mut self, now: Moment, track: u32, layers: &[(u32, u32)]) {
        let Some(own) = self.0.get_mut(&track) else { return };
        let (codec, hold) = (own.codec, own.hold);
        own.told = Some(Told { layers: layers.iter().map(|(layer, _)| *layer).collect(), packets: BTreeMap::new() });
        for (layer, base) in layers {
            self.0.entry(*layer).or_insert_with(|| Track::new(codec, hold, false)).began = (now, *base);
        }
    }

    /// A track.
    pub(crate) fn get(&self, track: u32) -> Option<&Track> {
        self.0.get(&track)
    }

    /// All tracks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Track)> {
        self.0.iter().map(|(number, track)| (*number, track))
    }

    /// A source made a packet.
    pub(crate) fn made(&mut self, made: &Made) {
        if let Some(track) = self.0.get_mut(&made.stamp.track) {
            track.made.insert(made.stamp.seq, made.time as u32);
        }
    }

    /// A packet came into a track.
    ///
    /// # Errors
    /// Where it is none that was made, or differs from it, or came before.
    pub(crate) fn tap(&mut self, now: Moment, track: u32, packet: &RtpPacket) -> Result<(), String> {
        let found = self.0.get_mut(&track).ok_or_else(|| format!("a packet of track {track}, which is unknown"))?;
        if let Some(told) = &mut found.told {
            return told.tap(packet).map_err(|error| format!("track {track}: {error}"));
        }
        found.tap(now, packet).map_err(|error| format!("track {track}: {error}"))?;
        let stamp = Stamp::read(&packet.payload);
        if stamp.is_some_and(|stamp| stamp.track != track) {
            return Err(format!("a packet came into track {track} that is of another: {stamp:?}"));
        }
        Ok(())
    }

    /// The source of a track was asked for a key frame; `apart` is how often that may be.
    ///
    /// # Errors
    /// Where it is asked too often.
    pub(crate) fn ask(&mut self, now: Moment, track: u32, apart: Duration) -> Result<(), String> {
        let Some(found) = self.0.get_mut(&track) else { return Ok(()) };
        found.ask(now, apart).map_err(|error| format!("track {track}: {error}"))
    }
}

/// What is told of a track in layers: one sequence of whole pictures.
#[derive(Debug)]
struct Told {
    layers: Vec<u32>,
    packets: BTreeMap<u64, (Stamp, i64)>,
}

impl Told {
    fn tap(&mut self, packet: &RtpPacket) -> Result<(), String> {
        let stamp = Stamp::read(&packet.payload).ok_or("a payload was told that nobody sent")?;
        let number = packet.seq.0;
        if !self.layers.contains(&stamp.track) {
            return Err(format!("number {number} is of track {}, which is none of its layers", stamp.track));
        }
        if self.packets.insert(number, (stamp, packet.time.0)).is_some() {
            return Err(format!("number {number} was told twice"));
        }
        let before = self.packets.range(..number).next_back();
        let pair = self.packets.range(number..).take(2);
        for ((a, (one, from)), (b, (two, to))) in before.into_iter().chain(pair.clone()).zip(pair) {
            if a == b {
                continue;
            }
            one.precedes(two, *b == a + 1).map_err(|error| format!("{a} and {b}, {error}"))?;
            if to < from || (to == from && (one.track, one.frame) != (two.track, two.frame)) {
                return Err(format!("{a} has time {from}, and {b} behind it has {to}"));
            }
        }
        Ok(())
    }
}
