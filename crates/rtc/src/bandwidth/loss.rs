//! The bound that loss sets. Loss alone is no congestion: radio loses at any rate. So loss sets a bound only where it
//! exceeds what the way loses anyhow, and whatever is still lost while no more than the bound is sent is taken for that.

/// Loss above what the way loses anyhow, up to which nothing is bounded.
const EXCESS_MAX: f64 = 0.12;
/// A bound grows only while there is less than this of it.
const EXCESS_NONE: f64 = 0.03;
/// A window ends after this time where it has enough packets, and after the longer one with any.
const WINDOW_US: u64 = 400_000;
const WINDOW_US_MAX: u64 = 2_000_000;
const PACKETS_MIN: u32 = 20;
/// How fast loss is taken for the way's own in a window: while nothing is bounded, while no more is sent than what got
/// through when the bound was set, and while more is sent than that.
const LEARN_UNBOUNDED: f64 = 0.1;
const LEARN_WITHIN: f64 = 0.5;
const LEARN_ABOVE: f64 = 0.01;
/// How fast it is forgotten when less is lost.
const FORGET: f64 = 0.3;
/// The bound grows so much in a window without excess.
const GROWTH: f64 = 1.05;
/// Sending this much of what got through is sending more than it.
const ABOVE: f64 = 1.05;
/// No way is believed to lose more than this by itself.
const OWN_MAX: f64 = 0.9;
const PACKET_BYTES: u64 = 1_200;

#[derive(Default)]
pub(super) struct Loss {
    arrived: u32,
    arrived_bytes: u64,
    lost: u32,
    lost_bytes: u64,
    since_us: Option<u64>,
    /// What the way loses at any rate.
    own: f64,
    bound_bps: Option<f64>,
    /// The bound when it was set, before it grew.
    cut_bps: Option<f64>,
}

impl Loss {
    pub(super) fn arrived(&mut self, bytes: u16, was_missing: bool) {
        self.arrived += 1;
        self.arrived_bytes += u64::from(bytes);
        if was_missing {
            self.lost = self.lost.saturating_sub(1);
            self.lost_bytes = self.lost_bytes.saturating_sub(u64::from(bytes));
        }
    }

    pub(super) fn missing(&mut self, bytes: u16) {
        self.lost += 1;
        self.lost_bytes += u64::from(bytes);
    }

    /// Ends the window where it is long enough.
    pub(super) fn update(&mut self, now_us: u64) {
        let passed_us = now_us.saturating_sub(*self.since_us.get_or_insert(now_us));
        let packets = self.arrived + self.lost;
        let enough = passed_us >= WINDOW_US && packets >= PACKETS_MIN;
        if packets == 0 || !(enough || passed_us >= WINDOW_US_MAX) {
            return;
        }
        let sent_bps = 8e6 * (self.arrived_bytes + self.lost_bytes) as f64 / passed_us as f64;
        let ratio = f64::from(self.lost) / f64::from(packets);
        *self = Self {
            own: self.own,
            bound_bps: self.bound_bps,
            cut_bps: self.cut_bps,
            since_us: Some(now_us),
            ..Self::default()
        };
        if packets >= PACKETS_MIN {
            self.observe(sent_bps, ratio, packets);
        }
    }

    /// A receiver report: so many bytes were sent since the last one, and this part of them was lost.
    pub(super) fn report(&mut self, bytes: u64, passed_us: u64, ratio: f64) {
        let packets = u32::try_from(bytes / PACKET_BYTES).unwrap_or(u32::MAX);
        if packets >= PACKETS_MIN {
            self.observe(8e6 * bytes as f64 / passed_us.max(1) as f64, ratio, packets);
        }
    }

    fn observe(&mut self, sent_bps: f64, ratio: f64, packets: u32) {
        let excess = ratio - self.own;
        // What chance alone would do to so few packets, twice.
        let noise = 2.0 * (self.own * (1.0 - self.own) / f64::from(packets.max(1))).sqrt();
        let within = self.cut_bps.is_some_and(|cut| sent_bps <= ABOVE * cut);
        let learn = match self.cut_bps {
            _ if excess < 0.0 => FORGET,
            None => LEARN_UNBOUNDED,
            Some(_) if within => LEARN_WITHIN,
            Some(_) => LEARN_ABOVE,
        };
        if excess <= EXCESS_NONE {
            self.bound_bps = self.bound_bps.map(|bound| bound * GROWTH);
        } else if excess > EXCESS_MAX + noise && !within {
            let through_bps = sent_bps * (1.0 - ratio) / (1.0 - self.own);
            let bound_bps = self.bound_bps.map_or(through_bps, |bound| bound.min(through_bps));
            (self.bound_bps, self.cut_bps) = (Some(bound_bps), Some(bound_bps));
        }
        self.own = (self.own + learn * excess).min(OWN_MAX);
    }

    /// The bound; `None` where loss sets none.
    pub(super) fn bound_bps(&self) -> Option<f64> {
        self.bound_bps
    }

    /// A bound that is no longer below what the delay allows is forgotten.
    pub(super) fn forget_above(&mut self, bps: f64) {
        if self.bound_bps.is_some_and(|bound| bound >= bps) {
            (self.bound_bps, self.cut_bps) = (None, None);
        }
    }
}
