//! Writing a message as chunks.

use bytes::{BufMut, BytesMut};

use super::{EXTENDED, MESSAGE_BYTES_MAX};

/// Writes one message with a full header, so that it can be read without anything before it. `chunk_stream` is 2 to
/// 63, `chunk_size` is what the reader was told, in bytes.
pub(in crate::rtmp) fn put_message(
    out: &mut BytesMut,
    chunk_stream: u8,
    timestamp_ms: u32,
    type_id: u8,
    stream_id: u32,
    body: &[u8],
    chunk_size: usize,
) {
    let body = body.get(..MESSAGE_BYTES_MAX).unwrap_or(body);
    let chunk_size = chunk_size.max(1);
    let extended = (timestamp_ms >= EXTENDED).then_some(timestamp_ms);
    let continuations = body.len().saturating_sub(1) / chunk_size;
    out.reserve(16 + body.len() + 5 * continuations);
    out.put_u8(chunk_stream & 0x3f);
    out.put_uint(timestamp_ms.min(EXTENDED).into(), 3);
    out.put_uint(body.len() as u64, 3);
    out.put_u8(type_id);
    out.put_u32_le(stream_id);
    if let Some(timestamp_ms) = extended {
        out.put_u32(timestamp_ms);
    }
    for (index, piece) in body.chunks(chunk_size).enumerate() {
        if index > 0 {
            out.put_u8(0xc0 | chunk_stream & 0x3f);
            if let Some(timestamp_ms) = extended {
                out.put_u32(timestamp_ms);
            }
        }
        out.put_slice(piece);
    }
}
