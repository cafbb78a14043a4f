//! What publishers do wrong is told in `/v1/streams/{app}/{stream}`, by name and with what to change.

use media::{TrackInfo, aac};
use serde_json::Value;
use wire::flv::{Tag, TagKind, amf, config_body, script_body};

use crate::rig::{
    Clip, RtmpPublisher, Server,
    clip::{Slice, aac_header, at, audio, avc_header, picture, video},
    until,
};

/// The stream's entry with its health.
fn told(server: &Server) -> Value {
    let answer = server.get("/v1/streams/live/show");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits until a fault is told, and gives it.
fn fault(server: &Server, code: &str) -> Value {
    until(&format!("{code} is told"), || {
        let answer = server.get("/v1/streams/live/show");
        let faults = if answer.status == 200 { answer.json()["health"]["faults"].clone() } else { Value::Null };
        faults.as_array()?.iter().find(|fault| fault["code"] == code).cloned()
    })
}

/// Checks what every fault has to say.
fn is_whole(fault: &Value, severity: &str) {
    assert_eq!(fault["severity"], severity, "{fault}");
    let message = fault["message"].as_str().unwrap();
    assert!(message.contains("OBS") && message.contains("ffmpeg"), "{fault}");
    assert!(
        fault["count"].as_u64().unwrap() >= 1 && fault["since"].as_str().unwrap() <= fault["last"].as_str().unwrap()
    );
}

#[test]
fn a_stream_is_told_with_its_measures_and_one_that_is_not_there_is_a_problem() {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&Clip::demo());
    until("the stream has its tracks", || (!told(&server)["health"]["audio"]["codec"].is_null()).then_some(()));
    let entry = told(&server);
    assert_eq!((&entry["app"], &entry["stream"]), (&"live".into(), &"show".into()));
    assert_eq!(entry["publisher"]["protocol"], "rtmp");
    let health = &entry["health"];
    let picture = &health["video"];
    assert_eq!((&picture["codec"], &picture["width"], &picture["height"]), (&"H264".into(), &640.into(), &360.into()));
    assert!(picture["profile"].as_str().unwrap().ends_with("Baseline"), "{picture}");
    assert_eq!((&health["audio"]["profile"], &health["audio"]["sampleRate"]), (&"AAC-LC".into(), &48_000.into()));
    assert_eq!(health["history"].as_array().unwrap().len(), 0);
    // It sends no more, and a machine that is busy may have taken long enough to notice.
    let faults = health["faults"].as_array().unwrap();
    assert!(faults.iter().all(|fault| fault["code"] == "stalled"), "{faults:?}");
    assert_eq!(health["score"], if faults.is_empty() { "good" } else { "fair" });
    let listed = &server.streams()[0];
    assert_eq!(listed["health"].as_object().unwrap().keys().collect::<Vec<_>>(), ["score"], "the list has that alone");

    for (path, status) in [("live/nobody", 404), ("live/no%20name", 400), ("other/show", 404)] {
        server.get(&format!("/v1/streams/{path}")).problem(status);
    }
}

#[test]
fn times_that_jump_and_go_back() {
    let server = Server::dev();
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    publisher.begin(&clip);
    let hour_ms = 3_600_000;
    for (tag, shift_ms) in
        clip.frames.iter().skip(1).zip([0, 0, 200, 200, 0, 0].into_iter().chain(std::iter::repeat(hour_ms))).take(40)
    {
        publisher.send(&at(tag, tag.timestamp_ms + shift_ms));
    }
    for code in ["video-timestamp-jump", "audio-timestamp-jump", "video-timestamps-backwards"] {
        is_whole(&fault(&server, code), "warn");
    }
    assert_eq!(told(&server)["health"]["score"], "fair");
    let warnings = server.streams()[0]["warnings"].clone();
    assert!(warnings.as_array().unwrap().iter().any(|warning| warning["code"] == "video-timestamp-jump"), "{warnings}");
    until("the fault is counted", || {
        (server.metric("stentor_ingest_faults_total{fault=\"video-timestamp-jump\"}") == 1).then_some(())
    });
    // And that while the stream runs, not when it ends.
    told(&server);
}

#[test]
fn changes_while_the_stream_runs() {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    for (width, rate_hz) in [(640, 48_000), (1_280, 44_100)] {
        publisher.send(&video(0, avc_header(width, 352)));
        publisher.send(&audio(0, aac_header(rate_hz)));
        publisher.send(&video(0, picture(Slice::Key, 0, 0, 64)));
    }
    is_whole(&fault(&server, "resolution-changed"), "warn");
    is_whole(&fault(&server, "sample-rate-changed"), "warn");
}

#[test]
fn sound_that_not_everybody_gets_and_messages_that_nobody_can_read() {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    let surround = TrackInfo::aac(aac::Config::lc(48_000, 6).unwrap());
    publisher.send(&audio(0, config_body(&surround).unwrap()));
    let told = fault(&server, "audio-channels-many");
    is_whole(&told, "warn");
    assert!(told["message"].as_str().unwrap().contains("6 channels"), "{told}");
    // AAC-LC at 24 kHz with SBR behind it (ISO/IEC 14496-3 section 1.6.2.1).
    publisher.send(&audio(0, [&[0xaf, 0][..], &[0x13, 0x10, 0x56, 0xe5, 0x98]].concat().into()));
    is_whole(&fault(&server, "he-aac"), "warn");
    publisher.send(&video(0, vec![0x17, 1, 0].into()));
    is_whole(&fault(&server, "damaged-messages"), "error");
    assert_eq!(server.streams()[0]["health"]["score"], "bad");
}

#[test]
fn what_is_announced_and_does_not_come_while_the_rest_goes_on() {
    let server = Server::dev();
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    let claims =
        amf::Value::object([("videocodecid", amf::Value::Number(7.0)), ("audiocodecid", amf::Value::Number(10.0))]);
    publisher.send(&Tag { kind: TagKind::Script, timestamp_ms: 0, body: script_body("onMetaData", &claims) });
    publisher.send(&video(0, avc_header(640, 352)));
    let mut sent = 0;
    let told = until("sound is missed, and no key frame came", || {
        publisher.send(&video(sent * 10, picture(Slice::P, sent.into(), 0, 64)));
        sent += 1;
        let faults = told(&server)["health"]["faults"].as_array()?.clone();
        let find = |code: &str| faults.iter().find(|fault| fault["code"] == code).cloned();
        Some([find("audio-missing-while-announced")?, find("no-key-frame")?])
    });
    told.iter().for_each(|fault| is_whole(fault, "error"));
}
