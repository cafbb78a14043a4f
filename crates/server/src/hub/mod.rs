//! The live streams of this server by name: who publishes, who finds, who is told when one ends.

mod demand;
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
pub use stream::{LiveStream, PacketTrack, PacketTracks, Viewer};

use crate::{counters::Counters, door::Door, refusal::Refusal};

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
}

impl Hub {
    /// A hub without streams.
    pub fn new(settings: Settings, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self {
            streams: Mutex::default(),
            arrived: Notify::new(),
            draining: AtomicBool::new(false),
            settings,
            counters,
        })
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// Where the name is taken (and takeover is off), the server drains, or has as many streams as it may.
    pub fn publish(self: &Arc<Self>, key: StreamKey, door: Door) -> Result<Publication, Refusal> {
        if self.is_draining() {
            return Err(Refusal::Draining);
        }
        let mut streams = self.lock();
        if let Some(earlier) = streams.get(&key) {
            if !self.settings.takeover {
                return Err(Refusal::StreamBusy(key.to_string()));
            }
            earlier.end(EndReason::TakenOver);
            self.counters.add("streams_ended", EndReason::TakenOver.name());
        } else if streams.len() >= self.settings.streams_max {
            return Err(Refusal::Full { what: "streams", limit: self.settings.streams_max });
        }
        let stream = Arc::new(LiveStream::new(key.clone(), door, self.settings.cache.clone()));
        streams.insert(key, stream.clone());
        drop(streams);
        tracing::info!(stream = %stream.key, door = door.name(), "stream begins");
        self.counters.add("streams_begun", door.name());
        self.arrived.notify_waiters();
        Ok(Publication { hub: self.clone(), stream })
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
