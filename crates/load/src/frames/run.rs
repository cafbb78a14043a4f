//! What all publishers and viewers of a run share: its clock, its window, and what was counted.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Delays that are kept of one viewer: an hour of pictures and sounds.
const DELAYS_MAX: usize = 300_000;
/// Of further faults only the number is kept.
const FAULTS_MAX: usize = 10;

/// One run.
pub(crate) struct Run {
    epoch: Instant,
    /// Frames that were sent in it are counted: from and to, in nanoseconds of the run. 0: not known yet.
    from_ns: AtomicU64,
    to_ns: AtomicU64,
    /// Publishers that were let in, and viewers that have seen a frame.
    pub(crate) publishing: AtomicU64,
    pub(crate) watching: AtomicU64,
    /// Bytes that viewers have read.
    pub(crate) bytes: AtomicU64,
    counted: Mutex<Counted>,
}

/// What came out.
#[derive(Default)]
struct Counted {
    expected: u64,
    received: u64,
    gaps: u64,
    corruptions: u64,
    delays_us: Vec<u32>,
    faults: Vec<String>,
    faults_more: u64,
}

/// What one viewer saw in the window.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) received: u64,
    pub(crate) gaps: u64,
    pub(crate) corruptions: u64,
    pub(crate) delays_us: Vec<u32>,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            from_ns: AtomicU64::new(0),
            to_ns: AtomicU64::new(0),
            publishing: AtomicU64::new(0),
            watching: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            counted: Mutex::default(),
        }
    }

    /// Nanoseconds of the run.
    pub(crate) fn now_ns(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// Opens the window now, for so long.
    pub(crate) fn open_window(&self, length: Duration) {
        let from = self.now_ns();
        self.to_ns.store(from + length.as_nanos() as u64, Relaxed);
        self.from_ns.store(from, Relaxed);
    }

    /// Whether a frame of this time counts.
    pub(crate) fn counts(&self, sent_ns: u64) -> bool {
        let from = self.from_ns.load(Relaxed);
        from != 0 && (from..=self.to_ns.load(Relaxed)).contains(&sent_ns)
    }

    /// Whether a frame of this time is past the window.
    pub(crate) fn is_over(&self, sent_ns: u64) -> bool {
        self.from_ns.load(Relaxed) != 0 && sent_ns > self.to_ns.load(Relaxed)
    }

    /// A publisher has sent so many frames in the window to so many viewers.
    pub(crate) fn sent(&self, frames: u64, viewers: u64) {
        self.lock().expected += frames * viewers;
    }

    /// A viewer is done.
    pub(crate) fn saw(&self, seen: Seen) {
        let mut counted = self.lock();
        counted.received += seen.received;
        counted.gaps += seen.gaps;
        counted.corruptions += seen.corruptions;
        counted.delays_us.extend(seen.delays_us);
    }

    /// Somebody failed.
    pub(crate) fn fault(&self, what: String) {
        let mut counted = self.lock();
        if counted.faults.len() < FAULTS_MAX { counted.faults.push(what) } else { counted.faults_more += 1 }
    }

    /// Whether nothing was lost, changed, doubled or cut off.
    pub(crate) fn is_intact(&self) -> bool {
        let counted = self.lock();
        counted.received == counted.expected
            && counted.received > 0
            && counted.gaps + counted.corruptions == 0
            && counted.faults.is_empty()
    }

    /// The figures, for people and programs.
    pub(crate) fn figures(&self) -> Value {
        let mut counted = self.lock();
        counted.delays_us.sort_unstable();
        let delay_ms = |permille: usize| {
            let at = counted.delays_us.len() * permille / 1_000;
            counted.delays_us.get(at).map(|&us| f64::from(us) / 1_000.0)
        };
        json!({
            "frames": counted.received,
            "framesExpected": counted.expected,
            "gaps": counted.gaps,
            "corruptions": counted.corruptions,
            "delayMsP50": delay_ms(500),
            "delayMsP99": delay_ms(990),
            "faults": counted.faults,
            "faultsMore": counted.faults_more,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Counts a frame that was received now.
    pub(crate) fn frame(&mut self, run: &Run, sent_ns: u64) {
        self.received += 1;
        if self.delays_us.len() < DELAYS_MAX {
            let delay_us = run.now_ns().saturating_sub(sent_ns) / 1_000;
            self.delays_us.push(u32::try_from(delay_us).unwrap_or(u32::MAX));
        }
    }
}
