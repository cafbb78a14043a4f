//! ICE-TCP (RFC 6544): passive connections with framing, bounded in number, in time and in what waits to be written.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Interest, Registry, Token, net::TcpListener, net::TcpStream};

use crate::{
    framing::{FRAME_BYTES_MAX, Reader},
    socket::{Protocol, Received, canonical},
};

/// Connections at once.
const CONNECTIONS_MAX: usize = 512;
/// A connection that has sent no whole frame by then is closed.
const FIRST_FRAME_MAX: Duration = Duration::from_secs(10);
/// A connection that has been silent for so long is closed: ICE checks come every few seconds.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// What waits to be written on a connection; more is dropped, as a full network would.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// Reads of one connection before the others get their turn.
const READS_MAX: usize = 16;
/// Connections taken at once.
const ACCEPTS_MAX: usize = 64;

/// What was counted about TCP connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpStats {
    /// Connections now.
    pub connections: u64,
    /// Connections refused because there were too many.
    pub refused: u64,
    /// Connections closed because no frame came in time, or one was too long.
    pub unfit: u64,
    /// Datagrams dropped because the peer reads too slowly, or has gone.
    pub dropped: u64,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    reader: Reader,
    written: Vec<u8>,
    writable: bool,
    proven: bool,
    last: Instant,
}

/// The connections of a listener.
#[derive(Debug)]
pub(crate) struct Connections {
    listener: TcpListener,
    by_token: HashMap<Token, Connection>,
    by_peer: HashMap<SocketAddr, Token>,
    next: usize,
    stats: TcpStats,
}

impl Connections {
    /// `first` is the first token that connections may use.
    pub(crate) fn new(listener: TcpListener, first: usize) -> Self {
        Self { listener, by_token: HashMap::new(), by_peer: HashMap::new(), next: first, stats: TcpStats::default() }
    }

    pub(crate) fn listener(&mut self) -> &mut TcpListener {
        &mut self.listener
    }

    pub(crate) fn stats(&self) -> TcpStats {
        TcpStats { connections: self.by_token.len() as u64, ..self.stats }
    }

    pub(crate) fn accept(&mut self, registry: &Registry, now: Instant) -> bool {
        for _ in 0..ACCEPTS_MAX {
            let (mut stream, peer) = match self.listener.accept() {
                Ok((stream, peer)) => (stream, canonical(peer)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {
                    continue;
                }
                Err(_) => {
                    // No more file descriptors, as a rule: the next connection tries again.
                    self.stats.refused += 1;
                    return false;
                }
            };
            let (Ok(local), true) = (stream.local_addr().map(canonical), self.by_token.len() < CONNECTIONS_MAX) else {
                self.stats.refused += 1;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let token = Token(self.next);
            self.next = self.next.wrapping_add(1);
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_err() {
                self.stats.refused += 1;
                continue;
            }
            let reader = Reader::default();
            let connection = Connection {
                stream,
                peer,
                local,
                reader,
                written: Vec::new(),
                writable: true,
                proven: false,
                last: now,
            };
            self.by_token.insert(token, connection);
            self.by_peer.insert(peer, token);
        }
        true
    }

    /// Reads what came on a connection. True where more may be there.
    pub(crate) fn read(
        &mut self,
        token: Token,
        now: Instant,
        scratch: &mut [u8],
        take: &mut dyn FnMut(Received<'_>),
    ) -> bool {
        let Some(connection) = self.by_token.get_mut(&token) else { return false };
        for _ in 0..READS_MAX {
            match connection.stream.read(scratch) {
                Ok(0) => {
                    self.close(token);
                    return false;
                }
                Ok(length) => connection.reader.extend(scratch.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    self.close(token);
                    return false;
                }
            }
            loop {
                match connection.reader.next() {
                    Ok(Some(bytes)) => {
                        connection.proven = true;
                        connection.last = now;
                        take(Received { proto: Protocol::Tcp, from: connection.peer, to: connection.local, bytes });
                    }
                    Ok(None) => break,
                    Err(_) => {
                        self.stats.unfit += 1;
                        self.close(token);
                        return false;
                    }
                }
            }
        }
        true
    }

    /// A connection can be written again.
    pub(crate) fn flush(&mut self, token: Token) {
        if let Some(connection) = self.by_token.get_mut(&token) {
            connection.writable = true;
            if connection.flush().is_err() {
                self.close(token);
            }
        }
    }

    /// Queues datagrams of `segment` bytes, the last of which may be shorter, a frame each; dropped where the peer is gone
    /// or too much waits already.
    pub(crate) fn send(&mut self, to: SocketAddr, bytes: &[u8], segment: usize) {
        let segment = if segment == 0 { bytes.len().max(1) } else { segment };
        let datagrams = bytes.chunks(segment);
        let found = self.by_peer.get(&to).and_then(|token| Some((*token, self.by_token.get_mut(token)?)));
        let Some((token, connection)) = found else {
            self.stats.dropped += datagrams.len() as u64;
            return;
        };
        for datagram in datagrams {
            let length = u16::try_from(datagram.len()).ok().filter(|_| datagram.len() <= FRAME_BYTES_MAX);
            match length {
                Some(length) if connection.written.len() + 2 + datagram.len() <= WRITE_BYTES_MAX => {
                    connection.written.extend_from_slice(&length.to_be_bytes());
                    connection.written.extend_from_slice(datagram);
                }
                _ => self.stats.dropped += 1,
            }
        }
        if connection.flush().is_err() {
            self.close(token);
        }
    }

    /// Closes connections that never became one of ours, or have gone silent.
    pub(crate) fn prune(&mut self, now: Instant) {
        let over = |connection: &Connection| {
            let limit = if connection.proven { SILENT_MAX } else { FIRST_FRAME_MAX };
            now.saturating_duration_since(connection.last) > limit
        };
        let gone: Vec<Token> =
            self.by_token.iter().filter(|(_, connection)| over(connection)).map(|(token, _)| *token).collect();
        for token in gone {
            self.stats.unfit += 1;
            self.close(token);
        }
    }

    fn close(&mut self, token: Token) {
        if let Some(connection) = self.by_token.remove(&token)
            && self.by_peer.get(&connection.peer) == Some(&token)
        {
            self.by_peer.remove(&connection.peer);
        }
    }
}

impl Connection {
    fn flush(&mut self) -> io::Result<()> {
        while self.writable && !self.written.is_empty() {
            match self.stream.write(&self.written) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    self.written.drain(..length);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
