//! The media threads: sockets and a shard each, on a thread of the operating system, without tokio.

mod mailbox;
mod thread;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use net::{MediaSocket, SocketStats, Waker};
use rtc::{Certificate, Protocol};
use sfu::{Command, Event, Shard, ShardStats};

use crate::clock::wall_now;

/// Commands that may wait for a media thread.
pub const COMMANDS_MAX: usize = 4_096;

/// Where and how media is received and sent.
#[derive(Clone, Debug)]
pub struct Config {
    /// UDP and TCP address of all media; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Addresses that clients reach us at, best first. Where empty, the address of `listen`, or loopback for a wildcard.
    pub advertise: Vec<IpAddr>,
    /// Media threads that are wanted; 0 is one for each processor that the process may use.
    pub shards: usize,
    /// Which leg viewers get.
    pub viewer_leg: rtc::ViewerLeg,
    /// A peer that was answered has to be connected within this.
    pub connect_timeout: Duration,
}

/// A media thread has as many commands waiting as it may, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the media thread has {COMMANDS_MAX} commands waiting, or is gone")]
pub struct Full;

/// The media threads. Dropping them stops and joins them.
pub struct Shards {
    local_addr: SocketAddr,
    rtc: rtc::Config,
    threads: Vec<Thread>,
}

struct Thread {
    /// `None` once the thread has been told to stop.
    commands: Option<SyncSender<Command>>,
    waker: Waker,
    join: Option<JoinHandle<()>>,
}

/// What a media thread says.
#[derive(Debug)]
pub enum News {
    /// Something happened in its shard; never that it has counted.
    Event(Event),
    /// What it has counted, once a second.
    Counted(Box<Counted>),
}

/// What a media thread has counted since it began.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Its shard. The legs are in the order of their numbers.
    pub shard: ShardStats,
    /// Its sockets.
    pub sockets: SocketStats,
}

/// Starts the media threads. `events` is called on them, so it must not wait.
///
/// # Errors
/// Where the port is taken, a certificate cannot be made, or a thread cannot be started.
pub fn spawn(config: Config, events: impl Fn(usize, News) + Send + Clone + 'static) -> io::Result<Shards> {
    let now = Instant::now();
    let count = threads(config.shards);
    let sockets = MediaSocket::bind_group(config.listen, count, now)?;
    let local_addr = sockets.first().ok_or(io::ErrorKind::NotFound)?.local_addr();
    let rtc = rtc::Config {
        candidates: candidates(local_addr, &config.advertise),
        certificate: Certificate::generate().map_err(io::Error::other)?,
        wall: (wall_now(), now),
        playout_delay_ms: None,
        viewer_leg: config.viewer_leg,
    };
    let mut threads = Vec::new();
    let wakers: Vec<Waker> = sockets.iter().map(MediaSocket::waker).collect();
    for (index, (socket, mailbox)) in sockets.into_iter().zip(mailbox::mailboxes(&wakers)).enumerate() {
        let (commands, inbox) = sync_channel(COMMANDS_MAX);
        let waker = socket.waker();
        let events = events.clone();
        let limits = sfu::Config { idle_max: config.connect_timeout, ..sfu::Config::default() };
        let thread = std::thread::Builder::new().name(format!("media-{index}"));
        let join = thread.spawn(move || {
            let _end_of_all = EndOfAll;
            stay_on_processor(index, count);
            let shard = Shard::new(limits, index, count, Instant::now());
            let events = |news| events(index, news);
            thread::run(thread::Thread { shard, socket, mailbox, commands: inbox, events: &events });
        })?;
        threads.push(Thread { commands: Some(commands), waker, join: Some(join) });
    }
    Ok(Shards { local_addr, rtc, threads })
}

/// Ends the process when the thread that holds it panics: a server without media that looks alive is worse than one
/// that its supervisor starts again, and whose players come back by themselves.
struct EndOfAll;

impl Drop for EndOfAll {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl Shards {
    /// Where the media sockets are bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// How legs of these threads are negotiated.
    pub fn rtc_config(&self) -> rtc::Config {
        self.rtc.clone()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Tells the media threads that have to know: the home of what the command is about, or all but the home.
    ///
    /// # Errors
    /// Where a queue is full: the machine is overloaded.
    pub fn send(&self, command: Command) -> Result<(), Full> {
        if let Command::Expect(expect) = command {
            let mut others = (0..self.threads.len()).filter(|shard| *shard != expect.id.home());
            return others.try_for_each(|shard| self.send_to(shard, Command::Expect(expect.clone())));
        }
        self.send_to(command.home().unwrap_or(0), command)
    }

    fn send_to(&self, shard: usize, command: Command) -> Result<(), Full> {
        let thread = self.threads.get(shard).ok_or(Full)?;
        let commands = thread.commands.as_ref().ok_or(Full)?;
        match commands.try_send(command) {
            Ok(()) => {
                thread.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Full),
        }
    }

    /// Tells the media threads to end and waits until they have: every peer is told goodbye.
    pub fn stop(&mut self) {
        for thread in &mut self.threads {
            thread.commands = None;
            thread.waker.wake();
        }
        for thread in &mut self.threads {
            if let Some(join) = thread.join.take() {
                // A thread that panicked has said so; there is nothing to add.
                let _ = join.join();
            }
        }
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards")
            .field("local_addr", &self.local_addr)
            .field("count", &self.threads.len())
            .finish_non_exhaustive()
    }
}

/// How many media threads there are.
fn threads(wanted: usize) -> usize {
    let most = if cfg!(target_os = "linux") { sfu::SHARDS_MAX } else { 1 };
    let wanted = if wanted == 0 { net::cpus() } else { wanted };
    wanted.clamp(1, most)
}

/// One of several media threads stays where its memory is; the only one goes where there is room.
fn stay_on_processor(index: usize, count: usize) {
    if count > 1
        && let Err(error) = net::pin_to_cpu(index)
    {
        tracing::debug!(index, %error, "a media thread is not bound to a processor");
    }
}

/// Every advertised address over UDP, then every one over TCP.
fn candidates(local: SocketAddr, advertise: &[IpAddr]) -> Vec<(Protocol, SocketAddr)> {
    let own = match local.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([127, 0, 0, 1]),
    };
    let ips = if advertise.is_empty() { vec![own] } else { advertise.to_vec() };
    let of = |proto| ips.iter().map(move |ip| (proto, SocketAddr::new(*ip, local.port())));
    of(Protocol::Udp).chain(of(Protocol::Tcp)).collect()
}

#[cfg(test)]
mod tests;
