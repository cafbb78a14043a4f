//! HLS: a packager for each stream that somebody plays, started by the first playlist asked for and ended when nobody
//! has asked for a while. Segments are made once and shared.

mod viewers;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{Method, request::Parts},
    response::Response,
};
use live::{
    hls::{self, Packager},
    name::StreamKey,
    stream::{Read, Start},
};
use tokio::sync::Notify;

use super::{Door, stream_key};
use crate::{
    admission::{Admitted, Wish, admit},
    app::App,
    auth::Credentials,
    bridge::FramesWanted,
    http::{credentials, fresh},
    hub::{LiveStream, track_number},
    query::Query,
    refusal::Refusal,
    session::Action,
};
use viewers::Viewers;

/// A first playlist waits so long for the first whole segment.
const READY_TIMEOUT: Duration = Duration::from_secs(12);
/// Entries taken at once.
const BATCH_MAX: usize = 256;
const PLAYLIST: &str = "application/vnd.apple.mpegurl";
const MEDIA_PLAYLIST: &str = "media.m3u8";

/// The packagers of a server.
#[derive(Debug)]
pub struct Hls {
    config: hls::Config,
    idle_timeout: Duration,
    /// By stream and number of the track.
    running: Mutex<HashMap<(StreamKey, u8), Arc<Running>>>,
}

/// A packager at work.
#[derive(Debug)]
struct Running {
    stream: Arc<LiveStream>,
    packager: Mutex<Packager>,
    changed: Notify,
    asked: Mutex<Instant>,
    viewers: Viewers,
}

impl Hls {
    /// No packagers yet.
    pub fn new(config: hls::Config, idle_timeout: Duration) -> Self {
        Self { config, idle_timeout, running: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(StreamKey, u8), Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &(StreamKey, u8)) -> Option<Arc<Running>> {
        self.lock().get(key).cloned()
    }

    /// The packager that the viewer of that number watches, if it is of the stream that the path names.
    fn find_by_viewer(&self, live: &str, stream: &str, number: &str) -> Result<Option<Arc<Running>>, Refusal> {
        let same = |key: &StreamKey| key.app.as_str() == live && key.stream.as_str() == stream;
        let running: Vec<_> =
            self.lock().iter().filter(|((key, _), _)| same(key)).map(|(_, one)| one.clone()).collect();
        for one in running {
            if one.viewers.asked(number, 0)? {
                return Ok(Some(one));
            }
        }
        Ok(None)
    }

    /// The packager of a stream, started where it does not run.
    ///
    /// # Errors
    /// Where the stream has no form as frames.
    fn start(&self, app: &Arc<App>, stream: &Arc<LiveStream>) -> Result<Arc<Running>, Refusal> {
        let mut running = self.lock();
        let key = (stream.key.clone(), stream.number);
        if let Some(known) = running.get(&key)
            && Arc::ptr_eq(&known.stream, stream)
        {
            return Ok(known.clone());
        }
        let wanted = FramesWanted::new(app, stream)?;
        let started = Arc::new(Running {
            stream: stream.clone(),
            packager: Mutex::new(Packager::new(self.config.clone())),
            changed: Notify::new(),
            asked: Mutex::new(Instant::now()),
            viewers: Viewers::default(),
        });
        running.insert(key, started.clone());
        drop(running);
        app.counters.add("hls_packagers", "started");
        tokio::spawn(package(app.clone(), started.clone(), wanted));
        Ok(started)
    }
}

impl Running {
    fn packager(&self) -> MutexGuard<'_, Packager> {
        self.packager.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    async fn ready(&self) -> bool {
        let deadline = tokio::time::Instant::now() + READY_TIMEOUT;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.packager().ready() {
                return true;
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return false;
            }
        }
    }
}

/// Feeds a packager until nobody asks any more.
async fn package(app: Arc<App>, running: Arc<Running>, wanted: FramesWanted) {
    let stream = &running.stream;
    let pump = async {
        let mut cursor = stream.cursor(Start::OldestKey);
        let mut entries = Vec::new();
        loop {
            match stream.next(&mut cursor, BATCH_MAX, &mut entries).await {
                Read::Ended(_) => return,
                Read::Jumped { skipped } => app.counters.add_many("bridge_frames_skipped", "hls", skipped),
                Read::Ready | Read::Pending => {}
            }
            let mut packager = running.packager();
            for entry in entries.drain(..) {
                packager.push(entry.track.epoch, &entry.track.info, &entry.frame);
            }
            drop(packager);
            running.changed.notify_waiters();
        }
    };
    let unasked = async {
        while running.idle() < app.hls.idle_timeout {
            running.viewers.forget_idle(app.hls.idle_timeout);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let ended = tokio::select! {
        () = pump => true,
        () = unasked => false,
    };
    drop(wanted);
    if ended {
        // Players that are behind still get the last segments, and are told that no more follow.
        running.packager().end();
        running.changed.notify_waiters();
        tokio::time::sleep(app.hls.idle_timeout).await;
    }
    let mut all = app.hls.lock();
    let key = (running.stream.key.clone(), running.stream.number);
    if all.get(&key).is_some_and(|current| Arc::ptr_eq(current, &running)) {
        all.remove(&key);
    }
    app.counters.add("hls_packagers", "ended");
}

/// `GET /{app}/{stream}.m3u8`: the multivariant playlist.
///
/// # Errors
/// Where the viewer may not, nothing of that name is live, or no segment came in time.
pub async fn multivariant(app: &Arc<App>, live: &str, stream: &str, request: &Parts) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let number = track_number(query.get("track"))?;
    let Admitted { key, session } = enter(app, live, stream, credentials(request, &query)).await?;
    let mut found = app.hub.await_stream(&key).await?;
    if number != 0 {
        found.settled().await;
        found = found.of_track(Some(&number.to_string()))?;
    }
    let running = app.hls.start(app, &found)?;
    running.touch();
    if !running.ready().await {
        return Err(Refusal::CannotServe(format!(
            "'{key}' is live, but sent no whole segment within {} s; it needs a key frame every few seconds",
            READY_TIMEOUT.as_secs()
        )));
    }
    let id = session.known().id.clone();
    let shown = request.uri.query().map(|query| format!("{query}&")).unwrap_or_default();
    let uri = format!("{stream}/{MEDIA_PLAYLIST}?{shown}{}={id}", viewers::PARAMETER);
    let playlist = running.packager().multivariant(&uri).ok_or(Refusal::StreamUnknown(key.to_string()))?;
    // Who only looks whether there is something is no viewer.
    if request.method != Method::HEAD {
        let viewer = found.watch(session.known());
        running.viewers.add(id, session, viewer)?;
    }
    Ok(answer(request, PLAYLIST, Body::from(playlist)))
}

/// Lets a viewer of HLS in. All files of a stream are signed for as its multivariant playlist.
async fn enter(app: &Arc<App>, live: &str, stream: &str, credentials: Credentials<'_>) -> Result<Admitted, Refusal> {
    admit(app, wish(live, stream, credentials)).await
}

fn wish<'a>(app: &'a str, stream: &'a str, credentials: Credentials<'a>) -> Wish<'a> {
    Wish { action: Action::Play, door: Door::Hls, app, stream, extension: ".m3u8", credentials }
}

/// Whether the last part of a path is a file of HLS.
pub fn is_file(name: &str) -> bool {
    name == MEDIA_PLAYLIST || name.ends_with(".mp4") || name.ends_with(".m4s")
}

/// `GET /{app}/{stream}/{file}`: the media playlist, an initialisation segment or a media segment.
///
/// # Errors
/// Where the viewer may not, or there is no such file any more.
pub async fn file(app: &Arc<App>, live: &str, stream: &str, name: &str, request: &Parts) -> Result<Response, Refusal> {
    let running = viewed(app, live, stream, name, request).await?;
    running.touch();
    if name == MEDIA_PLAYLIST {
        running.ready().await;
        let query = request.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let ended = || Refusal::StreamUnknown(running.stream.key.to_string());
        let playlist = running.packager().playlist(&query).ok_or_else(ended)?;
        return Ok(answer(request, PLAYLIST, Body::from(playlist)));
    }
    let bytes = match hls::file_name(name) {
        Some(hls::File::Init(number)) => running.packager().init(number),
        Some(hls::File::Segment(number)) => running.packager().segment(number),
        None => None,
    };
    let bytes = bytes.ok_or_else(|| Refusal::NotFound(name.chars().take(64).collect()))?;
    let query = Query::parse(request.uri.query().unwrap_or_default());
    running.viewers.asked(viewers::named(&query).unwrap_or_default(), bytes.len())?;
    Ok(answer(request, "video/mp4", Body::from(bytes)))
}

/// The packager that a viewer's file comes from. Viewers who are known by the number of their session are not asked
/// again who they are; all others are, as at the multivariant playlist: those who were paused, or saw the server restart.
async fn viewed(
    app: &Arc<App>,
    live: &str,
    stream: &str,
    name: &str,
    request: &Parts,
) -> Result<Arc<Running>, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let credentials = credentials(request, &query);
    let session = viewers::named(&query);
    if let Some(session) = session
        && let Some(running) = app.hls.find_by_viewer(live, stream, session)?
    {
        return Ok(running);
    }
    // Without a number, viewers from one address count as one.
    let viewer = session.map_or_else(|| credentials.peer.ip().to_string(), str::to_owned);
    let identity = app.gate.admit(&wish(live, stream, credentials.clone()))?;
    let key = stream_key(identity.application, live, stream)?;
    let number = track_number(query.get("track"))?;
    let running = match (app.hls.find(&(key.clone(), number)), name == MEDIA_PLAYLIST) {
        (Some(running), _) => running,
        (None, true) => app.hls.start(app, &app.hub.find(&key)?.of_track(Some(&number.to_string()))?)?,
        (None, false) => return Err(Refusal::NotFound(name.chars().take(64).collect())),
    };
    if !running.viewers.asked(&viewer, 0)? {
        let Admitted { session, .. } = enter(app, live, stream, credentials).await?;
        let watching = running.stream.watch(session.known());
        running.viewers.add(viewer, session, watching)?;
    }
    Ok(running)
}

fn answer(request: &Parts, content_type: &'static str, body: Body) -> Response {
    fresh(content_type, if request.method == Method::HEAD { Body::empty() } else { body })
}
