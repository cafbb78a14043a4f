//! Signatures of live URLs: any text is read or refused without a crash, no text but a signed one is ever accepted, and
//! what is minted for any target is accepted for it and for no other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::sign::url::{Scheme, Signature, Target, is_prefix, mint};

const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee46";

fuzz_target!(|texts: (&str, &str, &str, u8, u64)| {
    let (first, second, third, choice, time_s) = texts;
    let target = Target { app: "live", stream: "show", extension: ".flv" };
    let parameters = [("auth_key", first), ("txsecret", first), ("txtime", second), ("key1", first), ("key2", second)];
    // One kind alone, and all of them at once.
    for kind in [0..1, 1..3, 3..5, 0..5] {
        let get =
            |name: &str| parameters.get(kind.clone())?.iter().find(|(key, _)| *key == name).map(|(_, text)| *text);
        if let Ok(Some(found)) = Signature::from_query(get) {
            assert!(found.check(&[KEY], &target, u64::MAX, time_s).is_err(), "nobody signs by chance");
        }
    }
    if is_prefix(first, second)
        && let Ok(found) = Signature::from_prefix(first, second)
    {
        assert!(found.check(&[KEY], &target, u64::MAX, time_s).is_err(), "nobody signs by chance");
    }
    let Some(&scheme) = Scheme::ALL.get(usize::from(choice) % Scheme::ALL.len()) else { return };
    let own = Target { app: first, stream: third, extension: "" };
    let minted = mint(scheme, KEY, &own, time_s);
    let get = |name: &str| {
        let pairs = minted.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let found = match minted.prefix.trim_start_matches('/').split_once('/') {
        Some((date, digest)) => Signature::from_prefix(date, digest).map(Some),
        None => Signature::from_query(get),
    };
    // `auth_key` has at most twelve digits of seconds.
    let Ok(Some(found)) = found else {
        assert!(scheme == Scheme::AliyunA && time_s > 999_999_999_999);
        return;
    };
    assert!(found.is_signed_by(&[KEY], &own) && !found.is_signed_by(&["another key"], &own));
    let other = format!("{third}x");
    assert!(!found.is_signed_by(&[KEY], &Target { stream: &other, ..own }));
});
