//! Every answer of `/v1` is as `/v1/openapi.json` describes it.

use std::{cell::RefCell, collections::BTreeSet};

use serde_json::{Value, json};

use crate::rig::{Clip, FlvViewer, RtmpPlayer, RtmpPublisher, Server, Viewer as _, until};

const OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-publish.sdp");

/// A whole clip, so that HLS has segments.
pub fn send_all(publisher: &mut RtmpPublisher) {
    let clip = Clip::demo();
    publisher.begin(&clip);
    clip.frames[1..].iter().for_each(|tag| publisher.send(tag));
}

/// A server and its description; every answer is held against that.
struct Described {
    server: Server,
    description: Value,
    seen: RefCell<BTreeSet<String>>,
}

impl Described {
    fn new() -> Self {
        let server = Server::dev();
        let mut description = server.get("/v1/openapi.json").json();
        // What is not described may not be sent.
        for schema in description["components"]["schemas"].as_object_mut().unwrap().values_mut() {
            if schema.get("properties").is_some() {
                schema["additionalProperties"] = false.into();
            }
        }
        Self { server, description, seen: RefCell::default() }
    }

    /// Asks, and holds the answer against the operation of that path.
    fn ask(&self, method: &str, path: &str, described: &str, token: bool) -> Value {
        let answer = if token { self.server.operator(method, path) } else { self.server.http(method, path, &[], b"") };
        let operation = &self.description["paths"][described][method.to_lowercase()];
        let response = &operation["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{method} {described} may not answer {}: {answer:?}", answer.status);
        self.seen.borrow_mut().insert(format!("{method} {described} {}", answer.status));
        let Some(content) = response["content"].as_object() else {
            assert!(answer.body.is_empty(), "{answer:?}");
            return Value::Null;
        };
        let schema = &content[answer.header("content-type").unwrap()]["schema"];
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.description["components"],
        });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let body = answer.json();
        let faults: Vec<String> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{method} {path}: {faults:?} in {body}");
        body
    }

    fn sessions(&self, query: &str) -> Vec<Value> {
        let page = self.ask("GET", &format!("/v1/sessions?{query}"), "/v1/sessions", true);
        page["sessions"].as_array().unwrap().clone()
    }

    fn end(&self, session: &Value) {
        let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
        self.ask("DELETE", &path, "/v1/sessions/{id}", true);
    }
}

#[test]
fn every_answer_is_as_described() {
    let all = Described::new();
    let mut publisher = RtmpPublisher::connect(&all.server, "live/show");
    send_all(&mut publisher);
    let (mut flv, mut rtmp) =
        (FlvViewer::open(&all.server, "live/show"), RtmpPlayer::connect(&all.server, "live/show"));
    assert!(flv.frame().is_some() && rtmp.frame().is_some());
    assert_eq!(all.server.get("/live/show.m3u8").status, 200);
    let whip = all.server.http("POST", "/whip/live/mic", &[("Content-Type", "application/sdp")], OFFER);
    assert_eq!(whip.status, 201);

    assert_eq!(all.ask("GET", "/v1/server", "/v1/server", false)["mode"], "dev");
    let streams = all.ask("GET", "/v1/streams", "/v1/streams", false);
    assert_eq!(streams["streams"].as_array().unwrap().len(), 2);
    assert_eq!(streams, all.ask("GET", "/v1/streams", "/v1/streams", true), "an operator sees all of them");

    for admin in [false, true] {
        let one = all.ask("GET", "/v1/streams/live/show", "/v1/streams/{app}/{stream}", admin);
        assert_eq!((&one["stream"], &one["health"]["video"]["codec"]), (&"show".into(), &"H264".into()));
    }

    assert_eq!(all.sessions("").len(), 5);
    assert_eq!(all.sessions("app=live&stream=show&action=play").len(), 3);
    assert_eq!(
        all.sessions("stream=none").len() + all.sessions("app=none").len() + all.sessions("sdkappid=9").len(),
        0
    );
    let of = |door: &str, action: &str| all.sessions(&format!("door={door}&action={action}")).remove(0);
    let (publishes, watches) = (of("rtmp", "publish"), of("flv", "play"));
    assert!(publishes["bytes"].as_u64().unwrap() > 1_000 && watches["bytes"].as_u64().unwrap() > 1_000);
    assert!(publishes["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    until("the media thread has said what the leg moved", || {
        of("whip", "publish")["connection"].is_object().then_some(())
    });
    let path = format!("/v1/sessions/{}", watches["id"].as_str().unwrap());
    assert_eq!(all.ask("GET", &path, "/v1/sessions/{id}", true)["id"], watches["id"]);

    for door in ["flv", "rtmp", "hls"] {
        all.end(&of(door, "play"));
    }
    // What was on its way comes, and then the end.
    flv.rest();
    rtmp.rest();
    all.end(&of("whip", "publish"));
    all.ask("DELETE", "/v1/streams/live/show", "/v1/streams/{app}/{stream}", true);
    assert!(publisher.told().description.contains("operator"));

    for (method, path, described) in [
        ("GET", "/v1/sessions", "/v1/sessions"),
        ("GET", "/v1/sessions/x", "/v1/sessions/{id}"),
        ("DELETE", "/v1/sessions/x", "/v1/sessions/{id}"),
        ("DELETE", "/v1/streams/live/show", "/v1/streams/{app}/{stream}"),
    ] {
        all.ask(method, path, described, false);
        if path != described {
            all.ask(method, path, described, true);
        }
    }
    all.ask("GET", "/v1/streams/live/none", "/v1/streams/{app}/{stream}", false);
    all.ask("GET", "/v1/sessions?limit=0", "/v1/sessions", true);
    all.ask("GET", "/v1/streams?limit=0", "/v1/streams", false);
    all.ask("GET", "/v1/streams?usersig=x", "/v1/streams", false);
    all.ask("GET", "/v1/streams?sdkappid=9", "/v1/streams", false);
    all.everything_was_seen();
}

impl Described {
    /// Every operation was seen to do what it is for.
    fn everything_was_seen(&self) {
        let seen = self.seen.borrow();
        for (path, item) in self.description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for status in operation["responses"].as_object().unwrap().keys().filter(|one| one.starts_with('2')) {
                    let name = format!("{} {path} {status}", method.to_uppercase());
                    assert!(seen.contains(&name), "{name} was not tried; seen: {seen:?}");
                }
            }
        }
    }
}

#[test]
fn pages_hold_everything_once() {
    let all = Described::new();
    let names = ["a", "b", "c", "d", "e"];
    let publishers: Vec<_> =
        names.iter().map(|name| RtmpPublisher::connect(&all.server, &format!("live/{name}"))).collect();
    for (path, list) in [("/v1/sessions", "sessions"), ("/v1/streams", "streams")] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = all.ask("GET", &format!("{path}?limit=2&cursor={cursor}"), path, true);
            let entries = page[list].as_array().unwrap();
            assert!((1..=2).contains(&entries.len()));
            found.extend(entries.iter().map(|entry| entry["stream"].as_str().unwrap().to_owned()));
            match page["nextCursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(found, names, "{path}");
    }
    assert_eq!(publishers.len(), names.len());
    drop(publishers);
}
