//! Finding out whether more would fit, where the application does not send enough to show it: for some 10 ms more is sent
//! than the estimate says, filled up with repeats or padding, and how far apart it arrives is measured.

/// Probes one at a time, with longer and longer pauses where they find nothing.
#[derive(Default)]
pub(super) struct Probe {
    want_bps: Option<f64>,
    cluster: Option<Cluster>,
    next_us: u64,
    finished_us: Option<u64>,
    failures: u32,
    proven: Option<(f64, u64)>,
}

#[derive(Default)]
struct Cluster {
    rate_bps: f64,
    /// Whether it is filled up; else it measures what is sent anyhow.
    fills: bool,
    goal_bytes: u32,
    packets: u32,
    bytes: u32,
    last_bytes: u16,
    first_sent_us: u64,
    last_sent_us: u64,
    /// Nothing is added to it any more.
    whole: bool,
    reported: u32,
    arrived: Arrived,
}

#[derive(Default)]
struct Arrived {
    packets: u32,
    bytes: u32,
    first_bytes: u16,
    first: i64,
    last: i64,
}

/// A probe tries this much of what is wanted.
const AIM: f64 = 1.25;
/// And no more than this much of the estimate.
const REACH: f64 = 4.0;
const DURATION_US: f64 = 40_000.0;
/// A probe has at least this size: five packets.
const BYTES_MIN: f64 = 6_000.0;
const BYTES_MAX: f64 = 100_000.0;
/// A cluster that is not full by then is measured as it is.
const FILL_US_MAX: u64 = 300_000;
/// Reports of it are waited for so long.
const REPORT_US_MAX: u64 = 1_500_000;
const PACKETS_MIN: u32 = 4;
const PAUSE_US: u64 = 3_000_000;
/// Where all that was wanted fits, more may be wanted at once, and fit as well.
const PAUSE_FOUND_US: u64 = 500_000;
const PAUSE_DOUBLINGS_MAX: u32 = 4;
/// What was found by a probe counts as proven so long.
const PROVEN_US: u64 = 3_000_000;
/// What a probe put into a queue is gone after this time.
const DISTURBS_US: u64 = 400_000;
/// Arriving at less than this of the rate of sending is a bottleneck, whose rate that is.
const HELD_UP: f64 = 0.9;
const HELD_UP_TAKES: f64 = 0.95;

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) bps: f64,
    /// A bottleneck was met, so that a lower estimate is the better one.
    pub(super) bottleneck: bool,
}

impl Probe {
    /// Measures what the start sends, without filling up.
    pub(super) fn measure_start(&mut self, rate_bps: f64, bytes: u32) {
        self.cluster = Some(Cluster { rate_bps, goal_bytes: bytes, ..Cluster::default() });
    }

    pub(super) fn want(&mut self, bps: Option<f64>) {
        if self.want_bps != bps {
            (self.want_bps, self.failures) = (bps, 0);
        }
    }

    /// Begins a probe where more is wanted than is known to fit.
    pub(super) fn begin(&mut self, now_us: u64, estimate_bps: f64) {
        let Some(want_bps) = self.want_bps.filter(|want| *want > estimate_bps) else { return };
        if self.cluster.is_some() || now_us < self.next_us {
            return;
        }
        let rate_bps = (AIM * want_bps).min(REACH * estimate_bps);
        let goal_bytes = (rate_bps * DURATION_US / 8e6).clamp(BYTES_MIN, BYTES_MAX) as u32;
        self.cluster = Some(Cluster { rate_bps, fills: true, goal_bytes, first_sent_us: now_us, ..Cluster::default() });
    }

    /// Fills up no further, since there is a queue; what was sent is still measured.
    pub(super) fn abandon(&mut self) {
        if let Some(cluster) = self.cluster.as_mut().filter(|cluster| cluster.fills) {
            cluster.whole = true;
        }
    }

    /// Whether a queue may be the probe's own.
    pub(super) fn disturbs(&self, now_us: u64) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.fills)
            || self.finished_us.is_some_and(|at| now_us.saturating_sub(at) < DISTURBS_US)
    }

    /// The rate of the probe that is being sent.
    pub(super) fn rate_bps(&self) -> Option<f64> {
        self.cluster.as_ref().filter(|cluster| cluster.fills && !cluster.whole).map(|cluster| cluster.rate_bps)
    }

    /// When the next one may begin, where one is wanted.
    pub(super) fn next_us(&self, estimate_bps: f64) -> Option<u64> {
        let wanted = self.want_bps.is_some_and(|want| want > estimate_bps) && self.cluster.is_none();
        wanted.then_some(self.next_us)
    }

    /// Bytes to be sent now on top of what there is.
    pub(super) fn padding(&self, now_us: u64) -> usize {
        let Some(cluster) = self.cluster.as_ref().filter(|cluster| cluster.fills && !cluster.whole) else { return 0 };
        let passed_us = now_us.saturating_sub(cluster.first_sent_us) as f64;
        let due = (cluster.rate_bps * passed_us / 8e6 + BYTES_MIN / 5.0).min(f64::from(cluster.goal_bytes));
        (due - f64::from(cluster.bytes)).max(0.0) as usize
    }

    /// A packet goes out: whether it is part of the probe.
    pub(super) fn sent(&mut self, now_us: u64, bytes: usize) -> bool {
        let Some(cluster) = self.cluster.as_mut().filter(|cluster| !cluster.whole) else { return false };
        if cluster.packets == 0 {
            cluster.first_sent_us = now_us;
        } else if now_us.saturating_sub(cluster.first_sent_us) > FILL_US_MAX {
            cluster.whole = true;
            return false;
        }
        cluster.packets += 1;
        cluster.last_bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
        cluster.bytes += u32::from(cluster.last_bytes);
        cluster.last_sent_us = now_us;
        cluster.whole = cluster.bytes >= cluster.goal_bytes;
        true
    }

    /// One of its packets was reported, with the time of its arrival where it did arrive.
    pub(super) fn reported(&mut self, arrived: Option<i64>, bytes: u16) {
        let Some(cluster) = &mut self.cluster else { return };
        cluster.reported += 1;
        let Some(at) = arrived else { return };
        let arrived = &mut cluster.arrived;
        if arrived.packets == 0 {
            (arrived.first, arrived.last, arrived.first_bytes) = (at, at, bytes);
        }
        arrived.packets += 1;
        arrived.bytes += u32::from(bytes);
        arrived.first = arrived.first.min(at);
        arrived.last = arrived.last.max(at);
    }

    /// The result, once all is reported or no report is waited for any longer.
    pub(super) fn finish(&mut self, now_us: u64, estimate_bps: f64) -> Option<Found> {
        let cluster = self.cluster.as_ref()?;
        let silent_us = now_us.saturating_sub(cluster.last_sent_us.max(cluster.first_sent_us));
        if !(cluster.whole && cluster.reported >= cluster.packets) && silent_us < REPORT_US_MAX {
            return None;
        }
        let cluster = self.cluster.take()?;
        let found = cluster.found();
        if cluster.fills {
            let wanted = self.want_bps.is_some_and(|want| found.is_some_and(|found| found.bps >= want));
            self.pause(now_us, wanted);
            self.finished_us = Some(now_us);
        }
        if let Some(found) = found.filter(|found| found.bps >= estimate_bps) {
            self.proven = Some((found.bps, now_us));
        }
        found
    }

    /// What a probe found not long ago.
    pub(super) fn proven_bps(&self, now_us: u64) -> Option<f64> {
        self.proven.filter(|(_, at)| now_us.saturating_sub(*at) < PROVEN_US).map(|(bps, _)| bps)
    }

    fn pause(&mut self, now_us: u64, successful: bool) {
        self.failures = if successful { 0 } else { self.failures.saturating_add(1) };
        let doublings = self.failures.saturating_sub(1).min(PAUSE_DOUBLINGS_MAX);
        self.next_us = now_us + if successful { PAUSE_FOUND_US } else { PAUSE_US << doublings };
    }
}

impl Cluster {
    fn found(&self) -> Option<Found> {
        if self.arrived.packets < PACKETS_MIN || 5 * self.arrived.packets < 4 * self.packets {
            return None;
        }
        // Between n packets are n - 1 gaps: the last one sent and the first one arrived do not count.
        let sent_us = self.last_sent_us.saturating_sub(self.first_sent_us).max(1_000) as f64;
        let arrived_us = (self.arrived.last - self.arrived.first).max(1_000) as f64;
        let sent_bps = 8e6 * f64::from(self.bytes.saturating_sub(u32::from(self.last_bytes))) / sent_us;
        let arrived_bytes = self.arrived.bytes.saturating_sub(u32::from(self.arrived.first_bytes));
        let arrived_bps = 8e6 * f64::from(arrived_bytes) / arrived_us;
        let offered_bps = sent_bps.min(self.rate_bps);
        let bottleneck = offered_bps >= HELD_UP * self.rate_bps && arrived_bps < HELD_UP * offered_bps;
        let bps = if bottleneck { HELD_UP_TAKES * arrived_bps } else { offered_bps.min(arrived_bps) };
        Some(Found { bps, bottleneck })
    }
}
