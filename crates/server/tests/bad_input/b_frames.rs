//! B-frames: fine for FLV, not for WebRTC, and whoever comes by WebRTC is told what the publisher has to set.

use crate::rig::{
    FlvViewer, RtmpPublisher, Server, Viewer as _,
    clip::{Slice, avc_header, number, picture, video},
};

const OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-play.sdp");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");

/// Publishes I P B P B with composition times, and sees to it that an FLV viewer gets all of them.
fn publish(server: &Server, b: Slice) -> (RtmpPublisher, FlvViewer) {
    let mut publisher = RtmpPublisher::connect(server, "live/show");
    publisher.send(&video(0, avc_header(640, 352)));
    let order = [(Slice::Key, 33), (Slice::P, 66), (b, 0), (Slice::P, 66), (b, 0)];
    for (number, (slice, composition_ms)) in (0u8..).zip(order) {
        publisher.send(&video(33 * u32::from(number), picture(slice, number.into(), composition_ms, 64)));
    }
    let mut viewer = FlvViewer::open(server, "live/show");
    for (at, (slice, composition_ms)) in (0u64..).zip(order) {
        let unit = viewer.frame().unwrap();
        assert_eq!((number(&unit), unit.composition_ms), (at, composition_ms));
        assert_eq!(unit.flags.b_frame, slice == b);
    }
    (publisher, viewer)
}

#[test]
fn a_webrtc_viewer_is_told_what_to_set_and_flv_plays_on() {
    let server = Server::dev();
    let (mut publisher, mut viewer) = publish(&server, Slice::ReferencedB);
    let sentence = server.http("POST", "/whep/live/show", &[SDP], OFFER).problem(406);
    for part in ["B-frames", "OBS", "Max B-frames", "-bf 0"] {
        assert!(sentence.contains(part), "{sentence}");
    }
    let shown = &server.streams()[0];
    assert_eq!(shown["video"]["bFrames"], "referenced");
    assert_eq!(shown["warnings"][0]["code"], "b-frames");
    assert_eq!(shown["viewers"]["webrtc"], 0);
    publisher.send(&video(170, picture(Slice::P, 9, 0, 64)));
    assert_eq!(number(&viewer.frame().unwrap()), 9);
}

#[test]
fn b_frames_that_nothing_refers_to_are_left_out_for_webrtc() {
    let server = Server::dev();
    let (_publisher, _viewer) = publish(&server, Slice::DroppableB);
    let answer = server.http("POST", "/whep/live/show", &[SDP], OFFER);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(server.streams()[0]["video"]["bFrames"], "droppable");
}
