//! H.264 headers: parameter sets, configuration records and both framings of NAL units, from any bytes. A record that is
//! read can be written and read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::h264::{Config, Sps, is_b_slice, split_annex_b, split_avcc};

fuzz_target!(|bytes: &[u8]| {
    let body = Bytes::copy_from_slice(bytes);
    let _ = Sps::parse(&body);
    let _ = is_b_slice(&body);
    let _ = split_annex_b(&body);
    for size in 0..=5 {
        if let Some(units) = split_avcc(&body, size) {
            assert!(units.iter().map(Bytes::len).sum::<usize>() <= body.len());
        }
    }
    if let Ok(config) = Config::parse_avcc(&body) {
        let again = Config::parse_avcc(&config.to_avcc()).expect("what we write we read");
        assert_eq!((again.sps, again.pps, again.picture), (config.sps, config.pps, config.picture));
    }
    let _ = media::aac::Config::parse(body);
});
