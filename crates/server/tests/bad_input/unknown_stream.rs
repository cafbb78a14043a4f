//! A stream that nobody publishes.

use std::time::Duration;

use crate::rig::{Clip, FlvViewer, RtmpPlayer, RtmpPublisher, Server, Viewer as _, relay, server::OPEN};

const OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-play.sdp");

#[test]
fn every_door_says_that_it_is_not_there() {
    let server = Server::dev();
    let answers = [
        server.http("POST", "/whep/live/none", &[("Content-Type", "application/sdp")], OFFER),
        server.get("/live/none.flv"),
        server.get("/live/none.m3u8"),
    ];
    for answer in answers {
        let sentence = answer.problem(404);
        assert!(sentence.contains("live/none") && sentence.contains("publish it first"), "{sentence}");
    }
    let said = RtmpPlayer::refused(&server, "live/none");
    assert_eq!(said.code, "NetStream.Play.StreamNotFound");
    assert!(said.description.contains("live/none") && said.description.contains("publish it first"), "{said:?}");
}

#[test]
fn a_name_that_cannot_be_one_is_told_why() {
    let server = Server::dev();
    let sentence = server.get("/live/.hidden.flv").problem(400);
    assert!(sentence.contains("begins with a dot"), "{sentence}");
    let said = RtmpPublisher::refused(&server, "whip/show");
    assert_eq!(said.code, "NetStream.Publish.BadName");
    assert!(said.description.contains("'whip'") && said.description.contains("'live'"), "{said:?}");
}

#[test]
fn a_viewer_who_comes_first_is_kept_waiting_where_the_configuration_says_so() {
    let server = Server::serve(&format!("{OPEN}[live]\nwait_for_stream = \"5s\"\n"));
    let asked = FlvViewer::ask(&server, "live/show");
    assert!(asked.is_kept_waiting(Duration::from_millis(300)), "answered before the stream began");
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&clip);
    let mut viewer = FlvViewer::of(asked);
    let first = viewer.frame().unwrap();
    assert!(first.flags.key);
    for tag in &clip.frames[1..20] {
        relay(&mut publisher, &mut viewer, tag);
    }
}

#[test]
fn a_viewer_who_waited_in_vain_is_told() {
    let server = Server::serve(&format!("{OPEN}[live]\nwait_for_stream = \"200ms\"\n"));
    server.get("/live/none.flv").problem(404);
    assert_eq!(RtmpPlayer::refused(&server, "live/none").code, "NetStream.Play.StreamNotFound");
}
