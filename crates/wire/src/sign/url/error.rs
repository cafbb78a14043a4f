//! Why a signed URL was refused, in a sentence. None of them names a digest that would have been right.

use super::Scheme;
use media::WallTime;

/// Why a signed URL was refused. The fault is always the bearer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Its time is over.
    #[error(
        "this URL is signed for {signed_for} until {}, and now it is {}; ask your signing server for a fresh one (if it writes the time of signing, set application.url_validity)",
        date(*.until_s),
        date(*.now_s)
    )]
    Expired {
        /// The path, or the stream.
        signed_for: String,
        /// First second at which it is no longer valid, in seconds since 1970.
        until_s: u64,
        /// The server's time.
        now_s: u64,
    },
    /// It is for a sibling of what was asked for.
    #[error("this URL is signed for {signed_for}, and was used for {asked}; sign exactly the path that is asked for")]
    OtherPath {
        /// What it is for.
        signed_for: String,
        /// What was asked for.
        asked: String,
    },
    /// No live key gives this signature.
    #[error(
        "the signature of this URL ({scheme}) does not fit {asked}: it is for another path, by a key that is not or no longer live, or was changed after signing"
    )]
    Wrong {
        /// What was asked for.
        asked: String,
        /// How it was made.
        scheme: Scheme,
    },
    /// It cannot be read.
    #[error("the signature of this URL cannot be read: {reason}")]
    Malformed {
        /// What was wrong and what was expected.
        reason: &'static str,
    },
}

/// A time as people read it.
fn date(unix_s: u64) -> WallTime {
    WallTime(i64::try_from(unix_s).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}
