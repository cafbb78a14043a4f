//! The server's end of one connection: it hears out a client until that asks to publish or play, waits for the answer of
//! its owner, then hands on what is published, or announces what is played.
//!
//! The media that a player gets does not go through here: after `accept`, its owner writes the shared bytes of
//! `media_bytes` to the socket as they are, between whole outputs of this session.

mod conversation;
mod request;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

pub use request::{Reason, Refusal, Request};

use super::command::status;
use super::handshake;
use super::link::{Incoming, Link};
use super::message::{Message, user_control};
use super::{Error, Limits, RECONNECT_REQUEST};
use crate::flv::amf::Value;
use request::Greeting;

/// How one connection is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What it may cost.
    pub limits: Limits,
    /// From the first moment to the end of the handshake.
    pub handshake_timeout: Duration,
    /// From the first moment to the first `publish` or `play`.
    pub request_timeout: Duration,
    /// Without a byte from the peer. Players are pinged, so that those who are alive send some.
    pub idle_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// With time-outs that can be added to any time.
    fn bounded(self) -> Self {
        Self {
            limits: self.limits,
            handshake_timeout: self.handshake_timeout.min(TIMEOUT_MAX),
            request_timeout: self.request_timeout.min(TIMEOUT_MAX),
            idle_timeout: self.idle_timeout.min(TIMEOUT_MAX),
        }
    }
}

/// Longest time-out; longer ones mean this one.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// The client asks to publish: answer with `accept` or `refuse`. Nothing more is read until then.
    Publish(Request),
    /// The client asks to play: answer with `accept` or `refuse`. Nothing more is read until then.
    Play(Request),
    /// A message of the publication. Never empty; script bodies come without `@setDataFrame`.
    Media(Message),
    /// The client ended its publication. It may begin another.
    PublishEnded,
    /// The client ended its playback. It may begin another.
    PlayEnded,
    /// The player pauses (true) or goes on (false).
    Pause(bool),
}

/// The server's end of one connection, after the socket and before the stream.
#[derive(Debug)]
pub struct Session {
    config: Config,
    link: Link,
    phase: Phase,
    greeting: Greeting,
    commands: u32,
    events: VecDeque<Event>,
    held: BytesMut,
    started: Instant,
    heard: Instant,
    ping_at: Instant,
    close: Close,
    failure: Option<Error>,
}

#[derive(Debug)]
enum Phase {
    Handshake(handshake::Server),
    /// Before `connect`.
    Greeting,
    /// Between `connect` and `publish` or `play`, or after one of them has ended.
    Connected,
    PublishAsked,
    PlayAsked,
    Publishing,
    Playing,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    No,
    Wanted,
    Said,
}

/// Pings of a player in the time after which its silence ends it.
const PINGS_PER_IDLE_TIMEOUT: u32 = 3;

impl Session {
    /// A session at its first moment. `seed` makes the random bytes of the handshake, which nobody relies on being
    /// secret.
    pub fn new(config: Config, now: Instant, seed: u64) -> Self {
        Self {
            config: config.bounded(),
            link: Link::new(config.limits, config.limits.message_bytes_max_before),
            phase: Phase::Handshake(handshake::Server::new(seed)),
            greeting: Greeting::default(),
            commands: 0,
            events: VecDeque::new(),
            held: BytesMut::new(),
            started: now,
            heard: now,
            ping_at: now,
            close: Close::No,
            failure: None,
        }
    }

    /// Takes bytes from the socket. A message that sits whole in one chunk of these bytes becomes a slice of them.
    ///
    /// # Errors
    /// Where the peer breaks the protocol or a limit, now or before. The connection is to be closed.
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
        (self.close == Close::Wanted).then(|| {
            self.close = Close::Said;
            Output::Close
        })
    }

    /// When to call `handle_timeout`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let idle = self.heard + self.config.idle_timeout;
        match self.phase {
            Phase::Handshake(_) => Some(idle.min(self.started + self.config.handshake_timeout)),
            Phase::Greeting | Phase::Connected => Some(idle.min(self.started + self.config.request_timeout)),
            Phase::Publishing => Some(idle),
            Phase::Playing => Some(idle.min(self.ping_at)),
            Phase::PublishAsked | Phase::PlayAsked | Phase::Ended => None,
        }
    }

    /// Does what is due at `now`; calls that come too early do nothing.
    ///
    /// # Errors
    /// Where the peer has been silent or slow for too long. The connection is to be closed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        if self.poll_timeout().is_none_or(|due| now < due) {
            return Ok(());
        }
        let error = match self.phase {
            _ if now >= self.heard + self.config.idle_timeout => Error::IdleTimeout,
            Phase::Handshake(_) => Error::HandshakeTimeout,
            Phase::Greeting | Phase::Connected => Error::RequestTimeout,
            _ => {
                let age = now.saturating_duration_since(self.started);
                self.link.send_user_control(user_control::PING_REQUEST, age.as_millis() as u32);
                self.ping_at = now + self.ping_interval();
                return Ok(());
            }
        };
        Err(self.fail(error))
    }

    /// Grants what was asked for last. A publisher may send long messages from here on; a player has been told the chunk
    /// size of `media_bytes` before. Does nothing where nothing was asked for.
    ///
    /// What the peer sent while it waited is read now; if it breaks the protocol, `Output::Close` follows and the next
    /// call says why.
    pub fn accept(&mut self) {
        match self.phase {
            Phase::PublishAsked => {
                self.link.set_message_bytes_max(self.config.limits.message_bytes_max);
                self.link.send_user_control(user_control::STREAM_BEGIN, super::media_bytes::MESSAGE_STREAM);
                self.link.send_status("status", "NetStream.Publish.Start", "Publishing.");
                self.phase = Phase::Publishing;
            }
            Phase::PlayAsked => {
                self.link.send_user_control(user_control::STREAM_BEGIN, super::media_bytes::MESSAGE_STREAM);
                self.link.send_status("status", "NetStream.Play.Reset", "Playing and resetting.");
                self.link.send_status("status", "NetStream.Play.Start", "Playing.");
                self.phase = Phase::Playing;
                self.ping_at = self.heard + self.ping_interval();
            }
            _ => return,
        }
        self.commands = 0;
        let held = self.held.split().freeze();
        if let Err(error) = self.work(held) {
            self.fail(error);
        }
    }

    /// Denies what was asked for last, with a sentence for the user, and closes. Does nothing where nothing was asked
    /// for.
    pub fn refuse(&mut self, refusal: Refusal) {
        let code = match self.phase {
            Phase::PublishAsked => refusal.reason.publish_code(),
            Phase::PlayAsked => refusal.reason.play_code(),
            _ => return,
        };
        self.link.send_status("error", code, &refusal.sentence);
        self.end();
    }

    /// Tells a player that the stream has ended. The connection stays and may ask to play again; close it where that is
    /// not wanted.
    pub fn end_play(&mut self, reason: &str) {
        if matches!(self.phase, Phase::Playing) {
            self.link.send_status("status", "NetStream.Play.UnpublishNotify", reason);
            self.link.send_user_control(user_control::STREAM_EOF, super::media_bytes::MESSAGE_STREAM);
            self.phase = Phase::Connected;
            self.started = self.heard;
        }
    }

    /// Tells a publisher that its publication is over, because another took it over or the server drains, and closes.
    pub fn stop_publish(&mut self, reason: &str) {
        if matches!(self.phase, Phase::Publishing) {
            self.link.send_status("error", "NetStream.Publish.Denied", reason);
            self.link.send_status("status", "NetStream.Unpublish.Success", reason);
            self.end();
        }
    }

    /// Asks the client to connect anew, at `tc_url` where one is given and else where it is, and to leave this connection
    /// (Enhanced RTMP v2, "Reconnect Request"). What is published or played goes on until the client does so. Whether the
    /// client understands such a request; where not, nothing is sent.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, reason: &str) -> bool {
        let asked = matches!(self.phase, Phase::Connected | Phase::Publishing | Phase::Playing);
        if !asked || !self.greeting.capabilities.reconnects() {
            return false;
        }
        let mut request = status("status", RECONNECT_REQUEST, reason);
        if let (Value::Object(entries), Some(url)) = (&mut request, tc_url) {
            entries.push(("tcUrl".to_owned(), url.into()));
        }
        self.link.send_command(0, "onStatus", 0.0, &[Value::Null, request]);
        true
    }

    fn take(&mut self, mut input: Bytes) -> Result<(), Error> {
        if let Phase::Handshake(handshake) = &mut self.phase {
            if !handshake.read(&mut input, self.link.out())? {
                return Ok(());
            }
            self.phase = Phase::Greeting;
        }
        self.work(input)
    }

    /// Reads on until the bytes are used up or an answer is needed.
    fn work(&mut self, mut input: Bytes) -> Result<(), Error> {
        loop {
            match self.phase {
                Phase::Ended => return Ok(()),
                Phase::PublishAsked | Phase::PlayAsked => return self.hold(&input),
                _ => {}
            }
            match self.link.next(&mut input)? {
                Some(Incoming::Command(command)) => self.command(&command)?,
                Some(Incoming::Media(messages)) => messages.into_iter().for_each(|message| self.media(message)),
                Some(Incoming::StreamEof) => {}
                None => return Ok(()),
            }
        }
    }

    fn hold(&mut self, input: &[u8]) -> Result<(), Error> {
        if self.held.len() + input.len() > self.config.limits.held_bytes_max {
            return Err(Error::TooEarly);
        }
        self.held.extend_from_slice(input);
        Ok(())
    }

    fn media(&mut self, mut message: Message) {
        if !matches!(self.phase, Phase::Publishing) {
            return;
        }
        if message.kind == super::MessageKind::Script {
            message.body = crate::flv::without_set_data_frame(&message.body);
        }
        if !message.body.is_empty() {
            self.events.push_back(Event::Media(message));
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failure = Some(error);
        self.end();
        error
    }

    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.held = BytesMut::new();
        if self.close == Close::No {
            self.close = Close::Wanted;
        }
    }

    fn ping_interval(&self) -> Duration {
        self.config.idle_timeout / PINGS_PER_IDLE_TIMEOUT
    }
}
