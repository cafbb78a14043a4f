//! The live streams of this server by name: who publishes, who finds, who is told when one ends.

mod demand;
mod further;
mod stream;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use live::{
    name::StreamKey,
    stream::{EndReason, Limits},
};
use media::{Frame, TrackInfo};
use tokio::sync::Notify;

pub use demand::Demand;
pub use further::track_number;
pub use stream::{LiveStream, PacketTrack, PacketTracks, Viewer};

use crate::{
    counters::Counters,
    door::Door,
    refusal::Refusal,
    session::Known,
    webhooks::{Notices, What},
};

/// How streams are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bounds of each stream's cache.
    pub cache: Limits,
    /// A second publisher of a name ends the first, instead of being refused.
    pub takeover: bool,
    /// A publisher silent for so long is ended.
    pub publish_timeout: Duration,
    /// A viewer of an unknown stream waits so long for it.
    pub wait_for_stream: Duration,
    /// Streams at most.
    pub streams_max: usize,
}

/// The live streams of this server.
#[derive(Debug)]
pub struct Hub {
    streams: Mutex<HashMap<StreamKey, Arc<LiveStream>>>,
    arrived: Notify,
    draining: AtomicBool,
    settings: Settings,
    counters: Arc<Counters>,
    notices: Notices,
}

impl Hub {
    /// A hub without streams.
    pub fn new(settings: Settings, counters: Arc<Counters>, notices: Notices) -> Arc<Self> {
        Arc::new(Self {
            streams: Mutex::default(),
            arrived: Notify::new(),
            draining: AtomicBool::new(false),
            settings,
            counters,
            notices,
        })
    }

    /// Begins a stream by whoever publishes it; webhooks are told of it where that is somebody.
    ///
    /// # Errors
    /// Where the name is taken (and takeover is off), the server drains, or has as many streams as it may.
    pub fn publish(
        self: &Arc<Self>,
        key: StreamKey,
        door: Door,
        by: Option<&Arc<Known>>,
    ) -> Result<Publication, Refusal> {
        let mut streams = self.lock();
        self.check(&streams, &key)?;
        if let Some(earlier) = streams.get(&key) {
            earlier.end(EndReason::TakenOver);
            self.counters.add("streams_ended", EndReason::TakenOver.name());
        }
        let stream = LiveStream::new(key.clone(), door, self.settings.cache.clone());
        let stream = Arc::new(stream.told_by(self.notices.clone(), by.cloned()));
        if let Some(by) = by {
            by.begin();
            self.notices.tell(What::StreamStarted, by);
        }
        streams.insert(key, stream.clone());
        drop(streams);
        tracing::info!(stream = %stream.key, door = door.name(), "stream begins");
        self.counters.add("streams_begun", door.name());
        self.arrived.notify_waiters();
        Ok(Publication { hub: self.clone(), stream })
    }

    /// Whether a stream of that name could begin now.
    ///
    /// # Errors
    /// Where it could not, for the same reasons as `publish`.
    pub fn may_begin(&self, key: &StreamKey) -> Result<(), Refusal> {
        self.check(&self.lock(), key)
    }

    fn check(&self, streams: &HashMap<StreamKey, Arc<LiveStream>>, key: &StreamKey) -> Result<(), Refusal> {
        let (taken, limit) = (streams.contains_key(key), self.settings.streams_max);
        if self.is_draining() {
            Err(Refusal::Draining)
        } else if taken && !self.settings.takeover {
            Err(Refusal::StreamBusy(key.to_string()))
        } else if !taken && streams.len() >= limit {
            Err(Refusal::Full { what: "streams", limit })
        } else {
            Ok(())
        }
    }

    /// The live stream of that name.
    ///
    /// # Errors
    /// Where there is none now.
    pub fn find(&self, key: &StreamKey) -> Result<Arc<LiveStream>, Refusal> {
        self.lock().get(key).cloned().ok_or_else(|| Refusal::StreamUnknown(key.to_string()))
    }

    /// The live stream of that name, waiting for it as long as the settings say.
    ///
    /// # Errors
    /// Where there is none in time, or the server drains.
    pub async fn await_stream(&self, key: &StreamKey) -> Result<Arc<LiveStream>, Refusal> {
        if self.is_draining() {
            return Err(Refusal::Draining);
        }
        let deadline = tokio::time::Instant::now() + self.settings.wait_for_stream;
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            match self.find(key) {
                Ok(stream) => return Ok(stream),
                Err(refusal) => {
                    if tokio::time::timeout_at(deadline, arrived).await.is_err() {
                        return Err(refusal);
                    }
                }
            }
        }
    }

    /// All live streams, by name.
    pub fn list(&self) -> Vec<Arc<LiveStream>> {
        let mut all: Vec<_> = self.lock().values().cloned().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    /// Takes nothing new from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether nothing new is taken.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Ends publishers that have been silent too long. Never returns.
    pub async fn end_the_silent(self: Arc<Self>) {
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        loop {
            tick.tick().await;
            let now = Instant::now();
            for stream in self.list() {
                crate::health::look(&stream, now, &self.counters);
                if stream.silence(now) >= self.settings.publish_timeout {
                    self.remove(&stream, EndReason::PublisherSilent);
                }
            }
        }
    }

    /// Ends the live stream of that name.
    ///
    /// # Errors
    /// Where there is none now.
    pub fn end(&self, key: &StreamKey, reason: EndReason) -> Result<(), Refusal> {
        self.remove(&self.find(key)?, reason);
        Ok(())
    }

    /// Ends every stream.
    pub fn end_all(&self, reason: EndReason) {
        for stream in self.list() {
            self.remove(&stream, reason);
        }
    }

    fn remove(&self, stream: &Arc<LiveStream>, reason: EndReason) {
        let mut streams = self.lock();
        if streams.get(&stream.key).is_some_and(|current| Arc::ptr_eq(current, stream)) {
            streams.remove(&stream.key);
        }
        drop(streams);
        if stream.end_reason().is_none() {
            crate::health::look(stream, Instant::now(), &self.counters);
            tracing::info!(stream = %stream.key, %reason, "stream ends");
            self.counters.add("streams_ended", reason.name());
        }
        stream.end(reason);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamKey, Arc<LiveStream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The publishing end of a stream. Dropping it ends the stream.
#[derive(Debug)]
pub struct Publication {
    hub: Arc<Hub>,
    stream: Arc<LiveStream>,
}

impl Publication {
    /// The stream.
    pub fn stream(&self) -> &Arc<LiveStream> {
        &self.stream
    }

    /// Announces a track, or a change of it.
    pub fn announce(&self, info: TrackInfo) {
        self.stream.announce(info);
    }

    /// Publishes a frame.
    pub fn push(&self, frame: Frame) {
        self.stream.push(frame);
    }

    /// Announces a further track, or a change of it. False where there are as many as there may be.
    pub fn announce_further(&self, number: u8, info: TrackInfo) -> bool {
        self.stream.further.announce(&self.stream, number, info)
    }

    /// Publishes a frame of a further track.
    pub fn push_further(&self, number: u8, frame: Frame) {
        self.stream.touch(Instant::now());
        self.stream.further.push(number, frame);
    }

    /// Returns when somebody else ended the stream: takeover, silence, drain.
    pub async fn stopped(&self) -> EndReason {
        self.stream.over().await
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.hub.remove(&self.stream, EndReason::PublisherLeft);
    }
}
