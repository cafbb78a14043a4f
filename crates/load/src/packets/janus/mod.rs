//! Janus over its HTTP API: mount points of its streaming plugin, whose publishers send plain RTP, and rooms. There the
//! server offers and viewers answer.

mod room;

use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};
use hyper::Method;
use serde_json::{Value, json};

pub(crate) use self::room::Plugin;
use super::http;

const JSON: &str = "application/json";
/// Events that are read before the one that is waited for.
const EVENTS_MAX: usize = 8;
/// Payload types of what is published.
pub(crate) const VIDEO_PT: u8 = 102;
pub(crate) const AUDIO_PT: u8 = 111;

/// One session of somebody, with one handle to the plugin.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    session: String,
    handle: String,
    plugin: Plugin,
    /// The request that ends the mount point or room that was made by it.
    owned: Option<Value>,
}

impl Handle {
    /// Opens one.
    ///
    /// # Errors
    /// Where Janus says no.
    pub(crate) async fn open(base: &str, plugin: Plugin) -> anyhow::Result<Self> {
        let base = base.trim_end_matches('/');
        let session = format!("{base}/{}", id(&post(base, &json!({ "janus": "create", "transaction": "t" })).await?)?);
        let attach = json!({ "janus": "attach", "plugin": plugin.name(), "transaction": "t" });
        let handle = format!("{session}/{}", id(&post(&session, &attach).await?)?);
        Ok(Self { session, handle, plugin, owned: None })
    }

    /// Makes a mount point with so many threads that help sending; returns the ports for pictures and for sounds.
    ///
    /// # Errors
    /// Where Janus says no.
    pub(crate) async fn mount(&mut self, number: u64, threads: u64, sound: bool) -> anyhow::Result<[u16; 2]> {
        let fmtp = format!("packetization-mode=1;profile-level-id={:06x}", super::payload::PROFILE);
        let mut media = vec![
            json!({ "type": "video", "mid": "1", "port": 0, "pt": VIDEO_PT, "codec": "h264", "fmtp": fmtp }),
            json!({ "type": "audio", "mid": "0", "port": 0, "pt": AUDIO_PT, "codec": "opus" }),
        ];
        media.truncate(if sound { 2 } else { 1 });
        let create = json!({ "request": "create", "type": "rtp", "id": number, "threads": threads, "media": media });
        let made = self.say(create, None).await?;
        let ports = made.pointer("/plugindata/data/stream/ports").and_then(Value::as_array);
        let ports = ports.with_context(|| format!("Janus made no mount point: {made}"))?;
        self.owned = Some(json!({ "request": "destroy", "id": number }));
        let port = |kind: &str| {
            let found = ports.iter().find(|port| port.get("type").and_then(Value::as_str) == Some(kind));
            found.and_then(|port| port.get("port")).and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok())
        };
        Ok([port("video").context("no port for pictures")?, port("audio").unwrap_or(0)])
    }

    /// Asks to watch a mount point or a room; returns the offer.
    ///
    /// # Errors
    /// Where Janus says no.
    pub(crate) async fn watch(&self, number: u64) -> anyhow::Result<String> {
        if self.plugin == Plugin::Videoroom {
            return self.visit(number).await;
        }
        self.say(json!({ "request": "watch", "id": number }), None).await?;
        self.description().await
    }

    /// The next offer or answer among the session's events.
    async fn description(&self) -> anyhow::Result<String> {
        for _ in 0..EVENTS_MAX {
            let url = format!("{}?maxev=1", self.session);
            let event = http::request(Method::GET, &url, None, String::new()).await?;
            let event: Value = serde_json::from_str(&event.body)?;
            if let Some(sdp) = event.pointer("/jsep/sdp").and_then(Value::as_str) {
                return Ok(sdp.to_owned());
            }
            ensure!(event.pointer("/plugindata/data/error").is_none(), "Janus: {event}");
        }
        bail!("Janus made no offer and no answer")
    }

    /// Answers the offer.
    ///
    /// # Errors
    /// Where Janus says no.
    pub(crate) async fn start(&self, answer: &str) -> anyhow::Result<()> {
        let jsep = json!({ "type": "answer", "sdp": answer });
        self.say(json!({ "request": "start" }), Some(jsep)).await.map(|_| ())
    }

    /// Ends it, and its mount point or room.
    pub(crate) async fn end(&self) {
        if let Some(destroy) = &self.owned {
            let _ = self.say(destroy.clone(), None).await;
        }
        let _ = post(&self.session, &json!({ "janus": "destroy", "transaction": "t" })).await;
    }

    async fn say(&self, body: Value, jsep: Option<Value>) -> anyhow::Result<Value> {
        let mut message = json!({ "janus": "message", "transaction": "t", "body": body });
        if let (Some(jsep), Value::Object(message)) = (jsep, &mut message) {
            message.insert("jsep".to_owned(), jsep);
        }
        post(&self.handle, &message).await
    }
}

async fn post(url: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = http::request(Method::POST, url, Some(JSON), body.to_string()).await?;
    let answer: Value = serde_json::from_str(&answer.body).with_context(|| format!("{url}: {}", answer.body))?;
    let failed = answer.get("janus").and_then(Value::as_str) == Some("error")
        || answer.pointer("/plugindata/data/error").is_some();
    ensure!(!failed, "{url}: {answer}");
    Ok(answer)
}

fn id(answer: &Value) -> anyhow::Result<u64> {
    answer.pointer("/data/id").and_then(Value::as_u64).with_context(|| format!("no id in {answer}"))
}

/// The answer to an offer of Janus' by a viewer whose own offer is `own`: the same lines, coding by coding, to receive.
pub(crate) fn answer(offer: &str, own: &str) -> String {
    let ours = |name: &str| own.lines().map(str::trim_end).find(|line| line.starts_with(name)).unwrap_or_default();
    let credentials = ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"].map(ours).join("\r\n");
    let kept = ["m=", "a=mid:", "a=rtpmap:", "a=rtcp-fb:", "a=fmtp:", "a=extmap:"];
    let mut out = String::from("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    for line in offer.lines().map(str::trim_end).filter(|line| line.starts_with("a=group:")) {
        let _ = write!(out, "{line}\r\n");
    }
    let sections = offer.lines().map(str::trim_end).skip_while(|line| !line.starts_with("m="));
    for line in sections.filter(|line| kept.iter().any(|kept| line.starts_with(kept))) {
        let _ = write!(out, "{line}\r\n");
        if line.starts_with("m=") {
            let candidate = ours("a=candidate:");
            let _ = write!(out, "c=IN IP4 0.0.0.0\r\n{credentials}\r\na=setup:active\r\na=recvonly\r\na=rtcp-mux\r\n");
            let _ = write!(out, "{candidate}\r\n");
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use media::Codec;
    use rtc::{Certificate, light};

    /// As Janus 1.1.2 wrote it.
    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=Mountpoint 7\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        a=fingerprint:sha-256 8F:F7:01:7C:DC:5A:1C:C2:0F:52:3D:EA:7B:0A:38:EE:01:0E:99:D1:74:D9:A3:0F:D7:88:0A:95:A0:0F:DC:E7\r\n\
        a=ice-lite\r\nm=video 9 UDP/TLS/RTP/SAVPF 102 103\r\nc=IN IP4 127.0.0.1\r\na=sendonly\r\na=mid:0\r\na=rtcp-mux\r\n\
        a=ice-ufrag:95mJ\r\na=ice-pwd:faUcFOgxtQNjP96k0aBig5\r\na=setup:actpass\r\na=rtpmap:102 H264/90000\r\n\
        a=rtcp-fb:102 nack\r\na=fmtp:102 packetization-mode=1;profile-level-id=42c01f\r\na=rtpmap:103 rtx/90000\r\n\
        a=fmtp:103 apt=102\r\na=ssrc-group:FID 2359917000 1311575361\r\na=ssrc:2359917000 cname:janus\r\n\
        a=ssrc:1311575361 cname:janus\r\na=candidate:1 1 udp 2015363327 10.203.0.1 50340 typ host\r\n";

    #[test]
    fn an_offer_of_janus_is_taken_and_answered() {
        let local = Some("10.203.0.1:5000".parse().unwrap());
        let config = light::Config { local, ..light::Config::new(Certificate::generate().unwrap()) };
        let mut viewer = light::Viewer::new(&config, 1, std::time::Instant::now());
        let said = answer(OFFER, &viewer.offer());
        viewer.accept(OFFER, std::time::Instant::now()).unwrap();
        assert_eq!(viewer.codec(media::Kind::Video), Some(Codec::H264));
        let of = |name: &str| said.lines().filter(|line| line.starts_with(name)).count();
        for name in ["m=video", "a=ice-ufrag:", "a=fingerprint:", "a=setup:active", "a=recvonly", "a=candidate:"] {
            assert_eq!(of(name), 1, "{name} in {said}");
        }
        assert!(!said.contains("sendonly") && !said.contains("95mJ") && of("a=rtpmap:") == 2);
    }
}
