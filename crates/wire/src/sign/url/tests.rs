//! Vectors of the originals' documentation, and what must never pass.

use super::*;
use proptest::prelude::*;

const KEY: &str = "aliyuncdnexp1234";
const NOW: u64 = 1_700_000_000;

fn live<'a>(app: &'a str, stream: &'a str, extension: &'a str) -> Target<'a> {
    Target { app, stream, extension }
}

/// Whether a digest is the one of such a signature.
fn fits(text: &str, key: &str, target: Target<'_>) -> bool {
    from_text(text).unwrap().unwrap().is_signed_by(&[key], &target)
}

/// The signature of a query or of two path segments.
fn from_text(text: &str) -> Result<Option<Signature<'_>>, UrlError> {
    if let Some((first, second)) = text.strip_prefix('/').and_then(|rest| rest.split_once('/')) {
        return Signature::from_prefix(first, second).map(Some);
    }
    let get = |name: &str| {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    Signature::from_query(get)
}

fn shown(minted: &Minted) -> &str {
    if minted.prefix.is_empty() { &minted.query } else { &minted.prefix }
}

#[test]
fn alibabas_vectors() {
    let page = live("video/standard", "1K", ".html");
    assert!(fits("auth_key=1444435200-0-0-80cd3862d699b7118eed99103f2a3a4f", KEY, page));
    let room = live("live", "room1", "");
    assert!(fits("auth_key=1700003600-0-0-36e701b2b427a5f3df062d05d843c235", "mykey", room));
    assert_eq!(
        mint(Scheme::AliyunA, "mykey", &room, 1_700_003_600).query,
        "auth_key=1700003600-0-0-36e701b2b427a5f3df062d05d843c235"
    );
    let song = live("4/44", "44c0909bcfc20a01afaf256ca99a8b8b", ".mp3");
    assert!(fits("/201508150800/9044548ef1527deadafa49a890a377f0", KEY, song));
    // 2015-08-15 08:00 in Beijing is midnight in Greenwich.
    assert_eq!(mint(Scheme::AliyunB, KEY, &song, 0x55CE_8100).prefix, "/201508150800/9044548ef1527deadafa49a890a377f0");
    let digest = "a37fa50a5fb8f71214b1e7c95ec7a1bd";
    // The path of this vector has one segment.
    let one = Signature::from_prefix(digest, "55CE8100").unwrap();
    assert_eq!(one.date_s, 0x55CE_8100);
    assert_eq!(one, from_text("KEY1=a37fa50a5fb8f71214b1e7c95ec7a1bd&KEY2=55CE8100").unwrap().unwrap());
    let key = [KEY.as_bytes(), b"/test.flv55CE8100"].concat();
    assert_eq!(md5_hex(&key), digest);
    let minted = mint(Scheme::AliyunC, KEY, &live("live", "a", ".flv"), 0x55CE_8100);
    assert_eq!(minted.query, format!("KEY1={}&KEY2=55CE8100", md5_hex(b"aliyuncdnexp1234/live/a.flv55CE8100")));
    assert!(is_prefix(digest, "55CE8100") && is_prefix("201508150800", "9044548ef1527deadafa49a890a377f0"));
    assert!(!is_prefix("live", digest) && !is_prefix("201508150800", "live") && !is_prefix(digest, "test.flv"));
}

fn md5_hex(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn tencents_vectors() {
    let test = live("live", "test", ".flv");
    let key = "e12c46f2612d5106e2034781ab261ca3";
    assert!(fits("txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099", key, test));
    let room = live("live", "room1", "");
    let minted = mint(Scheme::Tencent, "mykey", &room, 0x6553_F100);
    assert_eq!(minted.query, "txSecret=7bced0eaf338a371dcb487fc01b9f28d&txTime=6553F100");
    // The stream's name is signed alone, so every door takes it.
    assert!(fits(&minted.query, "mykey", live("other", "room1", ".m3u8")));
    assert!(!fits(&minted.query, "mykey", live("live", "room1_720p", ".m3u8")), "the template is part of the name");
    // By `printf mykeyroom16553F100 | sha256sum`, and `printf mykeyroom11700000000 | md5sum`.
    let sha256 = "txSecret=a11189119b527ef8bc4a139d9e60da45be8d65f2dca5f4359e62910b873a7fbc&txTime=6553F100";
    let decimal = "txSecret=1a4aaf45b23f9f24cc9ba61f4f69311d&txTime=1700000000";
    assert_eq!(mint(Scheme::TencentSha256, "mykey", &room, 0x6553_F100).query, sha256);
    assert_eq!(mint(Scheme::TencentDecimal, "mykey", &room, 1_700_000_000).query, decimal);
    assert!(fits(sha256, "mykey", room) && fits(decimal, "mykey", room));
}

#[test]
fn a_time_in_lower_case_is_signed_as_it_is_written() {
    let digest = md5_hex(b"mykeyroom16553f100");
    assert!(fits(&format!("txSecret={digest}&txTime=6553f100"), "mykey", live("live", "room1", "")));
    assert!(!fits(&format!("txSecret={digest}&txTime=6553F100"), "mykey", live("live", "room1", "")));
}

#[test]
fn a_signature_ends_at_its_time_and_what_the_server_adds() {
    let target = live("live", "a", ".flv");
    for scheme in Scheme::ALL {
        let minted = mint(scheme, KEY, &target, NOW);
        let end = minted.expires_at_s;
        assert!((NOW..NOW + 60).contains(&end), "{scheme}");
        let signature = from_text(shown(&minted)).unwrap().unwrap();
        assert_eq!(signature.scheme(), scheme);
        assert_eq!(signature.check(&["another key", KEY], &target, 0, end - 1), Ok(()), "{scheme}");
        assert_eq!(signature.check(&[KEY], &target, 30, end + 29), Ok(()), "{scheme}");
        let expired = signature.check(&[KEY], &target, 30, end + 30).unwrap_err();
        assert!(matches!(&expired, UrlError::Expired { until_s, .. } if *until_s == end + 30), "{expired}");
        assert!(expired.to_string().contains("until 2023-11-14T22:1"), "{expired}");
        // Nothing is said about the time of one that nobody signed.
        let foreign = signature.check(&["another key"], &target, 0, end + 30).unwrap_err();
        assert!(matches!(foreign, UrlError::Wrong { .. }), "{foreign}");
        assert!(!signature.is_signed_by(&[""], &target) && !signature.is_signed_by::<&str>(&[], &target));
    }
}

#[test]
fn who_signed_a_sibling_of_the_path_is_told() {
    let asked = live("live", "a_720p", ".m3u8");
    for signed in [live("live", "a_720p", ""), live("live", "a_720p", ".flv"), live("live", "a", ".m3u8")] {
        for scheme in [Scheme::AliyunA, Scheme::AliyunB, Scheme::AliyunC] {
            let minted = mint(scheme, KEY, &signed, NOW + 60);
            let error = from_text(shown(&minted)).unwrap().unwrap().check(&[KEY], &asked, 0, NOW).unwrap_err();
            assert!(
                matches!(&error, UrlError::OtherPath { signed_for, .. } if *signed_for == signed.path()),
                "{error}"
            );
            assert!(error.to_string().contains("/live/a_720p.m3u8"), "{error}");
        }
    }
    let minted = mint(Scheme::Tencent, KEY, &live("live", "a", ""), NOW + 60);
    let error = from_text(&minted.query).unwrap().unwrap().check(&[KEY], &asked, 0, NOW).unwrap_err();
    assert!(error.to_string().contains("signed for stream a,"), "{error}");
    let minted = mint(Scheme::AliyunA, KEY, &live("live", "b", ".m3u8"), NOW + 60);
    let error = from_text(&minted.query).unwrap().unwrap().check(&[KEY], &asked, 0, NOW).unwrap_err();
    assert!(matches!(error, UrlError::Wrong { .. }), "{error}");
}

#[test]
fn what_cannot_be_a_signature_is_malformed() {
    let digest = "36e701b2b427a5f3df062d05d843c235";
    let upper = digest.to_ascii_uppercase();
    let long = "0".repeat(FIELD_BYTES_MAX + 1);
    for text in [
        "auth_key=1".to_owned(),
        format!("auth_key=1700003600-0-{digest}"),
        format!("auth_key=1700003600-0-0-0-{digest}"),
        format!("auth_key=-0-0-{digest}"),
        format!("auth_key=+1700003600-0-0-{digest}"),
        format!("auth_key=1700003600000-0-0-{digest}"),
        format!("auth_key=6553F100-0-0-{digest}"),
        format!("auth_key=1700003600-{long}-0-{digest}"),
        format!("auth_key=1700003600-0-\u{e9}-{digest}"),
        format!("auth_key=1700003600-0-0-{upper}"),
        format!("auth_key=1700003600-0-0-{digest}0"),
        format!("txSecret={digest}"),
        "txTime=6553F100".to_owned(),
        format!("txSecret={digest}&txTime=6553F1000"),
        format!("txSecret={digest}&txTime=653F100"),
        format!("txSecret={digest}&txTime=+553F100"),
        format!("txSecret={digest}00&txTime=6553F100"),
        format!("KEY1={digest}&KEY2=1"),
        format!("KEY1={digest}&KEY2=6553F100&auth_key=1700003600-0-0-{digest}"),
        format!("/209913310000/{digest}"),
        format!("/201502300000/{digest}"),
        format!("/201508152400/{digest}"),
        format!("/201508150860/{digest}"),
        format!("/196912310000/{digest}"),
        format!("/201508150800/{upper}"),
    ] {
        assert!(matches!(from_text(&text), Err(UrlError::Malformed { .. })), "{text}");
    }
    assert_eq!(from_text("a=1&KEY1=0"), Ok(None));
    let named = from_text("auth_key=1700003600-0-ann-36e701b2b427a5f3df062d05d843c235").unwrap().unwrap();
    assert_eq!(named.user(), Some("ann"));
}

fn schemes() -> impl Strategy<Value = Scheme> {
    prop::sample::select(Scheme::ALL.to_vec())
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[-a-zA-Z0-9_=&/+]{0,120}", a in ".{0,40}", b in ".{0,40}") {
        for text in [text, format!("auth_key={a}"), format!("txSecret={a}&txTime={b}"), format!("key1={a}&key2={b}")] {
            if let Ok(Some(found)) = from_text(&text) {
                prop_assert!(found.check(&[KEY], &live("live", "a", ""), 0, NOW).is_err());
            }
        }
        let _ = is_prefix(&a, &b);
        let _ = Signature::from_prefix(&a, &b);
    }

    #[test]
    fn minted_is_valid_and_with_any_byte_changed_is_not(
        scheme in schemes(),
        app in "[a-zA-Z0-9_-]{1,12}",
        stream in "[a-zA-Z0-9_-]{1,12}",
        extension in prop::sample::select(vec!["", ".flv", ".m3u8"]),
        ttl in 1_u64..100_000_000,
        at in any::<prop::sample::Index>(),
        other in prop::sample::select((0x21_u8..0x7f).collect::<Vec<_>>()),
    ) {
        let target = live(&app, &stream, extension);
        let minted = mint(scheme, KEY, &target, NOW + ttl);
        let text = shown(&minted).to_owned();
        let valid = |text: &str, target: &Target<'_>| {
            let found = from_text(text).ok().flatten();
            found.is_some_and(|found| found.check(&[KEY], target, 0, NOW).is_ok())
        };
        prop_assert!(valid(&text, &target));
        let mut changed = text.clone().into_bytes();
        let at = at.index(changed.len());
        let same = changed[at].eq_ignore_ascii_case(&other);
        changed[at] = other;
        // Names of parameters have no case; all else has.
        let in_name = ["auth_key", "txSecret", "txTime", "KEY1", "KEY2"].iter().any(|name| {
            text.find(name).is_some_and(|from| (from..from + name.len()).contains(&at))
        });
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(changed == text || (same && in_name) || !valid(&changed, &target), "{changed}");
        let (other_app, other_stream) = (format!("{app}x"), format!("{stream}x"));
        prop_assert!(!valid(&text, &live(&app, &other_stream, extension)));
        prop_assert!(!scheme.signs_path() || !valid(&text, &live(&other_app, &stream, extension)));
        prop_assert!(!scheme.signs_path() || !valid(&text, &live(&app, &stream, ".mp4")));
    }

    #[test]
    fn dates_come_back(unix_s in 0_u64..250_000_000_000) {
        let (text, minute_s) = date::write(unix_s);
        prop_assert_eq!(text.len(), date::DIGITS);
        prop_assert!((unix_s..unix_s + 60).contains(&minute_s));
        prop_assert_eq!(date::read(&text), Some(minute_s));
    }
}
