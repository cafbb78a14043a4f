//! What a webhook is told or asked.

use live::stream::EndReason;
use media::WallTime;

use crate::{
    config::EventKind,
    session::{Action, Known},
};

/// What happened, or is about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody wants to publish or play; the webhook may refuse.
    May(Action),
    /// Somebody whom a webhook let in did not begin.
    Withdrawn,
    /// A stream is live.
    StreamStarted,
    /// It is live no more.
    StreamEnded(EndReason),
    /// Somebody watches.
    ViewerBegan,
    /// They watch no more.
    ViewerEnded,
}

/// What happened, to whom, and when.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What.
    pub what: What,
    /// To whose session.
    pub by: &'a Known,
    /// When.
    pub at: WallTime,
    /// What receivers tell repetitions by.
    pub id: &'a str,
}

impl What {
    /// By what a webhook subscribes to it; `None` for questions.
    pub fn kind(self, action: Action) -> Option<EventKind> {
        Some(match (self, action) {
            (Self::May(_), _) => return None,
            (Self::StreamStarted, _) => EventKind::StreamStarted,
            (Self::StreamEnded(_), _) | (Self::Withdrawn, Action::Publish) => EventKind::StreamEnded,
            (Self::ViewerBegan, _) => EventKind::ViewerBegan,
            (Self::ViewerEnded, _) | (Self::Withdrawn, Action::Play) => EventKind::ViewerEnded,
        })
    }

    /// Whether it is about one viewer, of whom a stream has many.
    pub fn is_of_viewer(self, action: Action) -> bool {
        matches!(self.kind(action), Some(EventKind::ViewerBegan | EventKind::ViewerEnded))
    }
}

impl Event<'_> {
    /// When, in milliseconds since the Unix epoch.
    pub fn at_ms(&self) -> i64 {
        self.at.0 / 1_000
    }

    /// How long the session has lasted, in milliseconds.
    pub fn lasted_ms(&self) -> i64 {
        (self.at.0 - self.by.since.0).max(0) / 1_000
    }

    /// The user, bounded: it comes from the network.
    pub fn user(&self) -> String {
        self.by.user.as_deref().unwrap_or_default().chars().take(USER_CHARS_MAX).collect()
    }
}

/// Characters of a user's name that are told.
const USER_CHARS_MAX: usize = 128;
