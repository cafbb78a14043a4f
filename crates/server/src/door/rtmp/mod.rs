//! RTMP: the listener, and one connection until it is known whether it publishes or plays.

mod from_stream;
mod to_stream;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tracing::Instrument as _;
use wire::rtmp::{
    Error as RtmpError,
    server::{Config, Event, Output, Reason, Refusal as Refused, Request, Session},
};

pub use to_stream::Ingest;

use crate::{
    admission::{Admitted, Wish, admit},
    app::App,
    auth::Credentials,
    door::Door,
    query::Query,
    refusal::Refusal,
    session::Action,
};

/// A peer that takes no bytes for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a buffer that the socket is read into, and how little room may be left in it.
const READ_BYTES: usize = 64 * 1024;
const READ_BYTES_MIN: usize = 4 * 1024;
/// A peer that is told goodbye has so long, and may send so many bytes more, before the socket is closed: closing with
/// bytes unread resets the connection, and the sentence is lost.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
const FAREWELL_BYTES_MAX: usize = 1 << 20;

/// Serves RTMP on a listener until `stop` says so.
pub async fn serve(listener: TcpListener, app: Arc<App>, connections_max: usize, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(connections_max));
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
        let app = app.clone();
        tokio::spawn(async move {
            let reason = Connection::new(socket, peer, &app).run(&app).await;
            app.counters.add("rtmp_closed", reason.label());
            drop(permit);
        });
    }
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
    socket: TcpStream,
    peer: SocketAddr,
    session: Session,
    read: BytesMut,
}

/// What happens next on a connection.
enum Next {
    /// The session has something to say.
    Event(Event),
    /// The session wants the connection closed.
    Close,
}

impl Connection {
    fn new(socket: TcpStream, peer: SocketAddr, app: &App) -> Self {
        let _ = socket.set_nodelay(true);
        let config = Config { idle_timeout: app.rtmp_idle_timeout, ..Config::default() };
        Self { socket, peer, session: Session::new(config, Instant::now(), rand::random()), read: BytesMut::new() }
    }

    async fn run(mut self, app: &Arc<App>) -> Closed {
        match self.until_known(app).await {
            Ok(closed) | Err(closed) => closed,
        }
    }

    async fn until_known(&mut self, app: &Arc<App>) -> Result<Closed, Closed> {
        loop {
            match self.next().await? {
                Next::Event(Event::Publish(request)) => match self.admit(app, &request, Action::Publish).await {
                    Ok(admitted) => {
                        let span = admitted.session.span();
                        return to_stream::run(self, app, admitted).instrument(span).await;
                    }
                    Err(refusal) => return self.refuse(app, &refusal).await,
                },
                Next::Event(Event::Play(request)) => match self.admit(app, &request, Action::Play).await {
                    Ok(admitted) => {
                        let span = admitted.session.span();
                        return from_stream::run(self, app, admitted).instrument(span).await;
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
        let credentials = Credentials { query: &query, bearer: None, host: host_of(&request.tc_url), peer: self.peer };
        let (live, stream) = (&request.app, &request.stream);
        admit(app, Wish { action, door: Door::Rtmp, app: live, stream, extension: "", credentials }).await
    }

    /// Tells the peer why not, in RTMP's words, and closes.
    async fn refuse(&mut self, app: &App, refusal: &Refusal) -> Result<Closed, Closed> {
        app.count_refusal("rtmp", refusal);
        tracing::info!(peer = %self.peer, %refusal, "RTMP refused");
        let reason = match refusal {
            Refusal::StreamUnknown(_) | Refusal::CannotServe(_) => Reason::NotFound,
            Refusal::StreamBusy(_) | Refusal::Name(_) => Reason::BadName,
            Refusal::Draining | Refusal::Full { .. } => Reason::Unavailable,
            _ => Reason::Denied,
        };
        self.session.refuse(Refused { reason, sentence: refusal.to_string() });
        self.farewell().await?;
        Ok(Closed::Refused)
    }

    /// Says what the session has to say last, and sees to it that the peer can read it.
    async fn farewell(&mut self) -> Result<(), Closed> {
        self.flush().await?;
        let _ = self.socket.shutdown().await;
        let drain = async {
            let mut count = 0;
            let mut buffer = vec![0; READ_BYTES_MIN];
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
        let deadline = self.session.poll_timeout().unwrap_or_else(|| Instant::now() + WRITE_TIMEOUT);
        // Frames are slices of what is read, so a buffer is used up before the next is made.
        if self.read.capacity() < READ_BYTES_MIN {
            self.read.reserve(READ_BYTES);
        }
        let heard = match tokio::time::timeout_at(deadline.into(), self.socket.read_buf(&mut self.read)).await {
            Err(_) => self.session.handle_timeout(Instant::now()),
            Ok(Err(_) | Ok(0)) => return Err(Closed::Peer),
            Ok(Ok(_)) => {
                let bytes = self.read.split().freeze();
                self.session.receive(Instant::now(), bytes)
            }
        };
        heard.map_err(|error| closed_by(&error))
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
            self.socket.write_all_buf(&mut queue).await
        };
        match tokio::time::timeout(WRITE_TIMEOUT, writing).await {
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
