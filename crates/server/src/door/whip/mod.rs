//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): an SDP offer in, an answer out, and a session until DELETE, the end
//! of the stream, or the end of the connection.

mod session;

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use media::Kind;
use rtc::{Leg, OfferError, Purpose};
use sfu::Command;

use session::Holds;
pub use session::{Restarted, Sessions};

use super::Door;
use crate::{
    admission::{Admitted, Wish, admit},
    app::App,
    bridge::PacketsWanted,
    http::credentials,
    hub::{PacketTrack, PacketTracks},
    query::Query,
    refusal::Refusal,
    session::Action,
};

/// Bytes of an offer at most: a browser's is 3 to 8 KiB.
const OFFER_BYTES_MAX: usize = 64 * 1024;
/// An offer has to arrive within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(8);
const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// `POST /whip/{app}/{stream}`: publishes.
pub async fn publish(
    State(app): State<Arc<App>>,
    Path((live, stream)): Path<(String, String)>,
    request: Request,
) -> Response {
    match take_publisher(&app, &live, &stream, request).await {
        Ok(response) => response,
        Err(refusal) => app.refuse_http(refusal),
    }
}

/// `POST /whep/{app}/{stream}`: plays.
pub async fn play(
    State(app): State<Arc<App>>,
    Path((live, stream)): Path<(String, String)>,
    request: Request,
) -> Response {
    match take_viewer(&app, &live, &stream, request).await {
        Ok(response) => response,
        Err(refusal) => app.refuse_http(refusal),
    }
}

/// `PATCH` on a session: trickled candidates (204; a server with ICE-lite needs none of them) or an ICE restart (200).
pub async fn patch(
    State(app): State<Arc<App>>,
    Path((_, _, id)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    match change(&app, &id, request).await {
        Ok(response) => response,
        Err(refusal) => app.refuse_http(refusal),
    }
}

/// `DELETE` on a session: ends it. When it is answered, the name is free.
pub async fn delete(State(app): State<Arc<App>>, Path((_, _, id)): Path<(String, String, String)>) -> Response {
    match app.webrtc.end(&id).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => app.refuse_http(refusal),
    }
}

async fn take_publisher(app: &Arc<App>, live: &str, stream: &str, request: Request) -> Result<Response, Refusal> {
    let (Admitted { key, session }, offer) = open(app, live, stream, request, Action::Publish).await?;
    let (mut leg, answer) =
        Leg::answer(&app.media.rtc, &offer, Purpose::Publish, std::time::Instant::now()).map_err(offer_refused)?;
    // Only an offer that can be served takes the name, or takes it over.
    let publication = app.hub.publish(key.clone(), Door::Whip, Some(session.known()))?;
    let shard = app.media.shard_of(&key);
    let track = |kind: Kind| {
        let codec = answer.codec(kind)?;
        Some(PacketTrack { id: app.media.new_track(), codec })
    };
    let tracks = PacketTracks { shard, video: track(Kind::Video), audio: track(Kind::Audio) };
    publication.stream().set_packets(tracks);
    for track in tracks.iter() {
        app.media.send(shard, Command::AddTrack { id: track.id, codec: track.codec })?;
    }
    let (id, events) = app.media.new_leg();
    leg.set_wall_clock(crate::clock::wall_now(), std::time::Instant::now());
    app.media.send(shard, Command::AddLeg { id, leg: Box::new(leg) })?;
    for track in tracks.iter() {
        app.media.send(shard, Command::Bind { leg: id, kind: track.codec.kind(), track: track.id })?;
    }
    let opened = app.webrtc.open(app, session, (shard, id), events, Holds::Publication(publication))?;
    Ok(created(app, "whip", (live, stream), &opened, answer.sdp))
}

async fn take_viewer(app: &Arc<App>, live: &str, stream: &str, request: Request) -> Result<Response, Refusal> {
    let (Admitted { key, session }, offer) = open(app, live, stream, request, Action::Play).await?;
    let found = app.hub.await_stream(&key).await?;
    let wanted = PacketsWanted::new(app, &found).await?;
    let tracks = wanted.tracks;
    let purpose =
        Purpose::Play { video: tracks.video.map(|track| track.codec), audio: tracks.audio.map(|track| track.codec) };
    let (leg, answer) =
        Leg::answer(&app.media.rtc, &offer, purpose, std::time::Instant::now()).map_err(offer_refused)?;
    let (id, events) = app.media.new_leg();
    app.media.send(tracks.shard, Command::AddLeg { id, leg: Box::new(leg) })?;
    for track in tracks.iter().filter(|track| answer.codec(track.codec.kind()).is_some()) {
        app.media.send(tracks.shard, Command::Subscribe { leg: id, track: track.id })?;
    }
    let viewer = found.watch(session.known());
    let opened = app.webrtc.open(
        app,
        session,
        (tracks.shard, id),
        events,
        Holds::Viewer { _wanted: wanted, _viewer: viewer, stream: found },
    )?;
    Ok(created(app, "whep", (live, stream), &opened, answer.sdp))
}

/// Who it is, the stream that is meant, and the offer.
async fn open(
    app: &Arc<App>,
    live: &str,
    stream: &str,
    request: Request,
    action: Action,
) -> Result<(Admitted, String), Refusal> {
    let (parts, body) = request.into_parts();
    expect_type(&parts.headers, SDP)?;
    // Whoever may not is told before the body is waited for; whoever may is asked about only with a whole offer.
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let credentials = credentials(&parts, &query);
    app.gate.admit(&credentials)?;
    let offer = text(body).await?;
    let wish = Wish { action, door: Door::Whip, app: live, stream, extension: "", credentials };
    Ok((admit(app, wish).await?, offer))
}

async fn change(app: &Arc<App>, id: &str, request: Request) -> Result<Response, Refusal> {
    expect_type(request.headers(), FRAGMENT)?;
    let tag = request.headers().get(header::IF_MATCH).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let fragment = text(request.into_body()).await?;
    match app.webrtc.change(app, id, tag.as_deref(), fragment).await? {
        None => Ok(StatusCode::NO_CONTENT.into_response()),
        Some(Restarted { fragment, tag }) => {
            let headers = [(header::CONTENT_TYPE, FRAGMENT.to_owned()), (header::ETAG, tag)];
            Ok((StatusCode::OK, headers, fragment).into_response())
        }
    }
}

fn created(app: &App, door: &str, (live, stream): (&str, &str), session: &session::Opened, sdp: String) -> Response {
    let encode =
        |part: &str| percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string();
    let location = format!("/{door}/{}/{}/{}", encode(live), encode(stream), session.id);
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

async fn text(body: Body) -> Result<String, Refusal> {
    let arrived = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, OFFER_BYTES_MAX)).await;
    let late = || Refusal::Malformed(format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs()));
    let too_long = || Refusal::Malformed(format!("the body is longer than {OFFER_BYTES_MAX} bytes, or was cut short"));
    let bytes = arrived.map_err(|_| late())?.map_err(|_| too_long())?;
    String::from_utf8(bytes.to_vec()).map_err(|_| Refusal::Malformed("the body is not UTF-8 text".into()))
}

fn offer_refused(error: OfferError) -> Refusal {
    if error.is_peers_fault() { Refusal::Malformed(error.to_string()) } else { Refusal::CannotServe(error.to_string()) }
}
