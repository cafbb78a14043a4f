//! The clients' side: what comes to them, and what they say.

use media::Kind;

use super::{Flying, Happening, Outcome, World};
use crate::{
    client::{Role, Said},
    link::Class,
    random::hash,
    watch::Seen,
};

/// A peer may send its feedback so much later than it is told to.
const FEEDBACK_LATER: std::time::Duration = std::time::Duration::from_millis(50);

impl World<'_> {
    pub(super) fn reach_client(&mut self, place: usize, bytes: &[u8]) -> Outcome {
        let (now, moment) = (self.instant(), self.now);
        let client = self.client(place)?;
        if client.gone {
            return Ok(());
        }
        if let Class::Media(rtp) = Class::of(bytes, client.repairs) {
            let kind = if rtp.pt == client.sound_pt { Kind::Audio } else { Kind::Video };
            let early = !client.peer.is_connected();
            client.watch_mut(kind).arrives(moment, rtp, !early);
            self.trace.note(moment, "is reached by", place, rtp.seq.into(), early.into());
        }
        let client = self.client(place)?;
        client.datagram(now, super::SERVER, &mut bytes.to_vec());
        self.drain_client(place)
    }

    pub(super) fn client_timeout(&mut self, place: usize) -> Outcome {
        let now = self.instant();
        self.client(place)?.timeout(now);
        self.drain_client(place)?;
        let soonest = self.now + std::time::Duration::from_micros(500);
        let client = self.client(place)?;
        client.timer = client.timer.max(soonest);
        Ok(())
    }

    /// Takes all that a client has to say.
    pub(super) fn drain_client(&mut self, place: usize) -> Outcome {
        loop {
            let Some(client) = self.clients.get_mut(place) else { return Ok(()) };
            match client.poll(&mut self.out) {
                Ok(event) => self.client_event(place, event)?,
                Err(at) => {
                    client.timer = at.saturating_duration_since(self.start);
                    break;
                }
            }
        }
        self.send_of_client(place)
    }

    fn send_of_client(&mut self, place: usize) -> Outcome {
        let now = self.now;
        let datagrams: Vec<Vec<u8>> = self.out.runs().flat_map(|run| run.datagrams().map(<[u8]>::to_vec)).collect();
        self.out.clear();
        for bytes in datagrams {
            let client = self.client(place)?;
            let class = Class::of(&bytes, client.repairs);
            let arrivals = client.up.send(now, class, bytes.len());
            let outer = client.outer;
            if let Class::Media(rtp) = class {
                self.trace.note(now, "sends", place, rtp.seq.into(), u64::from(arrivals.first.is_none()));
            }
            for at in [arrivals.first, arrivals.second].into_iter().flatten() {
                let flying = Flying { client: place, to_server: true, outer, bytes: bytes.clone() };
                self.at(at, Happening::Arrival(flying));
            }
        }
        Ok(())
    }

    fn client_event(&mut self, place: usize, said: Said) -> Outcome {
        let now = self.now;
        match said {
            Said::Connected => self.trace.note(now, "connects", place, 0, 0),
            Said::Seen(seen) => self.seen(place, &seen)?,
            Said::KeyFrameRequested(kind, layer) => {
                self.trace.note(now, "is asked for a key frame", place, 0, 0);
                if let (Role::Publisher(at), Kind::Video) = (self.client(place)?.role, kind)
                    && let Some(source) = self.streams.get_mut(at).and_then(|live| live.layer_mut(layer))
                {
                    source.want_key();
                    let track = source.track;
                    self.ledger.ask(now, track, std::time::Duration::ZERO)?;
                }
            }
            Said::Nothing => {}
            Said::Closed(reason) => {
                self.trace.note(now, "is told that it is over", place, 0, 0);
                let goes_on = self.should_live(place);
                let client = self.client(place)?;
                client.gone = true;
                if goes_on {
                    return Err(format!("client {place} lost its connection: {reason:?}"));
                }
            }
        }
        Ok(())
    }

    /// A viewer got a packet.
    fn seen(&mut self, place: usize, seen: &Seen) -> Outcome {
        let kind = seen.kind;
        let now = self.now;
        let sum = hash(&[seen.time.into(), seen.payload.len() as u64]);
        let Some(client) = self.clients.get_mut(place) else { return Ok(()) };
        let watch = if kind == Kind::Audio { &mut client.sound } else { &mut client.picture };
        let (number, stamp) =
            watch.received(now, seen, &self.ledger).map_err(|error| format!("client {place}: {error}"))?;
        let what = if kind == Kind::Audio { "gets sound" } else { "gets a picture" };
        self.trace.sign(now, what, place, number, sum);
        if kind == Kind::Video {
            let first = watch.first().unwrap_or(number);
            client.decoder.push(now, first, number, stamp).map_err(|error| format!("client {place}: {error}"))?;
        }
        Ok(())
    }

    /// A player asks for a key frame.
    pub(super) fn ask_key(&mut self, place: usize) -> Outcome {
        let now = self.now;
        let Some(client) = self.clients.get_mut(place) else { return Ok(()) };
        if client.gone || !client.peer.is_connected() {
            return Ok(());
        }
        let fed = client.picture.track().and_then(|track| self.ledger.get(track)).is_some_and(|track| track.is_fed);
        if fed {
            // It is played once more, as soon as the request is there, unless it is lost.
            client.picture.begin(now + client.up.path().longest() + FEEDBACK_LATER);
        }
        client.peer.request_key_frame();
        self.trace.note(now, "asks for a key frame", place, 0, 0);
        self.drain_client(place)
    }
}
