use proptest::prelude::*;

use super::*;

/// The record of x265 for 320x180, main profile, with the encoder's own message shortened away.
pub(crate) const RECORD: &[u8] = &[
    0x01, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3c, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f,
    0x03, // head
    0x20, 0, 1, 0, 0x18, 0x40, 1, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c,
    0x95, 0x98, 0x09, // video
    0x21, 0, 1, 0, 0x2b, 0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a, 0x08, 0x0b,
    0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0, 0, 3, 0, 8, 0, 0, 3, 0, 0xc8, 0x40, // sequence
    0x22, 0, 1, 0, 7, 0x44, 1, 0xc1, 0x72, 0xb4, 0x62, 0x40, // picture
];

#[test]
fn the_record_of_x265() {
    let config = Config::parse_hvcc(&Bytes::from_static(RECORD)).unwrap();
    let picture = config.picture;
    assert_eq!((picture.width, picture.height, picture.bit_depth, picture.chroma_format), (320, 180, 8, 1));
    assert_eq!(picture.reorder_pictures, 2);
    assert_eq!(config.sets.iter().map(|set| nal_type(set)).collect::<Vec<_>>(), [nal::VPS, nal::SPS, nal::PPS]);
    assert_eq!(config.mime(), "hvc1.1.6.L60.90");
    assert_eq!((config.record.as_ref(), config.length_size), (RECORD, 4));
}

#[test]
fn sets_in_band_make_the_same_record() {
    let known = Config::parse_hvcc(&Bytes::from_static(RECORD)).unwrap();
    let mut sets = known.sets.clone();
    sets.reverse();
    let made = Config::from_sets(&sets).unwrap();
    assert_eq!((&made.sets, made.picture), (&known.sets, known.picture));
    let again = Config::parse_hvcc(&made.record).unwrap();
    assert_eq!(again, made);
    assert_eq!(made.record[..21], RECORD[..21], "the head differs in nothing that decoders look at");
    assert_eq!(Config::from_sets(&sets[..1]), Err(ConfigError::Empty));
    assert_eq!(Config::from_sets(&vec![sets[1].clone(); SETS_MAX + 1]), Err(ConfigError::TooMany));
}

#[test]
fn lengths_of_other_sizes_are_read_and_never_written() {
    let mut record = RECORD.to_vec();
    record[21] = 0x0d;
    let config = Config::parse_hvcc(&record.clone().into()).unwrap();
    assert_eq!((config.length_size, config.record.as_ref()), (2, RECORD));
    record[21] = 0x0e;
    assert_eq!(Config::parse_hvcc(&record.into()), Err(ConfigError::LengthSize));
}

#[test]
fn refuses_what_is_cut_short_or_of_another_version() {
    for end in 0..RECORD.len() {
        assert!(Config::parse_hvcc(&Bytes::from_static(&RECORD[..end])).is_err(), "{end} bytes");
    }
    let mut record = RECORD.to_vec();
    record[0] = 2;
    assert_eq!(Config::parse_hvcc(&record.into()), Err(ConfigError::Version(2)));
    let mut many = RECORD[..22].to_vec();
    many.extend([1, 0x22, 0xff, 0xff]);
    many.extend([0, 2, 0x44, 1].repeat(0xffff));
    assert_eq!(Config::parse_hvcc(&many.into()), Err(ConfigError::TooMany));
}

#[test]
fn a_picture_of_impossible_size_is_refused() {
    let sps = Config::parse_hvcc(&Bytes::from_static(RECORD)).unwrap().sets[1].to_vec();
    assert_eq!(Sps::parse(&sps[..20]), Err(SpsError::Short));
    assert_eq!(Sps::parse(&[0x44, 1, 2]), Err(SpsError::NotAnSps));
    // 1 sps id, 010 4:2:0, then a width of 2^20.
    let mut wide = sps[..22].to_vec();
    wide.extend([0xa0, 0, 0, 0x40, 0, 0, 0x81, 0xff, 0xff, 0xff, 0xff]);
    assert!(Sps::parse(&wide).is_err());
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        let _ = Config::parse_hvcc(&Bytes::from(bytes));
    }

    #[test]
    fn never_panics_behind_a_good_head(at in 22usize..100, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut record = RECORD[..at.min(RECORD.len())].to_vec();
        record.extend(&bytes);
        let _ = Config::parse_hvcc(&record.into());
        let mut sps = vec![0x42, 1, 1];
        sps.extend(bytes);
        let _ = Sps::parse(&sps);
    }
}
