//! Who watches by HLS. It has no connection that lasts: a viewer is whoever asked for the multivariant playlist, and the
//! number of their session stands in the query of everything that this playlist leads to.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{hub::Viewer, refusal::Refusal, session::Session};

/// Viewers of one stream, at most; other doors keep room for theirs.
const VIEWERS_MAX: usize = 16_384;
/// The parameter that carries the session's number.
pub(super) const PARAMETER: &str = "session";
const NAME_CHARS: usize = 32;

/// The viewers of one stream.
#[derive(Debug, Default)]
pub(super) struct Viewers(Mutex<HashMap<String, Watching>>);

#[derive(Debug)]
struct Watching {
    asked: Instant,
    /// `None` when an operator ended it: who still asks is refused until they give up.
    holds: Option<(Session, Viewer)>,
}

impl Viewers {
    /// A viewer who was let in, under `name`.
    ///
    /// # Errors
    /// Where there are as many as there may be.
    pub(super) fn add(&self, name: String, session: Session, viewer: Viewer) -> Result<(), Refusal> {
        let mut all = self.lock();
        if all.len() >= VIEWERS_MAX && !all.contains_key(&name) {
            return Err(Refusal::Full { what: "HLS viewers of a stream", limit: VIEWERS_MAX });
        }
        all.insert(name, Watching { asked: Instant::now(), holds: Some((session, viewer)) });
        Ok(())
    }

    /// Notes that a viewer asked for something of `bytes`. Whether there is such a viewer.
    ///
    /// # Errors
    /// Where an operator ended the session.
    pub(super) fn asked(&self, name: &str, bytes: usize) -> Result<bool, Refusal> {
        let mut all = self.lock();
        let Some(watching) = all.get_mut(name) else { return Ok(false) };
        if watching.holds.as_ref().is_some_and(|(session, _)| session.known().is_stopped()) {
            watching.holds = None;
        }
        watching.asked = Instant::now();
        let (session, _) = watching.holds.as_ref().ok_or(Refusal::SessionUnknown)?;
        session.count(bytes);
        Ok(true)
    }

    /// Forgets those who have asked for nothing since `limit`, and those whom an operator ended.
    pub(super) fn forget_idle(&self, limit: Duration) {
        self.lock().retain(|_, watching| {
            if watching.holds.as_ref().is_some_and(|(session, _)| session.known().is_stopped()) {
                watching.holds = None;
            }
            watching.asked.elapsed() < limit
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Watching>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of a session in a query, where it can be one.
pub(super) fn named(query: &crate::query::Query) -> Option<&str> {
    query.get(PARAMETER).filter(|name| name.len() == NAME_CHARS && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        door::{Door, stream_key},
        hub::LiveStream,
        session::{Action, Opening, Registry},
        webhooks::Origin,
    };
    use std::sync::Arc;

    fn viewer() -> (Arc<Registry>, Session, Viewer) {
        let key = stream_key(1, "live", "show").unwrap();
        let stream = Arc::new(LiveStream::new(key.clone(), Door::Rtmp, live::stream::Limits::default()));
        let registry = Arc::new(Registry::default());
        let peer = "127.0.0.1:9".parse().unwrap();
        let opening =
            Opening { action: Action::Play, door: Door::Hls, key, user: None, peer, origin: Origin::default() };
        let session = registry.open(opening).unwrap();
        let viewer = stream.watch(session.known());
        (registry, session, viewer)
    }

    #[test]
    fn a_viewer_is_known_until_idle() {
        let (registry, session, viewer) = viewer();
        let viewers = Viewers::default();
        viewers.add("a".into(), session, viewer).unwrap();
        assert!(viewers.asked("a", 5).unwrap());
        assert_eq!(registry.list()[0].bytes(), 5);
        assert!(!viewers.asked("b", 5).unwrap());
        viewers.forget_idle(Duration::ZERO);
        assert!(registry.list().is_empty());
    }

    #[test]
    fn one_whom_an_operator_ended_is_refused_and_not_let_in_again_by_the_same_number() {
        let (registry, session, viewer) = viewer();
        let viewers = Viewers::default();
        viewers.add("a".into(), session, viewer).unwrap();
        registry.list()[0].stop();
        assert!(viewers.asked("a", 5).is_err());
        assert!(registry.list().is_empty());
        assert!(viewers.asked("a", 5).is_err());
    }

    #[test]
    fn only_numbers_of_sessions_are_taken_for_such() {
        let query = |text: &str| crate::query::Query::parse(text);
        assert!(named(&query("session=0123456789abcdef0123456789abcdef")).is_some());
        assert!(named(&query("session=0123")).is_none());
        assert!(named(&query("session=0123456789abcdef0123456789abcdeg")).is_none());
    }
}
