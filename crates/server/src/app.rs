//! What every door needs: the hub, the gate, the media threads, the audio pool, the counters.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::response::{IntoResponse as _, Response};

use crate::{
    admin::Admin,
    audio,
    auth::Gate,
    counters::Counters,
    door::{hls::Hls, webrtc},
    hub::Hub,
    media::Media,
    refusal::Refusal,
    session,
    webhooks::Webhooks,
};

/// How viewers of frames are written to.
#[derive(Clone, Copy, Debug)]
pub struct Viewing {
    /// RTMP and FLV viewers get what has gathered within this at once; zero: each frame at once.
    pub merge_write: Duration,
    /// A viewer that is further behind than this jumps to the newest key frame.
    pub lag_max: Duration,
    /// A viewer that had to jump to a newer key frame so often in a minute is dropped.
    pub jumps_max: u32,
}

/// What people see of the server in URLs.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// HTTP, as bound.
    pub http: SocketAddr,
    /// RTMP, as bound.
    pub rtmp: SocketAddr,
    /// WebRTC media, as bound.
    pub media: SocketAddr,
    /// The host name in URLs, where it is not the one that the reader came by.
    pub advertise: Option<String>,
    /// Pages are served by HTTPS.
    pub https: bool,
}

/// Everything that the doors share.
#[derive(Debug)]
pub struct App {
    /// The live streams.
    pub hub: Arc<Hub>,
    /// Who may.
    pub gate: Gate,
    /// Who may look at everybody's sessions and end them.
    pub admin: Admin,
    /// Whether everybody may read `/metrics`.
    pub metrics_open: bool,
    /// The media threads.
    pub media: Arc<Media>,
    /// AAC <-> Opus.
    pub audio: Arc<audio::Pool>,
    /// Everybody who publishes or plays.
    pub sessions: Arc<session::Registry>,
    /// The legs of those who do it by WebRTC.
    pub webrtc: webrtc::Sessions,
    /// Who is told, and asked.
    pub webhooks: Arc<Webhooks>,
    /// HLS packagers.
    pub hls: Hls,
    /// Counts.
    pub counters: Arc<Counters>,
    /// How viewers are written to.
    pub viewing: Viewing,
    /// Browsers as sources are asked for a key frame so often while frames of them are needed.
    pub key_frame_interval: Duration,
    /// An RTMP connection without a byte for so long is closed.
    pub rtmp_idle_timeout: Duration,
    /// `Link` headers of WHIP and WHEP answers (RFC 9725 section 4.6): ICE servers, as URLs.
    pub ice_servers: Vec<String>,
    /// Where the server listens.
    pub addresses: Addresses,
    /// `dev` or `serve`.
    pub mode: &'static str,
    /// When it began to serve.
    pub begun: Instant,
}

impl App {
    /// Counts a refusal at a door.
    pub fn count_refusal(&self, door: &'static str, refusal: &Refusal) {
        self.counters.add("refused", refusal.title());
        tracing::debug!(door, %refusal, "refused");
    }

    /// Counts a refusal and makes it an HTTP answer.
    pub fn refuse_http(&self, refusal: Refusal) -> Response {
        self.count_refusal("http", &refusal);
        refusal.into_response()
    }
}
