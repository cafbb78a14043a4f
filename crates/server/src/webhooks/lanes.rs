//! The notices that are on their way, as a state machine: in order within a lane, which is one stream at one webhook; a
//! lane that waits or fails holds no other.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::retry::Attempts;

/// Requests with notices under way to one webhook, at most.
pub const FLYING_MAX: usize = 32;
/// A notice that has waited for its turn so long is dropped.
pub const AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A notice to one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What receivers tell repetitions by.
    pub id: String,
    /// Which of the webhooks.
    pub hook: usize,
    /// The stream.
    pub lane: String,
    /// The application.
    pub application: u32,
    /// The body.
    pub body: String,
    /// When it happened, in milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// A lane: one stream at one webhook.
pub type LaneKey = (usize, String);

/// What is to be done.
#[derive(Debug)]
pub enum Order {
    /// Send the notice, then call `done`.
    Send(Arc<Notice>),
    /// It waited too long.
    Expired(Arc<Notice>),
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was delivered.
    Delivered,
    /// It is tried again.
    Retried,
    /// It is tried no more.
    GivenUp,
}

/// All lanes.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<LaneKey, Lane>,
    /// Lanes whose first notice may be sent, by webhook.
    ready: BTreeMap<usize, VecDeque<LaneKey>>,
    /// Lanes whose first notice is tried again at a time; the number keeps equal times apart.
    waiting: BTreeMap<(Instant, u64), LaneKey>,
    flying: HashMap<usize, usize>,
    count: u64,
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<(Instant, Arc<Notice>)>,
    attempts: Attempts,
}

impl Lanes {
    /// Takes a notice to the end of its lane.
    pub fn push(&mut self, now: Instant, notice: Notice) {
        let key = (notice.hook, notice.lane.clone());
        let lane = self.lanes.entry(key.clone()).or_default();
        lane.queue.push_back((now, Arc::new(notice)));
        if lane.queue.len() == 1 {
            self.ready.entry(key.0).or_default().push_back(key);
        }
    }

    /// What is to be done now; to be called until it is `None`.
    pub fn poll(&mut self, now: Instant) -> Option<Order> {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            self.ready.entry(key.0).or_default().push_back(key);
        }
        let flying = &self.flying;
        let free = |hook: &usize| flying.get(hook).copied().unwrap_or_default() < FLYING_MAX;
        let (_, queue) = self.ready.iter_mut().find(|(hook, queue)| !queue.is_empty() && free(hook))?;
        let key = queue.pop_front()?;
        let lane = self.lanes.get_mut(&key)?;
        let (since, notice) = lane.queue.front()?;
        let notice = notice.clone();
        if now.saturating_duration_since(*since) > AGE_MAX {
            self.next(key);
            return Some(Order::Expired(notice));
        }
        lane.attempts.begin(now);
        *self.flying.entry(key.0).or_default() += 1;
        Some(Order::Send(notice))
    }

    /// Notes the outcome of an attempt.
    pub fn done(&mut self, now: Instant, notice: &Notice, delivered: bool) -> Fate {
        let key = (notice.hook, notice.lane.clone());
        if let Some(flying) = self.flying.get_mut(&key.0) {
            *flying = flying.saturating_sub(1);
        }
        if delivered {
            self.next(key);
            return Fate::Delivered;
        }
        match self.lanes.get_mut(&key).and_then(|lane| lane.attempts.failed(now)) {
            Some(due) => {
                self.count += 1;
                self.waiting.insert((due, self.count), key);
                Fate::Retried
            }
            None => {
                self.next(key);
                Fate::GivenUp
            }
        }
    }

    /// When `poll` has something new to say, if nothing else happens.
    pub fn wake(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// The first notice of a lane is over.
    fn next(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.queue.pop_front();
        lane.attempts = Attempts::default();
        if lane.queue.is_empty() {
            self.lanes.remove(&key);
        } else {
            self.ready.entry(key.0).or_default().push_back(key);
        }
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
