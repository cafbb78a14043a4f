//! What both ends of a connection do alike: chunks in and out, chunk sizes, acknowledgements, pings.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use super::chunk::{CHUNK_SIZE_DEFAULT, ChunkError, Raw, Reader, put_message};
use super::command::{self, Command, status};
use super::media_bytes::{MESSAGE_STREAM, OUT_CHUNK_SIZE, chunk_stream};
use super::message::{self, Message, kind, user_control};
use super::{Error, Limits};
use crate::flv::amf::Value;

/// One connection after its handshake.
#[derive(Debug)]
pub(super) struct Link {
    reader: Reader,
    out: BytesMut,
    out_chunk_size: usize,
    /// Bytes received, the handshake among them.
    received: u64,
    acknowledged: u64,
    /// What the peer asked to be acknowledged, in bytes.
    window_bytes: u64,
    sent_window: bool,
}

/// What came in for the conversation above.
#[derive(Debug)]
pub(super) enum Incoming {
    Command(Command),
    Media(SmallVec<[Message; 4]>),
    /// The peer says that a stream ends (user control, event 1).
    StreamEof,
}

/// Window that we announce and that we assume of a peer that announces none, in bytes.
pub(super) const WINDOW_BYTES: u32 = 2_500_000;
/// Smallest window that is followed: a smaller one would be an answer to every packet.
const WINDOW_BYTES_MIN: u64 = 4_096;
/// "Dynamic" of RTMP 1.0 section 5.4.5.
const LIMIT_TYPE_DYNAMIC: u8 = 2;
const CONTROL_CHUNK_STREAM: u8 = 2;
const COMMAND_CHUNK_STREAM: u8 = 3;

impl Link {
    pub(super) fn new(limits: Limits, message_bytes_max: usize) -> Self {
        Self {
            reader: Reader::new(limits, message_bytes_max),
            out: BytesMut::new(),
            out_chunk_size: CHUNK_SIZE_DEFAULT,
            received: 0,
            acknowledged: 0,
            window_bytes: WINDOW_BYTES.into(),
            sent_window: false,
        }
    }

    /// Where the handshake writes.
    pub(super) fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// What is to be sent, all that has gathered.
    pub(super) fn take_out(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    pub(super) fn set_message_bytes_max(&mut self, bytes: usize) {
        self.reader.set_message_bytes_max(bytes);
    }

    /// Counts bytes from the socket.
    pub(super) fn count(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    /// Acknowledges what was received where the window asks for it (RTMP 1.0 section 5.4.3), once for each call.
    pub(super) fn acknowledge(&mut self) {
        if self.received - self.acknowledged >= self.window_bytes {
            self.acknowledged = self.received;
            // The field has 32 bits and wraps.
            self.control(kind::ACKNOWLEDGEMENT, &(self.received as u32).to_be_bytes());
        }
    }

    /// The next thing for the conversation; `None` means that `input` is used up.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<Incoming>, Error> {
        while let Some(raw) = self.reader.read(input)? {
            if let Some(incoming) = self.sort(&raw)? {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    fn sort(&mut self, raw: &Raw) -> Result<Option<Incoming>, Error> {
        match raw.type_id {
            kind::SET_CHUNK_SIZE => self.reader.set_chunk_size(number(&raw.body)?)?,
            kind::ABORT => self.reader.abort(number(&raw.body)?),
            kind::WINDOW_ACK_SIZE => self.window_bytes = u64::from(number(&raw.body)?).max(WINDOW_BYTES_MIN),
            kind::SET_PEER_BANDWIDTH => {
                number(&raw.body)?;
                self.send_window();
            }
            kind::USER_CONTROL => return self.user_control(&raw.body),
            kind::COMMAND => return Ok(Command::decode(&raw.body)?.map(Incoming::Command)),
            // One byte says AMF0 or AMF3; what follows is AMF0 from all that still send it.
            kind::COMMAND_AMF3 => {
                let body = raw.body.slice(raw.body.len().min(1)..);
                return Ok(Command::decode(&body)?.map(Incoming::Command));
            }
            kind::AGGREGATE => return Ok(Some(Incoming::Media(message::aggregated(raw)?))),
            _ => return Ok(message::media_of(raw).map(|message| Incoming::Media(SmallVec::from_iter([message])))),
        }
        Ok(None)
    }

    fn user_control(&mut self, body: &Bytes) -> Result<Option<Incoming>, Error> {
        let Some((event, data)) = body.split_first_chunk::<2>() else { return Err(ChunkError::Control.into()) };
        match u16::from_be_bytes(*event) {
            user_control::PING_REQUEST => {
                let time = data.first_chunk::<4>().ok_or(ChunkError::Control)?;
                self.send_user_control(user_control::PING_RESPONSE, u32::from_be_bytes(*time));
                Ok(None)
            }
            user_control::STREAM_EOF => Ok(Some(Incoming::StreamEof)),
            _ => Ok(None),
        }
    }

    fn control(&mut self, type_id: u8, body: &[u8]) {
        put_message(&mut self.out, CONTROL_CHUNK_STREAM, 0, type_id, 0, body, self.out_chunk_size);
    }

    /// Announces our window, once.
    pub(super) fn send_window(&mut self) {
        if !self.sent_window {
            self.sent_window = true;
            self.control(kind::WINDOW_ACK_SIZE, &WINDOW_BYTES.to_be_bytes());
        }
    }

    pub(super) fn send_peer_bandwidth(&mut self) {
        let [a, b, c, d] = WINDOW_BYTES.to_be_bytes();
        self.control(kind::SET_PEER_BANDWIDTH, &[a, b, c, d, LIMIT_TYPE_DYNAMIC]);
    }

    /// Announces `OUT_CHUNK_SIZE` and uses it from here on.
    pub(super) fn send_chunk_size(&mut self) {
        self.control(kind::SET_CHUNK_SIZE, &(OUT_CHUNK_SIZE as u32).to_be_bytes());
        self.out_chunk_size = OUT_CHUNK_SIZE;
    }

    pub(super) fn send_user_control(&mut self, event: u16, value: u32) {
        let mut body = [0; 6];
        let mut room = &mut body[..];
        room.put_u16(event);
        room.put_u32(value);
        self.control(kind::USER_CONTROL, &body);
    }

    /// Tells a server how much media we would keep (RTMP 1.0 section 7.1.7, event 3).
    pub(super) fn send_buffer_length(&mut self, stream_id: u32, milliseconds: u32) {
        let mut body = [0; 10];
        let mut room = &mut body[..];
        room.put_u16(user_control::SET_BUFFER_LENGTH);
        room.put_u32(stream_id);
        room.put_u32(milliseconds);
        self.control(kind::USER_CONTROL, &body);
    }

    /// Sends a command; `stream_id` 0 is the connection.
    pub(super) fn send_command(&mut self, stream_id: u32, name: &str, transaction: f64, values: &[Value]) {
        let body = command::encode(name, transaction, values);
        put_message(&mut self.out, COMMAND_CHUNK_STREAM, 0, kind::COMMAND, stream_id, &body, self.out_chunk_size);
    }

    /// Sends `onStatus` on the one message stream.
    pub(super) fn send_status(&mut self, level: &str, code: &str, description: &str) {
        self.send_command(MESSAGE_STREAM, "onStatus", 0.0, &[Value::Null, status(level, code, description)]);
    }

    /// Sends a message of media.
    pub(super) fn send_media(&mut self, stream_id: u32, message: &Message) {
        let Message { kind, timestamp_ms, body } = message;
        let chunk_stream = chunk_stream(*kind);
        put_message(&mut self.out, chunk_stream, *timestamp_ms, kind.id(), stream_id, body, self.out_chunk_size);
    }
}

fn number(body: &Bytes) -> Result<u32, ChunkError> {
    let mut body = body.clone();
    body.try_get_u32().map_err(|_| ChunkError::Control)
}
