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

use super::{Reader, stream_key};
use crate::{
    app::App,
    bridge::FramesWanted,
    http::{admit, fresh},
    hub::{Door, Viewer},
    refusal::Refusal,
};

/// Serves a viewer.
///
/// # Errors
/// Where the viewer may not, or nothing of that name is live.
pub async fn play(app: &Arc<App>, live: &str, stream: &str, request: &Parts) -> Result<Response, Refusal> {
    let identity = admit(app, request)?;
    let key = stream_key(identity.application, live, stream)?;
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
        _viewer: stream.watch(Door::Flv),
        _wanted: wanted,
    };
    let body = futures_util::stream::unfold(viewing, |mut viewing| async move {
        let bytes = viewing.next().await?;
        Some((Ok::<_, Infallible>(bytes), viewing))
    });
    Ok(fresh("video/x-flv", Body::from_stream(body)))
}

/// Room for so many frames is kept between writes.
const QUEUE_KEPT: usize = 8;

struct Viewing {
    app: Arc<App>,
    reader: Reader,
    headers: Headers,
    queue: VecDeque<Bytes>,
    _viewer: Viewer,
    _wanted: FramesWanted,
}

impl Viewing {
    /// The next bytes: shared with every other viewer of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        while self.queue.is_empty() {
            // The fast start needed much room; what follows is a frame or two at once, of thousands of viewers.
            self.queue.shrink_to(QUEUE_KEPT);
            let entries = self.reader.next(&self.app).await.ok()?;
            for entry in entries {
                if self.headers.needs(&entry) {
                    self.queue.push_back(entry.track.flv_header().clone());
                }
                self.queue.push_back(entry.flv().clone());
            }
        }
        self.queue.pop_front()
    }
}
