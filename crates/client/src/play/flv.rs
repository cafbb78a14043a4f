//! FLV, in the body of an HTTP answer or in the messages of a WebSocket.

use bytes::Bytes;

use super::{Event, Events};
use crate::{
    Error, HttpUrl, Trust,
    net::{Request, open_ws, request},
    source::flv::FlvItems,
};

pub(super) async fn over_http(url: &HttpUrl, trust: Trust, events: Events) -> Result<(), Error> {
    let mut answer = request(url, &Request::get(), trust).await?;
    let mut items = FlvItems::default();
    loop {
        tokio::select! {
            piece = answer.body.piece() => match piece? {
                Some(piece) => hand_over(&mut items, &piece, &events).await?,
                None => return Ok(()),
            },
            () = events.closed() => return Ok(()),
        }
    }
}

pub(super) async fn over_ws(url: &HttpUrl, trust: Trust, events: Events) -> Result<(), Error> {
    let mut socket = open_ws(url, trust).await?;
    let mut items = FlvItems::default();
    loop {
        tokio::select! {
            piece = socket.piece() => match piece? {
                Some(piece) => hand_over(&mut items, &piece, &events).await?,
                None => return Ok(()),
            },
            () = events.closed() => return Ok(()),
        }
    }
}

async fn hand_over(items: &mut FlvItems, piece: &Bytes, events: &Events) -> Result<(), Error> {
    items.push(piece);
    while let Some(item) = items.poll().map_err(Error::Malformed)? {
        // Whoever stopped listening is noticed by the caller.
        let _ = events.send(Event::Item(item)).await;
    }
    Ok(())
}
