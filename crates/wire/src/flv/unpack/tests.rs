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

proptest! {
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
