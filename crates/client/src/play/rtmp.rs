//! RTMP and RTMPS.

use wire::rtmp::client::{Event as Said, Target};

use super::{Event, Events};
use crate::{Error, Trust, net::rtmp::Connection, source::flv::TagItems};

pub(super) async fn run(target: Target, trust: Trust, events: Events) -> Result<(), Error> {
    let mut connection = Connection::open(target, trust).await?;
    let mut items = TagItems::default();
    loop {
        let said = tokio::select! {
            said = connection.next() => said?,
            () = events.closed() => {
                connection.finish().await;
                return Ok(());
            }
        };
        match said {
            Said::Media(message) => {
                items.push(message.kind, message.timestamp_ms, &message.body).map_err(Error::Malformed)?;
                for item in items.ready.drain(..) {
                    let _ = events.send(Event::Item(item)).await;
                }
            }
            Said::Ended => return Ok(()),
            _ => {}
        }
    }
}
