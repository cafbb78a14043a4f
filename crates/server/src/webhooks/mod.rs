//! Webhooks: URLs of the operator's that are told what happens, and may be asked first. What is sent is in `body`, when
//! in `lanes`; who subscribes to what is the configuration's.

mod body;
mod client;
mod delivery;
mod event;
mod hook;
mod lanes;
mod notices;
mod origin;
mod retry;
mod sign;
mod veto;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use store::{Store, StoreError};
use tokio::sync::{Semaphore, mpsc, watch};

pub use event::What;
pub use hook::Hook;
pub use notices::Notices;
pub use origin::Origin;

use self::{body::Server, client::Client, client::Failure, delivery::Delivery, lanes::Lanes, notices::Teller};
use crate::{auth::Credentials, counters::Counters, session::Known};

/// All webhooks of a server.
#[derive(Debug)]
pub struct Webhooks {
    hooks: Arc<[Hook]>,
    server: Server,
    client: Client,
    counters: Arc<Counters>,
    notices: Notices,
    /// By webhook: places for questions.
    questions: Vec<Semaphore>,
    /// By webhook: whether its last answer was none, so that it is logged once.
    failing: Vec<AtomicBool>,
    unsafe_count: watch::Receiver<usize>,
}

/// Why webhooks cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No client can be made.
    #[error(
        "a webhook has an https:// URL, and this machine has no root certificates to check it by ({0}); install the package ca-certificates"
    )]
    Client(#[from] reqwest::Error),
}

impl Webhooks {
    /// Starts delivering: first what an earlier run left in the store. `host` is what the server is called.
    ///
    /// # Errors
    /// Where the store cannot be read, or the machine has no certificates.
    pub async fn start(
        hooks: Vec<Hook>,
        store: Option<Store>,
        host: String,
        counters: Arc<Counters>,
    ) -> Result<Self, StartError> {
        let hooks: Arc<[Hook]> = hooks.into();
        let client = Client::new(&hooks)?;
        let server = Server { host, run: format!("{:08x}", rand::random::<u32>()) };
        let (unsafe_sender, unsafe_count) = watch::channel(0);
        let mut notices = Notices::default();
        if !hooks.is_empty() {
            if store.is_none() {
                tracing::warn!(
                    "notices of webhooks are kept in memory and lost when the process ends; set [server] data to keep them"
                );
            }
            let (queue, inbox) = mpsc::channel(notices::NOTICES_MAX);
            let teller = Arc::new(Teller {
                hooks: hooks.clone(),
                server: server.clone(),
                counters: counters.clone(),
                queue,
                held: AtomicUsize::new(0),
                unsafe_count: unsafe_sender,
            });
            let mut delivery = Delivery {
                teller: teller.clone(),
                client: client.clone(),
                store,
                lanes: Lanes::default(),
                removals: Vec::new(),
                store_fails: false,
            };
            delivery.load().await?;
            tokio::spawn(delivery.run(inbox));
            notices = Notices::new(teller);
        }
        Ok(Self {
            questions: hooks.iter().map(|_| Semaphore::new(veto::QUESTIONS_MAX)).collect(),
            failing: hooks.iter().map(|_| AtomicBool::new(false)).collect(),
            hooks,
            server,
            client,
            counters,
            notices,
            unsafe_count,
        })
    }

    /// What tells them.
    pub fn notices(&self) -> Notices {
        self.notices.clone()
    }

    /// What is told of the URL that somebody came by; nothing where there is nobody to tell.
    pub fn origin(&self, credentials: &Credentials<'_>) -> Origin {
        if self.hooks.is_empty() {
            return Origin::default();
        }
        Origin::new(credentials.host, credentials.query.text())
    }

    /// Returns when nothing would be lost if the process ended now, or the time is over.
    pub async fn settle(&self, limit: Duration) {
        let mut unsafe_count = self.unsafe_count.clone();
        let _ = tokio::time::timeout(limit, unsafe_count.wait_for(|count| *count == 0)).await;
    }

    fn withdraw(&self, hooks: &[usize], known: &Known) {
        self.notices.withdraw(hooks, known);
    }

    fn answered(&self, at: usize) {
        if self.failing.get(at).is_some_and(|failing| failing.swap(false, Ordering::Relaxed)) {
            tracing::info!(webhook = at, "the webhook answers again");
        }
    }

    fn failed(&self, at: usize, hook: &Hook, failure: Failure) {
        let again = self.failing.get(at).is_some_and(|failing| failing.swap(true, Ordering::Relaxed));
        if !again {
            let (host, reason) = (hook.url.host_str(), failure.reason());
            tracing::warn!(
                webhook = at,
                host,
                reason,
                open = hook.open,
                "a webhook was asked and gave no valid answer"
            );
        }
    }
}

/// Webhooks that let somebody in and take that for the beginning: unless the session begins, they are told that it ended.
#[derive(Debug)]
pub struct Withdrawal {
    notices: Notices,
    hooks: Vec<usize>,
    known: Arc<Known>,
}

impl Withdrawal {
    /// For the webhooks that `ask` named; `None` where there are none.
    pub fn new(notices: Notices, hooks: Vec<usize>, known: Arc<Known>) -> Option<Self> {
        (!hooks.is_empty()).then_some(Self { notices, hooks, known })
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        if !self.known.has_begun() {
            self.notices.withdraw(&self.hooks, &self.known);
        }
    }
}

/// 128 random bits in hexadecimal.
fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
