//! What receivers get in each dialect.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use crate::{
    configuration,
    receiver::{Receiver, Reply, Request, YES},
    rig::{Clip, FlvViewer, RtmpPublisher, Server, Viewer as _},
};

const ALL: &str =
    "key = \"123654\"\nevents = [\"stream-started\", \"stream-ended\", \"viewer-began\", \"viewer-ended\"]\n";

/// A stream with one viewer, from its beginning to its end: the four notices.
fn a_show(receiver: &Receiver, rest: &str, count: usize) -> Vec<Request> {
    let server = Server::serve(&configuration(receiver, rest));
    let mut publisher = RtmpPublisher::connect(&server, "live/show?userid=ann&a=1");
    publisher.begin(&Clip::demo());
    let mut viewer = FlvViewer::open(&server, "live/show");
    viewer.frame().unwrap();
    publisher.leave();
    viewer.rest();
    receiver.await_requests(count)
}

fn sign(key: &str, body: &[u8]) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    hmac.update(body);
    STANDARD.encode(hmac.finalize().into_bytes())
}

#[test]
fn the_own_dialect_has_the_originals_envelope_and_signature() {
    let receiver = Receiver::always(YES);
    let requests = a_show(&receiver, ALL, 4);
    let types: Vec<_> = requests.iter().map(|request| request.body["EventType"].as_u64().unwrap()).collect();
    assert_eq!(types[..2], [9001, 9003]);
    assert!(types[2..] == [9002, 9004] || types[2..] == [9004, 9002], "{types:?}");
    for request in &requests {
        assert_eq!(request.header("sign"), Some(sign("123654", &request.raw).as_str()));
        assert_eq!(request.header("sdkappid"), Some("1400000000"));
        assert_eq!(request.body["EventGroupId"], 90);
        assert_eq!(request.body["EventId"].as_str(), request.header("stentor-event-id"));
        let info = &request.body["EventInfo"];
        assert_eq!(info["EventMsTs"], request.body["CallbackTs"]);
        assert_eq!(info["StreamName"], "show");
    }
    let ended = requests.iter().find(|request| request.body["EventType"] == 9002).unwrap();
    let info = &ended.body["EventInfo"];
    assert_eq!((info["Reason"].as_u64(), info["ReasonName"].as_str()), (Some(1), Some("publisher-left")));
    assert!(info["Bytes"].as_u64().unwrap() > 1_000 && info["DurationMs"].as_u64().is_some(), "{info}");
    assert_eq!(info["SessionId"], requests[0].body["EventInfo"]["SessionId"]);
    let viewer = requests.iter().find(|request| request.body["EventType"] == 9004).unwrap();
    assert_eq!(viewer.body["EventInfo"]["Role"], 21);
    assert_eq!(viewer.body["EventInfo"]["Protocol"], "flv");
}

#[test]
fn srs_hooks_have_srs_bodies() {
    let receiver = Receiver::always(Reply::Say(200, "0"));
    let requests = a_show(&receiver, &format!("{ALL}dialect = \"srs\"\n"), 4);
    let by = |action: &str| requests.iter().find(|request| request.body["action"] == action).unwrap().body.clone();
    for action in ["on_publish", "on_unpublish", "on_play", "on_stop"] {
        let body = by(action);
        for field in
            ["server_id", "service_id", "client_id", "ip", "vhost", "app", "stream", "param", "stream_url", "stream_id"]
        {
            assert!(body[field].is_string(), "{action} has no {field}: {body}");
        }
        assert_eq!((body["app"].as_str(), body["stream"].as_str()), (Some("live"), Some("show")));
        assert_eq!(body["stream_url"], "/live/show");
    }
    assert_eq!(by("on_publish")["tcUrl"], "rtmp://127.0.0.1/live?userid=ann&a=1");
    assert_eq!(by("on_publish")["param"], "?userid=ann&a=1");
    assert_eq!(by("on_publish")["client_id"], by("on_unpublish")["client_id"]);
    assert_eq!(by("on_play")["client_id"], by("on_stop")["client_id"]);
    assert_eq!(by("on_play")["pageUrl"], "");
}

#[test]
fn srs_backends_that_let_somebody_in_are_told_when_nothing_came_of_it() {
    let receiver = Receiver::always(Reply::Say(200, "0"));
    let server = Server::serve(&configuration(&receiver, &format!("{ALL}dialect = \"srs\"\nveto = [\"play\"]\n")));
    server.get("/live/none.flv").problem(404);
    let requests = receiver.await_requests(2);
    assert_eq!((&requests[0].body["action"], &requests[1].body["action"]), (&"on_play".into(), &"on_stop".into()));
    assert_eq!(requests[0].body["client_id"], requests[1].body["client_id"]);
}

#[test]
fn tencents_live_callbacks_carry_the_signature_in_the_body() {
    let receiver = Receiver::always(YES);
    let requests = a_show(&receiver, "key = \"123654\"\ndialect = \"tencent-css\"\n", 2);
    for request in &requests {
        let t = request.body["t"].as_u64().unwrap();
        let expected: String = Md5::digest(format!("123654{t}")).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(request.body["sign"], expected.as_str());
        assert!(t >= request.body["event_time"].as_u64().unwrap() + 600);
        assert_eq!((request.body["appname"].as_str(), request.stream()), (Some("live"), "show".to_owned()));
        assert_eq!(
            (&request.body["appid"], &request.body["stream_param"]),
            (&1_400_000_000.into(), &"userid=ann&a=1".into())
        );
    }
    let [started, ended] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((started.body["event_type"].as_u64(), started.body["errcode"].as_u64()), (Some(1), Some(0)));
    assert_eq!((ended.body["event_type"].as_u64(), ended.body["errcode"].as_u64()), (Some(0), Some(1)));
    assert!(ended.body["push_duration"].as_str().unwrap().parse::<u64>().is_ok());
    assert_eq!(started.body["sequence"], ended.body["sequence"]);
}

#[test]
fn a_webhook_of_another_application_hears_nothing() {
    let receiver = Receiver::always(YES);
    let other = "application = 7\n[[application]]\nsdk_app_id = 7\nopen = true\n";
    let server = Server::serve(&configuration(&receiver, other));
    RtmpPublisher::connect(&server, "live/show").leave();
    RtmpPublisher::connect(&server, "live/show?sdkappid=7").leave();
    let requests = receiver.await_requests(2);
    assert!(requests.iter().all(|request| request.header("sdkappid") == Some("7")), "{requests:?}");
}
