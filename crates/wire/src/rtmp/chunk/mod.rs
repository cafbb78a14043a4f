//! Chunks (RTMP 1.0 section 5.3): messages cut in pieces, the pieces of several chunk streams interleaved.

mod reader;
mod writer;

use bytes::Bytes;
use thiserror::Error;

pub(super) use reader::Reader;
pub(super) use writer::put_message;

/// One message as it came, of whatever type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    /// The chunk stream that carried it.
    pub(super) chunk_stream: u32,
    /// Milliseconds, deltas resolved; wraps at 2^32.
    pub(super) timestamp_ms: u32,
    /// Message type.
    pub(super) type_id: u8,
    /// Message stream: 0 for the connection itself.
    pub(super) stream_id: u32,
    /// The body.
    pub(super) body: Bytes,
}

/// Why chunks cannot be read. All are faults of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// The first chunk of a chunk stream refers to a chunk before it.
    #[error("the RTMP chunk stream {0} begins with a shortened header")]
    NoHeader(u32),
    /// A header of a new message while the message before it has not ended.
    #[error("the RTMP chunk stream {0} begins a message within a message")]
    Interrupted(u32),
    /// More chunk streams than allowed.
    #[error("the RTMP peer uses more than {0} chunk streams")]
    TooManyStreams(usize),
    /// A message longer than allowed.
    #[error("the RTMP peer announces a message of {bytes} bytes, and {bytes_max} are the limit")]
    TooLong {
        /// What was announced.
        bytes: usize,
        /// What is allowed at this time.
        bytes_max: usize,
    },
    /// More bytes of unfinished messages than allowed.
    #[error("the RTMP peer keeps more than {0} bytes of messages unfinished")]
    TooMuchUnfinished(usize),
    /// A chunk size of 0 or of more than 31 bits.
    #[error("the RTMP peer sets an impossible chunk size of {0} bytes")]
    ChunkSize(u32),
    /// A protocol control message with a body that is too short.
    #[error("the RTMP peer sent a control message that is cut short")]
    Control,
    /// An aggregate message whose parts do not add up or are too many.
    #[error("the RTMP peer sent an aggregate message that does not add up")]
    Aggregate,
}

/// Chunk size of either direction before anybody sets another (RTMP 1.0 section 5.4.1), in bytes.
pub(super) const CHUNK_SIZE_DEFAULT: usize = 128;
/// A timestamp field that says that 4 more bytes follow (RTMP 1.0 section 5.3.1.3).
const EXTENDED: u32 = 0xff_ffff;
/// Longest message that 24 bits can say. A chunk cannot be longer, so larger chunk sizes mean this one.
const MESSAGE_BYTES_MAX: usize = 0xff_ffff;

#[cfg(test)]
mod tests;
