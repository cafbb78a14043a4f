//! How much fits to a viewer, and when it may go: transport-wide numbers and what became of them, the estimate from delay
//! and from loss, probes, and the pacer. A value without clock or socket; one belongs to each viewer.
//!
//! What lives here: the control loop of one transport. What does not: which packets go (`sfu`), and the bytes of feedback
//! (`rtcp`). Everything that a viewer reports may be a lie. It can only harm its own picture: numbers never sent are passed
//! over, memory and work are bounded, and so is every rate.

mod delay;
mod history;
mod layers;
mod loss;
mod pacer;
mod probe;
mod rate;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::rtcp::{Feedback, REFERENCE_TICK_US};

use delay::{Delay, Usage};
use history::History;
pub use layers::{HELD, Rising, choose_layer, wanted_bps};
use loss::Loss;
use pacer::Pacer;
use probe::Probe;
use rate::{Acknowledged, RATE_BPS_MAX, RATE_BPS_MIN, Rate, Situation};

/// How it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is believed to fit before anything is known, in bits a second.
    pub start_bps: u64,
    /// What may go at once at the start, before the pacer spreads: most key frames.
    pub start_bytes: usize,
    /// Whether transport-wide feedback was negotiated. Without it there is no estimate but a bound from loss, and next to
    /// no pacing.
    pub feedback: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { start_bps: 1_000_000, start_bytes: 48_000, feedback: true }
    }
}

/// The bandwidth towards one viewer.
pub struct Bandwidth {
    start: Instant,
    /// The latest time that was handed in, in microseconds from the start.
    now_us: u64,
    /// Whether feedback comes, or was promised.
    feedback: bool,
    history: History,
    delay: Delay,
    acknowledged: Acknowledged,
    rate: Rate,
    loss: Loss,
    probe: Probe,
    pacer: Pacer,
    rtt_us: Option<u64>,
    remb_bps: Option<f64>,
    /// The receiver's reference time, extended.
    reference: Option<i64>,
    /// The number behind the last one reported.
    reported_to: Option<u16>,
    /// When the first packet went that no feedback has followed yet.
    unanswered_us: Option<u64>,
    /// Bytes sent since the last receiver report, and when that was.
    since_report: (u64, u64),
    /// Feedback about packets that were never sent, or long ago.
    unknown: u64,
}

/// The pacer lets so much more out than the estimate, so that a picture needs no time of its own.
const PACE: f64 = 2.5;
/// While there is a queue on the way it lets out less than fits, so that the queue drains: what waits, waits here, where it
/// can still be given up.
const PACE_QUEUED: f64 = 0.6;
const PACE_QUEUE_US: i64 = 60_000;
/// A queue of this length is of more than fits.
const OVERFLOW_QUEUE_US: i64 = 100_000;
/// And for some time after it, little more than fits.
const PACE_AFTER: f64 = 1.25;
const PACE_AFTER_US: u64 = 3_000_000;
/// Without feedback it stops no more than nonsense.
const UNPACED_BPS: f64 = 150_000_000.0;
/// Feedback that does not come for so long is taken for a way that is gone, and less is sent in steps of this time.
const SILENCE_US: u64 = 2_000_000;
const SILENCE_STEP_US: u64 = 500_000;
const SILENCE_TAKES: f64 = 0.8;
const SILENCE_BPS_MIN: f64 = 150_000.0;
/// A receiver that never gave feedback, though it said it would, gives none.
const NO_FEEDBACK_US: u64 = 5_000_000;
/// Nothing is probed with a longer queue than this.
const PROBE_QUEUE_US: i64 = 10_000;
/// Padding is asked for no more often than this.
const PROBE_TICK_US: u64 = 5_000;
/// Whether one can begin is asked no more often than this.
const PROBE_WAIT_US: u64 = 100_000;
/// Receiver reports that are closer together than this are of the same moment.
const REPORT_US: u64 = 200_000;
/// Timers are no finer than this.
const TICK_US: u64 = 1_000;
const RTT_US: u64 = 100_000;
/// Reference times beyond this are not extended any more but taken as they come.
const REFERENCE_MAX: i64 = 1 << 36;

impl Bandwidth {
    /// Begins with the defaults.
    pub fn new(now: Instant) -> Self {
        Self::with(now, Config::default())
    }

    /// Begins otherwise.
    pub fn with(now: Instant, config: Config) -> Self {
        let start_bps = config.start_bps as f64;
        let mut probe = Probe::default();
        if config.feedback {
            probe.measure_start(PACE * start_bps, u32::try_from(config.start_bytes).unwrap_or(u32::MAX));
        }
        let paced_bps = if config.feedback { PACE * start_bps } else { UNPACED_BPS };
        Self {
            start: now,
            now_us: 0,
            feedback: config.feedback,
            history: History::new(),
            delay: Delay::default(),
            acknowledged: Acknowledged::default(),
            rate: Rate::new(start_bps),
            loss: Loss::default(),
            probe,
            pacer: Pacer::new(paced_bps, config.start_bytes),
            rtt_us: None,
            remb_bps: None,
            reference: None,
            reported_to: None,
            unanswered_us: None,
            since_report: (0, 0),
            unknown: 0,
        }
    }

    /// A packet goes out, whatever is in it, with so many bytes on the wire. Gives the transport-wide number to write into
    /// it, draft-holmer-rmcat-transport-wide-cc-extensions-01 section 2.
    pub fn sent(&mut self, now: Instant, bytes: usize) -> u16 {
        self.sent_unnumbered(now, bytes);
        let now_us = self.now_us;
        self.unanswered_us.get_or_insert(now_us);
        let probes = self.probe.sent(now_us, bytes);
        self.history.push(now_us, bytes, probes)
    }

    /// A packet goes out that carries no transport-wide number: that of a stream, or to a viewer, without the extension.
    /// Nothing will be reported of it, and what is numbered must not be missing.
    pub fn sent_unnumbered(&mut self, now: Instant, bytes: usize) {
        let now_us = self.micros(now);
        self.pacer.sent(now_us, bytes);
        self.since_report.0 += bytes as u64;
    }

    /// Takes transport-wide feedback.
    pub fn feedback(&mut self, now: Instant, feedback: &Feedback<'_>) {
        let now_us = self.micros(now);
        let origin = self.extend(feedback.reference) * REFERENCE_TICK_US;
        if self.reported_to.is_some_and(|expected| feedback.base.wrapping_sub(expected).cast_signed() > 0) {
            self.acknowledged.gap();
        }
        self.reported_to = Some(feedback.base.wrapping_add(feedback.status_count));
        let mut newest_us = None;
        for (number, arrived) in feedback.packets() {
            let Some(reported) = self.history.report(now_us, number, arrived.is_some()) else {
                self.unknown += u64::from(arrived.is_some());
                continue;
            };
            let arrived = arrived.map(|after| origin + after);
            if reported.probes && !reported.was_missing {
                self.probe.reported(arrived, reported.bytes);
            }
            if let Some(arrived) = arrived {
                newest_us = newest_us.max(Some(reported.sent_us));
                self.delay.arrived(reported.sent_us.cast_signed(), arrived);
                self.acknowledged.arrived(arrived, reported.bytes);
                self.loss.arrived(reported.bytes, reported.was_missing);
            } else {
                self.loss.missing(reported.bytes);
            }
        }
        let Some(newest_us) = newest_us else { return };
        self.feedback = true;
        self.unanswered_us = None;
        let round_us = now_us.saturating_sub(newest_us).max(TICK_US);
        // The receiver holds feedback back for up to 100 ms; the shortest is nearest to the truth, and slowly forgotten.
        self.rtt_us = Some(self.rtt_us.map_or(round_us, |rtt| round_us.min(rtt + rtt / 64 + 1)));
        self.loss.update(now_us);
        self.adjust(now_us);
    }

    /// Takes a receiver report: the loss since the last one, of 256, the highest of its blocks, and the round-trip time
    /// where it gives one.
    pub fn report(&mut self, now: Instant, fraction_lost: u8, rtt: Option<Duration>) {
        let now_us = self.micros(now);
        if let Some(rtt) = rtt {
            self.rtt_us = Some(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).clamp(TICK_US, SILENCE_US));
        }
        let (bytes, since_us) = self.since_report;
        let passed_us = now_us.saturating_sub(since_us);
        // Some send a report for each stream; those of the same moment are one.
        if passed_us < REPORT_US {
            return;
        }
        self.since_report = (0, now_us);
        // Where there is feedback, it says the same sooner.
        if self.reported_to.is_none() {
            self.loss.report(bytes, passed_us, f64::from(fraction_lost) / 256.0);
            self.pace(now_us);
        }
    }

    /// Takes what the receiver believes to fit (REMB). It counts where there is no transport-wide feedback.
    pub fn remb(&mut self, now: Instant, bitrate_bps: u64) {
        let now_us = self.micros(now);
        self.remb_bps = Some((bitrate_bps as f64).clamp(RATE_BPS_MIN, RATE_BPS_MAX));
        self.pace(now_us);
    }

    /// Bytes that may go now, whole pictures of them: what is behind them waits.
    pub fn allowance(&mut self, now: Instant) -> usize {
        let now_us = self.micros(now);
        self.tick(now_us);
        self.pacer.allowance(now_us)
    }

    /// What fits, in bits a second; `None` while nothing is known.
    pub fn estimate_bps(&self) -> Option<u64> {
        let delay_bps = if self.reported_to.is_some() { Some(self.rate.bps()) } else { self.remb_bps };
        delay_bps
            .into_iter()
            .chain(self.loss.bound_bps())
            .chain(self.carried_bps())
            .reduce(f64::min)
            .map(|bps| bps as u64)
    }

    /// What arrives, while there is a long queue on the way: it is all that fits, and the rate goes down to it in steps.
    fn carried_bps(&self) -> Option<f64> {
        self.acknowledged.bps().filter(|_| self.delay.queue_us() >= OVERFLOW_QUEUE_US)
    }

    /// What a probe found to fit within the last seconds.
    pub fn proven_bps(&self, now: Instant) -> Option<u64> {
        let now_us = now.saturating_duration_since(self.start).as_micros();
        self.probe.proven_bps(u64::try_from(now_us).unwrap_or(u64::MAX)).map(|bps| bps as u64)
    }

    /// More would be sent if this much fitted, as [`wanted_bps`] gives it: it is probed now and then. `None`: all is sent
    /// that there is.
    pub fn want(&mut self, bps: Option<u64>) {
        self.probe.want(bps.map(|bps| (bps as f64).min(RATE_BPS_MAX)));
    }

    /// Bytes to send now on top of everything else, as repeats of what was sent or as padding: a probe. Each of their
    /// packets goes through [`Bandwidth::sent`] like any other. 0 nearly always.
    pub fn padding(&mut self, now: Instant) -> usize {
        let now_us = self.micros(now);
        self.tick(now_us);
        if self.reported_to.is_some() && self.unanswered_us.is_none_or(|at| now_us.saturating_sub(at) < SILENCE_US) {
            let calm = self.delay.usage() == Usage::Normal && self.delay.queue_us() < PROBE_QUEUE_US;
            if calm && self.probe.rate_bps().is_none() {
                self.probe.begin(now_us, self.bounded_bps());
                self.pace(now_us);
            }
        }
        self.probe.padding(now_us)
    }

    /// When to ask [`Bandwidth::allowance`] and [`Bandwidth::padding`] again at the latest; `None` while nothing waits for
    /// time to pass. It is always in the future of what was last handed in.
    pub fn next_timer(&self) -> Option<Instant> {
        let room_us = self.pacer.room_us();
        let probe_us = match self.probe.rate_bps() {
            Some(_) => Some(self.now_us + PROBE_TICK_US),
            // It may be due and yet not begin, since there is a queue.
            None => {
                let due_us = self.reported_to.and_then(|_| self.probe.next_us(self.bounded_bps()));
                due_us.map(|due| due.max(self.now_us + PROBE_WAIT_US))
            }
        };
        let at_us = room_us.into_iter().chain(probe_us).min()?.max(self.now_us + TICK_US);
        self.start.checked_add(Duration::from_micros(at_us))
    }

    /// The queue on the way to the viewer, as its feedback shows it.
    pub fn queue(&self) -> Duration {
        Duration::from_micros(self.delay.queue_us().unsigned_abs())
    }

    /// The round-trip time, where anything said it. That of feedback includes the time that the viewer kept it.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt_us.map(Duration::from_micros)
    }

    /// Arrivals reported of packets that were never sent, were reported before, or are long forgotten.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// After feedback: probe, rate and pacer.
    fn adjust(&mut self, now_us: u64) {
        let (mut usage, queue_us) = (self.delay.usage(), self.delay.queue_us());
        if let Some(found) = self.probe.finish(now_us, self.rate.bps())
            && (found.bps > self.rate.bps() || found.bottleneck)
        {
            self.rate.measured(found.bps);
        }
        if usage == Usage::Over && self.probe.disturbs(now_us) {
            // The queue is of our own making and passes by itself: it lowers nothing.
            self.probe.abandon();
            usage = Usage::Under;
        }
        let rtt_us = self.rtt_us.unwrap_or(RTT_US);
        self.rate.update(&Situation { now_us, usage, acknowledged: &self.acknowledged, queue_us, rtt_us });
        self.loss.forget_above(self.rate.bps());
        self.pace(now_us);
    }

    /// What both delay and loss allow.
    fn bounded_bps(&self) -> f64 {
        self.loss.bound_bps().map_or(self.rate.bps(), |bound| bound.min(self.rate.bps()))
    }

    /// Sets the pacer to what is known now.
    fn pace(&mut self, now_us: u64) {
        let bps = if self.reported_to.is_some() || self.feedback {
            let factor = match () {
                () if self.delay.queue_us() >= PACE_QUEUE_US => PACE_QUEUED,
                () if self.rate.decreased_within(now_us, PACE_AFTER_US) => PACE_AFTER,
                () => PACE,
            };
            let fits_bps = self.carried_bps().map_or(self.bounded_bps(), |carried| carried.min(self.bounded_bps()));
            (factor * fits_bps).max(self.probe.rate_bps().unwrap_or(0.0))
        } else {
            self.remb_bps.map_or(UNPACED_BPS, |bps| PACE * bps)
        };
        self.pacer.set_rate(now_us, bps);
    }

    /// What happens because nothing does: feedback that stays away.
    fn tick(&mut self, now_us: u64) {
        let Some(since_us) = self.unanswered_us else { return };
        let silent_us = now_us.saturating_sub(since_us);
        if self.reported_to.is_some() {
            if silent_us >= SILENCE_US + SILENCE_STEP_US {
                self.unanswered_us = Some(now_us.saturating_sub(SILENCE_US));
                self.rate.decay(SILENCE_TAKES, SILENCE_BPS_MIN);
                self.pace(now_us);
            }
        } else if self.feedback && silent_us >= NO_FEEDBACK_US {
            self.feedback = false;
            self.pace(now_us);
        }
    }

    fn micros(&mut self, now: Instant) -> u64 {
        let us = u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX);
        self.now_us = self.now_us.max(us);
        self.now_us
    }

    /// The reference time nearest to the last one; 24 bits of it are on the wire.
    fn extend(&mut self, wire: i32) -> i64 {
        let wire = i64::from(wire);
        let last = self.reference.filter(|last| last.abs() < REFERENCE_MAX).unwrap_or(wire);
        let extended = last + ((wire - last) << 40 >> 40);
        self.reference = Some(extended);
        extended
    }
}
