//! Tokens: any text is read or refused without a crash, and no text but a signed one is ever accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::sign::{Room, check, check_private_map_key, mint, read_unverified};

const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const APPLICATION: u32 = 1_400_000_000;

fuzz_target!(|text: &str| {
    if let Ok(claims) = read_unverified(text) {
        let accepted = check(text, &[KEY], claims.sdk_app_id, &claims.user_id, claims.issued_at_s);
        assert!(accepted.is_err(), "nobody signs by chance");
    }
    let _ = check_private_map_key(text, &[KEY], APPLICATION, "ann", &Room::Int(1), 0);
    // What is minted for any user is accepted for that user.
    if !text.is_empty() && text.len() <= 32 && text.chars().all(|c| c.is_ascii_graphic()) {
        let token = mint(APPLICATION, KEY, text, 1_700_000_000, 60);
        assert!(check(&token, &[KEY], APPLICATION, text, 1_700_000_000).is_ok());
    }
});
