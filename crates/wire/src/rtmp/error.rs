//! Why a connection cannot go on.

use thiserror::Error;

use super::{ChunkError, HandshakeError};
use crate::flv::amf;

/// Why a connection cannot go on. All but the time-outs are faults of the peer; the connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The first bytes are no RTMP.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// A chunk or message that breaks the protocol or a limit.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A command that cannot be read.
    #[error("an RTMP command cannot be read: {0}")]
    Amf(#[from] amf::Error),
    /// The handshake took too long.
    #[error("the RTMP handshake was not finished in time")]
    HandshakeTimeout,
    /// Nothing to publish or play was asked for in time.
    #[error("the RTMP peer asked for nothing to publish or play in time")]
    RequestTimeout,
    /// Nothing was received for too long.
    #[error("nothing was received from the RTMP peer for too long")]
    IdleTimeout,
    /// Too many commands before anything was published or played.
    #[error("the RTMP peer sent more commands than a client needs before it publishes or plays")]
    TooManyCommands,
    /// Too many bytes while a request waits for its answer.
    #[error("the RTMP peer sent too much before its request was answered")]
    TooEarly,
    /// A name, address or version is too long.
    #[error("the RTMP peer sent a name that is too long")]
    FieldTooLong,
    /// A command that makes no sense where it came.
    #[error("the RTMP peer sent {0} out of order")]
    OutOfOrder(&'static str),
}
