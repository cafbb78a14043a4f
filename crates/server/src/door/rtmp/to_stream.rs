//! An RTMP publisher to a stream.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

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
    connection.read_bytes = super::READ_BYTES_PUBLISHER;
    connection.session.accept();
    let mut ingest = Ingest::new(publication, app.counters.clone());
    let reason = loop {
        // What came with the request, or with the last read, is taken before more is read.
        match take_what_came(connection, &mut ingest, &session).await? {
            Came::All => {}
            Came::End => return Ok(Closed::Peer),
            Came::Unusable(reason) => break reason,
        }
        connection.ask_to_move(app).await?;
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
    /// Clock rates of the tracks by number and kind, in Hz, from their configurations; the unpacker bounds the numbers.
    rates: BTreeMap<(u8, Kind), u32>,
    counters: Arc<Counters>,
}

impl Ingest {
    /// An ingest into a stream.
    pub fn new(publication: Publication, counters: Arc<Counters>) -> Self {
        Self {
            publication,
            unpacker: Unpacker::default(),
            timeline: Timeline::default(),
            clock: ArrivalClock::default(),
            rates: BTreeMap::new(),
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
                self.publication.stream().health().damaged(now);
                return Ok(());
            }
        };
        for unpacked in found {
            crate::health::unpacked(self.publication.stream(), now, &unpacked);
            match unpacked {
                Unpacked::Further(number, unpacked) => self.unpacked(now, number, *unpacked),
                Unpacked::Refused(error) => self.refused(&error),
                unpacked => self.unpacked(now, FIRST, unpacked),
            }
        }
        Ok(())
    }

    /// Takes what a message has for the tracks of one number.
    fn unpacked(&mut self, now: Instant, number: u8, unpacked: Unpacked) {
        match unpacked {
            Unpacked::Config(info) => {
                self.rates.insert((number, info.kind()), info.clock_rate_hz);
                if number == FIRST {
                    self.publication.announce(info);
                } else if !self.publication.announce_further(number, info) {
                    self.counters.add("messages_dropped", "too-many-tracks");
                }
            }
            Unpacked::Frame(unit) => self.frame(now, number, unit),
            _ => {}
        }
    }

    /// Something of a further track cannot be used; the first goes on.
    fn refused(&self, error: &UnpackError) {
        tracing::debug!(stream = %self.publication.stream().key, %error, "a message of a further track is dropped");
        let kind = match error {
            UnpackError::Unsupported { .. } => "track-codec",
            UnpackError::TooManyTracks(_) => "too-many-tracks",
            _ => "damaged",
        };
        self.counters.add("messages_dropped", kind);
    }

    fn frame(&mut self, now: Instant, number: u8, unit: Unit) {
        let kind = unit.codec.kind();
        let Some(&rate_hz) = self.rates.get(&(number, kind)) else { return };
        let (dts_ms, composition_ms) = (unit.dts_ms, unit.composition_ms);
        let at = if number == FIRST {
            self.timeline.map(now, kind, dts_ms, composition_ms, rate_hz)
        } else {
            self.timeline.map_further(now, (number, kind), dts_ms, composition_ms, rate_hz)
        };
        let (decoded_us, shown_us) = (at.dts.as_micros(rate_hz), at.pts.as_micros(rate_hz));
        let wall = self.clock.wall(wall_now(), decoded_us) + (shown_us - decoded_us);
        let later = i64::from(unit.offset_ns) * i64::from(rate_hz) / 1_000_000_000;
        let mut flags = unit.flags;
        flags.discontinuity |= at.discontinuity;
        let frame = Frame { codec: unit.codec, flags, dts: at.dts, pts: at.pts + later, wall, payload: unit.payload };
        if number == FIRST {
            self.publication.push(frame);
        } else {
            self.publication.push_further(number, frame);
        }
    }
}

/// The number of the first track of a kind.
const FIRST: u8 = 0;
