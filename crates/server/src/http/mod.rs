//! HTTP: which path belongs to which door. The doors themselves are in `crate::door`.

mod health;
mod listener;
mod openapi;
mod page;
mod pages;
mod problem;
mod rest;
mod schema;
mod sessions;
mod streams;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

pub use listener::{Peer, serve};

use crate::{
    app::App,
    auth::{Credentials, Identity},
    door::{
        flv, hls,
        webrtc::{artc, srs, trtc, whip},
    },
    query::Query,
    refusal::Refusal,
    signing::Prefix,
};

/// Every path of the server.
pub fn router(app: Arc<App>) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS])
        // A star would not stand for Authorization, by which WHIP and WHEP carry tokens (Fetch, CORS-unsafe headers).
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            header::LOCATION,
            header::ETAG,
            header::LINK,
            header::HeaderName::from_static("accept-patch"),
        ]);
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(rest::ready))
        .route("/metrics", get(rest::metrics))
        .merge(openapi::router())
        .route("/whip/{app}/{stream}", post(whip::publish))
        .route("/whep/{app}/{stream}", post(whip::play))
        .route("/whip/{app}/{stream}/{session}", axum::routing::patch(whip::patch).delete(whip::delete))
        .route("/whep/{app}/{stream}/{session}", axum::routing::patch(whip::patch).delete(whip::delete))
        .merge(skins())
        .fallback(live_url)
        .layer(cors)
        .with_state(app)
}

/// The other protocols by which WebRTC is offered under paths of their own.
fn skins() -> Router<Arc<App>> {
    let session = || axum::routing::patch(whip::patch).delete(whip::delete);
    let mut router = Router::new()
        .route("/v1/push/{stream}", post(trtc::push))
        .route("/v1/play/{stream}", post(trtc::play))
        .route("/v1/push/{stream}/{session}", session())
        .route("/v1/play/{stream}/{session}", session());
    // SRS takes each path with and without the slash at its end.
    for slash in ["", "/"] {
        router = router
            .route(&format!("/rtc/v1/publish{slash}"), post(srs::publish))
            .route(&format!("/rtc/v1/play{slash}"), post(srs::play))
            .route(&format!("/rtc/v1/whip{slash}"), post(srs::whip))
            .route(&format!("/rtc/v1/whep{slash}"), post(srs::whep));
    }
    router.route("/rtc/v1/whip/{session}", session()).route("/rtc/v1/whep/{session}", session())
}

/// Live URLs: a file is told by its extension, and an offer of artc by its method. All else is a page or nothing.
async fn live_url(State(app): State<Arc<App>>, request: Request) -> Response {
    let (mut request, body) = request.into_parts();
    let path = request.uri.path().to_owned();
    let mut segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if let Some(prefix) = Prefix::take(&mut segments) {
        request.extensions.insert(prefix);
    }
    match (&request.method, segments.as_slice()) {
        (&Method::GET | &Method::HEAD, _) => {}
        (&Method::POST, [live, stream]) if !live::name::is_reserved(live) => {
            return artc::answer(&app, (live, stream), &request, body).await;
        }
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
    let served = match segments.as_slice() {
        [live, file] if file.ends_with(".flv") => {
            flv::play(&app, live, file.trim_end_matches(".flv"), &mut request).await
        }
        [live, file] if file.ends_with(".m3u8") => {
            hls::multivariant(&app, live, file.trim_end_matches(".m3u8"), &request).await
        }
        [live, stream, file] if hls::is_file(file) => hls::file(&app, live, stream, file, &request).await,
        _ => match pages::find(&path, &request.headers) {
            Some(page) => Ok(page),
            None => Err(Refusal::NotFound(format!("/{}", segments.join("/")).chars().take(200).collect())),
        },
    };
    served.unwrap_or_else(|refusal| app.refuse_http(refusal))
}

/// Finds out who makes a request that is about no stream.
///
/// # Errors
/// Where the gate refuses.
pub fn identify(app: &App, request: &Parts) -> Result<Identity, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    app.gate.identify(&credentials(request, &query))
}

/// What a request shows. `query` is the one that counts: the URL's own, or that of the URL in a body.
pub fn credentials<'a>(request: &'a Parts, query: &'a Query) -> Credentials<'a> {
    let text = |name: header::HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let peer = request.extensions.get::<Peer>().map_or(unknown, |peer| peer.0);
    Credentials { query, bearer, host, prefix: request.extensions.get::<Prefix>(), peer }
}

/// A plain answer with a content type that is never cached.
pub fn fresh(content_type: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}
