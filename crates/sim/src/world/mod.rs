//! A run: time goes from one thing that happens to the next, and nothing else moves it.

mod act;
mod clients;
mod judge;
mod server;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::SocketAddr,
    time::{Duration, Instant},
};

use media::WallTime;
use rtc::{Batch, Certificate};
use sfu::Input;

use crate::{
    client::Client,
    ledger::Ledger,
    link::Moment,
    random::{Random, hash},
    report::{Failure, Report},
    scenario::Scenario,
    source::Source,
    trace::Trace,
};
use act::Action;
use server::Host;

/// Where the server is.
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1)), 3_478);
/// What the server's wall clock says when a run begins.
const WALL: i64 = 1_790_000_000_000_000;
/// Things that happen in a run at most.
const STEPS_MAX: u64 = 50_000_000;
/// How often viewers are looked at.
const SWEEP: Duration = Duration::from_millis(50);
/// After the sources stopped, what is under way or asked for again arrives within this.
const REST: Duration = Duration::from_millis(3_500);
/// After everybody left, everything is forgotten within this: who never connected is let go after 30 s.
const AFTERMATH: Duration = Duration::from_secs(40);

/// What a run is given beside the scenario.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where virtual time begins; it may be any time.
    pub start: Instant,
    /// The certificate of all legs: one for a process, since it costs a key pair.
    pub certificate: Certificate,
    /// How many shards serve.
    pub shards: usize,
    /// The leg of viewers.
    pub viewer_leg: rtc::ViewerLeg,
    /// The other end of viewers.
    pub viewer: Far,
    /// How many of the last things that happened are told where something goes wrong.
    pub trace: usize,
}

/// The other end of a viewer's leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Far {
    /// str0m, without feedback on bandwidth.
    Full,
    /// The light viewer, with feedback as Chromium gives it.
    Light,
}

/// A datagram under way.
#[derive(Debug)]
struct Flying {
    /// The client that it comes from or goes to.
    client: usize,
    to_server: bool,
    /// The client's address, as the server sees it.
    outer: SocketAddr,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Happening {
    Arrival(Flying),
    Action(Action),
    /// For a shard, from another.
    Mail(usize, Box<sfu::Mail>),
}

/// What goes wrong in a step, in a sentence.
type Outcome = Result<(), String>;

/// A stream while it is there.
#[derive(Debug, Default)]
struct Live {
    client: Option<usize>,
    picture: Option<Source>,
    /// Smaller codings of the picture, the smallest first.
    lower: Vec<Source>,
    sound: Option<Source>,
    /// When it began to send.
    since: Option<Moment>,
    /// How often it came.
    life: u32,
}

impl Live {
    /// What makes a layer of the picture, counted from the smallest.
    fn layer_mut(&mut self, layer: u8) -> Option<&mut Source> {
        match self.lower.get_mut(usize::from(layer)) {
            None => self.picture.as_mut(),
            lower => lower,
        }
    }

    /// The tracks of its layers, where it has some, the smallest first.
    fn layers(&self) -> Vec<(u32, u32)> {
        let lower = self.lower.iter().chain(self.picture.as_ref().filter(|_| !self.lower.is_empty()));
        lower.map(|source| (source.track, source.base())).collect()
    }
}

struct World<'a> {
    scenario: &'a Scenario,
    start: Instant,
    now: Moment,
    config: rtc::Config,
    hosts: Vec<Host>,
    /// How long mail takes.
    mail: Random,
    /// When the last mail of a pair of shards arrives.
    posted: BTreeMap<(usize, usize), Moment>,
    far: Far,
    clients: Vec<Client>,
    /// Who has or had an address.
    by_outer: BTreeMap<SocketAddr, usize>,
    streams: Vec<Live>,
    /// The client of each viewer.
    viewers: Vec<Option<usize>>,
    ledger: Ledger,
    queue: BinaryHeap<Reverse<(Moment, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    number: u64,
    out: Batch,
    trace: Trace,
    next_track: u32,
    next_port: u16,
}

/// Runs a scenario.
///
/// # Errors
/// Where an oracle says that something is wrong.
pub fn run(scenario: &Scenario, setup: &Setup) -> Result<Report, Box<Failure>> {
    let mut world = World::new(scenario, setup);
    match world.play() {
        Ok(report) => Ok(report),
        Err(what) => Err(Box::new(Failure {
            scenario: scenario.name.clone(),
            seed: scenario.seed,
            at: world.now,
            what,
            trace: world.trace.lines(),
        })),
    }
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, setup: &Setup) -> Self {
        let (now, shards) = (setup.start, setup.shards.max(1));
        let mut world = Self {
            scenario,
            start: now,
            now: Moment::ZERO,
            config: rtc::Config {
                viewer_leg: setup.viewer_leg,
                ..rtc::Config::new(SERVER, setup.certificate.clone(), WallTime(WALL), now)
            },
            hosts: (0..shards).map(|index| Host::new(index, shards, now)).collect(),
            mail: Random::new(hash(&[scenario.seed, 3])),
            posted: BTreeMap::new(),
            far: setup.viewer,
            clients: Vec::new(),
            by_outer: BTreeMap::new(),
            streams: scenario.streams.iter().map(|_| Live::default()).collect(),
            viewers: scenario.viewers.iter().map(|_| None).collect(),
            ledger: Ledger::default(),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            number: 0,
            out: Batch::new(4_000),
            trace: Trace::new(setup.trace),
            next_track: 1,
            next_port: 1_024,
        };
        world.plan();
        world
    }

    fn play(&mut self) -> Result<Report, String> {
        self.run_to(self.scenario.length)?;
        self.stop_sources();
        self.run_to(self.scenario.length + REST)?;
        self.judge_streams()?;
        self.everybody_leaves()?;
        self.run_to(self.scenario.length + REST + AFTERMATH)?;
        self.judge_leftovers()?;
        Ok(self.report())
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    fn at(&mut self, when: Moment, what: Happening) {
        self.number += 1;
        self.happenings.insert(self.number, what);
        self.queue.push(Reverse((when.max(self.now), self.number)));
    }

    /// Runs until everything that happens before `end` has happened.
    fn run_to(&mut self, end: Moment) -> Outcome {
        for _ in 0..STEPS_MAX {
            let queued = self.queue.peek().map(|Reverse((at, _))| *at);
            let shards = self.hosts.iter().map(|host| host.timer).min();
            let clients = self.clients.iter().filter(|client| !client.gone).map(|client| client.timer).min();
            let next = [queued, shards, clients].into_iter().flatten().min().unwrap_or(end);
            if next > end {
                self.now = end;
                return Ok(());
            }
            self.now = self.now.max(next);
            self.step()?;
        }
        Err("time does not go on".to_owned())
    }

    fn step(&mut self) -> Outcome {
        if let Some(Reverse((at, number))) = self.queue.peek().copied()
            && at <= self.now
        {
            self.queue.pop();
            return match self.happenings.remove(&number) {
                Some(Happening::Arrival(flying)) => self.arrive(&flying),
                Some(Happening::Action(action)) => self.act(action),
                Some(Happening::Mail(to, mail)) => self.tell(to, Input::Mail(*mail)),
                None => Ok(()),
            };
        }
        for host in 0..self.hosts.len() {
            if self.hosts.get(host).is_some_and(|host| host.timer <= self.now) {
                self.shard_timeout(host)?;
            }
        }
        for client in 0..self.clients.len() {
            if self.clients.get(client).is_some_and(|client| !client.gone && client.timer <= self.now) {
                self.client_timeout(client)?;
            }
        }
        Ok(())
    }

    fn arrive(&mut self, flying: &Flying) -> Outcome {
        if flying.to_server {
            return self.reach_shard(flying);
        }
        self.reach_client(flying.client, &flying.bytes)
    }

    fn client(&mut self, at: usize) -> Result<&mut Client, String> {
        self.clients.get_mut(at).ok_or_else(|| format!("there is no client {at}"))
    }

    fn next_address(&mut self) -> SocketAddr {
        self.next_port += 1;
        SocketAddr::from(([198, 51, 100, (self.next_port % 250) as u8 + 1], self.next_port))
    }
}
