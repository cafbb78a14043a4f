//! The doors by name: in `/v1/streams`, `/v1/sessions`, counters and webhooks.

/// How somebody publishes or plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// RTMP and RTMPS.
    Rtmp,
    /// FLV over HTTP and over WebSocket.
    Flv,
    /// HLS.
    Hls,
    /// WHIP, and WHEP for viewers.
    Whip,
    /// `artc://`, as Alibaba's SDKs signal.
    Artc,
    /// `trtc://`, as Tencent's WHIP-like interface signals.
    Trtc,
    /// `/rtc/v1/play` and `/rtc/v1/publish`, as SRS's SDK signals.
    Srs,
    /// The built-in demo; it only publishes.
    Demo,
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Rtmp, Self::Flv, Self::Hls, Self::Whip, Self::Artc, Self::Trtc, Self::Srs, Self::Demo];

    /// The name of a publisher's protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Flv => "flv",
            Self::Hls => "hls",
            Self::Whip => "whip",
            Self::Artc => "artc",
            Self::Trtc => "trtc",
            Self::Srs => "srs",
            Self::Demo => "demo",
        }
    }

    /// Whether publishers send frames here; otherwise they send packets, by WebRTC.
    pub fn is_frames(self) -> bool {
        !self.is_webrtc()
    }

    /// Whether media goes by WebRTC, whatever the signalling.
    pub fn is_webrtc(self) -> bool {
        matches!(self, Self::Whip | Self::Artc | Self::Trtc | Self::Srs)
    }

    /// What viewers at this door are counted as.
    pub fn viewers_name(self) -> &'static str {
        if self.is_webrtc() { "webrtc" } else { self.name() }
    }
}

/// What viewers are counted as, in the order of `/v1/streams`.
pub const VIEWERS: [&str; 4] = ["webrtc", "rtmp", "flv", "hls"];
