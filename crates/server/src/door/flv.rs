//! FLV: `GET /{app}/{stream}.flv`, a response that does not end; or the same bytes over WebSocket, where that is asked for.

mod socket;

use std::{collections::VecDeque, convert::Infallible, pin::Pin, sync::Arc};

use axum::{
    body::Body,
    http::{Method, request::Parts},
    response::Response,
};
use bytes::Bytes;
use live::stream::Headers;
use media::Kind;

use super::{Door, Over, Reader};
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
pub async fn play(app: &Arc<App>, live: &str, stream: &str, request: &mut Parts) -> Result<Response, Refusal> {
    // A handshake that is none is refused before anything is done for it.
    let upgrade = socket::wanted(request).await?;
    let viewing = open(app, live, stream, request).await?;
    if let Some(upgrade) = upgrade {
        return Ok(socket::serve(upgrade, viewing));
    }
    if request.method == Method::HEAD {
        return Ok(fresh(CONTENT_TYPE, Body::empty()));
    }
    let body = futures_util::stream::unfold(viewing, |mut viewing| async move {
        let bytes = viewing.next().await.ok()?;
        Some((Ok::<_, Infallible>(bytes), viewing))
    });
    Ok(fresh(CONTENT_TYPE, Body::from_stream(body)))
}

async fn open(app: &Arc<App>, live: &str, stream: &str, request: &Parts) -> Result<Viewing, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let credentials = credentials(request, &query);
    let wish = Wish { action: Action::Play, door: Door::Flv, app: live, stream, extension: ".flv", credentials };
    let Admitted { key, session } = admit(app, wish).await?;
    let stream = app.hub.await_stream(&key).await?;
    let wanted = FramesWanted::new(app, &stream)?;
    if !stream.settled().await {
        return Err(Refusal::CannotServe(format!("'{key}' is live, but has sent no audio and no video yet")));
    }
    let stream = stream.of_track(query.get("track"))?;
    let has = |kind| stream.track(kind).is_some();
    let header = wire::flv::file_header(has(Kind::Audio), has(Kind::Video));
    Ok(Viewing {
        app: app.clone(),
        reader: Reader::new(stream.clone(), app.viewing),
        headers: Headers::default(),
        queue: VecDeque::from([header]),
        _viewer: stream.watch(session.known()),
        stopped: Box::pin(session.stopped()),
        session,
        _wanted: wanted,
    })
}

/// Why there is no more.
enum NoMore {
    /// The stream has ended, or the viewer is too slow for it.
    Over(Over),
    /// An operator ended the viewing.
    Asked,
}

const CONTENT_TYPE: &str = "video/x-flv";

/// Room for so many frames is kept between writes.
const QUEUE_KEPT: usize = 8;

/// A viewer at work.
struct Viewing {
    app: Arc<App>,
    reader: Reader,
    headers: Headers,
    queue: VecDeque<Bytes>,
    session: Session,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    _viewer: Viewer,
    _wanted: FramesWanted,
}

impl Viewing {
    /// The next bytes: shared with every other viewer of the stream. Cancel safe, as the reader is.
    async fn next(&mut self) -> Result<Bytes, NoMore> {
        loop {
            if let Some(bytes) = self.queue.pop_front() {
                self.session.count(bytes.len());
                return Ok(bytes);
            }
            // The fast start needed much room; what follows is a frame or two at once, of thousands of viewers.
            self.queue.shrink_to(QUEUE_KEPT);
            let entries = tokio::select! {
                entries = self.reader.next(&self.app) => entries.map_err(NoMore::Over)?,
                () = &mut self.stopped => return Err(NoMore::Asked),
            };
            for entry in entries {
                if self.headers.needs(&entry) {
                    self.queue.push_back(entry.track.flv_header().clone());
                }
                self.queue.push_back(entry.flv().clone());
            }
        }
    }
}
