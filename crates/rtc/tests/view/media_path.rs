//! What a viewer sees and hears: the same by both legs.

use std::sync::Arc;

use media::{Codec, Kind};

use crate::world::{BOTH, Got, Outbox, Which, World};

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
            if self.ms % 33 == 0 {
                self.frame(world, 3 + self.ms / 33 % 4);
            }
            if self.ms % 20 == 0 {
                let _ = world.send(Kind::Audio, &self.sound(world));
                self.audio += 1;
            }
            world.run_for(1);
            self.ms += 1;
        }
    }

    fn frame(&mut self, world: &mut World, packets: u64) {
        let wall = world.wall() + -40_000;
        for packet in 0..packets {
            let packet = Outbox {
                codec: Codec::H264,
                seq: self.video,
                time: (self.ms as u32).wrapping_mul(90).wrapping_sub(100_000),
                wall,
                marker: packet + 1 == packets,
                payload: Arc::from(vec![(self.video & 0xff) as u8; if packet + 1 == packets { 300 } else { 1_100 }]),
                audio_level: None,
            };
            let _ = world.send(Kind::Video, &packet);
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
        }
    }
}

/// What must not differ.
fn essence(got: &[&Got]) -> Vec<(u64, u32, bool, Vec<u8>)> {
    got.iter().map(|got| (got.seq & 0xffff, got.time, got.marker, got.payload.clone())).collect()
}

#[test]
fn a_viewer_gets_every_packet_as_by_the_str0m_leg() {
    let [own, other] = BOTH.map(|which| {
        let mut world = World::connected(which);
        Film::new().run(&mut world, 3_000);
        world.run_for(200);
        world
    });
    for kind in [Kind::Audio, Kind::Video] {
        let (own, other) = (own.client.of(kind), other.client.of(kind));
        assert!(own.len() > 100, "{} packets", own.len());
        assert_eq!(essence(&own), essence(&other));
    }
}
