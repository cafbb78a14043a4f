//! The time of a run, its window, and whether it is over: what all threads of a run share.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// One run's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    /// Packets that were sent in it are counted, in nanoseconds of the run. 0: not known yet.
    from_ns: AtomicU64,
    to_ns: AtomicU64,
    /// Packets sent in it, and those of them that viewers took.
    sent: AtomicU64,
    taken: AtomicU64,
    closing: AtomicBool,
    over: AtomicBool,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let nothing = || AtomicU64::new(0);
        Self {
            epoch: Instant::now(),
            from_ns: nothing(),
            to_ns: nothing(),
            sent: nothing(),
            taken: nothing(),
            closing: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// A moment as nanoseconds of the run.
    pub(crate) fn ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Opens the window now, for so long.
    pub(crate) fn open_window(&self, length: Duration) {
        let from = self.ns(Instant::now());
        self.to_ns.store(from + length.as_nanos() as u64, Relaxed);
        self.from_ns.store(from, Relaxed);
    }

    /// Whether a packet of this time counts.
    pub(crate) fn counts(&self, sent_ns: u64) -> bool {
        let from = self.from_ns.load(Relaxed);
        from != 0 && (from..self.to_ns.load(Relaxed)).contains(&sent_ns)
    }

    /// A packet that counts was sent.
    pub(crate) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// A packet that counts was taken by a viewer.
    pub(crate) fn taken(&self) {
        self.taken.fetch_add(1, Relaxed);
    }

    /// Packets that were sent in the window, and those of them that viewers took.
    pub(crate) fn sent_and_taken(&self) -> (u64, u64) {
        (self.sent.load(Relaxed), self.taken.load(Relaxed))
    }

    /// Whether the window has been opened.
    pub(crate) fn has_opened(&self) -> bool {
        self.from_ns.load(Relaxed) != 0
    }

    /// From now on whoever is lost is not missed: sessions are being ended.
    pub(crate) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Ends the run: every thread says good-bye and stops.
    pub(crate) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
}
