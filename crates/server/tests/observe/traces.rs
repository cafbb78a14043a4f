//! Traces: spans of sessions come to a collector, and a collector that fails disturbs nobody.

use std::{
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    sync::mpsc::{Receiver, channel},
    thread,
};

use crate::rig::{Clip, FlvViewer, PATIENCE, RtmpPublisher, Server, Viewer as _, server::OPEN, until};

/// Batches are sent often, so that the test is short.
const OFTEN: [(&str, &str); 1] = [("OTEL_BSP_SCHEDULE_DELAY", "50")];

/// What came to the collector: the request line and the body.
type Post = (String, Vec<u8>);

/// A collector that answers every batch with `status`.
fn collector(status: &'static str) -> (SocketAddr, Receiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (posts, got) = channel();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, posts) = (socket.unwrap(), posts.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(socket.try_clone().unwrap());
                while let Some(post) = read_post(&mut reader) {
                    let _ = write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    let _ = posts.send(post);
                }
            });
        }
    });
    (address, got)
}

fn read_post(reader: &mut impl std::io::BufRead) -> Option<Post> {
    let mut request = String::new();
    reader.read_line(&mut request).ok().filter(|read| *read > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((request.trim().to_owned(), body))
}

fn serve(address: SocketAddr) -> Server {
    Server::serve_with(
        &format!("{OPEN}[server]\nlog = \"warn,stentor::cli=info\"\notlp_endpoint = \"http://{address}\"\n"),
        &OFTEN,
    )
}

fn publish_and_play(server: &Server) {
    let mut publisher = RtmpPublisher::connect(server, "live/show");
    publisher.begin(&Clip::demo());
    let mut viewer = FlvViewer::open(server, "live/show");
    assert!(viewer.frame().is_some());
    publisher.leave();
    assert_eq!(viewer.rest(), 0);
}

#[test]
fn spans_of_a_publisher_and_a_viewer_come_to_the_collector() {
    let (address, posts) = collector("200 OK");
    let server = serve(address);
    publish_and_play(&server);
    let mut all = Vec::new();
    let has = |all: &[u8], text: &str| all.windows(text.len()).any(|window| window == text.as_bytes());
    while !(has(&all, "publish") && has(&all, "play")) {
        let (request, body) = posts.recv_timeout(PATIENCE).expect("a batch of spans");
        assert_eq!(request, "POST /v1/traces HTTP/1.1");
        all.extend(body);
    }
    for text in ["service.name", "stentor", "live/show", "rtmp", "flv", "127.0.0.1:", "stream begins"] {
        assert!(has(&all, text), "{text} is in no span");
    }
    assert_eq!(server.metric("stentor_traces_failed_total"), 0);
}

#[test]
fn what_waits_is_sent_when_the_server_ends() {
    let (address, posts) = collector("200 OK");
    let server = Server::serve_with(
        &format!("{OPEN}[server]\notlp_endpoint = \"http://{address}\"\n"),
        &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")],
    );
    publish_and_play(&server);
    until("the session has ended", || (server.metric("stentor_sessions{") == 0).then_some(()));
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
    assert!(!posts.recv_timeout(PATIENCE).unwrap().1.is_empty());
}

#[test]
fn a_collector_that_fails_is_said_once_and_disturbs_nobody() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (angry, _posts) = collector("500 Internal Server Error");
    for address in [gone, angry] {
        let server = serve(address);
        for times in 1..=3 {
            publish_and_play(&server);
            until("the failure is counted", || (server.metric("stentor_traces_failed_total") >= times).then_some(()));
        }
        server.said("traces cannot be sent");
        assert_eq!(server.log().matches("traces cannot be sent").count(), 1, "{}", server.log());
        assert_eq!(server.log().lines().filter(|line| line.contains("ERROR")).count(), 0, "{}", server.log());
        server.terminate();
        assert_eq!(server.ended().code(), Some(0));
    }
}
