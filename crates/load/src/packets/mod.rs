//! The packet path: publishers and viewers by WebRTC. Every packet carries a number and the time of its sending; viewers
//! say which came and how late.

mod args;
mod clock;
mod count;
mod histogram;
mod http;
mod janus;
mod own;
mod payload;
mod publisher;
mod report;
mod socket;
mod viewer;

use std::{
    collections::{HashSet, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, stream};
use hyper::{Method, Uri};
use media::{Codec, WallTime};
use rtc::{Certificate, Config, Offering, Wanted, light};
use tokio::{
    net::{TcpStream, lookup_host},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::{sleep, sleep_until, timeout},
};

pub(crate) use self::args::PacketsArgs;
use self::{
    clock::Clock,
    janus::Plugin,
    publisher::{Publisher, To},
    report::Report,
    socket::Socket,
    viewer::{Command, Seat},
};
use crate::process::Process;

/// Everybody has to be in so long after the last has come.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// After the window, repairs have so long; where packets are on their way still, since a machine is slow, until none came
/// for `QUIET` such times.
const TAIL: Duration = Duration::from_secs(1);
const TAILS_MAX: u32 = 30;
const QUIET: u32 = 3;
/// Sessions that are ended at the same time.
const ENDING_MAX: usize = 64;
/// Times at which the server's memory is looked at, about.
const SAMPLES_MAX: u64 = 120;
/// Files that are open beside sockets.
const FILES_BESIDE: u64 = 64;

/// Runs it; false where packets are missing or the load was the bottleneck.
///
/// # Errors
/// Where it cannot be measured.
pub(crate) fn run(args: &PacketsArgs) -> anyhow::Result<bool> {
    args.check()?;
    // Each viewer has a socket, and while it joins a connection.
    let files = 2 * args.viewers + 2 * args.publishers + FILES_BESIDE;
    ensure!(
        own::files_max().is_none_or(|most| most >= files),
        "this needs {files} open files; raise the limit by `ulimit -n {files}`"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(args))?;
    let figures = report.json(args);
    if let Some(file) = &args.json_file {
        std::fs::write(file, format!("{figures:#}\n")).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if args.json {
        println!("{figures}")
    } else {
        print!("{}", report.text(args))
    }
    for why in report.refusals(args) {
        eprintln!("stentor-load: no result: {why}");
    }
    Ok(report.is_good(args))
}

/// Where a server is, and where we are seen from there.
struct Way {
    local: IpAddr,
    server: IpAddr,
}

impl Way {
    async fn find(args: &PacketsArgs) -> anyhow::Result<Self> {
        let mut local = None;
        let mut server = None;
        for url in args.servers() {
            let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
            let authority = http::authority(&uri)?;
            let addresses: Vec<SocketAddr> =
                lookup_host(&authority).await.with_context(|| authority.clone())?.collect();
            for address in &addresses {
                // Whoever can bind it has it.
                let is_own = std::net::UdpSocket::bind((address.ip(), 0)).is_ok();
                ensure!(
                    args.yes_elsewhere || is_own,
                    "{address} is another machine, and load on a machine that is not yours is an attack; use a loopback address, or say --yes-elsewhere"
                );
            }
            let socket =
                TcpStream::connect(&*addresses).await.with_context(|| format!("nothing answers at {authority}"))?;
            local = Some(socket.local_addr()?.ip());
            server = Some(socket.peer_addr()?.ip());
        }
        Ok(Self { local: local.context("no URL")?, server: server.context("no URL")? })
    }
}

/// A session at the server that is to be ended.
enum Session {
    Whip(String),
    Janus(janus::Handle),
}

impl Session {
    async fn end(self) {
        match self {
            // A server that ended it by itself says 404.
            Self::Whip(url) => _ = http::request(Method::DELETE, &url, None, String::new()).await,
            Self::Janus(handle) => handle.end().await,
        }
    }
}

async fn exchange(url: &str, offer: &str) -> anyhow::Result<(String, Option<Session>)> {
    let answer = http::request(Method::POST, url, Some("application/sdp"), offer.to_owned()).await?;
    let session = answer.location.map(|location| http::absolute(url, &location)).transpose()?;
    Ok((answer.body, session.map(Session::Whip)))
}

/// What was heard of a viewer.
enum Heard {
    /// It has its first packet.
    Watching,
    /// It was lost before it had one.
    NeverWatched,
    /// It was lost later.
    Lost,
}

/// All that runs while it is measured.
struct Crowd {
    clock: Arc<Clock>,
    certificate: Certificate,
    way: Way,
    publishers: publisher::Thread,
    publishers_said: UnboundedReceiver<publisher::Said>,
    viewers: Vec<viewer::Thread>,
    viewers_said: UnboundedReceiver<viewer::Said>,
    /// Of publishers.
    sessions: Vec<Session>,
    /// Of viewers, by their numbers, the eldest first.
    watching: VecDeque<(usize, Option<Session>)>,
    joining: JoinSet<anyhow::Result<(Seat, Option<Session>)>>,
    /// Viewers that have come.
    came: u64,
    /// The mount point or room of each publisher at Janus.
    mounts: Vec<u64>,
    ports: HashSet<u16>,
    faults: Vec<String>,
}

impl Crowd {
    async fn new(args: &PacketsArgs) -> anyhow::Result<Self> {
        let way = Way::find(args).await?;
        let clock = Arc::new(Clock::new());
        let (publisher_says, publishers_said) = unbounded_channel();
        let (viewer_says, viewers_said): (UnboundedSender<_>, _) = unbounded_channel();
        let publishers = publisher::Thread::spawn(args.shape(), clock.clone(), publisher_says, args.record.as_deref())?;
        let viewers = (0..args.threads as usize)
            .map(|number| viewer::Thread::spawn(number, clock.clone(), viewer_says.clone()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            clock,
            certificate: Certificate::generate()?,
            way,
            publishers,
            publishers_said,
            viewers,
            viewers_said,
            sessions: Vec::new(),
            watching: VecDeque::new(),
            joining: JoinSet::new(),
            came: 0,
            mounts: Vec::new(),
            ports: HashSet::new(),
            faults: Vec::new(),
        })
    }

    fn config(&self, local: SocketAddr) -> Config {
        Config::new(local, self.certificate.clone(), WallTime(0), Instant::now())
    }

    async fn publish(&mut self, args: &PacketsArgs) -> anyhow::Result<()> {
        for number in 0..args.publishers {
            let socket = Socket::bind(self.way.local, true)?;
            let to = match &args.janus {
                Some(janus) if args.janus_plugin == Plugin::Streaming => self.mount(args, janus).await?,
                Some(janus) => self.host(args, janus, socket.addr()).await?,
                None => self.offer(args, &PacketsArgs::url(&args.whip, number), socket.addr()).await?,
            };
            let late = Duration::from_micros(1_000_000 / args.fps * number / args.publishers);
            self.ports.insert(socket.addr().port());
            self.publishers.add(Publisher { stream: number as u16, to, socket, late });
        }
        let mut publishing = 0;
        while publishing < args.publishers {
            match timeout(JOIN_TIMEOUT, self.publishers_said.recv()).await {
                Ok(Some(publisher::Said::Publishing)) => publishing += 1,
                Ok(Some(publisher::Said::Lost { stream, why })) => bail!("publisher {stream} was lost: {why}"),
                _ => bail!("{publishing} of {} publishers connected within {JOIN_TIMEOUT:?}", args.publishers),
            }
        }
        Ok(())
    }

    fn offering(&self, args: &PacketsArgs, local: SocketAddr) -> anyhow::Result<Offering> {
        let wanted = Wanted::Send { video: Some(payload::PROFILE), audio: args.sound_bytes > 0, layers: args.layers() };
        Ok(Offering::new(&self.config(local), wanted, Instant::now())?)
    }

    async fn offer(&mut self, args: &PacketsArgs, url: &str, local: SocketAddr) -> anyhow::Result<To> {
        let offering = self.offering(args, local)?;
        let (answer, session) = exchange(url, offering.sdp()).await?;
        self.sessions.extend(session);
        Ok(To::Leg(Box::new(offering.accept(&answer, Instant::now()).with_context(|| url.to_owned())?)))
    }

    async fn mount(&mut self, args: &PacketsArgs, janus: &str) -> anyhow::Result<To> {
        let mut handle = janus::Handle::open(janus, args.janus_plugin).await?;
        let number = u64::from(rand::random::<u32>());
        let ports = handle.mount(number, args.janus_threads, args.sound_bytes > 0).await;
        self.sessions.push(Session::Janus(handle));
        self.mounts.push(number);
        Ok(To::Plain(ports?.map(|port| SocketAddr::new(self.way.server, port))))
    }

    async fn host(&mut self, args: &PacketsArgs, janus: &str, local: SocketAddr) -> anyhow::Result<To> {
        let offering = self.offering(args, local)?;
        let mut handle = janus::Handle::open(janus, args.janus_plugin).await?;
        let number = u64::from(rand::random::<u32>());
        let answer = handle.host(number, offering.sdp()).await;
        self.sessions.push(Session::Janus(handle));
        self.mounts.push(number);
        Ok(To::Leg(Box::new(offering.accept(&answer?, Instant::now()).with_context(|| janus.to_owned())?)))
    }

    /// Lets viewers come; returns how long it took until all have a packet.
    async fn watch(&mut self, args: &PacketsArgs) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let (mut watching, mut gone) = (0, 0);
        let deadline = began + args.arrive.at(args.viewers, args.viewers) + JOIN_TIMEOUT;
        while watching + gone < args.viewers {
            let now = Instant::now();
            if now >= deadline {
                let first = self.faults.first().map_or("", String::as_str);
                bail!(
                    "{watching} of {} viewers have a packet {JOIN_TIMEOUT:?} after the last came: {first}",
                    args.viewers
                );
            }
            let arrival = began + args.arrive.at(self.came, args.viewers);
            let wake = if self.came < args.viewers { arrival.min(deadline) } else { deadline };
            tokio::select! {
                () = sleep_until(wake.into()) => if self.came < args.viewers && Instant::now() >= arrival {
                    self.invite(args);
                },
                Some(joined) = self.joining.join_next() => gone += u64::from(!self.seat(joined?)),
                Some(said) = self.viewers_said.recv() => match self.hear(said) {
                    Heard::Watching => watching += 1,
                    Heard::NeverWatched => gone += 1,
                    Heard::Lost => {}
                },
            }
        }
        Ok(began.elapsed())
    }

    /// Lets the window pass: viewers come and go as they were told, and the server's memory is looked at.
    async fn attend(&mut self, args: &PacketsArgs, length: Duration) -> anyhow::Result<Vec<(f64, u64)>> {
        let began = Instant::now();
        let sampled = Duration::from_secs((args.seconds / SAMPLES_MAX).max(1));
        let change = args.churn_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let (mut samples, mut changes) = (Vec::new(), 0_u32);
        while began.elapsed() < length {
            let sample = began + sampled * samples.len() as u32;
            let turn = change.map(|interval| began + interval * (changes + 1));
            let wake = turn.map_or(sample, |turn| turn.min(sample)).min(began + length);
            tokio::select! {
                () = sleep_until(wake.into()) => {
                    let now = Instant::now();
                    if turn.is_some_and(|turn| now >= turn) {
                        changes += 1;
                        self.exchange_one(args);
                    }
                    if now >= sample {
                        let memory = Server::look(args)?.map_or(0, |server| server.memory);
                        samples.push((began.elapsed().as_secs_f64(), memory));
                    }
                },
                Some(joined) = self.joining.join_next() => { self.seat(joined?); }
                Some(said) = self.viewers_said.recv() => { self.hear(said); }
            }
        }
        Ok(samples)
    }

    /// The eldest viewer goes, and another comes.
    fn exchange_one(&mut self, args: &PacketsArgs) {
        if let Some((id, session)) = self.watching.pop_front() {
            if let Some(thread) = self.viewers.get(id % self.viewers.len()) {
                thread.tell(Command::Remove(id));
            }
            tokio::spawn(async move {
                if let Some(session) = session {
                    session.end().await;
                }
            });
        }
        self.invite(args);
    }

    fn invite(&mut self, args: &PacketsArgs) {
        let mount = self.mounts.get((self.came % args.publishers) as usize).copied();
        let joining = join(args.clone(), self.came, mount, self.way.local, self.certificate.clone());
        self.joining.spawn(joining);
        self.came += 1;
    }

    /// False where the viewer was not let in.
    fn seat(&mut self, joined: anyhow::Result<(Seat, Option<Session>)>) -> bool {
        match joined {
            Ok((seat, session)) => {
                self.watching.push_back((seat.id, session));
                self.ports.insert(seat.socket.addr().port());
                if let Some(thread) = self.viewers.get(seat.id % self.viewers.len()) {
                    thread.tell(Command::Add(Box::new(seat)));
                }
                true
            }
            Err(error) => {
                self.faults.push(format!("{error:#}"));
                false
            }
        }
    }

    fn hear(&mut self, said: viewer::Said) -> Heard {
        match said {
            viewer::Said::Watching => Heard::Watching,
            viewer::Said::Lost { id, why, watched } => {
                self.faults.push(format!("viewer {id} was lost: {why}"));
                if watched { Heard::Lost } else { Heard::NeverWatched }
            }
        }
    }

    /// Ends everything, and collects what was seen.
    async fn leave(mut self) -> anyhow::Result<Report> {
        // Whoever is still being answered is let in, so that it can be let out.
        while let Some(joined) = self.joining.join_next().await {
            self.seat(joined?);
        }
        let mut report = Report { dropped: own::dropped(&self.ports)?, faults: self.faults, ..Report::default() };
        let mut said = self.viewers_said;
        // Before sessions are ended: that they are lost then is no fault.
        while let Ok(said) = said.try_recv() {
            if let viewer::Said::Lost { id, why, .. } = said {
                report.faults.push(format!("viewer {id} was lost: {why}"));
            }
        }
        self.clock.close();
        // As players do it: first the request, then the connection's own good-bye.
        // Viewers first, or they would be ended with their stream.
        let viewers = self.watching.into_iter().filter_map(|(_, session)| session);
        stream::iter(viewers).for_each_concurrent(ENDING_MAX, Session::end).await;
        stream::iter(self.sessions).for_each_concurrent(ENDING_MAX, Session::end).await;
        self.clock.end();
        for thread in self.viewers {
            report.viewers(tokio::task::spawn_blocking(move || thread.join()).await??);
        }
        let publishers = self.publishers;
        report.publishers = tokio::task::spawn_blocking(move || publishers.join()).await??;
        Ok(report)
    }
}

/// One viewer: offers, and is answered; or, at Janus, is offered a mount point and answers.
async fn join(
    args: PacketsArgs,
    id: u64,
    mount: Option<u64>,
    ip: IpAddr,
    certificate: Certificate,
) -> anyhow::Result<(Seat, Option<Session>)> {
    let stream = id % args.publishers;
    let socket = Socket::bind(ip, !args.receive_singly)?;
    let local = Some(socket.addr());
    let config = light::Config { local, video: vec![Codec::H264], ..light::Config::new(certificate) };
    let mut viewer = light::Viewer::new(&config, rand::random(), Instant::now());
    let asked = Instant::now();
    let (answer, session) = match (&args.janus, mount) {
        (Some(janus), Some(mount)) => {
            let handle = janus::Handle::open(janus, args.janus_plugin).await?;
            let watched = watch_at_janus(&handle, mount, &viewer).await;
            (watched, Some(Session::Janus(handle)))
        }
        _ => {
            let (answer, session) = exchange(&PacketsArgs::url(&args.whep, stream), &viewer.offer()).await?;
            (Ok(answer), session)
        }
    };
    let answered = Instant::now();
    if let Err(error) = answer.and_then(|answer| Ok(viewer.accept(&answer, answered)?)) {
        if let Some(session) = session {
            session.end().await;
        }
        return Err(error);
    }
    let id = id as usize;
    let seat = Seat {
        id,
        stream: stream as u16,
        viewer,
        socket,
        asked,
        answered,
        drop_every: args.drop_every,
        in_layers: args.simulcast,
    };
    Ok((seat, session))
}

async fn watch_at_janus(handle: &janus::Handle, mount: u64, viewer: &light::Viewer) -> anyhow::Result<String> {
    let offer = handle.watch(mount).await?;
    handle.start(&janus::answer(&offer, &viewer.offer())).await?;
    Ok(offer)
}

/// What the server had used at a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Server {
    cpu_s: f64,
    memory: u64,
}

impl Server {
    fn look(args: &PacketsArgs) -> anyhow::Result<Option<Self>> {
        let Some(process) = args.server_pid.map(Process) else { return Ok(None) };
        Ok(Some(Self { cpu_s: process.cpu_s()?, memory: process.memory_bytes()? }))
    }
}

async fn measure(args: &PacketsArgs) -> anyhow::Result<Report> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut crowd = Crowd::new(args).await?;
    let measured = tokio::select! {
        measured = phases(args, &mut crowd) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        _ = terminated.recv() => Err(anyhow::anyhow!("terminated")),
    };
    // Whatever happened, sessions are ended properly.
    let report = crowd.leave().await;
    let (servers, window, arriving, memory) = measured?;
    let mut report = report?;
    sleep(Duration::from_secs(args.settle)).await;
    report.after = Server::look(args)?;
    (report.servers, report.window, report.arriving, report.memory) = (servers, window, arriving, memory);
    Ok(report)
}

/// Waits for what was sent in the window and is not there yet: in the sockets' buffers, or asked for again.
async fn tail(args: &PacketsArgs, clock: &Clock) {
    let (mut before, mut quiet) = (0, 0);
    for _ in 0..TAILS_MAX {
        sleep(TAIL).await;
        let (sent, taken) = clock.sent_and_taken();
        quiet = if taken == before { quiet + 1 } else { 0 };
        before = taken;
        // Viewers that came or left in the window lack what others have.
        if quiet >= QUIET || args.churn_per_second.is_some() || taken >= sent * args.viewers / args.publishers {
            return;
        }
    }
}

/// What the server had used before viewers came, when all had come, at the beginning and at the end of the window; the
/// window's length; how long viewers took to arrive; the server's memory by seconds of the window.
type Phases = (Option<[Server; 4]>, Duration, Duration, Vec<(f64, u64)>);

async fn phases(args: &PacketsArgs, crowd: &mut Crowd) -> anyhow::Result<Phases> {
    crowd.publish(args).await?;
    sleep(Duration::from_secs(args.warm_up)).await;
    let before = Server::look(args)?;
    let arriving = crowd.watch(args).await?;
    let joined = Server::look(args)?;
    // What a server does on joining is over by then.
    sleep(Duration::from_secs(args.settle)).await;
    let first = Server::look(args)?;
    let from = Instant::now();
    crowd.clock.open_window(Duration::from_secs(args.seconds));
    let memory = crowd.attend(args, Duration::from_secs(args.seconds)).await?;
    let window = from.elapsed();
    let last = Server::look(args)?;
    tail(args, &crowd.clock).await;
    let servers = before.zip(joined).zip(first.zip(last)).map(|((a, b), (c, d))| [a, b, c, d]);
    Ok((servers, window, arriving, memory))
}
