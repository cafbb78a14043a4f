//! `/v1`: what the pages and other people's programs ask the server.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use live::stream::BFrames;
use media::{Codec, Config, Kind};
use serde_json::{Value, json};

use super::{Peer, fresh, identify};
use crate::{app::App, door::VIEWERS, hub::LiveStream, refusal::B_FRAMES_ADVICE};

/// Whether new work is taken: 503 while the server drains.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.hub.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    "ready\n".into_response()
}

/// Counters and gauges in the text format of Prometheus.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut text = app.counters.text();
    let streams = app.hub.list();
    text.push_str(&format!("# TYPE stentor_streams gauge\nstentor_streams {}\n", streams.len()));
    text.push_str("# TYPE stentor_viewers gauge\n");
    for name in VIEWERS {
        let count: usize = streams.iter().map(|stream| stream.viewers(name)).sum();
        text.push_str(&format!("stentor_viewers{{door=\"{name}\"}} {count}\n"));
    }
    text.push_str(&app.media.metrics());
    fresh("text/plain; version=0.0.4", Body::from(text))
}

/// What this server is and where its doors are.
pub async fn server(State(app): State<Arc<App>>, request: Request) -> Response {
    let headers = request.headers();
    let here = request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().is_loopback());
    let application = app.gate.default_application();
    let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let host =
        asked.rsplit_once(':').map_or(asked, |(name, port)| if port.parse::<u16>().is_ok() { name } else { asked });
    let host = app.addresses.advertise.as_deref().unwrap_or(host);
    let rtmp_port = app.addresses.rtmp.port();
    answer(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "mode": app.mode,
        "sdkAppId": application.map(|application| application.id),
        "open": (app.mode == "dev" && here) || application.is_some_and(|application| application.open),
        "rtmpPort": rtmp_port,
        "rtmpUrl": format!("rtmp://{host}:{rtmp_port}"),
        "mediaPort": app.addresses.media.port(),
        "https": app.addresses.https,
        "draining": app.hub.is_draining(),
    }))
}

/// The live streams of the caller's application, for whoever may play them.
pub async fn streams(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let identity = match identify(&app, &parts) {
        Ok(identity) => identity,
        Err(refusal) => return app.refuse_http(refusal),
    };
    let own = app.hub.list().into_iter().filter(|stream| stream.key.application == identity.application);
    let streams: Vec<Value> = own.map(|stream| describe(&stream)).collect();
    answer(&json!({ "streams": streams }))
}

fn answer(value: &Value) -> Response {
    fresh("application/json", Body::from(value.to_string()))
}

fn describe(stream: &LiveStream) -> Value {
    let now = Instant::now();
    let (video, audio, stats) = {
        let frames = stream.frames();
        let info = |kind| frames.track(kind).map(|track| track.info.clone());
        (info(Kind::Video), info(Kind::Audio), frames.stats(now))
    };
    let packets = stream.packets();
    let codec = |known: Option<Codec>, packet: Option<Codec>| known.or(packet).map(Codec::name);
    let video_codec = codec(video.as_ref().map(|info| info.codec), packets.video.map(|track| track.codec));
    let audio_codec = codec(audio.as_ref().map(|info| info.codec), packets.audio.map(|track| track.codec));
    let picture = video.as_ref().and_then(media::TrackInfo::picture_size);
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
    let viewers: serde_json::Map<String, Value> =
        VIEWERS.into_iter().map(|name| (name.to_owned(), stream.viewers(name).into())).collect();
    json!({
        "app": stream.key.app.to_string(),
        "stream": stream.key.stream.to_string(),
        "publisher": { "protocol": stream.door.name(), "since": stream.since.to_string() },
        "video": video_codec.map(|codec| json!({
            "codec": codec,
            "width": picture.map(|size| size.0),
            "height": picture.map(|size| size.1),
            "frameRate": (stats.frame_rate * 10.0).round() / 10.0,
            "bFrames": b_frames,
        })),
        "audio": audio_codec.map(|codec| json!({
            "codec": codec,
            "sampleRate": sound.map(|sound| sound.0),
            "channels": sound.map(|sound| sound.1),
        })),
        "bitrate": stats.bitrate_bps,
        "furtherTracks": stream.further.list().iter().map(|track| describe_further(track)).collect::<Vec<_>>(),
        "viewers": viewers,
        "warnings": warnings(stats.b_frames),
    })
}

/// A further track: its number for `?track=`, and how both kinds are coded there.
fn describe_further(stream: &LiveStream) -> Value {
    let codec = |kind| stream.track(kind).map(|track| track.info.codec.name());
    let size = stream.track(Kind::Video).and_then(|track| track.info.picture_size());
    json!({
        "track": stream.number,
        "video": codec(Kind::Video),
        "width": size.map(|size| size.0),
        "height": size.map(|size| size.1),
        "audio": codec(Kind::Audio),
    })
}

fn warnings(b_frames: BFrames) -> Vec<Value> {
    match b_frames {
        BFrames::Referenced => vec![json!({ "code": "b-frames", "message": B_FRAMES_ADVICE })],
        BFrames::None | BFrames::Discardable => Vec::new(),
    }
}
