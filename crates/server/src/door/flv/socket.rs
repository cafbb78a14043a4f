//! WS-FLV: the bytes of HTTP-FLV in binary messages, for players behind proxies that hold back a response without an end.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{
        FromRequestParts as _, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, close_code},
    },
    http::{header, request::Parts},
    response::Response,
};
use tokio::time::{Instant, MissedTickBehavior};

use super::{NoMore, Viewing};
use crate::{app::App, door::Over, refusal::Refusal};

/// A viewer is pinged this often, which also keeps proxies from thinking that nobody is there.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// A viewer from whom nothing has come for so long, no answer to a ping either, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(50);
/// Bytes of a viewer's message at most; a viewer has nothing to say.
const MESSAGE_BYTES_MAX: usize = 1024;
/// The closing handshake has to be done within this.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Messages between two pings at most that a viewer may send.
const MESSAGES_MAX: u32 = 64;

/// The handshake, if the request asks for one.
///
/// # Errors
/// Where it does and is none.
pub(super) async fn wanted(request: &mut Parts) -> Result<Option<WebSocketUpgrade>, Refusal> {
    let upgrade = request.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return Ok(None);
    }
    let upgrade = WebSocketUpgrade::from_request_parts(request, &()).await;
    let upgrade = upgrade.map_err(|error| Refusal::Malformed(format!("the WebSocket handshake is wrong: {error}")))?;
    // The buffer is flushed after each message, so it holds one message and no more.
    Ok(Some(upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX).write_buffer_size(0)))
}

/// Answers the handshake, and writes to the viewer from then on.
pub(super) fn serve(upgrade: WebSocketUpgrade, viewing: Viewing) -> Response {
    let app = viewing.app.clone();
    let failed = app.clone();
    upgrade.on_failed_upgrade(move |_| failed.counters.add("flv_sockets_closed", "handshake")).on_upgrade(
        async move |socket| {
            let mut viewer = Viewer { socket, viewing, heard: Instant::now(), messages: 0 };
            let over = viewer.run().await;
            viewer.close(&app, over).await;
        },
    )
}

struct Viewer {
    socket: WebSocket,
    viewing: Viewing,
    heard: Instant,
    messages: u32,
}

/// How it ended.
enum End {
    NoMore(NoMore),
    Left,
    Silent,
    Talkative,
}

impl Viewer {
    async fn run(&mut self) -> End {
        let mut ping = tokio::time::interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                bytes = self.viewing.next() => match bytes {
                    Ok(bytes) => Message::Binary(bytes),
                    Err(over) => return End::NoMore(over),
                },
                came = self.socket.recv() => match came {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Left,
                    Some(Ok(_)) => {
                        self.heard = Instant::now();
                        self.messages += 1;
                        if self.messages > MESSAGES_MAX {
                            return End::Talkative;
                        }
                        continue;
                    }
                },
                now = ping.tick() => {
                    self.messages = 0;
                    if now.saturating_duration_since(self.heard) > SILENCE_MAX {
                        return End::Silent;
                    }
                    Message::Ping(Bytes::new())
                }
            };
            // Whoever does not read is written to no further, falls behind in the stream, and jumps to a key frame as a
            // viewer of HTTP does; the connection gives up on them after a while.
            if self.socket.send(message).await.is_err() {
                return End::Left;
            }
        }
    }

    async fn close(mut self, app: &App, end: End) {
        let (counted, code, reason) = match end {
            End::NoMore(NoMore::Over(Over::Ended(reason))) => ("stream-over", close_code::NORMAL, reason.to_string()),
            End::NoMore(NoMore::Over(Over::TooSlow)) => {
                ("too-slow", close_code::POLICY, "this viewer is too slow for the stream".to_owned())
            }
            End::NoMore(NoMore::Asked) => ("asked", close_code::AWAY, "an operator ended this viewing".to_owned()),
            End::Silent => ("silent", close_code::POLICY, "no answer came to the server's pings".to_owned()),
            End::Talkative => ("talkative", close_code::POLICY, "a viewer of FLV has nothing to send".to_owned()),
            End::Left => {
                app.counters.add("flv_sockets_closed", "left");
                return self.part().await;
            }
        };
        app.counters.add("flv_sockets_closed", counted);
        // A close frame carries 123 bytes of text at most (RFC 6455, 5.5.1).
        let reason: String = reason.chars().take(120).collect();
        let _ = self.socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
        self.part().await;
    }

    /// Gives the other side a moment for its half of the closing handshake, and sends what is left of ours.
    async fn part(&mut self) {
        let closed = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
    }
}
