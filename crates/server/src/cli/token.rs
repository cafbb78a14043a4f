//! `stentor token`: prints a UserSig or a PrivateMapKey.

use wire::sign::{self, Permissions, Room};

use super::{Failure, TokenArgs};
use crate::clock::unix_now_s;

pub(super) fn run(args: &TokenArgs) -> Result<(), Failure> {
    let ttl_s = seconds(&args.ttl)?;
    if args.user.is_empty() || args.user.len() > sign::USER_ID_BYTES_MAX {
        return Err(Failure::Usage(format!(
            "--user has {} bytes; it should have 1 to {}",
            args.user.len(),
            sign::USER_ID_BYTES_MAX
        )));
    }
    let token = match &args.room {
        None => sign::mint(args.app, &args.key, &args.user, unix_now_s(), ttl_s),
        Some(name) => {
            let room = room(name, args.string_room)?;
            sign::mint_private_map_key(
                args.app,
                &args.key,
                &args.user,
                unix_now_s(),
                ttl_s,
                &room,
                Permissions(args.permissions),
            )
        }
    };
    println!("{token}");
    Ok(())
}

fn room(name: &str, is_string: bool) -> Result<Room, Failure> {
    match name.parse::<u32>() {
        Ok(number) if !is_string && (1..u32::MAX).contains(&number) => Ok(Room::Int(number)),
        _ if !name.is_empty() && name.len() <= sign::ROOM_NAME_BYTES_MAX => Ok(Room::Str(name.to_owned())),
        _ => Err(Failure::Usage(format!(
            "--room has {} bytes; a string room has 1 to {}",
            name.len(),
            sign::ROOM_NAME_BYTES_MAX
        ))),
    }
}

/// Seconds of `90s`, `10m`, `12h`, `1d`, or a plain number of seconds.
pub(super) fn seconds(text: &str) -> Result<u64, Failure> {
    let wrong = || Failure::Usage(format!("--ttl is '{text}'; it should be a time such as 90s, 10m, 12h or 1d"));
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)).filter(|s| *s > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds("90s").unwrap(), 90);
        assert_eq!(seconds("15").unwrap(), 15);
        assert_eq!(seconds("1d").unwrap(), 86_400);
        for wrong in ["", "d", "1w", "-1s", "0s", "99999999999999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_is_an_int_room_unless_said_otherwise() {
        assert_eq!(room("123", false).unwrap(), Room::Int(123));
        assert_eq!(room("123", true).unwrap(), Room::Str("123".into()));
        assert_eq!(room("lobby", false).unwrap(), Room::Str("lobby".into()));
        assert!(room("", true).is_err());
    }
}
