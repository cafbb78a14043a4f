//! The bodies of requests, a function a dialect. docs/webhooks.md shows one of each.

use live::stream::EndReason;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    event::{Event, What},
    hook::Dialect,
};
use crate::{door::Door, session::Action};

/// The group of live streams in the original's envelope. The original has no callbacks for them in this form; its own
/// groups are 1 to 9.
const GROUP: u32 = 90;
/// Roles of the original: anchor and audience.
const ANCHOR: u32 = 20;
const AUDIENCE: u32 = 21;
/// SRS's name for the virtual host of who names none.
const DEFAULT_VHOST: &str = "__defaultVhost__";

/// What is the same for all requests of a server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its host name or address.
    pub host: String,
    /// The number of this run of it.
    pub run: String,
}

/// The body that tells of an event in a dialect; `None` where the dialect has none for it.
pub fn of(dialect: Dialect, event: &Event<'_>, server: &Server) -> Option<Value> {
    match dialect {
        Dialect::Stentor => stentor(event),
        Dialect::Srs => Some(srs(event, server)),
        Dialect::TencentCss => css(event, server),
    }
}

fn stentor(event: &Event<'_>) -> Option<Value> {
    let (number, ended) = match event.what {
        What::StreamStarted => (1, false),
        What::StreamEnded(_) => (2, true),
        What::ViewerBegan => (3, false),
        What::ViewerEnded => (4, true),
        What::May(Action::Publish) => (51, false),
        What::May(Action::Play) => (52, false),
        What::Withdrawn => return None,
    };
    let by = event.by;
    let mut info = json!({
        "EventTs": event.at_ms() / 1_000,
        "EventMsTs": event.at_ms(),
        "SdkAppId": by.key.application,
        "AppName": by.key.app.as_str(),
        "StreamName": by.key.stream.as_str(),
        "UserId": event.user(),
        "Role": if by.action == Action::Publish { ANCHOR } else { AUDIENCE },
        "Protocol": by.door.name(),
        "SessionId": by.id,
        "ClientIp": by.peer.ip().to_string(),
        "Query": by.origin.query,
    });
    if let (true, Some(fields)) = (ended, info.as_object_mut()) {
        let (reason, name) = match event.what {
            What::StreamEnded(reason) => (exit_reason(reason), reason.name()),
            _ if by.is_stopped() => (exit_reason(EndReason::Kicked), EndReason::Kicked.name()),
            _ => (exit_reason(EndReason::PublisherLeft), "viewer-left"),
        };
        fields.insert("Reason".into(), reason.into());
        fields.insert("ReasonName".into(), name.into());
        fields.insert("DurationMs".into(), event.lasted_ms().into());
        fields.insert("Bytes".into(), by.bytes().into());
    }
    Some(json!({
        "EventGroupId": GROUP,
        "EventType": GROUP * 100 + number,
        "CallbackTs": event.at_ms(),
        "EventId": event.id,
        "EventInfo": info,
    }))
}

/// Reasons of the original's exit event: 1 normal, 2 timeout, 3 kicked, 5 killed.
fn exit_reason(reason: EndReason) -> u32 {
    match reason {
        EndReason::PublisherLeft => 1,
        EndReason::PublisherSilent => 2,
        EndReason::TakenOver | EndReason::Kicked => 3,
        EndReason::Drained | EndReason::CodecChanged => 5,
    }
}

fn srs(event: &Event<'_>, server: &Server) -> Value {
    let by = event.by;
    let (app, stream) = (by.key.app.as_str(), by.key.stream.as_str());
    let action = match (event.what, by.action) {
        (What::StreamStarted | What::May(Action::Publish), _) => "on_publish",
        (What::StreamEnded(_), _) | (What::Withdrawn, Action::Publish) => "on_unpublish",
        (What::ViewerBegan | What::May(Action::Play), _) => "on_play",
        (What::ViewerEnded, _) | (What::Withdrawn, Action::Play) => "on_stop",
    };
    let param = if by.origin.query.is_empty() { String::new() } else { format!("?{}", by.origin.query) };
    let scheme = match by.door {
        Door::Rtmp | Door::Demo => "rtmp",
        Door::Flv | Door::Hls => "http",
        Door::Whip | Door::Artc | Door::Trtc | Door::Srs => "webrtc",
    };
    let mut body = json!({
        "server_id": server.host,
        "service_id": server.run,
        "action": action,
        "client_id": by.id,
        "ip": by.peer.ip().to_string(),
        "vhost": DEFAULT_VHOST,
        "app": app,
        "stream": stream,
        "param": param,
        "stream_url": format!("/{app}/{stream}"),
        "stream_id": hash(&format!("{}/{app}/{stream}", by.key.application)),
    });
    let fields = body.as_object_mut();
    if let (Some(fields), "on_publish" | "on_play") = (fields, action) {
        let host = by.origin.host.as_deref().unwrap_or(&server.host);
        fields.insert("tcUrl".into(), format!("{scheme}://{host}/{app}{param}").into());
        if action == "on_play" {
            fields.insert("pageUrl".into(), "".into());
        }
    }
    body
}

/// Without `t` and `sign`, which are made at each attempt.
fn css(event: &Event<'_>, server: &Server) -> Option<Value> {
    let by = event.by;
    let (event_type, errcode, errmsg) = match event.what {
        What::StreamStarted => (1, 0, "ok"),
        What::StreamEnded(reason) => {
            let (code, text) = interruption(reason);
            (0, code, text)
        }
        _ => return None,
    };
    let mut body = json!({
        "event_type": event_type,
        "interface": "general_callback",
        "appid": by.key.application,
        "app": by.origin.host.as_deref().unwrap_or(&server.host),
        "appname": by.key.app.as_str(),
        "stream_id": by.key.stream.as_str(),
        "channel_id": by.key.stream.as_str(),
        "event_time": event.at_ms() / 1_000,
        "event_time_ms": event.at_ms(),
        "sequence": sequence(&by.id),
        "node": server.host,
        "user_ip": by.peer.ip().to_string(),
        "stream_param": by.origin.query,
        "errcode": errcode,
        "errmsg": errmsg,
        "set_id": SET_ID,
        "width": 0,
        "height": 0,
    });
    if let (0, Some(fields)) = (event_type, body.as_object_mut()) {
        fields.insert("push_duration".into(), event.lasted_ms().to_string().into());
    }
    Some(body)
}

/// "1 to 6: inside of the Chinese mainland, 7 to 200: not": a place that is ours.
const SET_ID: u32 = 7;

/// Codes and texts of the original's table of interruptions.
fn interruption(reason: EndReason) -> (u32, &'static str) {
    match reason {
        EndReason::PublisherLeft => (1, "The push client stopped the stream."),
        EndReason::PublisherSilent => {
            (8, "The system stopped the stream because no data was generated for a long time.")
        }
        EndReason::TakenOver | EndReason::Kicked => (10, "The proxy layer received an interruption command."),
        EndReason::Drained => (5, "CSS system internal error."),
        EndReason::CodecChanged => (6, "RTMP content error."),
    }
}

/// A decimal number for a session: the same for both notices of a push.
fn sequence(session: &str) -> String {
    let digits: String = session.chars().take(15).collect();
    u64::from_str_radix(&digits, 16).unwrap_or_default().to_string()
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    format!("vid-{}", digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>())
}
