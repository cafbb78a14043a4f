//! `PrivateMapKey`: a ticket for one room and what its bearer may do there, carried in a token's userbuf.
//!
//! All integers are big-endian: `u8` version (0 numbered room, 1 named room), `u16` length and account, `u32`
//! application, `u32` room number (0 if named), `u32` expiry (seconds since 1970), `u32` permissions, `u32` account
//! type (0), and for a named room `u16` length and name.

use super::envelope::Envelope;
use super::usersig::verified;
use super::{Claims, SigError};
use std::ops::{BitAnd, BitOr};

/// Longest name of a room, in bytes.
pub const ROOM_NAME_BYTES_MAX: usize = 64;
/// Version byte of a ticket for a numbered room.
const NUMBERED: u8 = 0;
/// Version byte of a ticket for a named room.
const NAMED: u8 = 1;

/// The room that a ticket is for. `Int(123)` and `Str("123")` are two rooms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Room {
    /// A room with a number, 1 to 4294967294.
    Int(u32),
    /// A room with a name of at most [`ROOM_NAME_BYTES_MAX`] bytes.
    Str(String),
}

/// What the bearer of a ticket may do in the room: a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions(pub u32);

impl Permissions {
    /// Create the room by entering it first.
    pub const CREATE_ROOM: Self = Self(1);
    /// Enter the room.
    pub const ENTER: Self = Self(2);
    /// Send audio.
    pub const SEND_AUDIO: Self = Self(4);
    /// Receive audio.
    pub const RECEIVE_AUDIO: Self = Self(8);
    /// Send video from the main source.
    pub const SEND_VIDEO: Self = Self(16);
    /// Receive video of main sources.
    pub const RECEIVE_VIDEO: Self = Self(32);
    /// Send video from the sub source (a screen).
    pub const SEND_SUB: Self = Self(64);
    /// Receive video of sub sources.
    pub const RECEIVE_SUB: Self = Self(128);
    /// Everything.
    pub const ALL: Self = Self(255);
    /// Enter, hear and see: what the original gives to an audience.
    pub const AUDIENCE: Self = Self(42);

    /// Whether every permission in `needed` is in this set.
    #[must_use]
    pub const fn contains(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Permissions {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// What a `PrivateMapKey` grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The room.
    pub room: Room,
    /// What the bearer may do there.
    pub permissions: Permissions,
    /// First second at which the ticket is no longer valid, in seconds since 1970.
    pub expires_at_s: u64,
}

/// A `PrivateMapKey` for `user_id` in `room`, valid for `ttl_s` seconds from `now_unix_s` (seconds since 1970).
///
/// The ticket's own expiry is a 32-bit date (it ends in 2106); later dates are held at that end.
#[must_use]
pub fn mint_private_map_key(
    sdk_app_id: u32,
    key: &str,
    user_id: &str,
    now_unix_s: u64,
    ttl_s: u64,
    room: &Room,
    permissions: Permissions,
) -> String {
    let userbuf = write(sdk_app_id, user_id, now_unix_s.saturating_add(ttl_s), room, permissions);
    Envelope::signed(sdk_app_id, key.as_bytes(), user_id, now_unix_s, ttl_s, Some(&userbuf)).encode()
}

/// Checks a `PrivateMapKey` against the live keys of an application and the room that the bearer wants to enter.
///
/// What the bearer may do there is in the answer; whether that is enough is for the caller, who knows what is wanted.
///
/// # Errors
/// Those of [`super::check`], and [`SigError::BadTicket`], [`SigError::WrongRoom`], [`SigError::TicketExpired`].
pub fn check_private_map_key<K: AsRef<[u8]>>(
    token: &str,
    keys: &[K],
    sdk_app_id: u32,
    user_id: &str,
    room: &Room,
    now_unix_s: u64,
) -> Result<(Claims, Ticket), SigError> {
    let (envelope, claims) = verified(token, keys, sdk_app_id, user_id, now_unix_s)?;
    let bytes = envelope.userbuf()?.ok_or(SigError::BadTicket { reason: "it is a plain UserSig without one" })?;
    let parsed = read(&bytes).ok_or(SigError::BadTicket { reason: "it is damaged" })?;
    if parsed.sdk_app_id != sdk_app_id {
        return Err(SigError::BadTicket { reason: "it names another application than the token around it" });
    }
    // One of the original's kits writes other bytes for characters beyond ASCII; the signed identifier has decided.
    if user_id.is_ascii() && parsed.account != user_id.as_bytes() {
        return Err(SigError::BadTicket { reason: "it names another user than the token around it" });
    }
    if parsed.ticket.room != *room {
        return Err(SigError::WrongRoom);
    }
    if now_unix_s >= parsed.ticket.expires_at_s {
        return Err(SigError::TicketExpired { expired_at_s: parsed.ticket.expires_at_s });
    }
    Ok((claims, parsed.ticket))
}

/// A userbuf taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    account: &'a [u8],
    sdk_app_id: u32,
    pub(super) ticket: Ticket,
}

/// Takes a userbuf apart; `None` when it is damaged or something follows it.
pub(super) fn read(bytes: &[u8]) -> Option<Parsed<'_>> {
    let mut rest = bytes;
    let (&version, tail) = rest.split_first()?;
    rest = tail;
    let account = take_text(&mut rest)?;
    let sdk_app_id = take_u32(&mut rest)?;
    let number = take_u32(&mut rest)?;
    let expires_at_s = u64::from(take_u32(&mut rest)?);
    let permissions = Permissions(take_u32(&mut rest)?);
    let _account_type = take_u32(&mut rest)?;
    let room = match version {
        NUMBERED => Room::Int(number),
        NAMED => {
            let name = take_text(&mut rest).filter(|name| !name.is_empty() && name.len() <= ROOM_NAME_BYTES_MAX)?;
            Room::Str(str::from_utf8(name).ok()?.to_owned())
        }
        _ => return None,
    };
    rest.is_empty().then_some(Parsed { account, sdk_app_id, ticket: Ticket { room, permissions, expires_at_s } })
}

/// A userbuf.
pub(super) fn write(
    sdk_app_id: u32,
    user_id: &str,
    expires_at_s: u64,
    room: &Room,
    permissions: Permissions,
) -> Vec<u8> {
    let (version, number, name) = match room {
        Room::Int(number) => (NUMBERED, *number, None),
        Room::Str(name) => (NAMED, 0, Some(name)),
    };
    let mut out = vec![version];
    put_text(&mut out, user_id);
    for field in [sdk_app_id, number, u32::try_from(expires_at_s).unwrap_or(u32::MAX), permissions.0, 0] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    if let Some(name) = name {
        put_text(&mut out, name);
    }
    out
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_be_bytes(*head))
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<2>()?;
    let (text, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = tail;
    Some(text)
}

/// Writes length and text; what a 16-bit length cannot hold is cut (and then fits no user).
fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend(text.bytes().take(usize::from(length)));
}
