//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): an SDP offer in, an answer out, and a session until DELETE, the end
//! of the stream, or the end of the connection. Other skins carry offers the same way under other paths.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use super::{
    Answered, Kinds, Restarted,
    body::{OFFER_BYTES_MAX, text},
    take_publisher, take_viewer,
};
use crate::{
    admission::{Admitted, Wish, admit},
    app::App,
    door::Door,
    http::credentials,
    query::Query,
    refusal::Refusal,
    session::Action,
};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// What a path stands for.
pub(super) struct Place<'a> {
    /// To publish or to play.
    pub(super) action: Action,
    /// The door that the path belongs to.
    pub(super) door: Door,
    /// The AppName; empty: the default one.
    pub(super) app: &'a str,
    /// The stream.
    pub(super) stream: &'a str,
}

/// The number at the end of a session's path.
#[derive(Debug, Deserialize)]
pub struct Number {
    session: String,
}

/// `POST /whip/{app}/{stream}`: publishes.
pub async fn publish(
    State(app): State<Arc<App>>,
    Path((live, stream)): Path<(String, String)>,
    request: Request,
) -> Response {
    let place = Place { action: Action::Publish, door: Door::Whip, app: &live, stream: &stream };
    respond(&app, &place, &["whip", &live, &stream], request).await
}

/// `POST /whep/{app}/{stream}`: plays.
pub async fn play(
    State(app): State<Arc<App>>,
    Path((live, stream)): Path<(String, String)>,
    request: Request,
) -> Response {
    let place = Place { action: Action::Play, door: Door::Whip, app: &live, stream: &stream };
    respond(&app, &place, &["whep", &live, &stream], request).await
}

/// `PATCH` on a session: trickled candidates (204; a server with ICE-lite needs none of them) or an ICE restart (200).
pub async fn patch(State(app): State<Arc<App>>, Path(number): Path<Number>, request: Request) -> Response {
    match change(&app, &number.session, request).await {
        Ok(response) => response,
        Err(refusal) => app.refuse_http(refusal),
    }
}

/// `DELETE` on a session: ends it. When it is answered, the name is free.
pub async fn delete(State(app): State<Arc<App>>, Path(number): Path<Number>) -> Response {
    match app.webrtc.end(&number.session).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => app.refuse_http(refusal),
    }
}

/// Answers an offer; the session's path is this path and its number.
pub(super) async fn respond(app: &Arc<App>, place: &Place<'_>, path: &[&str], request: Request) -> Response {
    let answered = match open(app, place, request).await {
        Ok((admitted, offer)) if place.action == Action::Publish => take_publisher(app, admitted, &offer),
        Ok((admitted, offer)) => take_viewer(app, admitted, &offer, Kinds::ALL).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(answered) => created(app, path, answered),
        Err(refusal) => app.refuse_http(refusal),
    }
}

/// Who it is, the stream that is meant, and the offer.
async fn open(app: &Arc<App>, place: &Place<'_>, request: Request) -> Result<(Admitted, String), Refusal> {
    let (parts, body) = request.into_parts();
    expect_type(&parts.headers, SDP)?;
    // Whoever may not is told before the body is waited for; whoever may is asked about only with a whole offer.
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let credentials = credentials(&parts, &query);
    let Place { action, door, app: live, stream } = *place;
    let wish = Wish { action, door, app: live, stream, extension: "", credentials };
    app.gate.admit(&wish)?;
    let offer = text(body, OFFER_BYTES_MAX).await?;
    Ok((admit(app, wish).await?, offer))
}

async fn change(app: &Arc<App>, id: &str, request: Request) -> Result<Response, Refusal> {
    expect_type(request.headers(), FRAGMENT)?;
    let tag = request.headers().get(header::IF_MATCH).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let fragment = text(request.into_body(), OFFER_BYTES_MAX).await?;
    match app.webrtc.change(app, id, tag.as_deref(), fragment).await? {
        None => Ok(StatusCode::NO_CONTENT.into_response()),
        Some(Restarted { fragment, tag }) => {
            let headers = [(header::CONTENT_TYPE, FRAGMENT.to_owned()), (header::ETAG, tag)];
            Ok((StatusCode::OK, headers, fragment).into_response())
        }
    }
}

fn created(app: &App, path: &[&str], answered: Answered) -> Response {
    let Answered { session, sdp } = answered;
    let encode =
        |part: &str| percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string();
    let path: String = path.iter().map(|part| format!("/{}", encode(part))).collect();
    let location = format!("{path}/{}", session.id);
    let mut response = (StatusCode::CREATED, Body::from(sdp)).into_response();
    let headers = response.headers_mut();
    for (key, value) in [
        (header::CONTENT_TYPE, SDP),
        (header::LOCATION, &location),
        (header::ETAG, &session.tag),
        (header::HeaderName::from_static("accept-patch"), FRAGMENT),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(key, value);
        }
    }
    for url in &app.ice_servers {
        if let Ok(value) = HeaderValue::from_str(&format!("<{url}>; rel=\"ice-server\"")) {
            headers.append(header::LINK, value);
        }
    }
    response
}

fn expect_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Refusal> {
    let got = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
    if got.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    Err(Refusal::MediaType { expected, got: got.chars().take(64).collect() })
}
