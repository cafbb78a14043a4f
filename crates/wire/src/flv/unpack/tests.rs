use super::*;
use crate::flv::{config_body, frame_body, script_body};
use media::{Frame, MediaTime, WallTime, aac, h264};
use proptest::prelude::*;

const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0];
const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
const IDR: &[u8] = &[0x65, 0x88, 0x84, 0x00];
const P: &[u8] = &[0x41, 0x9a, 0x00];
/// `nal_ref_idc` 0, `slice_type` 1.
const B: &[u8] = &[0x01, 0b1010_0000];
/// The same picture size with another level.
const SPS_OTHER: &[u8] = &[0x67, 0x42, 0xc0, 0x20, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0];

fn h264() -> TrackInfo {
    TrackInfo::h264(h264::Config::from_sets(vec![SPS.into()], vec![PPS.into()]).unwrap())
}

fn aac() -> TrackInfo {
    TrackInfo::aac(aac::Config::lc(48_000, 2).unwrap())
}

fn picture(composition: [u8; 3], units: &[&[u8]]) -> Bytes {
    let mut body = vec![0x27, 1, composition[0], composition[1], composition[2]];
    for unit in units {
        body.extend((unit.len() as u32).to_be_bytes());
        body.extend(*unit);
    }
    body.into()
}

fn ready() -> Unpacker {
    let mut unpacker = Unpacker::new();
    for (kind, info) in [(TagKind::Video, h264()), (TagKind::Audio, aac())] {
        let found = unpacker.unpack(kind, 0, &config_body(&info).unwrap()).unwrap();
        assert_eq!(found.as_slice(), [Unpacked::Config(info)]);
    }
    unpacker
}

fn frame_of(found: Found) -> Unit {
    match found.into_iter().last() {
        Some(Unpacked::Frame(unit)) => unit,
        other => panic!("no frame but {other:?}"),
    }
}

#[test]
fn what_is_muxed_comes_out_again() {
    let mut unpacker = ready();
    let info = h264();
    let frame = Frame {
        codec: Codec::H264,
        flags: Flags { key: true, ..Flags::default() },
        dts: MediaTime(90_000),
        pts: MediaTime(90_000 + 3_600),
        wall: WallTime(0),
        payload: [Bytes::from_static(&[6, 1, 2]), Bytes::from_static(IDR)].into_iter().collect(),
    };
    let unit = frame_of(unpacker.unpack(TagKind::Video, 1_000, &frame_body(&info, &frame)).unwrap());
    assert_eq!((unit.flags, unit.dts_ms, unit.composition_ms), (frame.flags, 1_000, 40));
    assert_eq!(unit.payload, frame.payload);

    let sound = Frame { codec: Codec::Aac, payload: Payload::single(Bytes::from_static(b"raw")), ..frame };
    let unit = frame_of(unpacker.unpack(TagKind::Audio, 21, &frame_body(&aac(), &sound)).unwrap());
    assert_eq!((unit.flags.key, unit.dts_ms, &unit.payload), (true, 21, &sound.payload));
}

#[test]
fn flags_come_from_the_slices_and_not_from_the_tag() {
    let mut unpacker = ready();
    let mut flags =
        |units: &[&[u8]]| frame_of(unpacker.unpack(TagKind::Video, 0, &picture([0; 3], units)).unwrap()).flags;
    assert_eq!(flags(&[IDR]), Flags { key: true, ..Flags::default() });
    assert_eq!(flags(&[P]), Flags::default());
    assert_eq!(flags(&[B]), Flags { discardable: true, b_frame: true, ..Flags::default() });
    assert_eq!(flags(&[B, P]), Flags { b_frame: true, ..Flags::default() });
}

#[test]
fn composition_time_is_signed() {
    let mut unpacker = ready();
    let unit = frame_of(unpacker.unpack(TagKind::Video, 5, &picture([0xff, 0xff, 0xd8], &[P])).unwrap());
    assert_eq!(unit.composition_ms, -40);
}

#[test]
fn parameter_sets_delimiters_and_filler_are_taken_out() {
    let mut unpacker = ready();
    let found = unpacker
        .unpack(TagKind::Video, 0, &picture([0; 3], &[&[9, 0xf0], SPS, PPS, &[6, 5], IDR, &[12, 0xff]]))
        .unwrap();
    assert_eq!(found.len(), 1, "sets that are known are no new configuration");
    assert_eq!(frame_of(found).payload.units.as_slice(), [Bytes::from_static(&[6, 5]), Bytes::from_static(IDR)]);
}

#[test]
fn a_changed_set_in_band_is_a_configuration_before_its_frame() {
    let mut unpacker = ready();
    let found = unpacker.unpack(TagKind::Video, 0, &picture([0; 3], &[SPS_OTHER, IDR])).unwrap();
    let [Unpacked::Config(info), Unpacked::Frame(_)] = found.as_slice() else { panic!("{found:?}") };
    let media::Config::H264(config) = &info.config else { panic!("{info:?}") };
    assert_eq!(
        (config.sps.as_slice(), config.pps.as_slice()),
        ([SPS_OTHER.into()].as_slice(), [PPS.into()].as_slice())
    );
    assert_eq!(config.picture.level_idc, 0x20);
    let again = unpacker.unpack(TagKind::Video, 0, &picture([0; 3], &[SPS_OTHER, IDR])).unwrap();
    assert_eq!(again.len(), 1);
}

#[test]
fn a_stream_with_its_sets_in_band_only_is_taken() {
    let mut unpacker = Unpacker::new();
    assert_eq!(unpacker.unpack(TagKind::Video, 0, &picture([0; 3], &[P])).unwrap().as_slice(), [Unpacked::Ignored]);
    let found = unpacker.unpack(TagKind::Video, 0, &picture([0; 3], &[SPS, PPS, IDR])).unwrap();
    assert!(matches!(found.as_slice(), [Unpacked::Config(_), Unpacked::Frame(_)]), "{found:?}");
}

#[test]
fn sets_without_number_end_are_bounded() {
    let mut unpacker = ready();
    let mut most = 0;
    for id in 0..200u8 {
        let pps = [0x68, 0, id, 0x80];
        let found = unpacker.unpack(TagKind::Video, 0, &picture([0; 3], &[&pps, P])).unwrap();
        let Some(Unpacked::Config(info)) = found.into_iter().next() else { continue };
        let media::Config::H264(config) = info.config else { panic!() };
        assert!(config.pps.len() <= super::h264::SETS_MAX);
        most = most.max(config.pps.len());
    }
}

#[test]
fn repetitions_and_empty_bodies_are_ignored() {
    let mut unpacker = ready();
    for (kind, body) in [
        (TagKind::Video, config_body(&h264()).unwrap()),
        (TagKind::Audio, config_body(&aac()).unwrap()),
        (TagKind::Video, Bytes::new()),
        (TagKind::Audio, Bytes::new()),
        (TagKind::Script, Bytes::new()),
        (TagKind::Audio, Bytes::from_static(&[0xaf, 1])),
        (TagKind::Video, Bytes::from_static(&[0x27, 1, 0, 0, 0])),
        (TagKind::Video, Bytes::from_static(&[0x57, 1])),
        (TagKind::Video, picture([0; 3], &[&[6, 1]])),
    ] {
        assert_eq!(unpacker.unpack(kind, 0, &body).unwrap().as_slice(), [Unpacked::Ignored], "{kind:?} {body:?}");
    }
    let end = unpacker.unpack(TagKind::Video, 0, &Bytes::from_static(&[0x17, 2, 0, 0, 0])).unwrap();
    assert_eq!(end.as_slice(), [Unpacked::SequenceEnd]);
}

#[test]
fn what_is_not_supported_is_named_with_advice() {
    let mut unpacker = Unpacker::new();
    for (kind, body, name) in [
        (TagKind::Audio, &[0x2f, 0][..], "MP3"),
        (TagKind::Audio, &[0xbf, 0], "Speex"),
        (TagKind::Audio, b"\x90ac-3", "AC-3 (ac-3)"),
        (TagKind::Audio, b"\x90ec-3", "E-AC-3 (ec-3)"),
        (TagKind::Audio, b"\x90fLaC", "FLAC (fLaC)"),
        (TagKind::Audio, b"\x90.mp3", "MP3 (.mp3)"),
        (TagKind::Audio, b"\x90hvc1", "H.265 (hvc1)"),
        (TagKind::Video, &[0x12, 0], "Sorenson H.263"),
        (TagKind::Video, &[0x1d, 0], "AV1 under the unregistered number 13"),
        (TagKind::Video, b"\x90vp08", "VP8 (vp08)"),
        (TagKind::Video, b"\x91xx\0\n", "xx.."),
        (TagKind::Video, b"\x95av01\x80", "AV1 (av01), configured by a descriptor of MPEG-2 TS"),
    ] {
        let error = unpacker.unpack(kind, 0, &Bytes::copy_from_slice(body)).unwrap_err();
        let UnpackError::Unsupported { name: found, advice } = &error else { panic!("{error:?}") };
        assert_eq!(found, name);
        assert!(error.to_string().contains(advice));
    }
}

#[test]
fn bodies_that_are_cut_short_are_refused() {
    let mut unpacker = ready();
    for (kind, body, error) in [
        (TagKind::Audio, &[0xaf][..], UnpackError::Short),
        (TagKind::Video, &[0x27, 1, 0, 0], UnpackError::Short),
        (TagKind::Video, &[0x27, 1, 0, 0, 0, 0, 0, 0, 9, 1], UnpackError::Lengths),
        (TagKind::Video, &[0x17, 0, 0, 0, 0, 1], UnpackError::H264(h264::ConfigError::Short)),
        (TagKind::Audio, &[0xaf, 0, 0x11], UnpackError::Aac(aac::ConfigError::Short)),
        (TagKind::Video, &[0x90], UnpackError::Short),
    ] {
        assert_eq!(unpacker.unpack(kind, 0, &Bytes::copy_from_slice(body)), Err(error), "{body:?}");
    }
}

#[test]
fn metadata_is_found_with_and_without_the_command_before_it() {
    let value = Value::object([("width", Value::Number(640.0))]);
    let plain = script_body("onMetaData", &value);
    let commanded = Bytes::from([b"\x02\x00\x0d@setDataFrame", &plain[..]].concat());
    let mut unpacker = Unpacker::new();
    for body in [plain, commanded] {
        let found = unpacker.unpack(TagKind::Script, 0, &body).unwrap();
        assert_eq!(found.as_slice(), [Unpacked::Metadata(value.clone())]);
    }
    // The case that crashed others: a name and nothing after it.
    let bare = Bytes::from_static(b"\x02\x00\x0aonMetaData");
    assert_eq!(unpacker.unpack(TagKind::Script, 0, &bare).unwrap().as_slice(), [Unpacked::Ignored]);
}

#[test]
fn units_are_slices_of_the_body() {
    let mut unpacker = ready();
    let body = picture([0; 3], &[IDR]);
    let unit = frame_of(unpacker.unpack(TagKind::Video, 0, &body).unwrap());
    assert_eq!(unit.payload.units[0].as_ptr(), body[9..].as_ptr());
}

/// The record of x265 for 320x180.
const HVCC: &[u8] = &[
    0x01, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3c, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 0x03, 0x20, 0,
    1, 0, 0x18, 0x40, 1, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0x95, 0x98,
    0x09, 0x21, 0, 1, 0, 0x2b, 0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a, 0x08,
    0x0b, 0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0, 0, 3, 0, 8, 0, 0, 3, 0, 0xc8, 0x40, 0x22, 0,
    1, 0, 7, 0x44, 1, 0xc1, 0x72, 0xb4, 0x62, 0x40,
];
/// The record of SVT-AV1 for 320x180; its sequence header is what follows the first 4 bytes.
const AV1C: &[u8] = &[0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0x02, 0, 0, 0x05, 0x21, 0xe7, 0xf6, 0x60, 0x17, 0xc0, 0x02];
const VPCC: &[u8] = &[0, 0x0b, 0x82, 2, 2, 2, 0, 0];
const VP9_KEY: &[u8] = &[0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x36, 1, 2, 3];
const AV1_KEY: &[u8] = &[0x32, 4, 0x10, 1, 2, 3];
const OPUS_HEAD: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

/// Unpacks video bodies made of literal parts.
fn video(unpacker: &mut Unpacker, parts: &[&[u8]]) -> Result<Found, UnpackError> {
    unpacker.unpack(TagKind::Video, 40, &parts.concat().into())
}

fn config_of(found: Found) -> TrackInfo {
    match found.into_iter().next() {
        Some(Unpacked::Config(info)) => info,
        other => panic!("no configuration but {other:?}"),
    }
}

/// A track and a frame of it come back as they were, by the bodies that we write.
fn comes_back(info: &TrackInfo, unit: &Unit) {
    let kind = if info.kind() == media::Kind::Audio { TagKind::Audio } else { TagKind::Video };
    let mut unpacker = Unpacker::new();
    let configured = unpacker.unpack(kind, 0, &config_body(info).unwrap()).unwrap();
    let frame = Frame {
        codec: unit.codec,
        flags: unit.flags,
        dts: MediaTime(i64::from(unit.dts_ms)).rescale(1_000, info.clock_rate_hz),
        pts: MediaTime(i64::from(unit.dts_ms) + i64::from(unit.composition_ms)).rescale(1_000, info.clock_rate_hz),
        wall: WallTime(0),
        payload: unit.payload.clone(),
    };
    let found = unpacker.unpack(kind, unit.dts_ms, &frame_body(info, &frame)).unwrap();
    // VP9 is announced with its first key frame.
    let all: Vec<_> = configured.into_iter().chain(found).filter(|what| *what != Unpacked::Ignored).collect();
    assert_eq!(all, [Unpacked::Config(info.clone()), Unpacked::Frame(unit.clone())]);
}

#[test]
fn h265_by_fourcc_and_by_its_old_number() {
    for (head, lead) in [(&b"\x90hvc1"[..], &b"\x91hvc1"[..]), (b"\x1c\0\0\0\0", b"\x1c\x01")] {
        let mut unpacker = Unpacker::new();
        let info = config_of(video(&mut unpacker, &[head, HVCC]).unwrap());
        assert_eq!((info.codec, info.picture_size()), (Codec::H265, Some((320, 180))));
        let key = frame_of(video(&mut unpacker, &[lead, &[0, 0, 40, 0, 0, 0, 3, 0x26, 1, 0xaf]]).unwrap());
        assert_eq!((key.flags.key, key.composition_ms, key.codec), (true, 40, Codec::H265));
        comes_back(&info, &key);
        let early = frame_of(video(&mut unpacker, &[lead, &[0, 0, 0, 0, 0, 0, 3, 0, 1, 0xd0]]).unwrap());
        assert_eq!(early.flags, Flags { b_frame: true, discardable: true, ..Flags::default() });
        let later = frame_of(video(&mut unpacker, &[lead, &[0, 0, 80, 0, 0, 0, 3, 2, 1, 0xd0]]).unwrap());
        assert_eq!(later.flags, Flags::default());
        assert_eq!(video(&mut unpacker, &[head, HVCC]).unwrap().as_slice(), [Unpacked::Ignored], "a repetition");
    }
}

#[test]
fn sets_of_h265_in_band() {
    let mut unpacker = Unpacker::new();
    let known = media::h265::Config::parse_hvcc(&Bytes::from_static(HVCC)).unwrap();
    let mut body = b"\x93hvc1".to_vec();
    for unit in known.sets.iter().map(|set| &set[..]).chain([&[0x26, 1, 0xaf][..], &[0x46, 1, 0x50]]) {
        body.extend((unit.len() as u32).to_be_bytes());
        body.extend(unit);
    }
    let found = video(&mut unpacker, &[&body]).unwrap();
    let [Unpacked::Config(info), Unpacked::Frame(unit)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(info.picture_size(), Some((320, 180)));
    assert_eq!(unit.payload.units.as_slice(), [Bytes::from_static(&[0x26, 1, 0xaf])], "without delimiter and sets");
    assert_eq!(video(&mut unpacker, &[&body]).unwrap().len(), 1, "known sets are no new configuration");
}

#[test]
fn av1_with_its_sequence_header_in_the_record_or_in_band() {
    let mut unpacker = Unpacker::new();
    let info = config_of(video(&mut unpacker, &[b"\x90av01", AV1C]).unwrap());
    assert_eq!(info.picture_size(), Some((320, 180)));
    let key = frame_of(video(&mut unpacker, &[b"\x91av01\x12\0", &AV1C[4..], AV1_KEY]).unwrap());
    assert!(key.flags.key);
    assert_eq!(key.payload.units.concat(), [&AV1C[4..], AV1_KEY].concat(), "without the temporal delimiter");
    comes_back(&info, &key);

    let mut unpacker = Unpacker::new();
    assert_eq!(video(&mut unpacker, &[b"\x90av01", &AV1C[..4]]).unwrap().as_slice(), [Unpacked::Ignored]);
    assert_eq!(video(&mut unpacker, &[b"\x91av01", AV1_KEY]).unwrap().as_slice(), [Unpacked::Ignored]);
    let found = video(&mut unpacker, &[b"\x91av01", &AV1C[4..], AV1_KEY]).unwrap();
    assert_eq!(config_of(found), info);
}

#[test]
fn vp9_is_announced_with_the_size_of_its_key_frames() {
    let mut unpacker = Unpacker::new();
    assert_eq!(video(&mut unpacker, &[b"\x90vp09", VPCC]).unwrap().as_slice(), [Unpacked::Ignored]);
    assert_eq!(video(&mut unpacker, &[b"\xa1vp09", &[0x86, 0]]).unwrap().as_slice(), [Unpacked::Ignored]);
    let found = video(&mut unpacker, &[b"\x91vp09", VP9_KEY]).unwrap();
    let unit = frame_of(found.clone());
    let info = config_of(found);
    assert_eq!((info.picture_size(), unit.flags.key), (Some((320, 180)), true));
    comes_back(&info, &unit);
    let delta = video(&mut unpacker, &[b"\xa1vp09", &[0x86, 0]]).unwrap();
    assert_eq!((delta.len(), frame_of(delta).flags), (1, Flags::default()));
    let mut larger = VP9_KEY.to_vec();
    larger[5] = 0x27;
    assert_eq!(config_of(video(&mut unpacker, &[b"\x91vp09", &larger]).unwrap()).picture_size(), Some((640, 180)));
    let damaged = video(&mut unpacker, &[b"\x91vp09", b"xx"]).unwrap();
    assert_eq!(damaged.as_slice(), [Unpacked::Ignored]);
}

#[test]
fn opus_with_its_head() {
    let mut unpacker = Unpacker::new();
    let mut audio = |parts: &[&[u8]]| unpacker.unpack(TagKind::Audio, 20, &parts.concat().into());
    assert_eq!(audio(&[b"\x91Opus", &[0xfc, 1]]).unwrap().as_slice(), [Unpacked::Ignored], "no head yet");
    let info = config_of(audio(&[b"\x90Opus", OPUS_HEAD]).unwrap());
    assert_eq!((info.codec, info.clock_rate_hz), (Codec::Opus, 48_000));
    assert_eq!(&config_body(&info).unwrap()[5..], OPUS_HEAD);
    assert_eq!(audio(&[b"\x94Opus\x01\x02\0\0\0\x03"]).unwrap().as_slice(), [Unpacked::Ignored], "order of channels");
    comes_back(&info, &frame_of(audio(&[b"\x91Opus", &[0xfc, 1]]).unwrap()));
    assert_eq!(audio(&[b"\x90OpusOpusHead\x01\x06"]), Err(UnpackError::Opus(media::opus::HeadError::NotAHead)));
}

#[test]
fn h264_and_aac_by_fourcc_are_what_they_are_by_number() {
    let mut unpacker = Unpacker::new();
    let record = config_body(&h264()).unwrap().slice(5..);
    assert_eq!(config_of(video(&mut unpacker, &[b"\x90avc1", &record]).unwrap()), h264());
    let unit = frame_of(video(&mut unpacker, &[b"\x91avc1\xff\xff\xd8", &[0, 0, 0, 4], IDR]).unwrap());
    assert_eq!((unit.composition_ms, unit.flags.key), (-40, true));
    let unit = frame_of(video(&mut unpacker, &[b"\xa3avc1", &[0, 0, 0, 3], P]).unwrap());
    assert_eq!((unit.composition_ms, unit.dts_ms), (0, 40));
    assert_eq!(video(&mut unpacker, &[b"\x92avc1"]).unwrap().as_slice(), [Unpacked::SequenceEnd]);
    let asc = config_body(&aac()).unwrap().slice(2..);
    let found = unpacker.unpack(TagKind::Audio, 0, &[b"\x90mp4a", &asc[..]].concat().into()).unwrap();
    assert_eq!(config_of(found), aac());
    let found = unpacker.unpack(TagKind::Audio, 0, &Bytes::from_static(b"\x91mp4araw")).unwrap();
    assert_eq!(frame_of(found).payload, Payload::single(Bytes::from_static(b"raw")));
}

#[test]
fn nanoseconds_are_handed_on() {
    let mut unpacker = ready();
    let unit = frame_of(video(&mut unpacker, &[b"\xa7\x02\x01\xe2\x40\x03avc1", &[0, 0, 0, 3], P]).unwrap());
    assert_eq!((unit.dts_ms, unit.offset_ns), (40, 123_456));
}

#[test]
fn further_tracks_are_told_from_the_first() {
    let mut unpacker = ready();
    let further = ready_h265(&mut unpacker);
    assert!(matches!(&further, Unpacked::Config(info) if info.codec == Codec::H265), "{further:?}");
    // The first goes on under its own coding, and the two do not mix.
    let unit = frame_of(unpacker.unpack(TagKind::Video, 0, &picture([0; 3], &[P])).unwrap());
    assert_eq!(unit.codec, Codec::H264);
    let both = [&b"\x96\x21avc1\0\0\0\x0a\0\0\0\0\0\0\x03"[..], P, b"hvc1\x02\0\0\x0a\0\0\0\0\0\0\x03\x26\x01\xaf"];
    let found = video(&mut unpacker, &both).unwrap();
    let [Unpacked::Frame(first), Unpacked::Further(2, second)] = found.as_slice() else { panic!("{found:?}") };
    let Unpacked::Frame(second) = &**second else { panic!("{second:?}") };
    assert_eq!((first.codec, second.codec, second.flags.key), (Codec::H264, Codec::H265, true));
}

/// Track 2 is H.265.
fn ready_h265(unpacker: &mut Unpacker) -> Unpacked {
    let found = video(unpacker, &[b"\x96\x00hvc1\x02", HVCC]).unwrap();
    match found.into_iter().next() {
        Some(Unpacked::Further(2, config)) => *config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_further_track_that_cannot_be_used_is_no_harm_to_the_first() {
    let mut unpacker = ready();
    let found = unpacker.unpack(TagKind::Audio, 0, &Bytes::from_static(b"\x95\x00ac-3\x01")).unwrap();
    assert!(matches!(found.as_slice(), [Unpacked::Refused(UnpackError::Unsupported { .. })]), "{found:?}");
    let found = video(&mut unpacker, &[b"\x96\x01hvc1\x01\0"]).unwrap();
    assert_eq!(found.as_slice(), [Unpacked::Refused(UnpackError::Short)]);
    assert_eq!(frame_of(unpacker.unpack(TagKind::Video, 0, &picture([0; 3], &[P])).unwrap()).codec, Codec::H264);
}

#[test]
fn numbers_of_tracks_are_bounded_and_the_first_has_its_place() {
    let mut unpacker = Unpacker::new();
    for number in 1..=255u8 {
        let found = video(&mut unpacker, &[b"\x96\x00hvc1", &[number], HVCC]).unwrap();
        match found.as_slice() {
            [Unpacked::Further(found, _)] => assert!(*found == number && number < 8),
            other => assert_eq!(other, [Unpacked::Refused(UnpackError::TooManyTracks(number))]),
        }
    }
    assert_eq!(config_of(video(&mut unpacker, &[b"\x90av01", AV1C]).unwrap()).codec, Codec::Av1);
}

proptest! {
    #[test]
    fn never_panics_behind_a_fourcc(
        fourcc in 0usize..6,
        packet in 0u8..8,
        body in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let (kind, first) = if fourcc < 4 { (TagKind::Video, 0x90) } else { (TagKind::Audio, 0x90) };
        let fourcc = [b"avc1", b"hvc1", b"av01", b"vp09", b"mp4a", b"Opus"][fourcc];
        let mut unpacker = ready();
        let _ = video(&mut unpacker, &[b"\x90hvc1", HVCC]);
        let _ = unpacker.unpack(kind, 0, &[&[first | packet][..], fourcc, &body].concat().into());
        let _ = unpacker.unpack(kind, 0, &[&[first | 1][..], fourcc, &body].concat().into());
    }

    #[test]
    fn never_panics(bodies in proptest::collection::vec((0usize..3, proptest::collection::vec(any::<u8>(), 0..60)), 0..8)) {
        let mut unpacker = ready();
        for (kind, body) in bodies {
            let kind = [TagKind::Audio, TagKind::Video, TagKind::Script][kind];
            let _ = unpacker.unpack(kind, 0, &body.into());
        }
    }

    #[test]
    fn never_panics_behind_a_good_header(kind in 0usize..2, packet in 0u8..3, body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let (kind, head) = [(TagKind::Audio, 0xaf), (TagKind::Video, 0x17)][kind];
        let body = Bytes::from([&[head, packet][..], &body].concat());
        let _ = ready().unpack(kind, 0, &body);
    }
}
