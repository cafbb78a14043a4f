//! Messages: what they are numbered, and those of media.

use bytes::Bytes;
use smallvec::SmallVec;

use super::chunk::{ChunkError, Raw};
use super::limits::AGGREGATE_MESSAGES_MAX;
use crate::flv::{TAG_HEADER_BYTES, TagKind};

/// One message of media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Sound, picture or script.
    pub kind: TagKind,
    /// Milliseconds as the sender says them: they wrap at 2^32 and may jump.
    pub timestamp_ms: u32,
    /// The body, which is that of an FLV tag.
    pub body: Bytes,
}

/// Message type ids of RTMP 1.0 sections 5.4 and 7.1.
pub(super) mod kind {
    pub(in crate::rtmp) const SET_CHUNK_SIZE: u8 = 1;
    pub(in crate::rtmp) const ABORT: u8 = 2;
    pub(in crate::rtmp) const ACKNOWLEDGEMENT: u8 = 3;
    pub(in crate::rtmp) const USER_CONTROL: u8 = 4;
    pub(in crate::rtmp) const WINDOW_ACK_SIZE: u8 = 5;
    pub(in crate::rtmp) const SET_PEER_BANDWIDTH: u8 = 6;
    pub(in crate::rtmp) const DATA_AMF3: u8 = 15;
    pub(in crate::rtmp) const COMMAND_AMF3: u8 = 17;
    pub(in crate::rtmp) const COMMAND: u8 = 20;
    pub(in crate::rtmp) const AGGREGATE: u8 = 22;
}

/// Event types of user control messages, RTMP 1.0 section 7.1.7.
pub(super) mod user_control {
    pub(in crate::rtmp) const STREAM_BEGIN: u16 = 0;
    pub(in crate::rtmp) const STREAM_EOF: u16 = 1;
    pub(in crate::rtmp) const SET_BUFFER_LENGTH: u16 = 3;
    pub(in crate::rtmp) const PING_REQUEST: u16 = 6;
    pub(in crate::rtmp) const PING_RESPONSE: u16 = 7;
}

/// The media message in a raw one; `None` for types that carry none. Messages of AMF3 data have one byte before
/// their AMF0.
pub(super) fn media_of(raw: &Raw) -> Option<Message> {
    let (kind, body) = match raw.type_id {
        kind::DATA_AMF3 => (TagKind::Script, raw.body.slice(raw.body.len().min(1)..)),
        id => (TagKind::from_id(id)?, raw.body.clone()),
    };
    Some(Message { kind, timestamp_ms: raw.timestamp_ms, body })
}

/// The media messages in an aggregate (RTMP 1.0 section 7.1.6): FLV tags whose times are moved so that the first has
/// the time of the aggregate.
///
/// # Errors
/// Where the tags do not add up or are too many.
pub(super) fn aggregated(raw: &Raw) -> Result<SmallVec<[Message; 4]>, ChunkError> {
    let mut messages = SmallVec::new();
    let mut rest = raw.body.clone();
    let mut shift = None;
    while !rest.is_empty() {
        let Some(&[id, l0, l1, l2, t0, t1, t2, high, _, _, _]) = rest.first_chunk::<TAG_HEADER_BYTES>() else {
            return Err(ChunkError::Aggregate);
        };
        let end = TAG_HEADER_BYTES + u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if end > rest.len() || messages.len() >= AGGREGATE_MESSAGES_MAX {
            return Err(ChunkError::Aggregate);
        }
        let time = u32::from_be_bytes([high, t0, t1, t2]);
        let shift = *shift.get_or_insert(raw.timestamp_ms.wrapping_sub(time));
        if let Some(kind) = TagKind::from_id(id) {
            let body = rest.slice(TAG_HEADER_BYTES..end);
            messages.push(Message { kind, timestamp_ms: time.wrapping_add(shift), body });
        }
        rest = rest.slice((end + BACK_POINTER_BYTES).min(rest.len())..);
    }
    Ok(messages)
}

const BACK_POINTER_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::tag_bytes;

    fn aggregate(body: Vec<u8>) -> Raw {
        Raw { chunk_stream: 6, timestamp_ms: 5_000, type_id: kind::AGGREGATE, stream_id: 1, body: body.into() }
    }

    #[test]
    fn an_aggregate_is_taken_apart_with_its_times_moved() {
        let mut body = tag_bytes(TagKind::Video, 100, b"v").to_vec();
        body.extend(tag_bytes(TagKind::Audio, 123, b"aa"));
        body.extend(tag_bytes(TagKind::Audio, 90, b""));
        let seen: Vec<_> =
            aggregated(&aggregate(body)).unwrap().into_iter().map(|m| (m.kind, m.timestamp_ms, m.body.len())).collect();
        assert_eq!(seen, [(TagKind::Video, 5_000, 1), (TagKind::Audio, 5_023, 2), (TagKind::Audio, 4_990, 0)]);
    }

    #[test]
    fn an_aggregate_that_does_not_add_up_is_refused() {
        let body = tag_bytes(TagKind::Video, 100, b"abc").to_vec();
        for end in 1..body.len() - BACK_POINTER_BYTES {
            assert_eq!(aggregated(&aggregate(body[..end].to_vec())), Err(ChunkError::Aggregate), "cut at {end}");
        }
        let many = tag_bytes(TagKind::Audio, 0, b"").repeat(AGGREGATE_MESSAGES_MAX + 1);
        assert_eq!(aggregated(&aggregate(many)), Err(ChunkError::Aggregate));
    }
}
