//! The task that keeps notices in the store and delivers them. What is sent when is decided in `lanes`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use store::{Store, StoreError};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    client::{Answer, Client, Failure},
    hook::Hook,
    lanes::{AGE_MAX, Fate, Lanes, Notice, Order},
    notices::{NOTICES_MAX, Teller},
};
use crate::clock::wall_now;

/// Notices that are kept by one transaction.
const BATCH_MAX: usize = 256;
/// A store that takes longer than this is gone on without.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// Notices that are over and that the store could not be told of are remembered, so many at most; if the process ends
/// before it can be, they are delivered once more.
const REMOVALS_MAX: usize = NOTICES_MAX;
/// How often a store that failed is tried again.
const MEND_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Delivery {
    pub(super) teller: Arc<Teller>,
    pub(super) client: Client,
    pub(super) store: Option<Store>,
    pub(super) lanes: Lanes,
    /// What the store is still to forget.
    pub(super) removals: Vec<String>,
    pub(super) store_fails: bool,
}

type Sent = (Arc<Notice>, Result<Answer, Failure>);

impl Delivery {
    /// What an earlier run of the server left, to its lanes.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) async fn load(&mut self) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        let counters = &self.teller.counters;
        let age_max_ms = i64::try_from(AGE_MAX.as_millis()).unwrap_or(i64::MAX);
        let expired = store.outbox().remove_older(wall_now().0 / 1_000 - age_max_ms).await?;
        counters.add_many("webhooks", "expired", expired);
        let now = Instant::now();
        for kept in store.outbox().pending(u32::try_from(NOTICES_MAX).unwrap_or(u32::MAX)).await? {
            let Some(hook) = self.teller.hooks.iter().position(|hook| hook.id == kept.hook) else {
                counters.add("webhooks", "webhook-gone");
                self.removals.push(kept.id);
                continue;
            };
            counters.add("webhooks", "restored");
            self.teller.held.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let store::Notice { id, lane, application, body, created_ms, .. } = kept;
            self.lanes.push(now, Notice { id, hook, lane, application, body, created_ms });
        }
        self.forget().await;
        Ok(())
    }

    /// Delivers until the server ends.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Notice>) {
        let mut sending: JoinSet<Sent> = JoinSet::new();
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            self.start(&mut sending);
            let mend = if self.removals.is_empty() { None } else { Some(Instant::now() + MEND_INTERVAL) };
            let wake = [self.lanes.wake(), mend].into_iter().flatten().min();
            let woken = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                count = queue.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.keep(&batch).await;
                    let now = Instant::now();
                    batch.drain(..).for_each(|notice| self.lanes.push(now, notice));
                }
                Some(Ok(first)) = sending.join_next() => {
                    self.done(first);
                    while let Some(Ok(sent)) = sending.try_join_next() {
                        self.done(sent);
                    }
                    self.forget().await;
                }
                () = woken => self.forget().await,
            }
        }
    }

    fn start(&mut self, sending: &mut JoinSet<Sent>) {
        while let Some(order) = self.lanes.poll(Instant::now()) {
            let notice = match order {
                Order::Send(notice) => notice,
                Order::Expired(notice) => {
                    self.over(&notice, "expired");
                    continue;
                }
            };
            let (client, teller) = (self.client.clone(), self.teller.clone());
            sending.spawn(async move {
                let answer = match teller.hooks.get(notice.hook) {
                    Some(hook) => {
                        let deadline = Instant::now() + hook.timeout;
                        client.post(hook, notice.application, &notice.id, &notice.body, deadline).await
                    }
                    None => Err(Failure::Connection),
                };
                (notice, answer)
            });
        }
    }

    fn done(&mut self, (notice, answer): Sent) {
        let delivered = matches!(&answer, Ok(answer) if (200..300).contains(&answer.status));
        let fate = self.lanes.done(Instant::now(), &notice, delivered);
        match fate {
            Fate::Delivered => self.over(&notice, "delivered"),
            Fate::Retried => self.teller.counters.add("webhooks", "retried"),
            Fate::GivenUp => {
                let host = self.teller.hooks.get(notice.hook).and_then(|hook: &Hook| hook.url.host_str());
                let reason = answer.map_or_else(Failure::reason, |_| "it answered with a status that is not 200");
                tracing::warn!(webhook = host, stream = notice.lane, reason, "a notice was given up after a minute");
                self.over(&notice, "given-up");
            }
        }
    }

    /// A notice is over.
    fn over(&mut self, notice: &Notice, outcome: &'static str) {
        self.teller.counters.add("webhooks", outcome);
        self.teller.over();
        if self.store.is_none() {
            self.teller.safe(1);
        } else if self.removals.len() < REMOVALS_MAX {
            self.removals.push(notice.id.clone());
        }
    }

    /// Keeps notices before the first attempt. Without the store they are delivered all the same.
    async fn keep(&mut self, notices: &[Notice]) {
        let Some(store) = &self.store else { return };
        let hook = |at: usize| self.teller.hooks.get(at).map(|hook| hook.id.clone()).unwrap_or_default();
        let rows: Vec<store::Notice> = notices
            .iter()
            .cloned()
            .map(|Notice { id, hook: at, lane, application, body, created_ms }| store::Notice {
                id,
                hook: hook(at),
                lane,
                application,
                body,
                created_ms,
            })
            .collect();
        let outcome = tokio::time::timeout(STORE_TIMEOUT, store.outbox().add(&rows)).await;
        if self.note(outcome) {
            self.teller.counters.add_many("webhooks", "kept", notices.len() as u64);
        }
        self.teller.safe(notices.len());
    }

    async fn forget(&mut self) {
        let Some(store) = &self.store else { return };
        if self.removals.is_empty() {
            return;
        }
        let outcome = tokio::time::timeout(STORE_TIMEOUT, store.outbox().remove(&self.removals)).await;
        if self.note(outcome) {
            self.removals.clear();
        }
    }

    /// Says once that the store fails, and once that it works again.
    fn note(&mut self, outcome: Result<Result<(), StoreError>, tokio::time::error::Elapsed>) -> bool {
        let error = match outcome {
            Ok(Ok(())) => {
                if std::mem::take(&mut self.store_fails) {
                    tracing::info!("the store works again");
                }
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the store gave no answer within {} s", STORE_TIMEOUT.as_secs()),
        };
        self.teller.counters.add("webhooks", "store-failed");
        if !std::mem::replace(&mut self.store_fails, true) {
            tracing::error!(error, "notices of webhooks are delivered, but would not outlast the process");
        }
        false
    }
}
