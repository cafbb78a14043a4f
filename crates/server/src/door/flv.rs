//! HTTP-FLV: `GET /{app}/{stream}.flv`, a response that does not end.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    http::{Method, request::Parts},
    response::Response,
};
use bytes::Bytes;
use live::stream::Headers;
use media::Kind;

use super::{Door, Reader};
use crate::{
    admission::{Admitted, Wish, admit},
    app::App,
    bridge::FramesWanted,
    http::{credentials, fresh},
    hub::Viewer,
    query::Query,
    refusal::Refusal,
    session::{Action, Session},
};

/// Serves a viewer.
///
/// # Errors
/// Where the viewer may not, or nothing of that name is live.
pub async fn play(app: &Arc<App>, live: &str, stream: &str, request: &Parts) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let credentials = credentials(request, &query);
    let wish = Wish { action: Action::Play, door: Door::Flv, app: live, stream, extension: ".flv", credentials };
    let Admitted { key, session } = admit(app, wish).await?;
    let stream = app.hub.await_stream(&key).await?;
    let wanted = FramesWanted::new(app, &stream)?;
    if !stream.settled().await {
        return Err(Refusal::CannotServe(format!("'{key}' is live, but has sent no audio and no video yet")));
    }
    if request.method == Method::HEAD {
        return Ok(fresh("video/x-flv", Body::empty()));
    }
    let has = |kind| stream.track(kind).is_some();
    let header = wire::flv::file_header(has(Kind::Audio), has(Kind::Video));
    let viewing = Viewing {
        app: app.clone(),
        reader: Reader::new(stream.clone(), app.viewing),
        headers: Headers::default(),
        queue: VecDeque::from([header]),
        _viewer: stream.watch(session.known()),
        session,
        _wanted: wanted,
    };
    let body = futures_util::stream::unfold(viewing, |mut viewing| async move {
        let bytes = viewing.next().await?;
        Some((Ok::<_, Infallible>(bytes), viewing))
    });
    Ok(fresh("video/x-flv", Body::from_stream(body)))
}

struct Viewing {
    app: Arc<App>,
    reader: Reader,
    headers: Headers,
    queue: VecDeque<Bytes>,
    session: Session,
    _viewer: Viewer,
    _wanted: FramesWanted,
}

impl Viewing {
    /// The next bytes: shared with every other viewer of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        while self.queue.is_empty() {
            let entries = tokio::select! {
                entries = self.reader.next(&self.app) => entries.ok()?,
                () = self.session.stopped() => return None,
            };
            for entry in entries {
                if self.headers.needs(&entry) {
                    self.queue.push_back(entry.track.flv_header().clone());
                }
                self.queue.push_back(entry.flv().clone());
            }
        }
        let bytes = self.queue.pop_front();
        self.session.count(bytes.as_ref().map_or(0, Bytes::len));
        bytes
    }
}
