//! AMF0: any bytes are read without a crash, and what was read is written so that it reads the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::flv::amf;

fuzz_target!(|bytes: &[u8]| {
    let Ok(values) = amf::decode(bytes) else { return };
    let mut first = BytesMut::new();
    values.iter().for_each(|value| amf::encode(value, &mut first));
    // A text may grow when its bytes that are no UTF-8 are replaced; an entry whose key then has no notation is left out.
    if bytes.len() > usize::from(u16::MAX) / 3 {
        return;
    }
    // Bytes are compared and not values: a number may be NaN.
    let again = amf::decode(&first).expect("what we write can be read");
    let mut second = BytesMut::new();
    again.iter().for_each(|value| amf::encode(value, &mut second));
    assert_eq!(first, second);
});
