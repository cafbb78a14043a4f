//! One media message as bytes that are the same for every viewer.

use bytes::{Bytes, BytesMut};

use super::MessageKind;
use super::chunk::put_message;

/// Chunk size that we announce before anything else, in bytes. Almost every frame is one chunk then.
pub const OUT_CHUNK_SIZE: usize = 65_536;
/// The one message stream that a connection has.
pub(super) const MESSAGE_STREAM: u32 = 1;

/// One media message for any viewer whose playback was accepted: a full header, message stream 1, a fixed chunk stream
/// for each kind, chunks of `OUT_CHUNK_SIZE`, and an absolute timestamp in milliseconds.
///
/// A body longer than the 16 MiB that the format can say is cut: no frame that we accept is that long.
pub fn media_bytes(kind: MessageKind, timestamp_ms: u32, body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    put_message(&mut out, chunk_stream(kind), timestamp_ms, kind.id(), MESSAGE_STREAM, body, OUT_CHUNK_SIZE);
    out.freeze()
}

/// Chunk streams 4, 5 and 6: 2 is for the protocol and 3 for commands.
pub(super) fn chunk_stream(kind: MessageKind) -> u8 {
    match kind {
        MessageKind::Audio => 4,
        MessageKind::Script => 5,
        MessageKind::Video => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_message_is_one_chunk_with_a_full_header() {
        let bytes = media_bytes(MessageKind::Audio, 0x01_0203, b"ab");
        assert_eq!(&bytes[..], b"\x04\x01\x02\x03\x00\x00\x02\x08\x01\x00\x00\x00ab");
    }

    #[test]
    fn a_long_message_repeats_its_extended_timestamp_in_every_chunk() {
        let bytes = media_bytes(MessageKind::Video, 0x0100_0000, &vec![7; OUT_CHUNK_SIZE + 1]);
        assert_eq!(&bytes[..16], b"\x06\xff\xff\xff\x01\x00\x01\x09\x01\x00\x00\x00\x01\x00\x00\x00");
        assert_eq!(&bytes[16 + OUT_CHUNK_SIZE..], b"\xc6\x01\x00\x00\x00\x07");
    }
}
