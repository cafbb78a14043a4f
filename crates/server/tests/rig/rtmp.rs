//! An RTMP publisher and player: `wire`'s client over a plain socket.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Instant,
};

use bytes::Bytes;
use wire::{
    flv::Tag,
    rtmp::{
        Message,
        client::{Event, Mode, Output, Session, Target},
    },
};

use super::{Clip, Item, Items, PATIENCE, Server, Viewer};

/// What a server says when it says no: what programs read, and what people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `NetStream.Publish.BadName` and others.
    pub code: String,
    /// The sentence.
    pub description: String,
}

struct Peer {
    session: Session,
    socket: TcpStream,
    events: VecDeque<Event>,
}

impl Peer {
    fn dial(address: SocketAddr, app: &str, stream: &str, mode: Mode) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let target = Target {
            host: address.ip().to_string(),
            port: address.port(),
            tls: false,
            app: app.to_owned(),
            stream: stream.to_owned(),
            tc_url: format!("rtmp://{address}/{}", app.split('?').next().unwrap_or_default()),
            mode,
        };
        let session = Session::new(target, Instant::now(), 1);
        let mut peer = Self { session, socket, events: VecDeque::new() };
        peer.flush();
        peer
    }

    /// Writes what the session has to say. Where the server has closed, what it said last is still to be read.
    fn flush(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => {
                    if let Err(error) = self.socket.write_all(&bytes) {
                        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
                    }
                }
                Output::Event(event) => self.events.push_back(event),
                Output::Close => {}
            }
        }
    }

    /// The next event; `None` when the server has closed.
    fn event(&mut self) -> Option<Event> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let read = self.socket.read(&mut buffer).expect("the server says nothing, or reset the connection");
            if read == 0 {
                return None;
            }
            self.session.receive(Instant::now(), Bytes::copy_from_slice(&buffer[..read])).unwrap();
            self.flush();
        }
    }

    /// The next event; a server that drains may ask to connect anew before it.
    fn last_event(&mut self) -> Option<Event> {
        match self.event() {
            Some(Event::ReconnectRequested { .. }) => self.event(),
            event => event,
        }
    }

    fn ready(mut self) -> Self {
        assert_eq!(self.event(), Some(Event::Ready));
        self
    }

    /// Waits for a no, and for the server to close after it.
    fn said(&mut self) -> Said {
        let said = match self.last_event() {
            Some(Event::Refused { code, description }) => Said { code, description },
            other => panic!("the server should have said no, and not {other:?}"),
        };
        assert_eq!(self.event(), None, "after a no nothing follows but the end");
        said
    }
}

/// Splits `live/show?query`: the query belongs to the stream, as in the key field of an encoder.
fn split(name: &str) -> (&str, &str) {
    let path = name.split('?').next().unwrap();
    let at = path.rfind('/').unwrap();
    (&name[..at], &name[at + 1..])
}

/// A publisher.
pub struct RtmpPublisher(Peer);

impl RtmpPublisher {
    /// Publishes `live/show`, perhaps with a query, and is let in.
    pub fn connect(server: &Server, name: &str) -> Self {
        let (app, stream) = split(name);
        Self::connect_as(server, app, stream)
    }

    /// The same, with the application and the stream apart: encoders put queries in either.
    pub fn connect_as(server: &Server, app: &str, stream: &str) -> Self {
        Self(Peer::dial(server.rtmp, app, stream, Mode::Publish).ready())
    }

    /// Publishes and is refused.
    pub fn refused(server: &Server, name: &str) -> Said {
        let (app, stream) = split(name);
        Peer::dial(server.rtmp, app, stream, Mode::Publish).said()
    }

    /// Sends a tag at its time.
    pub fn send(&mut self, tag: &Tag) {
        let message = Message { kind: tag.kind, timestamp_ms: tag.timestamp_ms, body: tag.body.clone() };
        self.0.session.send_media(&message);
        self.0.flush();
    }

    /// Sends both headers and the first key frame of a clip.
    pub fn begin(&mut self, clip: &Clip) {
        clip.headers.iter().chain(clip.frames.first()).for_each(|tag| self.send(tag));
    }

    /// Waits until the server says that the publication is over, and closes.
    pub fn told(mut self) -> Said {
        self.0.said()
    }

    /// Waits until the server asks to connect anew; where.
    pub fn asked_to_move(&mut self) -> Option<String> {
        match self.0.event() {
            Some(Event::ReconnectRequested { tc_url, description }) => {
                assert!(description.contains("shut down"), "{description}");
                tc_url
            }
            other => panic!("the publisher should have been asked to connect anew, and not {other:?}"),
        }
    }

    /// Says good-bye.
    pub fn leave(mut self) {
        self.0.session.finish();
        self.0.flush();
        self.0.socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(self.0.last_event(), None);
    }
}

/// A player.
pub struct RtmpPlayer {
    peer: Peer,
    items: Items,
    /// Where the server asked it to connect anew; `Some(None)` is where it is.
    pub asked_to_move: Option<Option<String>>,
}

impl RtmpPlayer {
    /// Plays `live/show` and is let in.
    pub fn connect(server: &Server, name: &str) -> Self {
        let (app, stream) = split(name);
        Self {
            peer: Peer::dial(server.rtmp, app, stream, Mode::Play).ready(),
            items: Items::default(),
            asked_to_move: None,
        }
    }

    /// Plays and is refused.
    pub fn refused(server: &Server, name: &str) -> Said {
        let (app, stream) = split(name);
        Peer::dial(server.rtmp, app, stream, Mode::Play).said()
    }
}

impl Viewer for RtmpPlayer {
    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.items.ready.pop_front() {
                return Some(item);
            }
            match self.peer.event() {
                Some(Event::Media(Message { kind, timestamp_ms, body })) => {
                    self.items.push(&Tag { kind, timestamp_ms, body });
                }
                Some(Event::ReconnectRequested { tc_url, .. }) => self.asked_to_move = Some(tc_url),
                Some(Event::Ended) => {
                    assert_eq!(self.peer.event(), None, "the server closes after the end of the stream");
                    return None;
                }
                other => panic!("a player gets media until its end, and not {other:?}"),
            }
        }
    }
}
