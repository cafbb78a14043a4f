//! Why a push or a play failed, in sentences.

use thiserror::Error as ThisError;

use crate::address::AddressError;

/// Why a push or a play failed.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Error {
    /// The URL is of no kind that is known.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The file cannot be read or is of no use.
    #[error("{0}")]
    Source(String),
    /// What is to be sent, or came, cannot be carried.
    #[error("{0}")]
    Unsupported(String),
    /// The server said no.
    #[error("the server refused: {reason}")]
    Refused {
        /// The HTTP status; `None` where the door has none.
        status: Option<u16>,
        /// What the server said.
        reason: String,
    },
    /// The server cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The connection was there and ended.
    #[error("{0}")]
    Lost(String),
    /// The server sent what its protocol does not allow.
    #[error("the server sent what cannot be read: {0}")]
    Malformed(String),
}

impl Error {
    /// Whether another attempt may succeed: always where the connection was lost, and for the first attempt only where
    /// the server says that it is busy.
    pub fn is_transient(&self, had_success: bool) -> bool {
        match self {
            Self::Address(_) | Self::Source(_) | Self::Unsupported(_) => false,
            Self::Unreachable(_) | Self::Malformed(_) => had_success,
            Self::Lost(_) => true,
            Self::Refused { status, .. } => match status {
                Some(408 | 429 | 500..) => true,
                Some(401 | 403) => false,
                _ => had_success,
            },
        }
    }

    /// Whether the user has to change the command.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Address(_))
    }
}
