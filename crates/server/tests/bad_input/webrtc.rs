//! WHIP and WHEP: what is wrong with a request, and what its sender is told.

use std::io::Read as _;

use crate::rig::{Asked, PATIENCE, Server, http::Answer};

const PUBLISH: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-publish.sdp");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");
const FRAGMENT: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");
/// Other ICE credentials than the offer's: with `If-Match: *` they ask for a restart (RFC 9725 section 4.3.3).
const RESTART: &[u8] =
    b"a=ice-ufrag:Kd3x\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n";
const TRICKLE: &[u8] = b"a=ice-ufrag:O4yg\r\na=ice-pwd:6NEflkQtPC2hfWIHpngcrEjU\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
    a=mid:0\r\na=candidate:1 1 udp 2122194687 192.0.2.2 33722 typ host\r\n";

/// Publishes `live/show` and returns the session's path and entity tag.
fn open(server: &Server) -> (String, String) {
    let answer = server.http("POST", "/whip/live/show", &[SDP], PUBLISH);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/sdp"));
    assert!(answer.text().starts_with("v=0\r\n"));
    (answer.header("location").unwrap().to_owned(), answer.header("etag").unwrap().to_owned())
}

fn patch(server: &Server, session: &str, tag: &str, fragment: &[u8]) -> Answer {
    server.http("PATCH", session, &[FRAGMENT, ("If-Match", tag)], fragment)
}

#[test]
fn a_body_of_another_type_is_refused_by_name() {
    let server = Server::dev();
    for path in ["/whip/live/show", "/whep/live/show"] {
        let sentence = server.http("POST", path, &[("Content-Type", "application/json")], PUBLISH).problem(415);
        assert!(sentence.contains("application/sdp") && sentence.contains("application/json"), "{sentence}");
        server.http("POST", path, &[], PUBLISH).problem(415);
    }
    let (session, tag) = open(&server);
    let headers = [SDP, ("If-Match", tag.as_str())];
    server.http("PATCH", &session, &headers, RESTART).problem(415);
}

#[test]
fn an_offer_that_is_too_long_is_refused() {
    let server = Server::dev();
    for bytes in [64 * 1024 + 1, 1 << 20] {
        let answer = server.http("POST", "/whip/live/show", &[SDP], &vec![b'a'; bytes]);
        assert!(matches!(answer.status, 400 | 413), "{answer:?}");
        let sentence = answer.problem(answer.status);
        assert!(sentence.contains("65536 bytes"), "{sentence}");
    }
    assert_eq!(server.streams().len(), 0);
}

#[test]
fn a_request_that_is_never_finished_does_not_hold_its_connection() {
    let server = Server::dev();
    let head = "POST /whip/live/show HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\n";
    // Within the head, before the body, within the body.
    let unfinished =
        [head.to_owned(), format!("{head}Content-Length: 9\r\n\r\n"), format!("{head}Content-Length: 9\r\n\r\nv=0")];
    for mut socket in unfinished.map(|text| Asked::unfinished(server.http, &text)) {
        // The server may say why, and has to close.
        let closed = socket.read_to_end(&mut Vec::new());
        assert!(closed.is_ok(), "the server still waits after {PATIENCE:?}: {closed:?}");
    }
}

#[test]
fn an_offer_that_is_none_is_refused_in_words() {
    let server = Server::dev();
    let text = std::str::from_utf8(PUBLISH).unwrap();
    let without = |line: &str| -> Vec<u8> {
        text.lines().filter(|own| !own.starts_with(line)).flat_map(|own| [own, "\r\n"]).collect::<String>().into()
    };
    let cut = PUBLISH[..PUBLISH.len() / 8].to_vec();
    for offer in [vec![], b"hello".to_vec(), vec![0xff, 0xfe, 0], cut, without("a=fingerprint"), without("a=ice-ufrag")]
    {
        let answer = server.http("POST", "/whip/live/show", &[SDP], &offer);
        answer.problem(400);
        assert_eq!(server.streams().len(), 0, "nothing is left of {:?}", String::from_utf8_lossy(&offer));
    }
}

#[test]
fn a_session_that_is_not_there_cannot_be_changed_or_ended() {
    let server = Server::dev();
    for door in ["whip", "whep"] {
        let path = format!("/{door}/live/show/00000000000000000000000000000000");
        let sentence = server.http("DELETE", &path, &[], b"").problem(404);
        assert!(sentence.contains("session"), "{sentence}");
        patch(&server, &path, "*", RESTART).problem(404);
    }
    let (session, _) = open(&server);
    assert_eq!(server.http("DELETE", &session, &[], b"").status, 200);
    patch(&server, &session, "*", RESTART).problem(404);
}

#[test]
fn a_patch_with_an_old_tag_is_refused() {
    let server = Server::dev();
    let (session, first) = open(&server);
    assert_eq!(patch(&server, &session, &first, TRICKLE).status, 204);
    patch(&server, &session, "\"never was\"", TRICKLE).problem(412);
    let restarted = patch(&server, &session, "*", RESTART);
    assert_eq!(restarted.status, 200, "{}", restarted.text());
    let second = restarted.header("etag").unwrap();
    assert_ne!(second, first);
    assert!(restarted.text().contains("a=ice-ufrag:"));
    let sentence = patch(&server, &session, &first, TRICKLE).problem(412);
    assert!(sentence.contains("ETag"), "{sentence}");
    assert_eq!(patch(&server, &session, second, TRICKLE).status, 204);
}

#[test]
fn the_name_is_free_as_soon_as_delete_is_answered() {
    let server = Server::dev();
    let (mut session, _) = open(&server);
    for _ in 0..50 {
        let sentence = server.http("POST", "/whip/live/show", &[SDP], PUBLISH).problem(409);
        assert!(sentence.contains("already being published"), "{sentence}");
        // Both on one connection, so that nothing passes between the answer to one and the reading of the other.
        let answers = Asked::pipelined(
            server.http,
            &[("DELETE", &session, &[], b""), ("POST", "/whip/live/show", &[SDP], PUBLISH)],
        );
        let [deleted, published] = answers.as_slice() else { panic!("{answers:?}") };
        assert_eq!((deleted.status, published.status), (200, 201), "{}", published.text());
        session = published.header("location").unwrap().to_owned();
    }
}

#[test]
fn a_page_of_another_origin_may_use_every_door() {
    let server = Server::dev();
    let origin = ("Origin", "https://page.example");
    for (path, method) in [
        ("/whip/live/show", "POST"),
        ("/whep/live/show", "POST"),
        ("/whip/live/show/0", "PATCH"),
        ("/live/show.flv", "GET"),
    ] {
        let headers = [
            origin,
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", "authorization,content-type,if-match"),
        ];
        let answer = server.http("OPTIONS", path, &headers, b"");
        assert!(matches!(answer.status, 200 | 204), "{path}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        let methods = answer.header("access-control-allow-methods").unwrap_or_default();
        assert!(methods.split(',').any(|own| own.trim() == method), "{path}: {methods}");
        // A star does not stand for Authorization (Fetch, 3.2.3), by which WHIP carries its tokens.
        let allowed = answer.header("access-control-allow-headers").unwrap_or_default().to_ascii_lowercase();
        for name in ["authorization", "content-type", "if-match"] {
            assert!(allowed.split(',').any(|own| own.trim() == name), "{path}: {name} is not among '{allowed}'");
        }
    }
    let answer = server.http("POST", "/whip/live/show", &[origin, SDP], PUBLISH);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default().to_ascii_lowercase();
    assert!(exposed.contains("location") && exposed.contains("etag"), "{exposed}");
    // A refusal has to be readable too.
    let refused = server.http("GET", "/live/none.flv", &[origin], b"");
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (404, Some("*")));
}
