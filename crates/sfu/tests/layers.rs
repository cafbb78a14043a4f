//! Pictures in layers: which of them a viewer gets, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod world;

use std::time::Duration;

use media::{Codec, Kind};
use stentor_sfu::{Command, Event, LegId, TrackId};
use world::{Got, World};

macro_rules! with_one_and_three_shards {
    ($($name:ident,)*) => {
        mod one_shard {
            $(#[test] fn $name() { super::$name(1); })*
        }
        mod three_shards {
            $(#[test] fn $name() { super::$name(3); })*
        }
    };
}

with_one_and_three_shards! {
    who_has_room_gets_the_highest_layer_and_the_others_do_not_cross,
    a_narrow_link_gets_a_lower_layer_within_a_second_and_the_highest_again_when_it_is_wide,
    a_limit_is_kept_and_lifted,
    a_layer_that_stops_is_left_and_comes_back,
    what_is_lost_around_a_switch_is_repaired_from_both_layers,
    a_tap_tells_the_highest_layer_as_one_sequence,
}

/// Bits a second of the layers.
const LAYERS: [(&str, usize); 3] = [("l", 150_000), ("m", 500_000), ("h", 1_500_000)];
const FPS: usize = 30;
const PART: usize = 1_000;
const VIDEO: &[Codec] = &[Codec::H264];
const VIEWER: &str = "198.51.100.2:1000";

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    layer: usize,
    frame: u64,
    part: u8,
    parts: u8,
    key: bool,
}

impl Stamp {
    fn write(self, bytes: usize) -> Vec<u8> {
        let mut out = match (self.key, self.part) {
            (true, 0) => vec![0x67, 0x42],
            (true, _) => vec![0x7c, 0x05],
            (false, 0) => vec![0x5c, 0x81],
            (false, _) => vec![0x5c, 0x01],
        };
        out.resize(bytes, 0xab);
        out.extend(self.frame.to_be_bytes());
        out.extend([self.layer as u8, self.part, self.parts, u8::from(self.key)]);
        out
    }

    fn read(payload: &[u8]) -> Self {
        let (rest, tail) = payload.split_last_chunk::<4>().unwrap();
        let frame = u64::from_be_bytes(*rest.last_chunk().unwrap());
        Self { layer: tail[0].into(), frame, part: tail[1], parts: tail[2], key: tail[3] == 1 }
    }
}

/// A camera that is sent in layers, each with numbers and times of its own.
struct Camera {
    client: usize,
    frame: u64,
    seq: [u64; 3],
    time: [u32; 3],
    keys: [bool; 3],
    on: [bool; 3],
}

impl Camera {
    fn new(client: usize) -> Self {
        let (seq, time) = ([65_000, 10, 30_000], [4_294_900_000, 7, 3_000_000_000]);
        Self { client, frame: 0, seq, time, keys: [true; 3], on: [true; 3] }
    }

    /// Goes on until so many milliseconds after the start.
    fn film_to(&mut self, world: &mut World, ms: u64) {
        while world.ms() < ms {
            for name in std::mem::take(&mut world.clients[self.client].asked) {
                self.keys[LAYERS.iter().position(|(known, _)| *known == name).unwrap()] = true;
            }
            for (layer, (name, bps)) in LAYERS.iter().enumerate().filter(|(layer, _)| self.on[*layer]) {
                let key = std::mem::take(&mut self.keys[layer]);
                let bytes = bps / 8 / FPS * if key { 4 } else { 1 };
                let parts = bytes.div_ceil(PART).max(2);
                for part in 0..parts {
                    let stamp = Stamp { layer, frame: self.frame, part: part as u8, parts: parts as u8, key }
                        .write(bytes / parts);
                    let (seq, time) = (self.seq[layer], self.time[layer].wrapping_add(self.frame as u32 * 3_000));
                    world.send_layer(self.client, name, seq, time, part + 1 == parts, &stamp);
                    self.seq[layer] += 1;
                }
            }
            self.frame += 1;
            let next = self.frame * 100 / 3;
            world.run_to(next.max(world.ms()));
        }
    }
}

fn begin(shards: usize) -> (World, Camera, TrackId) {
    let mut world = World::new(shards);
    let (client, _, tracks) = world.publisher_of_layers("198.51.100.1:1000", VIDEO, &["l", "m", "h"]);
    world.run_to(500);
    assert!(world.clients[client].connected);
    let mut camera = Camera::new(client);
    camera.frame = 15;
    (world, camera, tracks[0])
}

fn watch(world: &mut World, track: TrackId) -> (usize, LegId) {
    world.viewer(VIEWER, VIDEO, &[track])
}

/// The pictures that are whole and can be decoded, with the time at which they were.
///
/// # Panics
/// Where numbers go on and the picture does not: layers mixed, a reference missing, a time that goes back.
fn decode(got: &[&Got], wall_tolerance: i64) -> Vec<(Duration, Stamp)> {
    let start = got.first().map(|got| got.at);
    let mut sorted: Vec<(u64, &&Got, Stamp)> =
        got.iter().map(|got| (got.seq, got, Stamp::read(&got.payload))).collect();
    sorted.sort_by_key(|(seq, got, _)| (*seq, got.at));
    sorted.dedup_by_key(|(seq, ..)| *seq);
    let mut pictures: Vec<(Duration, Stamp)> = Vec::new();
    let mut last: Option<(u64, Stamp, u32)> = None;
    let mut broken = true;
    let mut origin: Option<(u32, u64)> = None;
    let mut turned = 0;
    for (seq, got, stamp) in sorted {
        let gap = last.is_some_and(|(last, ..)| seq != last + 1);
        broken |= gap;
        if let (Some((_, before, time)), false) = (last, gap) {
            let same = (before.layer, before.frame) == (stamp.layer, stamp.frame);
            if same {
                assert_eq!(got.time, time, "one picture has one time: {stamp:?}");
                assert_eq!(stamp.part, before.part + 1);
            } else {
                let forward = got.time.wrapping_sub(time).cast_signed();
                assert!((1..200_000).contains(&forward), "{forward} ticks from {before:?} to {stamp:?}");
                let goes_on =
                    (before.layer, before.frame + 1) == (stamp.layer, stamp.frame) && before.part + 1 == before.parts;
                assert!((goes_on || stamp.key || broken) && stamp.part == 0, "{stamp:?} behind {before:?}");
            }
            turned = if before.layer == stamp.layer { turned } else { stamp.frame };
        }
        broken &= !(stamp.key && stamp.part == 0);
        last = Some((seq, stamp, got.time));
        if !broken && stamp.part + 1 == stamp.parts {
            pictures.push((got.at.duration_since(start.unwrap()), stamp));
            // Once it has caught up behind a switch, every picture has its true time, whatever the layer.
            let since = got.at.duration_since(start.unwrap());
            if since > Duration::from_secs(1) && stamp.frame > turned + 20 {
                let (time, frame) = *origin.get_or_insert((got.time, stamp.frame));
                let expected = (stamp.frame as i64 - frame as i64) * 3_000;
                let off = i64::from(got.time.wrapping_sub(time).cast_signed()) - expected;
                assert!(off.abs() <= wall_tolerance, "{stamp:?} is {off} ticks off");
            }
        }
    }
    pictures
}

fn layers_of(pictures: &[(Duration, Stamp)]) -> Vec<usize> {
    let mut layers: Vec<usize> = pictures.iter().map(|(_, stamp)| stamp.layer).collect();
    layers.dedup();
    layers
}

fn who_has_room_gets_the_highest_layer_and_the_others_do_not_cross(shards: usize) {
    let (mut world, mut camera, track) = begin(shards);
    camera.film_to(&mut world, 3_000);
    let (viewer, _) = watch(&mut world, track);
    camera.film_to(&mut world, 8_000);
    let crossed = world.sum(|stats| stats.packets_crossed);
    let sent = camera.seq;
    camera.film_to(&mut world, 13_000);
    let pictures = decode(&world.clients[viewer].of(Kind::Video), 3_000);
    assert!(pictures.len() > 280, "{}", pictures.len());
    assert_eq!(pictures.last().unwrap().1.layer, 2, "{:?}", layers_of(&pictures));
    let crossed = world.sum(|stats| stats.packets_crossed) - crossed;
    assert!(crossed <= camera.seq[2] - sent[2], "{crossed} packets crossed, of {}", camera.seq[2] - sent[2]);
}

fn a_narrow_link_gets_a_lower_layer_within_a_second_and_the_highest_again_when_it_is_wide(shards: usize) {
    let (mut world, mut camera, track) = begin(shards);
    camera.film_to(&mut world, 3_000);
    let (viewer, _) = watch(&mut world, track);
    camera.film_to(&mut world, 10_000);
    let joined = world.clients[viewer].got[0].at;
    let narrowed = world.now.duration_since(joined);
    world.narrow = Some((VIEWER.parse().unwrap(), 700_000, Duration::from_millis(200)));
    camera.film_to(&mut world, 18_000);
    let widened = world.now.duration_since(joined);
    world.narrow = None;
    camera.film_to(&mut world, 40_000);
    let pictures = decode(&world.clients[viewer].of(Kind::Video), 3_000);
    let between = |from: Duration, to: Duration| pictures.iter().filter(move |(at, _)| (from..to).contains(at));
    assert!(between(Duration::ZERO, narrowed).next_back().unwrap().1.layer == 2, "{:?}", layers_of(&pictures));
    let down = between(narrowed, widened).find(|(_, stamp)| stamp.layer < 2).unwrap().0 - narrowed;
    assert!(down < Duration::from_millis(1_000), "down after {down:?}");
    let settled = narrowed + Duration::from_millis(1_500);
    assert!(between(settled, widened).all(|(_, stamp)| stamp.layer < 2), "{:?}", layers_of(&pictures));
    assert!(between(settled, widened).count() > 150, "pictures go on: {}", between(settled, widened).count());
    let up =
        between(widened, Duration::MAX).find(|(_, stamp)| stamp.layer == 2).expect("the highest again").0 - widened;
    assert!(up < Duration::from_secs(12), "up after {up:?}");
    assert_eq!(pictures.last().unwrap().1.layer, 2);
}

fn a_limit_is_kept_and_lifted(shards: usize) {
    let (mut world, mut camera, track) = begin(shards);
    camera.film_to(&mut world, 3_000);
    let (viewer, leg) = watch(&mut world, track);
    camera.film_to(&mut world, 8_000);
    world.command(Command::SetLayer { leg, kind: Kind::Video, most: 0 });
    camera.film_to(&mut world, 14_000);
    let layer = |world: &World| Stamp::read(&world.clients[viewer].got.last().unwrap().payload).layer;
    assert_eq!(layer(&world), 0);
    world.command(Command::SetLayer { leg, kind: Kind::Video, most: 1 });
    camera.film_to(&mut world, 24_000);
    assert_eq!(layer(&world), 1);
    world.command(Command::SetLayer { leg, kind: Kind::Video, most: u8::MAX });
    camera.film_to(&mut world, 40_000);
    assert_eq!(layer(&world), 2);
    let pictures = decode(&world.clients[viewer].of(Kind::Video), 3_000);
    assert!(layers_of(&pictures).ends_with(&[2, 0, 1, 2]), "{:?}", layers_of(&pictures));
    assert!(pictures.len() > 1_050, "{}", pictures.len());
}

fn a_layer_that_stops_is_left_and_comes_back(shards: usize) {
    let (mut world, mut camera, track) = begin(shards);
    camera.film_to(&mut world, 3_000);
    let (viewer, _) = watch(&mut world, track);
    camera.film_to(&mut world, 8_000);
    camera.on[2] = false;
    camera.film_to(&mut world, 14_000);
    assert_eq!(Stamp::read(&world.clients[viewer].got.last().unwrap().payload).layer, 1);
    (camera.on[2], camera.keys[2]) = (true, true);
    camera.film_to(&mut world, 28_000);
    let pictures = decode(&world.clients[viewer].of(Kind::Video), 3_000);
    assert!(layers_of(&pictures).ends_with(&[2, 1, 2]), "{:?}", layers_of(&pictures));
}

fn what_is_lost_around_a_switch_is_repaired_from_both_layers(shards: usize) {
    let (mut world, mut camera, track) = begin(shards);
    camera.film_to(&mut world, 3_000);
    let (viewer, leg) = watch(&mut world, track);
    camera.film_to(&mut world, 8_000);
    // Every ninth packet to the viewer that is long: no report, and no handshake.
    let mut long = 0;
    world.lose = Box::new(move |_, to_server, bytes| {
        long += u64::from(!to_server && bytes.len() > 300);
        !to_server && bytes.len() > 300 && long % 9 == 0
    });
    for most in [0, 2, 0, 2, 0] {
        world.command(Command::SetLayer { leg, kind: Kind::Video, most });
        let end = world.ms() + 4_000;
        camera.film_to(&mut world, end);
    }
    world.lose = Box::new(|_, _, _| false);
    let end = world.ms() + 1_000;
    camera.film_to(&mut world, end);
    let mut got: Vec<u64> = world.clients[viewer].of(Kind::Video).iter().map(|got| got.seq).collect();
    got.sort_unstable();
    got.dedup();
    let missing: Vec<u64> = got.windows(2).filter(|pair| pair[1] != pair[0] + 1).map(|pair| pair[0]).collect();
    assert_eq!(missing, [0; 0], "everything that was lost came again");
    let (repaired, switches) = (world.sum(|stats| stats.packets_repaired), world.sum(|stats| stats.layer_switches));
    assert!(repaired > 20 && switches >= 3, "{repaired} repaired, {switches} switches");
    decode(&world.clients[viewer].of(Kind::Video), 3_000);
}

fn a_tap_tells_the_highest_layer_as_one_sequence(shards: usize) {
    let (mut world, mut camera, track) = begin(shards);
    world.command(Command::Tap { track, on: true });
    camera.film_to(&mut world, 8_000);
    camera.on[2] = false;
    camera.film_to(&mut world, 14_000);
    (camera.on[2], camera.keys[2]) = (true, true);
    camera.film_to(&mut world, 20_000);
    let told = world.events.iter().filter_map(|event| match event {
        Event::Packet { packet, .. } => Some(packet),
        _ => None,
    });
    let (mut layers, mut last) = (Vec::new(), None);
    for packet in told {
        let stamp = Stamp::read(&packet.payload);
        if let Some((seq, time, before)) = last {
            let before: Stamp = before;
            assert_eq!(packet.seq.0, seq + 1);
            assert!(packet.time > time || before.frame == stamp.frame && before.layer == stamp.layer);
            assert!(before.layer == stamp.layer || stamp.key && stamp.part == 0);
        }
        last = Some((packet.seq.0, packet.time, stamp));
        layers.push(stamp.layer);
    }
    layers.dedup();
    assert!(layers.ends_with(&[2, 1, 2]) && layers.len() <= 5, "{layers:?}");
}
