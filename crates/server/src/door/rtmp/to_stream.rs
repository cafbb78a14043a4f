//! An RTMP publisher to a stream.

use std::{sync::Arc, time::Instant};

use live::{clock::ArrivalClock, timeline::Timeline};
use media::{Frame, Kind};
use wire::{
    flv::{TagKind, Unit, UnpackError, Unpacked, Unpacker},
    rtmp::server::Event,
};

use super::{Closed, Connection, Next};
use crate::{
    admission::Admitted, app::App, clock::wall_now, counters::Counters, door::Door, hub::Publication, session::Session,
};

pub(super) async fn run(connection: &mut Connection, app: &Arc<App>, admitted: Admitted) -> Result<Closed, Closed> {
    let Admitted { key, session } = admitted;
    let publication = match app.hub.publish(key, Door::Rtmp, Some(session.known())) {
        Ok(publication) => publication,
        Err(refusal) => return connection.refuse(app, &refusal).await,
    };
    connection.session.accept();
    let mut ingest = Ingest::new(publication, app.counters.clone());
    let reason = loop {
        // What came with the request, or with the last read, is taken before more is read.
        match take_what_came(connection, &mut ingest, &session).await? {
            Came::All => {}
            Came::End => return Ok(Closed::Peer),
            Came::Unusable(reason) => break reason,
        }
        tokio::select! {
            reason = ingest.publication.stopped() => break reason.to_string(),
            () = session.stopped() => break "ended by an operator".to_owned(),
            heard = connection.hear() => heard?,
        }
    };
    tracing::info!(stream = %ingest.publication.stream().key, reason, "RTMP publisher ended");
    // The name is free before its publisher is told, and so may come back at once.
    drop((ingest, session));
    connection.session.stop_publish(&reason);
    connection.farewell().await?;
    Ok(Closed::StreamOver)
}

/// What a publisher sent.
enum Came {
    /// All of it was taken.
    All,
    /// It ended the publication.
    End,
    /// It is coded in a way that is not served; the text says what to do.
    Unusable(String),
}

async fn take_what_came(connection: &mut Connection, ingest: &mut Ingest, session: &Session) -> Result<Came, Closed> {
    while let Some(next) = connection.say().await? {
        match next {
            Next::Event(Event::Media(message)) => {
                session.count(message.body.len());
                let taken = ingest.take(Instant::now(), message.kind, message.timestamp_ms, &message.body);
                if let Err(error) = taken {
                    return Ok(Came::Unusable(error.to_string()));
                }
            }
            Next::Event(Event::PublishEnded) | Next::Close => return Ok(Came::End),
            Next::Event(_) => {}
        }
    }
    Ok(Came::All)
}

/// FLV tag bodies to frames of a stream, on one timeline.
pub struct Ingest {
    /// The stream.
    pub publication: Publication,
    unpacker: Unpacker,
    timeline: Timeline,
    clock: ArrivalClock,
    rates: Rates,
    counters: Arc<Counters>,
}

/// Clock rates of the two tracks, in Hz; zero until a configuration came.
#[derive(Clone, Copy, Default)]
struct Rates {
    audio_hz: u32,
    video_hz: u32,
}

impl Ingest {
    /// An ingest into a stream.
    pub fn new(publication: Publication, counters: Arc<Counters>) -> Self {
        Self {
            publication,
            unpacker: Unpacker::default(),
            timeline: Timeline::default(),
            clock: ArrivalClock::default(),
            rates: Rates::default(),
            counters,
        }
    }

    /// Takes one message or tag.
    ///
    /// # Errors
    /// Where it is in a coding that is not served; the text says which and what to do. A single damaged message is not
    /// an error: it is dropped and counted.
    pub fn take(
        &mut self,
        now: Instant,
        kind: TagKind,
        timestamp_ms: u32,
        body: &bytes::Bytes,
    ) -> Result<(), UnpackError> {
        let found = match self.unpacker.unpack(kind, timestamp_ms, body) {
            Ok(found) => found,
            Err(error @ UnpackError::Unsupported { .. }) => {
                self.counters.add("publishers_unusable", "codec");
                return Err(error);
            }
            Err(error) => {
                tracing::debug!(stream = %self.publication.stream().key, %error, "a message is dropped");
                self.counters.add("messages_dropped", "damaged");
                return Ok(());
            }
        };
        for unpacked in found {
            match unpacked {
                Unpacked::Config(info) => {
                    match info.kind() {
                        Kind::Audio => self.rates.audio_hz = info.clock_rate_hz,
                        Kind::Video => self.rates.video_hz = info.clock_rate_hz,
                    }
                    self.publication.announce(info);
                }
                Unpacked::Frame(unit) => self.frame(now, unit),
                _ => {}
            }
        }
        Ok(())
    }

    fn frame(&mut self, now: Instant, unit: Unit) {
        let kind = unit.codec.kind();
        let rate_hz = match kind {
            Kind::Audio => self.rates.audio_hz,
            Kind::Video => self.rates.video_hz,
        };
        if rate_hz == 0 {
            return;
        }
        let at = self.timeline.map(now, kind, unit.dts_ms, unit.composition_ms, rate_hz);
        let wall = self.clock.wall(wall_now(), at.dts.as_micros(rate_hz))
            + (at.pts.as_micros(rate_hz) - at.dts.as_micros(rate_hz));
        let mut flags = unit.flags;
        flags.discontinuity |= at.discontinuity;
        self.publication.push(Frame {
            codec: unit.codec,
            flags,
            dts: at.dts,
            pts: at.pts,
            wall,
            payload: unit.payload,
        });
    }
}
