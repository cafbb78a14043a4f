//! `/v1/sessions`: who publishes and plays now, at whatever door; for operators, who may also end them.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, Request, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};

use super::{
    credentials, page,
    rest::{answer, named_application},
    schema::{self, Connection, Problem, SessionPage},
};
use crate::{
    app::App,
    door::Door,
    query::Query,
    refusal::Refusal,
    session::{Action, Known},
};

/// Who publishes and plays now, the oldest first.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    operation_id = "sessions",
    tag = "sessions",
    params(
        ("sdkappid" = Option<u32>, Query, description = "Only of this application"),
        ("app" = Option<String>, Query, description = "Only of this AppName"),
        ("stream" = Option<String>, Query, description = "Only of streams of this name"),
        ("action" = Option<String>, Query, description = "Only `publish`, or only `play`"),
        ("door" = Option<String>, Query, description = "Only at this door: rtmp, flv, hls, whip, artc, trtc, srs"),
        ("limit" = Option<u32>, Query, description = "Sessions of a page, 1 to 1000; 1000 where it is left out"),
        ("cursor" = Option<String>, Query, description = "nextCursor of the page before"),
    ),
    responses(
        (status = 200, body = SessionPage),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("adminToken" = []))
)]
pub async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let page = admitted(&app, &parts).and_then(|query| sessions(&app, &query));
    page.map_or_else(|refusal| app.refuse_http(refusal), |page| answer(&page))
}

/// One session.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}",
    operation_id = "session",
    tag = "sessions",
    params(("id" = String, Path, description = "Its number")),
    responses(
        (status = 200, body = schema::Session),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("adminToken" = []))
)]
pub async fn inspect(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let found = admitted(&app, &parts).and_then(|_| find(&app, &id));
    found.map_or_else(|refusal| app.refuse_http(refusal), |known| answer(&describe(&app, &known)))
}

/// Ends a session. Who tries again by themselves and may, is let in again.
#[utoipa::path(
    delete,
    path = "/v1/sessions/{id}",
    operation_id = "end_session",
    tag = "sessions",
    params(("id" = String, Path, description = "Its number")),
    responses(
        (status = 204, description = "It is told to end, and is listed no more"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("adminToken" = []))
)]
pub async fn end(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match admitted(&app, &parts).and_then(|_| find(&app, &id)) {
        Ok(known) => {
            known.stop();
            let (door, action) = (known.door.name(), known.action.name());
            tracing::info!(stream = %known.key, door, action, peer = %known.peer, "an operator ended a session");
            app.counters.add("sessions_kicked", door);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => app.refuse_http(refusal),
    }
}

/// The query of an operator's request.
fn admitted(app: &App, request: &Parts) -> Result<Query, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    app.admin.admit(credentials(request, &query).bearer)?;
    Ok(query)
}

/// A session that goes on.
fn find(app: &App, id: &str) -> Result<Arc<Known>, Refusal> {
    app.sessions.find(id).filter(|known| !known.is_stopped()).ok_or(Refusal::SessionUnknown)
}

fn sessions(app: &App, query: &Query) -> Result<SessionPage, Refusal> {
    let asked = page::Asked::read(query)?;
    let application = named_application(query)?;
    let action = one_of(query, "action", &Action::ALL, Action::name)?;
    let door = one_of(query, "door", &Door::ALL, Door::name)?;
    let (live, stream) = (query.get("app"), query.get("stream"));
    let mut all = app.sessions.list();
    all.retain(|known| {
        !known.is_stopped()
            && application.is_none_or(|id| known.key.application == id)
            && action.is_none_or(|action| known.action == action)
            && door.is_none_or(|door| known.door == door)
            && live.is_none_or(|name| known.key.app.as_str() == name)
            && stream.is_none_or(|name| known.key.stream.as_str() == name)
    });
    // Microseconds have 16 digits until the year 2286.
    let (page, next_cursor) = asked.cut(all, |known| format!("{:016}/{}", known.since.0, known.id));
    Ok(SessionPage { sessions: page.iter().map(|known| describe(app, known)).collect(), next_cursor })
}

/// What a parameter names, where it is given.
fn one_of<T: Copy>(query: &Query, key: &str, all: &[T], name: fn(T) -> &'static str) -> Result<Option<T>, Refusal> {
    let Some(text) = query.get(key) else { return Ok(None) };
    if let Some(found) = all.iter().find(|one| name(**one) == text) {
        return Ok(Some(*found));
    }
    let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
    let text: String = text.chars().take(40).collect();
    Err(Refusal::Malformed(format!("{key} is '{text}'; expected one of {}", names.join(", "))))
}

fn delivery(delivery: rtc::Delivery) -> schema::Delivery {
    let rtc::Delivery { lost, lost_share, jitter } = delivery;
    let lost_percent = (f64::from(lost_share) * 1_000.0 / 256.0).round() / 10.0;
    schema::Delivery { lost, lost_percent, jitter_ms: millis(jitter) }
}

/// To a tenth of one.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

fn describe(app: &App, known: &Known) -> schema::Session {
    let stats = known.leg().and_then(|leg| app.media.leg_stats(leg));
    let connection = stats.map(|stats| Connection {
        bytes_in: stats.bytes_in,
        bytes_out: stats.bytes_out,
        packets_in: stats.packets_in,
        packets_out: stats.packets_out,
        round_trip_ms: stats.quality.round_trip.map(millis),
        estimate: stats.quality.estimate_bps,
        refused: stats.quality.refused,
        video: stats.quality.video.map(delivery),
        audio: stats.quality.audio.map(delivery),
    });
    let moved = connection.as_ref().map(|moved| match known.action {
        Action::Publish => moved.bytes_in,
        Action::Play => moved.bytes_out,
    });
    schema::Session {
        id: known.id.clone(),
        action: match known.action {
            Action::Publish => schema::Action::Publish,
            Action::Play => schema::Action::Play,
        },
        door: known.door.name().to_owned(),
        sdk_app_id: known.key.application,
        app: known.key.app.to_string(),
        stream: known.key.stream.to_string(),
        user: known.user.clone(),
        peer: known.peer.to_string(),
        since: known.since.to_string(),
        bytes: moved.unwrap_or_else(|| known.bytes()),
        connection,
    }
}
