//! A stream to an RTMP viewer: the same bytes for every viewer.

use std::sync::Arc;

use bytes::Bytes;
use live::stream::Headers;

use super::{Closed, Connection, Next};
use crate::{
    admission::Admitted,
    app::App,
    bridge::FramesWanted,
    door::{Over, Reader},
    hub::LiveStream,
    query::Query,
    refusal::Refusal,
    session::Session,
};
use wire::rtmp::server::Event;

pub(super) async fn run(
    connection: &mut Connection,
    app: &Arc<App>,
    admitted: Admitted,
    query: &str,
) -> Result<Closed, Closed> {
    let Admitted { key, session } = admitted;
    let found = match app.hub.await_stream(&key).await {
        Ok(stream) => stream,
        Err(refusal) => return connection.refuse(app, &refusal).await,
    };
    let _wanted = match FramesWanted::new(app, &found) {
        Ok(wanted) => wanted,
        Err(refusal) => return connection.refuse(app, &refusal).await,
    };
    if !found.settled().await {
        let refusal = Refusal::CannotServe(format!("'{key}' is live, but has sent no audio and no video yet"));
        return connection.refuse(app, &refusal).await;
    }
    let found = match found.of_track(Query::parse(query).get("track")) {
        Ok(stream) => stream,
        Err(refusal) => return connection.refuse(app, &refusal).await,
    };
    connection.session.accept();
    connection.flush().await?;
    let _viewer = found.watch(session.known());
    // The span is not entered for what follows: that would be done again for every frame of every viewer.
    session.span().in_scope(|| tracing::info!(peer = %connection.peer, stream = %key, "RTMP viewer"));
    play(connection, app, found, &session).await
}

/// Room for so many frames is kept between writes.
const PARTS_KEPT: usize = 8;

async fn play(
    connection: &mut Connection,
    app: &Arc<App>,
    stream: Arc<LiveStream>,
    session: &Session,
) -> Result<Closed, Closed> {
    let tracks: Vec<_> = [media::Kind::Video, media::Kind::Audio]
        .into_iter()
        .filter_map(|kind| stream.track(kind).map(|track| track.info.clone()))
        .collect();
    let metadata = wire::flv::metadata_body(&tracks);
    connection.write(&[wire::rtmp::media_bytes(wire::flv::TagKind::Script, 0, &metadata)]).await?;
    let mut reader = Reader::new(stream, app.viewing);
    let mut headers = Headers::default();
    let mut parts: Vec<Bytes> = Vec::new();
    let stopped = session.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            entries = reader.next(app) => match entries {
                Ok(entries) => for entry in entries {
                    if headers.needs(&entry) {
                        parts.push(entry.track.rtmp_header().clone());
                    }
                    parts.push(entry.rtmp().clone());
                },
                Err(Over::Ended(reason)) => {
                    connection.session.end_play(&reason.to_string());
                    connection.farewell().await?;
                    return Ok(Closed::StreamOver);
                }
                Err(Over::TooSlow) => return Ok(Closed::TooSlow),
            },
            () = &mut stopped => {
                connection.session.end_play("ended by an operator");
                connection.farewell().await?;
                return Ok(Closed::StreamOver);
            }
            heard = connection.hear() => {
                heard?;
                while let Some(next) = connection.say().await? {
                    if matches!(next, Next::Close | Next::Event(Event::PlayEnded)) {
                        return Ok(Closed::Peer);
                    }
                }
            }
        }
        if !parts.is_empty() {
            session.count(parts.iter().map(Bytes::len).sum());
            connection.write(&parts).await?;
            parts.clear();
            parts.shrink_to(PARTS_KEPT);
        }
        connection.ask_to_move(app).await?;
    }
}
