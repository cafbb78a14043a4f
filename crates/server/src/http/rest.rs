//! `/v1/server`, `/v1/streams` and what machines ask: what the pages and other people's programs want to know.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use live::stream::{BFrames, EndReason};
use media::{Codec, Config, Kind};
use serde::Serialize;

use super::{
    Peer, credentials, fresh, identify, page,
    schema::{Audio, Problem, Publisher, Server, Stream, StreamPage, Video, Warning},
};
use crate::{
    admin::Admin,
    app::App,
    door::{VIEWERS, stream_key},
    hub::LiveStream,
    metrics,
    query::Query,
    refusal::{B_FRAMES_ADVICE, Refusal},
};

/// Whether new work is taken: 503 while the server drains.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.hub.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    "ready\n".into_response()
}

/// Counters and gauges in the text format of Prometheus: for the machine itself, for who shows an admin token, and for
/// everybody where the configuration says so.
pub async fn metrics(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let query = Query::default();
    let shown = credentials(&parts, &query);
    if let Err(refusal) = may_read_metrics(app.metrics_open, &app.admin, shown.peer.ip(), shown.bearer) {
        return app.refuse_http(refusal);
    }
    fresh("text/plain; version=0.0.4; charset=utf-8", Body::from(metrics::write(&app)))
}

fn may_read_metrics(open: bool, admin: &Admin, peer: IpAddr, bearer: Option<&str>) -> Result<(), Refusal> {
    if open || peer.is_loopback() { Ok(()) } else { admin.admit(bearer) }
}

/// What this server is and where its doors are.
#[utoipa::path(get, path = "/v1/server", tag = "server", responses((status = 200, body = Server)))]
pub async fn server(State(app): State<Arc<App>>, request: Request) -> Response {
    let headers = request.headers();
    let here = request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().is_loopback());
    let application = app.gate.default_application();
    let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let host =
        asked.rsplit_once(':').map_or(asked, |(name, port)| if port.parse::<u16>().is_ok() { name } else { asked });
    let host = app.addresses.advertise.as_deref().unwrap_or(host);
    let rtmp_port = app.addresses.rtmp.port();
    answer(&Server {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: app.mode.to_owned(),
        sdk_app_id: application.map(|application| application.id),
        open: (app.mode == "dev" && here) || application.is_some_and(|application| application.open),
        rtmp_port,
        rtmp_url: format!("rtmp://{host}:{rtmp_port}"),
        media_port: app.addresses.media.port(),
        https: app.addresses.https,
        draining: app.hub.is_draining(),
    })
}

/// The live streams of the caller's application, for whoever may play them; with an admin token, those of all.
#[utoipa::path(
    get,
    path = "/v1/streams",
    tag = "streams",
    params(
        ("sdkappid" = Option<u32>, Query, description = "The application; the token's own where it is left out"),
        ("usersig" = Option<String>, Query, description = "A UserSig, where no Authorization header is sent"),
        ("limit" = Option<u32>, Query, description = "Streams of a page, 1 to 1000; 1000 where it is left out"),
        ("cursor" = Option<String>, Query, description = "nextCursor of the page before"),
    ),
    responses(
        (status = 200, body = StreamPage),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security((), ("userSig" = []), ("adminToken" = []))
)]
pub async fn streams(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match list(&app, &parts) {
        Ok(page) => answer(&page),
        Err(refusal) => app.refuse_http(refusal),
    }
}

fn list(app: &App, request: &Parts) -> Result<StreamPage, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let admin = credentials(request, &query).bearer.is_some_and(|token| app.admin.knows(token));
    let application = if admin { named_application(&query)? } else { Some(identify(app, request)?.application) };
    let mut all = app.hub.list();
    all.retain(|stream| application.is_none_or(|id| stream.key.application == id));
    // The name is padded so that it sorts as the number does.
    let name = |stream: &Arc<LiveStream>| {
        let key = &stream.key;
        format!("{:010}/{}/{}", key.application, key.app, key.stream)
    };
    all.sort_by_cached_key(name);
    let (streams, next_cursor) = page::Asked::read(&query)?.cut(all, name);
    Ok(StreamPage { streams: streams.iter().map(|stream| describe(stream)).collect(), next_cursor })
}

/// Ends a live stream, whoever publishes it. A publisher that tries again by itself is let in again: to keep it out,
/// change its key.
#[utoipa::path(
    delete,
    path = "/v1/streams/{app}/{stream}",
    tag = "streams",
    params(
        ("app" = String, Path, description = "The AppName"),
        ("stream" = String, Path, description = "The stream"),
        ("sdkappid" = Option<u32>, Query, description = "The application; the default one where it is left out"),
    ),
    responses(
        (status = 204, description = "It has ended"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("adminToken" = []))
)]
pub async fn end_stream(
    State(app): State<Arc<App>>,
    Path((live, stream)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    match kick(&app, &live, &stream, &parts) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => app.refuse_http(refusal),
    }
}

fn kick(app: &App, live: &str, stream: &str, request: &Parts) -> Result<(), Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let credentials = credentials(request, &query);
    app.admin.admit(credentials.bearer)?;
    let default = || app.gate.default_application().map(|application| application.id);
    let application = named_application(&query)?.or_else(default).unwrap_or_default();
    let key = stream_key(application, live, stream)?;
    app.hub.end(&key, EndReason::Kicked)?;
    tracing::info!(stream = %key, peer = %credentials.peer, "an operator ended a stream");
    app.counters.add("streams_kicked", "operator");
    Ok(())
}

/// The application that a query names.
pub(super) fn named_application(query: &Query) -> Result<Option<u32>, Refusal> {
    let Some(text) = query.get("sdkappid") else { return Ok(None) };
    let wrong = || {
        let text: String = text.chars().take(40).collect();
        Refusal::Malformed(format!("sdkappid is '{text}', and should be a number"))
    };
    text.parse().map(Some).map_err(|_| wrong())
}

/// JSON that is not cached.
pub(super) fn answer(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => fresh("application/json", Body::from(text)),
        // Our own values have text for keys and nothing that fails.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A stream as `/v1/streams` shows it.
pub(super) fn describe(stream: &LiveStream) -> Stream {
    let now = Instant::now();
    let (video, audio, stats) = {
        let frames = stream.frames();
        let info = |kind| frames.track(kind).map(|track| track.info.clone());
        (info(Kind::Video), info(Kind::Audio), frames.stats(now))
    };
    let packets = stream.packets();
    let codec = |known: Option<Codec>, packet: Option<Codec>| known.or(packet).map(|codec| codec.name().to_owned());
    let video_codec = codec(video.as_ref().map(|info| info.codec), packets.video.map(|track| track.codec));
    let audio_codec = codec(audio.as_ref().map(|info| info.codec), packets.audio.map(|track| track.codec));
    let picture = video.as_ref().and_then(|info| match &info.config {
        Config::H264(config) => Some((config.picture.width, config.picture.height)),
        _ => None,
    });
    let sound = audio.as_ref().map(|info| match &info.config {
        Config::Aac(config) => (config.sample_rate_hz, config.channels),
        Config::Opus(config) => (info.clock_rate_hz, config.channels),
        _ => (info.clock_rate_hz, 2),
    });
    let b_frames = match stats.b_frames {
        BFrames::None => "none",
        BFrames::Discardable => "droppable",
        BFrames::Referenced => "referenced",
    };
    let viewers: BTreeMap<String, u64> =
        VIEWERS.into_iter().map(|name| (name.to_owned(), stream.viewers(name) as u64)).collect();
    Stream {
        sdk_app_id: stream.key.application,
        app: stream.key.app.to_string(),
        stream: stream.key.stream.to_string(),
        publisher: Publisher { protocol: stream.door.name().to_owned(), since: stream.since.to_string() },
        video: video_codec.map(|codec| Video {
            codec,
            width: picture.map(|size| size.0),
            height: picture.map(|size| size.1),
            frame_rate: (stats.frame_rate * 10.0).round() / 10.0,
            b_frames: b_frames.to_owned(),
        }),
        audio: audio_codec.map(|codec| Audio {
            codec,
            sample_rate: sound.map(|sound| sound.0),
            channels: sound.map(|sound| sound.1.into()),
        }),
        bitrate: stats.bitrate_bps,
        viewers,
        warnings: warnings(stats.b_frames),
    }
}

fn warnings(b_frames: BFrames) -> Vec<Warning> {
    match b_frames {
        BFrames::Referenced => vec![Warning { code: "b-frames".to_owned(), message: B_FRAMES_ADVICE.to_owned() }],
        BFrames::None | BFrames::Discardable => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_for_the_machine_itself_for_operators_and_for_whom_the_configuration_says() {
        let token = "a token of an operator";
        let admin = Admin::new(&[token.to_owned()]);
        let may = |open, peer: &str, bearer| may_read_metrics(open, &admin, peer.parse().unwrap(), bearer);
        assert!(may(false, "127.0.0.1", None).is_ok() && may(false, "::1", None).is_ok());
        assert!(may(false, "203.0.113.9", Some(token)).is_ok() && may(true, "203.0.113.9", None).is_ok());
        assert_eq!(may(false, "203.0.113.9", None).unwrap_err().status(), 401);
        assert_eq!(may(false, "203.0.113.9", Some("another")).unwrap_err().status(), 401);
        let none = may_read_metrics(false, &Admin::new(&[]), "203.0.113.9".parse().unwrap(), Some(""));
        assert_eq!(none.unwrap_err().status(), 403);
    }
}
