//! SRS's `/rtc/v1`: JSON around the offer, as its SDK and the players made for it send, and its paths of WHIP and WHEP.
//! A refusal is an answer of status 200 with a code that is not 0, since those players read nothing else.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Answered, Kinds, body,
    live_url::LiveUrl,
    take_publisher, take_viewer,
    whip::{Place, respond},
};
use crate::{
    admission::{Wish, admit},
    app::App,
    door::Door,
    http::credentials,
    query::Query,
    refusal::Refusal,
    session::Action,
};

/// What is asked for. `api`, `clientip` and `tid` say nothing that would be believed or needed.
#[derive(Debug, Deserialize)]
struct Asked {
    sdp: Option<String>,
    streamurl: Option<String>,
}

/// `POST /rtc/v1/publish/`.
pub async fn publish(State(app): State<Arc<App>>, request: Request) -> Response {
    answer(&app, Action::Publish, request).await
}

/// `POST /rtc/v1/play/`.
pub async fn play(State(app): State<Arc<App>>, request: Request) -> Response {
    answer(&app, Action::Play, request).await
}

/// `POST /rtc/v1/whip/?app=&stream=`.
pub async fn whip(State(app): State<Arc<App>>, request: Request) -> Response {
    by_query(&app, Action::Publish, "whip", request).await
}

/// `POST /rtc/v1/whep/?app=&stream=`.
pub async fn whep(State(app): State<Arc<App>>, request: Request) -> Response {
    by_query(&app, Action::Play, "whep", request).await
}

async fn by_query(app: &Arc<App>, action: Action, name: &str, request: Request) -> Response {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let (live, stream) = (query.get("app").unwrap_or_default(), query.get("stream").unwrap_or_default());
    let place = Place { action, door: Door::Srs, app: live, stream };
    respond(app, &place, &["rtc", "v1", name], request).await
}

async fn answer(app: &Arc<App>, action: Action, request: Request) -> Response {
    let body = match take(app, action, request).await {
        Ok(Answered { session, sdp }) => json!({
            "code": 0,
            "server": "stentor",
            "service": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id().to_string(),
            "sdp": sdp,
            "sessionid": session.id,
        }),
        Err(refusal) => {
            app.count_refusal("srs", &refusal);
            json!({ "code": refusal.status(), "message": refusal.to_string() })
        }
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, body.to_string()).into_response()
}

async fn take(app: &Arc<App>, action: Action, request: Request) -> Result<Answered, Refusal> {
    let (parts, body) = request.into_parts();
    let asked: Asked = body::json(body, "sdp and streamurl").await?;
    let missing = |what: &str| {
        Refusal::Malformed(format!(
            "{what} is missing; send the offer in sdp, and webrtc://host/app/stream in streamurl"
        ))
    };
    let offer = asked.sdp.as_deref().ok_or_else(|| missing("sdp"))?;
    let url = asked.streamurl.as_deref().ok_or_else(|| missing("streamurl"))?;
    let named = LiveUrl::parse(url, "webrtc")?;
    let own = parts.uri.query().unwrap_or_default();
    let query = Query::parse(if named.query.is_empty() { own } else { named.query });
    let credentials = credentials(&parts, &query);
    let wish = Wish { action, door: Door::Srs, app: named.app, stream: named.stream, extension: "", credentials };
    let admitted = admit(app, wish).await?;
    match action {
        Action::Publish => take_publisher(app, admitted, offer),
        Action::Play => take_viewer(app, admitted, offer, Kinds::ALL).await,
    }
}
