//! RTMP: the listener, and one connection until it is known whether it publishes or plays.

mod from_stream;
mod socket;
mod to_stream;

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::Sleep,
};
use tracing::Instrument as _;
use wire::rtmp::{
    Error as RtmpError,
    server::{Config, Event, Output, Reason, Refusal as Refused, Request, Session},
};

pub use socket::Tls;
pub use to_stream::Ingest;

use socket::{OpenError, Socket};

use crate::{
    admission::{Admitted, Wish, admit},
    app::App,
    auth::Credentials,
    door::Door,
    query::Query,
    refusal::Refusal,
    session::Action,
    signing::Prefix,
};

/// A peer that takes no bytes for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a buffer that a publisher's socket is read into, and how little room may be left in it.
const READ_BYTES_PUBLISHER: usize = 64 * 1024;
/// The same of everybody else: what is not a publisher sends next to nothing, and there are many of them.
const READ_BYTES_OTHERS: usize = 512;
/// A buffer with less room than this part of it is not read into.
const READ_ROOM_PART: usize = 16;
/// Bytes that are read at once of a peer that was told goodbye.
const FAREWELL_READ_BYTES: usize = 4 * 1024;
/// A peer that is told goodbye has so long, and may send so many bytes more, before the socket is closed: closing with
/// bytes unread resets the connection, and the sentence is lost.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
const FAREWELL_BYTES_MAX: usize = 1 << 20;

/// What decides how this door is kept.
pub struct Settings {
    /// Connections at once; further ones are closed.
    pub connections_max: usize,
    /// RTMPS.
    pub tls: Tls,
    /// Where clients are asked to connect anew when this server drains; `None`: where they are.
    pub reconnect_url: Option<String>,
}

/// Serves RTMP on a listener until `stop` says so.
pub async fn serve(listener: TcpListener, app: Arc<App>, settings: Settings, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(settings.connections_max));
    let settings = Arc::new(settings);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                app.counters.add("rtmp_closed", "accept-failed");
                tracing::warn!(%error, "cannot accept an RTMP connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            app.counters.add("rtmp_closed", "too-many-connections");
            continue;
        };
        let (app, settings) = (app.clone(), settings.clone());
        tokio::spawn(async move {
            let closed = connection(socket, peer, &app, settings).await;
            app.counters.add("rtmp_closed", closed.label());
            drop(permit);
        });
    }
}

async fn connection(tcp: TcpStream, peer: SocketAddr, app: &Arc<App>, settings: Arc<Settings>) -> Closed {
    let accepted = Instant::now();
    let socket = match Box::pin(Socket::open(tcp, accepted, &settings.tls)).await {
        Ok(socket) => socket,
        Err(OpenError::Gone) => return Closed::Peer,
        Err(OpenError::Silent) => return Closed::Silent,
        Err(OpenError::Tls) => return Closed::Protocol("tls"),
        Err(OpenError::NoCertificate) => return Closed::Protocol("tls-without-certificate"),
    };
    // Whoever waited before the first byte has less time for the rest; a TLS handshake has had its own.
    let began = if matches!(socket, Socket::Tls(_)) { Instant::now() } else { accepted };
    Connection::new(socket, peer, app, settings, began).run(app).await
}

/// Why a connection ended.
enum Closed {
    /// The peer left, or was done.
    Peer,
    /// What the peer sent is not RTMP as it should be, or broke a bound.
    Protocol(&'static str),
    /// The peer was silent or did not read.
    Silent,
    /// The peer was refused.
    Refused,
    /// The stream ended, or the server ended the publisher.
    StreamOver,
    /// The viewer was too slow.
    TooSlow,
}

impl Closed {
    fn label(&self) -> &'static str {
        match self {
            Self::Peer => "peer-left",
            Self::Protocol(kind) => kind,
            Self::Silent => "timeout",
            Self::Refused => "refused",
            Self::StreamOver => "stream-over",
            Self::TooSlow => "too-slow",
        }
    }
}

/// The label of a fault of the peer.
fn closed_by(error: &RtmpError) -> Closed {
    match error {
        RtmpError::Handshake(_) => Closed::Protocol("handshake"),
        RtmpError::Chunk(_) => Closed::Protocol("chunk"),
        RtmpError::Amf(_) => Closed::Protocol("amf"),
        RtmpError::HandshakeTimeout | RtmpError::RequestTimeout | RtmpError::IdleTimeout => Closed::Silent,
        RtmpError::TooManyCommands | RtmpError::TooEarly | RtmpError::FieldTooLong => Closed::Protocol("limit"),
        RtmpError::OutOfOrder(_) => Closed::Protocol("out-of-order"),
    }
}

/// One RTMP connection.
struct Connection {
    socket: Socket,
    peer: SocketAddr,
    session: Session,
    read: BytesMut,
    read_bytes: usize,
    /// Fires when the session's time may be over.
    timer: Pin<Box<Sleep>>,
    settings: Arc<Settings>,
    asked_to_move: bool,
}

/// What happens next on a connection.
enum Next {
    /// The session has something to say.
    Event(Event),
    /// The session wants the connection closed.
    Close,
}

impl Connection {
    fn new(socket: Socket, peer: SocketAddr, app: &App, settings: Arc<Settings>, began: Instant) -> Self {
        let config = Config { idle_timeout: app.rtmp_idle_timeout, ..Config::default() };
        Self {
            socket,
            peer,
            session: Session::new(config, began, rand::random()),
            read: BytesMut::new(),
            read_bytes: READ_BYTES_OTHERS,
            timer: Box::pin(tokio::time::sleep(WRITE_TIMEOUT)),
            settings,
            asked_to_move: false,
        }
    }

    async fn run(mut self, app: &Arc<App>) -> Closed {
        match self.until_known(app).await {
            Ok(closed) | Err(closed) => closed,
        }
    }

    /// What comes after is boxed, so that a viewer's task has no room for what only publishers and newcomers need.
    async fn until_known(&mut self, app: &Arc<App>) -> Result<Closed, Closed> {
        loop {
            match self.next().await? {
                Next::Event(Event::Publish(request)) => {
                    match Box::pin(self.admit(app, &request, Action::Publish)).await {
                        Ok(admitted) => {
                            let span = admitted.session.span();
                            return Box::pin(to_stream::run(self, app, admitted).instrument(span)).await;
                        }
                        Err(refusal) => return self.refuse(app, &refusal).await,
                    }
                }
                Next::Event(Event::Play(request)) => match Box::pin(self.admit(app, &request, Action::Play)).await {
                    Ok(admitted) => {
                        return Box::pin(from_stream::run(self, app, admitted, &request.query)).await;
                    }
                    Err(refusal) => return self.refuse(app, &refusal).await,
                },
                Next::Event(_) => {}
                Next::Close => return Ok(Closed::Peer),
            }
        }
    }

    async fn admit(&self, app: &Arc<App>, request: &Request, action: Action) -> Result<Admitted, Refusal> {
        let query = Query::parse(&request.query);
        let (prefix, live, stream) = Prefix::take_of_rtmp(&request.app, &request.stream);
        let (live, stream, prefix) = (&live, &stream, prefix.as_ref());
        let host = host_of(&request.tc_url);
        let credentials = Credentials { query: &query, bearer: None, host, prefix, peer: self.peer };
        admit(app, Wish { action, door: Door::Rtmp, app: live, stream, extension: "", credentials }).await
    }

    /// Tells the peer why not, in RTMP's words, and closes.
    async fn refuse(&mut self, app: &App, refusal: &Refusal) -> Result<Closed, Closed> {
        app.count_refusal("rtmp", refusal);
        tracing::info!(peer = %self.peer, %refusal, "RTMP refused");
        let reason = match refusal {
            Refusal::StreamUnknown(_) | Refusal::TrackUnknown(_) | Refusal::CannotServe(_) => Reason::NotFound,
            Refusal::StreamBusy(_) | Refusal::Name(_) => Reason::BadName,
            Refusal::Draining | Refusal::Full { .. } | Refusal::WebhookSilent { .. } => Reason::Unavailable,
            _ => Reason::Denied,
        };
        self.session.refuse(Refused { reason, sentence: refusal.to_string() });
        self.farewell().await?;
        Ok(Closed::Refused)
    }

    /// Asks the peer to connect elsewhere once this server drains, where it understands that. To be called where the
    /// session has nothing to say, every now and then.
    async fn ask_to_move(&mut self, app: &App) -> Result<(), Closed> {
        if self.asked_to_move || !app.hub.is_draining() {
            return Ok(());
        }
        self.asked_to_move = true;
        let url = self.settings.reconnect_url.as_deref();
        if self.session.request_reconnect(url, "This server is about to shut down; connect anew.") {
            app.counters.add("rtmp_reconnect_requests", "draining");
        }
        self.flush().await
    }

    /// Says what the session has to say last, and sees to it that the peer can read it.
    async fn farewell(&mut self) -> Result<(), Closed> {
        self.flush().await?;
        let _ = self.socket.shutdown().await;
        let drain = async {
            let mut count = 0;
            let mut buffer = vec![0; FAREWELL_READ_BYTES];
            while let Ok(read @ 1..) = self.socket.read(&mut buffer).await
                && count < FAREWELL_BYTES_MAX
            {
                count += read;
            }
        };
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, drain).await;
        Ok(())
    }

    /// Reads and writes until the session has an event. Not cancel safe: a select uses `hear` and then `say`.
    async fn next(&mut self) -> Result<Next, Closed> {
        loop {
            if let Some(next) = self.say().await? {
                return Ok(next);
            }
            self.hear().await?;
        }
    }

    /// Waits until something was read, or the session's time is over, and hands it to the session. Cancel safe. `say`
    /// has to be called until it is `None` before the next call.
    async fn hear(&mut self) -> Result<(), Closed> {
        // Frames are slices of what is read, so a buffer is used up before the next is made.
        if self.read.capacity() < self.read_bytes / READ_ROOM_PART {
            self.read.reserve(self.read_bytes);
        }
        // A viewer waits here again after each frame. So one timer serves all waits: it is set anew only where it would
        // fire too late, and looked at again where it fired too early.
        let heard = loop {
            let deadline = self.session.poll_timeout().unwrap_or_else(|| Instant::now() + WRITE_TIMEOUT).into();
            if self.timer.deadline() > deadline || self.timer.is_elapsed() {
                self.timer.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                read = self.socket.read_buf(&mut self.read) => break read,
                () = self.timer.as_mut() => if tokio::time::Instant::now() >= deadline {
                    return self.session.handle_timeout(Instant::now()).map_err(|error| closed_by(&error));
                }
            }
        };
        match heard {
            Err(_) | Ok(0) => Err(Closed::Peer),
            Ok(_) => {
                let bytes = self.read.split().freeze();
                self.session.receive(Instant::now(), bytes).map_err(|error| closed_by(&error))
            }
        }
    }

    /// Writes what the session has to say, up to the next event. `None` when there is nothing more.
    async fn say(&mut self) -> Result<Option<Next>, Closed> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => self.write(&[bytes]).await?,
                Output::Event(event) => return Ok(Some(Next::Event(event))),
                Output::Close => return Ok(Some(Next::Close)),
            }
        }
        Ok(None)
    }

    /// Writes what the session has to say; events are passed over.
    async fn flush(&mut self) -> Result<(), Closed> {
        while let Some(output) = self.session.poll_output() {
            if let Output::Send(bytes) = output {
                self.write(&[bytes]).await?;
            }
        }
        Ok(())
    }

    /// Writes shared bytes as they are, many at once.
    async fn write(&mut self, parts: &[Bytes]) -> Result<(), Closed> {
        let writing = async {
            let mut queue = Parts { parts, at: 0 };
            self.socket.write_all_buf(&mut queue).await?;
            self.socket.flush().await
        };
        tokio::pin!(writing);
        // Nearly always there is room, and then no timer is needed.
        let at_once = std::future::poll_fn(|context| Poll::Ready(writing.as_mut().poll(context))).await;
        let written = match at_once {
            Poll::Ready(written) => Ok(written),
            Poll::Pending => tokio::time::timeout(WRITE_TIMEOUT, writing).await,
        };
        match written {
            Err(_) => Err(Closed::Silent),
            Ok(Err(_)) => Err(Closed::Peer),
            Ok(Ok(())) => Ok(()),
        }
    }
}

/// Several byte strings as one `Buf`, for vectored writes without copying.
struct Parts<'a> {
    parts: &'a [Bytes],
    at: usize,
}

impl bytes::Buf for Parts<'_> {
    fn remaining(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum::<usize>().saturating_sub(self.at)
    }

    fn chunk(&self) -> &[u8] {
        self.parts.first().and_then(|part| part.get(self.at..)).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.at += count;
        while let Some((first, rest)) = self.parts.split_first()
            && self.at >= first.len()
        {
            self.at -= first.len();
            self.parts = rest;
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut skip = self.at;
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(self.parts) {
            *slice = std::io::IoSlice::new(part.get(skip..).unwrap_or_default());
            skip = 0;
            count += 1;
        }
        count
    }
}

/// The host name in `rtmp://host:port/app`.
fn host_of(tc_url: &str) -> Option<&str> {
    let authority = tc_url.split_once("://")?.1.split('/').next()?;
    Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host)).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;

    #[test]
    fn parts_are_one_buffer() {
        let parts = [Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cde")];
        let mut queue = Parts { parts: &parts, at: 0 };
        assert_eq!(queue.remaining(), 5);
        queue.advance(1);
        assert_eq!(queue.chunk(), b"b");
        queue.advance(2);
        assert_eq!((queue.remaining(), queue.chunk()), (2, &b"de"[..]));
        queue.advance(2);
        assert_eq!((queue.remaining(), queue.chunk()), (0, &b""[..]));
    }

    #[test]
    fn hosts() {
        assert_eq!(host_of("rtmp://media.example:1935/live"), Some("media.example"));
        assert_eq!(host_of("rtmp://media.example/live"), Some("media.example"));
        assert_eq!(host_of("nonsense"), None);
    }
}
