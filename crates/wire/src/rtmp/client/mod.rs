//! The client's end of one connection: it publishes one stream or plays one.

mod target;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

pub use target::{Mode, Target, TargetError};

use super::command::Command;
use super::handshake;
use super::link::{Incoming, Link};
use super::message::Message;
use super::{Capabilities, Error, Limits, MessageKind, RECONNECT_REQUEST};
use crate::flv::amf::{self, Value};

/// What the owner is to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Write these bytes to the socket.
    Send(Bytes),
    /// Hear this.
    Event(Event),
    /// Close the connection once all is written: nothing follows.
    Close,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The server granted what was asked for: media may be sent, or comes.
    Ready,
    /// A message of what is played.
    Media(Message),
    /// The server said no, before or after it had granted it. The connection closes.
    Refused {
        /// What programs read: `NetStream.Publish.BadName` and others.
        code: String,
        /// What people read.
        description: String,
    },
    /// The server says that what is played has ended.
    Ended,
    /// The server is about to go, or has a better place for us: connect anew and then leave this connection, which goes
    /// on until then. Comes at most once.
    ReconnectRequested {
        /// Where to connect, with the application and without the stream; `None`: where we are.
        tc_url: Option<String>,
        /// What people read.
        description: String,
    },
}

/// The client's end of one connection.
#[derive(Debug)]
pub struct Session {
    target: Target,
    limits: Limits,
    link: Link,
    phase: Phase,
    stream_id: u32,
    events: VecDeque<Event>,
    started: Instant,
    heard: Instant,
    close: bool,
    reconnect_requested: bool,
    failure: Option<Error>,
}

#[derive(Debug)]
enum Phase {
    Handshake(handshake::Client),
    /// After `connect`, before its result.
    Connecting,
    /// After `createStream`, before its result.
    Creating,
    /// After `publish` or `play`, before its status.
    Asking,
    Running,
    Ended,
}

/// From the first moment until the server has granted what was asked for.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte from a server that is to send media.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const FLASH_VERSION: &str = "FMLE/3.0 (compatible; Stentor)";
const TRANSACTION_CONNECT: f64 = 1.0;
const TRANSACTION_RELEASE: f64 = 2.0;
const TRANSACTION_FC_PUBLISH: f64 = 3.0;
const TRANSACTION_CREATE: f64 = 4.0;
const TRANSACTION_ASK: f64 = 5.0;
/// `start` of `play` that asks for live media only.
const START_LIVE: f64 = -1_000.0;
const PLAY_BUFFER_MS: u32 = 1_000;

impl Session {
    /// A session at its first moment; its first output is the handshake. `seed` makes random bytes that nobody relies
    /// on being secret.
    pub fn new(target: Target, now: Instant, seed: u64) -> Self {
        let limits = Limits::default();
        let mut link = Link::new(limits, limits.message_bytes_max);
        let handshake = handshake::Client::new(seed, link.out());
        Self {
            target,
            limits,
            link,
            phase: Phase::Handshake(handshake),
            stream_id: 0,
            events: VecDeque::new(),
            started: now,
            heard: now,
            close: false,
            reconnect_requested: false,
            failure: None,
        }
    }

    /// Takes bytes from the socket.
    ///
    /// # Errors
    /// Where the server breaks the protocol or a limit, now or before. The connection is to be closed.
    pub fn receive(&mut self, now: Instant, bytes: Bytes) -> Result<(), Error> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.heard = now;
        self.link.count(bytes.len());
        if let Err(error) = self.take(bytes) {
            return Err(self.fail(error));
        }
        if !matches!(self.phase, Phase::Handshake(_) | Phase::Ended) {
            self.link.acknowledge();
        }
        Ok(())
    }

    /// What to do next. To be called until it is `None` after every other call.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(bytes) = self.link.take_out() {
            return Some(Output::Send(bytes));
        }
        if let Some(event) = self.events.pop_front() {
            return Some(Output::Event(event));
        }
        std::mem::take(&mut self.close).then_some(Output::Close)
    }

    /// When to call `handle_timeout`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (&self.phase, self.target.mode) {
            (Phase::Ended, _) | (Phase::Running, Mode::Publish) => None,
            (Phase::Running, Mode::Play) => Some(self.heard + IDLE_TIMEOUT),
            _ => Some(self.started + SETUP_TIMEOUT),
        }
    }

    /// Does what is due at `now`; calls that come too early do nothing.
    ///
    /// # Errors
    /// Where the server has been silent or slow for too long. The connection is to be closed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        if self.poll_timeout().is_none_or(|due| now < due) {
            return Ok(());
        }
        Err(self.fail(match self.phase {
            Phase::Handshake(_) => Error::HandshakeTimeout,
            Phase::Running => Error::IdleTimeout,
            _ => Error::RequestTimeout,
        }))
    }

    /// Sends a message of media after `Event::Ready`; before it, or when playing, it is dropped. Script bodies are FLV's;
    /// what servers want before `onMetaData` is put there.
    pub fn send_media(&mut self, message: &Message) {
        if !matches!((&self.phase, self.target.mode), (Phase::Running, Mode::Publish)) {
            return;
        }
        if message.kind == MessageKind::Script {
            let mut body = BytesMut::new();
            amf::encode_str("@setDataFrame", &mut body);
            body.put_slice(&crate::flv::without_set_data_frame(&message.body));
            let message = Message { body: body.freeze(), ..message.clone() };
            self.link.send_media(self.stream_id, &message);
        } else {
            self.link.send_media(self.stream_id, message);
        }
    }

    /// Says good-bye and closes.
    pub fn finish(&mut self) {
        if matches!(self.phase, Phase::Running | Phase::Asking) {
            if self.target.mode == Mode::Publish {
                let name = self.target.stream.as_str().into();
                self.link.send_command(0, "FCUnpublish", 0.0, &[Value::Null, name]);
            }
            self.link.send_command(0, "deleteStream", 0.0, &[Value::Null, Value::Number(self.stream_id.into())]);
        }
        self.end();
    }

    fn take(&mut self, mut input: Bytes) -> Result<(), Error> {
        if let Phase::Handshake(handshake) = &mut self.phase {
            if !handshake.read(&mut input, self.link.out())? {
                return Ok(());
            }
            self.connect();
        }
        while !matches!(self.phase, Phase::Ended) {
            match self.link.next(&mut input)? {
                Some(Incoming::Command(command)) => self.command(&command),
                Some(Incoming::Media(messages)) => messages.into_iter().for_each(|message| self.media(message)),
                Some(Incoming::StreamEof) => self.played_out(),
                None => break,
            }
        }
        Ok(())
    }

    fn connect(&mut self) {
        self.link.send_chunk_size();
        let mut object = vec![
            ("app".to_owned(), Value::from(self.target.app.as_str())),
            ("flashVer".to_owned(), FLASH_VERSION.into()),
            ("tcUrl".to_owned(), self.target.tc_url.as_str().into()),
        ];
        if self.target.mode == Mode::Publish {
            object.push(("type".to_owned(), "nonprivate".into()));
        }
        object.extend(Capabilities::of_client().entries(true));
        self.link.send_command(0, "connect", TRANSACTION_CONNECT, &[Value::Object(object)]);
        self.phase = Phase::Connecting;
    }

    fn command(&mut self, command: &Command) {
        match (command.name.as_str(), &self.phase) {
            ("_result", Phase::Connecting) if command.transaction == TRANSACTION_CONNECT => self.create(),
            ("_result", Phase::Creating) if command.transaction == TRANSACTION_CREATE => self.ask(command),
            ("_error", Phase::Connecting | Phase::Creating)
                if [TRANSACTION_CONNECT, TRANSACTION_CREATE].contains(&command.transaction) =>
            {
                self.refused(command);
            }
            ("onStatus", _) => self.status(command),
            ("close", _) => self.played_out(),
            _ => {}
        }
    }

    fn create(&mut self) {
        self.link.send_window();
        let name = || Value::from(self.target.stream.as_str());
        if self.target.mode == Mode::Publish {
            self.link.send_command(0, "releaseStream", TRANSACTION_RELEASE, &[Value::Null, name()]);
            self.link.send_command(0, "FCPublish", TRANSACTION_FC_PUBLISH, &[Value::Null, name()]);
        }
        self.link.send_command(0, "createStream", TRANSACTION_CREATE, &[Value::Null]);
        self.phase = Phase::Creating;
    }

    fn ask(&mut self, created: &Command) {
        self.stream_id = created.number(0).map_or(1, |id| id as u32);
        let name = Value::from(self.target.stream.as_str());
        match self.target.mode {
            Mode::Publish => {
                let values = [Value::Null, name, "live".into()];
                self.link.send_command(self.stream_id, "publish", TRANSACTION_ASK, &values);
            }
            Mode::Play => {
                let values = [Value::Null, name, START_LIVE.into()];
                self.link.send_command(self.stream_id, "play", TRANSACTION_ASK, &values);
                self.link.send_buffer_length(self.stream_id, PLAY_BUFFER_MS);
            }
        }
        self.phase = Phase::Asking;
    }

    fn status(&mut self, command: &Command) {
        let field = |key| command.arguments.first().and_then(|status| status.get(key)).and_then(Value::as_str);
        if field("level") == Some("error") {
            return self.refused(command);
        }
        match (field("code"), &self.phase) {
            (Some("NetStream.Publish.Start" | "NetStream.Play.Start"), Phase::Asking) => {
                self.phase = Phase::Running;
                self.events.push_back(Event::Ready);
            }
            (Some("NetStream.Play.UnpublishNotify" | "NetStream.Play.Stop" | "NetStream.Play.Complete"), _) => {
                self.played_out();
            }
            (Some(RECONNECT_REQUEST), _) => self.reconnect(field("tcUrl"), field("description")),
            (Some("NetStream.Unpublish.Success" | "NetConnection.Connect.Closed"), Phase::Running) => {
                self.played_out();
            }
            _ => {}
        }
    }

    fn reconnect(&mut self, tc_url: Option<&str>, description: Option<&str>) {
        let bounded = |text: &str| (text.len() <= self.limits.field_bytes_max).then(|| text.to_owned());
        let event = Event::ReconnectRequested {
            tc_url: tc_url.and_then(bounded),
            description: description.and_then(bounded).unwrap_or_default(),
        };
        if !std::mem::replace(&mut self.reconnect_requested, true) {
            self.events.push_back(event);
        }
    }

    fn media(&mut self, message: Message) {
        if matches!((&self.phase, self.target.mode), (Phase::Running, Mode::Play)) && !message.body.is_empty() {
            self.events.push_back(Event::Media(message));
        }
    }

    fn refused(&mut self, command: &Command) {
        let field = |key| {
            let status = command.arguments.first().and_then(|status| status.get(key));
            status.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        self.events.push_back(Event::Refused { code: field("code"), description: field("description") });
        self.end();
    }

    fn played_out(&mut self) {
        if matches!(self.phase, Phase::Running) {
            self.events.push_back(Event::Ended);
            self.end();
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failure = Some(error);
        self.end();
        error
    }

    fn end(&mut self) {
        if !matches!(self.phase, Phase::Ended) {
            self.phase = Phase::Ended;
            self.close = true;
        }
    }
}
