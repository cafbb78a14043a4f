//! What one connection may cost us.

/// Bounds of one connection. A peer that exceeds one gets its connection closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest message in bytes before a publication or playback was accepted.
    pub message_bytes_max_before: usize,
    /// Longest message in bytes after a publication was accepted: a key frame.
    pub message_bytes_max: usize,
    /// Bytes of messages that have begun and not ended, over all chunk streams.
    pub partial_bytes_max: usize,
    /// Chunk streams.
    pub chunk_streams_max: usize,
    /// Commands before a publication or playback was asked for.
    pub commands_max: u32,
    /// Bytes that are kept while a publication or playback waits for its answer. The owner should rather stop
    /// reading from the socket.
    pub held_bytes_max: usize,
    /// Longest application name, stream name, address and client version, in bytes each.
    pub field_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max_before: 64 << 10,
            message_bytes_max: 8 << 20,
            partial_bytes_max: 16 << 20,
            chunk_streams_max: 16,
            commands_max: 32,
            held_bytes_max: 256 << 10,
            field_bytes_max: 4_096,
        }
    }
}

/// Media messages in one aggregate message (type 22).
pub(super) const AGGREGATE_MESSAGES_MAX: usize = 1_024;
