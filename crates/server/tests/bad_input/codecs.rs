//! Codecs that are not served: the publisher is told which, and what to set.

use bytes::Bytes;

use crate::rig::{
    Clip, FlvViewer, RtmpPublisher, Said, Server, Viewer as _,
    clip::{audio, video},
};
use wire::flv::Tag;

fn told_for(server: &Server, tag: &Tag) -> Said {
    let mut publisher = RtmpPublisher::connect(server, "live/show");
    publisher.send(tag);
    publisher.told()
}

#[test]
fn the_publisher_is_told_the_codec_and_what_to_set() {
    let server = Server::dev();
    let flv = |body: &'static [u8]| Bytes::from_static(body);
    for (tag, codec, advice) in [
        (video(0, flv(&[0x12, 0, 0, 0x84, 0])), "Sorenson H.263", "H.264"),
        (audio(0, flv(&[0x2f, 0xff, 0xfb, 0x90])), "MP3", "AAC"),
        (video(0, flv(b"\x90vp08\x01\x01\x60")), "VP8", "H.264"),
        (video(0, flv(b"\x95av01\x80\x04\x81\x05\x0c\x00")), "MPEG-2 TS", "configuration record"),
        (audio(0, flv(b"\x90ac-3\x01\x02")), "AC-3", "Opus"),
    ] {
        let said = told_for(&server, &tag);
        assert_eq!(said.code, "NetStream.Publish.Denied");
        assert!(said.description.contains(codec) && said.description.contains(advice), "{codec}: {said:?}");
    }
    assert_eq!(server.streams().len(), 0, "the name is free again");
    assert_eq!(server.metric("stentor_publishers_unusable_total"), 5);
}

#[test]
fn a_stream_that_turns_into_one_ends_for_its_viewers() {
    let server = Server::dev();
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&clip);
    let mut viewer = FlvViewer::open(&server, "live/show");
    assert!(viewer.frame().is_some());
    publisher.send(&video(40, Bytes::from_static(b"\x90vp08\x01\x01\x60")));
    assert!(publisher.told().description.contains("VP8"));
    assert_eq!(viewer.rest(), 0);
}

#[test]
fn a_damaged_message_is_passed_over() {
    let server = Server::dev();
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&clip);
    let mut viewer = FlvViewer::open(&server, "live/show");
    assert!(viewer.frame().is_some());
    publisher.send(&video(33, Bytes::from_static(&[0x27, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0x41])));
    publisher.send(&video(33, Bytes::from_static(&[0x27])));
    publisher.send(&video(33, Bytes::from_static(&[0x17, 0, 0, 0, 0, 9, 9, 9])));
    // The same by fourcc: cut short, records that are none, tracks that do not add up, modifiers without end.
    for body in [
        &b"\x91hvc"[..],
        b"\x91hvc1\0",
        b"\x90hvc1\x01\x01\x60",
        b"\x90av01\x81\x05",
        b"\x90vp09\x01",
        b"\x96\x11hvc1\x01\0\0\x09ab",
        b"\x96\x06avc1\x01",
        b"\x97\x00\x00\x07\x00\x00\x07\x00\x00\x07\x00\x00\x07\x00\x00\x07\x00\x00\x07\x00\x00\x07\x00\x00\x07",
    ] {
        publisher.send(&video(33, Bytes::from_static(body)));
    }
    publisher.send(&audio(33, Bytes::from_static(b"\x90OpusOpusHead")));
    crate::rig::relay(&mut publisher, &mut viewer, &clip.frames[1]);
    assert_eq!(server.metric("stentor_messages_dropped_total{reason=\"damaged\"}"), 12);
}
