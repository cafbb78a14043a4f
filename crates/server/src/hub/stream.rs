//! One live stream: its frames, its packet tracks, who watches, and how it ends.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use live::{
    health::Health,
    name::StreamKey,
    stream::{EndReason, Entry, Limits, Read, Start, Stream, Track},
};
use media::{Codec, Frame, Kind, TrackInfo, WallTime};
use sfu::TrackId;
use tokio::sync::{Notify, watch};

use super::{Demand, further::Further};
use crate::{
    clock::wall_now,
    door::Door,
    session::Known,
    webhooks::{Notices, What},
};

/// A track of the packet path, where it lives and how it is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketTrack {
    /// Its number; it names its home.
    pub id: TrackId,
    /// The coding.
    pub codec: Codec,
}

/// The packet tracks of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketTracks {
    /// The picture.
    pub video: Option<PacketTrack>,
    /// The sound, always Opus.
    pub audio: Option<PacketTrack>,
}

impl PacketTracks {
    /// Both tracks, as far as there are any.
    pub fn iter(&self) -> impl Iterator<Item = PacketTrack> + use<> {
        self.video.into_iter().chain(self.audio)
    }
}

/// One live stream. Shared by its publisher, its viewers and its bridges.
#[derive(Debug)]
pub struct LiveStream {
    /// Its name.
    pub key: StreamKey,
    /// How it comes in.
    pub door: Door,
    /// The number of its tracks in a publication of several; 0 is the first.
    pub number: u8,
    /// The further tracks of the publication; none, where this is one itself.
    pub further: Further,
    /// When it began.
    pub since: WallTime,
    /// Who needs frames of a source that sends packets.
    pub frames_wanted: Demand,
    /// Who needs packets of a source that sends frames.
    pub packets_wanted: Demand,
    /// Held while the packet tracks are being made, so that nobody finds them half made.
    pub packets_starting: Mutex<()>,
    frames: Mutex<Stream>,
    health: Mutex<Health>,
    limits: Limits,
    changed: Notify,
    packets: Mutex<PacketTracks>,
    ended: watch::Sender<Option<EndReason>>,
    last_media: Mutex<Instant>,
    viewers: [AtomicUsize; Door::ALL.len()],
    notices: Notices,
    publisher: Option<Arc<Known>>,
}

impl LiveStream {
    /// A stream without tracks.
    pub fn new(key: StreamKey, door: Door, limits: Limits) -> Self {
        Self {
            key,
            door,
            number: 0,
            further: Further::default(),
            since: wall_now(),
            frames_wanted: Demand::default(),
            packets_wanted: Demand::default(),
            packets_starting: Mutex::default(),
            frames: Mutex::new(Stream::new(limits.clone())),
            health: Mutex::default(),
            limits,
            changed: Notify::new(),
            packets: Mutex::default(),
            ended: watch::Sender::new(None),
            last_media: Mutex::new(Instant::now()),
            viewers: Default::default(),
            notices: Notices::default(),
            publisher: None,
        }
    }

    /// A stream without tracks for a further track of this publication. Its viewers are told of as those of the first.
    pub(super) fn beside(&self, number: u8) -> Self {
        let stream = Self::new(self.key.clone(), self.door, self.limits.clone());
        Self { number, notices: self.notices.clone(), ..stream }
    }

    /// Has webhooks told of its viewers and of its end.
    #[must_use]
    pub fn told_by(self, notices: Notices, publisher: Option<Arc<Known>>) -> Self {
        Self { notices, publisher, ..self }
    }

    /// The frames, for a short look; never held across an await.
    pub fn frames(&self) -> MutexGuard<'_, Stream> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the publisher's health, for a short look; never held across an await.
    pub fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The packet tracks as they are now.
    pub fn packets(&self) -> PacketTracks {
        *self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the packet tracks.
    pub fn set_packets(&self, tracks: PacketTracks) {
        if !self.door.is_frames() {
            let codec = |track: Option<PacketTrack>| track.map(|track| track.codec);
            self.health().announce_packets(Instant::now(), codec(tracks.video), codec(tracks.audio));
        }
        *self.packets.lock().unwrap_or_else(PoisonError::into_inner) = tracks;
    }

    /// Announces a track, or a change of it.
    pub fn announce(&self, info: TrackInfo) {
        self.further.share_track(&info);
        if self.frames().announce(info) {
            self.changed.notify_waiters();
        }
    }

    /// Takes a frame and wakes whoever waits for one. Frames that cannot be placed are counted by the stream.
    pub fn push(&self, frame: Frame) {
        self.further.share_frame(&frame);
        let now = Instant::now();
        let taken = self.frames().push(now, frame).is_ok();
        if taken {
            self.touch(now);
            self.changed.notify_waiters();
        }
    }

    /// Forgets all frames and tracks, when the bridge that made them ends and nobody watches.
    pub fn forget_frames(&self) {
        *self.frames() = Stream::new(self.limits.clone());
    }

    /// Notes that the source is alive.
    pub fn touch(&self, now: Instant) {
        *self.last_media.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// How long the source has been silent.
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.last_media.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads on from a cursor, waiting until there is something: entries, a jump, or the end.
    pub async fn next(&self, cursor: &mut live::stream::Cursor, max: usize, out: &mut Vec<Arc<Entry>>) -> Read {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let read = self.frames().read(cursor, max, out);
            if !matches!(read, Read::Pending) {
                return read;
            }
            changed.await;
        }
    }

    /// A cursor into the frames.
    pub fn cursor(&self, start: Start) -> live::stream::Cursor {
        self.frames().cursor(start)
    }

    /// Waits until the tracks are known. What a source of packets has is known from its offer, and all of it is waited
    /// for; of a source of frames both kinds are, or one and no other within `SETTLE`. False when none came in time or
    /// the stream ended.
    pub async fn settled(&self) -> bool {
        let deadline = tokio::time::Instant::now() + SETTLE_MAX;
        let offered = if self.door.is_frames() { None } else { Some(self.packets().iter().count()) };
        let mut one_since: Option<tokio::time::Instant> = None;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.end_reason().is_some() {
                return false;
            }
            let known = [Kind::Audio, Kind::Video].into_iter().filter(|kind| self.track(*kind).is_some()).count();
            if known >= offered.unwrap_or(2) {
                return known > 0;
            }
            if known == 1 && offered.is_none() {
                one_since.get_or_insert_with(tokio::time::Instant::now);
            }
            let until = one_since.map_or(deadline, |since| deadline.min(since + SETTLE));
            if tokio::time::timeout_at(until, changed).await.is_err() {
                return known > 0;
            }
        }
    }

    /// The track of a kind in the frame path.
    pub fn track(&self, kind: Kind) -> Option<Arc<Track>> {
        self.frames().track(kind).cloned()
    }

    /// Ends the stream; the first reason counts.
    pub fn end(&self, reason: EndReason) {
        let first = self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(reason);
            }
            first
        });
        if first {
            self.frames().end(reason);
            self.further.end(reason);
            self.changed.notify_waiters();
            if let Some(publisher) = &self.publisher {
                // A publisher whose session an operator ended leaves by itself.
                let kicked = reason == EndReason::PublisherLeft && publisher.is_stopped();
                let reason = if kicked { EndReason::Kicked } else { reason };
                self.notices.tell(What::StreamEnded(reason), publisher);
            }
        }
    }

    /// Why it ended, if it has.
    pub fn end_reason(&self) -> Option<EndReason> {
        *self.ended.borrow()
    }

    /// Returns when the stream has ended.
    pub async fn over(&self) -> EndReason {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(EndReason::PublisherLeft),
            Err(_) => EndReason::PublisherLeft,
        }
    }

    /// Counts a viewer for as long as the guard lives.
    pub fn watch(self: &Arc<Self>, by: &Arc<Known>) -> Viewer {
        if let Some(count) = self.viewers.get(by.door as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        by.begin();
        self.notices.tell(What::ViewerBegan, by);
        Viewer { stream: self.clone(), by: by.clone() }
    }

    /// Viewers now, of all doors that are counted under this name (`door::VIEWERS`), those of further tracks included.
    pub fn viewers(&self, name: &str) -> usize {
        let doors = Door::ALL.into_iter().filter(|door| door.viewers_name() == name);
        let own = doors.filter_map(|door| self.viewers.get(door as usize)).map(|count| count.load(Ordering::Relaxed));
        own.sum::<usize>() + self.further.viewers(name)
    }
}

/// One viewer, counted.
#[derive(Debug)]
pub struct Viewer {
    stream: Arc<LiveStream>,
    by: Arc<Known>,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if let Some(count) = self.stream.viewers.get(self.by.door as usize) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        self.stream.notices.tell(What::ViewerEnded, &self.by);
    }
}

/// How long the second kind of track may come after the first.
const SETTLE: Duration = Duration::from_millis(700);
/// How long tracks are waited for at all: a browser asked for a key frame answers within a second or two, and begins to
/// encode only when its connection stands.
const SETTLE_MAX: Duration = Duration::from_secs(8);
