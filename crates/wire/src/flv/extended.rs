//! The heads of Enhanced RTMP bodies (v2, "Enhanced Audio" and "Enhanced Video"): a fourcc instead of a codec number,
//! several tracks in one message, and modifiers before the packet type.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::TagKind;

/// Tracks of one kind in a publication, the first included, and so parts of a message, at most.
pub const TRACKS_MAX: usize = 8;

/// `AudioPacketType` and `VideoPacketType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// What a decoder must know.
    SequenceStart,
    /// Coded media; video of H.264 and H.265 begins with its composition time.
    CodedFrames,
    /// Coded video without composition time.
    CodedFramesX,
    /// The track ends here.
    SequenceEnd,
    /// AV1's configuration as a descriptor of MPEG-2 TS.
    Mpeg2TsSequenceStart,
    /// Colour metadata, the order of channels, commands, and whatever else a reader may pass over.
    Other,
}

/// What a message has for one track.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// `videoTrackId`, `audioTrackId`; 0 where the message does not say.
    pub(super) track: u8,
    pub(super) fourcc: [u8; 4],
    pub(super) body: Bytes,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) packet: Packet,
    /// `timestampOffsetNano`: nanoseconds after the timestamp at which it is shown.
    pub(super) offset_ns: u32,
    /// Empty where there is nothing in it for a decoder.
    pub(super) parts: SmallVec<[Part; 1]>,
}

/// Why a head cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    /// The body ends within it.
    Short,
    /// The tracks do not add up, are more than `TRACKS_MAX`, or tracks are within tracks.
    Tracks,
}

const MULTITRACK_AUDIO: u8 = 5;
const MULTITRACK_VIDEO: u8 = 6;
const MOD_EX: u8 = 7;
const METADATA: u8 = 4;
const FRAME_COMMAND: u8 = 5;
/// `ModEx` of this type is a `timestampOffsetNano`.
const TIMESTAMP_OFFSET_NANO: u8 = 0;
const OFFSET_NS_MAX: u32 = 999_999;
/// Modifiers before one packet, at most: only one is defined.
const MODIFIERS_MAX: usize = 8;

const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_TRACKS_MANY_CODECS: u8 = 2;

/// Reads the head of a body whose first byte announces a fourcc.
pub(super) fn read(kind: TagKind, body: &Bytes) -> Result<Message, HeadError> {
    let mut at = Reader { body, at: 0 };
    let first = at.u8()?;
    let (mut packet, mut offset_ns) = (first & 0x0f, 0);
    let mut modifiers = 0;
    while packet == MOD_EX {
        modifiers += 1;
        if modifiers > MODIFIERS_MAX {
            return Err(HeadError::Tracks);
        }
        let data = at.modifier()?;
        let next = at.u8()?;
        packet = next & 0x0f;
        if next >> 4 == TIMESTAMP_OFFSET_NANO
            && let Some(&[a, b, c]) = data.first_chunk::<3>()
        {
            offset_ns = u32::from_be_bytes([0, a, b, c]).min(OFFSET_NS_MAX);
        }
    }
    let is_video = kind == TagKind::Video;
    if is_video && packet != METADATA && first >> 4 & 7 == FRAME_COMMAND {
        return Ok(Message { packet: Packet::Other, offset_ns, parts: SmallVec::new() });
    }
    let multitrack = if is_video { MULTITRACK_VIDEO } else { MULTITRACK_AUDIO };
    if packet != multitrack {
        let fourcc = at.fourcc()?;
        let parts = smallvec![Part { track: 0, fourcc, body: at.rest() }];
        return Ok(Message { packet: packet_of(kind, packet), offset_ns, parts });
    }
    let types = at.u8()?;
    if types & 0x0f == multitrack {
        return Err(HeadError::Tracks);
    }
    Ok(Message { packet: packet_of(kind, types & 0x0f), offset_ns, parts: at.tracks(types >> 4)? })
}

fn packet_of(kind: TagKind, number: u8) -> Packet {
    match (number, kind) {
        (0, _) => Packet::SequenceStart,
        (1, _) => Packet::CodedFrames,
        (2, _) => Packet::SequenceEnd,
        (3, TagKind::Video) => Packet::CodedFramesX,
        (5, TagKind::Video) => Packet::Mpeg2TsSequenceStart,
        _ => Packet::Other,
    }
}

struct Reader<'a> {
    body: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<Bytes, HeadError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.body.len()).ok_or(HeadError::Short)?;
        let taken = self.body.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, HeadError> {
        self.take(1)?.first().copied().ok_or(HeadError::Short)
    }

    fn number(&mut self, bytes: usize) -> Result<usize, HeadError> {
        Ok(self.take(bytes)?.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
    }

    fn fourcc(&mut self) -> Result<[u8; 4], HeadError> {
        self.take(4)?.first_chunk::<4>().copied().ok_or(HeadError::Short)
    }

    fn rest(&mut self) -> Bytes {
        let rest = self.body.slice(self.at..);
        self.at = self.body.len();
        rest
    }

    /// `modExData`: its size less one in a byte, or in two more where that is 255.
    fn modifier(&mut self) -> Result<Bytes, HeadError> {
        let size = match self.number(1)? {
            255 => self.number(2)? + 1,
            size => size + 1,
        };
        self.take(size)
    }

    fn tracks(&mut self, multitrack: u8) -> Result<SmallVec<[Part; 1]>, HeadError> {
        if multitrack > MANY_TRACKS_MANY_CODECS {
            return Err(HeadError::Tracks);
        }
        let mut fourcc = if multitrack == MANY_TRACKS_MANY_CODECS { [0; 4] } else { self.fourcc()? };
        let mut parts = SmallVec::new();
        while parts.is_empty() || self.at < self.body.len() {
            if parts.len() >= TRACKS_MAX {
                return Err(HeadError::Tracks);
            }
            if multitrack == MANY_TRACKS_MANY_CODECS {
                fourcc = self.fourcc()?;
            }
            let track = self.u8()?;
            let body = match multitrack {
                ONE_TRACK => self.rest(),
                MANY_TRACKS..=u8::MAX => {
                    let size = self.number(3)?;
                    self.take(size).map_err(|_| HeadError::Tracks)?
                }
            };
            parts.push(Part { track, fourcc, body });
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_video(body: &[u8]) -> Result<Message, HeadError> {
        read(TagKind::Video, &Bytes::copy_from_slice(body))
    }

    fn part(track: u8, fourcc: &[u8; 4], body: &'static [u8]) -> Part {
        Part { track, fourcc: *fourcc, body: Bytes::from_static(body) }
    }

    #[test]
    fn one_track_without_a_number_is_the_first() {
        let message = read_video(b"\x91hvc1\0\0\x28abc").unwrap();
        assert_eq!((message.packet, message.offset_ns), (Packet::CodedFrames, 0));
        assert_eq!(message.parts.as_slice(), [part(0, b"hvc1", b"\0\0\x28abc")]);
        let sound = read(TagKind::Audio, &Bytes::from_static(b"\x90OpusOpusHead")).unwrap();
        assert_eq!(
            (sound.packet, sound.parts.as_slice()),
            (Packet::SequenceStart, &[part(0, b"Opus", b"OpusHead")][..])
        );
    }

    #[test]
    fn the_three_kinds_of_multitrack() {
        let one = read_video(b"\x96\x03avc1\x02abc").unwrap();
        assert_eq!((one.packet, one.parts.as_slice()), (Packet::CodedFramesX, &[part(2, b"avc1", b"abc")][..]));
        let many = read_video(b"\x96\x11av01\x00\0\0\x02ab\x01\0\0\x01c").unwrap();
        assert_eq!(many.parts.as_slice(), [part(0, b"av01", b"ab"), part(1, b"av01", b"c")]);
        let codecs = read(TagKind::Audio, &Bytes::from_static(b"\x95\x20mp4a\x00\0\0\x02abOpus\x07\0\0\x00")).unwrap();
        assert_eq!(codecs.packet, Packet::SequenceStart);
        assert_eq!(codecs.parts.as_slice(), [part(0, b"mp4a", b"ab"), part(7, b"Opus", b"")]);
    }

    #[test]
    fn modifiers_come_before_the_packet() {
        let nano = read_video(b"\x97\x02\x0f\x42\x3f\x01vp09x").unwrap();
        assert_eq!((nano.packet, nano.offset_ns), (Packet::CodedFrames, 999_999));
        assert_eq!(nano.parts.as_slice(), [part(0, b"vp09", b"x")]);
        let unknown = read_video(b"\x97\x00\xff\x33vp09x").unwrap();
        assert_eq!((unknown.packet, unknown.offset_ns), (Packet::CodedFramesX, 0), "an unknown one is passed over");
        let long = [&b"\x97\xff\x00\xff"[..], &[9; 256], b"\x11vp09x"].concat();
        assert_eq!(read_video(&long).unwrap().parts.as_slice(), [part(0, b"vp09", b"x")]);
        let endless = [&b"\x97"[..], &b"\x00\x00\x07".repeat(50)].concat();
        assert_eq!(read_video(&endless), Err(HeadError::Tracks));
    }

    #[test]
    fn commands_and_metadata() {
        assert!(read_video(b"\xd1\x00").unwrap().parts.is_empty(), "a command has no fourcc");
        let metadata = read_video(b"\xd4hvc1\x02\x00").unwrap();
        assert_eq!((metadata.packet, metadata.parts.len()), (Packet::Other, 1));
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        for (body, error) in [
            (&b"\x91hvc"[..], HeadError::Short),
            (b"\x97\x02\x0f", HeadError::Short),
            (b"\x96\x01avc1", HeadError::Short),
            (b"\x96\x06avc1\x01", HeadError::Tracks),
            (b"\x96\x31avc1\x01", HeadError::Tracks),
            (b"\x96\x11avc1\x01\0\0\x09ab", HeadError::Tracks),
            (b"\x96\x11avc1\x01\0\0", HeadError::Short),
        ] {
            assert_eq!(read_video(body), Err(error), "{body:?}");
        }
        let many = |count: usize| [&b"\x96\x11avc1"[..], &b"\x01\0\0\x00".repeat(count)].concat();
        assert_eq!(read_video(&many(TRACKS_MAX)).unwrap().parts.len(), TRACKS_MAX);
        assert_eq!(read_video(&many(TRACKS_MAX + 1)), Err(HeadError::Tracks));
    }

    proptest! {
        #[test]
        fn never_panics(first in 0x90u8..0x98, bytes in proptest::collection::vec(prop_oneof![0u8..9, any::<u8>()], 0..64)) {
            let body = Bytes::from([&[first][..], &bytes].concat());
            for kind in [TagKind::Video, TagKind::Audio] {
                if let Ok(message) = read(kind, &body) {
                    prop_assert!(message.parts.iter().map(|part| part.body.len()).sum::<usize>() < body.len());
                }
            }
        }
    }
}
