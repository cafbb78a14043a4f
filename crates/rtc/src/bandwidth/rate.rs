//! The rate that the delay allows: what arrived, multiplicative and additive increase, and decrease
//! (draft-ietf-rmcat-gcc-02 section 5.5, with libwebrtc's memory of where the capacity was).

use super::delay::Usage;

/// No estimate is below this, in bits a second.
pub(super) const RATE_BPS_MIN: f64 = 30_000.0;
/// No estimate is above this, in bits a second.
pub(super) const RATE_BPS_MAX: f64 = 150_000_000.0;

/// What arrives, in bits a second.
#[derive(Default)]
pub(super) struct Acknowledged {
    bytes: f64,
    time_us: i64,
    last_arrived: Option<i64>,
    smooth_bps: Option<f64>,
    latest_bps: f64,
}

const WINDOW_US: i64 = 200_000;
/// Longer than this between two packets is a pause, and says nothing of a rate.
const PAUSE_US: i64 = 1_000_000;

impl Acknowledged {
    pub(super) fn arrived(&mut self, arrived: i64, bytes: u16) {
        let since = self.last_arrived.map_or(0, |last| arrived - last);
        if since.abs() > PAUSE_US {
            *self = Self { smooth_bps: self.smooth_bps, latest_bps: self.latest_bps, ..Self::default() };
        }
        let counts = self.last_arrived.is_some();
        if since > 0 || !counts {
            self.last_arrived = Some(arrived);
        }
        if counts {
            self.time_us += since.max(0);
            self.bytes += f64::from(bytes);
        }
        if self.time_us >= WINDOW_US {
            self.latest_bps = 8e6 * self.bytes / self.time_us as f64;
            self.smooth_bps = Some(self.smooth_bps.map_or(self.latest_bps, |smooth| (smooth + self.latest_bps) / 2.0));
            (self.bytes, self.time_us) = (0.0, 0);
        }
    }

    /// Reports were lost: what comes next does not follow what came last.
    pub(super) fn gap(&mut self) {
        self.last_arrived = None;
    }

    pub(super) fn bps(&self) -> Option<f64> {
        self.smooth_bps
    }
}

/// What is known when the rate is put right.
pub(super) struct Situation<'a> {
    pub(super) now_us: u64,
    pub(super) usage: Usage,
    pub(super) acknowledged: &'a Acknowledged,
    pub(super) queue_us: i64,
    pub(super) rtt_us: u64,
}

/// The rate itself.
pub(super) struct Rate {
    bps: f64,
    updated_us: Option<u64>,
    decreased_us: Option<u64>,
    capacity: Capacity,
}

const BACKOFF: f64 = 0.85;
/// One decrease takes no more than this of an estimate that the application does not fill.
const BACKOFF_UNFILLED: f64 = 0.6;
const GROWTH_PER_S: f64 = 1.08;
/// Until it was lowered for the first time.
const GROWTH_PER_S_AT_FIRST: f64 = 1.3;
/// An estimate grows to this much of what arrives, since more was not tried.
const UNTRIED: f64 = 1.5;
const UNTRIED_BPS: f64 = 10_000.0;
const PACKET_BITS: f64 = 9_600.0;
/// What arrives without a queue fits; after a decrease, only once the queue had this time to drain.
const PROVEN_AFTER_US: u64 = 1_000_000;
const PROVEN_QUEUE_US: i64 = 10_000;

impl Rate {
    pub(super) fn new(start_bps: f64) -> Self {
        let bps = start_bps.clamp(RATE_BPS_MIN, RATE_BPS_MAX);
        Self { bps, updated_us: None, decreased_us: None, capacity: Capacity::default() }
    }

    pub(super) fn bps(&self) -> f64 {
        self.bps
    }

    /// Whether it was lowered within so long.
    pub(super) fn decreased_within(&self, now_us: u64, within_us: u64) -> bool {
        self.decreased_us.is_some_and(|at| now_us.saturating_sub(at) < within_us)
    }

    /// A probe measured this much.
    pub(super) fn measured(&mut self, bps: f64) {
        self.bps = bps.clamp(RATE_BPS_MIN, RATE_BPS_MAX);
        self.capacity.reset();
    }

    /// Nobody reports any more: less is sent until somebody does.
    pub(super) fn decay(&mut self, to: f64, bps_min: f64) {
        self.bps = (self.bps * to).max(bps_min.min(self.bps)).max(RATE_BPS_MIN);
    }

    /// Puts the rate right after feedback.
    pub(super) fn update(&mut self, situation: &Situation<'_>) {
        let now_us = situation.now_us;
        let passed_us = now_us.saturating_sub(self.updated_us.replace(now_us).unwrap_or(now_us));
        let Some(arrives_bps) = situation.acknowledged.bps() else { return };
        match situation.usage {
            Usage::Over => self.decrease(situation, arrives_bps),
            Usage::Under => {}
            Usage::Normal => self.increase(situation, arrives_bps, passed_us),
        }
        self.bps = self.bps.clamp(RATE_BPS_MIN, RATE_BPS_MAX);
    }

    fn decrease(&mut self, situation: &Situation<'_>, arrives_bps: f64) {
        let wait_us = situation.rtt_us.clamp(50_000, 200_000);
        let since_us = self.decreased_us.map(|at| situation.now_us.saturating_sub(at));
        if since_us.is_some_and(|since| since < wait_us) {
            return;
        }
        self.decreased_us = Some(situation.now_us);
        let carried_bps = arrives_bps.min(situation.acknowledged.latest_bps);
        if carried_bps < self.bps {
            self.capacity.observe(carried_bps);
        }
        let unfilled = arrives_bps < BACKOFF_UNFILLED * self.bps;
        let floor_bps = if unfilled { BACKOFF_UNFILLED * self.bps } else { 0.0 };
        self.bps = self.bps.min((BACKOFF * carried_bps).max(floor_bps));
    }

    fn increase(&mut self, situation: &Situation<'_>, arrives_bps: f64, passed_us: u64) {
        if self.capacity.is_exceeded_by(arrives_bps) {
            self.capacity.reset();
        }
        let limit_bps = UNTRIED * arrives_bps + UNTRIED_BPS;
        if self.bps < limit_bps {
            let seconds = (passed_us as f64 / 1e6).min(1.0);
            let grown_bps = if self.capacity.is_near(arrives_bps) {
                // Half a packet in a response time.
                self.bps + seconds * PACKET_BITS / 2.0 / (situation.rtt_us as f64 / 1e6 + 0.1)
            } else {
                let growth = if self.decreased_us.is_none() { GROWTH_PER_S_AT_FIRST } else { GROWTH_PER_S };
                self.bps * growth.powf(seconds)
            };
            self.bps = grown_bps.min(limit_bps);
        }
        let drained = self.decreased_us.is_none_or(|at| situation.now_us.saturating_sub(at) >= PROVEN_AFTER_US);
        if drained && situation.queue_us < PROVEN_QUEUE_US {
            self.bps = self.bps.max(arrives_bps);
        }
    }
}

/// Where the capacity was when it was last exceeded: mean and relative variance, in bits a second.
#[derive(Default)]
struct Capacity {
    mean_bps: Option<f64>,
    /// Of the deviation, divided by the mean, in kbit/s as libwebrtc has it.
    variance: f64,
}

const CAPACITY_WEIGHT: f64 = 0.05;
const VARIANCE_MIN: f64 = 0.4;
const VARIANCE_MAX: f64 = 2.5;

impl Capacity {
    fn observe(&mut self, bps: f64) {
        let mean = self.mean_bps.map_or(bps, |mean| mean + CAPACITY_WEIGHT * (bps - mean));
        let off_kbps = (mean - bps) / 1_000.0;
        let variance =
            (1.0 - CAPACITY_WEIGHT) * self.variance + CAPACITY_WEIGHT * off_kbps * off_kbps / (mean / 1_000.0).max(1.0);
        (self.mean_bps, self.variance) = (Some(mean), variance.clamp(VARIANCE_MIN, VARIANCE_MAX));
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    /// Three deviations in bits a second.
    fn margin_bps(&self, mean_bps: f64) -> f64 {
        3_000.0 * (self.variance * mean_bps / 1_000.0).sqrt()
    }

    fn is_near(&self, bps: f64) -> bool {
        self.mean_bps.is_some_and(|mean| (bps - mean).abs() <= self.margin_bps(mean))
    }

    fn is_exceeded_by(&self, bps: f64) -> bool {
        self.mean_bps.is_some_and(|mean| bps > mean + self.margin_bps(mean))
    }
}
