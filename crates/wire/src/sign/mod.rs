//! Signed tokens: the `UserSig` of a user and the `PrivateMapKey` of a room, byte for byte those of the original
//! (TLSSigAPI version 2), so that an application's own signing server and its client kits work unchanged.
//!
//! Both are one format: a JSON object with an HMAC-SHA256 signature over a fixed text, deflated (RFC 1950) and
//! written in base64 with three characters exchanged. A `PrivateMapKey` carries a binary ticket for a room besides.
//!
//! Signed live URLs are in [`url`].
//!
//! What does not live here: which applications and keys exist, and where a token was found in a request. The time of
//! day is handed in as whole seconds since 1970.

mod envelope;
mod error;
mod private_map_key;
pub mod url;
mod usersig;

pub use envelope::{JSON_BYTES_MAX, TOKEN_BYTES_MAX, USER_ID_BYTES_MAX};
pub use error::SigError;
pub use private_map_key::{
    Permissions, ROOM_NAME_BYTES_MAX, Room, Ticket, check_private_map_key, mint_private_map_key,
};
pub use usersig::{Claims, check, mint, read_unverified};

#[cfg(test)]
mod tests;
