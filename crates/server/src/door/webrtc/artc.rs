//! artc, as Alibaba's SDKs signal: the live URL itself is posted to, with JSON around the offer. The content type of the
//! request is whatever browsers send without asking first, and says nothing of the body. There is no session to DELETE:
//! it ends with DTLS, with the connection, or with the stream.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, Kinds, body, live_url::LiveUrl, take_publisher, take_viewer};
use crate::{
    admission::{Wish, admit},
    app::App,
    door::Door,
    http::credentials,
    query::Query,
    refusal::Refusal,
    session::Action,
};

/// The version of the signalling that there is.
const VERSION: u64 = 2;

/// What is asked for.
#[derive(Debug, Deserialize)]
struct Asked {
    version: Option<Value>,
    #[serde(default)]
    pull_streams: Vec<Pull>,
    push_stream: Option<String>,
    jsep: Option<Jsep>,
}

#[derive(Debug, Deserialize)]
struct Pull {
    url: String,
    amsid: Option<Value>,
    vmsid: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Jsep {
    #[serde(rename = "type")]
    kind: Option<String>,
    sdp: Option<String>,
}

/// `POST /{app}/{stream}`: publishes or plays.
pub async fn answer(app: &Arc<App>, (live, stream): (&str, &str), request: &Parts, body: Body) -> Response {
    // What is told to the client and to whatever it reports to, so not the session's number.
    let trace_id = format!("{:016x}", rand::random::<u64>());
    match take(app, (live, stream), request, body).await {
        Ok(Answered { sdp, .. }) => {
            tracing::debug!(live, stream, trace_id, "artc answered");
            let jsep = json!({ "type": "answer", "sdp": sdp });
            said(StatusCode::OK, &json!({ "code": 200, "message": "ok", "trace_id": trace_id, "jsep": jsep }))
        }
        Err(refusal) => {
            app.count_refusal("artc", &refusal);
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let message = refusal.to_string();
            said(status, &json!({ "code": status.as_u16(), "message": message, "trace_id": trace_id }))
        }
    }
}

async fn take(app: &Arc<App>, (live, stream): (&str, &str), request: &Parts, body: Body) -> Result<Answered, Refusal> {
    let asked: Asked = body::json(body, "version, pull_streams or push_stream, and jsep").await?;
    let (url, action, wants) = asked.what()?;
    let offer = asked.offer()?;
    let (url, unwanted) = without_suffix(url);
    let named = LiveUrl::parse(url, "artc")?;
    let (stream, _) = without_suffix(stream);
    if (named.app, named.stream) != (live, stream) {
        return Err(Refusal::Malformed(format!(
            "the request was sent to /{live}/{stream}, and its body names /{}/{}; both have to name the same stream",
            named.app, named.stream
        )));
    }
    let (own, _) = without_suffix(request.uri.query().unwrap_or_default());
    let query = Query::parse(if own.is_empty() { named.query } else { own });
    let credentials = credentials(request, &query);
    let wish = Wish { action, door: Door::Artc, app: live, stream, extension: "", credentials };
    let admitted = admit(app, wish).await?;
    match action {
        Action::Publish => take_publisher(app, admitted, offer),
        Action::Play => {
            let wants = Kinds { video: wants.video && unwanted.video, audio: wants.audio && unwanted.audio };
            take_viewer(app, admitted, offer, wants).await
        }
    }
}

impl Asked {
    /// The stream's URL, and what is wanted of it.
    fn what(&self) -> Result<(&str, Action, Kinds), Refusal> {
        let wrong = |text: String| Err(Refusal::Malformed(text));
        match &self.version {
            Some(version) if version.as_u64() == Some(VERSION) => {}
            Some(version) => {
                let version: String = version.to_string().chars().take(32).collect();
                return wrong(format!("version is {version}, and this server speaks version {VERSION} of artc"));
            }
            None => return wrong(format!("version is missing; this server speaks version {VERSION} of artc")),
        }
        match (self.pull_streams.as_slice(), &self.push_stream) {
            ([], Some(url)) => Ok((url, Action::Publish, Kinds::ALL)),
            ([pull], None) => Ok((&pull.url, Action::Play, pull.wants())),
            ([], None) => wrong("name a stream to play in pull_streams, or one to publish in push_stream".into()),
            (_, Some(_)) => wrong("pull_streams and push_stream are both there; send one request for each".into()),
            (pulls, None) => {
                wrong(format!("pull_streams names {} streams, and one is played for each request", pulls.len()))
            }
        }
    }

    fn offer(&self) -> Result<&str, Refusal> {
        let wrong = |text: String| Refusal::Malformed(text);
        let jsep = self.jsep.as_ref().ok_or_else(|| wrong("jsep is missing; it carries the offer".into()))?;
        let kind = jsep.kind.as_deref().unwrap_or_default();
        if kind != "offer" {
            let kind: String = kind.chars().take(32).collect();
            return Err(wrong(format!("jsep.type is '{kind}', and should be 'offer': this server only answers")));
        }
        jsep.sdp.as_deref().ok_or_else(|| wrong("jsep.sdp is missing; it is the text of the offer".into()))
    }
}

impl Pull {
    /// A kind whose sources are not named is not wanted; where neither is named, both are.
    fn wants(&self) -> Kinds {
        let named = |sources: &Option<Value>| match sources {
            None | Some(Value::Null) => false,
            Some(Value::Array(sources)) => !sources.is_empty(),
            Some(_) => true,
        };
        let wants = Kinds { video: named(&self.vmsid), audio: named(&self.amsid) };
        if wants.video || wants.audio { wants } else { Kinds::ALL }
    }
}

/// A URL without the suffix `@subaudio=no&subvideo=no`, and what the suffix leaves wanted. Other uses of `@` stay.
fn without_suffix(text: &str) -> (&str, Kinds) {
    let begins = |suffix: &str| suffix.starts_with("subaudio=") || suffix.starts_with("subvideo=");
    match text.rsplit_once('@') {
        Some((url, suffix)) if begins(suffix) => {
            let unwanted = |what: &str| suffix.split('&').any(|part| part == what);
            (url, Kinds { video: !unwanted("subvideo=no"), audio: !unwanted("subaudio=no") })
        }
        _ => (text, Kinds::ALL),
    }
}

fn said(status: StatusCode, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Asked {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_suffix_is_told_from_a_name() {
        let no_audio = Kinds { video: true, audio: false };
        assert_eq!(without_suffix("artc://h/a/b@subaudio=no"), ("artc://h/a/b", no_audio));
        let nothing = Kinds { video: false, audio: false };
        assert_eq!(without_suffix("artc://h/a/b?k=v@subvideo=no&subaudio=no"), ("artc://h/a/b?k=v", nothing));
        assert_eq!(without_suffix("artc://h/a/user@host"), ("artc://h/a/user@host", Kinds::ALL));
        assert_eq!(without_suffix("artc://h/a/b@subaudio=yes"), ("artc://h/a/b", Kinds::ALL));
    }

    #[test]
    fn a_kind_without_sources_is_not_wanted() {
        let wants = |text: &str| serde_json::from_str::<Pull>(text).unwrap().wants();
        assert_eq!(wants(r#"{"url":"u","amsid":["rts audio"]}"#), Kinds { video: false, audio: true });
        assert_eq!(wants(r#"{"url":"u","amsid":[],"vmsid":["v"]}"#), Kinds { video: true, audio: false });
        assert_eq!(wants(r#"{"url":"u"}"#), Kinds::ALL);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            (r#"{"push_stream":"u"}"#, "version is missing"),
            (r#"{"version":1,"push_stream":"u"}"#, "version is 1"),
            (r#"{"version":"two","push_stream":"u"}"#, "version 2"),
            (r#"{"version":2}"#, "pull_streams"),
            (r#"{"version":2,"push_stream":"u","pull_streams":[{"url":"u"}]}"#, "both"),
            (r#"{"version":2,"pull_streams":[{"url":"u"},{"url":"v"}]}"#, "2 streams"),
        ] {
            let sentence = asked(text).what().unwrap_err().to_string();
            assert!(sentence.contains(word), "{text}: {sentence}");
        }
        for (text, word) in [
            ("{}", "jsep is missing"),
            (r#"{"jsep":{"type":"answer","sdp":"v=0"}}"#, "'answer'"),
            (r#"{"jsep":{"type":"offer"}}"#, "jsep.sdp"),
        ] {
            let sentence = asked(text).offer().unwrap_err().to_string();
            assert!(sentence.contains(word), "{text}: {sentence}");
        }
    }
}
