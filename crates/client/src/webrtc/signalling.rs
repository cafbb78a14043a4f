//! The dialects in which an offer goes out and an answer comes back: WHIP and WHEP, RTS, SRS.

use std::net::IpAddr;

use bytes::Bytes;
use hyper::{Method, header};
use serde_json::{Value, json};

use super::ANSWER_BYTES_MAX;
use crate::{
    Dialect, Error, HttpUrl, Intent, Signal, Trust,
    net::{Request, dial, request},
};

const SDP: &str = "application/sdp";
const JSON: &str = "application/json";
/// What RTS' own kit says of its JSON, so that browsers ask no permission first.
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";
/// How RTS and SRS say that all is well.
const CODES_OK: [i64; 2] = [0, 200];

/// What is to be ended at the end; `None` where the end of the connection says it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    resource: Option<HttpUrl>,
    trust: Trust,
}

impl Session {
    /// Ends it at the server, where that is done by a request.
    pub(crate) async fn end(&self) {
        if let Some(url) = &self.resource {
            let asked = Request { method: Method::DELETE, content_type: None, body: Bytes::new() };
            let _ = request(url, &asked, self.trust).await;
        }
    }
}

/// The address of ours that the server is reached from.
pub(crate) async fn local_address(signal: &Signal, trust: Trust) -> Result<IpAddr, Error> {
    let url = &signal.url;
    Ok(dial(&url.host, url.port, url.tls, trust).await?.1)
}

/// Sends an offer; with the answer comes what is to be ended later.
///
/// # Errors
/// Where the server is not there or says no.
pub(crate) async fn exchange(
    signal: &Signal,
    intent: Intent,
    offer: &str,
    trust: Trust,
) -> Result<(Session, String), Error> {
    let (content_type, body) = body(signal, intent, offer);
    let asked = Request { method: Method::POST, content_type: Some(content_type), body: body.into() };
    let answer = request(&signal.url, &asked, trust).await?;
    let location = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let base = answer.url.clone();
    let text = answer.body.whole(ANSWER_BYTES_MAX).await?;
    let text = String::from_utf8(text.to_vec()).map_err(|_| Error::Malformed("an answer that is not UTF-8".into()))?;
    if signal.dialect == Dialect::Whip {
        let resource = location.map(|location| base.join(&location)).transpose()?;
        return Ok((Session { resource, trust }, text));
    }
    Ok((Session { resource: None, trust }, in_json(&text)?))
}

fn body(signal: &Signal, intent: Intent, offer: &str) -> (&'static str, String) {
    let stream = &signal.stream;
    let jsep = json!({ "type": "offer", "sdp": offer });
    match (signal.dialect, intent) {
        (Dialect::Whip, _) => (SDP, offer.to_owned()),
        (Dialect::Artc, Intent::Push) => {
            let body =
                json!({ "version": 2, "sdk_version": "0.0.1", "mode": "rtc", "push_stream": stream, "jsep": jsep });
            (FORM, body.to_string())
        }
        (Dialect::Artc, Intent::Play) => {
            let pulled = json!([{ "url": stream, "amsid": ["rts audio"], "vmsid": ["rts video"] }]);
            let body =
                json!({ "version": 2, "sdk_version": "0.0.1", "mode": "live", "pull_streams": pulled, "jsep": jsep });
            (FORM, body.to_string())
        }
        (Dialect::Srs, _) => {
            let url = &signal.url;
            let api = format!("{}://{}{}", if url.tls { "https" } else { "http" }, url.authority(), url.path);
            (JSON, json!({ "api": api, "streamurl": stream, "clientip": null, "sdp": offer }).to_string())
        }
    }
}

/// The answer in the JSON of RTS (`jsep.sdp`) or of SRS (`sdp`).
fn in_json(text: &str) -> Result<String, Error> {
    let answer: Value = serde_json::from_str(text).map_err(|_| Error::Malformed("an answer that is no JSON".into()))?;
    let code = answer.get("code").and_then(Value::as_i64);
    let sdp = answer.pointer("/jsep/sdp").or_else(|| answer.get("sdp")).and_then(Value::as_str);
    match sdp {
        Some(sdp) if code.is_none_or(|code| CODES_OK.contains(&code)) => Ok(sdp.to_owned()),
        _ => {
            let said = ["message", "msg", "detail", "data"].iter().find_map(|field| answer.get(field)?.as_str());
            let said = said.unwrap_or("no SDP in the answer");
            let code = code.map_or_else(String::new, |code| format!(" (code {code})"));
            Err(Error::Refused { status: None, reason: format!("{said}{code}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    fn signal(url: &str, intent: Intent) -> Signal {
        match Address::parse(url, intent) {
            Ok(Address::WebRtc(signal)) => signal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_dialect_says_it_in_its_way() {
        let url = "artc://127.0.0.1:8080/live/a?auth_key=1-2";
        let said = |url, intent| body(&signal(url, intent), intent, "v=0");
        assert_eq!(said("http://h/whip/live/a", Intent::Push), (SDP, "v=0".to_owned()));
        let (kind, text) = said(url, Intent::Play);
        let play: Value = serde_json::from_str(&text).unwrap();
        assert!(kind.starts_with("application/x-www-form-urlencoded"), "no preflight");
        assert_eq!((&play["version"], &play["pull_streams"][0]["url"]), (&json!(2), &json!(url)));
        assert_eq!(play["jsep"], json!({ "type": "offer", "sdp": "v=0" }));
        let push: Value = serde_json::from_str(&said(url, Intent::Push).1).unwrap();
        assert_eq!((&push["push_stream"], &push["mode"]), (&json!(url), &json!("rtc")));
        let srs: Value = serde_json::from_str(&said("webrtc://h:1985/live/a", Intent::Play).1).unwrap();
        assert_eq!(srs["api"], "http://h:1985/rtc/v1/play/");
        assert_eq!((&srs["streamurl"], &srs["sdp"]), (&json!("webrtc://h:1985/live/a"), &json!("v=0")));
    }

    #[test]
    fn an_answer_is_found_and_a_refusal_is_said() {
        assert_eq!(in_json(r#"{"code":0,"sdp":"v=0","sessionid":"x"}"#).unwrap(), "v=0");
        assert_eq!(in_json(r#"{"code":200,"jsep":{"type":"answer","sdp":"v=0"}}"#).unwrap(), "v=0");
        assert_eq!(in_json(r#"{"jsep":{"sdp":"v=0"}}"#).unwrap(), "v=0");
        let error = in_json(r#"{"code":403,"message":"auth_key has expired","sdp":"v=0"}"#).unwrap_err();
        assert_eq!(error.to_string(), "the server refused: auth_key has expired (code 403)");
        assert!(in_json("[]").is_err());
        assert!(in_json("<html>").is_err());
    }
}
