//! Transport-wide feedback as libwebrtc gives it: when each numbered packet arrived
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::time::{Duration, Instant};

use media::Ssrc;

use crate::{rtcp::write, srtp};

/// Feedback takes this share of what comes, within these bounds: libwebrtc's `RemoteEstimatorProxy` has the same.
const SHARE: f64 = 0.05;
const INTERVAL_MIN: Duration = Duration::from_millis(50);
const INTERVAL_MAX: Duration = Duration::from_millis(250);
const INTERVAL_FIRST: Duration = Duration::from_millis(100);
/// What libwebrtc reckons that a feedback has, in bits.
const FEEDBACK_BITS: f64 = 544.0;
/// Numbers of one feedback at most; from half of it on it is sent at once.
const NUMBERS_MAX: usize = write::WRITTEN_STATUSES_MAX;

pub(super) struct Feedback {
    /// The number of the header extension.
    id: u8,
    /// Arrival of the numbers from `base` on, in microseconds of our clock.
    arrivals: Vec<Option<i64>>,
    base: u64,
    highest: Option<u64>,
    count: u8,
    bytes: usize,
    began: Instant,
    /// The next one goes no sooner.
    next: Instant,
    due: Option<Instant>,
    sent: u64,
}

impl Feedback {
    pub(super) fn new(id: u8, now: Instant) -> Self {
        let (arrivals, next) = (Vec::new(), now);
        Self { id, arrivals, base: 0, highest: None, count: 0, bytes: 0, began: now, next, due: None, sent: 0 }
    }

    pub(super) fn id(&self) -> u8 {
        self.id
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Feedbacks so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// A packet with this number came.
    pub(super) fn arrived(&mut self, now: Instant, number: u16, at_us: i64, bytes: usize) {
        // Far from 0, so that packets from before the first have numbers.
        let extended = match self.highest {
            Some(highest) => srtp::extend(highest, number).unwrap_or(highest),
            None => 0x1_0000 | u64::from(number),
        };
        if self.highest.is_none() {
            self.base = extended;
            (self.began, self.next) = (now, now + INTERVAL_FIRST);
        }
        self.highest = Some(self.highest.map_or(extended, |highest| highest.max(extended)));
        self.bytes += bytes;
        // What comes after its place was reported stays reported as missing.
        let Some(offset) = extended.checked_sub(self.base) else { return };
        let mut offset = usize::try_from(offset).unwrap_or(usize::MAX);
        if offset >= NUMBERS_MAX {
            self.arrivals.clear();
            (self.base, offset) = (extended, 0);
        }
        if offset >= self.arrivals.len() {
            self.arrivals.resize(offset + 1, None);
        }
        if let Some(place) = self.arrivals.get_mut(offset).filter(|place| place.is_none()) {
            *place = Some(at_us);
        }
        let due = self.due.get_or_insert(self.next.max(now));
        if self.arrivals.len() >= NUMBERS_MAX / 2 {
            *due = now;
        }
    }

    /// Writes the next feedback where it is due, and says how many bytes it has; 0 where nothing more is to be said.
    pub(super) fn write(&mut self, now: Instant, out: &mut [u8], sender: Ssrc, media: Ssrc) -> usize {
        if self.due.is_none_or(|due| due > now) {
            return 0;
        }
        let (written, covered) =
            write::transport_feedback(out, sender, media, self.base as u16, self.count, &self.arrivals);
        if covered == 0 {
            // Whatever is left came to nothing.
            self.base += self.arrivals.len() as u64;
            self.arrivals.clear();
        } else {
            self.base += covered as u64;
            self.arrivals.drain(..covered.min(self.arrivals.len()));
            self.count = self.count.wrapping_add(1);
            self.sent += 1;
        }
        if self.arrivals.is_empty() {
            self.due = None;
            self.pace(now);
        }
        written
    }

    /// The next one goes after as long as what came in the meantime allows.
    fn pace(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.began).as_secs_f64().max(0.001);
        let bps = self.bytes as f64 * 8.0 / seconds;
        let interval = Duration::try_from_secs_f64(FEEDBACK_BITS / (SHARE * bps).max(1.0)).unwrap_or(INTERVAL_MAX);
        self.next = now + interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        (self.bytes, self.began) = (0, now);
    }
}
