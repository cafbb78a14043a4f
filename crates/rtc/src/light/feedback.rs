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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp;

    const MS: Duration = Duration::from_millis(1);

    /// What feedbacks say: number and arrival, `None` for those that did not come.
    fn told(feedback: &mut Feedback, now: Instant) -> Vec<(u16, Option<i64>)> {
        let mut all = Vec::new();
        let mut space = [0; 1_280];
        while feedback.due().is_some_and(|due| due <= now) {
            let written = feedback.write(now, &mut space, Ssrc(1), Ssrc(2));
            for packet in rtcp::read(&space[..written]) {
                let rtcp::Packet::Transport(feedback) = packet else { panic!("{packet:?}") };
                all.extend(feedback.packets());
            }
        }
        all
    }

    #[test]
    fn what_came_and_what_did_not_is_told_once_and_in_time() {
        let start = Instant::now();
        let mut feedback = Feedback::new(3, start);
        for (at, number) in [65_533u16, 65_535, 0, 65_534, 3].into_iter().enumerate() {
            feedback.arrived(start + MS * at as u32, number, 1_000_000 + 1_000 * at as i64, 1_200);
        }
        assert!(told(&mut feedback, start + 99 * MS).is_empty());
        let told_first = told(&mut feedback, start + 100 * MS);
        let numbers: Vec<(u16, bool)> =
            told_first.iter().map(|(number, arrived)| (*number, arrived.is_some())).collect();
        assert_eq!(
            numbers,
            [(65_533, true), (65_534, true), (65_535, true), (0, true), (1, false), (2, false), (3, true)]
        );
        assert_eq!(feedback.due(), None, "nothing came since");
        feedback.arrived(start + 101 * MS, 2, 1_101_000, 1_200);
        assert_eq!(feedback.due(), None, "its place was told already");
        feedback.arrived(start + 102 * MS, 4, 1_102_000, 1_200);
        assert_eq!(feedback.due(), Some(start + 150 * MS));
        assert_eq!(told(&mut feedback, start + 150 * MS).len(), 1);
    }

    proptest! {
        #[test]
        fn every_number_in_order_is_told_once_with_its_time(
            steps in proptest::collection::vec((1u64..40, 0u64..30), 1..400),
            first in any::<u16>(),
        ) {
            let start = Instant::now();
            let mut feedback = Feedback::new(3, start);
            let (mut number, mut at_us, mut sent, mut seen) = (u64::from(first), 5_000_000u64, Vec::new(), Vec::new());
            for (gap, ms) in steps {
                number += if gap > 30 { gap } else { 1 };
                at_us += ms * 1_000;
                let now = start + Duration::from_micros(at_us);
                feedback.arrived(now, number as u16, at_us as i64, 1_000);
                sent.push((number as u16, at_us as i64));
                seen.extend(told(&mut feedback, now));
            }
            seen.extend(told(&mut feedback, start + Duration::from_micros(at_us) + INTERVAL_MAX));
            let arrived: Vec<u16> = seen.iter().filter(|(_, at)| at.is_some()).map(|(number, _)| *number).collect();
            prop_assert_eq!(arrived, sent.iter().map(|(number, _)| *number).collect::<Vec<u16>>());
            prop_assert_eq!(seen.first().map(|(number, _)| *number), sent.first().map(|(number, _)| *number));
        }
    }
}
