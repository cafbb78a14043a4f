//! Both ends against each other and against hostile peers, in virtual time.

mod conversation;
mod hostile;
mod reconnect;
mod timers;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::chunk::put_message;
use super::client::{self, Mode, Target};
use super::command;
use super::message::kind;
use super::server::{Config, Event, Output, Session};
use super::{Error, Message, MessageKind};
use crate::flv::amf::Value;

/// A server and a client with nothing between them.
struct Pair {
    now: Instant,
    server: Session,
    client: client::Session,
    at_server: Vec<Event>,
    at_client: Vec<client::Event>,
    /// All that the client sent.
    sent: BytesMut,
    closed: [bool; 2],
}

impl Pair {
    fn new(url: &str, mode: Mode) -> Self {
        let now = Instant::now();
        let target = Target::parse(url, mode).unwrap();
        Self {
            now,
            server: Session::new(Config::default(), now, 1),
            client: client::Session::new(target, now, 2),
            at_server: Vec::new(),
            at_client: Vec::new(),
            sent: BytesMut::new(),
            closed: [false; 2],
        }
    }

    /// Carries bytes both ways until nothing moves.
    fn run(&mut self) {
        loop {
            let mut moved = false;
            while let Some(output) = self.client.poll_output() {
                moved = true;
                match output {
                    client::Output::Send(bytes) => {
                        self.sent.extend_from_slice(&bytes);
                        self.server.receive(self.now, bytes).unwrap();
                    }
                    client::Output::Event(event) => self.at_client.push(event),
                    client::Output::Close => self.closed[1] = true,
                }
            }
            while let Some(output) = self.server.poll_output() {
                moved = true;
                match output {
                    Output::Send(bytes) => self.client.receive(self.now, bytes).unwrap(),
                    Output::Event(event) => self.at_server.push(event),
                    Output::Close => self.closed[0] = true,
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Up to where media flows.
    fn running(mode: Mode) -> Self {
        let mut pair = Self::new("rtmp://host/live/cam", mode);
        pair.run();
        pair.server.accept();
        pair.run();
        assert_eq!(pair.at_client, [client::Event::Ready]);
        assert_eq!(pair.at_server.len(), 1);
        pair.at_server.clear();
        pair.at_client.clear();
        pair
    }
}

fn message(kind: MessageKind, timestamp_ms: u32, body: &[u8]) -> Message {
    Message { kind, timestamp_ms, body: Bytes::copy_from_slice(body) }
}

/// The client's part of the handshake.
fn greeting_bytes() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.resize(1 + 2 * 1_536, 0);
    bytes
}

fn message_bytes(type_id: u8, stream_id: u32, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_message(&mut out, 3, 0, type_id, stream_id, body, 128);
    out.to_vec()
}

fn command_bytes(name: &str, transaction: f64, values: &[Value]) -> Vec<u8> {
    message_bytes(kind::COMMAND, 0, &command::encode(name, transaction, values))
}

fn connect_bytes() -> Vec<u8> {
    command_bytes("connect", 1.0, &[Value::object([("app", "live".into()), ("tcUrl", "rtmp://h/live".into())])])
}

/// A server after the handshake.
fn greeted(config: Config) -> (Session, Instant) {
    let now = Instant::now();
    let mut session = Session::new(config, now, 1);
    session.receive(now, greeting_bytes().into()).unwrap();
    drain(&mut session);
    (session, now)
}

/// A server that has been asked to publish.
fn asked(config: Config) -> (Session, Instant) {
    let (mut session, now) = greeted(config);
    session.receive(now, connect_bytes().into()).unwrap();
    session.receive(now, command_bytes("publish", 5.0, &[Value::Null, "cam".into()]).into()).unwrap();
    (session, now)
}

/// What the session wants to send, what it tells, and whether it closes.
fn drain(session: &mut Session) -> (Vec<u8>, Vec<Event>, bool) {
    let (mut sent, mut events, mut close) = (Vec::new(), Vec::new(), false);
    while let Some(output) = session.poll_output() {
        assert!(!close, "nothing follows Close");
        match output {
            Output::Send(bytes) => sent.extend(bytes),
            Output::Event(event) => events.push(event),
            Output::Close => close = true,
        }
    }
    (sent, events, close)
}

/// Whether bytes of chunks contain this text somewhere.
fn says(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
