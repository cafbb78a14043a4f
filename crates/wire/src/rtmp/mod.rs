//! RTMP (Adobe RTMP 1.0), both ends, as state machines over bytes.
//!
//! `handshake` and `chunk` are the lower half, `link` keeps what both ends share (acknowledgements, pings, chunk sizes),
//! `server` and `client` hold the conversation of commands, and `media_bytes` writes a message once for all viewers.
//! `flv` has the notation of commands (AMF0) and the bodies of media.
//!
//! What does not live here: sockets, TLS, who may publish what, and what is in a media body.

mod capabilities;
mod chunk;
pub mod client;
mod command;
mod error;
mod handshake;
mod limits;
mod link;
mod media_bytes;
mod message;
pub mod server;

pub use crate::flv::TagKind as MessageKind;
pub use capabilities::{ANY_CODEC, CODECS_MAX, Capabilities, Codec, FourCc, can, extended};
pub use chunk::ChunkError;
pub use error::Error;
pub use handshake::HandshakeError;
pub use limits::Limits;
pub use media_bytes::{OUT_CHUNK_SIZE, media_bytes};
pub use message::Message;

/// The code by which a server asks a client to connect anew (Enhanced RTMP v2).
const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";

#[cfg(test)]
mod tests;
