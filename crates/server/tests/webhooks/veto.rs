//! A webhook that is asked: what it may say, and what becomes of those who say nothing.

use std::time::Duration;

use crate::{
    configuration,
    receiver::{Receiver, Reply, YES},
    rig::{Asked, Clip, FlvViewer, RtmpPlayer, RtmpPublisher, Server, Viewer as _, relay},
};

const OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-play.sdp");
const ASKED: &str = "veto = [\"publish\", \"play\"]\nevents = []\ntimeout = \"1s\"\n";

fn begin(server: &Server, name: &str) -> RtmpPublisher {
    let mut publisher = RtmpPublisher::connect(server, name);
    publisher.begin(&Clip::demo());
    publisher
}

#[test]
fn who_is_allowed_publishes_and_plays_and_the_webhook_knew_who() {
    let receiver = Receiver::always(YES);
    let server = Server::serve(&configuration(&receiver, ASKED));
    let _publisher = begin(&server, "live/show?userid=ann&ticket=7&password=hidden");
    let mut viewer = FlvViewer::open(&server, "live/show");
    viewer.frame().unwrap();
    let [publish, play] = receiver.requests().try_into().unwrap();
    assert_eq!((publish.body["EventType"].as_u64(), play.body["EventType"].as_u64()), (Some(9051), Some(9052)));
    assert_eq!(publish.path, "/hook?for=stentor");
    assert_eq!(publish.header("sdkappid"), Some("1400000000"));
    let info = &publish.body["EventInfo"];
    assert_eq!((info["AppName"].as_str(), info["StreamName"].as_str()), (Some("live"), Some("show")));
    assert_eq!((info["UserId"].as_str(), info["ClientIp"].as_str()), (Some("ann"), Some("127.0.0.1")));
    assert_eq!((info["Protocol"].as_str(), info["Role"].as_u64()), (Some("rtmp"), Some(20)));
    assert_eq!(info["Query"], "userid=ann&ticket=7&password=***");
    assert_eq!(server.metric("stentor_webhooks_total{event=\"veto-allowed\"}"), 2);
}

#[test]
fn who_is_refused_hears_the_webhooks_own_sentence_at_every_door() {
    let receiver = Receiver::always(Reply::Say(200, "{\"code\":17,\"message\":\"ask Bob for a ticket\"}"));
    let server = Server::serve(&configuration(&receiver, ASKED));
    let said = RtmpPublisher::refused(&server, "live/show");
    assert_eq!(said.description, "ask Bob for a ticket");
    assert_eq!(RtmpPlayer::refused(&server, "live/show").description, "ask Bob for a ticket");
    let sdp = [("Content-Type", "application/sdp")];
    for answer in [
        server.get("/live/show.flv"),
        server.get("/live/show.m3u8"),
        server.http("POST", "/whip/live/show", &sdp, OFFER),
        server.http("POST", "/whep/live/show", &sdp, OFFER),
    ] {
        assert_eq!(answer.problem(403), "ask Bob for a ticket");
    }
    assert_eq!(server.metric("stentor_webhooks_total{event=\"veto-refused\"}"), 6);
    assert!(server.streams().is_empty());
}

#[test]
fn srs_backends_allow_by_a_bare_zero_and_refuse_by_any_other_number() {
    let receiver = Receiver::new(|request| match request.body["stream"].as_str() {
        Some("yes") => Reply::Say(200, "0"),
        Some("object") => YES,
        _ => Reply::Say(200, "1"),
    });
    let server = Server::serve(&configuration(&receiver, "dialect = \"srs\"\nveto = [\"publish\"]\n"));
    let _yes = begin(&server, "live/yes");
    let _object = begin(&server, "live/object");
    RtmpPublisher::refused(&server, "live/no");
    let actions: Vec<_> = receiver.requests().iter().map(|request| request.body["action"].clone()).collect();
    assert_eq!(actions, ["on_publish", "on_publish", "on_publish"], "asked once, and not told once more");
}

#[test]
fn nobody_is_asked_about_what_cannot_be() {
    let receiver = Receiver::always(YES);
    let server = Server::serve(&configuration(&receiver, ASKED));
    let _publisher = begin(&server, "live/show");
    let said = RtmpPublisher::refused(&server, "live/show");
    assert!(said.description.contains("already being published"), "{said:?}");
    assert_eq!(receiver.requests().len(), 1);
}

/// What receivers should not do.
fn misbehaviours(elsewhere: &Receiver) -> Vec<(&'static str, Reply)> {
    let location = elsewhere.url();
    vec![
        ("hangs", Reply::Hang),
        ("closes", Reply::Close),
        ("redirects", Reply::Raw(format!("HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))),
        ("cut", Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"code\":0}".to_owned())),
        ("no-http", Reply::Raw("code=0\r\n\r\n".to_owned())),
        ("rubbish", Reply::Say(200, "certainly!")),
        ("empty", Reply::Say(200, "")),
        ("failed", Reply::Say(500, "{\"code\":0}")),
        ("endless", Reply::Endless),
    ]
}

fn misbehave(elsewhere: &Receiver) -> Receiver {
    let all = misbehaviours(elsewhere);
    Receiver::new(move |request| {
        let name = request.stream();
        all.iter().find(|(known, _)| *known == name).map_or(YES, |(_, reply)| reply.clone())
    })
}

#[test]
fn a_webhook_without_a_valid_answer_refuses_and_says_so() {
    let elsewhere = Receiver::always(YES);
    let receiver = misbehave(&elsewhere);
    let server = Server::serve(&configuration(&receiver, ASKED));
    let count = misbehaviours(&elsewhere).len();
    for (name, _) in misbehaviours(&elsewhere) {
        let sentence = RtmpPublisher::refused(&server, &format!("live/{name}")).description;
        assert!(sentence.contains("decided by another server"), "{name}: {sentence}");
        assert!(!sentence.contains("127.0.0.1"), "{name}: {sentence}");
        server.get(&format!("/live/{name}.flv")).problem(503);
    }
    assert!(elsewhere.requests().is_empty(), "a redirect was followed");
    assert!(receiver.sent() < 32 << 20, "{} bytes of an endless answer were taken", receiver.sent());
    assert_eq!(server.metric("stentor_webhooks_total{event=\"veto-failed-closed\"}"), 2 * count as u64);
    let _fine = begin(&server, "live/fine");
}

#[test]
fn a_webhook_that_fails_open_lets_them_in_but_a_no_stays_a_no() {
    let elsewhere = Receiver::always(YES);
    let receiver = misbehave(&elsewhere);
    let server = Server::serve(&configuration(&receiver, &format!("{ASKED}fail = \"open\"\n")));
    for (name, _) in misbehaviours(&elsewhere) {
        let _publisher = begin(&server, &format!("live/{name}"));
    }
    receiver.reply_by(|_| Reply::Say(403, ""));
    let said = RtmpPublisher::refused(&server, "live/other");
    assert!(said.description.contains("does not allow it"), "{said:?}");
}

#[test]
fn a_receiver_that_is_not_there_refuses() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let open = crate::rig::server::OPEN;
    let server = Server::serve(&format!("{open}[[webhook]]\nurl = \"http://{gone}/\"\nveto = [\"publish\"]\n"));
    let said = RtmpPublisher::refused(&server, "live/show");
    assert!(said.description.contains("decided by another server"), "{said:?}");
    server.said("cannot be reached");
}

const MANY: usize = 1_000;

/// Asks to publish so many times at once; meanwhile a stream plays on.
fn many(server: &Server, mut meanwhile: impl FnMut()) -> Vec<Asked> {
    let sdp = [("Content-Type", "application/sdp")];
    let ask = |at: usize| {
        if at.is_multiple_of(20) {
            meanwhile();
        }
        Asked::new(server.http, "POST", &format!("/whip/live/other{at}"), &sdp, OFFER)
    };
    (0..MANY).map(ask).collect()
}

#[test]
fn a_thousand_who_want_to_publish_while_the_webhook_hangs_disturb_nobody() {
    let receiver = Receiver::always(YES);
    let server = Server::serve(&configuration(&receiver, "veto = [\"publish\"]\nevents = []\ntimeout = \"2s\"\n"));
    let clip = Clip::demo();
    let mut publisher = begin(&server, "live/show");
    let mut viewer = FlvViewer::open(&server, "live/show");
    viewer.frame().unwrap();
    receiver.reply_by(|_| Reply::Hang);
    let mut frames = clip.frames[1..].iter();
    let asked = many(&server, || drop(relay(&mut publisher, &mut viewer, frames.next().unwrap())));
    for one in asked {
        one.answer().problem(503);
    }
    assert_eq!(server.metric("stentor_webhooks_total{event=\"veto-failed-closed\"}"), MANY as u64);
    relay(&mut publisher, &mut viewer, frames.next().unwrap());
    receiver.reply_by(|_| YES);
    let _again = begin(&server, "live/again");
}

#[test]
fn a_webhook_is_asked_sixty_four_times_at_once_and_no_more() {
    let receiver = Receiver::always(Reply::Hang);
    let server = Server::serve(&configuration(&receiver, "veto = [\"publish\"]\nevents = []\ntimeout = \"30s\"\n"));
    let asked = many(&server, || {});
    receiver.await_requests(64);
    // Whoever is asked about now comes behind all of them.
    assert!(asked.iter().step_by(100).all(|one| one.is_kept_waiting(Duration::from_millis(1))));
    assert_eq!((receiver.requests().len(), receiver.peak()), (64, 64));
    receiver.reply_by(|_| Reply::Say(200, "{\"code\":1}"));
    receiver.release();
    let refused = asked.into_iter().map(|one| one.answer().status).filter(|status| *status == 403).count();
    assert_eq!(refused, MANY - 64, "the others had their turn");
}
