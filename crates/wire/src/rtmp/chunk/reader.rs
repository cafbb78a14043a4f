//! Reading messages out of chunks.

use bytes::{Buf, Bytes, BytesMut};

use super::{CHUNK_SIZE_DEFAULT, ChunkError, EXTENDED, MESSAGE_BYTES_MAX, Raw};
use crate::rtmp::Limits;

/// Reads messages out of chunks, each chunk stream for itself. A message that sits whole in one chunk and one buffer is a
/// slice of that buffer; any other is put together once.
#[derive(Debug)]
pub(in crate::rtmp) struct Reader {
    streams: Vec<Stream>,
    /// The chunk whose bytes are being read.
    current: Option<Current>,
    /// The beginning of a chunk header whose end has not arrived: 17 bytes at most.
    carry: BytesMut,
    chunk_size: usize,
    message_bytes_max: usize,
    partial_bytes: usize,
    limits: Limits,
}

/// What a chunk stream remembers for headers that say less.
#[derive(Debug, Default)]
struct Stream {
    id: u32,
    timestamp_ms: u32,
    /// The last timestamp field: the time itself after a full header, a delta after a shortened one.
    field: u32,
    extended: bool,
    length: usize,
    type_id: u8,
    stream_id: u32,
    partial: BytesMut,
    /// A message has begun: its header was read and its last byte was not.
    open: bool,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    stream: usize,
    left: usize,
}

/// The parts of a chunk header that were there.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    format: u8,
    id: u32,
    field: u32,
    extended: bool,
    length: usize,
    type_id: u8,
    stream_id: u32,
    bytes: usize,
}

impl Reader {
    /// A reader at the first chunk. Messages are bounded by `message_bytes_max` until that is set anew.
    pub(in crate::rtmp) fn new(limits: Limits, message_bytes_max: usize) -> Self {
        Self {
            streams: Vec::new(),
            current: None,
            carry: BytesMut::new(),
            chunk_size: CHUNK_SIZE_DEFAULT,
            message_bytes_max,
            partial_bytes: 0,
            limits,
        }
    }

    /// What the peer announced (RTMP 1.0 section 5.4.1). Sizes beyond the longest message mean that.
    pub(in crate::rtmp) fn set_chunk_size(&mut self, bytes: u32) -> Result<(), ChunkError> {
        if bytes == 0 || bytes > i32::MAX as u32 {
            return Err(ChunkError::ChunkSize(bytes));
        }
        self.chunk_size = (bytes as usize).min(MESSAGE_BYTES_MAX);
        Ok(())
    }

    pub(in crate::rtmp) fn set_message_bytes_max(&mut self, bytes: usize) {
        self.message_bytes_max = bytes;
    }

    /// Drops the unfinished message of a chunk stream (RTMP 1.0 section 5.4.2).
    pub(in crate::rtmp) fn abort(&mut self, id: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
            self.partial_bytes = self.partial_bytes.saturating_sub(stream.partial.len());
            stream.partial = BytesMut::new();
            stream.open = false;
        }
    }

    /// The next whole message, taking from `input` what was read. `None` means that `input` is used up.
    pub(in crate::rtmp) fn read(&mut self, input: &mut Bytes) -> Result<Option<Raw>, ChunkError> {
        if !self.carry.is_empty() {
            self.carry.extend_from_slice(input);
            *input = self.carry.split().freeze();
        }
        loop {
            if self.current.is_none() {
                let Some(head) = self.head(input) else {
                    self.carry.extend_from_slice(input);
                    *input = Bytes::new();
                    return Ok(None);
                };
                input.advance(head.bytes);
                self.begin(head)?;
            }
            match self.body(input)? {
                Body::Whole(raw) => return Ok(Some(raw)),
                Body::ChunkEnded => {}
                Body::Hungry => return Ok(None),
            }
        }
    }

    /// The header at the start of `bytes`, `None` where its end is not there yet.
    fn head(&self, bytes: &[u8]) -> Option<Head> {
        let first = *bytes.first()?;
        let (id, basic) = match first & 0x3f {
            0 => (64 + u32::from(*bytes.get(1)?), 2),
            1 => (64 + u32::from(*bytes.get(1)?) + 256 * u32::from(*bytes.get(2)?), 3),
            id => (u32::from(id), 1),
        };
        let mut head = Head { format: first >> 6, id, bytes: basic, ..Head::default() };
        let rest = bytes.get(basic..)?;
        head.bytes += match head.format {
            0 => 11,
            1 => 7,
            2 => 3,
            _ => return self.repeated(head, rest),
        };
        let &[a, b, c] = rest.first_chunk()?;
        head.field = u32::from_be_bytes([0, a, b, c]);
        if head.format < 2 {
            let &[a, b, c, type_id] = rest.get(3..)?.first_chunk()?;
            head.length = u32::from_be_bytes([0, a, b, c]) as usize;
            head.type_id = type_id;
        }
        if head.format == 0 {
            head.stream_id = u32::from_le_bytes(*rest.get(7..)?.first_chunk()?);
        }
        if head.field == EXTENDED {
            head.field = u32::from_be_bytes(*bytes.get(head.bytes..)?.first_chunk()?);
            head.extended = true;
            head.bytes += 4;
        }
        Some(head)
    }

    /// A header of one byte. The standard repeats an extended timestamp after it and some senders do not: it is there
    /// where the next 4 bytes are those of the field before.
    fn repeated(&self, mut head: Head, rest: &[u8]) -> Option<Head> {
        if let Some(stream) = self.streams.iter().find(|stream| stream.id == head.id && stream.extended) {
            let next = u32::from_be_bytes(*rest.first_chunk()?);
            if next == stream.field {
                head.bytes += 4;
            }
        }
        Some(head)
    }

    /// Applies a header: the chunk after it becomes the current one.
    fn begin(&mut self, head: Head) -> Result<(), ChunkError> {
        let index = match self.streams.iter().position(|stream| stream.id == head.id) {
            Some(index) => index,
            // Some clients begin a chunk stream with a header that lacks the message stream only: it is 0 then.
            None if head.format > 1 => return Err(ChunkError::NoHeader(head.id)),
            None if self.streams.len() >= self.limits.chunk_streams_max => {
                return Err(ChunkError::TooManyStreams(self.limits.chunk_streams_max));
            }
            None => {
                self.streams.push(Stream { id: head.id, ..Stream::default() });
                self.streams.len() - 1
            }
        };
        let Some(stream) = self.streams.get_mut(index) else { return Err(ChunkError::NoHeader(head.id)) };
        if stream.open && head.format != 3 {
            return Err(ChunkError::Interrupted(head.id));
        }
        if !stream.open {
            stream.apply(&head);
            if stream.length > self.message_bytes_max {
                return Err(ChunkError::TooLong { bytes: stream.length, bytes_max: self.message_bytes_max });
            }
            stream.open = true;
        }
        let left = (stream.length - stream.partial.len()).min(self.chunk_size);
        self.current = Some(Current { stream: index, left });
        Ok(())
    }

    /// Takes bytes of the current chunk.
    fn body(&mut self, input: &mut Bytes) -> Result<Body, ChunkError> {
        let Some(Current { stream: index, left }) = self.current else { return Ok(Body::ChunkEnded) };
        let Some(stream) = self.streams.get_mut(index) else { return Ok(Body::ChunkEnded) };
        if stream.partial.is_empty() && left == stream.length && input.len() >= left {
            self.current = None;
            return Ok(Body::Whole(stream.finish(input.split_to(left))));
        }
        let piece = input.split_to(left.min(input.len()));
        if self.partial_bytes + piece.len() > self.limits.partial_bytes_max {
            return Err(ChunkError::TooMuchUnfinished(self.limits.partial_bytes_max));
        }
        self.partial_bytes += piece.len();
        stream.partial.extend_from_slice(&piece);
        if piece.len() < left {
            self.current = Some(Current { stream: index, left: left - piece.len() });
            return Ok(Body::Hungry);
        }
        self.current = None;
        if stream.partial.len() < stream.length {
            return Ok(Body::ChunkEnded);
        }
        self.partial_bytes -= stream.partial.len();
        let body = std::mem::take(&mut stream.partial).freeze();
        Ok(Body::Whole(stream.finish(body)))
    }
}

enum Body {
    Whole(Raw),
    ChunkEnded,
    Hungry,
}

impl Stream {
    /// Takes over what the header of a new message says.
    fn apply(&mut self, head: &Head) {
        if head.format < 3 {
            self.field = head.field;
            self.extended = head.extended;
        }
        if head.format < 2 {
            self.length = head.length;
            self.type_id = head.type_id;
        }
        if head.format == 0 {
            self.stream_id = head.stream_id;
            self.timestamp_ms = head.field;
        } else {
            // After a full header, a header of one byte repeats its field as a delta (section 5.3.1.2.4).
            self.timestamp_ms = self.timestamp_ms.wrapping_add(self.field);
        }
    }

    fn finish(&mut self, body: Bytes) -> Raw {
        self.open = false;
        Raw {
            chunk_stream: self.id,
            timestamp_ms: self.timestamp_ms,
            type_id: self.type_id,
            stream_id: self.stream_id,
            body,
        }
    }
}
