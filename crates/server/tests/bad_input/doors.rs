//! artc, trtc, SRS's `/rtc/v1` and FLV over WebSocket: what is wrong with a request, and what its sender is told.

use serde_json::{Value, json};

use crate::rig::{
    Clip, FlvViewer, RtmpPublisher, Server, Socket, Viewer as _, http::Answer, relay, server::OPEN, until,
};

const PUBLISH: &str = include_str!("../../../rtc/tests/data/chromium-publish.sdp");
const PLAY: &str = include_str!("../../../rtc/tests/data/chromium-play.sdp");
/// What browsers send without asking first.
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");

fn offer(sdp: &str) -> Value {
    json!({ "type": "offer", "sdp": sdp })
}

fn play_of(url: &str) -> Value {
    json!({ "version": 2, "pull_streams": [{ "url": url, "amsid": ["a"], "vmsid": ["v"] }], "jsep": offer(PLAY) })
}

fn post(server: &Server, path: &str, body: &str) -> Answer {
    server.http("POST", path, &[FORM, ("Origin", "https://page.example")], body.as_bytes())
}

/// The sentence of artc's refusal: a status, and JSON that repeats it.
fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "a page has to be able to read it");
    let said = answer.json();
    assert_eq!(said["code"], status);
    assert!(said["trace_id"].as_str().is_some_and(|id| id.len() == 16), "{said}");
    let sentence = said["message"].as_str().unwrap_or_default().to_owned();
    assert!(sentence.split(' ').count() >= 5, "no sentence: {said}");
    sentence
}

/// The sentence of SRS's refusal: status 200 and a code that is not 0.
fn srs_refused(answer: &Answer, code: u16) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["code"], code, "{}", answer.text());
    answer.json()["message"].as_str().unwrap().to_owned()
}

/// A live `live/show`, and a viewer of it who has seen the first picture.
fn on_air(server: &Server, clip: &Clip) -> (RtmpPublisher, FlvViewer) {
    let mut publisher = RtmpPublisher::connect(server, "live/show");
    publisher.begin(clip);
    let mut viewer = FlvViewer::open(server, "live/show");
    assert!(viewer.frame().unwrap().flags.key);
    (publisher, viewer)
}

#[test]
fn artc_says_what_is_wrong_with_a_body_and_disturbs_nobody() {
    let server = Server::dev();
    let clip = Clip::demo();
    let (mut publisher, mut viewer) = on_air(&server, &clip);
    let with = |key: &str, value: Value| {
        let mut body = play_of("artc://h/live/show");
        body[key] = value;
        body.to_string()
    };
    let deep = format!("{}{}", "{\"version\":", "[".repeat(10_000));
    let no_media = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    let vp9 = PUBLISH
        .replace("H264/90000", "H266/90000")
        .replace("VP8/90000", "H266/90000")
        .replace("VP9/90000", "H266/90000");
    let vp9 = vp9.replace("AV1/90000", "H266/90000").replace("H265/90000", "H266/90000");
    let push = |sdp: &str| json!({ "version": 2, "push_stream": "artc://h/live/show", "jsep": offer(sdp) }).to_string();
    let two = json!([{ "url": "artc://h/live/show" }, { "url": "artc://h/live/other" }]);
    let cases = [
        (String::new(), 400, "JSON"),
        ("sdp".into(), 400, "JSON"),
        ("[]".into(), 400, "JSON"),
        (deep, 400, "recursion limit"),
        (with("version", json!(1)), 400, "version is 1"),
        (with("version", Value::Null), 400, "version 2"),
        (with("jsep", Value::Null), 400, "jsep is missing"),
        (with("jsep", json!({ "type": "answer", "sdp": PLAY })), 400, "'answer'"),
        (with("jsep", json!({ "type": "offer" })), 400, "jsep.sdp"),
        (with("jsep", json!({ "type": "offer", "sdp": 7 })), 400, "expected a string"),
        (with("jsep", offer("hello")), 400, "v=0"),
        (with("jsep", offer(no_media)), 400, "no m=audio and no m=video"),
        (with("jsep", offer(PUBLISH)), 406, "recvonly"),
        (push(PUBLISH), 409, "already being published"),
        (with("pull_streams", json!([])), 400, "pull_streams"),
        (with("pull_streams", two), 400, "2 streams"),
        (with("push_stream", json!("artc://h/live/show")), 400, "both there"),
        (play_of("artc://h/live/other").to_string(), 400, "live/other"),
        (play_of("rtmp://h/live/show").to_string(), 400, "artc://host/app/stream"),
        ("x".repeat(96 * 1024 + 1), 400, "98304 bytes"),
        ("x".repeat(1 << 20), 400, "98304 bytes"),
    ];
    for (at, (body, status, word)) in cases.iter().enumerate() {
        let sentence = refused(&post(&server, "/live/show", body), *status);
        assert!(sentence.contains(word), "{at}: {sentence}");
        relay(&mut publisher, &mut viewer, &clip.frames[1 + at]);
    }
    // Who wants a name that is taken is told so first, so this is said of another.
    let unheard = push(&vp9).replace("live/show", "live/unheard");
    let sentence = refused(&post(&server, "/live/unheard", &unheard), 406);
    assert!(sentence.contains("H266"), "{sentence}");
    let sentence = refused(&post(&server, "/live/none", &play_of("artc://h/live/none").to_string()), 404);
    assert!(sentence.contains("live/none"), "{sentence}");
    assert_eq!(server.streams().len(), 1);
    assert!(server.metric("stentor_refused_total") >= cases.len() as u64);
}

#[test]
fn artc_answers_whatever_the_content_type_says() {
    let server = Server::dev();
    for (at, kind) in ["application/json", "text/plain", "application/x-www-form-urlencoded"].iter().enumerate() {
        let body = json!({ "version": 2, "push_stream": format!("artc://h/live/s{at}"), "jsep": offer(PUBLISH) });
        let path = format!("/live/s{at}");
        let answer = server.http("POST", &path, &[("Content-Type", kind)], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let said = answer.json();
        assert_eq!((&said["code"], &said["jsep"]["type"]), (&json!(200), &json!("answer")));
        assert!(said["jsep"]["sdp"].as_str().unwrap().contains("a=candidate:"), "there is no trickle: {said}");
    }
    assert_eq!(server.streams().len(), 3);
    // No other path of two segments is one of artc's.
    for path in ["/rtc/show", "/demo/show", "/WHIP/show"] {
        assert_eq!(post(&server, path, "{}").status, 405, "{path}");
    }
}

#[test]
fn credentials_count_in_the_query_of_the_request_and_of_the_url_in_its_body() {
    let server = Server::serve("[[application]]\nsdk_app_id = 7\nkeys = [\"00000000000000000000000000000000\"]\n");
    let sig = wire::sign::mint(7, "00000000000000000000000000000000", "ann", now_s(), 60);
    let query = format!("sdkappid=7&userId=ann&usersig={sig}");
    let wrong = format!("sdkappid=7&userid=bob&usersig={sig}");
    let artc = |path: &str, url: &str| post(&server, path, &play_of(url).to_string());
    let srs = |path: &str, url: &str| post(&server, path, &json!({ "sdp": PLAY, "streamurl": url }).to_string());
    // Whoever may is told that nothing is live.
    refused(&artc(&format!("/live/x?{query}"), "artc://h/live/x"), 404);
    refused(&artc("/live/x", &format!("artc://h/live/x?{query}")), 404);
    srs_refused(&srs("/rtc/v1/play/", &format!("webrtc://h/live/x?{query}")), 404);
    srs_refused(&srs(&format!("/rtc/v1/play/?{query}"), "webrtc://h/live/x"), 404);
    server.http("POST", &format!("/v1/play/x?{query}"), &[SDP], PLAY.as_bytes()).problem(404);
    server.http("POST", &format!("/rtc/v1/whep/?app=live&stream=x&{query}"), &[SDP], PLAY.as_bytes()).problem(404);
    refused(&artc("/live/x", "artc://h/live/x"), 401);
    refused(&artc(&format!("/live/x?{wrong}"), &format!("artc://h/live/x?{query}")), 401);
    srs_refused(&srs("/rtc/v1/play/", "webrtc://h/live/x"), 401);
    server.http("POST", &format!("/v1/push/x?{wrong}"), &[SDP], PUBLISH.as_bytes()).problem(401);
    assert!(refused(&artc("/live/x?sdkappid=9", "artc://h/live/x"), 403).contains("application 9"));
}

#[test]
fn trtc_is_whip_under_its_own_paths() {
    let server = Server::dev();
    let push = || server.http("POST", "/v1/push/show", &[SDP], PUBLISH.as_bytes());
    let answer = push();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let session = answer.header("location").unwrap();
    assert!(session.starts_with("/v1/push/show/"), "{session}");
    assert_eq!(server.streams()[0]["app"], "live");
    assert_eq!(server.streams()[0]["publisher"]["protocol"], "trtc");
    push().problem(409);
    let trickle =
        b"a=ice-ufrag:O4yg\r\na=ice-pwd:6NEflkQtPC2hfWIHpngcrEjU\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n";
    let fragment = ("Content-Type", "application/trickle-ice-sdpfrag");
    assert_eq!(server.http("PATCH", session, &[fragment], trickle).status, 204);
    assert_eq!(server.http("DELETE", session, &[], b"").status, 200);
    assert_eq!(server.streams().len(), 0);
    server.http("DELETE", session, &[], b"").problem(404);
    server.http("POST", "/v1/push/show", &[FORM], PUBLISH.as_bytes()).problem(415);
    server.http("POST", "/v1/push/.hidden", &[SDP], PUBLISH.as_bytes()).problem(400);
}

#[test]
fn srs_says_what_is_wrong_in_its_own_way() {
    let server = Server::dev();
    let ask = |path: &str, body: Value| post(&server, path, &body.to_string());
    for path in ["/rtc/v1/publish/", "/rtc/v1/publish", "/rtc/v1/play/", "/rtc/v1/play"] {
        for (body, word) in [
            (json!([]), "streamurl"),
            (json!({ "streamurl": "webrtc://h/live/show" }), "sdp is missing"),
            (json!({ "sdp": PUBLISH }), "streamurl is missing"),
            (json!({ "sdp": PUBLISH, "streamurl": "show" }), "webrtc://host/app/stream"),
            (json!({ "sdp": PUBLISH, "streamurl": "webrtc://h/a/b/c" }), "webrtc://host/app/stream"),
            (json!({ "sdp": PUBLISH, "streamurl": "webrtc://h/v1/show" }), "'v1'"),
        ] {
            let sentence = srs_refused(&ask(path, body), 400);
            assert!(sentence.contains(word), "{path}: {sentence}");
        }
    }
    let body = json!({ "sdp": PUBLISH, "streamurl": "webrtc://h/live/show", "api": "x", "clientip": null, "tid": "0" });
    let said = ask("/rtc/v1/publish/", body.clone()).json();
    assert_eq!(said["code"], 0);
    assert!(said["sdp"].as_str().unwrap().starts_with("v=0"));
    assert!(["server", "service", "pid", "sessionid"].iter().all(|key| said[*key].is_string()), "{said}");
    assert!(srs_refused(&ask("/rtc/v1/publish/", body), 409).contains("already being published"));
    // Its WHIP names the stream in the query.
    let answer = server.http("POST", "/rtc/v1/whip/?app=live&stream=other", &[SDP], PUBLISH.as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
    let session = answer.header("location").unwrap();
    assert_eq!(server.http("DELETE", session, &[], b"").status, 200);
    assert!(
        server.http("POST", "/rtc/v1/whip/", &[SDP], PUBLISH.as_bytes()).problem(400).contains("stream name is empty")
    );
}

#[test]
fn whoever_never_connects_is_let_go() {
    let server =
        Server::serve(&format!("{OPEN}[media]\nconnect_timeout = \"1s\"\n[live]\npublish_timeout = \"10m\"\n"));
    let clip = Clip::demo();
    let (mut publisher, mut viewer) = on_air(&server, &clip);
    assert_eq!(post(&server, "/live/show", &play_of("artc://h/live/show").to_string()).status, 200);
    assert_eq!(server.http("POST", "/v1/play/show", &[SDP], PLAY.as_bytes()).status, 201);
    assert_eq!(server.http("POST", "/v1/push/other", &[SDP], PUBLISH.as_bytes()).status, 201);
    assert_eq!(server.metric("stentor_viewers{door=\"webrtc\"}"), 2);
    until("all three are gone", || {
        let left = server.metric("stentor_viewers{door=\"webrtc\"}") + server.metric("stentor_streams ");
        (left == 1 && server.metric("stentor_media_legs{") == 0).then_some(())
    });
    assert_eq!(server.metric("stentor_webrtc_ended_total{action=\"play\",reason=\"connection-over\"}"), 2);
    relay(&mut publisher, &mut viewer, &clip.frames[1]);
}

#[test]
fn flv_over_websocket_has_the_bytes_of_flv_over_http_and_says_why_it_ends() {
    let server = Server::dev();
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&clip);
    let socket = Socket::open(&server, "/live/show.flv");
    let (_, mut plain) = FlvViewer::ask(&server, "live/show").head();
    for tag in &clip.frames[1..60] {
        publisher.send(tag);
    }
    publisher.leave();
    let mut wanted = Vec::new();
    while let Some(piece) = plain.piece() {
        wanted.extend(piece);
    }
    let (media, code, reason) = socket.media_and_close();
    assert!(media == wanted, "{} bytes by WebSocket, {} by HTTP", media.len(), wanted.len());
    assert_eq!(code, 1000);
    assert!(reason.contains("publisher"), "{reason}");
    assert_eq!(server.metric("stentor_flv_sockets_closed_total{reason=\"stream-over\"}"), 1);
}

#[test]
fn a_websocket_that_is_none_or_talks_is_refused() {
    let server = Server::dev();
    let clip = Clip::demo();
    let (mut publisher, mut viewer) = on_air(&server, &clip);
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let sentence = server.http("GET", "/live/show.flv", &upgrade, b"").problem(400);
    assert!(sentence.contains("WebSocket"), "{sentence}");
    let (_, head) = Socket::ask(&server, "/live/none.flv");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    // A message of more than a viewer may send, and many small ones: masked pings.
    let mut long = vec![0x82, 0xfe, 0x20, 0, 0, 0, 0, 0];
    long.resize(8 + 0x2000, 0);
    for (what, kind) in [(long, "left"), ([0x89, 0x80, 0, 0, 0, 0].repeat(1_000), "talkative")] {
        let mut socket = Socket::open(&server, "/live/show.flv");
        socket.send(&what);
        let series = format!("stentor_flv_sockets_closed_total{{reason=\"{kind}\"}}");
        until("it is closed", || (server.metric(&series) == 1).then_some(()));
    }
    until("nobody is left but the other viewer", || {
        (server.metric("stentor_viewers{door=\"flv\"}") == 1).then_some(())
    });
    for tag in &clip.frames[1..10] {
        relay(&mut publisher, &mut viewer, tag);
    }
}

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
