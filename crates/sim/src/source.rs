//! Cameras and microphones: pictures and sound as encoders and browsers cut them into packets, with numbers inside that
//! say which packet of which picture of which track it is.

use std::{sync::Arc, time::Duration};

use media::Codec;

use crate::{
    link::Moment,
    random::{Random, hash},
};

const MAGIC: u32 = 0x51e7_0a11;
/// Bytes of a stamp, at the end of each payload.
const STAMP: usize = 40;

/// What a payload says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Number of the track, unique in a run.
    pub track: u32,
    /// Number of the packet, by the source.
    pub seq: u64,
    /// Number of the picture; one for each packet of sound.
    pub frame: u32,
    /// Number of the packet in its picture.
    pub part: u16,
    /// Packets of the picture.
    pub parts: u16,
    /// A decoder can start with this picture.
    pub key: bool,
}

impl Stamp {
    /// The last packet of its picture.
    pub(crate) fn is_last(&self) -> bool {
        self.part + 1 == self.parts
    }

    /// Whether another of the same picture in layers may come behind it, where `next` says that it has the next number:
    /// layers are not mixed, and one begins with a key frame.
    ///
    /// # Errors
    /// Where it may not.
    pub(crate) fn precedes(&self, other: &Self, next: bool) -> Result<(), String> {
        let goes_on = self.track == other.track && other.seq == self.seq + 1;
        let begins = other.key && other.part == 0;
        if goes_on || begins || !next {
            return Ok(());
        }
        let (one, two) = (self.track, other.track);
        Err(format!("but packet {} of layer {two} does not follow {} of layer {one}", other.seq, self.seq))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(MAGIC.to_be_bytes());
        out.extend(self.track.to_be_bytes());
        out.extend(self.seq.to_be_bytes());
        out.extend(self.frame.to_be_bytes());
        out.extend(self.part.to_be_bytes());
        out.extend(self.parts.to_be_bytes());
        out.extend(u64::from(self.key).to_be_bytes());
        let sum = checksum(out);
        out.extend(sum.to_be_bytes());
    }

    /// Reads the stamp of a payload; `None` where a single bit of the payload is not as it was.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let (body, sum) = payload.split_last_chunk::<8>()?;
        let stamp = body.last_chunk::<{ STAMP - 8 }>()?;
        if checksum(body) != u64::from_be_bytes(*sum) {
            return None;
        }
        let number = |from: usize, length: usize| {
            stamp.iter().skip(from).take(length).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        (number(0, 4) == u64::from(MAGIC)).then(|| Self {
            track: number(4, 4) as u32,
            seq: number(8, 8),
            frame: number(16, 4) as u32,
            part: number(20, 2) as u16,
            parts: number(22, 2) as u16,
            key: number(24, 8) != 0,
        })
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A packet that a source made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// What it is.
    pub stamp: Stamp,
    /// Ticks of the RTP clock since the source began, and where it began.
    pub time: i64,
    /// Last of its picture.
    pub marker: bool,
    /// The payload.
    pub payload: Arc<[u8]>,
}

/// How a source makes pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Its coding: H.264 or VP8.
    pub codec: Codec,
    /// Pictures a second.
    pub fps: u64,
    /// Pictures from one key frame to the next; 0 makes them when they are asked for alone.
    pub group: u32,
    /// Packets of a key frame.
    pub key_parts: u16,
    /// Packets of other pictures at most.
    pub parts_max: u16,
}

impl Default for Camera {
    fn default() -> Self {
        Self { codec: Codec::H264, fps: 30, group: 60, key_parts: 8, parts_max: 4 }
    }
}

/// A source of one track.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Number of the track.
    pub track: u32,
    codec: Codec,
    camera: Option<Camera>,
    random: Random,
    seq: u64,
    frame: u32,
    since_key: u32,
    key_wanted: bool,
    time: i64,
    began: Moment,
}

/// Sound is sent so often.
pub(crate) const SOUND_EVERY: Duration = Duration::from_millis(20);

impl Source {
    /// A source of pictures. Its numbers begin near where 16 and 32 bits are full, as often as not.
    pub(crate) fn camera(track: u32, camera: Camera, seed: u64, now: Moment) -> Self {
        Self::new(track, camera.codec, Some(camera), seed, now)
    }

    /// A source of sound.
    pub(crate) fn microphone(track: u32, seed: u64, now: Moment) -> Self {
        Self::new(track, Codec::Opus, None, seed, now)
    }

    fn new(track: u32, codec: Codec, camera: Option<Camera>, seed: u64, now: Moment) -> Self {
        let mut random = Random::new(hash(&[seed, u64::from(track)]));
        let near = random.chance(500_000);
        let seq = if near { random.between(64_000, 65_535) } else { random.below(65_536) };
        let time = if near { random.between((1 << 32) - 900_000, (1 << 32) - 1) } else { random.below(1 << 32) };
        let time = time.cast_signed();
        Self { track, codec, camera, random, seq, frame: 0, since_key: 0, key_wanted: true, time, began: now }
    }

    /// The RTP time of its beginning.
    pub(crate) fn base(&self) -> u32 {
        self.time as u32
    }

    /// The coding.
    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// From one picture, or one packet of sound, to the next.
    pub(crate) fn every(&self) -> Duration {
        self.camera.map_or(SOUND_EVERY, |camera| Duration::from_micros(1_000_000 / camera.fps.max(1)))
    }

    /// The next picture is a key frame.
    pub(crate) fn want_key(&mut self) {
        self.key_wanted = true;
    }

    /// The packets of the picture, or the sound, of now.
    pub(crate) fn make(&mut self, now: Moment) -> Vec<Made> {
        let rate: u128 = if self.camera.is_some() { 90_000 } else { 48_000 };
        let ticks = (now.saturating_sub(self.began)).as_micros() * rate / 1_000_000;
        let time = self.time + i64::try_from(ticks).unwrap_or(0);
        let group = self.camera.map_or(0, |camera| camera.group);
        let key = std::mem::take(&mut self.key_wanted) || (group > 0 && self.since_key >= group);
        self.since_key = if key { 1 } else { self.since_key + 1 };
        let parts = match self.camera {
            None => 1,
            Some(camera) if key => camera.key_parts,
            Some(camera) => self.random.between(1, u64::from(camera.parts_max.max(1))) as u16,
        };
        let frame = self.frame;
        self.frame += 1;
        (0..parts)
            .map(|part| {
                let stamp = Stamp { track: self.track, seq: self.seq, frame, part, parts, key };
                self.seq += 1;
                let marker = self.camera.is_some() && stamp.is_last();
                Made { stamp, time, marker, payload: self.payload(stamp) }
            })
            .collect()
    }

    fn payload(&mut self, stamp: Stamp) -> Arc<[u8]> {
        let length = match self.codec {
            Codec::Opus => self.random.between(20, 120),
            // All packets of a picture but the last are as long as they may be.
            _ if stamp.is_last() => self.random.between(60, 1_100),
            _ => 1_100,
        };
        let mut out = Vec::with_capacity(length as usize + STAMP);
        match self.codec {
            Codec::Opus => out.push(0xfc),
            Codec::Vp8 => vp8(stamp, &mut out),
            _ => h264(stamp, &mut out),
        }
        let fill = self.random.draw() as u8;
        out.resize(out.len().max(length as usize), fill);
        stamp.write(&mut out);
        out.into()
    }
}

/// The beginning of a payload as RFC 6184 has it: parameter sets, then a picture in fragments or in one piece.
fn h264(stamp: Stamp, out: &mut Vec<u8>) {
    match (stamp.key, stamp.part, stamp.parts) {
        (true, 0, _) => out.extend([0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 2, 0x68, 0xce, 1, 0, 0x06]),
        (true, 1, 2) => out.push(0x65),
        (true, 1, _) => out.extend([0x7c, 0x85]),
        (true, ..) => out.extend([0x7c, if stamp.is_last() { 0x45 } else { 0x05 }]),
        (false, 0, 1) => out.push(0x41),
        (false, 0, _) => out.extend([0x5c, 0x81]),
        (false, ..) => out.extend([0x5c, if stamp.is_last() { 0x41 } else { 0x01 }]),
    }
}

/// The beginning of a payload as RFC 7741 has it.
fn vp8(stamp: Stamp, out: &mut Vec<u8>) {
    let picture = (stamp.frame & 0x7f) as u8;
    if stamp.part > 0 {
        out.extend([0x80, 0x80, picture]);
    } else if stamp.key {
        out.extend([0x90, 0x80, picture, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a]);
    } else {
        out.extend([0x90, 0x80, picture, 0x11]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_are_known_by_what_forwards_them_and_stamps_by_every_bit() {
        for codec in [Codec::H264, Codec::Vp8] {
            let camera = Camera { codec, group: 3, ..Camera::default() };
            let mut source = Source::camera(5, camera, 1, Moment::ZERO);
            for frame in 0..9 {
                let made = source.make(source.every() * frame);
                for packet in &made {
                    let read = Stamp::read(&packet.payload).unwrap();
                    assert_eq!((read, read.key), (packet.stamp, frame % 3 == 0));
                    let starts = rtc::starts_key_frame(codec, &packet.payload);
                    assert!(!starts || read.key);
                    assert!(starts || !read.key || read.part > 0, "the first of a key frame starts it");
                    let mut broken = packet.payload.to_vec();
                    broken[packet.payload.len() / 2] ^= 4;
                    assert_eq!(Stamp::read(&broken), None);
                }
            }
        }
        assert_eq!(Stamp::read(&[1, 2, 3]), None);
    }
}
