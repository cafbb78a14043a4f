//! Access units of H.264 out of packets in order (RFC 6184).
//!
//! An access unit ends with the marker, or where the RTP time changes. It is given out only when every packet of it
//! came, and only after a key frame that came whole.

use std::{collections::VecDeque, mem};

use bytes::{Bytes, BytesMut};
use media::{
    Flags, MediaTime, Payload, RtpPacket, WallTime,
    h264::{MAX_UNITS, is_b_slice, is_reference, nal, nal_type},
};
use wire::rtp::h264::{Parsed, PayloadError, parse};

use super::{Counts, FRAME_BYTES_MAX, Ready, sets::Sets};

#[derive(Debug)]
pub(super) struct Assembler {
    sets: Sets,
    unit: Option<AccessUnit>,
    fragment: Option<BytesMut>,
    /// The packet before this one ended its access unit, and no packet is missing between them.
    at_boundary: bool,
    /// A key frame is needed before anything can be given out.
    awaiting_key: bool,
    /// The source is known to have been asked for it.
    asked: bool,
    /// Something is missing before the next frame that is given out.
    gap: bool,
}

#[derive(Debug)]
struct AccessUnit {
    time: MediaTime,
    wall: WallTime,
    units: Vec<Bytes>,
    bytes: usize,
    /// All of it came so far.
    is_whole: bool,
}

impl Default for Assembler {
    fn default() -> Self {
        Self {
            sets: Sets::default(),
            unit: None,
            fragment: None,
            at_boundary: false,
            awaiting_key: true,
            asked: false,
            gap: false,
        }
    }
}

impl Assembler {
    /// Packets are missing here: what was being put together is of no use, nor what refers to it.
    pub(super) fn lose(&mut self, counts: &mut Counts, ready: &mut VecDeque<Ready>) {
        self.fragment = None;
        counts.frames_dropped += u64::from(self.unit.take().is_some());
        self.at_boundary = false;
        self.gap = true;
        self.awaiting_key = true;
        self.asked = true;
        ready.push_back(Ready::NeedKeyFrame);
    }

    pub(super) fn push(&mut self, packet: &RtpPacket, counts: &mut Counts, ready: &mut VecDeque<Ready>) {
        let parsed = match parse(&packet.payload) {
            Ok(parsed) => parsed,
            Err(error) => {
                counts.malformed += 1;
                self.spoil(error, packet, counts, ready);
                return;
            }
        };
        if self.unit.as_ref().is_some_and(|unit| unit.time != packet.time) {
            // The marker was not set, and nothing is missing: the access unit before is whole unless a part is open.
            self.finish(counts, ready);
            self.at_boundary = true;
        }
        if self.unit.is_none() {
            let is_first = matches!(parsed.first_type(), Some(nal::AUD | nal::SPS));
            let is_whole = self.at_boundary || is_first;
            self.unit =
                Some(AccessUnit { time: packet.time, wall: packet.wall, units: Vec::new(), bytes: 0, is_whole });
        }
        if !self.take(parsed) {
            counts.malformed += 1;
            if let Some(unit) = &mut self.unit {
                unit.is_whole = false;
            }
        }
        if self.unit.as_ref().is_some_and(|unit| unit.bytes > FRAME_BYTES_MAX || unit.units.len() > MAX_UNITS) {
            counts.overflows += 1;
            self.lose(counts, ready);
        }
        self.at_boundary = packet.marker;
        if packet.marker {
            self.finish(counts, ready);
        }
    }

    /// A packet that cannot be read: whatever it held is missing from its access unit.
    fn spoil(&mut self, error: PayloadError, packet: &RtpPacket, counts: &mut Counts, ready: &mut VecDeque<Ready>) {
        let is_padding = packet.payload.is_empty();
        // Types that RFC 6184 reserves hold nothing that was ever defined (section 5.2).
        let is_reserved = matches!(error, PayloadError::Unsupported(0 | 30 | 31));
        if !is_padding && !is_reserved {
            self.lose(counts, ready);
            self.at_boundary = packet.marker;
        }
    }

    /// False where a fragment is out of place.
    fn take(&mut self, parsed: Parsed) -> bool {
        let Some(unit) = &mut self.unit else { return false };
        match parsed {
            Parsed::Single(nal) => {
                unit.add(nal);
                self.fragment.take().is_none()
            }
            Parsed::Aggregate(nals) => {
                nals.into_iter().for_each(|nal| unit.add(nal));
                self.fragment.take().is_none()
            }
            Parsed::Fragment { start: true, header, body, .. } => {
                let mut bytes = BytesMut::with_capacity(4 * (body.len() + 1));
                bytes.extend_from_slice(&[header]);
                bytes.extend_from_slice(&body);
                unit.bytes += bytes.len();
                self.fragment.replace(bytes).is_none()
            }
            Parsed::Fragment { end, body, .. } => {
                let Some(bytes) = &mut self.fragment else { return false };
                bytes.extend_from_slice(&body);
                unit.bytes += body.len();
                if end && let Some(bytes) = self.fragment.take() {
                    unit.units.push(bytes.freeze());
                }
                true
            }
        }
    }

    fn finish(&mut self, counts: &mut Counts, ready: &mut VecDeque<Ready>) {
        let is_open = self.fragment.take().is_some();
        let Some(unit) = self.unit.take() else { return };
        if !unit.is_whole || is_open {
            counts.frames_dropped += 1;
            if !self.awaiting_key {
                self.lose(counts, ready);
            } else {
                self.ask(ready);
            }
            return;
        }
        let Sorted { sps, pps, payload, flags } = unit.units.into_iter().collect();
        if !(sps.is_empty() && pps.is_empty()) {
            match self.sets.take(sps, pps) {
                Ok(Some(info)) => ready.push_back(Ready::Track(info)),
                Ok(None) => {}
                Err(_) => {
                    counts.malformed += 1;
                    self.lose(counts, ready);
                    return;
                }
            }
        }
        if payload.units.is_empty() {
            return;
        }
        if self.awaiting_key && !(flags.key && self.sets.are_known()) {
            counts.frames_dropped += 1;
            self.ask(ready);
            return;
        }
        (self.awaiting_key, self.asked) = (false, false);
        let flags = Flags { discontinuity: mem::take(&mut self.gap), ..flags };
        ready.push_back(Ready::Frame { flags, time: unit.time, wall: unit.wall, payload });
    }

    fn ask(&mut self, ready: &mut VecDeque<Ready>) {
        if !mem::replace(&mut self.asked, true) {
            ready.push_back(Ready::NeedKeyFrame);
        }
    }
}

impl AccessUnit {
    fn add(&mut self, nal: Bytes) {
        self.bytes += nal.len();
        self.units.push(nal);
    }
}

/// The units of an access unit by what they are for.
#[derive(Default)]
struct Sorted {
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
    /// Without parameter sets, delimiters and filler; nothing where there is no slice.
    payload: Payload,
    flags: Flags,
}

impl FromIterator<Bytes> for Sorted {
    fn from_iter<I: IntoIterator<Item = Bytes>>(units: I) -> Self {
        let mut sorted = Self::default();
        let (mut has_slice, mut has_reference) = (false, false);
        for unit in units {
            match nal_type(&unit) {
                nal::SPS => sorted.sps.push(unit),
                nal::PPS => sorted.pps.push(unit),
                nal::AUD | nal::FILLER => {}
                kind => {
                    if (nal::SLICE..=nal::IDR).contains(&kind) {
                        has_slice = true;
                        has_reference |= is_reference(&unit);
                        sorted.flags.key |= kind == nal::IDR;
                        sorted.flags.b_frame |= is_b_slice(&unit);
                    }
                    sorted.payload.units.push(unit);
                }
            }
        }
        sorted.flags.discardable = has_slice && !has_reference;
        if !has_slice {
            sorted.payload = Payload::default();
        }
        sorted
    }
}
