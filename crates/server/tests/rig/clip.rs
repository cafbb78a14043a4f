//! Media to send: the demo clip's tags, and frames made by hand where a test needs to know one from the other.

use bytes::{BufMut as _, Bytes, BytesMut};
use media::{TrackInfo, aac, h264};
use wire::flv::{Demuxer, Tag, TagKind, Unit, config_body};

const DEMO: &[u8] = include_bytes!("../../../../demo/demo.flv");

/// The demo clip: 8 s, 640x360, 30 pictures a second, a key frame each second, AAC of 48 kHz.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Both sequence headers.
    pub headers: Vec<Tag>,
    /// Pictures and sounds, in the order of the file; the first is a key frame at 0 ms.
    pub frames: Vec<Tag>,
}

impl Clip {
    /// The clip as it is committed.
    pub fn demo() -> Self {
        let mut demuxer = Demuxer::new();
        demuxer.push(&Bytes::from_static(DEMO));
        let mut clip = Self { headers: Vec::new(), frames: Vec::new() };
        while let Some(tag) = demuxer.poll().expect("demo.flv is broken") {
            match (tag.kind, tag.body.get(1)) {
                (TagKind::Script, _) => {}
                (_, Some(0)) => clip.headers.push(tag),
                _ => clip.frames.push(tag),
            }
        }
        assert!(clip.headers.len() == 2 && is_key(&clip.frames[0]), "demo.flv is not what it promises");
        clip
    }

    /// The pictures alone.
    pub fn pictures(&self) -> impl Iterator<Item = &Tag> {
        self.frames.iter().filter(|tag| tag.kind == TagKind::Video)
    }

    /// The sounds alone.
    pub fn sounds(&self) -> impl Iterator<Item = &Tag> {
        self.frames.iter().filter(|tag| tag.kind == TagKind::Audio)
    }
}

/// The same tag at another time.
pub fn at(tag: &Tag, timestamp_ms: u32) -> Tag {
    Tag { timestamp_ms, ..tag.clone() }
}

/// A picture of the clip is a key frame.
pub fn is_key(tag: &Tag) -> bool {
    tag.kind == TagKind::Video && tag.body[0] >> 4 == 1
}

/// The coded bytes of a tag of one NAL unit or one AAC access unit.
pub fn coded(tag: &Tag) -> &[u8] {
    match tag.kind {
        TagKind::Video => &tag.body[9..],
        TagKind::Audio => &tag.body[2..],
        TagKind::Script => &tag.body,
    }
}

/// A tag of pictures.
pub fn video(timestamp_ms: u32, body: Bytes) -> Tag {
    Tag { kind: TagKind::Video, timestamp_ms, body }
}

/// A tag of sound.
pub fn audio(timestamp_ms: u32, body: Bytes) -> Tag {
    Tag { kind: TagKind::Audio, timestamp_ms, body }
}

/// The sequence header of H.264 Main profile, which may have B-frames, in a size of whole macroblocks.
pub fn avc_header(width: u32, height: u32) -> Bytes {
    let sps = main_profile_sps(width, height);
    let config = h264::Config::from_sets(vec![sps], vec![Bytes::from_static(&[0x68, 0xce, 0x3c, 0x80])]).unwrap();
    assert_eq!((config.picture.width, config.picture.height, config.picture.reorder_frames), (width, height, None));
    config_body(&TrackInfo::h264(config)).unwrap()
}

/// The sequence header of stereo AAC-LC.
pub fn aac_header(sample_rate_hz: u32) -> Bytes {
    config_body(&TrackInfo::aac(aac::Config::lc(sample_rate_hz, 2).unwrap())).unwrap()
}

/// What a picture made by hand says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// IDR.
    Key,
    /// P.
    P,
    /// B, and others refer to it.
    ReferencedB,
    /// B, and nothing refers to it.
    DroppableB,
}

/// A picture of one slice that carries a number; no decoder would make anything of it, and none is asked.
pub fn picture(slice: Slice, number: u64, composition_ms: i32, bytes: usize) -> Bytes {
    // NAL header; then first_mb_in_slice 0 and slice_type 2, 0 or 1 as Exp-Golomb codes (ITU-T H.264 section 7.3.3).
    let [header, kind] = match slice {
        Slice::Key => [0x65, 0b1011_0000],
        Slice::P => [0x41, 0b1100_0000],
        Slice::ReferencedB => [0x41, 0b1010_0000],
        Slice::DroppableB => [0x01, 0b1010_0000],
    };
    let length = bytes.max(10);
    let mut body = BytesMut::with_capacity(9 + length);
    body.put_slice(&[if slice == Slice::Key { 0x17 } else { 0x27 }, 1]);
    body.put_int(composition_ms.into(), 3);
    body.put_u32(u32::try_from(length).unwrap());
    body.put_slice(&[header, kind]);
    body.put_u64(number);
    body.resize(9 + length, 0x55);
    body.freeze()
}

/// The number of a picture made by hand.
pub fn number(unit: &Unit) -> u64 {
    u64::from_be_bytes(unit.payload.units[0][2..10].try_into().unwrap())
}

/// A sequence parameter set without VUI (ITU-T H.264 section 7.3.2.1.1).
fn main_profile_sps(width: u32, height: u32) -> Bytes {
    let mut bits = Bits::default();
    for code in [0, 0, 0, 2, 2] {
        bits.ue(code); // its number, frame number bits, order type 0, order bits, reference frames
    }
    bits.put(0, 1);
    bits.ue(width / 16 - 1);
    bits.ue(height / 16 - 1);
    bits.put(0b1100, 4); // frames only, direct 8x8, no cropping, no VUI
    bits.put(1, 1); // the stop bit
    let mut sps = vec![0x67, 77, 0, 31];
    sps.extend(bits.bytes());
    sps.into()
}

/// Bits, most significant first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }

    fn ue(&mut self, value: u32) {
        let length = (value + 1).ilog2();
        self.put(0, length);
        self.put(value + 1, length + 1);
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        let byte = |bits: &[bool]| bits.iter().enumerate().fold(0, |byte, (at, &bit)| byte | u8::from(bit) << (7 - at));
        self.0.chunks(8).map(byte)
    }
}
