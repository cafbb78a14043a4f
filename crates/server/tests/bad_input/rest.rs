//! `/v1` asked by those who may not, and for what is not there.

use crate::rig::{Clip, RtmpPublisher, Server, server::OPEN, until};

const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-publish.sdp");

/// What only operators may do.
const OPERATORS: [(&str, &str); 4] = [
    ("GET", "/v1/sessions"),
    ("GET", "/v1/sessions/0123456789abcdef0123456789abcdef"),
    ("DELETE", "/v1/sessions/0123456789abcdef0123456789abcdef"),
    ("DELETE", "/v1/streams/live/show"),
];

fn bearer(server: &Server, (method, path): (&str, &str), token: &str) -> crate::rig::http::Answer {
    server.http(method, path, &[("Authorization", &format!("Bearer {token}"))], b"")
}

#[test]
fn a_server_without_admin_tokens_says_how_to_set_one() {
    let server = Server::serve(OPEN);
    for (method, path) in OPERATORS {
        for headers in [&[][..], &[("Authorization", "Bearer "), ("Authorization", "Bearer x")]] {
            let sentence = server.http(method, path, headers, b"").problem(403);
            assert!(sentence.contains("[server] admin_tokens"), "{method} {path}: {sentence}");
        }
    }
}

#[test]
fn only_an_admin_token_is_one() {
    let server = Server::serve(&format!(
        "[[application]]\nsdk_app_id = 7\nkeys = [\"{KEY}\"]\n[server]\nadmin_tokens = [\"the-token-of-an-admin\"]\n"
    ));
    let user = wire::sign::mint(7, KEY, "administrator", 4_000_000_000, 60);
    for operation in OPERATORS {
        let answer = server.http(operation.0, operation.1, &[], b"");
        assert!(answer.problem(401).contains("admin token"), "{operation:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        for wrong in ["the-token-of-an", "the-token-of-an-admin2", KEY, &user] {
            assert!(bearer(&server, operation, wrong).problem(401).contains("none of this server's"), "{operation:?}");
        }
        // In a URL it would stand in logs of proxies.
        let path = format!("{}?admin_token=the-token-of-an-admin", operation.1);
        server.http(operation.0, &path, &[], b"").problem(401);
    }
    assert_eq!(bearer(&server, OPERATORS[0], "the-token-of-an-admin").status, 200);
    assert!(!server.log().contains("the-token-of"), "{}", server.log());
}

#[test]
fn a_session_that_is_not_there_is_told() {
    let mut server = Server::dev();
    let long = "f".repeat(5_000);
    for id in ["0123456789abcdef0123456789abcdef", "x", "%00", "..%2f..%2fetc", "%ff", &long] {
        for method in ["GET", "DELETE"] {
            let answer = server.operator(method, &format!("/v1/sessions/{id}"));
            // An id that is no text is refused before it is looked for.
            if id == "%ff" {
                assert_eq!(answer.status, 400);
            } else {
                assert!(answer.problem(404).contains("no such session"));
            }
        }
    }
    for path in ["/v1/streams/live/none", "/v1/streams/live/none?sdkappid=9"] {
        assert!(server.operator("DELETE", path).problem(404).contains("live/none"));
    }
    server.operator("DELETE", "/v1/streams/live/.hidden").problem(400);
    server.operator("DELETE", "/v1/streams/live/none?sdkappid=x").problem(400);
    server.admin_token.push('x');
    server.operator("GET", "/v1/sessions").problem(401);
}

#[test]
fn a_session_is_ended_once() {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&Clip::demo());
    let session = server.sessions("").remove(0);
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    assert_eq!(server.operator("DELETE", &path).status, 204);
    server.operator("DELETE", &path).problem(404);
    server.operator("GET", &path).problem(404);
    assert!(publisher.told().description.contains("operator"));
    assert_eq!(server.sessions("").len(), 0);
    until("the name is free", || server.streams().is_empty().then_some(()));

    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&Clip::demo());
    assert_eq!(server.operator("DELETE", "/v1/streams/live/show").status, 204);
    server.operator("DELETE", "/v1/streams/live/show").problem(404);
    assert!(publisher.told().description.contains("operator"));
    assert_eq!(server.metric("stentor_streams_ended_total{reason=\"kicked\"}"), 1);
    assert_eq!(server.metric("stentor_sessions_kicked_total{door=\"rtmp\"}"), 1);
}

#[test]
fn the_number_of_a_session_is_no_admin_token_and_no_number_of_another() {
    let server = Server::dev();
    let publish = |name: &str| {
        let answer = server.http("POST", &format!("/whip/live/{name}"), &[("Content-Type", "application/sdp")], OFFER);
        assert_eq!(answer.status, 201);
        answer.header("location").unwrap().to_owned()
    };
    let (own, foreign) = (publish("own"), publish("foreign"));
    let number = own.rsplit('/').next().unwrap();
    for operation in OPERATORS {
        bearer(&server, operation, number).problem(401);
    }
    let foreign = foreign.rsplit('/').next().unwrap();
    let path = format!("/v1/sessions/{foreign}");
    server.http("DELETE", &path, &[], b"").problem(401);
    assert_eq!(server.sessions("action=publish").len(), 2);
    assert_eq!(server.operator("DELETE", &path).status, 204);
    until("the other one's stream has ended", || (server.streams().len() == 1).then_some(()));
    assert_eq!(server.streams()[0]["stream"], "own");
    server.http("DELETE", &format!("/whip/live/foreign/{foreign}"), &[], b"").problem(404);
}

#[test]
fn parameters_that_cannot_be_are_told() {
    let server = Server::dev();
    for (query, word) in [
        ("limit=0", "expected 1 to 1000"),
        ("limit=1001", "expected 1 to 1000"),
        ("limit=18446744073709551616", "expected 1 to 1000"),
        ("limit=-1", "expected 1 to 1000"),
        ("cursor=nonsense!", "nextCursor"),
        ("cursor=_w", "nextCursor"),
        ("sdkappid=x", "should be a number"),
    ] {
        for path in ["/v1/sessions", "/v1/streams"] {
            let sentence = server.operator("GET", &format!("{path}?{query}")).problem(400);
            assert!(sentence.contains(word), "{path}?{query}: {sentence}");
        }
    }
    for (query, word) in [("action=watch", "publish, play"), ("door=rmtp", "rtmp, flv, hls, whip")] {
        let sentence = server.operator("GET", &format!("/v1/sessions?{query}")).problem(400);
        assert!(sentence.contains(word), "{query}: {sentence}");
    }
    let long = format!("/v1/sessions?cursor={}&door={0}", "A".repeat(4_000));
    assert!(server.operator("GET", &long).problem(400).len() < 200);
}
