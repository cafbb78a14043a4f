//! Several tracks in one publication: which are played, how many there may be, and what is said of those there are not.

use bytes::{BufMut as _, Bytes, BytesMut};
use wire::flv::Tag;

use crate::rig::{
    Asked, Clip, FlvViewer, RtmpPlayer, RtmpPublisher, Server, Viewer as _,
    clip::{self, Slice, audio, video},
    relay, until,
};

/// A message of H.264 for one further track.
fn further(number: u8, timestamp_ms: u32, packet: u8, body: &[u8]) -> Tag {
    let mut out = BytesMut::new();
    out.put_slice(&[0x96, packet]);
    out.put_slice(b"avc1");
    out.put_u8(number);
    out.put_slice(body);
    video(timestamp_ms, out.freeze())
}

/// The header and a key frame of a further track, and the key frame's bytes.
fn begin(publisher: &mut RtmpPublisher, number: u8) -> Bytes {
    let header = clip::avc_header(320, 192);
    publisher.send(&further(number, 0, 0, &header[5..]));
    let picture = clip::picture(Slice::Key, u64::from(number), 0, 50);
    publisher.send(&further(number, 0, 1, &picture[2..]));
    picture.slice(9..)
}

fn viewer_of(server: &Server, query: &str) -> FlvViewer {
    FlvViewer::of(Asked::new(server.http, "GET", &format!("/live/show.flv{query}"), &[], b""))
}

fn numbers(server: &Server) -> usize {
    server.streams().first().map_or(0, |stream| stream["furtherTracks"].as_array().unwrap().len())
}

#[test]
fn a_further_track_is_played_by_its_number_with_the_first_sound() {
    let server = Server::dev();
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&clip);
    let key = begin(&mut publisher, 3);
    until("the further track is there", || (numbers(&server) == 1).then_some(()));
    let mut first = viewer_of(&server, "?track=0");
    assert_eq!(first.frame().unwrap().payload.units.last().unwrap(), clip::coded(&clip.frames[0]));
    let mut players = (viewer_of(&server, "?track=3"), RtmpPlayer::connect(&server, "live/show?track=3"));
    assert_eq!(players.0.frame().unwrap().payload.units[0], key);
    assert_eq!(players.1.frame().unwrap().payload.units[0], key);
    let sound = clip.sounds().next().unwrap();
    let unit = relay(&mut publisher, &mut players.0, sound);
    assert_eq!(players.1.frame().unwrap().payload, unit.payload);
    assert_eq!(first.frame().unwrap().payload, unit.payload);
    // Its own picture goes on, and the first one's does not come here.
    publisher.send(clip.pictures().nth(1).unwrap());
    let next = clip::picture(Slice::P, 4, 0, 60);
    publisher.send(&further(3, 33, 1, &next[2..]));
    assert_eq!(players.0.frame().unwrap().payload.units[0], next.slice(9..));
    publisher.leave();
    assert_eq!((first.rest(), players.0.rest()), (1, 0), "all end with their publisher");
}

#[test]
fn tracks_beyond_the_limit_and_of_other_codecs_are_dropped_and_counted() {
    let server = Server::dev();
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&clip);
    let mut viewer = FlvViewer::open(&server, "live/show");
    assert!(viewer.frame().is_some());
    for number in 1..=20 {
        begin(&mut publisher, number);
    }
    publisher.send(&audio(0, Bytes::from_static(b"\x95\x00ac-3\x01")));
    publisher.send(&further(1, 0, 1, &[0, 0, 0, 0, 0, 0, 9, 1]));
    relay(&mut publisher, &mut viewer, &clip.frames[1]);
    assert_eq!(numbers(&server), 7);
    let dropped = |kind: &str| server.metric(&format!("stentor_messages_dropped_total{{reason=\"{kind}\"}}"));
    assert_eq!((dropped("too-many-tracks"), dropped("track-codec"), dropped("damaged")), (26, 1, 1));
}

#[test]
fn a_track_that_is_not_there_is_refused_with_those_that_are() {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&Clip::demo());
    begin(&mut publisher, 2);
    until("the further track is there", || (numbers(&server) == 1).then_some(()));
    for path in ["/live/show.flv?track=9", "/live/show.m3u8?track=9", "/live/show/media.m3u8?track=9"] {
        let sentence = server.http("GET", path, &[], b"").problem(404);
        assert_eq!(sentence, "'live/show' has no track 9; its tracks are 0, 2", "{path}");
    }
    for wrong in ["x", "-1", "256", "99999999999999999999", "1%00"] {
        for path in ["/live/show.flv", "/live/show.m3u8", "/live/show/seg0.m4s"] {
            let sentence = server.http("GET", &format!("{path}?track={wrong}"), &[], b"").problem(400);
            assert!(sentence.contains("0 to 255"), "{sentence}");
        }
    }
    let said = RtmpPlayer::refused(&server, "live/show?track=9");
    assert!(said.description.contains("its tracks are 0, 2"), "{said:?}");
}
