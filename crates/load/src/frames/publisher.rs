//! A publisher: pictures and sounds at their times, by RTMP.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use tokio::{io::AsyncReadExt as _, net::TcpStream, sync::watch};
use wire::{
    flv::TagKind,
    rtmp::{
        Message,
        client::{Event, Mode, Output, Session, Target},
    },
};

use super::{
    frame::{Frames, Stamp},
    run::Run,
};

/// What is published.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) bitrate_bps: u64,
    pub(crate) fps: u64,
    pub(crate) gop: u64,
}

/// A key frame is so many times as large as another.
const KEY_FACTOR: u64 = 5;
/// AAC of 48 kHz: samples in a frame, and bytes of one at 64 kbit/s.
const AUDIO_RATE_HZ: u64 = 48_000;
const AUDIO_SAMPLES: u64 = 1_024;
const AUDIO_BYTES: usize = 170;
/// A server that takes no frame for so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Shape {
    fn picture_bytes(&self, key: bool) -> usize {
        let unit = self.bitrate_bps * self.gop / self.fps / 8 / (self.gop - 1 + KEY_FACTOR);
        (if key { unit * KEY_FACTOR } else { unit }) as usize
    }
}

/// One RTMP connection of a client.
pub(crate) struct Connection {
    session: Session,
    socket: TcpStream,
    read: BytesMut,
}

impl Connection {
    /// Dials and waits until it is let in.
    pub(crate) async fn open(url: &str, mode: Mode) -> anyhow::Result<Self> {
        let target = Target::parse(url, mode)?;
        let socket = TcpStream::connect((target.host.as_str(), target.port)).await.context("cannot connect")?;
        socket.set_nodelay(true)?;
        let mut own = Self { session: Session::new(target, Instant::now(), 1), socket, read: BytesMut::new() };
        match tokio::time::timeout(PATIENCE, own.event()).await {
            Ok(Ok(Event::Ready)) => Ok(own),
            Ok(Ok(event)) => bail!("{url}: the server answered {event:?}"),
            Ok(Err(error)) => Err(error.context(url.to_owned())),
            Err(_) => bail!("{url}: no answer in {PATIENCE:?}"),
        }
    }

    /// The next event. Cancel safe but for what is being written, which small control messages are.
    pub(crate) async fn event(&mut self) -> anyhow::Result<Event> {
        loop {
            if let Some(event) = self.flush().await? {
                return Ok(event);
            }
            self.read_more().await?;
        }
    }

    /// Reads once. Cancel safe.
    async fn read_more(&mut self) -> anyhow::Result<()> {
        if self.read.capacity() < 4_096 {
            self.read.reserve(65_536);
        }
        let count = self.socket.read_buf(&mut self.read).await?;
        if count == 0 {
            bail!("the server closed the connection");
        }
        self.session.receive(Instant::now(), self.read.split().freeze())?;
        Ok(())
    }

    async fn flush(&mut self) -> anyhow::Result<Option<Event>> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => self.write(&bytes).await?,
                Output::Event(event) => return Ok(Some(event)),
                Output::Close => bail!("the conversation is over"),
            }
        }
        Ok(None)
    }

    async fn write(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        use tokio::io::AsyncWriteExt as _;
        tokio::time::timeout(PATIENCE, self.socket.write_all_buf(&mut bytes))
            .await
            .context("the server does not read")??;
        Ok(())
    }

    async fn send(&mut self, kind: TagKind, timestamp_ms: u64, body: Bytes) -> anyhow::Result<()> {
        self.session.send_media(&Message { kind, timestamp_ms: timestamp_ms as u32, body });
        self.flush().await?;
        Ok(())
    }
}

/// Publishes until `stop`; gives the number of frames that count.
pub(crate) async fn run(
    url: String,
    shape: Shape,
    late: Duration,
    frames: Arc<Frames>,
    run: Arc<Run>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<u64> {
    let mut connection = Connection::open(&url, Mode::Publish).await?;
    connection.send(TagKind::Video, 0, frames.video_header.clone()).await?;
    connection.send(TagKind::Audio, 0, frames.audio_header.clone()).await?;
    run.publishing.fetch_add(1, Relaxed);
    let begin = tokio::time::Instant::now() + late;
    let (mut pictures, mut sounds, mut counted) = (0_u64, 0_u64, 0);
    loop {
        let picture_us = pictures * 1_000_000 / shape.fps;
        let sound_us = sounds * AUDIO_SAMPLES * 1_000_000 / AUDIO_RATE_HZ;
        let due_us = picture_us.min(sound_us);
        let due = tokio::time::sleep_until(begin + Duration::from_micros(due_us));
        let is_due = tokio::select! {
            () = due => true,
            _ = stop.changed() => return Ok(counted),
            read = connection.read_more() => {
                read?;
                false
            }
        };
        if !is_due {
            connection.flush().await?;
            continue;
        }
        let sent_ns = run.now_ns();
        let stamp = |number| Stamp { number, sent_ns };
        let (kind, body) = if picture_us <= sound_us {
            let key = pictures.is_multiple_of(shape.gop);
            (TagKind::Video, frames.video(key, stamp(pictures), shape.picture_bytes(key)))
        } else {
            (TagKind::Audio, frames.audio(stamp(sounds), AUDIO_BYTES))
        };
        if kind == TagKind::Video {
            pictures += 1
        } else {
            sounds += 1
        }
        counted += u64::from(run.counts(sent_ns));
        connection.send(kind, due_us / 1_000, body).await?;
    }
}
