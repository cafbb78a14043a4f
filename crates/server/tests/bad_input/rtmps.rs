//! TLS on the RTMP port: what is no TLS, what stops in the middle of it, and what comes where there is no certificate.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use crate::rig::{Clip, PATIENCE, RtmpPlayer, RtmpPublisher, Server, Viewer as _, server::OPEN, until};

/// The beginning of a record that says that it holds a ClientHello of 512 bytes.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x04\x01\x00\x02\x00\x03\x03abcdefgh";
/// Connections that are opened at once and left, and how often.
const ABANDONED: usize = 500;
const ROUNDS: usize = 4;
const CONNECTIONS_MAX: usize = 100;

fn say(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(bytes).unwrap();
    socket
}

/// Reads until the server has closed; a reset is as good as an end.
fn closed(mut socket: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    if let Err(error) = socket.read_to_end(&mut said) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the server has not closed");
    }
    said
}

fn serves(server: &Server, name: &str) {
    let clip = Clip::demo();
    let mut publisher = RtmpPublisher::connect(server, name);
    publisher.begin(&clip);
    assert!(RtmpPlayer::connect(server, name).frame().is_some());
    publisher.leave();
}

#[test]
fn rubbish_after_the_first_byte_of_tls_is_refused_at_once() {
    let server = Server::dev();
    closed(say(server.rtmp, &[b"\x16\x03\x01\x00\x40", [0xaa; 64].as_slice()].concat()));
    until("it is counted", || (server.metric("stentor_rtmp_closed_total{reason=\"tls\"}") == 1).then_some(()));
    serves(&server, "live/show");
}

#[test]
fn half_a_hello_and_then_silence_is_given_up() {
    let server = Server::dev();
    let (half, nothing) = (say(server.rtmp, HALF_A_HELLO), say(server.rtmp, b""));
    serves(&server, "live/show");
    assert!(closed(half).is_empty());
    assert!(closed(nothing).is_empty());
    until("both are counted", || (server.metric("stentor_rtmp_closed_total{reason=\"timeout\"}") == 2).then_some(()));
}

#[test]
fn abandoned_connections_are_bounded_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = format!("tls_certificate = {certificate:?}\ntls_key = {key:?}\n");
    let server = Server::serve(&format!("{OPEN}[rtmp]\nconnections_max = {CONNECTIONS_MAX}\n{files}"));
    let counted = || server.metric("stentor_rtmp_closed_total{");
    for round in 1..=ROUNDS {
        let open: Vec<_> = (0..ABANDONED).map(|_| TcpStream::connect(server.rtmp).unwrap()).collect();
        for mut socket in &open {
            // Those beyond the bound are closed already.
            let _ = socket.write_all(HALF_A_HELLO);
        }
        let refused = (round * (ABANDONED - CONNECTIONS_MAX)) as u64;
        until("all beyond the bound are refused", || {
            (server.metric("stentor_rtmp_closed_total{reason=\"too-many-connections\"}") == refused).then_some(())
        });
        drop(open);
        until("all have gone", || (counted() == (round * ABANDONED) as u64).then_some(()));
    }
    serves(&server, "live/show");
}

#[test]
fn tls_without_a_certificate_is_closed_and_said_once() {
    let server = Server::serve(OPEN);
    for _ in 0..3 {
        assert!(closed(say(server.rtmp, HALF_A_HELLO)).is_empty());
    }
    let series = "stentor_rtmp_closed_total{reason=\"tls-without-certificate\"}";
    until("all are counted", || (server.metric(series) == 3).then_some(()));
    server.said("rtmp.tls_certificate");
    assert_eq!(server.log().matches("rtmp.tls_certificate").count(), 1, "{}", server.log());
    serves(&server, "live/show");
}
