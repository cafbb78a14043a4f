//! A publisher in virtual time: what an encoder would send, second by second, with whatever is wrong with it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Codec, Config, Flags, Kind, TrackInfo, aac, h264};

use crate::{
    health::{Arrival, Fault, Health, Report},
    stream::BFrames,
};

/// A publisher of 30 pictures a second with a key frame each second and AAC of 48 kHz, as long as nobody changes it.
pub(super) struct World {
    pub(super) health: Health,
    pub(super) begin: Instant,
    /// Since the beginning.
    pub(super) at_ms: u64,
    /// Milliseconds of the publisher's clock for each of ours, in hundredths.
    pub(super) pace_percent: u64,
    pub(super) step_ms: u64,
    pub(super) gop_frames: u64,
    pub(super) picture_bytes: usize,
    pub(super) video: bool,
    pub(super) audio: bool,
    /// The publisher's clocks and how far they are moved.
    pub(super) video_ms: u32,
    pub(super) audio_ms: u32,
    pub(super) frames: u64,
    pub(super) flags: Flags,
}

/// H.264 High of this size, with B-frames possible.
pub(super) fn h264(width_mbs: u8) -> TrackInfo {
    let mut config = h264::Config::from_sets(
        vec![Bytes::from_static(&[
            0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04,
            0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
        ])],
        vec![Bytes::from_static(&[0x68, 0xce, 0x3c, 0x80])],
    )
    .unwrap();
    config.picture.width = u32::from(width_mbs) * 16;
    TrackInfo::h264(config)
}

/// AAC-LC.
pub(super) fn aac(rate_hz: u32, channels: u8) -> TrackInfo {
    TrackInfo::aac(aac::Config::lc(rate_hz, channels).unwrap())
}

/// A track of which only the coding is known.
pub(super) fn bare(codec: Codec) -> TrackInfo {
    TrackInfo { codec, clock_rate_hz: 90_000, config: Config::None }
}

impl World {
    pub(super) fn new() -> Self {
        let begin = Instant::now();
        let mut health = Health::default();
        health.announce(begin, &h264(120));
        health.announce(begin, &aac(48_000, 2));
        Self {
            health,
            begin,
            at_ms: 0,
            pace_percent: 100,
            step_ms: 33,
            gop_frames: 30,
            picture_bytes: 8_000,
            video: true,
            audio: true,
            video_ms: u32::MAX - 2_000,
            audio_ms: u32::MAX - 2_000,
            frames: 0,
            flags: Flags::default(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.begin + Duration::from_millis(self.at_ms)
    }

    /// Lets the publisher send for so many milliseconds.
    pub(super) fn run(&mut self, ms: u64) -> &mut Self {
        let end = self.at_ms + ms;
        while self.at_ms < end {
            let wait_ms = self.step_ms * 100 / self.pace_percent;
            self.at_ms += wait_ms.max(1);
            if self.video {
                self.picture();
            }
            if self.audio {
                self.sound();
            }
            self.health.look(self.now());
        }
        self
    }

    /// Lets time pass without anything coming.
    pub(super) fn silent(&mut self, ms: u64) -> &mut Self {
        for _ in 0..ms / 500 {
            self.at_ms += 500;
            self.health.look(self.now());
        }
        self
    }

    /// The next picture, now.
    pub(super) fn picture(&mut self) {
        self.video_ms = self.video_ms.wrapping_add(self.step_ms as u32);
        let key = self.gop_frames > 0 && self.frames.is_multiple_of(self.gop_frames);
        self.frames += 1;
        let arrival = Arrival {
            kind: Kind::Video,
            dts_ms: self.video_ms,
            bytes: self.picture_bytes,
            flags: Flags { key, ..self.flags },
        };
        self.health.frame(self.now(), arrival);
    }

    /// The next sound, now.
    pub(super) fn sound(&mut self) {
        self.audio_ms = self.audio_ms.wrapping_add(self.step_ms as u32);
        let flags = Flags { key: true, ..Flags::default() };
        let arrival = Arrival { kind: Kind::Audio, dts_ms: self.audio_ms, bytes: 300, flags };
        self.health.frame(self.now(), arrival);
    }

    /// Moves both of the publisher's clocks.
    pub(super) fn shift(&mut self, ms: i32) -> &mut Self {
        self.video_ms = self.video_ms.wrapping_add_signed(ms);
        self.audio_ms = self.audio_ms.wrapping_add_signed(ms);
        self
    }

    pub(super) fn announce(&mut self, info: &TrackInfo) -> &mut Self {
        let now = self.now();
        self.health.announce(now, info);
        self
    }

    pub(super) fn report(&mut self) -> Report {
        let now = self.now();
        self.health.report(now)
    }

    pub(super) fn faults(&mut self) -> Vec<Fault> {
        self.report().faults.iter().map(|spell| spell.fault).collect()
    }

    pub(super) fn b_frames(&mut self) -> BFrames {
        self.report().video.unwrap().b_frames
    }
}
