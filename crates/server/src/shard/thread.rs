//! One media thread: wait, hand over what came, send what that caused.

use std::{
    sync::mpsc::{Receiver, TryRecvError},
    time::{Duration, Instant},
};

use net::MediaSocket;
use rtc::Batch;
use sfu::{Event, Input, Output, Shard};

/// Commands taken before datagrams get their turn again.
const COMMANDS_BATCH: usize = 64;
/// A wait is no longer than this, whatever the timers say.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Bytes that are sent together: few enough to stay in the processor's cache from encryption to the system call.
const BATCH_BYTES: usize = 128 * 1024;

/// Runs until the sender of commands is dropped.
pub(super) fn run(
    mut socket: MediaSocket,
    limits: sfu::Config,
    commands: &Receiver<sfu::Command>,
    events: &dyn Fn(Event),
) {
    let mut shard = Shard::new(limits, Instant::now());
    let mut out = Batch::new(BATCH_BYTES);
    let mut more_commands = false;
    loop {
        let until = flush(&mut shard, &mut socket, &mut out, events);
        let now = Instant::now();
        let timeout = if more_commands { Duration::ZERO } else { until.saturating_duration_since(now).min(WAIT_MAX) };
        let waited = socket.wait(now, timeout, &mut |received| {
            // A leg is handed over before its peer is answered, and the peer's first datagram must not overtake it: some
            // peers (FFmpeg's WHIP muxer as the DTLS client) send theirs once. Who has hung up is seen below.
            let _ = take_commands(&mut shard, commands, &mut out);
            let input = Input::Datagram {
                proto: inward(received.proto),
                from: received.from,
                to: received.to,
                bytes: received.bytes,
            };
            shard.handle(Instant::now(), input, &mut out);
        });
        if let Err(error) = waited {
            tracing::error!(%error, "a media thread cannot wait for its sockets and ends");
            return;
        }
        more_commands = match take_commands(&mut shard, commands, &mut out) {
            Some(more) => more,
            None => return say_goodbye(shard, socket, out, events),
        };
        let now = Instant::now();
        if now >= until {
            shard.handle(now, Input::Timeout, &mut out);
        }
    }
}

/// Sends and tells what there is, until the shard has nothing more; until when that is.
fn flush(shard: &mut Shard, socket: &mut MediaSocket, out: &mut Batch, events: &dyn Fn(Event)) -> Instant {
    loop {
        match shard.poll_output(out) {
            Output::Full => send(socket, out),
            Output::Event(event) => events(event),
            Output::Timeout(at) => {
                send(socket, out);
                return at;
            }
        }
    }
}

fn send(socket: &mut MediaSocket, out: &mut Batch) {
    for run in out.runs() {
        socket.send(outward(run.protocol), run.to, run.bytes, run.segment);
    }
    out.clear();
}

/// Whether there may be more commands; `None` where nobody will send any more.
fn take_commands(shard: &mut Shard, commands: &Receiver<sfu::Command>, out: &mut Batch) -> Option<bool> {
    for _ in 0..COMMANDS_BATCH {
        match commands.try_recv() {
            Ok(command) => shard.handle(Instant::now(), Input::Command(command), out),
            Err(TryRecvError::Empty) => return Some(false),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
    Some(true)
}

fn say_goodbye(mut shard: Shard, mut socket: MediaSocket, mut out: Batch, events: &dyn Fn(Event)) {
    for leg in shard.stats().per_leg {
        shard.handle(Instant::now(), Input::Command(sfu::Command::RemoveLeg { id: leg.leg }), &mut out);
    }
    flush(&mut shard, &mut socket, &mut out, events);
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
