use proptest::prelude::*;

use super::*;

/// The record of SVT-AV1 for 320x180, main profile.
const RECORD: &[u8] = &[0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0x02, 0, 0, 0x05, 0x21, 0xe7, 0xf6, 0x60, 0x17, 0xc0, 0x02];
/// What a key frame of it begins with.
const KEY_FRAME: &[u8] = &[0x32, 5, 0x10, 0, 0x86, 0x60, 0x80];

#[test]
fn the_record_of_svt() {
    let record = Bytes::from_static(RECORD);
    let config = Config::parse_av1c(&record).unwrap().unwrap();
    let sequence = config.sequence;
    assert_eq!((sequence.width, sequence.height, sequence.bit_depth, sequence.profile), (320, 180, 8, 0));
    assert!(!sequence.reduced && !sequence.monochrome && sequence.subsampling_x && sequence.subsampling_y);
    assert_eq!(config.mime(), "av01.0.00M.08");
    assert_eq!(Config::from_header(config.header.clone()).unwrap(), config);
}

#[test]
fn a_record_without_a_sequence_header_waits_for_one() {
    assert_eq!(Config::parse_av1c(&Bytes::from_static(&RECORD[..4])).unwrap(), None);
    assert_eq!(Config::parse_av1c(&Bytes::from_static(&RECORD[..3])), Err(ConfigError::Short));
    assert_eq!(Config::parse_av1c(&Bytes::from_static(&[0x82, 0, 0, 0])), Err(ConfigError::Version));
    for end in 5..RECORD.len() {
        assert!(Config::parse_av1c(&Bytes::from_static(&RECORD[..end])).is_err(), "{end} bytes");
    }
}

#[test]
fn a_temporal_unit_is_split_and_comes_together_again() {
    let header = &RECORD[4..];
    let body = Bytes::from([&[0x12, 0], header, KEY_FRAME, &[0x30, 1, 2, 3]].concat());
    let units = split(&body).unwrap();
    assert_eq!(units.iter().map(|unit| obu_type(unit)).collect::<Vec<_>>(), [2, 1, 6, 6], "the last has no size");
    assert_eq!(units.concat(), body);
    assert!(is_key(&units, false) && is_picture(&units[2]) && !is_picture(&units[1]));
    assert_eq!(payload(&units[2]).unwrap(), &KEY_FRAME[2..]);
    for (name, first) in [("existing", 0x80), ("inter", 0x30), ("not shown", 0x00)] {
        let frame = Bytes::copy_from_slice(&[0x32, 1, first]);
        assert!(!is_key(std::slice::from_ref(&frame), false), "{name}");
        assert!(is_key(&[frame], true), "all frames of still pictures are");
    }
}

#[test]
fn sizes_that_do_not_add_up_are_refused() {
    for bytes in
        [&[0x12, 1][..], &[0x12], &[0x92, 0], &[0x16, 0], &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]]
    {
        assert_eq!(split(&Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
    }
    assert_eq!(split(&Bytes::from([0x12, 0].repeat(OBUS_MAX))).unwrap().len(), OBUS_MAX);
    assert_eq!(split(&Bytes::from([0x12, 0].repeat(OBUS_MAX + 1))), None);
}

#[test]
fn other_units_are_no_sequence_headers() {
    assert_eq!(Sequence::parse(KEY_FRAME), Err(SequenceError::NotASequence));
    assert_eq!(Sequence::parse(&[]), Err(SequenceError::NotASequence));
    assert_eq!(Sequence::parse(&[0x0a, 1, 0xe0]), Err(SequenceError::Profile(7)));
    assert_eq!(Sequence::parse(&[0x0a, 1, 0]), Err(SequenceError::Short));
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let body = Bytes::from(bytes.clone());
        if let Some(units) = split(&body) {
            prop_assert_eq!(&units.concat(), &bytes);
            is_key(&units, false);
        }
        let _ = Config::parse_av1c(&body);
        let _ = Sequence::parse(&[&[0x08][..], &bytes].concat());
        let _ = Config::parse_av1c(&[&[0x81, 0, 0, 0, 0x08], &bytes[..]].concat().into());
    }
}
