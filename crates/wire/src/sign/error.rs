//! Why a token was refused, in a sentence and in the original's number.

use media::WallTime;

/// Why a `UserSig` or a `PrivateMapKey` was refused.
///
/// The fault is always the bearer's: every variant means that the request must be refused. [`SigError::code`] gives
/// the number on which existing clients switch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigError {
    /// The token's time is over.
    #[error("the token expired at {}; ask your signing server for a fresh one", date(*.expired_at_s))]
    Expired {
        /// First second at which the token is no longer valid, in seconds since 1970.
        expired_at_s: u64,
    },
    /// The text is not a token at all: wrong alphabet, not deflated, or no JSON object of the right shape.
    #[error("the token cannot be decoded: {reason}; expected an unmodified UserSig of version 2.0")]
    NotDecodable {
        /// What the first failing step met.
        reason: &'static str,
    },
    /// No live key of the application signs this token.
    #[error("the token was not signed with a live key of application {sdk_app_id}, or was changed after signing")]
    NotVerified {
        /// The application whose keys were tried.
        sdk_app_id: u32,
    },
    /// The token belongs to another user.
    #[error("the token was signed for another user than the one who presents it; sign one for this user id")]
    WrongUser,
    /// The token belongs to another application.
    #[error("the token was signed for application {found}, not for application {expected}")]
    WrongApplication {
        /// The application that was asked for.
        expected: u32,
        /// The application that the token names.
        found: u32,
    },
    /// The token decodes but says something that no valid token says.
    #[error("the token is invalid: {reason}")]
    Invalid {
        /// What was wrong and what was expected.
        reason: &'static str,
    },
    /// The token carries no ticket for a room, or one that is damaged or names another user or application.
    #[error("the token holds no valid ticket for a room: {reason}")]
    BadTicket {
        /// What was wrong.
        reason: &'static str,
    },
    /// The ticket is for another room.
    #[error("the ticket is for another room than the one to be entered; note that 123 and \"123\" are two rooms")]
    WrongRoom,
    /// The ticket's own time is over.
    #[error("the ticket for the room expired at {}; ask your signing server for a fresh one", date(*.expired_at_s))]
    TicketExpired {
        /// First second at which the ticket is no longer valid, in seconds since 1970.
        expired_at_s: u64,
    },
}

/// A time of a token as people read it.
fn date(unix_s: u64) -> WallTime {
    WallTime(i64::try_from(unix_s).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

impl SigError {
    /// The original's error number, on which existing clients switch.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Expired { .. } => -70001,
            Self::NotDecodable { .. } | Self::NotVerified { .. } => -70003,
            Self::WrongUser => -70013,
            Self::WrongApplication { .. } => -70014,
            Self::Invalid { .. } => -70052,
            Self::BadTicket { .. } | Self::WrongRoom => -70346,
            Self::TicketExpired { .. } => -70347,
        }
    }
}
