//! Commands that cannot be done: one sentence on standard error, and an exit code that scripts can read.

use std::{fs, net::TcpListener, net::UdpSocket, path::Path};

use tempfile::TempDir;
use wire::sign;

use crate::rig::server::{Finished, OPEN, run};

const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const FREE: &str = "127.0.0.1:0";

/// The sentence of a command that the user has to change.
fn usage(finished: &Finished) -> &str {
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(finished.out, "", "{finished:?}");
    assert_eq!(finished.err.lines().count(), 1, "one sentence on one line: {finished:?}");
    finished.err.trim_end()
}

/// `stentor serve` with this configuration.
fn serve(configuration: &str) -> Finished {
    let folder = TempDir::new().unwrap();
    let file = write(&folder, configuration);
    run(&["serve", "--config", &file, "--http", FREE, "--rtmp", FREE, "--media", FREE])
}

fn write(folder: &TempDir, configuration: &str) -> String {
    let file = folder.path().join("stentor.toml");
    fs::write(&file, configuration).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_port_that_is_taken_is_named() {
    let tcp = TcpListener::bind(FREE).unwrap();
    let taken = tcp.local_addr().unwrap().to_string();
    let port = tcp.local_addr().unwrap().port().to_string();
    for (door, name) in [("--http", "HTTP"), ("--rtmp", "RTMP"), ("--media", "WebRTC")] {
        let mut arguments = vec!["dev", "--no-demo", "--json"];
        for own in ["--http", "--rtmp", "--media"] {
            arguments.extend([own, if own == door { &taken } else { FREE }]);
        }
        let finished = run(&arguments);
        let sentence = usage(&finished);
        assert!(sentence.contains(name) && sentence.contains(&format!("port {port} is taken")), "{sentence}");
        assert!(sentence.contains(door), "{sentence}");
    }
}

#[test]
fn a_media_port_that_is_taken_for_udp_alone_is_named_too() {
    let udp = UdpSocket::bind(FREE).unwrap();
    let taken = udp.local_addr().unwrap();
    let finished = run(&["dev", "--no-demo", "--json", "--http", FREE, "--rtmp", FREE, "--media", &taken.to_string()]);
    let sentence = usage(&finished);
    assert!(sentence.contains(&format!("port {} is taken", taken.port())), "{sentence}");
}

#[test]
fn a_setting_that_does_not_exist_is_answered_with_the_nearest() {
    let finished = serve(&format!("{OPEN}[live]\ntakeovr = true\n"));
    let sentence = usage(&finished);
    assert!(sentence.contains("stentor.toml:5") && sentence.contains("'takeovr'"), "{sentence}");
    assert!(sentence.contains("did you mean 'takeover'?"), "{sentence}");
    let finished = serve(&format!("{OPEN}[lvie]\ntakeover = true\n"));
    assert!(usage(&finished).contains("did you mean 'live'?"), "{finished:?}");
    let finished = serve(&format!("{OPEN}[live]\npublish_timeout = \"soon\"\n"));
    assert!(usage(&finished).contains("live.publish_timeout is 'soon'; expected"), "{finished:?}");
    let finished = serve("[live]\ntakeover = true\n");
    assert!(usage(&finished).contains("[[application]]"), "{finished:?}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let finished = run(&["serve", "--config", "/nonexistent/stentor.toml"]);
    assert!(usage(&finished).contains("/nonexistent/stentor.toml"), "{finished:?}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    fs::write(path("other-key.pem"), other.signing_key.serialize_pem()).unwrap();
    fs::write(path("empty.pem"), "").unwrap();
    for (certificate, key, named) in [
        ("missing.pem", "other-key.pem", "missing.pem"),
        ("empty.pem", "other-key.pem", "empty.pem"),
        ("cert.pem", "missing.pem", "missing.pem"),
        ("cert.pem", "empty.pem", "empty.pem"),
        ("cert.pem", "other-key.pem", "other-key.pem"),
    ] {
        let (certificate, key) = (path(certificate), path(key));
        let finished = serve(&format!("{OPEN}[http]\ntls_certificate = \"{certificate}\"\ntls_key = \"{key}\"\n"));
        assert!(usage(&finished).contains(&path(named)), "{finished:?}");
    }
    let finished = serve(&format!("{OPEN}[http]\ntls_certificate = \"{}\"\n", path("cert.pem")));
    assert!(usage(&finished).contains("http.tls_key"), "{finished:?}");
}

#[test]
fn a_token_is_one_that_the_server_takes() {
    let finished = run(&["token", "--app", "1400000001", "--key", KEY, "--user", "ann", "--ttl", "10m"]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
    let token = finished.out.trim_end();
    let claims = sign::read_unverified(token).unwrap();
    let claims = sign::check(token, &[KEY], 1_400_000_001, "ann", claims.issued_at_s).unwrap();
    assert_eq!(claims.expires_at_s - claims.issued_at_s, 600);
    assert!(sign::check(token, &["another key"], 1_400_000_001, "ann", claims.issued_at_s).is_err());
    let finished = run(&["token", "--app", "1400000001", "--key", KEY, "--user", "ann", "--ttl", "soon"]);
    assert!(usage(&finished).contains("--ttl is 'soon'"), "{finished:?}");
}

#[test]
fn the_doctor_says_what_is_free_and_what_is_taken() {
    let folder = TempDir::new().unwrap();
    let tcp = TcpListener::bind(FREE).unwrap();
    let taken = tcp.local_addr().unwrap();
    let configuration = |rtmp: &str| {
        format!("{OPEN}[http]\nlisten = \"{FREE}\"\n[rtmp]\nlisten = \"{rtmp}\"\n[media]\nlisten = \"{FREE}\"\n")
    };
    let finished = run(&["doctor", "--config", &write(&folder, &configuration(FREE))]);
    assert!(matches!(finished.code, Some(0 | 1)), "{finished:?}");
    assert!(finished.out.lines().count() >= 6, "{finished:?}");
    assert!(finished.out.contains("  ok    RTMP"), "{finished:?}");
    let finished = run(&["doctor", "--config", &write(&folder, &configuration(&taken.to_string()))]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let bad = finished.out.lines().find(|line| line.starts_with("  BAD   RTMP")).unwrap();
    assert!(bad.contains(&taken.port().to_string()), "{bad}");
    let finished = run(&["doctor"]);
    assert!(matches!(finished.code, Some(0 | 1)), "{finished:?}");
    assert!(finished.out.lines().count() >= 6, "{finished:?}");
}

#[test]
fn what_is_no_command_is_a_usage_error() {
    for arguments in [&["serv"][..], &["dev", "--htpp", FREE], &["dev", "--http", "8080"], &["serve"], &[]] {
        let finished = run(arguments);
        assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
        assert!(!finished.err.is_empty() && finished.out.is_empty(), "{arguments:?}: {finished:?}");
    }
    assert!(run(&["serv"]).err.contains("serve"), "the nearest command is offered");
    let finished = run(&["--help"]);
    assert_eq!(finished.code, Some(0));
    assert!(finished.out.contains("dev") && finished.out.contains("serve"));
}

#[test]
fn the_committed_sample_is_the_program_s_own() {
    let finished = run(&["serve", "--print-config"]);
    assert_eq!(finished.code, Some(0));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stentor.toml");
    assert_eq!(finished.out, fs::read_to_string(committed).unwrap());
}
