//! Streams that change while they are watched.

use crate::rig::{
    Clip, FlvViewer, Item, RtmpPlayer, RtmpPublisher, Server, Viewer,
    clip::{Slice, aac_header, at, audio, avc_header, number, picture, video},
    relay, until,
};

/// The first items of a viewer are both headers of the demo clip around its key frame, in an order of the server's.
fn see_the_start(viewer: &mut impl Viewer, clip: &Clip, publisher: &mut RtmpPublisher) {
    let first = viewer.next();
    let Some(Item::Config(info)) = &first else { panic!("a header comes first, and not {first:?}") };
    assert_eq!(info.codec.name(), "H264");
    let second = viewer.next();
    assert!(matches!(&second, Some(Item::Frame(unit)) if unit.flags.key), "{second:?}");
    let sound = clip.sounds().next().unwrap();
    publisher.send(sound);
    assert!(matches!(viewer.next(), Some(Item::Config(info)) if info.codec.name() == "AAC"));
    assert!(matches!(viewer.next(), Some(Item::Frame(_))));
}

fn resolution_changes(server: &Server, mut publisher: RtmpPublisher, mut viewer: impl Viewer) {
    let clip = Clip::demo();
    publisher.begin(&clip);
    see_the_start(&mut viewer, &clip, &mut publisher);
    for tag in clip.pictures().skip(1).take(5) {
        relay(&mut publisher, &mut viewer, tag);
    }
    publisher.send(&video(200, avc_header(320, 192)));
    // What still refers to the pictures before cannot be decoded by the new header.
    publisher.send(&video(200, picture(Slice::P, 1, 0, 100)));
    publisher.send(&video(233, picture(Slice::Key, 2, 0, 100)));
    let header = viewer.next();
    assert!(
        matches!(&header, Some(Item::Config(info)) if info.config == media::Config::H264(size_of(320, 192))),
        "the new header comes before the next picture, and not {header:?}"
    );
    let Some(Item::Frame(unit)) = viewer.next() else { panic!("a picture follows the header") };
    assert!(unit.flags.key && number(&unit) == 2 && unit.dts_ms >= 200);
    until("/v1/streams shows the new size", || {
        let shown = server.streams()[0]["video"].clone();
        (shown["width"] == 320 && shown["height"] == 192).then_some(())
    });
    publisher.send(&video(266, picture(Slice::P, 3, 0, 100)));
    assert_eq!(number(&viewer.frame().unwrap()), 3);
}

fn size_of(width: u32, height: u32) -> media::h264::Config {
    media::h264::Config::parse_avcc(&avc_header(width, height).slice(5..)).unwrap()
}

#[test]
fn a_change_of_the_picture_size_reaches_flv_viewers_before_the_next_picture() {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    Clip::demo().headers.iter().for_each(|tag| publisher.send(tag));
    let viewer = FlvViewer::open(&server, "live/show");
    resolution_changes(&server, publisher, viewer);
}

#[test]
fn a_change_of_the_picture_size_reaches_rtmp_viewers_before_the_next_picture() {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    Clip::demo().headers.iter().for_each(|tag| publisher.send(tag));
    let viewer = RtmpPlayer::connect(&server, "live/show");
    resolution_changes(&server, publisher, viewer);
}

#[test]
fn a_change_of_the_sampling_rate_reaches_viewers_before_the_next_sound() {
    let server = Server::dev();
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&clip);
    let mut viewer = FlvViewer::open(&server, "live/show");
    see_the_start(&mut viewer, &clip, &mut publisher);
    let mut sounds = clip.sounds().skip(1);
    let before = relay(&mut publisher, &mut viewer, sounds.next().unwrap());
    publisher.send(&audio(50, aac_header(44_100)));
    publisher.send(sounds.next().unwrap());
    let header = viewer.next();
    assert!(
        matches!(&header, Some(Item::Config(info)) if info.clock_rate_hz == 44_100),
        "the new header comes before the next sound, and not {header:?}"
    );
    let Some(Item::Frame(after)) = viewer.next() else { panic!("a sound follows the header") };
    assert!(after.dts_ms >= before.dts_ms, "{} after {}", after.dts_ms, before.dts_ms);
    until("/v1/streams shows the new rate", || (server.streams()[0]["audio"]["sampleRate"] == 44_100).then_some(()));
    // The picture goes on without a break.
    let unit = relay(&mut publisher, &mut viewer, clip.pictures().nth(1).unwrap());
    assert!(!unit.flags.key);
}

#[test]
fn a_header_that_is_repeated_changes_nothing() {
    let server = Server::dev();
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&clip);
    let mut viewer = FlvViewer::open(&server, "live/show");
    see_the_start(&mut viewer, &clip, &mut publisher);
    clip.headers.iter().for_each(|tag| publisher.send(&at(tag, 20)));
    publisher.send(clip.pictures().nth(1).unwrap());
    let next = viewer.next();
    assert!(matches!(&next, Some(Item::Frame(unit)) if !unit.flags.key), "{next:?}");
}
