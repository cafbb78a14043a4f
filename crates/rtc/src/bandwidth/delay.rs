//! Whether a queue grows on the way: the delay of groups of packets, its trend against an adaptive threshold
//! (draft-ietf-rmcat-gcc-02 section 5, with the trendline filter of libwebrtc), and the queue that stays.
//!
//! A forwarder sends whole frames in bursts, which queue behind themselves at any bottleneck. So the delay of a group is
//! that of its fastest packet: what was in the queue before the burst, and not the burst.

/// What the delay says of our use of the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usage {
    #[default]
    Normal,
    /// The queue grows, or stays too long.
    Over,
    /// The queue drains.
    Under,
}

/// Delays of groups in, usage out. All times in microseconds; those of sending and of arrival are of different clocks.
#[derive(Default)]
pub(super) struct Delay {
    group: Option<Group>,
    trend: Trend,
    base: Base,
    /// The delays of the last groups.
    recent: [i64; RECENT],
    recent_count: usize,
    /// By how much the delay of a group differs from that of the one before, smoothed; half of it is what it varies by.
    jitter_us: i64,
    usage: Usage,
    /// Since when the queue has been longer than it may stay, on the clock of sending.
    long_since: Option<i64>,
}

#[derive(Clone, Copy)]
struct Group {
    first_sent: i64,
    first_arrived: i64,
    last_sent: i64,
    last_arrived: i64,
    /// The lowest of its packets.
    delay: i64,
}

/// Packets sent within this time are one group.
const GROUP_US: i64 = 5_000;
/// Packets that arrive within this time of one another though they were sent further apart were held up together.
const BURST_US: i64 = 5_000;
const BURST_US_MAX: i64 = 100_000;
/// A delay that changes by more between two packets means that a clock was set, or is a lie.
const JUMP_US: i64 = 3_000_000;
/// The queue is the shortest of so many groups, so that jitter is not taken for it.
const RECENT: usize = 6;
/// As in RFC 3550 section 6.4.1.
const JITTER_WEIGHT: i64 = 16;
/// A growing trend counts only with at least this much of a queue.
const QUEUE_US_MIN: i64 = 8_000;
/// A queue that is longer than this for [`LONG_US`] is overuse, whatever its trend.
const QUEUE_US_LONG: i64 = 60_000;
const LONG_US: i64 = 150_000;

impl Delay {
    /// Takes a packet that arrived. Packets come in the order of their numbers; older ones are passed over.
    pub(super) fn arrived(&mut self, sent: i64, arrived: i64) {
        let delay = arrived - sent;
        let Some(group) = &mut self.group else {
            self.group = Some(Group::new(sent, arrived));
            return;
        };
        if (delay - group.delay).abs() > JUMP_US {
            *self = Self { group: Some(Group::new(sent, arrived)), ..Self::default() };
        } else if sent < group.first_sent {
            // Reported late; its group is closed or not worth opening again.
        } else if group.takes(sent, arrived) {
            group.last_sent = group.last_sent.max(sent);
            group.last_arrived = group.last_arrived.max(arrived);
            group.delay = group.delay.min(delay);
        } else {
            let closed = *group;
            *group = Group::new(sent, arrived);
            self.close(closed);
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// How long the queue is that stays, without what jitter alone would show; 0 while it is not known.
    pub(super) fn queue_us(&self) -> i64 {
        let lowest = self.recent.iter().take(self.recent_count).min();
        lowest.map_or(0, |lowest| (lowest - self.base.lowest() - self.jitter_us / 2).max(0))
    }

    fn close(&mut self, group: Group) {
        self.base.add(group.last_sent, group.delay);
        if let Some(last) = self.recent.first().filter(|_| self.recent_count > 0) {
            self.jitter_us += ((group.delay - last).abs() - self.jitter_us) / JITTER_WEIGHT;
        }
        self.recent.rotate_right(1);
        if let Some(first) = self.recent.first_mut() {
            *first = group.delay;
        }
        self.recent_count = RECENT.min(self.recent_count + 1);
        let trend = self.trend.add(&group);
        let queue_us = self.queue_us();
        if queue_us < QUEUE_US_LONG {
            self.long_since = None;
        }
        let long =
            queue_us >= QUEUE_US_LONG && group.last_sent - *self.long_since.get_or_insert(group.last_sent) >= LONG_US;
        self.usage = match trend {
            Usage::Under => Usage::Under,
            Usage::Over if queue_us >= QUEUE_US_MIN => Usage::Over,
            _ if long => Usage::Over,
            _ => Usage::Normal,
        };
    }
}

impl Group {
    fn new(sent: i64, arrived: i64) -> Self {
        Self { first_sent: sent, first_arrived: arrived, last_sent: sent, last_arrived: arrived, delay: arrived - sent }
    }

    fn takes(&self, sent: i64, arrived: i64) -> bool {
        let (sent_later, arrived_later) = (sent - self.last_sent, arrived - self.last_arrived);
        let held_up =
            arrived_later < sent_later && arrived_later <= BURST_US && arrived - self.first_arrived < BURST_US_MAX;
        sent - self.first_sent <= GROUP_US || held_up
    }
}

/// The lowest delay of the last 5 to 10 s: the way without a queue. Half of it is forgotten at a time, so that a longer
/// route, clocks that drift and others' queues are got used to.
#[derive(Default)]
struct Base {
    before: Option<i64>,
    current: Option<i64>,
    since: i64,
}

const BASE_US: i64 = 5_000_000;

impl Base {
    fn add(&mut self, at: i64, delay: i64) {
        if self.current.is_none() || at - self.since >= BASE_US {
            (self.before, self.current, self.since) = (self.current, None, at);
        }
        self.current = Some(self.current.map_or(delay, |lowest| lowest.min(delay)));
    }

    fn lowest(&self) -> i64 {
        self.before.into_iter().chain(self.current).min().unwrap_or(0)
    }
}

/// The slope of the smoothed delay over the last groups, and the threshold that adapts to its noise.
struct Trend {
    /// Arrival and smoothed delay in milliseconds, from the first group on; a ring.
    points: [(f64, f64); POINTS],
    /// Where the next one goes.
    at: usize,
    /// Groups so far, up to [`GROUPS_MAX`].
    groups: usize,
    origin: Option<(i64, i64)>,
    smoothed_ms: f64,
    threshold_ms: f64,
    slope: f64,
    over_ms: f64,
    over_groups: u32,
    last: (i64, i64),
    usage: Usage,
}

const POINTS: usize = 20;
const GROUPS_MAX: usize = 60;
const SMOOTHING: f64 = 0.9;
const GAIN: f64 = 4.0;
const THRESHOLD_MS: f64 = 12.5;
const THRESHOLD_MS_MIN: f64 = 6.0;
const THRESHOLD_MS_MAX: f64 = 600.0;
/// The threshold follows the slope up slowly, and down faster.
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
/// It does not follow spikes that are this far above it.
const SPIKE_MS: f64 = 15.0;
const OVER_MS: f64 = 10.0;

impl Default for Trend {
    fn default() -> Self {
        Self {
            points: [(0.0, 0.0); POINTS],
            at: 0,
            groups: 0,
            origin: None,
            smoothed_ms: 0.0,
            threshold_ms: THRESHOLD_MS,
            slope: 0.0,
            over_ms: 0.0,
            over_groups: 0,
            last: (0, 0),
            usage: Usage::Normal,
        }
    }
}

impl Trend {
    fn add(&mut self, group: &Group) -> Usage {
        let (origin_arrived, origin_delay) = *self.origin.get_or_insert((group.first_arrived, group.delay));
        let delay_ms = (group.delay - origin_delay) as f64 / 1_000.0;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * delay_ms;
        if let Some(point) = self.points.get_mut(self.at) {
            *point = ((group.first_arrived - origin_arrived) as f64 / 1_000.0, self.smoothed_ms);
        }
        self.at = (self.at + 1) % POINTS;
        self.groups = GROUPS_MAX.min(self.groups + 1);
        let (last_sent, last_arrived) = std::mem::replace(&mut self.last, (group.first_sent, group.first_arrived));
        if self.groups >= POINTS {
            let between = |last: i64, this: i64| ((this - last) as f64 / 1_000.0).clamp(0.0, 100.0);
            self.detect(between(last_sent, group.first_sent), between(last_arrived, group.first_arrived));
        }
        self.usage
    }

    fn detect(&mut self, sent_ms: f64, arrived_ms: f64) {
        let slope = slope(&self.points).unwrap_or(self.slope);
        let scaled_ms = self.groups as f64 * slope * GAIN;
        if scaled_ms > self.threshold_ms {
            self.over_ms += if self.over_groups == 0 { sent_ms / 2.0 } else { sent_ms };
            self.over_groups += 1;
            if self.over_ms > OVER_MS && self.over_groups > 1 && slope >= self.slope {
                (self.over_ms, self.over_groups) = (0.0, 0);
                self.usage = Usage::Over;
            }
        } else {
            (self.over_ms, self.over_groups) = (0.0, 0);
            self.usage = if scaled_ms < -self.threshold_ms { Usage::Under } else { Usage::Normal };
        }
        self.slope = slope;
        let above_ms = scaled_ms.abs() - self.threshold_ms;
        if above_ms <= SPIKE_MS {
            let follow = if above_ms < 0.0 { FOLLOW_DOWN } else { FOLLOW_UP };
            let threshold_ms = self.threshold_ms + follow * above_ms * arrived_ms;
            self.threshold_ms = threshold_ms.clamp(THRESHOLD_MS_MIN, THRESHOLD_MS_MAX);
        }
    }
}

/// Least squares; `None` where all points have the same time.
fn slope(points: &[(f64, f64); POINTS]) -> Option<f64> {
    let (x_sum, y_sum) = points.iter().fold((0.0, 0.0), |(x_sum, y_sum), (x, y)| (x_sum + x, y_sum + y));
    let (x_mean, y_mean) = (x_sum / POINTS as f64, y_sum / POINTS as f64);
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), (x, y)| {
        (above + (x - x_mean) * (y - y_mean), below + (x - x_mean) * (x - x_mean))
    });
    (below > 0.0).then(|| above / below)
}
