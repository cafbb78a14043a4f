//! RTMP and RTMPS.

use media::{Kind, TrackInfo};
use wire::{
    flv::{TagKind, config_body, frame_body, metadata_body},
    rtmp::{
        Message,
        client::{Event as Said, Target},
    },
};

use super::{Event, Events, Items, Tracks};
use crate::{Error, Trust, net::rtmp::Connection, source::Item};

pub(super) async fn run(
    target: Target,
    trust: Trust,
    mut tracks: Tracks,
    mut items: Items,
    events: Events,
) -> Result<(), Error> {
    let configs = tracks.iter().map(config).collect::<Result<Vec<_>, _>>()?;
    let mut connection = Connection::open(target, trust).await?;
    loop {
        match connection.next().await? {
            Said::Ready => break,
            Said::Ended => return Err(Error::Lost("the server ended the publication".to_owned())),
            _ => {}
        }
    }
    let described: Vec<TrackInfo> = tracks.iter().cloned().collect();
    let metadata = Message { kind: TagKind::Script, timestamp_ms: 0, body: metadata_body(&described) };
    connection.send(&metadata).await?;
    for config in configs {
        connection.send(&config).await?;
    }
    let _ = events.send(Event::Ready).await;
    loop {
        tokio::select! {
            item = items.recv() => match item {
                Some(Item::Track(info)) => {
                    connection.send(&config(&info)?).await?;
                    tracks.set(info);
                }
                Some(Item::Frame(frame)) => {
                    let Some(info) = tracks.get(frame.kind()) else { continue };
                    let body = frame_body(info, &frame);
                    let timestamp_ms = frame.dts.as_millis(info.clock_rate_hz).max(0) as u32;
                    connection.send(&Message { kind: tag_kind(frame.kind()), timestamp_ms, body }).await?;
                }
                None => {
                    connection.finish().await;
                    return Ok(());
                }
            },
            said = connection.next() => if said? == Said::Ended {
                return Err(Error::Lost("the server ended the publication".to_owned()));
            },
        }
    }
}

/// The sequence header of a track.
fn config(info: &TrackInfo) -> Result<Message, Error> {
    let unsupported = || Error::Unsupported(format!("{} cannot be published by RTMP here", info.codec.name()));
    let body = config_body(info).ok_or_else(unsupported)?;
    Ok(Message { kind: tag_kind(info.kind()), timestamp_ms: 0, body })
}

fn tag_kind(kind: Kind) -> TagKind {
    match kind {
        Kind::Audio => TagKind::Audio,
        Kind::Video => TagKind::Video,
    }
}
