//! What a viewer sees and hears: the same by both legs.

use std::{collections::BTreeSet, sync::Arc};

use media::{Codec, Kind, WallTime};
use stentor_rtc::{Event, NotSent};
use str0m::media::KeyframeRequestKind;

use crate::world::{BOTH, Got, Outbox, Report, Setting, WALL, Which, World};

/// Sound and picture of so many milliseconds: a frame of several packets each 33 ms, a packet of sound each 20.
pub struct Film {
    pub video: u64,
    pub audio: u64,
    ms: u64,
}

impl Film {
    pub fn new() -> Self {
        Self { video: 65_500, audio: 60_000, ms: 0 }
    }

    pub fn run(&mut self, world: &mut World, ms: u64) {
        for _ in 0..ms {
            if self.ms.is_multiple_of(33) {
                self.frame(world, 3 + self.ms / 33 % 4);
            }
            if self.ms.is_multiple_of(20) {
                let sound = self.sound(world);
                world.send(Kind::Audio, &sound).unwrap();
                self.audio += 1;
            }
            world.run_for(1);
            self.ms += 1;
        }
    }

    fn frame(&mut self, world: &mut World, packets: u64) {
        for packet in 0..packets {
            let last = packet + 1 == packets;
            // Split as browsers do, almost evenly.
            let padding = if last { 0 } else { self.video % 4 };
            let packet = Outbox {
                codec: Codec::H264,
                seq: self.video,
                time: (self.ms as u32).wrapping_mul(90).wrapping_sub(100_000),
                wall: world.wall() + -40_000,
                marker: last,
                payload: Arc::from(vec![(self.video & 0xff) as u8; if last { 300 } else { 1_100 - padding as usize }]),
                audio_level: None,
                padding: padding as u8,
            };
            world.send(Kind::Video, &packet).unwrap();
            self.video += 1;
        }
    }

    fn sound(&self, world: &World) -> Outbox {
        Outbox {
            codec: Codec::Opus,
            seq: self.audio,
            time: (self.ms as u32).wrapping_mul(48).wrapping_add(77),
            wall: world.wall() + -40_000,
            marker: false,
            payload: Arc::from(vec![(self.audio & 0xff) as u8; 120]),
            audio_level: Some((self.audio % 128) as u8),
            padding: 0,
        }
    }
}

/// What must not differ.
fn essence(got: &[&Got]) -> Vec<(u64, u32, bool, Vec<u8>)> {
    got.iter().map(|got| (got.seq & 0xffff, got.time, got.marker, got.payload.clone())).collect()
}

fn both_play(change: impl Fn(&mut World)) -> [World; 2] {
    BOTH.map(|which| {
        let mut world = World::connected(which);
        change(&mut world);
        Film::new().run(&mut world, 3_000);
        world.run_for(1_000);
        world
    })
}

#[test]
fn a_viewer_gets_every_packet_as_by_the_str0m_leg() {
    let [own, other] = both_play(|_| ());
    for kind in [Kind::Audio, Kind::Video] {
        let (own, other) = (own.client.of(kind), other.client.of(kind));
        assert!(own.len() > 100, "{} packets", own.len());
        assert_eq!(essence(&own), essence(&other));
        // Ours is on one frame each second: the two are not the same leg.
        let timed = |got: &[&Got]| got.iter().filter(|got| got.extensions.abs_capture_time.is_some()).count();
        assert!(timed(&other) == other.len() && timed(&own) < own.len() / 5);
        for (own, other) in own.iter().zip(&other) {
            let (own, other) = (&own.extensions, &other.extensions);
            assert_eq!((own.audio_level, own.voice_activity), (other.audio_level, other.voice_activity));
            assert_eq!((own.play_delay_min, own.play_delay_max), (other.play_delay_min, other.play_delay_max));
            if own.abs_capture_time.is_some() {
                assert_eq!(own.abs_capture_time, other.abs_capture_time);
            }
            assert!(own.abs_send_time.is_some() && other.abs_send_time.is_some());
        }
        assert!(own[0].extensions.mid.is_some() && own[0].extensions.abs_capture_time.is_some());
        assert!(own[own.len() - 1].extensions.mid.is_none(), "a source that is known needs no name");
    }
    for world in [own, other] {
        for (kind, mid) in &world.client.mids {
            assert_eq!(world.client.of(*kind)[0].extensions.mid, Some(*mid));
        }
    }
}

#[test]
fn the_time_of_leaving_goes_on_as_the_clock_does() {
    let mut world = World::connected(Which::Own);
    Film::new().run(&mut world, 1_000);
    world.run_for(100);
    let first = &world.client.got[0];
    for got in &world.client.got {
        // str0m gives it as a moment of the process, of which only distances mean something.
        let sent = got.extensions.abs_send_time.unwrap() - first.extensions.abs_send_time.unwrap();
        let passed = (got.at - first.at).as_micros().abs_diff(sent.as_micros());
        assert!(passed <= 8, "{passed} us");
    }
}

#[test]
fn packets_of_a_frame_are_equally_long_but_for_the_last() {
    let mut world = World::connected(Which::Own);
    world.sent.clear();
    let mut film = Film::new();
    film.run(&mut world, 2_000);
    let long: BTreeSet<usize> = world.sent.iter().copied().filter(|length| *length > 1_000).collect();
    // With and without capture time, with and without the m= line's name.
    assert!(long.len() <= 4, "{long:?}");
    let mut frames = 0;
    for frame in world.sent.split(|length| *length < 1_000).filter(|frame| !frame.is_empty()) {
        assert!(frame.iter().all(|length| *length == frame[0]), "{frame:?}");
        frames += 1;
    }
    assert!(frames > 50);
}

#[test]
fn what_is_lost_comes_again_as_by_the_str0m_leg() {
    let [own, other] = both_play(|world| {
        world.lose = Box::new(|number, to_server, bytes| !to_server && bytes.len() > 200 && number % 17 == 0);
    });
    assert!(own.repaired > 10, "{} were repaired", own.repaired);
    let numbers =
        |world: &World| world.client.of(Kind::Video).iter().map(|got| got.seq & 0xffff).collect::<BTreeSet<_>>();
    let sent: BTreeSet<u64> =
        own.history.iter().filter(|(kind, _)| *kind == Kind::Video).map(|(_, packet)| packet.seq & 0xffff).collect();
    assert_eq!(numbers(&own), sent, "all of it");
    assert_eq!(numbers(&other), sent);
    for got in own.client.of(Kind::Video) {
        let (_, sent) = own
            .history
            .iter()
            .find(|(kind, packet)| *kind == Kind::Video && packet.seq & 0xffff == got.seq & 0xffff)
            .unwrap();
        assert_eq!((got.time, got.marker, &got.payload[..]), (sent.time, sent.marker, &sent.payload[..]));
    }
}

#[test]
fn a_request_for_a_key_frame_is_handed_on() {
    for which in BOTH {
        let mut world = World::connected(which);
        Film::new().run(&mut world, 200);
        for kind in [KeyframeRequestKind::Pli, KeyframeRequestKind::Fir] {
            world.events.clear();
            world.ask_key_frame(kind);
            world.run_for(300);
            let requests = |event: &&Event| matches!(event, Event::KeyFrameRequested { kind: Kind::Video, .. });
            assert_eq!(world.events.iter().filter(requests).count(), 1, "{which:?} {kind:?}");
        }
    }
}

/// The wall time, by a report, of the beginning of a track's clock; in microseconds.
fn origin(report: &Report, rate_hz: i64, base: u32) -> i64 {
    let ticks = i64::from(report.time.wrapping_sub(base).cast_signed());
    report.ntp_us - ticks * 1_000_000 / rate_hz
}

#[test]
fn sender_reports_say_the_same_as_those_of_the_str0m_leg() {
    let of = |world: &World, kind| {
        world.client.reports.iter().copied().filter(|report| report.kind == kind).collect::<Vec<_>>()
    };
    let worlds = both_play(|_| ());
    let mut apart = Vec::new();
    for world in &worlds {
        let (audio, video) = (of(world, Kind::Audio), of(world, Kind::Video));
        assert!((3..=5).contains(&audio.len()) && (3..=5).contains(&video.len()), "{}, {}", audio.len(), video.len());
        let sound: Vec<i64> = audio.iter().map(|report| origin(report, 48_000, 77)).collect();
        let picture: Vec<i64> = video.iter().map(|report| origin(report, 90_000, 0u32.wrapping_sub(100_000))).collect();
        for (sound, picture) in sound.iter().zip(&picture) {
            apart.push(sound - picture);
        }
        assert!(sound.iter().chain(&picture).all(|origin| (origin - sound[0]).abs() < 1_000), "{sound:?} {picture:?}");
    }
    assert!(apart.iter().all(|apart| apart.abs() < 1_000), "sound and picture in step: {apart:?}");
    let [own, _] = &worlds;
    for report in &own.client.reports {
        let sent = (report.at - own.start).as_micros() as i64 - 20_000 + WALL;
        assert!((report.ntp_us - sent).abs() <= 1, "the clock is ours: {} us", report.ntp_us - sent);
    }
    let last = of(own, Kind::Video).pop().unwrap();
    let video: Vec<&Outbox> =
        own.history.iter().filter(|(kind, _)| *kind == Kind::Video).map(|(_, packet)| packet).collect();
    let octets: usize = video.iter().map(|packet| packet.payload.len()).sum();
    assert_eq!((last.packets as usize, last.octets as usize), (video.len(), octets));
}

#[test]
fn loss_and_round_trip_are_known_from_reports() {
    let mut world = World::connected(Which::Own);
    world.lose = Box::new(|number, to_server, bytes| !to_server && bytes.len() > 200 && number % 10 == 0);
    let mut film = Film::new();
    film.run(&mut world, 4_000);
    let view = world.own();
    let trip = view.round_trip().unwrap().as_millis();
    assert!((38..=60).contains(&trip), "{trip} ms");
    assert!(view.reception(Kind::Video).fraction_lost > 0);
    assert_eq!(view.reception(Kind::Audio).fraction_lost, 0);
    assert!(view.estimate_bps().is_some_and(|bps| bps > 500_000), "{:?}", view.estimate_bps());
}

#[test]
fn a_number_goes_out_once_and_what_was_not_sent_is_not_repaired() {
    let mut world = World::connected(Which::Own);
    let mut film = Film::new();
    film.run(&mut world, 500);
    let (kind, packet) = world.history.iter().find(|(kind, _)| *kind == Kind::Video).unwrap().clone();
    assert_eq!(world.send(kind, &packet), Err(NotSent::Twice), "it would give the keys away");
    let other = Outbox { codec: Codec::Vp8, ..packet.clone() };
    assert_eq!(world.send(kind, &other), Err(NotSent::NotNegotiated));
    let long = Outbox { seq: film.video, payload: Arc::from(vec![0; 1_401]), ..packet.clone() };
    assert_eq!(world.send(kind, &long), Err(NotSent::TooLong));
    let unsent = Outbox { seq: film.video + 5, ..packet };
    let mut batch = stentor_rtc::Batch::new(10_000);
    let now = world.now;
    assert_eq!(world.own().resend(now, kind, unsent.outgoing(), &mut batch), Err(NotSent::NotNegotiated));
    assert_eq!(world.own().resend(now, Kind::Audio, unsent.outgoing(), &mut batch), Err(NotSent::NotNegotiated));
    assert!(batch.is_empty());
    let (kind, packet) = world.history.last().unwrap().clone();
    for (kind, packet) in world.history.clone().into_iter().filter(|(kind, _)| *kind == Kind::Video) {
        let _ = world.own().resend(now, kind, packet.outgoing(), &mut batch);
        let again = world.own().resend(now, kind, packet.outgoing(), &mut batch);
        if again == Err(NotSent::TooMany) {
            return;
        }
    }
    panic!("retransmissions have no limit: {kind:?} {packet:?}");
}

#[test]
fn without_retransmissions_nothing_is_asked_for() {
    let change = |offer: String| {
        offer.lines().filter(|line| !line.contains(" nack")).map(|line| format!("{line}\r\n")).collect()
    };
    let mut world = World::with(Which::Own, Setting { change, ..Setting::default() });
    world.run_for(500);
    world.assert_connected();
    world.lose = Box::new(|number, to_server, bytes| !to_server && bytes.len() > 200 && number % 10 == 0);
    Film::new().run(&mut world, 1_000);
    assert!(!world.events.iter().any(|event| matches!(event, Event::Repair { .. })));
}

#[test]
fn a_viewer_of_nothing_needs_hardly_a_wake_up() {
    let mut world = World::connected(Which::Own);
    world.wakes = 0;
    world.run_for(60_000);
    assert!(world.wakes <= 4, "{} wake-ups in a minute", world.wakes);
    let mut film = Film::new();
    world.wakes = 0;
    film.run(&mut world, 10_000);
    assert!(world.wakes <= 12, "{} wake-ups in ten seconds", world.wakes);
    world.wakes = 0;
    world.run_for(60_000);
    assert!(world.wakes <= 5, "{} wake-ups in a minute after the end of the film", world.wakes);
}

#[test]
fn a_clock_that_was_set_shows_in_the_next_report() {
    let mut world = World::connected(Which::Own);
    let mut film = Film::new();
    film.run(&mut world, 1_500);
    let (now, later) = (world.now, world.wall() + 250_000);
    world.own().set_wall_clock(later, now);
    film.run(&mut world, 2_000);
    let report = world.client.reports.last().unwrap();
    let sent = (report.at - world.start).as_micros() as i64 - 20_000 + WALL;
    assert_eq!(WallTime(report.ntp_us) - WallTime(sent), 250_000);
}

#[test]
fn a_probe_of_padding_shows_that_more_fits_and_nobody_sees_it() {
    let mut world = World::connected(Which::Own);
    let mut film = Film::new();
    film.run(&mut world, 2_000);
    let before = world.own().estimate_bps().unwrap();
    world.own().want(Some(8_000_000));
    world.sent.clear();
    film.run(&mut world, 8_000);
    world.run_for(200);
    let padding = world.sent.iter().filter(|length| (260..=320).contains(*length)).count();
    assert!(padding > 50, "{padding} datagrams of padding");
    let now = world.now;
    let proven = world.own().proven_bps(now);
    let after = world.own().estimate_bps().unwrap();
    assert!(after > 2 * before || proven > Some(2 * before), "{before}, then {after}, proven {proven:?}");
    let sent = world.history.iter().filter(|(kind, _)| *kind == Kind::Video).count();
    assert_eq!(world.client.of(Kind::Video).len(), sent, "and no packet more");
    world.own().want(None);
    world.sent.clear();
    world.run_for(5_000);
    assert!(world.sent.iter().all(|length| *length < 200), "{:?}", world.sent);
}

#[test]
fn a_link_that_is_too_narrow_is_noticed_and_less_may_go() {
    let mut world = World::connected(Which::Own);
    let mut film = Film::new();
    film.run(&mut world, 3_000);
    let (wide, now) = (world.own().estimate_bps().unwrap(), world.now);
    assert!(wide > 900_000 && world.own().allowance(now) > 1_200, "{wide} bit/s");
    world.narrow_bps = Some(500_000);
    film.run(&mut world, 5_000);
    let (narrow, now) = (world.own().estimate_bps().unwrap(), world.now);
    assert!((100_000..700_000).contains(&narrow), "{wide} bit/s, then {narrow}");
    assert_eq!(world.own().allowance(now), 0, "the film goes on as if it fitted, and now it has to wait");
}
