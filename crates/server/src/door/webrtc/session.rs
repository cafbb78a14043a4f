//! WebRTC sessions by their number, whatever door they came in by. Each has a task that holds what the session holds, and gives it
//! back when the session ends, for whatever reason.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use live::{health::Moved, stream::EndReason};
use sfu::{Command, LegId};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::{
    app::App,
    bridge::PacketsWanted,
    hub::{LiveStream, Publication, Viewer},
    inbox::{Inbox, Message, Order, Restart},
    refusal::Refusal,
    session::Session,
};

/// Sessions at most, over all doors.
const SESSIONS_MAX: usize = 16_384;
/// A media thread answers an ICE restart within this, or is overloaded.
const RESTART_TIMEOUT: Duration = Duration::from_secs(2);

/// The sessions of a server.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<String, Known>>);

#[derive(Debug)]
struct Known {
    inbox: Arc<Inbox>,
    tag: String,
    /// The stream that a viewer watches; `None` for publishers.
    watches: Option<Arc<LiveStream>>,
}

/// What a session holds while it lives.
#[derive(Debug)]
pub enum Holds {
    /// The publishing end of a stream.
    Publication(Publication),
    /// A place among the viewers.
    Viewer {
        /// Keeps the packets coming.
        _wanted: PacketsWanted,
        /// Counts the viewer.
        _viewer: Viewer,
        /// The stream.
        stream: Arc<LiveStream>,
    },
}

/// A session that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its number in URLs.
    pub id: String,
    /// The entity tag of its ICE session.
    pub tag: String,
}

/// An ICE restart that was done.
#[derive(Debug)]
pub struct Restarted {
    /// The server's new credentials.
    pub fragment: String,
    /// The new entity tag.
    pub tag: String,
}

impl Sessions {
    /// Opens a session over a leg and starts its task.
    ///
    /// # Errors
    /// Where there are as many as there may be; the leg is the caller's to remove then.
    pub fn open(
        &self,
        app: &Arc<App>,
        session: Session,
        leg: LegId,
        inbox: Arc<Inbox>,
        holds: Holds,
    ) -> Result<Opened, Refusal> {
        let opened = Opened { id: session.known().id.clone(), tag: new_tag() };
        let watches = match &holds {
            Holds::Publication(_) => None,
            Holds::Viewer { stream, .. } => Some(stream.clone()),
        };
        let mut sessions = self.lock();
        if sessions.len() >= SESSIONS_MAX {
            return Err(Refusal::Full { what: "WebRTC sessions", limit: SESSIONS_MAX });
        }
        sessions.insert(opened.id.clone(), Known { inbox: inbox.clone(), tag: opened.tag.clone(), watches });
        drop(sessions);
        session.known().set_leg(leg);
        let span = session.span();
        let task = Task { app: app.clone(), session, leg, restart: None };
        tokio::spawn(task.run(inbox, holds).instrument(span));
        Ok(opened)
    }

    /// Ends a session, and returns when it holds nothing any more: a publisher's name is free then.
    ///
    /// # Errors
    /// Where there is none of that number.
    pub async fn end(&self, id: &str) -> Result<(), Refusal> {
        let (done, ended) = oneshot::channel();
        {
            let sessions = self.lock();
            let known = sessions.get(id).ok_or(Refusal::SessionUnknown)?;
            order(known, Order::End { done: Some(done) })?;
        }
        let _ = ended.await;
        Ok(())
    }

    /// Ends the sessions of all viewers of a stream.
    pub fn end_viewers(&self, stream: &Arc<LiveStream>, reason: EndReason) {
        let sessions = self.lock();
        let watching =
            sessions.values().filter(|known| known.watches.as_ref().is_some_and(|own| Arc::ptr_eq(own, stream)));
        let count = watching.filter(|known| order(known, Order::End { done: None }).is_ok()).count();
        tracing::info!(stream = %stream.key, count, %reason, "WebRTC viewers turned away");
    }

    /// Takes a PATCH: `None` for trickled candidates, the answer for an ICE restart.
    ///
    /// # Errors
    /// Where there is no such session, the entity tag is an old one, or the fragment is malformed.
    pub async fn change(
        &self,
        app: &App,
        id: &str,
        tag: Option<&str>,
        fragment: String,
    ) -> Result<Option<Restarted>, Refusal> {
        let reply = {
            let sessions = self.lock();
            let known = sessions.get(id).ok_or(Refusal::SessionUnknown)?;
            if tag.is_some_and(|tag| tag != "*" && tag != known.tag) {
                return Err(Refusal::SessionChanged);
            }
            if !rtc::is_ice_restart(&fragment, tag == Some("*")) {
                return Ok(None);
            }
            let (reply, answer) = oneshot::channel();
            order(known, Order::Restart(Box::new(Restart { fragment, reply })))?;
            answer
        };
        let answer = tokio::time::timeout(RESTART_TIMEOUT, reply).await;
        let Ok(Ok(answer)) = answer else {
            app.counters.add("ice_restarts_failed", "no-answer");
            return Err(Refusal::SessionUnknown);
        };
        let fragment = answer.map_err(Refusal::Malformed)?;
        let restarted = Restarted { fragment, tag: new_tag() };
        if let Some(known) = self.lock().get_mut(id) {
            known.tag.clone_from(&restarted.tag);
        }
        Ok(Some(restarted))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn order(known: &Known, order: Order) -> Result<(), Refusal> {
    if known.inbox.order(order) { Ok(()) } else { Err(Refusal::SessionUnknown) }
}

fn new_tag() -> String {
    format!("\"{:016x}\"", rand::random::<u64>())
}

struct Task {
    app: Arc<App>,
    session: Session,
    leg: LegId,
    restart: Option<oneshot::Sender<Result<String, String>>>,
}

impl Task {
    async fn run(mut self, inbox: Arc<Inbox>, holds: Holds) {
        let stream = match &holds {
            Holds::Publication(publication) => publication.stream().clone(),
            Holds::Viewer { stream, .. } => stream.clone(),
        };
        let publishes = matches!(holds, Holds::Publication(_));
        let mut told = None;
        let reason = loop {
            tokio::select! {
                message = inbox.next() => match message {
                    Message::Over => break "connection-over",
                    Message::Order(Order::End { done }) => {
                        told = done;
                        break "asked";
                    }
                    Message::Order(Order::Restart(restart)) => self.restart(*restart),
                    Message::Restarted(answer) => self.restarted(answer),
                    Message::Received if publishes => self.received(&stream, Instant::now()),
                    Message::Received => {}
                },
                _ = stream.over() => break "stream-over",
                () = self.session.stopped() => break "asked",
            }
        };
        self.app.webrtc.lock().remove(&self.session.known().id);
        self.app.media.forget_leg(self.leg);
        self.app.media.tell(Command::RemoveLeg { id: self.leg });
        if publishes {
            for track in stream.packets().iter() {
                self.app.media.tell(Command::RemoveTrack { id: track.id });
            }
        }
        self.app.counters.add(if publishes { "whip_ended" } else { "whep_ended" }, reason);
        tracing::debug!(stream = %stream.key, reason, publishes, "WebRTC session ends");
        drop(holds);
        drop(told);
    }

    /// The publisher has sent media in the last second.
    fn received(&self, stream: &LiveStream, now: Instant) {
        stream.touch(now);
        let sent = self.app.media.leg_stats(self.leg).map_or_else(Moved::default, |stats| {
            let kinds = [stats.quality.video, stats.quality.audio];
            let lost = kinds.into_iter().flatten().map(|delivery| delivery.lost).sum();
            Moved { bytes: stats.bytes_in, packets: stats.packets_in, lost }
        });
        stream.health().packets(now, sent);
    }

    fn restart(&mut self, restart: Restart) {
        let Restart { fragment, reply } = restart;
        match self.app.media.send(Command::RestartIce { leg: self.leg, fragment }) {
            Ok(()) => self.restart = Some(reply),
            Err(refusal) => {
                let _ = reply.send(Err(refusal.to_string()));
            }
        }
    }

    fn restarted(&mut self, answer: Result<String, String>) {
        if let Some(reply) = self.restart.take() {
            let _ = reply.send(answer);
        }
    }
}
