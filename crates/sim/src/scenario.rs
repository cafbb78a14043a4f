//! What happens in a run: streams, viewers, their paths, and when who comes and goes.

use std::{ops::RangeInclusive, time::Duration};

use media::Codec;
use sfu::Pace;

use crate::{
    link::{Burst, Moment, Path},
    random::{Random, hash},
    source::Camera,
};

/// Where a stream comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A browser, over a link. It makes key frames when asked.
    Browser,
    /// The bridge, by command. It cannot be asked.
    Fed,
}

/// How somebody leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// It says so.
    Close,
    /// The control side says so.
    Remove,
    /// It is never heard of again.
    Vanish,
}

/// A stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Where it comes from.
    pub origin: Origin,
    /// Its pictures.
    pub camera: Option<Camera>,
    /// Smaller codings of them, which a browser sends beside (simulcast), the smallest first.
    pub lower: Vec<Camera>,
    /// It has sound.
    pub sound: bool,
    /// How long packets wait for one another.
    pub pace: Pace,
    /// When it begins.
    pub from: Moment,
    /// When it ends.
    pub to: Moment,
    /// How it ends.
    pub goodbye: Goodbye,
    /// To the server, where a browser sends.
    pub up: Path,
    /// From the server.
    pub down: Path,
}

/// A viewer.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Place of its stream.
    pub stream: usize,
    /// When it joins.
    pub joins: Moment,
    /// When it leaves.
    pub leaves: Moment,
    /// How it leaves.
    pub goodbye: Goodbye,
    /// To the server.
    pub up: Path,
    /// From the server.
    pub down: Path,
    /// When the address by which the server knows it changes.
    pub rebinds: Vec<Moment>,
    /// When it goes on with another stream.
    pub switches: Vec<(Moment, usize)>,
    /// When it asks for a key frame that it does not need.
    pub asks: Vec<Moment>,
    /// The layers that it may get at a moment, the smallest is 0, where it tells what its path carries.
    pub gets: Vec<(Moment, RangeInclusive<usize>)>,
}

/// All that happens.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What is random in it comes from this.
    pub seed: u64,
    /// Until when sources send.
    pub length: Moment,
    /// Streams.
    pub streams: Vec<Stream>,
    /// Viewers.
    pub viewers: Vec<Viewer>,
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Stream {
    /// A browser's stream of H.264 and Opus, over a path without faults.
    pub fn browser() -> Self {
        Self {
            origin: Origin::Browser,
            camera: Some(Camera::default()),
            lower: Vec::new(),
            sound: true,
            pace: Pace::Audience,
            from: Moment::ZERO,
            to: Moment::MAX,
            goodbye: Goodbye::Close,
            up: Path::clean(20),
            down: Path::clean(20),
        }
    }

    /// A browser's stream in three layers, of some 140, 500 and 1,900 kbit/s.
    pub fn layered(group: u32) -> Self {
        let camera = |key_parts, parts_max| Camera { group, key_parts, parts_max, ..Camera::default() };
        Self { camera: Some(camera(30, 14)), lower: vec![camera(3, 1), camera(8, 4)], ..Self::browser() }
    }

    /// A stream that the bridge feeds, with a key frame every `group` pictures.
    pub fn fed(codec: Codec, group: u32) -> Self {
        let camera = Camera { codec, group, ..Camera::default() };
        Self { origin: Origin::Fed, camera: Some(camera), goodbye: Goodbye::Remove, ..Self::browser() }
    }
}

impl Viewer {
    /// A viewer who comes at a time, stays, and has a path without faults.
    pub fn new(stream: usize, joins: Moment) -> Self {
        let (up, down) = (Path::clean(20), Path::clean(20));
        let (rebinds, switches, asks, gets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { stream, joins, leaves: Moment::MAX, goodbye: Goodbye::Close, up, down, rebinds, switches, asks, gets }
    }
}

impl Scenario {
    fn new(name: &str, length: Moment, streams: Vec<Stream>, viewers: Vec<Viewer>) -> Self {
        Self { name: name.to_owned(), seed: 1, length, streams, viewers }
    }
}

fn lossy(ppm: u32) -> Path {
    Path { loss_ppm: ppm, jitter: ms(8), ..Path::clean(25) }
}

/// A link that carries all of a stream in layers, then not the largest, then all of it.
fn narrowed_and_widened(group: u32) -> Scenario {
    let name = if group == 0 { "layers_on_a_changing_link" } else { "layers_on_a_changing_link_with_key_frames" };
    let rates = vec![(s(5), 900_000), (s(11), 8_000_000)];
    let down = Path { rate: Some((8_000_000, ms(200))), rates, ..Path::clean(20) };
    let gets = vec![(s(5), 2..=2), (s(8), 0..=1), (s(11), 0..=1), (s(15), 2..=2)];
    let changing = Viewer { down, gets, ..Viewer::new(0, ms(400)) };
    Scenario::new(name, s(18), vec![Stream::layered(group)], vec![changing, Viewer::new(0, s(1))])
}

/// The scenarios that have names.
pub fn named() -> Vec<Scenario> {
    let three = |stream| [0, 1_300, 2_750].map(|at| Viewer::new(stream, ms(at))).to_vec();
    let calls = Stream { pace: Pace::Call, ..Stream::browser() };
    let asked = Camera { group: 0, ..Camera::default() };
    let spared = Path { spares_repairs: true, ..lossy(50_000) };
    let burst = Burst { good: ms(900), bad: ms(60), loss_ppm: 500_000 };
    let bursty = Path { burst: Some(burst), jitter: ms(15), ..Path::clean(30) };
    let jumbled =
        Path { reorder_ppm: 30_000, reorder_by: ms(25), duplicate_ppm: 30_000, jitter: ms(10), ..Path::clean(15) };
    let narrow = Path { rate: Some((1_500_000, ms(120))), ..Path::clean(20) };
    let cut = |from: u64, length: u64| Path { outages: vec![(ms(from), ms(length))], ..Path::clean(20) };
    let with = |down: Path| Viewer { down, ..Viewer::new(0, ms(400)) };
    let rebinding = Viewer { rebinds: vec![ms(3_000), ms(5_500)], ..Viewer::new(0, ms(0)) };
    let switching = Viewer { switches: vec![(ms(3_000), 1), (ms(5_000), 0)], ..Viewer::new(0, ms(0)) };
    let asking = Viewer { asks: (10..60).map(|at| ms(at * 100)).collect(), ..Viewer::new(0, ms(0)) };
    let big = Camera { fps: 50, key_parts: 60, parts_max: 14, group: 100, ..Camera::default() };
    let leaving = |goodbye, leaves| Viewer { goodbye, leaves: ms(leaves), ..Viewer::new(0, ms(0)) };
    vec![
        Scenario::new("clean", s(5), vec![Stream::browser()], three(0)),
        Scenario::new("call", s(5), vec![calls], three(0)),
        Scenario::new("fed", s(8), vec![Stream::fed(Codec::H264, 120)], three(0)),
        Scenario::new("fed_vp8", s(5), vec![Stream::fed(Codec::Vp8, 90)], three(0)),
        Scenario::new(
            "key_frames_only_when_asked",
            s(12),
            vec![Stream { camera: Some(asked), ..Stream::browser() }],
            [three(0), vec![Viewer::new(0, s(8)), with(lossy(20_000))]].concat(),
        ),
        Scenario::new(
            "all_losses_are_repaired",
            s(8),
            vec![Stream::browser()],
            vec![with(spared.clone()), with(spared)],
        ),
        Scenario::new("bursts", s(10), vec![Stream::browser()], vec![with(bursty.clone()), with(bursty.clone())]),
        Scenario::new("bursts_of_a_fed_stream", s(10), vec![Stream::fed(Codec::H264, 150)], vec![with(bursty.clone())]),
        Scenario::new("lossy_publisher", s(10), vec![Stream { up: bursty.clone(), ..Stream::browser() }], three(0)),
        Scenario::new(
            "jumbled",
            s(6),
            vec![Stream { up: jumbled.clone(), ..Stream::browser() }],
            vec![with(jumbled.clone()), Viewer { up: jumbled.clone(), ..with(jumbled) }],
        ),
        Scenario::new("narrow", s(8), vec![Stream::browser()], vec![with(narrow), Viewer::new(0, s(1))]),
        Scenario::new(
            "viewer_cut_off",
            s(8),
            vec![Stream::browser()],
            vec![with(cut(3_000, 1_500)), Viewer::new(0, s(1))],
        ),
        Scenario::new(
            "publisher_cut_off",
            s(10),
            vec![Stream { camera: Some(big), up: cut(4_000, 2_500), ..Stream::browser() }],
            three(0),
        ),
        Scenario::new("addresses_change", s(10), vec![Stream::browser()], vec![rebinding]),
        Scenario::new("switches", s(7), vec![Stream::browser(), Stream::browser()], vec![switching]),
        Scenario::new("asks_all_the_time", s(7), vec![Stream::browser()], vec![asking.clone()]),
        Scenario::new("asks_a_fed_stream_all_the_time", s(7), vec![Stream::fed(Codec::H264, 60)], vec![asking]),
        Scenario::new(
            "layers",
            s(6),
            vec![Stream::layered(90)],
            three(0).into_iter().map(|one| Viewer { gets: vec![(s(5), 2..=2)], ..one }).collect(),
        ),
        Scenario::new(
            "layers_over_lossy_links",
            s(10),
            vec![Stream::layered(90)],
            vec![with(lossy(50_000)), with(bursty)],
        ),
        narrowed_and_widened(0),
        narrowed_and_widened(150),
        Scenario::new(
            "comings_and_goings",
            s(6),
            vec![Stream::browser(), Stream { from: s(1), to: s(4), goodbye: Goodbye::Vanish, ..Stream::browser() }],
            [
                vec![leaving(Goodbye::Close, 2_000), leaving(Goodbye::Remove, 2_500), leaving(Goodbye::Vanish, 3_000)],
                three(1),
                vec![leaving(Goodbye::Remove, 5), leaving(Goodbye::Close, 60)],
            ]
            .concat(),
        ),
    ]
}

/// A scenario made up from a seed.
pub fn random(seed: u64) -> Scenario {
    let mut random = Random::new(seed);
    let length = random.ms(3_000, 9_000);
    let streams: Vec<Stream> = (0..random.between(1, 3)).map(|_| stream(&mut random, length)).collect();
    let viewers = (0..random.between(1, 7)).map(|_| viewer(&mut random, length, streams.len() as u64)).collect();
    Scenario { name: "random".to_owned(), seed, length, streams, viewers }
}

fn stream(random: &mut Random, length: Moment) -> Stream {
    let fed = random.chance(400_000);
    let codec = if fed && random.chance(400_000) { Codec::Vp8 } else { Codec::H264 };
    let group = match random.below(4) {
        0 if !fed => 0,
        1 => random.between(10, 40) as u32,
        _ => random.between(40, 250) as u32,
    };
    let camera = Camera {
        codec,
        fps: [15, 25, 30, 50, 60].get(random.below(5) as usize).copied().unwrap_or(30),
        group,
        key_parts: random.between(2, 40) as u16,
        parts_max: random.between(1, 8) as u16,
    };
    let sound = random.chance(800_000);
    let from = if random.chance(700_000) { Moment::ZERO } else { random.ms(0, 2_500) };
    let to = if random.chance(800_000) { Moment::MAX } else { random.ms(1_500, length.as_millis() as u64) };
    Stream {
        origin: if fed { Origin::Fed } else { Origin::Browser },
        camera: (!sound || random.chance(900_000)).then_some(camera),
        lower: Vec::new(),
        sound,
        pace: if random.chance(300_000) { Pace::Call } else { Pace::Audience },
        from,
        to,
        goodbye: if fed { Goodbye::Remove } else { goodbye(random) },
        up: path(random, length),
        down: path(random, length),
    }
}

fn viewer(random: &mut Random, length: Moment, streams: u64) -> Viewer {
    let joins = if random.chance(300_000) { Moment::ZERO } else { random.ms(0, length.as_millis() as u64) };
    let leaves = if random.chance(600_000) { Moment::MAX } else { joins + random.ms(0, 4_000) };
    let times = |random: &mut Random, ppm, count| -> Vec<Moment> {
        if !random.chance(ppm) {
            return Vec::new();
        }
        (0..random.between(1, count)).map(|_| joins + random.ms(200, 4_000)).collect()
    };
    Viewer {
        stream: random.below(streams) as usize,
        joins,
        leaves,
        goodbye: goodbye(random),
        up: path(random, length),
        down: path(random, length),
        rebinds: times(random, 150_000, 2),
        switches: {
            let switches = times(random, 200_000, 3);
            switches.into_iter().map(|at| (at, random.below(streams) as usize)).collect()
        },
        asks: times(random, 200_000, 8),
        gets: Vec::new(),
    }
}

/// A scenario made up from a seed, of streams in layers, and of links to viewers that become narrow, and wide again.
pub fn layered(seed: u64) -> Scenario {
    let mut scenario = Scenario { name: "layered".to_owned(), ..random(seed) };
    let mut random = Random::new(hash(&[seed, 6]));
    for stream in &mut scenario.streams {
        let group = [0, 60, 150].get(random.below(3) as usize).copied().unwrap_or(0);
        let Stream { camera, lower, .. } = Stream::layered(group);
        (stream.origin, stream.camera, stream.lower) = (Origin::Browser, camera, lower);
        stream.up.rate = None;
    }
    for viewer in &mut scenario.viewers {
        // A viewer stays: how other tracks go on is seen without layers.
        viewer.switches.clear();
        if random.chance(700_000) {
            viewer.down.rate = Some((random.between(300_000, 8_000_000), random.ms(50, 300)));
            let mut at = viewer.joins;
            for _ in 0..random.below(4) {
                at += random.ms(300, 3_000);
                viewer.down.rates.push((at, random.between(200_000, 8_000_000)));
            }
        }
    }
    scenario
}

fn goodbye(random: &mut Random) -> Goodbye {
    match random.below(3) {
        0 => Goodbye::Close,
        1 => Goodbye::Remove,
        _ => Goodbye::Vanish,
    }
}

fn path(random: &mut Random, length: Moment) -> Path {
    let mut path = Path { delay: random.ms(1, 90), ..Path::default() };
    if random.chance(500_000) {
        path.jitter = random.ms(1, 40);
    }
    if random.chance(400_000) {
        path.loss_ppm = random.between(1_000, 80_000) as u32;
    }
    if random.chance(200_000) {
        let (good, bad) = (random.ms(300, 3_000), random.ms(20, 300));
        path.burst = Some(Burst { good, bad, loss_ppm: random.between(200_000, 1_000_000) as u32 });
    }
    if random.chance(200_000) {
        (path.reorder_ppm, path.reorder_by) = (random.between(1_000, 50_000) as u32, random.ms(1, 60));
    }
    if random.chance(150_000) {
        path.duplicate_ppm = random.between(1_000, 50_000) as u32;
    }
    if random.chance(150_000) {
        path.rate = Some((random.between(600_000, 8_000_000), random.ms(30, 300)));
    }
    if random.chance(150_000) {
        path.outages.push((random.ms(0, length.as_millis() as u64), random.ms(50, 3_000)));
    }
    path.spares_repairs = random.chance(300_000);
    path
}
