//! Tokens where the application wants them.

use std::time::{SystemTime, UNIX_EPOCH};

use wire::sign;

use crate::rig::{RtmpPlayer, RtmpPublisher, Server, server::OPEN};

const APP: u32 = 1_400_000_000;
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

fn closed() -> Server {
    Server::serve(&format!("[[application]]\nsdk_app_id = {APP}\nkeys = [\"{KEY}\"]\n"))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn query(token: &str) -> String {
    format!("sdkappid={APP}&userid=ann&usersig={token}")
}

#[test]
fn without_a_token_nobody_is_let_in() {
    let server = closed();
    let said = RtmpPublisher::refused(&server, "live/show");
    assert_eq!(said.code, "NetStream.Publish.Denied");
    assert!(said.description.contains("UserSig") && said.description.contains("stentor token"), "{said:?}");
    let said = RtmpPlayer::refused(&server, "live/show");
    assert_eq!(said.code, "NetStream.Play.Failed");
    assert!(said.description.contains("UserSig"), "{said:?}");
    let answer = server.get("/live/show.flv");
    answer.problem(401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    server.get("/v1/streams").problem(401);
    assert_eq!(server.streams_for(&query(&sign::mint(APP, KEY, "ann", now_s(), 60))).len(), 0);
}

#[test]
fn a_token_is_taken_wherever_an_encoder_can_put_it() {
    let server = closed();
    let query = query(&sign::mint(APP, KEY, "ann", now_s(), 60));
    let in_key = RtmpPublisher::connect(&server, &format!("live/key?{query}"));
    let in_app = RtmpPublisher::connect_as(&server, &format!("live?{query}"), "app");
    let names: Vec<_> = server.streams_for(&query).iter().map(|stream| stream["stream"].clone()).collect();
    assert_eq!(names, ["app", "key"]);
    in_key.leave();
    in_app.leave();
}

#[test]
fn a_token_that_is_no_good_is_told_why() {
    let server = closed();
    let cases = [
        (sign::mint(APP, KEY, "ann", now_s() - 100, 60), -70_001, "expired"),
        (sign::mint(APP, "another key of some length", "ann", now_s(), 60), -70_003, "key"),
        (sign::mint(APP, KEY, "bob", now_s(), 60), -70_013, "user"),
        (sign::mint(7, KEY, "ann", now_s(), 60), -70_014, "application 7"),
        ("nonsense".to_owned(), -70_003, "token"),
    ];
    for (token, code, word) in cases {
        let query = query(&token);
        let said = RtmpPublisher::refused(&server, &format!("live/show?{query}"));
        assert_eq!(said.code, "NetStream.Publish.Denied");
        assert!(said.description.contains(word), "{code}: {said:?}");
        // Over HTTP it is the same sentence, and the original's number with it.
        let answer = server.get(&format!("/live/show.flv?{query}"));
        assert_eq!(answer.problem(401), said.description);
        assert_eq!(answer.json()["code"], code);
    }
    assert_eq!(server.streams_for(&query(&sign::mint(APP, KEY, "ann", now_s(), 60))).len(), 0);
}

#[test]
fn an_open_application_lets_everybody_in_but_no_bad_token() {
    let server = Server::serve(OPEN);
    let publisher = RtmpPublisher::connect(&server, "live/show");
    assert_eq!(server.streams().len(), 1);
    publisher.leave();
    let said = RtmpPublisher::refused(&server, "live/show?usersig=nonsense");
    assert_eq!(said.code, "NetStream.Publish.Denied");
}
