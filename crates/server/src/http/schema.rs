//! The shapes of `/v1`, as they are written and as `/v1/openapi.json` describes them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::health::Score;

/// What this server is and where its doors are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// The version that runs.
    pub version: String,
    /// `dev` or `serve`.
    pub mode: String,
    /// The application of a URL that names none.
    pub sdk_app_id: Option<u32>,
    /// Whether the caller may publish and play without a token.
    pub open: bool,
    /// The port of RTMP.
    pub rtmp_port: u16,
    /// What RTMP URLs begin with.
    pub rtmp_url: String,
    /// The port of WebRTC media, UDP and TCP.
    pub media_port: u16,
    /// Whether pages are served by HTTPS.
    pub https: bool,
    /// Whether the server takes nothing new and waits to end.
    pub draining: bool,
}

/// A page of live streams.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamPage {
    /// The streams, by name.
    pub streams: Vec<Stream<Score>>,
    /// What to give as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// A live stream; in a list its health is the score alone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stream<H: ToSchema> {
    /// Its application.
    pub sdk_app_id: u32,
    /// Its AppName.
    pub app: String,
    /// Its name.
    pub stream: String,
    /// Who publishes it.
    pub publisher: Publisher,
    /// Its picture, where it has one.
    pub video: Option<Video>,
    /// Its sound, where it has one.
    pub audio: Option<Audio>,
    /// Bits a second.
    pub bitrate: u64,
    /// What the publisher sends beside the first picture and sound.
    pub further_tracks: Vec<FurtherTrack>,
    /// Viewers now, by door; all doors of WebRTC are one.
    pub viewers: BTreeMap<String, u64>,
    /// The faults that viewers notice.
    pub warnings: Vec<Warning>,
    /// How the publisher does.
    pub health: H,
}

/// Who publishes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Publisher {
    /// The door: `rtmp`, `whip` and so on.
    pub protocol: String,
    /// Since when, as RFC 3339.
    #[schema(format = DateTime)]
    pub since: String,
}

/// A picture.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Video {
    /// Its codec.
    pub codec: String,
    /// Pixels, where known.
    pub width: Option<u32>,
    /// Pixels, where known.
    pub height: Option<u32>,
    /// Pictures a second.
    pub frame_rate: f64,
    /// `none`, `droppable` or `referenced`.
    pub b_frames: String,
}

/// A sound.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Audio {
    /// Its codec.
    pub codec: String,
    /// Hz, where known.
    pub sample_rate: Option<u32>,
    /// Channels, where known.
    pub channels: Option<u32>,
}

/// A further track: its number for `?track=`, and how both kinds are coded there.
#[derive(Debug, Serialize, ToSchema)]
pub struct FurtherTrack {
    /// The number.
    pub track: u8,
    /// The codec of the picture.
    pub video: Option<String>,
    /// Pixels, where known.
    pub width: Option<u32>,
    /// Pixels, where known.
    pub height: Option<u32>,
    /// The codec of the sound.
    pub audio: Option<String>,
}

/// What a publisher should change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionPage {
    /// The sessions, the oldest first.
    pub sessions: Vec<Session>,
    /// What to give as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// Somebody who publishes or plays.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its number. Who knows it may end the session at the door of WHIP and WHEP: keep it to yourself.
    pub id: String,
    /// What it does.
    pub action: Action,
    /// How it came in.
    pub door: String,
    /// The application.
    pub sdk_app_id: u32,
    /// The AppName.
    pub app: String,
    /// The stream.
    pub stream: String,
    /// The user, where a token named one.
    pub user: Option<String>,
    /// The address and port that it comes from.
    pub peer: String,
    /// Since when, as RFC 3339.
    #[schema(format = DateTime)]
    pub since: String,
    /// Bytes since then: received of a publisher, sent to a viewer. By WebRTC, of whole datagrams.
    pub bytes: u64,
    /// What its WebRTC connection moved, where it has one.
    pub connection: Option<Connection>,
}

/// What somebody does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Is the source of a stream.
    Publish,
    /// Watches or hears a stream.
    Play,
}

/// What a WebRTC connection moved and how its way is, as its media thread said within the last second.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Bytes of datagrams received.
    pub bytes_in: u64,
    /// Bytes of datagrams sent.
    pub bytes_out: u64,
    /// Media packets received.
    pub packets_in: u64,
    /// Media packets sent, without retransmissions.
    pub packets_out: u64,
    /// Milliseconds there and back; null where the peer has not said enough to know.
    pub round_trip_ms: Option<f64>,
    /// Bits a second that are believed to fit to a viewer; null of publishers, and until it is known.
    pub estimate: Option<u64>,
    /// Datagrams and requests of the peer that were not taken: malformed, not authentic, or too many.
    pub refused: u64,
    /// How the picture arrives.
    pub video: Option<Delivery>,
    /// How the sound arrives.
    pub audio: Option<Delivery>,
}

/// How packets of one kind arrive: at a viewer, as it reported last; here, of a publisher.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Packets that did not arrive, since the beginning.
    pub lost: u64,
    /// How many of a hundred that was, lately.
    pub lost_percent: f64,
    /// Jitter in milliseconds (RFC 3550).
    pub jitter_ms: f64,
}

/// Why a request was refused (RFC 9457), as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short name, the same for every refusal of its kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A sentence: what was wrong, what was expected, what to do.
    pub detail: String,
    /// The number of the original's SDKs, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
}
