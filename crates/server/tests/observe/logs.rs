//! The log: what a line says, and what none ever says.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use wire::sign;

use crate::rest::send_all;
use crate::rig::{Clip, FlvViewer, RtmpPublisher, Server, Viewer as _, until};

const APP: u32 = 1_400_000_000;
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const ADMIN: &str = "7d1d2f4c7e0c4d1fb1f7d5b1a0e6a5c3";
const OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-publish.sdp");

fn server(level: &str, format: &str) -> Server {
    let mut server = Server::serve(&format!(
        "[[application]]\nsdk_app_id = {APP}\nkeys = [\"{KEY}\"]\n\
         [server]\nlog = \"{level}\"\nlog_format = \"{format}\"\nadmin_tokens = [\"{ADMIN}\"]\n"
    ));
    ADMIN.clone_into(&mut server.admin_token);
    server
}

fn token() -> String {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    sign::mint(APP, KEY, "ann", now_s, 600)
}

/// Does everything that carries a secret, rightly and wrongly; gives the secrets.
fn everything_secret(server: &Server) -> Vec<String> {
    let token = token();
    let wrong = sign::mint(APP, "some other key of a stranger", "ann", 1_000, 60);
    let query = format!("sdkappid={APP}&userid=ann&usersig={token}");
    let mut publisher = RtmpPublisher::connect(server, &format!("live/show?{query}"));
    send_all(&mut publisher);
    let _ = RtmpPublisher::refused(server, &format!("live/other?sdkappid={APP}&userid=ann&usersig={wrong}"));
    let mut viewer = FlvViewer::open_with(server, "live/show", &query);
    assert!(viewer.frame().is_some());
    assert_eq!(server.get(&format!("/live/show.m3u8?{query}")).status, 200);
    server.get(&format!("/live/show.flv?usersig={wrong}")).problem(401);
    server.get(&format!("/v1/nothing?usersig={token}")).problem(404);
    let bearer = format!("Bearer {token}");
    let headers = [("Content-Type", "application/sdp"), ("Authorization", bearer.as_str())];
    let whip = server.http("POST", "/whip/live/mic", &headers, OFFER);
    assert_eq!(whip.status, 201);
    let mut secrets: Vec<String> =
        server.sessions("").iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(secrets.len(), 4);
    // The oldest is the publisher, and its viewers end with it.
    for id in &secrets {
        let status = server.operator("DELETE", &format!("/v1/sessions/{id}")).status;
        assert!(status == 204 || (status == 404 && *id != secrets[0]), "{status}");
    }
    publisher.told();
    server.http("GET", "/v1/sessions", &[("Authorization", "Bearer a guess of a stranger")], b"").problem(401);
    secrets.extend([token, wrong, KEY.to_owned(), ADMIN.to_owned(), "a guess of a stranger".to_owned()]);
    secrets
}

#[test]
fn no_secret_is_logged_at_any_level() {
    for format in ["text", "json"] {
        let server = server("trace", format);
        let secrets = everything_secret(&server);
        until("the log has what happened", || server.log().contains("an operator ended").then_some(()));
        let log = server.log();
        for secret in secrets {
            assert!(
                !log.contains(&secret),
                "{secret} stands in the log: {}",
                log.lines().find(|line| line.contains(&secret)).unwrap()
            );
        }
    }
}

#[test]
fn a_line_of_json_names_who_it_is_about() {
    let server = server("info", "json");
    let query = format!("sdkappid={APP}&userid=ann&usersig={}", token());
    let mut publisher = RtmpPublisher::connect(&server, &format!("live/show?{query}"));
    publisher.begin(&Clip::demo());
    let id = server.sessions("").remove(0)["id"].as_str().unwrap().to_owned();
    publisher.leave();
    let ends = |line: &Value| line["message"] == "stream ends";
    let lines = until("the end of the stream is logged", || {
        let log = server.log();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert!(log.lines().count() - lines.len() <= 1, "not JSON: {log}");
        lines.iter().any(ends).then_some(lines)
    });
    let span = &lines.iter().find(|line| ends(line)).unwrap()["span"];
    assert_eq!(span["name"], "publish");
    assert_eq!((span["door"].as_str(), span["user"].as_str()), (Some("rtmp"), Some("ann")));
    assert!(span["stream"].as_str().unwrap().ends_with("live/show"), "{span}");
    assert!(span["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(span["session"], id[..8]);
    // The media of a whole clip went through, and nothing was said of single frames.
    assert!(lines.len() < 12, "{lines:?}");
}
