//! Everybody who publishes or plays now, at whatever door: what operators list, look at and end.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ::media::WallTime;
use live::name::StreamKey;
use sfu::LegId;
use tokio::sync::Notify;
use tracing::{Span, field};

use crate::{
    clock::wall_now,
    door::Door,
    refusal::Refusal,
    webhooks::{Origin, Withdrawal},
};

/// Sessions at most, over all doors.
const SESSIONS_MAX: usize = 65_536;
/// Characters of a session's number in logs and traces: enough to find it, too few to change it.
const PREFIX_CHARS: usize = 8;

/// What somebody wants with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To be its source.
    Publish,
    /// To watch or hear it.
    Play,
}

impl Action {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Publish, Self::Play];

    /// The name in `/v1/sessions`, in webhooks and in sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
        }
    }
}

/// The sessions of a server.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: Mutex<HashMap<String, Arc<Known>>>,
    /// Media bytes of all sessions that ever were, by door and action.
    bytes: [[AtomicU64; Action::ALL.len()]; Door::ALL.len()],
}

/// What is known of a session.
#[derive(Debug)]
pub struct Known {
    /// 128 random bits in hexadecimal: whoever knows them may change the session (`Location` of WHIP and WHEP), so only
    /// operators see them of others.
    pub id: String,
    /// To publish or to play.
    pub action: Action,
    /// How it came in.
    pub door: Door,
    /// The stream.
    pub key: StreamKey,
    /// The user, where a token named one.
    pub user: Option<String>,
    /// Where from.
    pub peer: SocketAddr,
    /// What webhooks are told of the URL.
    pub origin: Origin,
    /// Whether media flows, or did: a session is opened before its stream is found.
    begun: AtomicBool,
    /// Since when.
    pub since: WallTime,
    /// Media bytes since then: received of a publisher, sent to a viewer. WebRTC does not count here.
    bytes: AtomicU64,
    /// The leg, once there is one.
    leg: OnceLock<LegId>,
    stop: AtomicBool,
    stopping: Notify,
}

/// Who opens a session.
#[derive(Clone, Debug)]
pub struct Opening {
    /// To publish or to play.
    pub action: Action,
    /// How it came in.
    pub door: Door,
    /// The stream.
    pub key: StreamKey,
    /// The user, where a token named one.
    pub user: Option<String>,
    /// Where from.
    pub peer: SocketAddr,
    /// What webhooks are told of the URL.
    pub origin: Origin,
}

impl Registry {
    /// Opens a session, which lasts until the guard is dropped.
    ///
    /// # Errors
    /// Where there are as many as there may be.
    pub fn open(self: &Arc<Self>, opening: Opening) -> Result<Session, Refusal> {
        let Opening { action, door, key, user, peer, origin } = opening;
        let id = format!("{:032x}", rand::random::<u128>());
        let known = Arc::new(Known {
            id,
            action,
            door,
            key,
            user,
            peer,
            origin,
            begun: AtomicBool::new(false),
            since: wall_now(),
            bytes: AtomicU64::new(0),
            leg: OnceLock::new(),
            stop: AtomicBool::new(false),
            stopping: Notify::new(),
        });
        let mut sessions = self.lock();
        if sessions.len() >= SESSIONS_MAX {
            return Err(Refusal::Full { what: "sessions", limit: SESSIONS_MAX });
        }
        sessions.insert(known.id.clone(), known.clone());
        drop(sessions);
        let span = known.span();
        Ok(Session { registry: self.clone(), known, withdrawal: None, span })
    }

    /// All sessions, the oldest first.
    pub fn list(&self) -> Vec<Arc<Known>> {
        let mut all: Vec<_> = self.lock().values().cloned().collect();
        all.sort_by(|a, b| a.since.cmp(&b.since).then_with(|| a.id.cmp(&b.id)));
        all
    }

    /// One session.
    pub fn find(&self, id: &str) -> Option<Arc<Known>> {
        self.lock().get(id).cloned()
    }

    /// Media bytes of all sessions at a door that ever were. WebRTC does not count here.
    pub fn bytes(&self, door: Door, action: Action) -> u64 {
        self.total(door, action).map_or(0, |bytes| bytes.load(Ordering::Relaxed))
    }

    fn total(&self, door: Door, action: Action) -> Option<&AtomicU64> {
        self.bytes.get(door as usize)?.get(action as usize)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Known>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Asks the session's door to end it.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.stopping.notify_waiters();
    }

    /// Whether it was asked to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Notes that media flows.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Whether media flows, or did.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Media bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Says by which leg the session's media goes.
    pub fn set_leg(&self, leg: LegId) {
        let _ = self.leg.set(leg);
    }

    /// The leg by which the session's media goes, where it goes by WebRTC.
    pub fn leg(&self) -> Option<LegId> {
        self.leg.get().copied()
    }

    fn span(&self) -> Span {
        let session: String = self.id.chars().take(PREFIX_CHARS).collect();
        let (door, stream, peer, user) = (self.door.name(), &self.key, self.peer, self.user.as_deref());
        let (application, bytes) = (self.key.application, field::Empty);
        match self.action {
            Action::Publish => {
                tracing::info_span!(parent: None, "publish", session, door, application, %stream, %peer, user, bytes)
            }
            Action::Play => {
                tracing::info_span!(parent: None, "play", session, door, application, %stream, %peer, user, bytes)
            }
        }
    }
}

/// A session's own end of itself. Dropping it ends the session.
#[derive(Debug)]
pub struct Session {
    registry: Arc<Registry>,
    known: Arc<Known>,
    withdrawal: Option<Withdrawal>,
    span: Span,
}

impl Session {
    /// Has webhooks told if the session ends before it has begun.
    pub fn tell_if_it_never_begins(&mut self, withdrawal: Option<Withdrawal>) {
        self.withdrawal = withdrawal;
    }

    /// What is known of it.
    pub fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// What logs and traces name the session by, for as long as it lasts.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Adds media bytes.
    pub fn count(&self, bytes: usize) {
        self.known.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(total) = self.registry.total(self.known.door, self.known.action) {
            total.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Returns when an operator ended the session.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let known = self.known.clone();
        async move {
            let stopping = known.stopping.notified();
            tokio::pin!(stopping);
            // Before the look, or a stop between the look and the wait would be missed.
            stopping.as_mut().enable();
            if !known.is_stopped() {
                stopping.await;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.known.id);
        if self.known.leg().is_none() {
            self.span.record("bytes", self.known.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening() -> Opening {
        Opening {
            action: Action::Play,
            door: Door::Flv,
            key: crate::door::stream_key(1, "live", "show").unwrap(),
            user: None,
            peer: "127.0.0.1:9".parse().unwrap(),
            origin: Origin::default(),
        }
    }

    #[test]
    fn a_session_is_listed_until_its_guard_is_dropped() {
        let registry = Arc::new(Registry::default());
        let session = registry.open(opening()).unwrap();
        session.count(7);
        assert_eq!(registry.list().len(), 1);
        assert_eq!(registry.find(&session.known().id).unwrap().bytes(), 7);
        drop(session);
        assert!(registry.list().is_empty());
        assert_eq!(registry.bytes(Door::Flv, Action::Play), 7, "what was sent stays counted");
        assert_eq!(registry.bytes(Door::Flv, Action::Publish) + registry.bytes(Door::Rtmp, Action::Play), 0);
    }

    #[tokio::test]
    async fn an_operator_ends_a_session() {
        let registry = Arc::new(Registry::default());
        let session = registry.open(opening()).unwrap();
        registry.find(&session.known().id).unwrap().stop();
        session.stopped().await;
        assert!(session.known().is_stopped());
    }
}
