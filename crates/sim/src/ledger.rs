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
}

impl Track {
    fn new(codec: Codec, hold: Duration, is_fed: bool) -> Self {
        let (made, tapped) = (BTreeMap::new(), BTreeMap::new());
        Self { codec, hold, is_fed, made, tapped, shift: None, asked: Vec::new() }
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
