//! `trtc://host/push|play/{stream}`, which over HTTP is WHIP and WHEP at `/v1/push|play/{stream}`.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    response::Response,
};

use super::whip::{Place, respond};
use crate::{app::App, door::Door, session::Action};

/// These URLs name no AppName: it is the default one.
const APP: &str = "live";

/// `POST /v1/push/{stream}`: publishes.
pub async fn push(State(app): State<Arc<App>>, Path(stream): Path<String>, request: Request) -> Response {
    let place = Place { action: Action::Publish, door: Door::Trtc, app: APP, stream: &stream };
    respond(&app, &place, &["v1", "push", &stream], request).await
}

/// `POST /v1/play/{stream}`: plays.
pub async fn play(State(app): State<Arc<App>>, Path(stream): Path<String>, request: Request) -> Response {
    let place = Place { action: Action::Play, door: Door::Trtc, app: APP, stream: &stream };
    respond(&app, &place, &["v1", "play", &stream], request).await
}
