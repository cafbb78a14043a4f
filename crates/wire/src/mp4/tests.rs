use bytes::Bytes;
use media::{Codec, Payload, TrackInfo, WallTime, aac, av1, h264, h265, vp9};
use mp4_atom::{Any, DecodeMaybe as _, Moof, Moov};

use super::*;

fn picture_track() -> TrackInfo {
    let sps = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0];
    let pps = Bytes::from_static(&[0x68, 0xce, 0x3c, 0x80]);
    TrackInfo::h264(h264::Config::from_sets(vec![Bytes::copy_from_slice(&sps)], vec![pps]).unwrap())
}

/// The boxes at the top, decoded.
fn boxes(bytes: Bytes) -> Vec<Any> {
    let (mut rest, mut all) = (bytes.as_ref(), Vec::new());
    while let Some(any) = Any::decode_maybe(&mut rest).unwrap() {
        all.push(any);
    }
    assert!(rest.is_empty());
    all
}

fn moov(tracks: &[TrackInfo]) -> Moov {
    match boxes(init_segment(tracks).unwrap()).as_slice() {
        [Any::Ftyp(_), Any::Moov(moov)] => moov.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_initialisation_says_what_the_tracks_are() {
    let sound = TrackInfo::aac(aac::Config::parse(Bytes::from_static(&[0x12, 0x10, 0x56, 0xe5, 0x00])).unwrap());
    let moov = moov(&[picture_track(), sound, TrackInfo::opus(2)]);
    let [picture, sound, opus] = moov.trak.as_slice() else { panic!("three tracks") };
    assert_eq!([picture, sound, opus].map(|trak| trak.tkhd.track_id), [1, 2, 3]);
    assert_eq!([picture, sound, opus].map(|trak| trak.mdia.mdhd.timescale), [90_000, 44_100, 48_000]);
    assert_eq!((picture.tkhd.width.integer(), picture.tkhd.height.integer()), (1_280, 720));
    assert_eq!(moov.mvhd.next_track_id, 4);
    assert_eq!(moov.mvex.unwrap().trex.len(), 3);
    let entry = |trak: &mp4_atom::Trak| trak.mdia.minf.stbl.stsd.codecs[0].clone();
    let mp4_atom::Codec::Avc1(avc1) = entry(picture) else { panic!("avc1") };
    assert_eq!((avc1.visual.width, avc1.avcc.avc_profile_indication, avc1.avcc.length_size), (1_280, 0x42, 4));
    let mp4_atom::Codec::Mp4a(mp4a) = entry(sound) else { panic!("mp4a") };
    assert_eq!(mp4a.esds.es_desc.dec_config.dec_specific.unwrap().raw, [0x12, 0x10, 0x56, 0xe5, 0x00]);
    assert_eq!((mp4a.audio.channel_count, mp4a.audio.sample_rate.integer()), (2, 44_100));
    let mp4_atom::Codec::Opus(opus) = entry(opus) else { panic!("Opus") };
    assert_eq!((opus.dops.output_channel_count, opus.dops.input_sample_rate), (2, 48_000));
}

/// The records of x265, SVT-AV1 and libvpx for 320x180.
const HVCC: &[u8] = &[
    0x01, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3c, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 0x03, 0x20, 0,
    1, 0, 0x18, 0x40, 1, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0x95, 0x98,
    0x09, 0x21, 0, 1, 0, 0x2b, 0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a, 0x08,
    0x0b, 0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0, 0, 3, 0, 8, 0, 0, 3, 0, 0xc8, 0x40, 0x22, 0,
    1, 0, 7, 0x44, 1, 0xc1, 0x72, 0xb4, 0x62, 0x40,
];
const AV1C: &[u8] = &[0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0x02, 0, 0, 0x05, 0x21, 0xe7, 0xf6, 0x60, 0x17, 0xc0, 0x02];
const VPCC: &[u8] = &[0, 0x0b, 0x82, 2, 2, 2, 0, 0];

fn new_codings() -> [(TrackInfo, &'static [u8], &'static [u8], &'static str); 3] {
    let vp9 = vp9::Config { size: Some((320, 180)), ..vp9::Config::parse(Bytes::from_static(VPCC)).unwrap() };
    [
        (
            TrackInfo::h265(h265::Config::parse_hvcc(&Bytes::from_static(HVCC)).unwrap()),
            b"hvcC",
            HVCC,
            "hvc1.1.6.L60.90",
        ),
        (
            TrackInfo::av1(av1::Config::parse_av1c(&Bytes::from_static(AV1C)).unwrap().unwrap()),
            b"av1C",
            AV1C,
            "av01.0.00M.08",
        ),
        (TrackInfo::vp9(vp9), b"vpcC\x01\0\0\0", VPCC, "vp09.00.11.08"),
    ]
}

#[test]
fn records_are_written_as_they_came() {
    for (track, head, record, codecs) in new_codings() {
        assert!(is_supported(&track));
        let bytes = init_segment(std::slice::from_ref(&track)).unwrap();
        let box_of_it = [head, record].concat();
        assert!(bytes.windows(box_of_it.len()).any(|window| window == box_of_it), "{codecs}");
        let trak = moov(std::slice::from_ref(&track)).trak[0].clone();
        assert_eq!((trak.tkhd.width.integer(), trak.tkhd.height.integer()), (320, 180), "{codecs}");
        assert_eq!(crate::hls::codec_string(&track).unwrap(), codecs);
    }
}

#[test]
fn records_with_what_mp4_forbids_are_put_right() {
    let mut av1c = AV1C.to_vec();
    av1c[3] = 0xe0;
    let track = TrackInfo::av1(av1::Config::parse_av1c(&av1c.into()).unwrap().unwrap());
    let bytes = init_segment(&[track]).unwrap();
    assert!(bytes.windows(AV1C.len()).any(|window| window == AV1C), "reserved bits are cleared");
    let rgb = Bytes::from_static(&[0, 0x0b, 0x82, 2, 2, 0, 0, 0]);
    let track = TrackInfo::vp9(vp9::Config::parse(rgb).unwrap());
    let bytes = init_segment(&[track]).unwrap();
    assert!(bytes.windows(VPCC.len()).any(|window| window == VPCC), "4:2:0 has no matrix of RGB");
}

#[test]
fn units_are_framed_as_their_coding_wants() {
    for (codec, bytes) in [
        (Codec::H265, &b"\0\0\0\x02ab\0\0\0\x01c"[..]),
        (Codec::Av1, b"abc"),
        (Codec::Vp9, b"abc"),
        (Codec::Opus, b"abc"),
    ] {
        let samples = vec![sample(1, 0, true, &[b"ab", b"c"])];
        let runs = vec![Run { track_id: 1, codec, decode_time: 0, samples }];
        let all = boxes(Fragment { sequence: 1, reference: None, runs }.write().unwrap());
        let Some(Any::Mdat(mdat)) = all.last() else { panic!("{all:?}") };
        assert_eq!(mdat.data.as_slice(), bytes, "{codec:?}");
    }
}

#[test]
fn what_has_no_place_is_refused() {
    let vp8 = TrackInfo { codec: Codec::Vp8, clock_rate_hz: 90_000, config: Config::None };
    assert!(!is_supported(&vp8) && is_supported(&picture_track()));
    assert!(matches!(init_segment(&[vp8]), Err(Mp4Error::Unsupported(Codec::Vp8))));
}

fn sample(duration: u32, composition_offset: i32, key: bool, units: &[&'static [u8]]) -> Sample {
    let payload: Payload = units.iter().map(|unit| Bytes::from_static(unit)).collect();
    Sample { duration, composition_offset, key, discardable: !key && units.len() == 1, payload }
}

fn fragment() -> Fragment {
    let picture = Run {
        track_id: 1,
        codec: Codec::H264,
        decode_time: 1 << 40,
        samples: vec![sample(3_000, 3_000, true, &[b"eS", b"key"]), sample(3_001, -3_000, false, &[b"A"])],
    };
    let sound = Run {
        track_id: 2,
        codec: Codec::Aac,
        decode_time: 77,
        samples: vec![sample(1_024, 0, true, &[b"first"]), sample(1_025, 0, true, &[b"second"])],
    };
    let reference = ReferenceTime { track_id: 1, media_time: 5, wall: WallTime(1_700_000_000_000_000) };
    Fragment { sequence: 9, reference: Some(reference), runs: vec![picture, sound] }
}

/// The bytes of each sample, found as a player finds them: from `moof` by the offsets.
fn samples(bytes: &Bytes, moof_at: usize, moof: &Moof) -> Vec<Vec<Bytes>> {
    let run = |traf: &mp4_atom::Traf| {
        let mut at = moof_at + traf.trun[0].data_offset.unwrap() as usize;
        let all = traf.trun[0].samples.iter().map(|entry| {
            let size = entry.size.unwrap() as usize;
            at += size;
            bytes.slice(at - size..at)
        });
        all.collect()
    };
    moof.traf.iter().map(run).collect()
}

#[test]
fn a_player_finds_every_sample() {
    let bytes = fragment().write().unwrap();
    let all = boxes(bytes.clone());
    let [Any::Styp(_), Any::Prft(prft), Any::Moof(moof), Any::Mdat(_)] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((prft.reference_track_id, prft.media_time), (1, 5));
    assert_eq!(prft.ntp_timestamp, WallTime(1_700_000_000_000_000).to_ntp());
    assert_eq!(moof.mfhd.sequence_number, 9);
    let moof_at = bytes.windows(4).position(|name| name == b"moof").unwrap() - 4;
    let found = samples(&bytes, moof_at, moof);
    assert_eq!(found[0], [&b"\0\0\0\x02eS\0\0\0\x03key"[..], &b"\0\0\0\x01A"[..]]);
    assert_eq!(found[1], [&b"first"[..], &b"second"[..]]);
    let [picture, sound] = moof.traf.as_slice() else { panic!("two runs") };
    assert_eq!(picture.tfdt.as_ref().unwrap().base_media_decode_time, 1 << 40);
    assert!(picture.tfhd.default_base_is_moof);
    let times: Vec<_> = picture.trun[0].samples.iter().map(|entry| (entry.duration, entry.cts, entry.flags)).collect();
    assert_eq!(times[0], (Some(3_000), Some(3_000), Some(0x0200_0000)));
    assert_eq!(times[1], (Some(3_001), Some(-3_000), Some(0x0181_0000)));
    let times: Vec<_> = sound.trun[0].samples.iter().map(|entry| (entry.duration, entry.cts, entry.flags)).collect();
    assert_eq!(times, [(Some(1_024), None, None), (Some(1_025), None, None)]);
}

#[test]
fn a_run_without_samples_is_left_out() {
    let mut fragment = fragment();
    fragment.runs[0].samples.clear();
    fragment.reference = None;
    let all = boxes(fragment.write().unwrap());
    let [Any::Styp(_), Any::Moof(moof), Any::Mdat(mdat)] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((moof.traf.len(), moof.traf[0].tfhd.track_id), (1, 2));
    assert_eq!(mdat.data.as_slice(), b"firstsecond");
}
