//! One thread of viewers.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use media::Kind;
use mio::{Events, Poll, Token, Waker};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    clock::Clock,
    count::Count,
    histogram::Histogram,
    own::Meter,
    payload,
    peer::{Happened, Peer},
    socket::{DATAGRAM_BYTES_MAX, Socket},
};

const WAKE: Token = Token(0);
/// Whether the window or the run is over is looked at this often.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Nobody is looked at more often.
const TICK_MIN: Duration = Duration::from_micros(500);
const EVENTS_MAX: usize = 1_024;

/// Somebody who is about to watch.
pub(crate) struct Seat {
    /// The viewer's number.
    pub(crate) id: usize,
    /// The publisher whose packets it is to get.
    pub(crate) stream: u16,
    pub(crate) peer: Peer,
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
    Lost { id: usize, why: String },
}

/// How long it took from asking, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Joined {
    pub(crate) answer: u64,
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
    /// It left, or was thrown out, before the end.
    pub(crate) left: bool,
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
        let mut room =
            Room { poll, clock, said, orders, seats: Vec::new(), due: BinaryHeap::new(), totals: Totals::default() };
        let handle = std::thread::Builder::new().name(format!("viewers-{number}")).spawn(move || {
            room.run();
            room.totals
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
    clock: Arc<Clock>,
    said: UnboundedSender<Said>,
    orders: Receiver<Command>,
    /// By token, less one.
    seats: Vec<Option<Sitting>>,
    /// When to look at whom; entries that no longer hold are passed over.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    totals: Totals,
}

struct Sitting {
    peer: Peer,
    socket: Socket,
    asked: Instant,
    due: Instant,
    /// The earliest of its entries in the queue; others are old.
    armed: Instant,
    drop_every: u64,
    dropped_at: u64,
    seen: Seen,
    over: Option<String>,
}

impl Room {
    fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        let mut meter = Meter::new();
        let mut unread: Vec<usize> = Vec::new();
        while !self.clock.is_over() {
            let now = Instant::now();
            meter.look(now, self.clock.counts(self.clock.ns(now)));
            let wake = self.due.peek().map_or(LOOK_INTERVAL, |Reverse((at, _))| at.saturating_duration_since(now));
            let wait = if unread.is_empty() { wake.min(LOOK_INTERVAL) } else { Duration::ZERO };
            if self.poll.poll(&mut events, Some(wait)).is_err() {
                continue;
            }
            let mut ready = std::mem::take(&mut unread);
            ready.extend(events.iter().filter_map(|event| event.token().0.checked_sub(1)));
            for at in ready {
                if self.read(at, &mut buffer) {
                    unread.push(at);
                }
            }
            if !self.obey() {
                break;
            }
            self.wake_those_due();
        }
        self.totals.used = meter.used;
        (0..self.seats.len()).for_each(|at| self.leave(at, false));
    }

    /// Does what it is told; false where nobody is there to tell anything.
    fn obey(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Command::Add(seat)) => self.sit(*seat),
                Ok(Command::Remove(id)) => {
                    let is_it = |sitting: &Option<Sitting>| sitting.as_ref().is_some_and(|it| it.seen.id == id);
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
        let Seat { id, stream, peer, mut socket, asked, answered, drop_every } = seat;
        let at = self.seats.iter().position(Option::is_none).unwrap_or(self.seats.len());
        let over = socket.register(self.poll.registry(), Token(at + 1)).err().map(|error| error.to_string());
        let answer = micros(asked, answered);
        let seen = Seen { id, stream, joined: Joined { answer, ..Joined::default() }, ..Seen::default() };
        let due = Instant::now();
        let sitting = Sitting { peer, socket, asked, due, armed: due, drop_every, dropped_at: 0, seen, over };
        match self.seats.get_mut(at) {
            Some(free) => *free = Some(sitting),
            None => self.seats.push(Some(sitting)),
        }
        self.due.push(Reverse((due, at)));
    }

    /// True where more may be there.
    fn read(&mut self, at: usize, buffer: &mut [u8]) -> bool {
        let Self { seats, clock, totals, said, due, .. } = self;
        let Some(sitting) = seats.get_mut(at).and_then(Option::as_mut) else { return false };
        let local = sitting.socket.addr();
        let Sitting { peer, socket, .. } = sitting;
        let mut inputs =
            Inputs { seen: &mut sitting.seen, over: &mut sitting.over, asked: sitting.asked, clock, totals, said };
        let mut next = sitting.due;
        let more = socket.read(buffer, &mut |from: SocketAddr, bytes: &mut [u8]| {
            // RTP that is not let in: what the counters must notice.
            if sitting.drop_every > 0 && bytes.first().is_some_and(|first| (128..192).contains(first)) {
                sitting.dropped_at += 1;
                if sitting.dropped_at % sitting.drop_every == 0 {
                    return;
                }
            }
            let now = Instant::now();
            peer.datagram(now, from, local, bytes);
            next = peer.drain(socket, &mut |happened| inputs.take(now, happened));
        });
        sitting.due = next;
        if next < sitting.armed {
            sitting.armed = next;
            due.push(Reverse((next, at)));
        }
        self.clear_if_over(at);
        more
    }

    fn wake_those_due(&mut self) {
        let now = Instant::now();
        while let Some(&Reverse((when, at))) = self.due.peek() {
            if when > now {
                return;
            }
            self.due.pop();
            let Self { seats, clock, totals, said, due, .. } = self;
            let Some(sitting) = seats.get_mut(at).and_then(Option::as_mut) else { continue };
            if when != sitting.armed {
                continue;
            }
            if sitting.due <= now {
                let Sitting { peer, socket, .. } = sitting;
                let mut inputs = Inputs {
                    seen: &mut sitting.seen,
                    over: &mut sitting.over,
                    asked: sitting.asked,
                    clock,
                    totals,
                    said,
                };
                peer.timeout(now);
                sitting.due = peer.drain(socket, &mut |happened| inputs.take(now, happened));
            }
            // Later than now, or a peer that always wants to be asked would be asked for ever.
            sitting.armed = sitting.due.max(now + TICK_MIN);
            due.push(Reverse((sitting.armed, at)));
            self.clear_if_over(at);
        }
    }

    fn clear_if_over(&mut self, at: usize) {
        let Some(sitting) = self.seats.get_mut(at).and_then(Option::as_mut) else { return };
        if let Some(why) = sitting.over.take() {
            if !self.clock.is_closing() {
                let _ = self.said.send(Said::Lost { id: sitting.seen.id, why });
            }
            self.leave(at, true);
        }
    }

    /// Says good-bye and keeps what was seen.
    fn leave(&mut self, at: usize, early: bool) {
        let Some(mut sitting) = self.seats.get_mut(at).and_then(Option::take) else { return };
        sitting.peer.close();
        sitting.peer.drain(&sitting.socket, &mut |_| {});
        sitting.seen.left = early && !self.clock.is_closing();
        self.totals.seen.push(sitting.seen);
    }
}

/// Where what happens to a viewer is noted.
struct Inputs<'a> {
    seen: &'a mut Seen,
    over: &'a mut Option<String>,
    asked: Instant,
    clock: &'a Clock,
    totals: &'a mut Totals,
    said: &'a UnboundedSender<Said>,
}

impl Inputs<'_> {
    fn take(&mut self, now: Instant, happened: Happened<'_>) {
        match happened {
            Happened::Connected => self.seen.joined.connected = Some(micros(self.asked, now)),
            Happened::Packet(kind, payload) => self.packet(now, kind, payload),
            Happened::Closed(why) => *self.over = Some(why),
        }
    }

    fn packet(&mut self, now: Instant, kind: Kind, payload: &[u8]) {
        let (seen, since) = (&mut *self.seen, micros(self.asked, now));
        if seen.joined.first_packet.is_none() {
            seen.joined.first_packet = Some(since);
            let _ = self.said.send(Said::Watching);
        }
        if kind == Kind::Video && seen.joined.first_key.is_none() && payload::starts_key(payload) {
            seen.joined.first_key = Some(since);
        }
        seen.bytes += payload.len() as u64;
        let Some(stamp) = payload::read(payload).filter(|stamp| stamp.stream == seen.stream) else {
            seen.strange += 1;
            return;
        };
        let index = usize::from(kind == Kind::Audio);
        let counts = self.clock.counts(stamp.sent_ns);
        let Some((count, delays)) = seen.counts.get_mut(index).zip(self.totals.delays.get_mut(index)) else { return };
        if count.came(stamp.number, counts) && counts {
            delays.add(self.clock.ns(now).saturating_sub(stamp.sent_ns) / 1_000);
        }
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}
