//! The framing of an FLV file: its header and its tags (FLV 10.1 annex E.2 to E.4.1).

use bytes::{BufMut, Bytes, BytesMut};

/// What a tag, or an RTMP message of media, carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagKind {
    /// Coded sound.
    Audio,
    /// Coded picture.
    Video,
    /// Script data in AMF0: a name and a value.
    Script,
}

impl TagKind {
    /// The number in a tag header, and the type of the RTMP message (RTMP 1.0 section 7.1).
    pub fn id(self) -> u8 {
        match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::Script => 18,
        }
    }

    /// The kind of a tag type or RTMP message type. `None` for all others.
    pub fn from_id(id: u8) -> Option<Self> {
        match id {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Script),
            _ => None,
        }
    }
}

/// One tag of a file, or one message of media of an RTMP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What it carries.
    pub kind: TagKind,
    /// Decoding time in milliseconds, as the source says it: it wraps at 2^32 and may jump.
    pub timestamp_ms: u32,
    /// The body, without tag header.
    pub body: Bytes,
}

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The file says that it has sound. Many writers lie.
    pub has_audio: bool,
    /// The file says that it has pictures. Many writers lie.
    pub has_video: bool,
    /// Bytes from the start of the file to the first `PreviousTagSize`: 9 in version 1.
    pub data_offset: u32,
}

/// Bytes of the header of a file of version 1, without the first `PreviousTagSize`.
pub const HEADER_BYTES: usize = 9;
/// Bytes before the body of a tag.
pub const TAG_HEADER_BYTES: usize = 11;
/// Longest body that the 24 bits of a tag header can say.
pub(crate) const BODY_BYTES_MAX: usize = 0xff_ffff;

impl Header {
    /// Reads the first 9 bytes of a file. `None` where they are no FLV header.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [b'F', b'L', b'V', _version, flags, a, b, c, d] = *bytes.get(..HEADER_BYTES)? else { return None };
        let data_offset = u32::from_be_bytes([a, b, c, d]);
        Some(Self { has_audio: flags & 4 != 0, has_video: flags & 1 != 0, data_offset })
    }
}

/// The start of a file: header and the first `PreviousTagSize`, 13 bytes.
pub fn file_header(has_audio: bool, has_video: bool) -> Bytes {
    let flags = u8::from(has_audio) << 2 | u8::from(has_video);
    let mut out = BytesMut::with_capacity(HEADER_BYTES + 4);
    out.put_slice(&[b'F', b'L', b'V', 1, flags]);
    out.put_u32(HEADER_BYTES as u32);
    out.put_u32(0);
    out.freeze()
}

/// One tag and the `PreviousTagSize` after it, the same bytes for every viewer.
///
/// A body longer than the 16 MiB that the format can say is cut: no frame that we accept is that long.
pub fn tag_bytes(kind: TagKind, timestamp_ms: u32, body: &[u8]) -> Bytes {
    let body = body.get(..BODY_BYTES_MAX).unwrap_or(body);
    let mut out = BytesMut::with_capacity(TAG_HEADER_BYTES + body.len() + 4);
    let [high, time @ ..] = timestamp_ms.to_be_bytes();
    out.put_u8(kind.id());
    out.put_uint(body.len() as u64, 3);
    out.put_slice(&time);
    out.put_slice(&[high, 0, 0, 0]);
    out.put_slice(body);
    out.put_u32((TAG_HEADER_BYTES + body.len()) as u32);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_what_the_standard_says() {
        let tag = tag_bytes(TagKind::Video, 0x0102_0304, b"abc");
        assert_eq!(&tag[..], b"\x09\x00\x00\x03\x02\x03\x04\x01\x00\x00\x00abc\x00\x00\x00\x0e");
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for (audio, video) in [(true, true), (true, false), (false, true), (false, false)] {
            let bytes = file_header(audio, video);
            assert_eq!(bytes.len(), 13);
            assert_eq!(Header::parse(&bytes), Some(Header { has_audio: audio, has_video: video, data_offset: 9 }));
        }
        assert_eq!(Header::parse(b"FLV\x01\x05\x00\x00\x00"), None);
        assert_eq!(Header::parse(b"MP4\x01\x05\x00\x00\x00\x09"), None);
    }
}
