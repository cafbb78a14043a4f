//! A sender, a bottleneck and a receiver. The receiver reports as libwebrtc does: every 66 ms what came since, and again
//! from a late packet on.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use media::Ssrc;

use super::super::{Bandwidth, Config};
use crate::rtcp::{Packet, read, write};

const PACKET: usize = 1_200;
const SOUND: usize = 160;
const TICK_US: u64 = 1_000;
const FRAME_US: u64 = 33_000;
const SOUND_US: u64 = 20_000;
const REPORT_US: u64 = 66_000;

/// The way there and back.
pub(super) struct Link {
    pub(super) rate_bps: u64,
    pub(super) queue_bytes: u64,
    pub(super) delay_us: u64,
    pub(super) jitter_us: u64,
    /// Of 1,000.
    pub(super) loss: u64,
    /// Of 1,000, of feedback.
    pub(super) report_loss: u64,
    pub(super) report_jitter_us: u64,
    /// Of somebody else, through the same bottleneck.
    pub(super) cross_bps: u64,
}

impl Link {
    pub(super) fn of(rate_bps: u64) -> Self {
        Self {
            rate_bps,
            queue_bytes: 64_000,
            delay_us: 20_000,
            jitter_us: 0,
            loss: 0,
            report_loss: 0,
            report_jitter_us: 0,
            cross_bps: 0,
        }
    }
}

/// What the application sends: the estimate where it can follow it, up to its own rate.
pub(super) struct App {
    pub(super) rate_bps: u64,
    pub(super) follows: bool,
    pub(super) want_bps: Option<u64>,
    /// Each so many pictures, one is five times as large.
    pub(super) key_frames: u64,
}

pub(super) struct World {
    pub(super) bandwidth: Bandwidth,
    pub(super) link: Link,
    pub(super) app: App,
    pub(super) now_us: u64,
    /// Queueing delay of the bottleneck at each millisecond, in microseconds.
    pub(super) queues: Vec<u64>,
    pub(super) estimates: Vec<u64>,
    pub(super) delivered: u64,
    pub(super) dropped: u64,
    pub(super) padding: u64,
    pub(super) sent: u64,
    start: Instant,
    random: u64,
    busy_until_us: u64,
    backlog: VecDeque<usize>,
    number: u64,
    arriving: Vec<(u64, u64)>,
    arrived: BTreeMap<u64, i64>,
    reported_to: u64,
    report_count: u8,
    reports: Vec<(u64, Vec<u8>)>,
    /// A receiver's clock that began long ago: its reference time wraps within the first seconds.
    clock_us: i64,
}

impl World {
    pub(super) fn new(link: Link, app: App) -> Self {
        let start = Instant::now();
        Self {
            bandwidth: Bandwidth::with(start, Config::default()),
            link,
            app,
            now_us: 0,
            queues: Vec::new(),
            estimates: Vec::new(),
            delivered: 0,
            dropped: 0,
            padding: 0,
            sent: 0,
            start,
            random: 0x9e37_79b9_7f4a_7c15,
            busy_until_us: 0,
            backlog: VecDeque::new(),
            number: 0,
            arriving: Vec::new(),
            arrived: BTreeMap::new(),
            reported_to: 0,
            report_count: 250,
            reports: Vec::new(),
            clock_us: ((1 << 23) - 20) * 64_000,
        }
    }

    /// Another course of chance.
    pub(super) fn seeded(mut self, seed: u64) -> Self {
        self.random = self.random.wrapping_mul(2 * seed + 1);
        self
    }

    pub(super) fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.now_us)
    }

    pub(super) fn run(&mut self, seconds: u64) {
        let end = self.now_us + seconds * 1_000_000;
        while self.now_us < end {
            self.now_us += TICK_US;
            self.produce();
            self.send();
            self.receive();
            self.queues.push(self.busy_until_us.saturating_sub(self.now_us));
            self.estimates.push(self.bandwidth.estimate_bps().unwrap_or(0));
        }
    }

    /// Forgets what was recorded so far.
    pub(super) fn record(&mut self) {
        self.queues.clear();
        self.estimates.clear();
        (self.delivered, self.dropped, self.padding, self.sent) = (0, 0, 0, 0);
    }

    /// Packets sent so far.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn estimate(&self) -> u64 {
        self.bandwidth.estimate_bps().unwrap_or(0)
    }

    pub(super) fn mean_estimate(&self) -> u64 {
        self.estimates.iter().sum::<u64>() / self.estimates.len() as u64
    }

    pub(super) fn lowest_estimate(&self) -> u64 {
        self.estimates.iter().copied().min().unwrap()
    }

    /// The queue that 95 of 100 moments do not exceed, in milliseconds.
    pub(super) fn queue_ms(&self) -> u64 {
        let mut sorted = self.queues.clone();
        sorted.sort_unstable();
        sorted[sorted.len() * 95 / 100] / 1_000
    }

    fn chance(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below.max(1)
    }

    fn produce(&mut self) {
        if self.now_us.is_multiple_of(SOUND_US) {
            self.backlog.push_back(SOUND);
        }
        if self.now_us.is_multiple_of(FRAME_US) {
            let estimate = self.bandwidth.estimate_bps().unwrap_or(1_000_000);
            let rate = if self.app.follows { self.app.rate_bps.min(estimate * 95 / 100) } else { self.app.rate_bps };
            let key = self.app.key_frames > 0 && (self.now_us / FRAME_US).is_multiple_of(self.app.key_frames);
            let mut bytes = (rate.saturating_sub(64_000) * FRAME_US / 8_000_000) as usize * if key { 5 } else { 1 };
            while bytes > 0 {
                self.backlog.push_back(bytes.min(PACKET));
                bytes = bytes.saturating_sub(PACKET);
            }
        }
    }

    fn send(&mut self) {
        let now = self.now();
        self.bandwidth.want(self.app.want_bps);
        self.cross();
        let mut allowance = self.bandwidth.allowance(now);
        while let Some(bytes) = self.backlog.front().copied().filter(|bytes| *bytes <= allowance) {
            self.backlog.pop_front();
            allowance -= bytes;
            self.transmit(bytes);
        }
        let mut padding = self.bandwidth.padding(now);
        while padding > 0 {
            self.transmit(PACKET);
            self.padding += PACKET as u64;
            padding = padding.saturating_sub(PACKET);
        }
    }

    fn cross(&mut self) {
        let bytes = self.link.cross_bps * TICK_US / 8_000_000;
        self.busy_until_us = self.busy_until_us.max(self.now_us) + 8_000_000 * bytes / self.link.rate_bps;
    }

    fn transmit(&mut self, bytes: usize) {
        let number = self.bandwidth.sent(self.now(), bytes);
        assert_eq!(number, self.number as u16);
        let extended = self.number;
        self.number += 1;
        self.sent += bytes as u64;
        let waiting_us = self.busy_until_us.saturating_sub(self.now_us);
        if waiting_us * self.link.rate_bps / 8_000_000 > self.link.queue_bytes || self.chance(1_000) < self.link.loss {
            self.dropped += 1;
            return;
        }
        self.busy_until_us = self.busy_until_us.max(self.now_us) + 8_000_000 * bytes as u64 / self.link.rate_bps;
        let jitter = self.chance(self.link.jitter_us);
        self.arriving.push((self.busy_until_us + self.link.delay_us + jitter, extended));
        self.delivered += bytes as u64;
    }

    fn receive(&mut self) {
        let now_us = self.now_us;
        for (at, number) in self.arriving.extract_if(.., |(at, _)| *at <= now_us) {
            self.arrived.insert(number, self.clock_us + at as i64);
        }
        if now_us.is_multiple_of(REPORT_US) {
            self.report();
        }
        let due: Vec<Vec<u8>> = self.reports.extract_if(.., |(at, _)| *at <= now_us).map(|(_, bytes)| bytes).collect();
        for bytes in due {
            for packet in read(&bytes) {
                let Packet::Transport(feedback) = packet else { panic!() };
                self.bandwidth.feedback(self.now(), &feedback);
            }
        }
    }

    fn report(&mut self) {
        while let (Some((&first, _)), Some((&last, _))) =
            (self.arrived.first_key_value(), self.arrived.last_key_value())
        {
            let base = first.min(self.reported_to.max(first.saturating_sub(400)));
            let statuses: Vec<_> = (base..=last).map(|number| self.arrived.get(&number).copied()).collect();
            let mut bytes = vec![0; 1_500];
            let (length, covered) =
                write::transport_feedback(&mut bytes, Ssrc(1), Ssrc(2), base as u16, self.report_count, &statuses);
            assert!(length > 0);
            bytes.truncate(length);
            self.report_count = self.report_count.wrapping_add(1);
            self.reported_to = self.reported_to.max(base + covered as u64);
            self.arrived = self.arrived.split_off(&(base + covered as u64));
            let jitter = self.chance(self.link.report_jitter_us);
            if self.chance(1_000) >= self.link.report_loss {
                self.reports.push((self.now_us + self.link.delay_us + jitter, bytes));
            }
        }
    }
}
