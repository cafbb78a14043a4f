//! A viewer: reads RTMP or FLV, and looks at every frame.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use anyhow::{Context as _, bail, ensure};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use wire::{
    flv::{Demuxer, TagKind},
    rtmp::client::{Event, Mode},
};

use super::{
    frame,
    publisher::{Connection, PATIENCE},
    run::{Run, Seen},
};

/// The header of an HTTP answer is not longer.
const ANSWER_BYTES_MAX: usize = 8_192;

/// What a viewer keeps of the order of frames.
struct Watch {
    run: Arc<Run>,
    seen: Seen,
    audio: Track,
    video: Track,
}

/// The frames of one kind.
#[derive(Default)]
struct Track {
    /// The last number.
    last: Option<u64>,
    /// The last frame was sent after the window.
    over: bool,
}

impl Watch {
    fn new(run: Arc<Run>) -> Self {
        Self { run, seen: Seen::default(), audio: Track::default(), video: Track::default() }
    }

    /// Looks at a frame; true when the window is over for both kinds.
    fn frame(&mut self, kind: TagKind, body: &[u8]) -> bool {
        if kind == TagKind::Script {
            return false;
        }
        let stamp = match frame::check(kind, body) {
            Ok(Some(stamp)) => stamp,
            Ok(None) => return false,
            Err(_) => {
                self.seen.corruptions += 1;
                return false;
            }
        };
        if self.audio.last.is_none() && self.video.last.is_none() {
            self.run.watching.fetch_add(1, Relaxed);
        }
        let track = if kind == TagKind::Video { &mut self.video } else { &mut self.audio };
        self.seen.gaps += u64::from(track.last.is_some_and(|last| stamp.number != last + 1));
        track.last = Some(stamp.number);
        track.over = self.run.is_over(stamp.sent_ns);
        if self.run.counts(stamp.sent_ns) {
            self.seen.frame(&self.run, stamp.sent_ns);
        }
        self.audio.over && self.video.over
    }
}

/// Watches by RTMP until the window is over.
pub(crate) async fn rtmp(url: String, run: Arc<Run>) -> anyhow::Result<()> {
    let mut connection = Connection::open(&url, Mode::Play).await?;
    let mut watch = Watch::new(run);
    loop {
        let event = tokio::time::timeout(PATIENCE, connection.event()).await.context("no frame for too long")??;
        match event {
            Event::Media(message) => {
                watch.run.bytes.fetch_add(message.body.len() as u64, Relaxed);
                if watch.frame(message.kind, &message.body) {
                    break;
                }
            }
            Event::ReconnectRequested { .. } => {}
            other => bail!("{url}: the server said {other:?}"),
        }
    }
    let Watch { run, seen, .. } = watch;
    run.saw(seen);
    Ok(())
}

/// Watches by FLV over HTTP until the window is over.
pub(crate) async fn flv(address: std::net::SocketAddr, path: String, run: Arc<Run>) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(address).await.context("cannot connect")?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut read = BytesMut::new();
    let body = loop {
        ensure!(socket.read_buf(&mut read).await? > 0 && read.len() < ANSWER_BYTES_MAX, "{path}: no answer");
        if let Some(at) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(read.get(..body).unwrap_or_default()).to_ascii_lowercase();
    ensure!(
        head.starts_with("http/1.1 200"),
        "{path}: the server answered {}",
        head.lines().next().unwrap_or_default()
    );
    let mut chunks = Chunks { left: 0, chunked: head.contains("transfer-encoding: chunked"), line: Vec::new() };
    let mut rest = read.split_off(body).freeze();
    read.clear();
    let mut demuxer = Demuxer::new();
    let mut watch = Watch::new(run);
    loop {
        while let Some(piece) = chunks.next(&mut rest)? {
            demuxer.push(&piece);
        }
        while let Some(tag) = demuxer.poll()? {
            watch.run.bytes.fetch_add(tag.body.len() as u64, Relaxed);
            if watch.frame(tag.kind, &tag.body) {
                let Watch { run, seen, .. } = watch;
                run.saw(seen);
                return Ok(());
            }
        }
        read.reserve(65_536);
        let count =
            tokio::time::timeout(PATIENCE, socket.read_buf(&mut read)).await.context("no frame for too long")??;
        ensure!(count > 0, "{path}: the server closed the connection");
        rest = read.split().freeze();
    }
}

/// Chunked transfer coding (RFC 9112 section 7.1).
struct Chunks {
    left: usize,
    chunked: bool,
    line: Vec<u8>,
}

impl Chunks {
    /// The next piece of the body; `None` when `input` is used up.
    fn next(&mut self, input: &mut Bytes) -> anyhow::Result<Option<Bytes>> {
        if !self.chunked {
            return Ok((!input.is_empty()).then(|| input.split_off(0)));
        }
        while !input.is_empty() {
            if self.left > 0 {
                let piece = input.split_to(self.left.min(input.len()));
                self.left -= piece.len();
                return Ok(Some(piece));
            }
            self.line.extend(input.split_to(1));
            ensure!(self.line.len() < 32, "the chunks are broken");
            if let Some(digits) = self.line.strip_suffix(b"\r\n") {
                // The line end after a chunk looks like an empty line.
                if !digits.is_empty() {
                    self.left = usize::from_str_radix(std::str::from_utf8(digits)?, 16)?;
                    ensure!(self.left > 0, "the stream ended");
                }
                self.line.clear();
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::frames::frame::{Frames, Stamp};
    use std::time::Duration;

    #[test]
    fn chunks_are_put_together_wherever_they_are_cut() {
        let coded = b"3\r\nabc\r\nA\r\n0123456789\r\n";
        for cut in 0..coded.len() {
            let mut chunks = Chunks { left: 0, chunked: true, line: Vec::new() };
            let mut found = Vec::new();
            for part in [&coded[..cut], &coded[cut..]] {
                let mut part = Bytes::copy_from_slice(part);
                while let Some(piece) = chunks.next(&mut part).unwrap() {
                    found.extend(piece);
                }
            }
            assert_eq!(found, b"abc0123456789", "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_that_is_missing_or_doubled_is_a_gap() {
        let frames = Frames::new().unwrap();
        let run = Arc::new(Run::new());
        run.open_window(Duration::from_secs(60));
        let mut watch = Watch::new(run.clone());
        for number in [5, 6, 8, 8, 9] {
            let sent_ns = run.now_ns();
            assert!(!watch.frame(TagKind::Video, &frames.video(false, Stamp { number, sent_ns }, 500)));
        }
        let mut broken = frames.audio(Stamp { number: 0, sent_ns: run.now_ns() }, 170).to_vec();
        broken.reverse();
        watch.frame(TagKind::Audio, &broken);
        assert_eq!((watch.seen.received, watch.seen.gaps, watch.seen.corruptions), (5, 2, 1));
        for kind in [TagKind::Audio, TagKind::Video] {
            let stamp = Stamp { number: 10, sent_ns: u64::MAX };
            let body = if kind == TagKind::Audio { frames.audio(stamp, 170) } else { frames.video(false, stamp, 500) };
            assert_eq!(watch.frame(kind, &body), kind == TagKind::Video);
        }
    }
}
