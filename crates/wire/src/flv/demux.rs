//! Taking a file of tags apart as its bytes arrive.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::{HEADER_BYTES, Header, TAG_HEADER_BYTES, Tag, TagKind};

/// Longest body of a tag that is accepted, in bytes.
pub const TAG_BYTES_MAX: usize = 8 << 20;
/// Longest header of a file that is accepted, in bytes. Version 1 has 9.
const DATA_OFFSET_MAX: u32 = 1_024;
const PREVIOUS_TAG_SIZE_BYTES: usize = 4;

/// Why bytes are no FLV that we read. All are faults of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DemuxError {
    /// The first bytes are no FLV header.
    #[error("the file does not start with an FLV header")]
    Header,
    /// A tag of a type that does not exist, or an encrypted one.
    #[error("the FLV file has a tag of type {0}, which does not exist or is encrypted")]
    TagType(u8),
    /// A tag longer than `TAG_BYTES_MAX`.
    #[error("the FLV file has a tag of {0} bytes, and {TAG_BYTES_MAX} are the limit")]
    TooLong(usize),
}

/// Reads tags from bytes that arrive in pieces of any size. What it keeps is bounded by the tag that is being read
/// and by what was pushed and not yet polled.
#[derive(Debug, Default)]
pub struct Demuxer {
    buffer: BytesMut,
    header: Option<Header>,
    /// Bytes to pass over before the next tag: the rest of a long header, or a `PreviousTagSize`.
    skip: usize,
}

impl Demuxer {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The header of the file, once it was read.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// Takes the next bytes of the file. Poll until there is nothing before the next push.
    pub fn push(&mut self, bytes: &Bytes) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole tag, or `None` where more bytes are needed.
    ///
    /// # Errors
    /// Where the bytes are no FLV. The reader does not find its way again after that.
    pub fn poll(&mut self) -> Result<Option<Tag>, DemuxError> {
        if self.header.is_none() && !self.read_header()? {
            return Ok(None);
        }
        let skipped = self.skip.min(self.buffer.len());
        self.buffer.advance(skipped);
        self.skip -= skipped;
        if self.skip > 0 {
            return Ok(None);
        }
        let Some(&[kind, l0, l1, l2, t0, t1, t2, high, _, _, _]) = self.buffer.first_chunk::<TAG_HEADER_BYTES>() else {
            return Ok(None);
        };
        let kind = TagKind::from_id(kind).ok_or(DemuxError::TagType(kind))?;
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if length > TAG_BYTES_MAX {
            return Err(DemuxError::TooLong(length));
        }
        if self.buffer.len() < TAG_HEADER_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(TAG_HEADER_BYTES);
        let body = self.buffer.split_to(length).freeze();
        self.skip = PREVIOUS_TAG_SIZE_BYTES;
        Ok(Some(Tag { kind, timestamp_ms: u32::from_be_bytes([high, t0, t1, t2]), body }))
    }

    fn read_header(&mut self) -> Result<bool, DemuxError> {
        if self.buffer.len() < HEADER_BYTES {
            let magic = b"FLV";
            let differs = self.buffer.iter().zip(magic).any(|(a, b)| a != b);
            return if differs { Err(DemuxError::Header) } else { Ok(false) };
        }
        let header = Header::parse(&self.buffer).ok_or(DemuxError::Header)?;
        if !(HEADER_BYTES as u32..=DATA_OFFSET_MAX).contains(&header.data_offset) {
            return Err(DemuxError::Header);
        }
        self.skip = header.data_offset as usize + PREVIOUS_TAG_SIZE_BYTES;
        self.header = Some(header);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{file_header, tag_bytes};
    use proptest::prelude::*;

    fn drain(demuxer: &mut Demuxer) -> Result<Vec<Tag>, DemuxError> {
        let mut tags = Vec::new();
        while let Some(tag) = demuxer.poll()? {
            tags.push(tag);
        }
        Ok(tags)
    }

    fn file(tags: &[Tag]) -> Vec<u8> {
        let mut file = file_header(true, true).to_vec();
        tags.iter().for_each(|tag| file.extend(tag_bytes(tag.kind, tag.timestamp_ms, &tag.body)));
        file
    }

    #[test]
    fn refuses_what_is_no_flv() {
        let poll = |bytes: &[u8]| {
            let mut demuxer = Demuxer::new();
            demuxer.push(&Bytes::copy_from_slice(bytes));
            drain(&mut demuxer)
        };
        assert_eq!(poll(b"GET"), Err(DemuxError::Header), "at once, not after nine bytes");
        assert_eq!(poll(b"FLV\x01\x05\x00\x00\x00\x08"), Err(DemuxError::Header));
        assert_eq!(poll(b"FLV\x01\x05\xff\x00\x00\x09"), Err(DemuxError::Header));
        let mut file = file_header(true, true).to_vec();
        file.extend([0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(poll(&file), Err(DemuxError::TagType(0x28)));
        let mut file = file_header(true, true).to_vec();
        file.extend([8, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(poll(&file), Err(DemuxError::TooLong(0x80_0001)));
    }

    #[test]
    fn passes_over_a_long_header() {
        let mut bytes = b"FLV\x01\x05\x00\x00\x00\x0b??\0\0\0\0".to_vec();
        bytes.extend(tag_bytes(TagKind::Audio, 7, b"x"));
        let mut demuxer = Demuxer::new();
        demuxer.push(&bytes.into());
        assert_eq!(drain(&mut demuxer).unwrap().len(), 1);
    }

    fn any_tag() -> impl Strategy<Value = Tag> {
        (0usize..3, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..300)).prop_map(
            |(kind, timestamp_ms, body)| Tag {
                kind: [TagKind::Audio, TagKind::Video, TagKind::Script][kind],
                timestamp_ms,
                body: body.into(),
            },
        )
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_tags(tags in proptest::collection::vec(any_tag(), 0..8), piece in 1usize..70) {
            let mut demuxer = Demuxer::new();
            let mut seen = Vec::new();
            for piece in file(&tags).chunks(piece) {
                demuxer.push(&Bytes::copy_from_slice(piece));
                seen.extend(drain(&mut demuxer).unwrap());
            }
            prop_assert_eq!(seen, tags);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut demuxer = Demuxer::new();
            demuxer.push(&Bytes::from([&file_header(true, true)[..], &bytes].concat()));
            let _ = drain(&mut demuxer);
        }
    }
}
