//! The end of the outbox that the rest of the server holds: telling never waits.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{mpsc, watch};

use super::{
    body::{self, Server},
    event::{Event, What},
    hook::{Dialect, Hook},
    lanes::Notice,
};
use crate::{
    clock::wall_now,
    counters::Counters,
    session::{Action, Known},
};

/// Notices that are not delivered yet, at most.
pub const NOTICES_MAX: usize = 20_000;
/// Of which those about viewers take at most so many, so that a crowd cannot push out what is told of streams.
pub const OF_VIEWERS_MAX: usize = NOTICES_MAX / 2;

/// Tells webhooks what happened. Cheap to clone; without webhooks it does nothing.
#[derive(Clone, Debug, Default)]
pub struct Notices(Option<Arc<Teller>>);

#[derive(Debug)]
pub(super) struct Teller {
    pub(super) hooks: Arc<[Hook]>,
    pub(super) server: Server,
    pub(super) counters: Arc<Counters>,
    pub(super) queue: mpsc::Sender<Notice>,
    /// Notices that are not over.
    pub(super) held: AtomicUsize,
    /// Notices that would be lost if the process ended now.
    pub(super) unsafe_count: watch::Sender<usize>,
}

impl Notices {
    pub(super) fn new(teller: Arc<Teller>) -> Self {
        Self(Some(teller))
    }

    /// Tells every webhook that subscribes to it.
    pub fn tell(&self, what: What, by: &Known) {
        let Some(teller) = &self.0 else { return };
        for (at, hook) in teller.hooks.iter().enumerate() {
            let subscribed = what.kind(by.action).is_some_and(|kind| hook.events.contains(&kind));
            // SRS asks by the same request by which it tells; who was asked knows.
            let knows = hook.dialect == Dialect::Srs
                && match what {
                    What::StreamStarted => hook.is_asked(Action::Publish),
                    What::ViewerBegan => hook.is_asked(Action::Play),
                    _ => false,
                };
            if subscribed && !knows && hook.is_about(by.key.application) {
                teller.tell(at, what, by);
            }
        }
    }

    /// Tells these webhooks that somebody whom they let in did not begin.
    pub(super) fn withdraw(&self, hooks: &[usize], by: &Known) {
        let Some(teller) = &self.0 else { return };
        for at in hooks {
            let kind = What::Withdrawn.kind(by.action);
            if teller.hooks.get(*at).is_some_and(|hook| kind.is_some_and(|kind| hook.events.contains(&kind))) {
                teller.tell(*at, What::Withdrawn, by);
            }
        }
    }
}

impl Teller {
    fn tell(&self, at: usize, what: What, by: &Known) {
        let Some(hook) = self.hooks.get(at) else { return };
        let id = super::new_id();
        let event = Event { what, by, at: wall_now(), id: &id };
        let Some(body) = body::of(hook.dialect, &event, &self.server) else { return };
        let limit = if what.is_of_viewer(by.action) { OF_VIEWERS_MAX } else { NOTICES_MAX };
        if self.held.fetch_add(1, Ordering::Relaxed) >= limit {
            self.held.fetch_sub(1, Ordering::Relaxed);
            self.counters.add("webhooks", "dropped-full");
            return;
        }
        let notice = Notice {
            hook: at,
            lane: format!("{}/{}", by.key.application, by.key),
            application: by.key.application,
            body: body.to_string(),
            created_ms: event.at_ms(),
            id,
        };
        self.unsafe_count.send_modify(|count| *count += 1);
        if self.queue.try_send(notice).is_err() {
            self.safe(1);
            self.over();
            self.counters.add("webhooks", "dropped-full");
        }
    }

    /// So many notices will not be lost any more, or are over.
    pub(super) fn safe(&self, count: usize) {
        self.unsafe_count.send_modify(|unsafe_count| *unsafe_count = unsafe_count.saturating_sub(count));
    }

    /// A notice is over.
    pub(super) fn over(&self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}
