//! `/v1/server` and what machines ask.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{Peer, credentials, fresh, schema::Server};
use crate::{admin::Admin, app::App, metrics, query::Query, refusal::Refusal};

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
