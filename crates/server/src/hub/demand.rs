//! A bridge runs only while somebody needs it: the count of those who do.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

/// How many need a thing, and whether the task that makes it runs.
#[derive(Debug, Default)]
pub struct Demand {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    wanted: usize,
    running: bool,
}

impl Demand {
    /// One more needs it. Returns whether the task has to be started by the caller.
    pub fn enter(&self) -> bool {
        let mut state = self.lock();
        state.wanted += 1;
        !std::mem::replace(&mut state.running, true)
    }

    /// One fewer needs it.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.wanted = state.wanted.saturating_sub(1);
        drop(state);
        self.changed.notify_waiters();
    }

    /// How many need it now.
    pub fn wanted(&self) -> usize {
        self.lock().wanted
    }

    /// Marks the task as ended whatever the demand; for a task that ends because its stream did.
    pub fn stopped(&self) {
        self.lock().running = false;
    }

    /// Returns when nobody has needed it for `linger`; the task must end then, and counts as ended from here on. `end`
    /// is called before anybody can start the task anew, so it undoes what the next task will do again.
    pub async fn gone(&self, linger: Duration, end: impl FnOnce()) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.wanted() > 0 {
                changed.await;
                continue;
            }
            tokio::time::sleep(linger).await;
            let mut state = self.lock();
            if state.wanted == 0 {
                end();
                state.running = false;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_task_is_started_once_and_outlives_a_short_gap() {
        let demand = Demand::default();
        assert!(demand.enter());
        assert!(!demand.enter(), "it runs already");
        demand.leave();
        demand.leave();
        let linger = Duration::from_secs(5);
        tokio::select! {
            () = demand.gone(linger, || {}) => panic!("somebody came back"),
            () = async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                assert!(!demand.enter(), "the task lingers");
                tokio::time::sleep(Duration::from_secs(30)).await;
            } => {}
        }
        demand.leave();
        demand.gone(linger, || {}).await;
        assert!(demand.enter(), "it ended, so it has to be started again");
    }
}
