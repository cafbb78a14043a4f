use std::time::Duration;

use super::*;
use proptest::prelude::*;

fn media(text: &str) -> Media {
    match parse(text) {
        Ok(Playlist::Media(media)) => media,
        other => panic!("{other:?}"),
    }
}

fn live(first: u64, count: u64, tail: &str) -> Media {
    let mut text =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-MAP:URI=\"i.mp4\"\n");
    (first..first + count).for_each(|number| text += &format!("#EXTINF:2.0,\ns{number}.m4s\n"));
    media(&(text + tail))
}

fn played(follower: &mut Follower) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Step::Play(segment) = follower.step() {
        numbers.push(segment.number);
    }
    numbers
}

#[test]
fn a_media_playlist_as_this_server_writes_it() {
    let media = media(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n\
         #EXT-X-MAP:URI=\"init0.mp4?a=1,2\"\n#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:34.014Z\n#EXTINF:2.00200,\nseg7.m4s\n\
         #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init1.mp4\"\n#EXTINF:2,\nseg8.m4s\n#EXT-X-ENDLIST\n",
    );
    assert_eq!((media.target, media.ended, media.segments.len()), (Duration::from_secs(3), true, 2));
    let [seven, eight] = media.segments.as_slice() else { panic!() };
    assert_eq!((seven.number, seven.uri.as_str(), seven.map.as_deref()), (7, "seg7.m4s", Some("init0.mp4?a=1,2")));
    assert_eq!(seven.duration, Duration::from_micros(2_002_000));
    assert_eq!(seven.captured.as_deref(), Some("2023-11-14T22:13:34.014Z"));
    assert_eq!((eight.number, eight.map.as_deref(), eight.discontinuity), (8, Some("init1.mp4"), true));
    assert_eq!((seven.discontinuity, &eight.captured), (false, &None));
}

#[test]
fn a_multivariant_playlist_with_quotes_and_commas() {
    let text = "#EXTM3U\r\n#EXT-X-STREAM-INF:CODECS=\"avc1.64001F,mp4a.40.2\",BANDWIDTH=2500000,RESOLUTION=1x1\r\nlive/a.m3u8?x\r\n\
                #EXT-X-STREAM-INF:BANDWIDTH=800\r\n\r\nlow.m3u8\r\n";
    let variant = |uri: &str, bandwidth_bps| Variant { uri: uri.into(), bandwidth_bps };
    assert_eq!(
        parse(text),
        Ok(Playlist::Multivariant(vec![variant("live/a.m3u8?x", 2_500_000), variant("low.m3u8", 800)]))
    );
}

#[test]
fn what_is_no_playlist_is_said() {
    for (text, part) in [
        ("<html>", "#EXTM3U"),
        ("", "#EXTM3U"),
        ("#EXTM3U\n", "no stream"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:x\n", "line 2"),
        ("#EXTM3U\n#EXTINF:-1,\n", "line 2"),
        ("#EXTM3U\n#EXTINF:1e300,\n", "line 2"),
        ("#EXTM3U\n#EXT-X-MAP:BYTERANGE=\"1\"\n", "line 2"),
        ("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n", "encrypted"),
    ] {
        assert!(parse(text).unwrap_err().to_string().contains(part), "{text:?}");
    }
}

#[test]
fn live_begins_three_before_the_end_and_goes_on() {
    let mut follower = Follower::default();
    follower.update(live(10, 6, ""));
    assert_eq!(played(&mut follower), [13, 14, 15]);
    assert_eq!(follower.step(), Step::Wait(Duration::from_secs(1)));
    follower.update(live(12, 6, ""));
    assert_eq!(played(&mut follower), [16, 17]);
    follower.update(live(30, 3, "#EXT-X-ENDLIST\n"));
    assert_eq!((played(&mut follower), follower.skipped()), (vec![30, 31, 32], 12));
    assert_eq!(follower.step(), Step::Ended);
}

#[test]
fn a_recording_is_played_from_its_beginning() {
    let mut follower = Follower::default();
    follower.update(live(0, 5, "#EXT-X-ENDLIST\n"));
    assert_eq!(played(&mut follower), [0, 1, 2, 3, 4]);
    assert_eq!(follower.step(), Step::Ended);
}

#[test]
fn a_server_that_began_anew_is_followed() {
    let mut follower = Follower::default();
    follower.update(live(100, 3, ""));
    played(&mut follower);
    follower.update(live(0, 2, ""));
    assert_eq!(played(&mut follower), [0, 1]);
}

proptest! {
    #[test]
    fn never_panics(text in "(#EXTM3U\n)?(#EXT(INF|-X-[A-Z-]{3,16}):?[ -~]{0,24}\n|[a-z.]{0,8}\n){0,12}") {
        if let Ok(Playlist::Media(media)) = parse(&text) {
            let mut follower = Follower::default();
            follower.update(media);
            while let Step::Play(_) = follower.step() {}
        }
    }
}
