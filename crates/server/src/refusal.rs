//! Why a request is not served. One enum for every door: the HTTP status, the original's number, the RTMP code and the
//! sentence live here and nowhere else.

use live::name::NameError;
use thiserror::Error;
use wire::sign::{SigError, url::UrlError};

/// Why a request is not served. The text is a sentence for the person who made the request.
#[derive(Clone, Debug, Error)]
pub enum Refusal {
    /// The application wants a token and none came.
    #[error(
        "this application wants a UserSig or a signed URL: add ?sdkappid=..&userid=..&usersig=.. to the URL, or `Authorization: Bearer <UserSig>` (`stentor token` makes one), or sign the URL (`stentor sign`)"
    )]
    TokenMissing,
    /// The token is wrong.
    #[error("{0}")]
    Token(#[from] SigError),
    /// The signature of the URL is wrong.
    #[error("{0}")]
    UrlSignature(#[from] UrlError),
    /// The signature of the URL is none that counts here.
    #[error("{0}")]
    UrlKey(String),
    /// No application of that number, or none at all for that host.
    #[error("there is no application {0} on this server")]
    ApplicationUnknown(u32),
    /// The name of the application or the stream cannot be one.
    #[error("{0}")]
    Name(#[from] NameError),
    /// No door and no page at that path.
    #[error("there is nothing at '{0}'")]
    NotFound(String),
    /// Nothing of that name is live.
    #[error("no stream '{0}' is live now; publish it first, then play it")]
    StreamUnknown(String),
    /// Somebody publishes it already.
    #[error("'{0}' is already being published; end that first, choose another name, or set live.takeover = true")]
    StreamBusy(String),
    /// The stream has no track of that number.
    #[error("{0}")]
    TrackUnknown(String),
    /// The stream is there but cannot be served at this door.
    #[error("{0}")]
    CannotServe(String),
    /// The request is not what the door understands.
    #[error("{0}")]
    Malformed(String),
    /// The body is of another type.
    #[error("this door takes {expected}, and the request says {got}")]
    MediaType {
        /// What the door takes.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// A webhook refuses.
    #[error("{}", .sentence.as_deref().unwrap_or("this stream's owner does not allow it"))]
    Vetoed {
        /// Its own sentence, where it gave one.
        sentence: Option<String>,
    },
    /// A webhook decides, and gave no valid answer.
    #[error(
        "whether you may {action} is decided by another server, which gives no valid answer now; try again in a moment"
    )]
    WebhookSilent {
        /// To publish or to play.
        action: &'static str,
    },
    /// The path is for operators, and no admin token came.
    #[error(
        "this is for operators: show an admin token as `Authorization: Bearer <token>`; `stentor dev` prints one, and [server] admin_tokens sets it"
    )]
    AdminTokenMissing,
    /// What was shown is no admin token.
    #[error("that is none of this server's admin tokens; a UserSig is none either")]
    AdminTokenRefused,
    /// The server has no admin tokens.
    #[error(
        "this is for operators, and this server has no admin token: set [server] admin_tokens = [\"...\"] (make one by: openssl rand -hex 32) and start it again"
    )]
    AdminTokenUnset,
    /// No session of that number.
    #[error("there is no such session; it has ended, or never was")]
    SessionUnknown,
    /// The entity tag of a PATCH is of an earlier ICE session.
    #[error("the session has another ETag now; take it from the newest answer")]
    SessionChanged,
    /// The server is about to end.
    #[error("this server is draining and takes nothing new; try another, or again in a moment")]
    Draining,
    /// A limit of the server is reached.
    #[error("the server is at its limit of {limit} {what}")]
    Full {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::TokenMissing | Self::Token(_) | Self::AdminTokenMissing | Self::AdminTokenRefused => 401,
            Self::ApplicationUnknown(_) | Self::UrlSignature(_) | Self::UrlKey(_) | Self::Vetoed { .. } => 403,
            Self::AdminTokenUnset => 403,
            Self::Name(_) | Self::Malformed(_) => 400,
            Self::NotFound(_) | Self::StreamUnknown(_) | Self::TrackUnknown(_) | Self::SessionUnknown => 404,
            Self::StreamBusy(_) => 409,
            Self::CannotServe(_) => 406,
            Self::MediaType { .. } => 415,
            Self::SessionChanged => 412,
            Self::Draining | Self::Full { .. } | Self::WebhookSilent { .. } => 503,
        }
    }

    /// The original's number, where it has one (facts of TRTC's error table), else 0.
    pub fn code(&self) -> i32 {
        match self {
            Self::Token(error) => error.code(),
            Self::TokenMissing => -70_052,
            Self::ApplicationUnknown(_) => -70_020,
            _ => 0,
        }
    }

    /// A short name, the same for every refusal of its kind; also the label of its counter.
    pub fn title(&self) -> &'static str {
        match self {
            Self::TokenMissing => "token-missing",
            Self::Token(_) => "token-refused",
            Self::UrlSignature(UrlError::Expired { .. }) => "url-signature-expired",
            Self::UrlSignature(UrlError::Malformed { .. }) => "url-signature-malformed",
            Self::UrlSignature(_) | Self::UrlKey(_) => "url-signature-wrong",
            Self::ApplicationUnknown(_) => "application-unknown",
            Self::Name(_) => "name-refused",
            Self::NotFound(_) => "not-found",
            Self::StreamUnknown(_) => "stream-unknown",
            Self::TrackUnknown(_) => "track-unknown",
            Self::StreamBusy(_) => "stream-busy",
            Self::CannotServe(_) => "cannot-serve",
            Self::Malformed(_) => "malformed",
            Self::MediaType { .. } => "media-type",
            Self::Vetoed { .. } => "vetoed",
            Self::WebhookSilent { .. } => "webhook-silent",
            Self::AdminTokenMissing => "admin-token-missing",
            Self::AdminTokenRefused => "admin-token-refused",
            Self::AdminTokenUnset => "admin-token-unset",
            Self::SessionUnknown => "session-unknown",
            Self::SessionChanged => "session-changed",
            Self::Draining => "draining",
            Self::Full { .. } => "full",
        }
    }
}

/// What a publisher of B-frames is told, wherever it is told.
pub use live::health::B_FRAMES_ADVICE;
