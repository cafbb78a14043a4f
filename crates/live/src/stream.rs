//! A live stream as frames: at most one audio and one video track, the ring of what was last published, and the
//! cursors that viewers read it with.
//!
//! Plain state: whoever shares a stream between threads locks it and tells its viewers when it has changed.

use std::{fmt, sync::Arc, time::Instant};

use media::{Frame, Kind, MediaTime, TrackInfo};
use thiserror::Error;

use crate::{cursor::Edge, ring::Ring, stats::Meter};
pub use crate::{
    cursor::{Cursor, Read, Start},
    entry::{Entry, Headers, Track},
    ring::Limits,
    stats::{BFrames, Stats},
};

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The publisher said goodbye, or its connection ended.
    PublisherLeft,
    /// Nothing came from the publisher for too long.
    PublisherSilent,
    /// Another publisher took the name.
    TakenOver,
    /// The server drains.
    Drained,
    /// The stream turned into one that this door cannot carry.
    CodecChanged,
    /// An operator ended it.
    Kicked,
}

impl EndReason {
    /// A short name for counters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::PublisherLeft => "publisher-left",
            Self::PublisherSilent => "publisher-silent",
            Self::TakenOver => "taken-over",
            Self::Drained => "drained",
            Self::CodecChanged => "codec-changed",
            Self::Kicked => "kicked",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PublisherLeft => "the publisher has left",
            Self::PublisherSilent => "the publisher has sent nothing for too long",
            Self::TakenOver => "another publisher has taken the stream's name",
            Self::Drained => "the server is being shut down",
            Self::CodecChanged => "the stream has changed into one that cannot be carried here",
            Self::Kicked => "an operator has ended the stream",
        })
    }
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PushError {
    /// No track of its kind and coding is announced.
    #[error("no track of that coding is announced")]
    NoTrack,
    /// It is older than the one before it in its track.
    #[error("the frame is older than the one before it")]
    Backwards,
    /// The track has begun, or a frame of it was refused, and no key frame has come since.
    #[error("the track waits for a key frame")]
    AwaitingKey,
    /// It has more bytes than the whole ring may have.
    #[error("the frame has {bytes} bytes, more than the stream may keep")]
    TooLarge {
        /// How many bytes came.
        bytes: usize,
    },
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
}

/// A live stream.
#[derive(Debug)]
pub struct Stream {
    ring: Ring,
    audio: Option<Lane>,
    video: Option<Lane>,
    epochs: u32,
    meter: Meter,
    ended: Option<EndReason>,
}

/// A track and where it is.
#[derive(Debug)]
struct Lane {
    track: Arc<Track>,
    last_dts: Option<MediaTime>,
    awaiting_key: bool,
    /// The stream's newest time when the track last moved, or was announced; `None` where no frame had come at all.
    moved_us: Option<i64>,
}

/// A video track that stays so far behind the sound, in microseconds, has paused: a camera that is switched off.
/// Whoever starts then gets the sound at once, and the picture when it comes back.
const VIDEO_SILENCE_US: i64 = 3_000_000;

impl Stream {
    /// A stream without tracks.
    pub fn new(limits: Limits) -> Self {
        Self { ring: Ring::new(limits), audio: None, video: None, epochs: 0, meter: Meter::default(), ended: None }
    }

    /// Announces a track. True when it is new or changed: a new epoch of the track begins, and frames before belong to
    /// the old one. Pictures of the new one begin with a key frame.
    pub fn announce(&mut self, info: TrackInfo) -> bool {
        if self.track(info.kind()).is_some_and(|track| track.info == info) {
            return false;
        }
        let kind = info.kind();
        self.epochs += 1;
        self.meter.begin(&info);
        if kind == Kind::Video {
            self.ring.forget_keys();
        }
        let moved_us = (self.ring.tail() > 0).then(|| self.ring.newest_us());
        let track = Arc::new(Track::new(info, self.epochs));
        // A change of the sampling rate changes the unit of `dts`, so the old one says nothing.
        *self.lane_mut(kind) = Some(Lane { track, last_dts: None, awaiting_key: kind == Kind::Video, moved_us });
        true
    }

    /// A track is gone; the other goes on.
    pub fn withdraw(&mut self, kind: Kind) {
        *self.lane_mut(kind) = None;
        if kind == Kind::Video {
            self.ring.forget_keys();
        }
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// Where it cannot be placed; it is dropped and counted. When a picture that others may refer to is dropped, all
    /// until the next key frame are.
    pub fn push(&mut self, now: Instant, frame: Frame) -> Result<(), PushError> {
        let placed = self.place(&frame);
        let track = match placed {
            Ok(track) => track,
            Err(error) => {
                self.meter.refuse();
                return Err(error);
            }
        };
        let (kind, flags, bytes) = (frame.kind(), frame.flags, frame.payload.len());
        let entry = Entry::new(self.ring.tail(), track, frame);
        self.meter.take(now, kind, flags, bytes, entry.time_us);
        self.ring.push(entry);
        if let Some(video) = &mut self.video
            && (kind == Kind::Video || video.moved_us.is_none())
        {
            video.moved_us = Some(self.ring.newest_us());
        }
        Ok(())
    }

    fn place(&mut self, frame: &Frame) -> Result<Arc<Track>, PushError> {
        if self.ended.is_some() {
            return Err(PushError::Ended);
        }
        let bytes = frame.payload.len();
        let bytes_max = self.ring.limits().ring_bytes_max;
        let lane = self.lane_mut(frame.kind()).as_mut().ok_or(PushError::NoTrack)?;
        if lane.track.info.codec != frame.codec {
            return Err(PushError::NoTrack);
        }
        let refused = if lane.last_dts.is_some_and(|last| frame.dts < last) {
            Some(PushError::Backwards)
        } else if bytes > bytes_max {
            Some(PushError::TooLarge { bytes })
        } else {
            None
        };
        if let Some(error) = refused {
            lane.awaiting_key |= frame.kind() == Kind::Video && !frame.flags.discardable;
            return Err(error);
        }
        if lane.awaiting_key && !frame.flags.key {
            return Err(PushError::AwaitingKey);
        }
        lane.awaiting_key = false;
        lane.last_dts = Some(frame.dts);
        Ok(lane.track.clone())
    }

    /// Ends the stream; the first reason counts. Viewers read what is left and then the reason.
    pub fn end(&mut self, reason: EndReason) {
        self.ended.get_or_insert(reason);
    }

    /// The track of a kind as it was last announced.
    pub fn track(&self, kind: Kind) -> Option<&Arc<Track>> {
        match kind {
            Kind::Audio => self.audio.as_ref(),
            Kind::Video => self.video.as_ref(),
        }
        .map(|lane| &lane.track)
    }

    /// A viewer's place. Where there is no key frame to start at yet, reading waits for it; where there are no
    /// pictures, it starts with sound.
    pub fn cursor(&self, start: Start) -> Cursor {
        Cursor::new(start, self.ring.tail())
    }

    /// Adds up to `max` entries to `out` and moves the cursor behind them. A jump is made only while `out` is empty,
    /// so that what was read before it is not joined with what comes after it.
    pub fn read(&self, cursor: &mut Cursor, max: usize, out: &mut Vec<Arc<Entry>>) -> Read {
        let newest_us = self.ring.newest_us();
        let has_live_video = self
            .video
            .as_ref()
            .is_some_and(|video| video.moved_us.is_none_or(|moved_us| newest_us - moved_us <= VIDEO_SILENCE_US));
        let is_blank = self.audio.is_none() && self.video.is_none();
        cursor.read(&self.ring, Edge { is_blank, has_live_video, ended: self.ended }, max, out)
    }

    /// What the stream counts of itself.
    pub fn stats(&self, now: Instant) -> Stats {
        Stats { ring_frames: self.ring.len(), ring_bytes: self.ring.bytes(), ..self.meter.stats(now) }
    }

    fn lane_mut(&mut self, kind: Kind) -> &mut Option<Lane> {
        match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        }
    }
}

#[cfg(test)]
mod tests;
