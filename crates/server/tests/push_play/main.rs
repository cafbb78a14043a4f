//! `stentor push` and `stentor play` against a real server: every kind of URL that is published is played by every kind
//! that is played.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(unreachable_pub, dead_code, unused_imports, reason = "a test exports nothing, and needs a part of the rig")]

#[path = "../rig/mod.rs"]
mod rig;

use std::{
    process::{Child, Command, Stdio},
    thread,
};

use rig::{Server, until};
use serde_json::Value;

/// A kind of URL: its name, and what stands in for it.
type Door = (&'static str, &'static str);

/// To publish by. `{http}` and `{rtmp}` are the server's addresses, `{name}` the stream of the AppName `live`.
const PUSHED: &[Door] = &[
    ("rtmp", "rtmp://{rtmp}/live/{name}"),
    ("rtmps", "rtmps://{rtmp}/live/{name}"),
    ("whip", "http://{http}/whip/live/{name}"),
    ("trtc", "trtc://{http}/push/{name}"),
    ("artc", "artc://{http}/live/{name}"),
    ("srs", "webrtc://{http}/live/{name}"),
];
/// To play by.
const PLAYED: &[Door] = &[
    ("rtmp", "rtmp://{rtmp}/live/{name}"),
    ("rtmps", "rtmps://{rtmp}/live/{name}"),
    ("flv", "http://{http}/live/{name}.flv"),
    ("hls", "http://{http}/live/{name}.m3u8"),
    ("whep", "http://{http}/whep/live/{name}"),
    ("ws-flv", "ws://{http}/live/{name}.flv"),
    ("trtc", "trtc://{http}/play/{name}"),
    ("artc", "artc://{http}/live/{name}"),
    ("srs", "webrtc://{http}/live/{name}"),
];

fn url(server: &Server, (_, form): &Door, name: &str) -> String {
    let (http, rtmp) = (server.http.to_string(), server.rtmp.to_string());
    form.replace("{http}", &http).replace("{rtmp}", &rtmp).replace("{name}", name)
}

/// A publisher that ends with its test.
struct Pushing(Option<Child>);

impl Pushing {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stentor"));
        command.arg("push").args(arguments).args(["--json", "--insecure"]).stdin(Stdio::null()).stdout(Stdio::piped());
        Self(Some(command.spawn().unwrap()))
    }

    /// Interrupts it, as Ctrl-C does, and takes its summary.
    fn interrupt(mut self) -> Value {
        let child = self.0.take().unwrap();
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "an interrupted push is done: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Pushing {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Plays for two seconds; the summary.
fn play(url: &str) -> Value {
    let played = rig::server::run(&["play", url, "--seconds", "2", "--json", "--insecure"]);
    assert_eq!(played.code, Some(0), "{url}: {played:?}");
    assert_eq!(played.out.lines().count(), 1, "one object and nothing else: {played:?}");
    assert!(played.err.is_empty(), "{played:?}");
    serde_json::from_str(&played.out).unwrap()
}

/// The test pattern has 30 pictures a second of 640x360, a key frame each second, and stereo.
fn check(what: &str, report: &Value) {
    let (video, audio) = (&report["video"], &report["audio"]);
    let is = |value: &Value, low: f64, high: f64| value.as_f64().is_some_and(|value| (low..=high).contains(&value));
    assert!(report["error"].is_null(), "{what}: {report}");
    assert_eq!(
        (&video["codec"], &video["width"], &video["height"]),
        (&"H264".into(), &640.into(), &360.into()),
        "{what}"
    );
    // WebRTC viewers are given the group of pictures that has begun in less time than it took, and the first sender
    // report of a WebRTC publisher may move its picture once.
    let is_exact = report["packets"].is_null() && (what.starts_with("rtmp") || !what.contains(" to "));
    let fps_max = if is_exact { 31.0 } else { 60.0 };
    assert!(is(&video["fps"], 29.0, fps_max) && is(&audio["fps"], 45.0, 51.0), "{what}: {report}");
    assert!(is(&video["frames"], 30.0, 1e6) && is(&video["keyFrames"], 1.0, 1e6), "{what}: {report}");
    assert!(is(&video["mediaMs"], 1_000.0, 1e9) && is(&audio["mediaMs"], 1_000.0, 1e9), "{what}: {report}");
    for track in [video, audio] {
        assert_eq!((&track["gaps"], &track["backwards"]), (&0.into(), &0.into()), "{what}: {report}");
    }
    assert_eq!(report["reconnects"], 0, "{what}: {report}");
}

#[test]
fn what_is_published_by_any_url_is_played_by_every_url() {
    let server = Server::dev();
    for door in PUSHED {
        let name = format!("by-{}", door.0);
        let pushing = Pushing::start(&["test", &url(&server, door, &name), "--loop"]);
        until("the stream is live", || {
            server.streams().iter().any(|live| live["stream"] == name.as_str()).then_some(())
        });
        thread::scope(|scope| {
            for viewer in PLAYED {
                let url = url(&server, viewer, &name);
                scope.spawn(move || check(&format!("{} to {}", door.0, viewer.0), &play(&url)));
            }
        });
        let report = pushing.interrupt();
        check(door.0, &report);
        assert_eq!(report["framesDropped"], 0, "{report}");
    }
}

#[test]
fn a_push_of_a_few_seconds_ends_by_itself() {
    let server = Server::dev();
    for door in PUSHED {
        let url = url(&server, door, "short");
        let pushed = rig::server::run(&["push", "test", &url, "--seconds", "2", "--json", "--insecure"]);
        assert_eq!(pushed.code, Some(0), "{pushed:?}");
        let report: Value = serde_json::from_str(&pushed.out).unwrap();
        check(door.0, &report);
        assert_eq!(report["video"]["frames"], 60, "{report}");
        until("the name is free", || server.streams().is_empty().then_some(()));
    }
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence() {
    let server = Server::dev();
    let (http, rtmp) = (server.http.to_string(), server.rtmp.to_string());
    let unused = "127.0.0.1:1";
    for (arguments, code, part) in [
        (vec!["play".into(), "live/a".into()], 2, "no URL of a stream"),
        (vec!["push".into(), "test".into(), format!("http://{http}/live/a.flv")], 2, "push takes"),
        (vec!["play".into(), format!("http://{http}/live/none.flv")], 1, "HTTP 404: no stream 'live/none' is live"),
        (vec!["play".into(), format!("http://{http}/live/none.m3u8")], 1, "HTTP 404: no stream 'live/none' is live"),
        (vec!["play".into(), format!("http://{http}/whep/live/none")], 1, "HTTP 404: no stream 'live/none' is live"),
        (vec!["play".into(), format!("rtmp://{rtmp}/live/none")], 1, "NetStream.Play.StreamNotFound"),
        (vec!["play".into(), format!("rtmp://{unused}/live/a")], 1, "cannot reach 127.0.0.1 port 1"),
        (
            vec!["push".into(), "no-such-file.mp4".into(), format!("rtmp://{rtmp}/live/a")],
            1,
            "cannot read 'no-such-file.mp4'",
        ),
        (
            vec![
                "push".into(),
                concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into(),
                format!("rtmp://{rtmp}/live/a"),
            ],
            1,
            "neither FLV nor MP4",
        ),
        (vec!["play".into(), format!("rtmps://{rtmp}/live/a")], 1, "port"),
    ] {
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--reconnects", "1"]);
        let ended = rig::server::run(&arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(part), "{arguments:?}: {}", ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
}

#[test]
fn a_name_that_is_taken_is_refused_in_words() {
    let server = Server::dev();
    let name = "again";
    let target = url(&server, &PUSHED[0], name);
    let first = Pushing::start(&["test", &target, "--loop"]);
    until("the stream is live", || (!server.streams().is_empty()).then_some(()));
    // Whoever takes the name while it is taken is refused, and tries no more.
    let second = rig::server::run(&["push", "test", &target, "--json"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.out.contains("BadName"), "{second:?}");
    assert!(first.interrupt()["error"].is_null(), "who has it is not disturbed");
}
