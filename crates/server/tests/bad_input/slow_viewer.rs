//! A viewer who stops reading: nobody waits for it, and it comes back at a key frame.

use crate::rig::{
    FlvViewer, RtmpPlayer, RtmpPublisher, Server, Socket, Viewer,
    clip::{Slice, avc_header, number, picture, video},
    until,
};

/// 32 MB: more than the cache and both sockets' buffers together, several times over.
const PICTURES: u64 = 320;
const PICTURE_BYTES: usize = 100_000;
const PICTURE_MS: u32 = 100;
const GOP: u64 = 10;

fn send(publisher: &mut RtmpPublisher, at: u64) {
    let slice = if at.is_multiple_of(GOP) { Slice::Key } else { Slice::P };
    publisher.send(&video(u32::try_from(at).unwrap() * PICTURE_MS, picture(slice, at, 0, PICTURE_BYTES)));
}

/// Reads until the newest picture; how often pictures were missing, which may be before a key frame only.
fn read_on(viewer: &mut impl Viewer, mut last: u64) -> usize {
    let mut gaps = 0;
    while last + 1 < PICTURES {
        let unit = viewer.frame().expect("a slow viewer is not dropped for one gap");
        let at = number(&unit);
        assert_eq!(unit.flags.key, at.is_multiple_of(GOP));
        if at != last + 1 {
            assert!(at > last && unit.flags.key, "after {last} came {at}, in the middle of a group of pictures");
            gaps += 1;
        }
        last = at;
    }
    gaps
}

fn stops_reading<V: Viewer>(open: impl Fn(&Server) -> V) {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.send(&video(0, avc_header(640, 352)));
    send(&mut publisher, 0);
    let (mut slow, mut fast) = (open(&server), FlvViewer::open(&server, "live/show"));
    assert_eq!(number(&slow.frame().unwrap()), 0);
    assert_eq!(number(&fast.frame().unwrap()), 0);
    // The other viewer gets each picture before the next is sent: it does not wait for the slow one.
    for at in 1..PICTURES {
        send(&mut publisher, at);
        assert_eq!(number(&fast.frame().unwrap()), at);
    }
    let before = server.metric("stentor_viewer_jumps_total");
    assert!(read_on(&mut slow, 0) > 0, "more was published than any buffer holds, so something has to be missing");
    until("the jump is counted", || (server.metric("stentor_viewer_jumps_total") > before).then_some(()));
    assert!(server.metric("stentor_viewer_frames_skipped_total") > 0);
    // It is at the live edge again.
    publisher.send(&video(u32::try_from(PICTURES).unwrap() * PICTURE_MS, picture(Slice::P, PICTURES, 0, 100)));
    assert_eq!(number(&slow.frame().unwrap()), PICTURES);
    assert_eq!(number(&fast.frame().unwrap()), PICTURES);
}

#[test]
fn an_flv_viewer_who_stops_reading_goes_on_at_a_key_frame() {
    stops_reading(|server| FlvViewer::open(server, "live/show"));
}

#[test]
fn an_rtmp_viewer_who_stops_reading_goes_on_at_a_key_frame() {
    stops_reading(|server| RtmpPlayer::connect(server, "live/show"));
}

#[test]
fn an_flv_viewer_by_websocket_who_stops_reading_goes_on_at_a_key_frame() {
    stops_reading(|server| Socket::open(server, "/live/show.flv"));
}
