//! `/v1`: what the pages and other people's programs ask the server, streams apart.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{Peer, fresh};
use crate::{app::App, door::VIEWERS};

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

fn answer(value: &Value) -> Response {
    fresh("application/json", Body::from(value.to_string()))
}
