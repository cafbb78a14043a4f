//! One media thread: wait, hand over what came, send what that caused.

use std::{
    sync::mpsc::{Receiver, TryRecvError},
    time::{Duration, Instant},
};

use net::MediaSocket;
use rtc::Batch;
use sfu::{Event, Input, Output, Shard};

use super::{Counted, News, mailbox::Mailbox};

/// Commands taken before datagrams get their turn again.
const COMMANDS_BATCH: usize = 64;
/// Mail taken before datagrams get their turn again.
const MAIL_BATCH: usize = 256;
/// A wait is no longer than this, whatever the timers say.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// While another thread has no room for our mail, it is tried again this often.
const RETRY: Duration = Duration::from_millis(1);
/// Bytes that are sent together: few enough to stay in the processor's cache from encryption to the system call.
const BATCH_BYTES: usize = 128 * 1024;

/// One media thread and all it owns.
pub(super) struct Thread<'a> {
    pub(super) shard: Shard,
    pub(super) socket: MediaSocket,
    pub(super) mailbox: Mailbox,
    pub(super) commands: Receiver<sfu::Command>,
    pub(super) events: &'a dyn Fn(News),
}

/// Runs until the sender of commands is dropped.
pub(super) fn run(thread: Thread<'_>) {
    let Thread { shard, mut socket, mailbox, commands, events } = thread;
    let mut core = Core { shard, mailbox, commands, out: Batch::new(BATCH_BYTES), turn: 0, hung_up: false };
    let mut more = false;
    loop {
        let until = core.flush(&mut socket, events);
        if core.hung_up {
            return core.say_goodbye(&mut socket, events);
        }
        let now = Instant::now();
        let timeout = core.sleep(until.saturating_duration_since(now).min(WAIT_MAX), more);
        let waited = socket.wait(now, timeout, &mut |received| {
            // A leg is handed over before its peer is answered, and the peer's first datagram must not overtake it: some
            // peers (FFmpeg's WHIP muxer as the DTLS client) send theirs once.
            if !core.mailbox.is_backed_up() {
                core.take_all_commands();
            }
            core.take_mail();
            let input = Input::Datagram {
                proto: inward(received.proto),
                from: received.from,
                to: received.to,
                bytes: received.bytes,
            };
            core.shard.handle(Instant::now(), input, &mut core.out);
        });
        core.mailbox.unpark();
        if let Err(error) = waited {
            tracing::error!(%error, "a media thread cannot wait for its sockets and ends");
            return;
        }
        more = core.take_commands();
        more |= core.take_mail();
        let now = Instant::now();
        if now >= until {
            core.shard.handle(now, Input::Timeout, &mut core.out);
        }
    }
}

struct Core {
    shard: Shard,
    mailbox: Mailbox,
    commands: Receiver<sfu::Command>,
    out: Batch,
    /// Whose mail is taken next.
    turn: usize,
    /// Nobody sends commands any more.
    hung_up: bool,
}

impl Core {
    /// Sends and tells what there is, until the shard has nothing more; until when that is.
    fn flush(&mut self, socket: &mut MediaSocket, events: &dyn Fn(News)) -> Instant {
        let until = loop {
            match self.shard.poll_output(&mut self.out) {
                Output::Full => self.send(socket),
                Output::Event(event) => events(news(event, socket)),
                Output::Mail { to, mail } => {
                    if !self.mailbox.post(to, mail) {
                        self.shard.mail_lost();
                    }
                    if !self.shard.has_mail() {
                        // The others begin with it while this thread serves its own viewers.
                        self.mailbox.deliver();
                    }
                }
                Output::Timeout(_) if !self.out.is_empty() => self.send(socket),
                Output::Timeout(at) => break at,
            }
        };
        self.mailbox.deliver();
        until
    }

    fn send(&mut self, socket: &mut MediaSocket) {
        for run in self.out.runs() {
            if !self.shard.divert(&run) {
                socket.send(outward(run.protocol), run.to, run.bytes, run.segment);
            }
        }
        self.out.clear();
    }

    /// How long the thread may sleep, at most so long; the others know from then on that they have to wake it.
    fn sleep(&mut self, most: Duration, more: bool) -> Duration {
        if more || !self.mailbox.park() {
            return Duration::ZERO;
        }
        if self.mailbox.is_backed_up() { most.min(RETRY) } else { most }
    }

    /// Whether there may be more commands. While mail to another thread finds no room they are taken one by one, after each
    /// try: who sends them is told that the queue is full, in the end.
    fn take_commands(&mut self) -> bool {
        if self.mailbox.is_backed_up() {
            self.take_command();
            return false;
        }
        (0..COMMANDS_BATCH).all(|_| self.take_command())
    }

    /// Takes what waits now.
    fn take_all_commands(&mut self) {
        for _ in 0..super::COMMANDS_MAX {
            if !self.take_command() {
                return;
            }
        }
    }

    fn take_command(&mut self) -> bool {
        match self.commands.try_recv() {
            Ok(command) => {
                self.shard.handle(Instant::now(), Input::Command(command), &mut self.out);
                true
            }
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::Disconnected) => {
                self.hung_up = true;
                false
            }
        }
    }

    /// Whether there may be more mail.
    fn take_mail(&mut self) -> bool {
        for _ in 0..MAIL_BATCH {
            let Some(mail) = self.mailbox.take(self.turn) else { return false };
            self.turn = self.turn.wrapping_add(1);
            if mail.care() == sfu::Care::Keep {
                // What the other was told before it wrote is here already, and comes first: of a track that it wants, of a
                // leg that is over. There is an end, since the queue has one.
                self.take_all_commands();
            }
            self.shard.handle(Instant::now(), Input::Mail(mail), &mut self.out);
        }
        true
    }

    fn say_goodbye(mut self, socket: &mut MediaSocket, events: &dyn Fn(News)) {
        for leg in self.shard.stats().per_leg {
            self.shard.handle(Instant::now(), Input::Command(sfu::Command::RemoveLeg { id: leg.leg }), &mut self.out);
        }
        self.flush(socket, events);
    }
}

fn news(event: Event, socket: &MediaSocket) -> News {
    match event {
        Event::Stats(stats) => {
            let mut shard = *stats;
            // So that one is found without looking at all of them.
            shard.per_leg.sort_unstable_by_key(|leg| leg.leg);
            News::Counted(Box::new(Counted { shard, sockets: socket.stats() }))
        }
        event => News::Event(event),
    }
}

fn inward(proto: net::Protocol) -> rtc::Protocol {
    match proto {
        net::Protocol::Udp => rtc::Protocol::Udp,
        net::Protocol::Tcp => rtc::Protocol::Tcp,
    }
}

fn outward(proto: rtc::Protocol) -> net::Protocol {
    match proto {
        rtc::Protocol::Udp => net::Protocol::Udp,
        rtc::Protocol::Tcp => net::Protocol::Tcp,
    }
}
