//! Tracks and frames for tests.

use bytes::Bytes;
use media::{Codec, Flags, Frame, MediaTime, Payload, TrackInfo, WallTime, aac, h264};

const SPS: [u8; 15] = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0];

/// H.264 of 1280x720 that shows pictures in order. The variants have different picture parameter sets.
pub(crate) fn video(variant: u8) -> TrackInfo {
    let pps = Bytes::copy_from_slice(&[0x68, 0xce, 0x3c, 0x80, variant]);
    TrackInfo::h264(h264::Config::from_sets(vec![Bytes::from_static(&SPS)], vec![pps]).unwrap())
}

/// The same of a profile that may have B-frames.
pub(crate) fn main_profile() -> TrackInfo {
    let mut sps = SPS;
    sps[1] = 77;
    let pps = Bytes::from_static(&[0x68, 0xce, 0x3c, 0x80]);
    let mut config = h264::Config::from_sets(vec![Bytes::copy_from_slice(&sps)], vec![pps]).unwrap();
    config.picture.reorder_frames = None;
    TrackInfo::h264(config)
}

/// AAC of 48 kHz.
pub(crate) fn audio() -> TrackInfo {
    TrackInfo::aac(aac::Config::lc(48_000, 2).unwrap())
}

/// A slice of a picture: its header says what it is, and no byte of it looks like anything else.
pub(crate) fn slice(key: bool, number: u64, bytes: usize) -> Bytes {
    let mut unit = vec![if key { 0x65 } else { 0x41 }, 0xc0];
    unit.extend(number.to_be_bytes());
    unit.resize(bytes.max(unit.len()), number as u8);
    unit.into()
}

/// A picture of one slice.
pub(crate) fn picture(key: bool, number: u64, ms: i64, bytes: usize) -> Frame {
    let dts = MediaTime(ms * 90);
    let flags = Flags { key, ..Flags::default() };
    let payload = Payload::single(slice(key, number, bytes));
    Frame { codec: Codec::H264, flags, dts, pts: dts, wall: WallTime(ms * 1_000), payload }
}

/// The number that a picture was made with.
pub(crate) fn number(frame: &Frame) -> u64 {
    u64::from_be_bytes(frame.payload.units[0][2..10].try_into().unwrap())
}

/// A sound of AAC.
pub(crate) fn sound(ms: i64, bytes: usize) -> Frame {
    let dts = MediaTime(ms * 48);
    let flags = Flags { key: true, ..Flags::default() };
    let payload = Payload::single(vec![0x21; bytes].into());
    Frame { codec: Codec::Aac, flags, dts, pts: dts, wall: WallTime(ms * 1_000), payload }
}
