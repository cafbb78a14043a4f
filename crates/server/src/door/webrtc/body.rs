//! The body of a request that carries an offer: bounded in length and time, as text or as JSON.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

/// Bytes of an offer at most: a browser's is 3 to 8 KiB.
pub(super) const OFFER_BYTES_MAX: usize = 64 * 1024;
/// Bytes at most of JSON with an offer in it, whose line ends are escaped there.
pub(super) const JSON_BYTES_MAX: usize = 96 * 1024;
/// A body has to arrive within this.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The body as text.
///
/// # Errors
/// Where it is too long, too late, cut short or no text.
pub(super) async fn text(body: Body, bytes_max: usize) -> Result<String, Refusal> {
    let arrived = tokio::time::timeout(TIMEOUT, to_bytes(body, bytes_max)).await;
    let late = || Refusal::Malformed(format!("the body did not arrive within {} s", TIMEOUT.as_secs()));
    let too_long = || Refusal::Malformed(format!("the body is longer than {bytes_max} bytes, or was cut short"));
    let bytes = arrived.map_err(|_| late())?.map_err(|_| too_long())?;
    String::from_utf8(bytes.to_vec()).map_err(|_| Refusal::Malformed("the body is not UTF-8 text".into()))
}

/// The body as JSON of this shape, whatever its content type says. Nesting is bounded by the parser.
///
/// # Errors
/// Where it is no such JSON; the sentence says what was expected where.
pub(super) async fn json<T: DeserializeOwned>(body: Body, what: &str) -> Result<T, Refusal> {
    let text = text(body, JSON_BYTES_MAX).await?;
    serde_json::from_str(&text).map_err(|error| {
        let error: String = error.to_string().chars().take(200).collect();
        Refusal::Malformed(format!("the body has to be JSON with {what}: {error}"))
    })
}
