//! A socket under `wire`'s RTMP client.

use std::{collections::VecDeque, time::Instant};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::sleep_until,
};
use wire::rtmp::{
    Message,
    client::{Event, Output, Session, Target},
};

use super::{Io, Trust, dial};
use crate::Error;

const READ_BYTES: usize = 64 * 1024;

/// One connection.
pub(crate) struct Connection {
    session: Session,
    io: Box<dyn Io>,
    buffer: BytesMut,
    out: BytesMut,
    events: VecDeque<Event>,
    closed: bool,
}

impl Connection {
    pub(crate) async fn open(target: Target, trust: Trust) -> Result<Self, Error> {
        let (io, _) = dial(&target.host, target.port, target.tls, trust).await?;
        let session = Session::new(target, Instant::now(), rand::random());
        let mut connection =
            Self { session, io, buffer: BytesMut::new(), out: BytesMut::new(), events: VecDeque::new(), closed: false };
        connection.flush().await?;
        Ok(connection)
    }

    /// The next event; a refusal is an error. It may be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Result<Event, Error> {
        loop {
            match self.events.pop_front() {
                Some(Event::Refused { code, description }) => {
                    let reason = if description.is_empty() { code } else { format!("{description} ({code})") };
                    return Err(Error::Refused { status: None, reason });
                }
                Some(event) => return Ok(event),
                None if self.closed => return Err(Error::Lost("the server closed the connection".to_owned())),
                None => {}
            }
            self.flush().await?;
            if !self.events.is_empty() {
                continue;
            }
            let due = self.session.poll_timeout();
            let timer = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            self.buffer.reserve(READ_BYTES);
            let wrong = |error: &dyn std::fmt::Display| Error::Lost(format!("RTMP: {error}"));
            tokio::select! {
                read = self.io.read_buf(&mut self.buffer) => match read {
                    Ok(0) => self.closed = true,
                    Ok(_) => {
                        let bytes = self.buffer.split().freeze();
                        self.session.receive(Instant::now(), bytes).map_err(|error| wrong(&error))?;
                    }
                    Err(error) => return Err(wrong(&error)),
                },
                () = timer => self.session.handle_timeout(Instant::now()).map_err(|error| wrong(&error))?,
            }
            self.flush().await?;
        }
    }

    /// Sends a message of media.
    pub(crate) async fn send(&mut self, message: &Message) -> Result<(), Error> {
        self.session.send_media(message);
        self.flush().await
    }

    /// Says good-bye.
    pub(crate) async fn finish(&mut self) {
        self.session.finish();
        let _ = self.flush().await;
        let _ = self.io.shutdown().await;
    }

    async fn flush(&mut self) -> Result<(), Error> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => self.out.extend_from_slice(&bytes),
                Output::Event(event) => self.events.push_back(event),
                Output::Close => self.closed = true,
            }
        }
        // What is dropped while it waits has not lost a byte: only what was written leaves the buffer.
        while !self.out.is_empty() {
            let written = self.io.write_buf(&mut self.out).await;
            written.map_err(|error| Error::Lost(format!("the connection broke: {error}")))?;
        }
        let flushed = self.io.flush().await;
        flushed.map_err(|error| Error::Lost(format!("the connection broke: {error}")))
    }
}
