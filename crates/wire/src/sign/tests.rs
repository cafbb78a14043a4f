//! Tokens of the original's own kits, and tokens that must be refused.

use super::private_map_key::{read, write};
use super::*;
use proptest::prelude::*;
use std::io::Write as _;

const APP: u32 = 1_400_000_000;
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const USER: &str = "xiaojun";
const NOW: u64 = 1_700_000_000;
const HALF_A_YEAR: u64 = 15_552_000;

/// Made by the original's kit for Node.
const NODE: &str = "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogMiUZOamKlkZmqOKplYUZBaBxE1NTY3gosWZ6UpWSj5ljuYp*p7l5unBxXnF2WVhVU4uAf7Ozi5JpX7O5SbuHuUhzgZJmQXaTia2SrUAohcx8g__";
/// Made by the original's kit for Python: the same content, with spaces and another order.
const PYTHON: &str = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__";
/// A ticket for room 10000 with every permission.
const NUMBERED_ROOM: &str = "eJxVjc0KgkAYRd-l2xb*kVQDLb5CVJCwEoJ2jo7TpKn410j07qFZ0N1c7jmL*4TAOykdq4CAoWgwH7eIWd6IRIxYirC4tfmk6jgNy1LEQPSFNuVjGnFnQPTlP2WyFNXATdM0frStWUXbBAggosPs7EqNUqfZvg84Iu6iwyW1VBzir8b63gsOBPo1dtSUD4e7vMAttcPUCy1N1rNOjb3I9Rmn5ySiR8-dwOsNn*tDuQ__";
/// A ticket for room "1000000040" with an audience's permissions, for five minutes.
const NAMED_ROOM: &str = "eJxVjlsLgkAUhP-LeY7wUkkLPSxdjG5USmVvyq52ynRbNS-Rf4-UHhoYmPnmZV5gr6zuk0sgoHUV6NQdGY9S9LHGBbrxNYvaKWE3VwhkQNSe0qpZUrxzIKrxT3khUHIg*g9kCZde5gMBuqNzboYXTxOqF25KO6C1zodtufqGcdwAGhfrCc0b7-LfEwyAQKWuq*PU1hXHVTZCMqafxN55zExXYuAvlsZg*OhHhjUs4xG8P-6RR9g_";

/// The JSON object inside a token.
fn json_of(token: &str) -> String {
    let standard: String = token
        .chars()
        .map(|c| match c {
            '*' => '+',
            '-' => '/',
            '_' => '=',
            c => c,
        })
        .collect();
    let deflated = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, standard).unwrap();
    let mut json = String::new();
    std::io::Read::read_to_string(&mut flate2::read::ZlibDecoder::new(&deflated[..]), &mut json).unwrap();
    json
}

/// A token around any bytes.
fn token_around(content: &[u8]) -> String {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(content).unwrap();
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, zlib.finish().unwrap());
    text.replace('+', "*").replace('/', "-").replace('=', "_")
}

fn field(token: &str, name: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(&json_of(token)).unwrap();
    json[name].as_str().unwrap().to_owned()
}

fn check_at(token: &str, now_unix_s: u64) -> Result<Claims, SigError> {
    check(token, &[KEY], APP, USER, now_unix_s)
}

#[test]
fn tokens_of_the_original_kits_are_accepted() {
    let expected = Claims { sdk_app_id: APP, user_id: USER.into(), issued_at_s: NOW, expires_at_s: NOW + HALF_A_YEAR };
    assert_eq!(check_at(NODE, NOW), Ok(expected.clone()));
    assert_eq!(check_at(PYTHON, NOW), Ok(expected.clone()));
    assert_eq!(read_unverified(NODE), Ok(expected));
}

#[test]
fn minting_signs_as_the_original_kits_do() {
    let minted = mint(APP, KEY, USER, NOW, HALF_A_YEAR);
    assert_eq!(field(&minted, "TLS.sig"), "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=");
    assert_eq!(field(&minted, "TLS.sig"), field(NODE, "TLS.sig"));
    assert!(check_at(&minted, NOW).is_ok());
}

#[test]
fn a_ticket_for_a_numbered_room_is_the_originals() {
    let room = Room::Int(10_000);
    let (_, ticket) = check_private_map_key(NUMBERED_ROOM, &[KEY], APP, USER, &room, NOW).unwrap();
    let expected = Ticket { room: room.clone(), permissions: Permissions::ALL, expires_at_s: NOW + HALF_A_YEAR };
    assert_eq!(ticket, expected);
    let minted = mint_private_map_key(APP, KEY, USER, NOW, HALF_A_YEAR, &room, Permissions::ALL);
    assert_eq!(field(&minted, "TLS.sig"), "y9Avb5xwHgIgoABbGakLaE0xs+v/dLcIPegbWfcbRLI=");
    let hex = "0000077869616f6a756e53724e000000271066413f00000000ff00000000";
    assert_eq!(to_hex(&write(APP, USER, NOW + HALF_A_YEAR, &room, Permissions::ALL)), hex);
}

#[test]
fn a_ticket_for_a_named_room_is_the_originals() {
    let room = Room::Str("1000000040".into());
    let (_, ticket) = check_private_map_key(NAMED_ROOM, &[KEY], APP, USER, &room, NOW).unwrap();
    let permissions = Permissions::AUDIENCE;
    assert_eq!(ticket, Ticket { room: room.clone(), permissions, expires_at_s: NOW + 300 });
    let minted = mint_private_map_key(APP, KEY, USER, NOW, 300, &room, permissions);
    assert_eq!(field(&minted, "TLS.sig"), "z1MzWET30Ya0Nprdd3XpRYqFGarigfJK769q5n7S9yo=");
    let hex = "0100077869616f6a756e53724e00000000006553f22c0000002a00000000000a31303030303030303430";
    assert_eq!(to_hex(&write(APP, USER, NOW + 300, &room, permissions)), hex);
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_ticket_opens_no_other_room() {
    let check = |token: &str, room: Room, now| check_private_map_key(token, &[KEY], APP, USER, &room, now).unwrap_err();
    assert_eq!(check(NUMBERED_ROOM, Room::Int(10_001), NOW), SigError::WrongRoom);
    assert_eq!(check(NUMBERED_ROOM, Room::Str("10000".into()), NOW), SigError::WrongRoom);
    assert_eq!(check(NAMED_ROOM, Room::Int(1_000_000_040), NOW), SigError::WrongRoom);
    assert_eq!(check(NODE, Room::Int(10_000), NOW).code(), -70346);
}

#[test]
fn the_time_of_a_ticket_ends_by_itself() {
    let room = Room::Int(1);
    // The envelope lives longer than the ticket in it.
    let userbuf = write(APP, USER, NOW + 10, &room, Permissions::ALL);
    let token = envelope::Envelope::signed(APP, KEY.as_bytes(), USER, NOW, 1_000, Some(&userbuf)).encode();
    let check = |now| check_private_map_key(&token, &[KEY], APP, USER, &room, now).map(|_| ());
    assert_eq!(check(NOW + 9), Ok(()));
    assert_eq!(check(NOW + 10), Err(SigError::TicketExpired { expired_at_s: NOW + 10 }));
    assert_eq!(check(NOW + 10).unwrap_err().code(), -70347);
}

#[test]
fn a_ticket_must_name_whom_the_token_names() {
    let room = Room::Int(1);
    let check = |app, account, user: &str| {
        let userbuf = write(app, account, NOW + 60, &room, Permissions::ALL);
        let token = envelope::Envelope::signed(APP, KEY.as_bytes(), user, NOW, 60, Some(&userbuf)).encode();
        check_private_map_key(&token, &[KEY], APP, user, &room, NOW).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(check(APP, USER, USER), Ok(()));
    assert_eq!(check(APP, "somebody", USER), Err(-70346));
    assert_eq!(check(APP + 1, USER, USER), Err(-70346));
    assert_eq!(check(APP, "?", "é"), Ok(()), "a kit garbles names beyond ASCII in the ticket");
}

#[test]
fn nothing_may_follow_the_compressed_part() {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(json_of(NODE).as_bytes()).unwrap();
    let mut deflated = zlib.finish().unwrap();
    let token = |bytes: &[u8]| {
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        text.replace('+', "*").replace('/', "-").replace('=', "_")
    };
    assert!(check_at(&token(&deflated), NOW).is_ok());
    deflated.push(0);
    assert_eq!(check_at(&token(&deflated), NOW).unwrap_err().code(), -70003);
}

#[test]
fn permissions_are_a_set() {
    assert!(Permissions::AUDIENCE.contains(Permissions::ENTER | Permissions::RECEIVE_AUDIO));
    assert!(!Permissions::AUDIENCE.contains(Permissions::SEND_AUDIO));
    assert_eq!(Permissions::ALL & Permissions::AUDIENCE, Permissions(42));
}

#[test]
fn a_token_expires_at_its_second() {
    assert!(check_at(NODE, NOW + HALF_A_YEAR - 1).is_ok());
    let error = check_at(NODE, NOW + HALF_A_YEAR).unwrap_err();
    assert_eq!(error, SigError::Expired { expired_at_s: NOW + HALF_A_YEAR });
    assert_eq!(error.code(), -70001);
}

#[test]
fn each_refusal_has_the_originals_number() {
    let code = |result: Result<Claims, SigError>| result.unwrap_err().code();
    assert_eq!(code(check(NODE, &[KEY], APP + 1, USER, NOW)), -70014);
    assert_eq!(code(check(NODE, &[KEY], APP, "somebody", NOW)), -70013);
    assert_eq!(code(check(NODE, &["another key"], APP, USER, NOW)), -70003);
    assert_eq!(code(check::<&str>(NODE, &[], APP, USER, NOW)), -70003);
    assert_eq!(code(check_at("", NOW)), -70003);
    assert_eq!(code(check_at("not a token", NOW)), -70003);
    assert_eq!(code(check_at(&NODE[..NODE.len() - 8], NOW)), -70003);
    assert_eq!(code(check_at(&NODE.replace('*', "+"), NOW)), -70003);
    assert_eq!(code(check_at(&token_around(json_of(NODE).replace("2.0", "1.0").as_bytes()), NOW)), -70052);
    assert_eq!(code(check_at(&token_around(json_of(NODE).replace("xiaojun", "").as_bytes()), NOW)), -70052);
}

#[test]
fn either_of_two_live_keys_will_do_and_an_empty_one_never() {
    assert!(check(NODE, &["old key", KEY], APP, USER, NOW).is_ok());
    assert!(check(NODE, &[KEY, "new key"], APP, USER, NOW).is_ok());
    let unsigned = mint(APP, "", USER, NOW, 60);
    assert_eq!(check(&unsigned, &["", KEY], APP, USER, NOW), Err(SigError::NotVerified { sdk_app_id: APP }));
}

#[test]
fn numbers_may_be_written_as_strings() {
    let json = json_of(NODE).replace("1400000000", "\"1400000000\"").replace("15552000", "\"15552000\"");
    assert!(json.contains("\"15552000\""), "{json}");
    assert!(check_at(&token_around(json.as_bytes()), NOW).is_ok());
    // A span below 0 is a token that was over at once, and has to be signed like any other.
    let negative = json_of(NODE).replace("15552000", "-1");
    assert_eq!(check_at(&token_around(negative.as_bytes()), NOW).unwrap_err().code(), -70003);
    let before_1970 = json_of(NODE).replace("15552000", "-9223372036854775808");
    assert_eq!(check_at(&token_around(before_1970.as_bytes()), NOW).unwrap_err().code(), -70052);
}

#[test]
fn a_decompression_bomb_is_refused() {
    let bomb = token_around(&vec![b' '; 2_000_000]);
    assert!(bomb.len() < TOKEN_BYTES_MAX, "the bomb must be short enough to be inflated: {}", bomb.len());
    let reason = "it is cut short or inflates to more than 4096 bytes";
    assert_eq!(check_at(&bomb, NOW), Err(SigError::NotDecodable { reason }));
    assert!(matches!(check_at(&"A".repeat(TOKEN_BYTES_MAX + 1), NOW), Err(SigError::NotDecodable { .. })));
}

#[test]
fn a_line_break_in_a_name_signs_nothing() {
    let forged = mint(APP, KEY, "a\nTLS.sdkappid:1", NOW, 60);
    assert_eq!(check(&forged, &[KEY], APP, "a\nTLS.sdkappid:1", NOW).unwrap_err().code(), -70052);
}

#[test]
fn dates_that_overflow_are_refused() {
    let endless = mint(APP, KEY, USER, NOW, u64::MAX);
    assert_eq!(check_at(&endless, NOW).unwrap_err().code(), -70052);
}

/// The bits after the last deflate block are padding that no checksum covers: changing them changes nothing.
fn refused_or_unchanged(token: &str) -> bool {
    match check_at(token, NOW) {
        Err(_) => true,
        Ok(_) => json_of(token) == json_of(NODE),
    }
}

#[test]
fn a_token_with_any_character_changed_is_refused() {
    let mut refused = 0;
    for at in 0..NODE.len() {
        for other in ["A", "b", "0", "*", "-", "_", "=", "\u{e9}"] {
            let mut token = NODE.to_owned();
            token.replace_range(at..=at, other);
            assert!(token == NODE || refused_or_unchanged(&token), "accepted after a change at {at}: {token}");
            refused += usize::from(check_at(&token, NOW).is_err());
        }
    }
    assert!(refused > 7 * NODE.len(), "only {refused} were refused");
}

#[test]
fn an_object_with_any_byte_changed_is_refused() {
    let json = json_of(NODE).into_bytes();
    for at in 0..json.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut changed = json.clone();
            changed[at] ^= flip;
            assert!(check_at(&token_around(&changed), NOW).is_err(), "accepted with byte {at} changed by {flip:#x}");
        }
    }
}

#[test]
fn a_ticket_with_any_byte_changed_is_refused() {
    let json = json_of(NAMED_ROOM).into_bytes();
    let room = Room::Str("1000000040".into());
    for at in 0..json.len() {
        let mut changed = json.clone();
        changed[at] ^= 1;
        let token = token_around(&changed);
        assert!(check_private_map_key(&token, &[KEY], APP, USER, &room, NOW).is_err(), "byte {at}");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in ".{0,300}") {
        prop_assert!(check_at(&text, NOW).is_err());
    }

    #[test]
    fn any_content_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(check_at(&token_around(&bytes), NOW).is_err());
    }

    #[test]
    fn any_userbuf_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_minted_token_is_valid(user in "[a-zA-Z0-9_\\-é世]{1,32}", app in any::<u32>(), ttl in 1_u64..10_000_000) {
        let token = mint(app, KEY, &user, NOW, ttl);
        let claims = check(&token, &["other", KEY], app, &user, NOW + ttl - 1).unwrap();
        prop_assert_eq!(claims.expires_at_s, NOW + ttl);
        prop_assert!(check(&token, &[KEY], app, &user, NOW + ttl).is_err());
    }

    #[test]
    fn a_minted_ticket_is_valid(
        room in prop_oneof![any::<u32>().prop_map(Room::Int), "[ -~]{1,64}".prop_map(Room::Str)],
        bits in any::<u32>(),
    ) {
        let token = mint_private_map_key(APP, KEY, USER, NOW, 60, &room, Permissions(bits));
        let (_, ticket) = check_private_map_key(&token, &[KEY], APP, USER, &room, NOW).unwrap();
        prop_assert_eq!(ticket, Ticket { room, permissions: Permissions(bits), expires_at_s: NOW + 60 });
    }
}
