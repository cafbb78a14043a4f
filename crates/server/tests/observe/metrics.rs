//! `/metrics` of a server at work, read by a parser that is not ours.

use prometheus_parse::{Scrape, Value};

use crate::rig::{Clip, FlvViewer, RtmpPublisher, Server, Viewer as _, until};

fn scrape(server: &Server) -> Scrape {
    let answer = server.get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    Scrape::parse(answer.text().lines().map(|line| Ok(line.to_owned()))).unwrap()
}

/// The value of one series; labels as `key=value`.
fn value(scrape: &Scrape, name: &str, labels: &[&str]) -> f64 {
    let same = |sample: &&prometheus_parse::Sample| {
        let given = |label: &&str| label.split_once('=').is_some_and(|(key, own)| sample.labels.get(key) == Some(own));
        sample.metric == name && labels.iter().all(given)
    };
    let found: Vec<_> = scrape.samples.iter().filter(same).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    match found[0].value {
        Value::Counter(number) | Value::Gauge(number) => number,
        ref other => panic!("{name} has no type: {other:?}"),
    }
}

#[test]
fn what_happens_is_counted_under_names_that_stay() {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&Clip::demo());
    let mut viewer = FlvViewer::open(&server, "live/show");
    assert!(viewer.frame().is_some());
    server.get("/live/none.flv").problem(404);
    let now = scrape(&server);
    for (name, labels, expected) in [
        ("stentor_streams", &[][..], 1.0),
        ("stentor_sessions", &["door=rtmp", "action=publish"], 1.0),
        ("stentor_sessions", &["door=flv", "action=play"], 1.0),
        ("stentor_sessions", &["door=whip", "action=play"], 0.0),
        ("stentor_viewers", &["door=flv"], 1.0),
        ("stentor_viewers", &["door=webrtc"], 0.0),
        ("stentor_refused_total", &["reason=stream-unknown"], 1.0),
        ("stentor_streams_begun_total", &["door=rtmp"], 1.0),
        ("stentor_build_info", &[concat!("version=", env!("CARGO_PKG_VERSION"))], 1.0),
        ("stentor_draining", &[], 0.0),
    ] {
        assert_eq!(value(&now, name, labels), expected, "{name} {labels:?}");
    }
    for (name, labels) in [
        ("stentor_bytes_total", &["door=rtmp", "direction=in"][..]),
        ("stentor_bytes_total", &["door=flv", "direction=out"]),
        ("process_resident_memory_bytes", &[]),
        ("process_open_fds", &[]),
        ("process_threads", &[]),
    ] {
        assert!(value(&now, name, labels) > 0.0, "{name} {labels:?}");
    }
    publisher.leave();
    assert_eq!(viewer.rest(), 0);
    until("the end is counted", || {
        let now = scrape(&server);
        let sessions: f64 = ["door=rtmp", "door=flv"]
            .iter()
            .map(|door| {
                value(
                    &now,
                    "stentor_sessions",
                    &[door, if *door == "door=rtmp" { "action=publish" } else { "action=play" }],
                )
            })
            .sum();
        (value(&now, "stentor_streams", &[]) + sessions == 0.0).then_some(())
    });
    let after = scrape(&server);
    let sent = ["door=flv", "direction=out"];
    assert!(
        value(&after, "stentor_bytes_total", &sent) >= value(&now, "stentor_bytes_total", &sent),
        "counters only grow"
    );
    assert_eq!(value(&after, "stentor_streams_ended_total", &["reason=publisher-left"]), 1.0);
}

#[test]
fn every_line_belongs_to_a_family_that_is_explained_and_stands_once() {
    let server = Server::dev();
    until("media threads have said what they counted", || {
        server.get("/metrics").text().contains("shard=\"0\"").then_some(())
    });
    let answer = server.get("/metrics");
    let (mut current, mut done) = (String::new(), std::collections::BTreeSet::new());
    for line in answer.text().lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = format!("{} ", help.split(' ').next().unwrap());
            assert!(done.insert(current.clone()), "{current} stands twice");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert!(kind.starts_with(&current), "{line}");
        } else {
            assert!(line.replace('{', " ").starts_with(&current), "{line} stands under {current}");
        }
    }
}
