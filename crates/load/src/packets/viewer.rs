//! One thread of viewers.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use media::Kind;
use mio::{Events, Poll, Token, Waker};
use net::stamped::{Came, Stamped};
use rtc::{
    Batch, CloseReason,
    light::{Event, Input, Output, Packet, Viewer},
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    clock::Clock,
    count::Count,
    histogram::Histogram,
    own::Meter,
    payload,
    publisher::LOWER_STREAMS,
    socket::{Clocks, Socket, room},
};

const WAKE: Token = Token(0);
/// Whether the window or the run is over is looked at this often.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Nobody is looked at more often.
const TICK_MIN: Duration = Duration::from_micros(500);
/// Once all are in, what came in so long is read together.
const GATHER: Duration = Duration::from_millis(1);
const EVENTS_MAX: usize = 1_024;
/// What one viewer sends at once, about.
const BATCH_BYTES: usize = 4_096;

/// Somebody who is about to watch.
pub(crate) struct Seat {
    /// The viewer's number.
    pub(crate) id: usize,
    /// The publisher whose packets it is to get.
    pub(crate) stream: u16,
    /// The picture comes in layers.
    pub(crate) in_layers: bool,
    pub(crate) viewer: Viewer,
    pub(crate) socket: Socket,
    /// When it asked.
    pub(crate) asked: Instant,
    /// When it was answered.
    pub(crate) answered: Instant,
    /// One packet in so many is thrown away on purpose; 0: none.
    pub(crate) drop_every: u64,
}

/// What a thread of viewers is told.
pub(crate) enum Command {
    Add(Box<Seat>),
    /// The viewer of this number leaves.
    Remove(usize),
}

/// What a thread of viewers says.
#[derive(Debug)]
pub(crate) enum Said {
    /// The viewer has its first packet.
    Watching,
    /// The viewer's connection is over, and nobody wanted that.
    Lost {
        id: usize,
        why: String,
        /// It had a packet before.
        watched: bool,
    },
}

/// How long it took from asking, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Joined {
    pub(crate) answer: u64,
    pub(crate) reached: Option<u64>,
    pub(crate) connected: Option<u64>,
    pub(crate) first_packet: Option<u64>,
    pub(crate) first_key: Option<u64>,
}

/// What one viewer got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) id: usize,
    pub(crate) stream: u16,
    pub(crate) joined: Joined,
    /// Pictures, then sounds.
    pub(crate) counts: [Count; 2],
    /// Packets without a stamp, or with another stream's.
    pub(crate) strange: u64,
    pub(crate) bytes: u64,
    /// Packets that came as a repair, and numbers that were asked for again.
    pub(crate) repaired: u64,
    pub(crate) nacked: u64,
    /// Datagrams that made no sense.
    pub(crate) refused: u64,
    /// Media that came before the keys.
    pub(crate) early: u64,
    /// Flights of DTLS that were sent again.
    pub(crate) flights_repeated: u64,
    /// It came after the window had opened, left, or was thrown out.
    pub(crate) partly: bool,
    /// It is sent one layer of the picture or another: what is missing of it shows in the numbers that the server gave.
    pub(crate) in_layers: bool,
    /// Packets of the picture that were of a lower layer.
    pub(crate) of_lower: u64,
}

/// What all viewers of a thread got.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) seen: Vec<Seen>,
    /// Microseconds from sending to having read, of packets sent in the window: pictures, then sounds.
    pub(crate) delays: [Histogram; 2],
    /// Of the window's length, the time on a processor and the time waiting for one.
    pub(crate) used: Option<(Duration, super::own::Used)>,
}

/// A thread of viewers.
pub(crate) struct Thread {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    handle: JoinHandle<Totals>,
}

impl Thread {
    pub(crate) fn spawn(number: usize, clock: Arc<Clock>, said: UnboundedSender<Said>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (commands, orders) = channel();
        let floor = Floor { clock, said, totals: Totals::default(), batch: Batch::new(BATCH_BYTES), joining: 0 };
        let mut room = Room { poll, orders, seats: Vec::new(), due: BinaryHeap::new(), floor };
        let handle = std::thread::Builder::new().name(format!("viewers-{number}")).spawn(move || {
            room.run();
            room.floor.totals
        })?;
        Ok(Self { commands, waker, handle })
    }

    pub(crate) fn tell(&self, command: Command) {
        // A thread that is gone is found out when it is joined.
        let _ = self.commands.send(command);
        let _ = self.waker.wake();
    }

    /// Waits for its end, which `Clock::end` brings about.
    pub(crate) fn join(self) -> anyhow::Result<Totals> {
        let _ = self.waker.wake();
        self.handle.join().map_err(|_| anyhow::anyhow!("a thread of viewers has panicked"))
    }
}

struct Room {
    poll: Poll,
    orders: Receiver<Command>,
    /// By token, less one.
    seats: Vec<Option<Sitting>>,
    /// When to look at whom; entries that no longer hold are passed over.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    floor: Floor,
}

/// What all viewers of a room share.
struct Floor {
    clock: Arc<Clock>,
    said: UnboundedSender<Said>,
    totals: Totals,
    batch: Batch,
    /// Viewers without a packet yet.
    joining: usize,
}

struct Sitting {
    socket: Socket,
    watching: Watching,
    /// The earliest of its entries in the queue; others are old.
    armed: Instant,
    drop_every: u64,
    dropped_at: u64,
}

struct Watching {
    viewer: Viewer,
    asked: Instant,
    due: Instant,
    seen: Seen,
    over: Option<String>,
}

impl Room {
    fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut stamped = room();
        let mut meter = Meter::new();
        let mut unread: Vec<usize> = Vec::new();
        while !self.floor.clock.is_over() {
            let now = Instant::now();
            meter.look(now, self.floor.clock.counts(self.floor.clock.ns(now)));
            let wake = self.due.peek().map_or(LOOK_INTERVAL, |Reverse((at, _))| at.saturating_duration_since(now));
            let wait = if unread.is_empty() { wake.min(LOOK_INTERVAL) } else { Duration::ZERO };
            if self.poll.poll(&mut events, Some(wait)).is_err() {
                continue;
            }
            let mut ready = std::mem::take(&mut unread);
            ready.extend(events.iter().filter_map(|event| event.token().0.checked_sub(1)));
            let clocks = Clocks::now();
            for at in ready {
                if self.read(at, clocks, &mut stamped) {
                    unread.push(at);
                }
            }
            if !self.obey() {
                break;
            }
            self.wake_those_due(&unread);
            // What comes meanwhile is stamped by the kernel, and read by fewer calls.
            if self.floor.joining == 0 {
                std::thread::sleep(GATHER);
            }
        }
        self.floor.totals.used = meter.used;
        (0..self.seats.len()).for_each(|at| self.leave(at, false));
    }

    /// Does what it is told; false where nobody is there to tell anything.
    fn obey(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Command::Add(seat)) => self.sit(*seat),
                Ok(Command::Remove(id)) => {
                    let is_it =
                        |sitting: &Option<Sitting>| sitting.as_ref().is_some_and(|it| it.watching.seen.id == id);
                    if let Some(at) = self.seats.iter().position(is_it) {
                        self.leave(at, true);
                    }
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn sit(&mut self, seat: Seat) {
        let Seat { id, stream, in_layers, viewer, mut socket, asked, answered, drop_every } = seat;
        let at = self.seats.iter().position(Option::is_none).unwrap_or(self.seats.len());
        let over = socket.register(self.poll.registry(), Token(at + 1)).err().map(|error| error.to_string());
        let answer = micros(asked, answered);
        let partly = self.floor.clock.has_opened();
        let joined = Joined { answer, ..Joined::default() };
        let seen = Seen { id, stream, partly, in_layers, joined, ..Seen::default() };
        let now = Instant::now();
        let mut watching = Watching { viewer, asked, due: now, seen, over };
        self.floor.joining += 1;
        // The first check goes out now.
        watching.handle(now, Input::Timeout, &mut self.floor);
        watching.drain(now, &socket, &mut self.floor);
        self.due.push(Reverse((watching.due, at)));
        let sitting = Sitting { socket, armed: watching.due, watching, drop_every, dropped_at: 0 };
        match self.seats.get_mut(at) {
            Some(free) => *free = Some(sitting),
            None => self.seats.push(Some(sitting)),
        }
        self.clear_if_over(at);
    }

    /// True where more may be there.
    fn read(&mut self, at: usize, clocks: Clocks, stamped: &mut Stamped) -> bool {
        let Some(sitting) = self.seats.get_mut(at).and_then(Option::as_mut) else { return false };
        let Sitting { socket, watching, dropped_at, drop_every, .. } = sitting;
        let floor = &mut self.floor;
        let more = socket.read(stamped, &mut |Came { from, bytes, at }| {
            if !throws_away(*drop_every, dropped_at, bytes) {
                let at = clocks.arrival(at);
                watching.handle(at, Input::Datagram { from, bytes }, floor);
                // Once it is connected, one look at what is to be sent is enough for all that came together.
                if watching.seen.joined.connected.is_none() {
                    watching.drain(at, socket, floor);
                }
            }
        });
        watching.drain(clocks.arrival(None), socket, floor);
        if sitting.watching.due < sitting.armed {
            sitting.armed = sitting.watching.due;
            self.due.push(Reverse((sitting.armed, at)));
        }
        self.clear_if_over(at);
        more
    }

    /// Lets time pass for those whose time has come; for whom something lies unread, that comes first.
    fn wake_those_due(&mut self, unread: &[usize]) {
        let now = Instant::now();
        while let Some(&Reverse((when, at))) = self.due.peek().filter(|Reverse((when, _))| *when <= now) {
            self.due.pop();
            let Some(sitting) = self.seats.get_mut(at).and_then(Option::as_mut) else { continue };
            if when != sitting.armed {
                continue;
            }
            if sitting.watching.due <= now && !unread.contains(&at) {
                sitting.watching.handle(now, Input::Timeout, &mut self.floor);
                sitting.watching.drain(now, &sitting.socket, &mut self.floor);
            }
            // Later than now, or one that always wants to be asked would be asked for ever.
            sitting.armed = sitting.watching.due.max(now + TICK_MIN);
            self.due.push(Reverse((sitting.armed, at)));
            self.clear_if_over(at);
        }
    }

    fn clear_if_over(&mut self, at: usize) {
        let Some(sitting) = self.seats.get_mut(at).and_then(Option::as_mut) else { return };
        if let Some(why) = sitting.watching.over.take() {
            if !self.floor.clock.is_closing() {
                let seen = &sitting.watching.seen;
                let watched = seen.joined.first_packet.is_some();
                let _ = self.floor.said.send(Said::Lost { id: seen.id, why, watched });
            }
            self.leave(at, true);
        }
    }

    /// Says good-bye and keeps what was seen.
    fn leave(&mut self, at: usize, early: bool) {
        let Some(mut sitting) = self.seats.get_mut(at).and_then(Option::take) else { return };
        sitting.watching.viewer.close();
        sitting.watching.drain(Instant::now(), &sitting.socket, &mut self.floor);
        self.floor.joining -= usize::from(sitting.watching.seen.joined.first_packet.is_none());
        sitting.watching.seen.partly |= early && !self.floor.clock.is_closing();
        let counts = [Kind::Video, Kind::Audio].map(|kind| sitting.watching.viewer.counts(kind));
        sitting.watching.seen.repaired = counts.iter().map(|counts| counts.repaired).sum();
        sitting.watching.seen.nacked = counts.iter().map(|counts| counts.nacked).sum();
        let transport = sitting.watching.viewer.transport();
        sitting.watching.seen.early = transport.early;
        sitting.watching.seen.flights_repeated = transport.flights_repeated;
        sitting.watching.seen.refused = transport.strange + transport.stun_refused + transport.unknown_payload_types;
        self.floor.totals.seen.push(sitting.watching.seen);
    }
}

impl Watching {
    fn handle(&mut self, now: Instant, input: Input<'_>, floor: &mut Floor) {
        let Self { viewer, seen, asked, .. } = self;
        viewer.handle(now, input, &mut |packet| seen.packet(now, *asked, &packet, floor));
    }

    fn drain(&mut self, now: Instant, socket: &Socket, floor: &mut Floor) {
        loop {
            match self.viewer.poll_output(&mut floor.batch) {
                Output::Event(Event::Reached) => self.seen.joined.reached = Some(micros(self.asked, now)),
                Output::Event(Event::Connected) => self.seen.joined.connected = Some(micros(self.asked, now)),
                Output::Event(Event::Closed(CloseReason::Us)) => {}
                Output::Event(Event::Closed(why)) => self.over = Some(format!("{why:?}")),
                Output::Timeout(at) => {
                    self.due = at;
                    break;
                }
            }
        }
        if !floor.batch.is_empty() {
            socket.send_all(&mut floor.batch);
        }
    }
}

impl Seen {
    /// Whether packets of a kind, pictures first, can only be counted from the first that came to the last, and not be
    /// compared with what was published.
    pub(crate) fn is_partial(&self, kind: usize) -> bool {
        self.partly || (self.in_layers && kind == 0)
    }

    fn packet(&mut self, now: Instant, asked: Instant, packet: &Packet<'_>, floor: &mut Floor) {
        let Packet { kind, payload, seq, .. } = *packet;
        if self.joined.first_packet.is_none() {
            self.joined.first_packet = Some(micros(asked, now));
            floor.joining -= 1;
            let _ = floor.said.send(Said::Watching);
        }
        if kind == Kind::Video && self.joined.first_key.is_none() && payload::starts_key(payload) {
            self.joined.first_key = Some(micros(asked, now));
        }
        self.bytes += payload.len() as u64;
        let in_layers = self.in_layers && kind == Kind::Video;
        let is_own = |stream: u16| stream == self.stream || (in_layers && stream > LOWER_STREAMS);
        let Some(stamp) = payload::read(payload).filter(|stamp| is_own(stamp.stream)) else {
            self.strange += 1;
            return;
        };
        self.of_lower += u64::from(stamp.stream != self.stream);
        let number = if in_layers { seq } else { stamp.number };
        let index = usize::from(kind == Kind::Audio);
        let counts = floor.clock.counts(stamp.sent_ns);
        let Some((count, delays)) = self.counts.get_mut(index).zip(floor.totals.delays.get_mut(index)) else { return };
        if count.came(number, counts) && counts {
            floor.clock.taken();
            delays.add(floor.clock.ns(now).saturating_sub(stamp.sent_ns) / 1_000);
        }
    }
}

/// Whether this is RTP that is not let in: what the counters must notice.
fn throws_away(drop_every: u64, seen: &mut u64, bytes: &[u8]) -> bool {
    let is_rtp = bytes.first().is_some_and(|first| (128..192).contains(first))
        && bytes.get(1).is_some_and(|second| !(192..224).contains(second));
    if drop_every == 0 || !is_rtp {
        return false;
    }
    *seen += 1;
    seen.is_multiple_of(drop_every)
}

fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}
