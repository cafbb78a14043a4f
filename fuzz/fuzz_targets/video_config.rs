//! Configurations of H.265, AV1, VP9 and Opus, their parameter sets, and the heads of their pictures, from any bytes. A
//! record that is read can be written and read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::{av1, h265, opus, vp9};

fuzz_target!(|bytes: &[u8]| {
    let body = Bytes::copy_from_slice(bytes);
    let _ = h265::Sps::parse(bytes);
    let _ = h265::set_id(bytes);
    if let Ok(config) = h265::Config::parse_hvcc(&body) {
        let again = h265::Config::parse_hvcc(&config.record).expect("what we hand on we read");
        assert_eq!((&again.sets, again.picture, again.length_size), (&config.sets, config.picture, 4));
        let made = h265::Config::from_sets(&config.sets).expect("its sets make one");
        assert_eq!(h265::Config::parse_hvcc(&made.record).expect("what we write we read"), made);
        assert!(config.mime().starts_with("hvc1."));
    }
    if let Some(units) = av1::split(&body) {
        assert_eq!(units.concat(), bytes);
        let _ = av1::is_key(&units, false);
    }
    if let Ok(Some(config)) = av1::Config::parse_av1c(&body) {
        let made = av1::Config::from_header(config.header.clone()).expect("its header makes one");
        assert_eq!(made.sequence, config.sequence);
    }
    let _ = av1::Sequence::parse(bytes);
    let _ = vp9::head(bytes);
    if let Ok(config) = vp9::Config::parse(body) {
        assert!(config.mime().starts_with("vp09."));
    }
    if let Ok(config) = opus::Config::parse_head(bytes) {
        assert_eq!(opus::Config::parse_head(&config.to_head()), Ok(config));
    }
});
