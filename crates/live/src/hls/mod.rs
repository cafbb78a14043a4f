//! HLS: cuts a stream into segments of fragmented MP4 and keeps the playlist of the newest.
//!
//! A segment begins at the first key frame at or after the wanted length, never inside a group of pictures; without
//! pictures it is cut by time. What does not live here: the text of playlists and the boxes of MP4 (`wire`), and who
//! may fetch what (the server's door).

mod names;
mod open;
mod shelf;

pub use names::{File, file_name};

use media::{Frame, Kind, MediaTime, TrackInfo};
use wire::mp4;

use open::Open;
use shelf::{Shelf, Tracks};

/// A key frame may end a segment so much early, in percent: a source that is asked for one every two seconds answers
/// now a little before and now a little after, and would else be cut every four.
const EARLY_PERCENT: i64 = 5;
/// What a segment weighs, at most: 16 MiB are 13 s at 10 Mbit/s. A stream that sends more between two key frames
/// cannot be played by segments.
const SEGMENT_BYTES_MAX: usize = 16 << 20;
/// Without a picture for so long, the stream goes on as sound: 10 s.
const PICTURE_SILENCE_US: i64 = 10_000_000;
/// Between two frames of the track that is cut by, at most; beyond it the time stamps have jumped: 10 s.
const GAP_US_MAX: i64 = 10_000_000;
/// Segments in a playlist, at least (RFC 8216 section 6.2.2).
const SEGMENTS_MIN: usize = 3;

/// How a stream is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Length that segments have at least, in ms.
    pub segment_ms: u32,
    /// Segments in the playlist; 3 at least.
    pub segments: usize,
    /// Segments that are still served after they left the playlist.
    pub keep: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { segment_ms: 2_000, segments: 6, keep: 3 }
    }
}

/// What could not be packaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Frames that no decoder could have shown, or of a coding that MP4 does not hold here.
    pub frames: u64,
    /// Segments that grew too large.
    pub segments: u64,
}

/// A track as it was last seen.
#[derive(Debug)]
struct Known {
    epoch: u32,
    info: TrackInfo,
}

impl Known {
    fn new(epoch: u32, info: &TrackInfo) -> Self {
        Self { epoch, info: info.clone() }
    }

    fn is(this: Option<&Self>, epoch: u32) -> bool {
        this.is_some_and(|known| known.epoch == epoch)
    }
}

/// The packager of one stream.
#[derive(Debug)]
pub struct Packager {
    segment_us: i64,
    video: Option<Known>,
    audio: Option<Known>,
    /// A new sound track that waits for the next cut.
    next_audio: Option<Known>,
    /// How much sound came since the last picture, in microseconds: counted, since the two clocks may differ.
    sound_alone_us: i64,
    open: Option<Open>,
    sound: open::SoundClock,
    shelf: Shelf,
    /// The next segment does not follow from the one before.
    broken: bool,
    dropped: Dropped,
}

impl Packager {
    /// A packager that waits for its first frame.
    pub fn new(config: Config) -> Self {
        Self {
            segment_us: i64::from(config.segment_ms) * 1_000,
            video: None,
            audio: None,
            next_audio: None,
            sound_alone_us: 0,
            open: None,
            sound: open::SoundClock::default(),
            shelf: Shelf::new(&config),
            broken: false,
            dropped: Dropped::default(),
        }
    }

    /// Takes a frame in. `epoch` tells the announcements of a stream's tracks apart, and `info` is the announcement
    /// that the frame belongs to.
    pub fn push(&mut self, epoch: u32, info: &TrackInfo, frame: &Frame) {
        if self.shelf.ended() || !mp4::is_supported(info) {
            self.dropped.frames += 1;
            return;
        }
        match frame.kind() {
            Kind::Video => self.push_video(epoch, info, frame),
            Kind::Audio => self.push_audio(epoch, info, frame),
        }
        if self.open.as_ref().is_some_and(|open| open.bytes() > SEGMENT_BYTES_MAX) {
            self.abandon();
            self.dropped.segments += 1;
        }
    }

    /// The stream has ended: what is open becomes the last segment.
    pub fn end(&mut self) {
        self.close(None);
        self.shelf.end();
    }

    /// Whether there is a segment to play.
    pub fn ready(&self) -> bool {
        self.shelf.ready()
    }

    /// The multivariant playlist; `media_uri` is where the media playlist is. `None` before the first segment.
    pub fn multivariant(&self, media_uri: &str) -> Option<String> {
        self.shelf.multivariant(media_uri)
    }

    /// The media playlist; `query` (with its `?`, or empty) follows every name in it, so that what let the player in
    /// lets it fetch the segments. `None` before the first segment.
    pub fn playlist(&self, query: &str) -> Option<String> {
        self.shelf.playlist(query)
    }

    /// An initialisation segment that a kept segment needs.
    pub fn init(&self, number: u32) -> Option<bytes::Bytes> {
        self.shelf.init(number)
    }

    /// A segment that is in the playlist, or left it not long ago.
    pub fn segment(&self, number: u64) -> Option<bytes::Bytes> {
        self.shelf.segment(number)
    }

    /// What could not be packaged so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn push_video(&mut self, epoch: u32, info: &TrackInfo, frame: &Frame) {
        self.sound_alone_us = 0;
        let known = Known::is(self.video.as_ref(), epoch);
        if frame.flags.key {
            self.cut_at_picture(epoch, info, frame, known);
        }
        let follows = |open: &Open| open.video_end().is_none_or(|last| frame.dts > last);
        match &mut self.open {
            Some(open) if open.lead() == Kind::Video && (known || frame.flags.key) && follows(open) => {
                open.push_video(frame.clone());
            }
            _ => self.dropped.frames += 1,
        }
    }

    /// Begins a new segment at this key frame, if it is time or nothing else can be done.
    fn cut_at_picture(&mut self, epoch: u32, info: &TrackInfo, frame: &Frame, known: bool) {
        if self.video.is_none() && !self.shelf.ready() {
            // The first pictures come shortly after the first sound: not worth a segment, and other tracks, of its own.
            self.abandon();
            self.broken = false;
        }
        if let Some(open) = &self.open {
            let since = open.elapsed_us(frame.dts);
            let jumped = known && (frame.flags.discontinuity || open.breaks(frame.dts, GAP_US_MAX) || open.refused());
            let wanted = since.is_some_and(|since| since >= self.segment_us * (100 - EARLY_PERCENT) / 100);
            if known && !jumped && !wanted && self.next_audio.is_none() {
                return;
            }
            self.close((known && !jumped).then_some(frame.dts));
            if jumped {
                self.broken = true;
                self.sound = open::SoundClock::default();
            }
        }
        self.video = Some(Known::new(epoch, info));
        if let Some(next) = self.next_audio.take() {
            self.audio = Some(next);
        }
        self.open = Some(Open::new(frame, info.clock_rate_hz));
    }

    fn push_audio(&mut self, epoch: u32, info: &TrackInfo, frame: &Frame) {
        self.give_up_pictures(info, frame);
        if !Known::is(self.audio.as_ref(), epoch) {
            let holds_old = self.open.as_ref().is_some_and(Open::has_sound);
            if self.video.is_some() && holds_old {
                self.next_audio = Some(Known::new(epoch, info));
                self.dropped.frames += 1;
                return;
            }
            if self.video.is_none() {
                self.close(None);
            }
            self.audio = Some(Known::new(epoch, info));
            self.sound = open::SoundClock::default();
        }
        if self.video.is_none() {
            self.cut_at_sound(info, frame);
        }
        let Some(open) = &mut self.open else {
            self.dropped.frames += 1;
            return;
        };
        if !open.push_audio(frame, info.clock_rate_hz, &mut self.sound) {
            self.dropped.frames += 1;
        }
    }

    /// Begins a new segment of sound, if it is time.
    fn cut_at_sound(&mut self, info: &TrackInfo, frame: &Frame) {
        if let Some(open) = &self.open {
            let jumped = frame.flags.discontinuity || open.breaks(frame.dts, GAP_US_MAX) || open.refused();
            if !jumped && open.elapsed_us(frame.dts).is_none_or(|since| since < self.segment_us) {
                return;
            }
            self.close((!jumped).then_some(frame.dts));
            if jumped {
                self.broken = true;
                self.sound = open::SoundClock::default();
            }
        }
        self.open = Some(Open::new(frame, info.clock_rate_hz));
    }

    /// Goes on with sound alone when pictures have stopped coming: otherwise nothing would ever be cut again.
    fn give_up_pictures(&mut self, info: &TrackInfo, frame: &Frame) {
        let length = MediaTime(open::sound_length(frame)).as_micros(info.clock_rate_hz);
        self.sound_alone_us = self.sound_alone_us.saturating_add(length);
        if self.video.is_some() && self.sound_alone_us > PICTURE_SILENCE_US {
            self.close(None);
            self.video = None;
        }
    }

    /// Puts the open segment on the shelf. `end` is where the next begins, on the clock of the track that is cut by.
    fn close(&mut self, end: Option<MediaTime>) {
        let Some(open) = self.open.take() else { return };
        let tracks = Tracks {
            video: self.video.as_ref().map(|known| (known.epoch, &known.info)),
            audio: self.audio.as_ref().map(|known| (known.epoch, &known.info)),
        };
        if self.shelf.put(&open, &tracks, end, self.broken).is_err() {
            self.dropped.segments += 1;
        }
        self.broken = false;
    }

    /// Throws the open segment away.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            self.dropped.frames += open.frames();
            self.broken = true;
        }
    }
}

#[cfg(test)]
mod tests;
