//! What shards tell one another. A pair of shards has one queue in each direction, which keeps the order.

use std::{collections::VecDeque, net::SocketAddr, time::Instant};

use media::{Codec, LAYERS_MAX};
use rtc::{Leg, Protocol};

use super::{
    event::{Command, Pace},
    id::{LegId, TrackId},
};
use crate::{demux::Kept, ring::Entry, track::Ask};

/// What one shard tells another. Opaque to who carries it.
#[derive(Debug)]
pub struct Mail {
    pub(crate) from: usize,
    pub(crate) letter: Letter,
}

impl Mail {
    /// What is to be done with it where room runs short.
    pub fn care(&self) -> Care {
        match self.letter {
            Letter::Datagram { .. } | Letter::Transmit { .. } => Care::Stray,
            Letter::Packet { .. } => Care::Media,
            _ => Care::Keep,
        }
    }
}

/// How much it matters that mail arrives. What is dropped is told to `Shard::mail_lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Care {
    /// A datagram that came to the wrong shard: any peer can send as many as it likes, so it is the first to be dropped.
    Stray,
    /// A packet of a track: dropped as a full network would.
    Media,
    /// It must not be lost, nor overtaken by other mail.
    Keep,
}

/// How a shard knows the peer of a leg that it does not have.
#[derive(Clone, PartialEq, Eq)]
pub struct Expect {
    /// The leg.
    pub id: LegId,
    /// Our user name fragment: STUN requests for the leg carry it.
    pub ufrag: String,
    /// Our ICE password.
    pub password: String,
    /// We send the first DTLS record.
    pub opens_dtls: bool,
}

impl Expect {
    /// What has to be known of this leg.
    pub fn of(id: LegId, leg: &Leg) -> Self {
        let (ufrag, password) = (leg.ufrag().to_owned(), leg.password().to_owned());
        Self { id, ufrag, password, opens_dtls: leg.opens_dtls() }
    }
}

impl std::fmt::Debug for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expect").field("id", &self.id).field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// A leg that no shard drives yet, with the commands that it was given.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) id: LegId,
    pub(crate) leg: Box<Leg>,
    pub(crate) commands: Vec<Command>,
    pub(crate) added: Instant,
}

/// What a track's ring holds since its key frame, for a shard that begins to forward it.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) track: TrackId,
    pub(crate) codec: Codec,
    pub(crate) pace: Pace,
    pub(crate) fed: bool,
    pub(crate) link: Link,
    /// Which of its layers.
    pub(crate) layer: u8,
    /// One of the first begins a key frame.
    pub(crate) entries: Vec<Entry>,
}

/// Which of the times that a shard was attached to a track, and to which of the track's origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) watch: u32,
    pub(crate) epoch: u32,
}

#[derive(Debug)]
pub(crate) enum Letter {
    /// To the home: the peer of a leg came to me, may I have it?
    Claim(LegId),
    /// From the home to the first that claims: it is yours.
    Adopt(Box<Parked>),
    /// From the home to all: who has a leg from now on.
    Located { leg: LegId, at: usize },
    /// To all, from who has the leg: ICE was restarted.
    Renamed(Expect),
    /// To the home, from who had the leg: it is over.
    Left(LegId),
    /// From the home to all: a leg is over.
    Forget(LegId),
    /// From the home to who has the leg.
    Command(Box<Command>),
    /// To who has the leg: its peer sent this to me.
    Datagram { leg: LegId, datagram: Kept },
    /// To who has the connection: send this over it.
    Transmit { to: SocketAddr, bytes: Box<[u8]> },
    /// To the home: I have viewers of a track.
    Watch { track: TrackId, watch: u32 },
    /// To the home: I have none any more.
    Unwatch { track: TrackId, watch: u32 },
    /// To the home: a leg of mine receives the track from now on.
    Origin(TrackId),
    /// From the home to the new origin.
    Become { track: TrackId, pace: Pace, tapped: bool, epoch: u32 },
    /// From the home to the old origin: another has the track now.
    Yield(TrackId),
    /// From the home to the origin: this shard gets every packet from now on.
    Attach { track: TrackId, to: usize, watch: u32 },
    /// From the home to the origin: this shard gets no more.
    Detach { track: TrackId, to: usize, watch: u32 },
    /// From the origin to who was attached.
    Backlog(Box<Backlog>),
    /// From the origin to all that are attached.
    Packet { track: TrackId, link: Link, entry: Entry, layer: u8 },
    /// From the origin to all that are attached: what the layers take, in bits a second; 0 where one is not sent.
    Rates { track: TrackId, link: Link, rates: [u32; LAYERS_MAX] },
    /// To the origin, from who is attached: these layers from now on, a bit for each.
    Want { track: TrackId, watch: u32, layers: u8 },
    /// To the origin: a key frame is needed, of this layer or of the one that is told outside.
    Ask { track: TrackId, why: Ask, layer: Option<u8> },
    /// From the home to the origin.
    Tap { track: TrackId, on: bool },
    /// From the home: the track is over.
    Ended(TrackId),
}

/// Mail on its way out, and what this shard has to tell itself as if it were two.
#[derive(Debug)]
pub(crate) struct Mails {
    pub(crate) index: usize,
    pub(crate) count: usize,
    out: VecDeque<(usize, Letter)>,
    own: VecDeque<Letter>,
}

impl Mails {
    pub(crate) fn new(index: usize, count: usize) -> Self {
        Self { index, count: count.max(index + 1), out: VecDeque::new(), own: VecDeque::new() }
    }

    pub(crate) fn post(&mut self, to: usize, letter: Letter) {
        if to == self.index {
            self.own.push_back(letter);
        } else if to < self.count {
            self.out.push_back((to, letter));
        }
    }

    /// To all others.
    pub(crate) fn post_all(&mut self, letter: impl Fn() -> Letter) {
        for to in (0..self.count).filter(|to| *to != self.index) {
            self.out.push_back((to, letter()));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.out.len() + self.own.len()
    }

    pub(crate) fn next(&mut self) -> Option<(usize, Mail)> {
        let (to, letter) = self.out.pop_front()?;
        Some((to, Mail { from: self.index, letter }))
    }

    pub(crate) fn has_next(&self) -> bool {
        !self.out.is_empty()
    }

    pub(crate) fn next_own(&mut self) -> Option<Letter> {
        self.own.pop_front()
    }
}

impl Kept {
    /// A datagram that is handled later, or elsewhere.
    pub(crate) fn new((proto, from): (Protocol, SocketAddr), to: SocketAddr, bytes: &[u8]) -> Self {
        Self { proto, from, to, bytes: bytes.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_small_since_every_pair_of_shards_has_thousands_of_places_for_it() {
        assert!(size_of::<Mail>() <= 112, "{}", size_of::<Mail>());
    }
}
