use std::time::Duration;

use bytes::Bytes;
use media::{TrackInfo, WallTime, aac, h264};

use super::*;

fn segment(number: u64, map: u32, discontinuity: bool) -> Segment {
    Segment {
        uri: format!("seg{number}.m4s"),
        map_uri: format!("init{map}.mp4"),
        duration: Duration::from_micros(2_002_000),
        wall: WallTime(1_700_000_000_000_000 + number as i64 * 2_002_000),
        discontinuity,
    }
}

#[test]
fn a_media_playlist() {
    let playlist = MediaPlaylist {
        target_duration_s: 3,
        media_sequence: 7,
        discontinuity_sequence: 1,
        segments: vec![segment(7, 0, false), segment(8, 0, true), segment(9, 1, true)],
        ended: true,
    };
    insta::assert_snapshot!(playlist, @r#"
    #EXTM3U
    #EXT-X-VERSION:7
    #EXT-X-TARGETDURATION:3
    #EXT-X-MEDIA-SEQUENCE:7
    #EXT-X-DISCONTINUITY-SEQUENCE:1
    #EXT-X-INDEPENDENT-SEGMENTS
    #EXT-X-MAP:URI="init0.mp4"
    #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:34.014Z
    #EXTINF:2.00200,
    seg7.m4s
    #EXT-X-DISCONTINUITY
    #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:36.016Z
    #EXTINF:2.00200,
    seg8.m4s
    #EXT-X-DISCONTINUITY
    #EXT-X-MAP:URI="init1.mp4"
    #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:38.018Z
    #EXTINF:2.00200,
    seg9.m4s
    #EXT-X-ENDLIST
    "#);
}

#[test]
fn a_multivariant_playlist() {
    let picture = Variant {
        uri: "live/media.m3u8?auth_key=1-2\"3".into(),
        bandwidth_bps: 2_500_000,
        average_bandwidth_bps: 2_400_000,
        codecs: vec!["avc1.64001F".into(), "mp4a.40.2".into()],
        resolution: Some((1_280, 720)),
        frame_rate: Some(30_000.0 / 1_001.0),
    };
    let sound = Variant {
        uri: "sound.m3u8".into(),
        bandwidth_bps: 130_000,
        average_bandwidth_bps: 128_000,
        codecs: vec!["mp4a.40.2".into()],
        ..Variant::default()
    };
    insta::assert_snapshot!(Multivariant { variants: vec![picture, sound] }, @r#"
    #EXTM3U
    #EXT-X-VERSION:7
    #EXT-X-INDEPENDENT-SEGMENTS
    #EXT-X-STREAM-INF:BANDWIDTH=2500000,AVERAGE-BANDWIDTH=2400000,CODECS="avc1.64001F,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970
    live/media.m3u8?auth_key=1-2%223
    #EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,CODECS="mp4a.40.2"
    sound.m3u8
    "#);
}

#[test]
fn codecs_as_rfc_6381_writes_them() {
    let sps = [0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10];
    let sets = (vec![Bytes::copy_from_slice(&sps)], vec![Bytes::from_static(&[0x68, 0xce])]);
    let picture = TrackInfo::h264(h264::Config::from_sets(sets.0, sets.1).unwrap());
    assert_eq!(codec_string(&picture).unwrap(), "avc1.64001F");
    let sound = TrackInfo::aac(aac::Config::lc(44_100, 2).unwrap());
    assert_eq!(codec_string(&sound).unwrap(), "mp4a.40.2");
    assert_eq!(codec_string(&TrackInfo::opus(2)).unwrap(), "opus");
}

#[test]
fn nothing_breaks_out_of_its_line() {
    let mut bad = segment(1, 0, false);
    bad.uri = "a\n#EXT-X-ENDLIST\r".into();
    bad.map_uri = "b\"\n".into();
    let text = MediaPlaylist { segments: vec![bad], ..MediaPlaylist::default() }.to_string();
    assert!(text.contains("\na%0A#EXT-X-ENDLIST%0D\n") && text.contains("URI=\"b%22%0A\""), "{text}");
}
