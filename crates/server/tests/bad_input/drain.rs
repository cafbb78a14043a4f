//! SIGTERM: nothing new is taken, and the process ends when what there was has ended.

use crate::rig::{Clip, FlvViewer, RtmpPlayer, RtmpPublisher, Server, Viewer as _, relay, server::OPEN, until};

const OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-publish.sdp");

fn on_air(server: &Server, clip: &Clip) -> (RtmpPublisher, FlvViewer) {
    let mut publisher = RtmpPublisher::connect(server, "live/show");
    publisher.begin(clip);
    let mut viewer = FlvViewer::open(server, "live/show");
    assert!(viewer.frame().is_some());
    (publisher, viewer)
}

#[test]
fn a_server_that_drains_waits_for_its_publishers_and_takes_no_new_ones() {
    let server = Server::serve(&format!("{OPEN}[server]\ndrain_timeout = \"10m\"\n"));
    let clip = Clip::demo();
    let (mut publisher, mut viewer) = on_air(&server, &clip);
    assert_eq!(server.get("/readyz").status, 200);
    server.terminate();
    until("the server drains", || (server.get("/readyz").status == 503).then_some(()));
    assert_eq!(server.get("/healthz").status, 200);
    let said = RtmpPublisher::refused(&server, "live/other");
    assert_eq!(said.code, "NetStream.Failed");
    assert!(said.description.contains("draining"), "{said:?}");
    assert_eq!(RtmpPlayer::refused(&server, "live/show").code, "NetStream.Failed");
    let answer = server.http("POST", "/whip/live/other", &[("Content-Type", "application/sdp")], OFFER);
    assert!(answer.problem(503).contains("draining"));
    assert_eq!(answer.header("retry-after"), Some("2"));
    server.get("/live/show.flv").problem(503);
    for tag in &clip.frames[1..100] {
        relay(&mut publisher, &mut viewer, tag);
    }
    publisher.leave();
    assert_eq!(viewer.rest(), 0);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn who_knows_enhanced_rtmp_is_asked_to_move_and_all_goes_on_until_then() {
    for (setting, place) in
        [("reconnect_url = \"rtmp://other.example/live\"\n", Some("rtmp://other.example/live")), ("", None)]
    {
        let server = Server::serve(&format!("{OPEN}[server]\ndrain_timeout = \"10m\"\n[rtmp]\n{setting}"));
        let clip = Clip::demo();
        let mut publisher = RtmpPublisher::connect(&server, "live/show");
        publisher.begin(&clip);
        let mut player = RtmpPlayer::connect(&server, "live/show");
        assert!(player.frame().is_some());
        relay(&mut publisher, &mut player, &clip.frames[1]);
        server.terminate();
        until("the server drains", || (server.get("/readyz").status == 503).then_some(()));
        publisher.send(&clip.frames[2]);
        assert_eq!(publisher.asked_to_move().as_deref(), place);
        assert!(player.frame().is_some());
        for tag in &clip.frames[3..20] {
            relay(&mut publisher, &mut player, tag);
        }
        assert_eq!(player.asked_to_move.as_ref().map(Option::as_deref), Some(place));
        assert_eq!(server.metric("stentor_rtmp_reconnect_requests_total"), 2, "once each");
        publisher.leave();
        assert_eq!(player.rest(), 0);
        assert_eq!(server.ended().code(), Some(0));
    }
}

#[test]
fn a_publisher_that_stays_is_told_when_the_time_is_over() {
    let server = Server::serve(&format!("{OPEN}[server]\ndrain_timeout = \"1s\"\n"));
    let (publisher, mut viewer) = on_air(&server, &Clip::demo());
    server.terminate();
    let said = publisher.told();
    assert_eq!(said.code, "NetStream.Publish.Denied");
    assert!(said.description.contains("shut down"), "{said:?}");
    assert_eq!(viewer.rest(), 0);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn an_idle_server_ends_at_once() {
    let server = Server::serve(&format!("{OPEN}[server]\ndrain_timeout = \"10m\"\n"));
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
}
