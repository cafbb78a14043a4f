//! What a shard is told and what it tells.

use std::{collections::VecDeque, net::SocketAddr, time::Duration, time::Instant};

use media::{Codec, Kind, RtpPacket};
use rtc::{CloseReason, Leg, Protocol};

use super::{
    id::{LegId, TrackId},
    mail::{Expect, Mail},
};
use crate::stats::ShardStats;

/// The limits of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Legs at most.
    pub legs_max: usize,
    /// Tracks at most.
    pub tracks_max: usize,
    /// A leg that has not connected after this long is ended.
    pub idle_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { legs_max: 16_384, tracks_max: 16_384, idle_max: Duration::from_secs(30) }
    }
}

/// What the control side tells a shard.
#[derive(Debug)]
pub enum Command {
    /// A leg that another shard is given, and whose peer may come to this one first. All shards but the leg's home are
    /// told before the peer is answered.
    Expect(Expect),
    /// A leg that was answered. It goes to its home.
    AddLeg {
        /// Its number.
        id: LegId,
        /// The leg.
        leg: Box<Leg>,
    },
    /// Says goodbye to the peer and forgets the leg. No event follows.
    RemoveLeg {
        /// Which.
        id: LegId,
    },
    /// A track without packets and viewers.
    AddTrack {
        /// Its number.
        id: TrackId,
        /// Its codec; another codec is another track.
        codec: Codec,
        /// How long its packets may wait for one another.
        pace: Pace,
    },
    /// Forgets a track; its viewers get nothing more.
    RemoveTrack {
        /// Which.
        id: TrackId,
    },
    /// What a leg receives of a kind becomes the packets of a track, which was added before.
    Bind {
        /// The leg that receives.
        leg: LegId,
        /// Sound or picture.
        kind: Kind,
        /// The track.
        track: TrackId,
    },
    /// Packets of a track that no leg receives.
    Packets {
        /// The track.
        track: TrackId,
        /// In sending order; sequence numbers rise by one.
        packets: Vec<RtpPacket>,
    },
    /// The peer of a leg gets a track: sound at once, picture from the key frame that is kept, squeezed to live; where
    /// none is kept, from the next, which the source is asked for.
    Subscribe {
        /// The viewer.
        leg: LegId,
        /// The track.
        track: TrackId,
    },
    /// The peer of a leg gets nothing of a kind any more.
    Unsubscribe {
        /// The viewer.
        leg: LegId,
        /// Sound or picture.
        kind: Kind,
    },
    /// The peer of a leg gets no higher layer of what it is subscribed to than this, from now on.
    SetLayer {
        /// The viewer.
        leg: LegId,
        /// Sound or picture. Sound has no layers.
        kind: Kind,
        /// Counted from the lowest, which is 0; 255 for no limit.
        most: u8,
    },
    /// Whether the packets of a track are told as events: of several layers the highest.
    Tap {
        /// The track.
        track: TrackId,
        /// On or off.
        on: bool,
    },
    /// Asks the source of a track for a key frame, three times a second at most.
    RequestKeyFrame {
        /// The track.
        track: TrackId,
    },
    /// Restarts ICE on a leg; `Event::IceRestarted` answers.
    RestartIce {
        /// The leg.
        leg: LegId,
        /// The peer's `application/trickle-ice-sdpfrag`.
        fragment: String,
    },
}

impl Command {
    /// The shard that it goes to; `None` for `Expect`, which goes to every other than the leg's home.
    pub fn home(&self) -> Option<usize> {
        match self {
            Self::Expect(_) => None,
            Self::AddTrack { id, .. } | Self::RemoveTrack { id } => Some(id.home()),
            Self::Packets { track, .. } | Self::Tap { track, .. } | Self::RequestKeyFrame { track } => {
                Some(track.home())
            }
            _ => self.leg().map(LegId::home),
        }
    }

    /// The leg that it is about; one about a leg and a track goes where the leg is.
    pub(crate) fn leg(&self) -> Option<LegId> {
        match self {
            Self::AddLeg { id, .. } | Self::RemoveLeg { id } => Some(*id),
            Self::Bind { leg, .. }
            | Self::Subscribe { leg, .. }
            | Self::Unsubscribe { leg, .. }
            | Self::SetLayer { leg, .. }
            | Self::RestartIce { leg, .. } => Some(*leg),
            _ => None,
        }
    }
}

/// How long packets wait for one another before they go to viewers: those that leave together cost less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A call: next to nothing.
    Call,
    /// A stream with an audience: until the frame is whole, 10 ms at most. Sound waits for the next picture where that is
    /// expected within 24 ms, and goes as in a call where it is not.
    Audience,
}

/// Sound waits for a picture that is whole within this, being late included: half the way from one picture to the next of
/// 25 a second, and a little.
const RIDE_MAX: Duration = Duration::from_millis(24);

impl Pace {
    /// The longest wait.
    pub(crate) fn hold(self) -> Duration {
        match self {
            Self::Call => Duration::from_millis(1),
            Self::Audience => Duration::from_millis(10),
        }
    }

    /// The wait of a packet of sound, where the next picture of its viewers is whole by this time.
    pub(crate) fn hold_sound(self, picture: Option<Instant>, now: Instant) -> Duration {
        let wait = picture.map(|at| at.saturating_duration_since(now));
        match (self, wait) {
            (Self::Audience, Some(wait)) if wait <= RIDE_MAX => wait,
            _ => Self::Call.hold(),
        }
    }
}

/// What goes into a shard.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram that a socket received.
    Datagram {
        /// How.
        proto: Protocol,
        /// From where.
        from: SocketAddr,
        /// To which address of ours.
        to: SocketAddr,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// A command.
    Command(Command),
    /// What another shard tells this one. Commands that were given before the other was told are handed over first.
    Mail(Mail),
    /// Time passes.
    Timeout,
}

/// What a shard wants done, beside what it has written into the batch that it was handed.
#[derive(Debug)]
pub enum Output {
    /// Send what is in the batch, clear it, and ask again.
    Full,
    /// What another shard has to be told: in order, and without loss where `Mail::care` says so.
    Mail {
        /// The number of the other shard.
        to: usize,
        /// What.
        mail: Mail,
    },
    /// Something happened.
    Event(Event),
    /// Nothing more until then, a datagram, a command or mail.
    Timeout(Instant),
}

/// Why a leg is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// What the leg says.
    Closed(CloseReason),
    /// The peer never connected.
    NeverConnected,
    /// There are as many legs as there may be.
    Full,
}

/// What happened in a shard.
#[derive(Debug)]
pub enum Event {
    /// A leg is connected.
    Connected {
        /// Which.
        leg: LegId,
    },
    /// A leg is over and forgotten. It comes once, and never for a leg that a command removed.
    Ended {
        /// Which.
        leg: LegId,
        /// Why.
        reason: EndReason,
    },
    /// A leg received media in the last second.
    Received {
        /// Which.
        leg: LegId,
    },
    /// A packet of a track that is tapped.
    Packet {
        /// The track.
        track: TrackId,
        /// The packet.
        packet: RtpPacket,
    },
    /// Viewers of a track that is fed by command need a key frame.
    KeyFrameWanted {
        /// The track.
        track: TrackId,
    },
    /// What became of an ICE restart: the fragment for the peer, or a sentence.
    IceRestarted {
        /// Which leg.
        leg: LegId,
        /// The fragment for the peer.
        answer: Result<String, String>,
    },
    /// What was counted, once a second.
    Stats(Box<ShardStats>),
}

/// Events that wait to be polled.
#[derive(Debug, Default)]
pub(crate) struct EventQueue(VecDeque<Event>);

impl EventQueue {
    pub(crate) fn push(&mut self, event: Event) {
        self.0.push_back(event);
    }

    pub(crate) fn packet(&mut self, track: TrackId, packet: RtpPacket) {
        self.push(Event::Packet { track, packet });
    }

    pub(crate) fn key_frame_wanted(&mut self, track: TrackId) {
        self.push(Event::KeyFrameWanted { track });
    }

    /// Takes back that a leg ended: whoever removes it does not want to be told.
    pub(crate) fn forget_end(&mut self, id: LegId) {
        self.0.retain(|event| !matches!(event, Event::Ended { leg, .. } if *leg == id));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}
