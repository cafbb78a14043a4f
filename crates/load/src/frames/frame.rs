//! Frames that can be checked: a number, the time of sending and a hash within each, in bytes that no parser of H.264 or
//! AAC stumbles over.

use anyhow::{Context as _, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use wire::flv::{Demuxer, TagKind};

/// A real clip, for its sequence headers.
const CLIP: &[u8] = include_bytes!("../../../../demo/demo.flv");
/// Number, time and hash, each of 16 digits.
const STAMP_BYTES: usize = 3 * DIGITS;
const DIGITS: usize = 16;
/// A digit of 4 bits is written as a byte from 0x50 on: no start code can come of it.
const DIGIT: u8 = 0x50;
/// Bytes of a tag body before the stamp.
const VIDEO_HEAD: usize = 2 + 3 + 4 + 2;
const AUDIO_HEAD: usize = 2;
/// Bytes that fill frames are cut from a table of so many.
const FILL_BYTES: usize = 1 << 20;

/// What publishers of one run have in common.
pub(crate) struct Frames {
    /// The sequence header of H.264.
    pub(crate) video_header: Bytes,
    /// The sequence header of AAC.
    pub(crate) audio_header: Bytes,
    fill: Vec<u8>,
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Its number among the frames of its kind and stream.
    pub(crate) number: u64,
    /// When it was sent, in nanoseconds of the run.
    pub(crate) sent_ns: u64,
}

impl Frames {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut demuxer = Demuxer::new();
        demuxer.push(&Bytes::from_static(CLIP));
        let (mut video, mut audio) = (None, None);
        while let Some(tag) = demuxer.poll().context("the clip is no FLV")? {
            match tag.kind {
                TagKind::Video if video.is_none() => video = Some(tag.body),
                TagKind::Audio if audio.is_none() => audio = Some(tag.body),
                _ => {}
            }
        }
        // No zero bytes: no start code and no emulation prevention.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let fill = (0..FILL_BYTES).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8 | 1
        });
        Ok(Self {
            video_header: video.context("the clip has no picture")?,
            audio_header: audio.context("the clip has no sound")?,
            fill: fill.collect(),
        })
    }

    /// The body of a picture of one slice.
    pub(crate) fn video(&self, key: bool, stamp: Stamp, bytes: usize) -> Bytes {
        let length = bytes.max(STAMP_BYTES + 2);
        let mut out = BytesMut::with_capacity(9 + length);
        out.put_slice(&[if key { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
        out.put_u32(length as u32);
        // NAL header; first_mb_in_slice 0 and slice_type I or P (ITU-T H.264 section 7.3.3).
        out.put_slice(if key { &[0x65, 0b1011_0000] } else { &[0x41, 0b1100_0000] });
        self.put(&mut out, stamp, length - 2 - STAMP_BYTES);
        out.freeze()
    }

    /// The body of a sound.
    pub(crate) fn audio(&self, stamp: Stamp, bytes: usize) -> Bytes {
        let mut out = BytesMut::with_capacity(2 + bytes.max(STAMP_BYTES));
        out.put_slice(&[0xaf, 1]);
        self.put(&mut out, stamp, bytes.saturating_sub(STAMP_BYTES));
        out.freeze()
    }

    fn put(&self, out: &mut BytesMut, stamp: Stamp, fill_bytes: usize) {
        let fill_bytes = fill_bytes.min(FILL_BYTES / 2);
        let from = (stamp.number as usize).wrapping_mul(131) % (FILL_BYTES / 2);
        let fill = self.fill.get(from..from + fill_bytes).unwrap_or_default();
        for value in [stamp.number, stamp.sent_ns, hash(stamp, fill)] {
            out.extend((0..DIGITS).rev().map(|at| DIGIT | (value >> (4 * at) & 15) as u8));
        }
        out.put_slice(fill);
    }
}

/// Reads and checks a frame. `None` for a sequence header.
///
/// # Errors
/// Where a byte is not what was sent.
pub(crate) fn check(kind: TagKind, body: &[u8]) -> anyhow::Result<Option<Stamp>> {
    let head = if kind == TagKind::Video { VIDEO_HEAD } else { AUDIO_HEAD };
    if body.get(1) == Some(&0) {
        return Ok(None);
    }
    let (digits, fill) = body.get(head..).and_then(|rest| rest.split_at_checked(STAMP_BYTES)).context("too short")?;
    let value = |at: usize| {
        let digits = digits.iter().skip(at * DIGITS).take(DIGITS);
        digits.fold(0, |value: u64, digit| value << 4 | u64::from(digit & 15))
    };
    let stamp = Stamp { number: value(0), sent_ns: value(1) };
    ensure!(digits.iter().all(|digit| digit & 0xf0 == DIGIT) && value(2) == hash(stamp, fill), "bytes were changed");
    Ok(Some(stamp))
}

/// Eight bytes at a time, since every viewer hashes all that it gets.
fn hash(stamp: Stamp, fill: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
    let (words, rest) = fill.as_chunks::<8>();
    let start = mix(mix(fill.len() as u64, stamp.number), stamp.sent_ns);
    let whole = words.iter().fold(start, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(whole, |hash, &byte| mix(hash, byte.into()));
    hash ^ hash >> 32
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_made_and_a_changed_byte_is_seen() {
        let frames = Frames::new().unwrap();
        let stamp = Stamp { number: 7, sent_ns: 0x0123_4567_89ab_cdef };
        for (kind, body) in [
            (TagKind::Video, frames.video(true, stamp, 10_000)),
            (TagKind::Video, frames.video(false, stamp, 0)),
            (TagKind::Audio, frames.audio(stamp, 180)),
        ] {
            assert_eq!(check(kind, &body).unwrap(), Some(stamp));
            let head = if kind == TagKind::Video { VIDEO_HEAD } else { AUDIO_HEAD };
            for at in (head..body.len()).step_by(97).chain([body.len() - 1]) {
                let mut changed = body.to_vec();
                changed[at] ^= 2;
                assert!(check(kind, &changed).is_err(), "byte {at} of {}", body.len());
            }
            assert!(check(kind, &body[..body.len() - 1]).is_err());
        }
        assert_eq!(check(TagKind::Video, &frames.video_header).unwrap(), None);
        assert_eq!(check(TagKind::Audio, &frames.audio_header).unwrap(), None);
    }

    #[test]
    fn an_h264_parser_finds_one_slice() {
        let body = Frames::new().unwrap().video(true, Stamp { number: u64::MAX, sent_ns: 0 }, 5_000);
        assert!(!body[9..].windows(3).any(|bytes| bytes == [0, 0, 1] || bytes == [0, 0, 0]));
    }
}
