//! One webhook as it was configured: whom it is about, what it is told, what it is asked.

use std::time::Duration;

use reqwest::Url;
use sha2::{Digest as _, Sha256};

pub use crate::config::Dialect;
use crate::{
    config::{self, EventKind, OnFailure, Question},
    session::Action,
};

/// Bytes of the hash that a webhook is known by in the store.
const ID_BYTES: usize = 12;

/// One webhook.
#[derive(Clone)]
pub struct Hook {
    /// What makes it the same one after a restart: a hash of application, dialect and URL.
    pub id: String,
    /// The application that it is about; `None`: all.
    pub application: Option<u32>,
    /// Where requests go.
    pub url: Url,
    /// What they look like.
    pub dialect: Dialect,
    /// What they are signed with; empty: they are not.
    pub key: String,
    /// What it is told of.
    pub events: Vec<EventKind>,
    /// What it is asked.
    pub veto: Vec<Question>,
    /// Whether what it was asked is allowed where it gives no valid answer.
    pub open: bool,
    /// A request is given up after this.
    pub timeout: Duration,
}

/// The URL's path and query and the key may hold secrets, so neither is shown.
impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("id", &self.id).field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Hook {
    /// A webhook of the configuration; `None` where its URL is none, which the configuration's check has refused.
    pub fn new(settings: &config::Webhook) -> Option<Self> {
        let url = Url::parse(&settings.url).ok()?;
        let same = format!("{:?}\n{:?}\n{url}", settings.application, settings.dialect);
        let id = Sha256::digest(same.as_bytes()).iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Some(Self {
            id,
            application: settings.application,
            url,
            dialect: settings.dialect,
            key: settings.key.clone().unwrap_or_default(),
            events: settings.events.clone(),
            veto: settings.veto.clone(),
            open: settings.fail == OnFailure::Open,
            timeout: settings.timeout,
        })
    }

    /// Whether it is about an application.
    pub fn is_about(&self, application: u32) -> bool {
        self.application.is_none_or(|own| own == application)
    }

    /// Whether it is asked before somebody does this.
    pub fn is_asked(&self, action: Action) -> bool {
        self.veto.contains(&match action {
            Action::Publish => Question::Publish,
            Action::Play => Question::Play,
        })
    }
}
