//! A WebSocket whose binary messages are a stream of bytes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

use super::{Io, Trust, dial};
use crate::{Error, HttpUrl};

/// The longest message that is taken: a server may put a whole group of pictures into one.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(20);

/// An open WebSocket.
pub(crate) struct Socket(WebSocketStream<Box<dyn Io>>);

/// Opens one.
///
/// # Errors
/// Where nobody answers or the server says no.
pub(crate) async fn open(url: &HttpUrl, trust: Trust) -> Result<Socket, Error> {
    let (io, _) = dial(&url.host, url.port, url.tls, trust).await?;
    let uri = format!("{}://{}{}", if url.tls { "wss" } else { "ws" }, url.authority(), url.path);
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
    let opened = timeout(OPEN_TIMEOUT, client_async_with_config(uri, io, Some(config))).await;
    let late = |_| Error::Lost(format!("{} opened no WebSocket within {} s", url.authority(), OPEN_TIMEOUT.as_secs()));
    match opened.map_err(late)? {
        Ok((socket, _)) => Ok(Socket(socket)),
        Err(tungstenite::Error::Http(answer)) => {
            let body = answer.body().as_deref().and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok());
            let detail = body.as_ref().and_then(|problem| problem.get("detail")?.as_str());
            let status = answer.status();
            let reason =
                detail.map_or_else(|| format!("HTTP {status}"), |said| format!("HTTP {}: {said}", status.as_u16()));
            Err(Error::Refused { status: Some(status.as_u16()), reason })
        }
        Err(error) => Err(Error::Lost(format!("no WebSocket with {}: {error}", url.authority()))),
    }
}

impl Socket {
    /// The next bytes; `None` where the server closed in good order.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let silent = |_| Error::Lost(format!("nothing came for {} s", SILENCE.as_secs()));
            match timeout(SILENCE, self.0.next()).await.map_err(silent)? {
                Some(Ok(Message::Binary(bytes))) => return Ok(Some(bytes)),
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                // Pings are answered by the library when something is sent next.
                Some(Ok(Message::Ping(_))) => {
                    let _ = self.0.flush().await;
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Error::Lost(format!("the WebSocket broke: {error}"))),
            }
        }
    }
}
