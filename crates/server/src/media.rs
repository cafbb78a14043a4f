//! The server's end of the media threads: numbers for legs and tracks, and where their events go.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ::media::RtpPacket;
use live::name::StreamKey;
use sfu::{Command, Event, LegId, LegStats, TrackId};
use tokio::sync::mpsc;

use crate::{
    counters::Counters,
    inbox::Inbox,
    refusal::Refusal,
    shard::{self, Counted, News, Shards},
};

/// Packets of one track that may wait for its bridge: a second of 8 Mbit/s.
const TAP_MAX: usize = 1_024;

/// What each media thread counted, by its number.
pub type Stats = Vec<(String, Arc<Counted>)>;

/// The media threads and the ways from them.
#[derive(Debug)]
pub struct Media {
    shards: Shards,
    /// How legs are negotiated.
    pub rtc: rtc::Config,
    routes: Arc<Routes>,
    next: AtomicU64,
}

/// Where events go. Looked up on the media thread, so every lock is held for one map access.
#[derive(Debug, Default)]
struct Routes {
    legs: Mutex<HashMap<LegId, Arc<Inbox>>>,
    taps: Mutex<HashMap<TrackId, mpsc::Sender<RtpPacket>>>,
    stats: Mutex<HashMap<usize, Arc<Counted>>>,
    counters: Arc<Counters>,
}

impl Media {
    /// Starts the media threads.
    ///
    /// # Errors
    /// Where a socket or a thread cannot be had.
    pub fn start(config: shard::Config, counters: Arc<Counters>) -> std::io::Result<Arc<Self>> {
        let routes = Arc::new(Routes { counters, ..Routes::default() });
        let events = routes.clone();
        let shards = shard::spawn(config, move |shard, event| events.route(shard, event))?;
        let rtc = shards.rtc_config();
        Ok(Arc::new(Self { shards, rtc, routes, next: AtomicU64::new(1) }))
    }

    /// Where the media sockets are bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.shards.local_addr()
    }

    /// The home of the tracks of a stream: what a bridge makes of it comes in there.
    fn home_of(&self, key: &StreamKey) -> usize {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        (hasher.finish() % self.shards.count().max(1) as u64) as usize
    }

    /// A number for a new track of a stream.
    pub fn new_track(&self, key: &StreamKey) -> TrackId {
        TrackId::new(self.home_of(key), self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A number for a new leg, and its events from now until `forget_leg`.
    pub fn new_leg(&self) -> (LegId, Arc<Inbox>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = LegId::new((number % self.shards.count().max(1) as u64) as usize, number);
        let inbox = Arc::new(Inbox::default());
        lock(&self.routes.legs).insert(id, inbox.clone());
        (id, inbox)
    }

    /// Forgets where the events of a leg go.
    pub fn forget_leg(&self, id: LegId) {
        lock(&self.routes.legs).remove(&id);
    }

    /// The packets of a track from now until `untap`. The caller sends `Command::Tap`.
    pub fn tap(&self, tracks: impl IntoIterator<Item = TrackId>) -> Vec<(TrackId, mpsc::Receiver<RtpPacket>)> {
        let mut taps = lock(&self.routes.taps);
        let open = |id| {
            let (sender, packets) = mpsc::channel(TAP_MAX);
            taps.insert(id, sender);
            (id, packets)
        };
        tracks.into_iter().map(open).collect()
    }

    /// Forgets where the packets of a track go.
    pub fn untap(&self, track: TrackId) {
        lock(&self.routes.taps).remove(&track);
    }

    /// Tells the media threads that have to know.
    ///
    /// # Errors
    /// Where a queue is full: the machine is overloaded.
    pub fn send(&self, command: Command) -> Result<(), Refusal> {
        self.shards.send(command).map_err(|_| {
            self.routes.counters.add("media_commands_dropped", "queue-full");
            Refusal::Full { what: "commands waiting for a media thread", limit: shard::COMMANDS_MAX }
        })
    }

    /// Tells them something that may be lost when they are overloaded; the loss is counted.
    pub fn tell(&self, command: Command) {
        let _ = self.send(command);
    }

    /// What each media thread counted when it said so last, at most a second ago; by the thread's number.
    pub fn stats(&self) -> Stats {
        let stats = lock(&self.routes.stats);
        let mut all: Vec<_> = stats.iter().map(|(shard, stats)| (shard.to_string(), stats.clone())).collect();
        drop(stats);
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// What one leg moved, as its media thread said last.
    pub fn leg_stats(&self, leg: LegId) -> Option<LegStats> {
        let stats = lock(&self.routes.stats);
        let of = |counted: &Arc<Counted>| {
            let legs = &counted.shard.per_leg;
            legs.binary_search_by_key(&leg, |stats| stats.leg).ok().and_then(|place| legs.get(place)).copied()
        };
        // While it moves from its home to another thread, both may tell of it; who has it has moved something.
        stats.values().filter_map(of).max_by_key(|stats| stats.bytes_in)
    }
}

impl Routes {
    fn route(&self, shard: usize, news: News) {
        let event = match news {
            News::Event(event) => event,
            News::Counted(counted) => {
                lock(&self.stats).insert(shard, Arc::new(*counted));
                return;
            }
        };
        match event {
            Event::Packet { track, packet } => {
                if let Some(tap) = lock(&self.taps).get(&track)
                    && tap.try_send(packet).is_err()
                {
                    self.counters.add("bridge_packets_dropped", "bridge-behind");
                }
            }
            // Statistics come as `News::Counted`.
            Event::Connected { .. } | Event::Stats(_) => {}
            Event::Ended { leg, .. } => self.tell(leg, Inbox::over),
            Event::IceRestarted { leg, answer } => self.tell(leg, |inbox| inbox.restarted(answer)),
            Event::Received { leg } => self.tell(leg, Inbox::received),
            // A source of frames cannot be asked: its viewers start from the cached key frame.
            Event::KeyFrameWanted { .. } => self.counters.add("key_frames_wanted", "of-frame-source"),
        }
    }

    fn tell(&self, leg: LegId, say: impl FnOnce(&Inbox)) {
        if let Some(inbox) = lock(&self.legs).get(&leg) {
            say(inbox);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
