//! Publishers that are one too many, or fall silent.

use crate::rig::{Clip, FlvViewer, RtmpPlayer, RtmpPublisher, Server, Viewer, clip::at, relay, server::OPEN, until};

const OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-publish.sdp");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");

/// A publisher that has begun, and a viewer who has seen its first picture.
fn on_air(server: &Server, clip: &Clip) -> (RtmpPublisher, FlvViewer) {
    let mut publisher = RtmpPublisher::connect(server, "live/show");
    publisher.begin(clip);
    let mut viewer = FlvViewer::open(server, "live/show");
    assert!(viewer.frame().unwrap().flags.key);
    (publisher, viewer)
}

#[test]
fn a_second_publisher_is_refused_and_the_first_goes_on() {
    let server = Server::dev();
    let clip = Clip::demo();
    let (mut first, mut viewer) = on_air(&server, &clip);
    for tag in &clip.frames[1..10] {
        relay(&mut first, &mut viewer, tag);
    }
    let said = RtmpPublisher::refused(&server, "live/show");
    assert_eq!(said.code, "NetStream.Publish.BadName");
    assert!(said.description.contains("already being published"), "{said:?}");
    assert!(said.description.contains("live.takeover"), "{said:?}");
    let sentence = server.http("POST", "/whip/live/show", &[SDP], OFFER).problem(409);
    assert!(sentence.contains("already being published"), "{sentence}");
    for tag in &clip.frames[10..100] {
        relay(&mut first, &mut viewer, tag);
    }
    assert_eq!(server.streams().len(), 1);
    first.leave();
    assert_eq!(viewer.rest(), 0);
    // The name is free again.
    on_air(&server, &clip);
}

#[test]
fn with_takeover_the_second_publisher_replaces_the_first() {
    let server = Server::serve(&format!("{OPEN}[live]\ntakeover = true\n"));
    let clip = Clip::demo();
    let (first, mut old_viewer) = on_air(&server, &clip);
    let mut old_player = RtmpPlayer::connect(&server, "live/show");
    let mut second = RtmpPublisher::connect(&server, "live/show");
    let said = first.told();
    assert_eq!(said.code, "NetStream.Publish.Denied");
    assert!(said.description.contains("another publisher has taken"), "{said:?}");
    assert_eq!(old_viewer.rest(), 0);
    assert!(old_player.rest() <= 1, "the key frame that was there, and no more");
    second.begin(&clip);
    let mut viewer = FlvViewer::open(&server, "live/show");
    assert!(viewer.frame().unwrap().flags.key);
    for tag in &clip.frames[1..10] {
        relay(&mut second, &mut viewer, tag);
    }
    assert_eq!(server.streams().len(), 1, "the end of the first does not take the second's name away");
    assert_eq!(server.metric("stentor_streams_ended_total"), 1);
}

#[test]
fn with_takeover_an_offer_that_is_refused_takes_nothing_over() {
    let server = Server::serve(&format!("{OPEN}[live]\ntakeover = true\n"));
    let clip = Clip::demo();
    let (mut first, mut viewer) = on_air(&server, &clip);
    server.http("POST", "/whip/live/show", &[SDP], b"this is no SDP").problem(400);
    for tag in &clip.frames[1..10] {
        relay(&mut first, &mut viewer, tag);
    }
}

#[test]
fn a_silent_publisher_is_ended_and_everybody_is_told() {
    let server = Server::serve(&format!("{OPEN}[live]\npublish_timeout = \"1s\"\n"));
    let clip = Clip::demo();
    let (mut publisher, mut viewer) = on_air(&server, &clip);
    let mut player = RtmpPlayer::connect(&server, "live/show");
    assert!(player.frame().unwrap().flags.key);
    publisher.send(&clip.frames[1]);
    let said = publisher.told();
    assert_eq!(said.code, "NetStream.Publish.Denied");
    assert!(said.description.contains("nothing for too long"), "{said:?}");
    assert_eq!(viewer.rest(), 1);
    assert_eq!(player.rest(), 1);
    assert_eq!(server.streams().len(), 0);
    assert_eq!(server.metric("stentor_streams_ended_total{reason=\"publisher-silent\"}"), 1);
    server.get("/live/show.flv").problem(404);
}

#[test]
fn a_publisher_that_sends_no_media_at_all_is_ended_too() {
    let server = Server::serve(&format!("{OPEN}[live]\npublish_timeout = \"1s\"\n"));
    let publisher = RtmpPublisher::connect(&server, "live/show");
    assert!(publisher.told().description.contains("nothing for too long"));
    assert_eq!(server.streams().len(), 0);
}

#[test]
fn sequence_headers_alone_do_not_keep_a_publisher_alive() {
    let server = Server::serve(&format!("{OPEN}[live]\npublish_timeout = \"1s\"\n"));
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    let mut time_ms = 0;
    until("the stream is gone", || {
        publisher.send(&at(&clip.headers[0], time_ms));
        time_ms += 10;
        server.streams().is_empty().then_some(())
    });
}
