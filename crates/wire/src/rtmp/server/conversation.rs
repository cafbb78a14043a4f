//! The commands of clients and what they are answered: what ffmpeg, OBS (librtmp), players and Flash-era encoders need.

use super::request::Greeting;
use super::{Error, Event, Phase, Session};
use crate::flv::amf::Value;
use crate::rtmp::Capabilities;
use crate::rtmp::command::{Command, status};
use crate::rtmp::media_bytes::MESSAGE_STREAM;

/// What clients of old look at to tell what a server can do.
const SERVER_VERSION: &str = "FMS/3,5,7,7009";
const CAPABILITIES: f64 = 31.0;
/// `objectEncoding` for AMF0, the only one that we speak.
const AMF0: f64 = 0.0;

impl Session {
    pub(super) fn command(&mut self, command: &Command) -> Result<(), Error> {
        if matches!(self.phase, Phase::Greeting | Phase::Connected) {
            self.commands += 1;
            if self.commands > self.config.limits.commands_max {
                return Err(Error::TooManyCommands);
            }
        }
        match command.name.as_str() {
            "connect" => self.connect(command)?,
            _ if matches!(self.phase, Phase::Greeting) => return Err(Error::OutOfOrder("a command before connect")),
            "createStream" => self.result(command, Value::Number(MESSAGE_STREAM.into())),
            "getStreamLength" => self.result(command, Value::Number(0.0)),
            "releaseStream" | "_checkbw" => self.result(command, Value::Undefined),
            "FCPublish" => self.fast_result(command, "onFCPublish", "NetStream.Publish.Start"),
            "FCSubscribe" => self.fast_result(command, "onFCSubscribe", "NetStream.Play.Start"),
            "publish" => self.publish(command)?,
            "play" => self.play(command)?,
            "FCUnpublish" => {
                self.fast_result(command, "onFCUnpublish", "NetStream.Unpublish.Success");
                self.ended();
            }
            "deleteStream" | "closeStream" => self.ended(),
            "pause" => self.pause(command),
            // Answers to nothing that we asked, and wishes that live media cannot grant.
            "_result" | "_error" | "onStatus" | "receiveAudio" | "receiveVideo" | "seek" => {}
            _ => self.unknown(command),
        }
        Ok(())
    }

    fn connect(&mut self, command: &Command) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Greeting) {
            return Err(Error::OutOfOrder("connect"));
        }
        self.greeting = Greeting::read(command, &self.config.limits)?;
        self.link.send_window();
        self.link.send_peer_bandwidth();
        self.link.send_chunk_size();
        let mut properties = Value::object([("fmsVer", SERVER_VERSION.into()), ("capabilities", CAPABILITIES.into())]);
        // Whoever says nothing of it may not expect to be told.
        if let (Value::Object(entries), false) = (&mut properties, self.greeting.capabilities.is_empty()) {
            entries.extend(Capabilities::of_server().entries(false));
        }
        let mut success = status("status", "NetConnection.Connect.Success", "Connection succeeded.");
        if let Value::Object(entries) = &mut success {
            entries.push(("objectEncoding".to_owned(), AMF0.into()));
        }
        self.link.send_command(0, "_result", command.transaction, &[properties, success]);
        self.phase = Phase::Connected;
        Ok(())
    }

    fn publish(&mut self, command: &Command) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Connected) {
            return Err(Error::OutOfOrder("publish"));
        }
        let request = self.greeting.request(command.text(0).unwrap_or_default(), &self.config.limits)?;
        self.phase = Phase::PublishAsked;
        self.events.push_back(Event::Publish(request));
        Ok(())
    }

    fn play(&mut self, command: &Command) -> Result<(), Error> {
        if matches!(self.phase, Phase::Playing) {
            self.ended();
        }
        if !matches!(self.phase, Phase::Connected) {
            return Err(Error::OutOfOrder("play"));
        }
        // Start, duration and reset may follow the name; live media has only one place to start.
        let request = self.greeting.request(command.text(0).unwrap_or_default(), &self.config.limits)?;
        self.phase = Phase::PlayAsked;
        self.events.push_back(Event::Play(request));
        Ok(())
    }

    fn ended(&mut self) {
        let event = match self.phase {
            Phase::Publishing => Event::PublishEnded,
            Phase::Playing => Event::PlayEnded,
            _ => return,
        };
        self.events.push_back(event);
        self.phase = Phase::Connected;
        self.started = self.heard;
        self.link.set_message_bytes_max(self.config.limits.message_bytes_max_before);
    }

    fn pause(&mut self, command: &Command) {
        if matches!(self.phase, Phase::Playing) {
            let paused = command.arguments.first().and_then(Value::as_bool).unwrap_or(true);
            let (code, text) =
                if paused { ("NetStream.Pause.Notify", "Paused.") } else { ("NetStream.Unpause.Notify", "Playing.") };
            self.link.send_status("status", code, text);
            self.events.push_back(Event::Pause(paused));
        }
    }

    fn unknown(&mut self, command: &Command) {
        if command.transaction > 0.0 {
            let error = status("error", "NetConnection.Call.Failed", "This method does not exist.");
            self.link.send_command(0, "_error", command.transaction, &[Value::Null, error]);
        }
    }

    fn result(&mut self, command: &Command, value: Value) {
        if command.transaction > 0.0 {
            self.link.send_command(0, "_result", command.transaction, &[Value::Null, value]);
        }
    }

    /// The answer to the commands of fast-start clients: a result, and a notice of its own.
    fn fast_result(&mut self, command: &Command, notice: &str, code: &str) {
        self.result(command, Value::Undefined);
        let name = command.text(0).unwrap_or_default();
        let name = name.get(..name.len().min(NOTICE_NAME_BYTES_MAX)).unwrap_or_default();
        self.link.send_command(0, notice, 0.0, &[Value::Null, status("status", code, name)]);
    }
}

/// Longest name that is given back in a notice, in bytes: an answer is never much longer than its question.
const NOTICE_NAME_BYTES_MAX: usize = 256;
