//! The one way in. Every door calls `admit` before it serves anybody: who is it, may they, and what are they called.

use std::sync::Arc;

use live::name::StreamKey;

use crate::{
    app::App,
    auth::Credentials,
    door::{Door, stream_key},
    refusal::Refusal,
    session::{Action, Opening, Session},
    webhooks::Withdrawal,
};

/// What somebody at a door wants.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// To publish or to play.
    pub action: Action,
    /// The door.
    pub door: Door,
    /// The AppName; empty: the default one.
    pub app: &'a str,
    /// The stream.
    pub stream: &'a str,
    /// What follows the stream in the path of its live URL: `.flv`, `.m3u8`, or nothing.
    pub extension: &'static str,
    /// What the request shows.
    pub credentials: Credentials<'a>,
}

/// Somebody who may.
#[derive(Debug)]
pub struct Admitted {
    /// The stream that is meant.
    pub key: StreamKey,
    /// Their session; it lasts as long as this.
    pub session: Session,
}

/// Lets somebody in, or says why not.
///
/// # Errors
/// The reason, with the original's number.
pub async fn admit(app: &Arc<App>, wish: Wish<'_>) -> Result<Admitted, Refusal> {
    let identity = app.gate.admit(&wish)?;
    let key = stream_key(identity.application, wish.app, wish.stream)?;
    // Nobody is asked about what cannot be.
    if wish.action == Action::Publish {
        app.hub.may_begin(&key)?;
    }
    let mut session = app.sessions.open(Opening {
        action: wish.action,
        door: wish.door,
        key: key.clone(),
        user: identity.user,
        peer: wish.credentials.peer,
        origin: app.webhooks.origin(&wish.credentials),
    })?;
    let told = app.webhooks.ask(session.known()).await?;
    session.tell_if_it_never_begins(Withdrawal::new(app.webhooks.notices(), told, session.known().clone()));
    Ok(Admitted { key, session })
}
