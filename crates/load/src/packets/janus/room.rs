//! Janus' videoroom: a room for each publisher, who offers as a browser does; viewers are its subscribers.

use clap::ValueEnum;
use serde_json::json;

use super::Handle;

/// The plugin of Janus that is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plugin {
    /// A mount point for each publisher, fed by plain RTP.
    Streaming,
    /// A room for each publisher, who comes by WebRTC.
    Videoroom,
}

impl Plugin {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Streaming => "janus.plugin.streaming",
            Self::Videoroom => "janus.plugin.videoroom",
        }
    }
}

/// The publisher's number in its room.
const FEED: u64 = 1;

impl Handle {
    /// Makes a room and publishes there; returns the answer to the offer.
    ///
    /// # Errors
    /// Where Janus says no.
    pub(crate) async fn host(&mut self, number: u64, offer: &str) -> anyhow::Result<String> {
        let create = json!({
            "request": "create", "room": number, "publishers": 1, "videocodec": "h264", "audiocodec": "opus",
        });
        self.say(create, None).await?;
        self.owned = Some(json!({ "request": "destroy", "room": number }));
        self.say(json!({ "request": "join", "ptype": "publisher", "room": number, "id": FEED }), None).await?;
        let jsep = json!({ "type": "offer", "sdp": offer });
        self.say(json!({ "request": "publish" }), Some(jsep)).await?;
        self.description().await
    }

    /// Asks to see the publisher of a room; returns Janus' offer.
    pub(super) async fn visit(&self, number: u64) -> anyhow::Result<String> {
        let streams = json!([{ "feed": FEED }]);
        let join = json!({ "request": "join", "ptype": "subscriber", "room": number, "streams": streams });
        self.say(join, None).await?;
        self.description().await
    }
}
