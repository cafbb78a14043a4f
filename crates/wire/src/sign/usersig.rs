//! `UserSig`: who the bearer is.

use super::SigError;
use super::envelope::Envelope;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The application.
    pub sdk_app_id: u32,
    /// The user.
    pub user_id: String,
    /// When the token was made, in seconds since 1970, by the signing server's clock.
    pub issued_at_s: u64,
    /// First second at which the token is no longer valid, in seconds since 1970.
    pub expires_at_s: u64,
}

/// A `UserSig` for `user_id`, valid for `ttl_s` seconds from `now_unix_s` (seconds since 1970).
///
/// `key` is the application's secret as text; it is not decoded from hexadecimal.
#[must_use]
pub fn mint(sdk_app_id: u32, key: &str, user_id: &str, now_unix_s: u64, ttl_s: u64) -> String {
    Envelope::signed(sdk_app_id, key.as_bytes(), user_id, now_unix_s, ttl_s, None).encode()
}

/// Checks a `UserSig` against the live keys of an application (one, or two while keys are exchanged).
///
/// Whether the token says what was asked comes first, so that a token of another application is named as such and not
/// as badly signed; nothing that it says is handed out before its signature has been checked.
///
/// # Errors
/// See [`SigError`]; [`SigError::Expired`] only ever names a token that was valid once.
pub fn check<K: AsRef<[u8]>>(
    token: &str,
    keys: &[K],
    sdk_app_id: u32,
    user_id: &str,
    now_unix_s: u64,
) -> Result<Claims, SigError> {
    verified(token, keys, sdk_app_id, user_id, now_unix_s).map(|(_, claims)| claims)
}

/// What a token says before anybody has checked it: only to find the application and the user that it must then be
/// checked against, where a request names neither (a bearer token alone).
///
/// # Errors
/// [`SigError::NotDecodable`] or [`SigError::Invalid`].
pub fn read_unverified(token: &str) -> Result<Claims, SigError> {
    claims(Envelope::decode(token)?)
}

/// The envelope of a token that passed every check, and its claims.
pub(super) fn verified<K: AsRef<[u8]>>(
    token: &str,
    keys: &[K],
    sdk_app_id: u32,
    user_id: &str,
    now_unix_s: u64,
) -> Result<(Envelope, Claims), SigError> {
    let envelope = Envelope::decode(token)?;
    let claims = claims(envelope.clone())?;
    if claims.sdk_app_id != sdk_app_id {
        return Err(SigError::WrongApplication { expected: sdk_app_id, found: claims.sdk_app_id });
    }
    if !envelope.is_signed_by(keys) {
        return Err(SigError::NotVerified { sdk_app_id });
    }
    if claims.user_id != user_id {
        return Err(SigError::WrongUser);
    }
    if now_unix_s >= claims.expires_at_s {
        return Err(SigError::Expired { expired_at_s: claims.expires_at_s });
    }
    Ok((envelope, claims))
}

fn claims(envelope: Envelope) -> Result<Claims, SigError> {
    let sdk_app_id = u32::try_from(envelope.sdk_app_id)
        .map_err(|_| SigError::Invalid { reason: "its sdkappid does not fit in 32 bits" })?;
    let expires_at_s = envelope
        .time_s
        .checked_add_signed(envelope.expire_s)
        .filter(|date_s| i64::try_from(*date_s).is_ok())
        .ok_or(SigError::Invalid { reason: "its time and its span add up to no date" })?;
    Ok(Claims { sdk_app_id, user_id: envelope.user_id, issued_at_s: envelope.time_s, expires_at_s })
}
