//! What is known of the way to a peer and back.

use std::time::{Duration, Instant};

/// What is known of the way to a peer and back; nothing where nobody has said it yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// How sound arrives.
    pub audio: Option<Delivery>,
    /// How the picture arrives.
    pub video: Option<Delivery>,
    /// There and back.
    pub round_trip: Option<Duration>,
    /// Bits a second that fit to the peer.
    pub estimate_bps: Option<u64>,
    /// Datagrams and requests of the peer's that were not taken: malformed, not authentic, or more than there may be.
    pub refused: u64,
}

/// How packets of one kind arrive: at the peer, as it reported last, where we send; here, where we receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Packets that did not arrive, since the beginning. Here those that came when asked for again are none of them; a
    /// peer may count as it likes.
    pub lost: u64,
    /// How many of 256 packets that was, lately.
    pub lost_share: u8,
    /// Jitter as RFC 3550 section 6.4.1 has it.
    pub jitter: Duration,
}

/// A step of sequence numbers that is wider is a new beginning of the sender's, and no loss.
const STEP_MAX: u64 = 512;
/// `Delivery::lost_share` is of so long.
const LATELY: Duration = Duration::from_secs(1);
/// Transit times that differ by more are those of a sender that has set its clock.
const TRANSIT_STEP_MAX: i64 = 1 << 28;

/// Counts how packets of one kind arrive here.
#[derive(Debug)]
pub(crate) struct Arrivals {
    rate_hz: u32,
    highest: Option<u64>,
    expected: u64,
    received: u64,
    /// `expected` and `received` when the second began.
    second: (Instant, u64, u64),
    lost_share: u8,
    transit: Option<i64>,
    /// Sixteenths of ticks.
    jitter: u64,
}

impl Arrivals {
    pub(crate) fn new(rate_hz: u32, now: Instant) -> Self {
        Self {
            rate_hz: rate_hz.max(1),
            highest: None,
            expected: 0,
            received: 0,
            second: (now, 0, 0),
            lost_share: 0,
            transit: None,
            jitter: 0,
        }
    }

    /// A packet came: its number and RTP time, both extended, and when it came since any beginning. Each comes once.
    pub(crate) fn note(&mut self, now: Instant, seq: u64, time: i64, arrived: Duration) {
        self.received += 1;
        let step = self.highest.map_or(1, |highest| seq.saturating_sub(highest));
        self.expected += if step > STEP_MAX { 1 } else { step };
        self.highest = self.highest.max(Some(seq));
        let ticks = arrived.as_micros() * u128::from(self.rate_hz) / 1_000_000;
        let transit = i64::try_from(ticks).unwrap_or(i64::MAX).saturating_sub(time);
        if let Some(before) = self.transit.replace(transit) {
            let step = transit.saturating_sub(before).saturating_abs().min(TRANSIT_STEP_MAX);
            // RFC 3550 appendix A.8.
            self.jitter = (self.jitter + step.unsigned_abs()).saturating_sub((self.jitter + 8) >> 4);
        }
        let (since, expected, lost) = self.second;
        if now.saturating_duration_since(since) >= LATELY {
            let (expected, lost) = (self.expected.saturating_sub(expected), self.lost().saturating_sub(lost));
            self.lost_share = u8::try_from(lost * 256 / expected.max(1)).unwrap_or(u8::MAX);
            self.second = (now, self.expected, self.lost());
        }
    }

    fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// What is known; nothing before the first packet.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        self.highest?;
        let jitter = ticks(self.jitter >> 4, self.rate_hz);
        Some(Delivery { lost: self.lost(), lost_share: self.lost_share, jitter })
    }
}

/// Ticks of a clock as time.
pub(crate) fn ticks(ticks: u64, rate_hz: u32) -> Duration {
    Duration::from_micros(ticks.saturating_mul(1_000_000) / u64::from(rate_hz.max(1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Packets of 90 kHz, 10 ms apart.
    fn after(numbers: impl IntoIterator<Item = u64>, late_ms: impl Fn(u64) -> u64) -> Delivery {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(90_000, now);
        assert_eq!(arrivals.delivery(), None);
        for seq in numbers {
            let arrived = Duration::from_millis(10 * seq + late_ms(seq));
            arrivals.note(now + arrived, seq, 900 * seq as i64, arrived);
        }
        arrivals.delivery().unwrap()
    }

    #[test]
    fn what_comes_late_is_not_lost_and_a_new_beginning_is_no_loss() {
        assert_eq!(after(0..1_000, |_| 0), Delivery::default());
        assert_eq!(after([5, 7, 8, 6, 9], |_| 0).lost, 0);
        assert_eq!(after([5, 7, 9], |_| 0).lost, 2);
        assert_eq!(after([5, 40_000, 40_001, 40_003], |_| 0).lost, 1);
    }

    #[test]
    fn the_share_is_of_the_last_second_and_jitter_is_that_of_the_rfc() {
        let tenth = |seq: &u64| !seq.is_multiple_of(10);
        let lossy = after((1..501).filter(tenth), |_| 0);
        assert_eq!((lossy.lost, lossy.lost_share), (49, 25));
        let whole = after((1..501).filter(tenth).chain(501..800), |_| 0);
        assert_eq!((whole.lost, whole.lost_share), (50, 0));
        let jitter = after(0..2_000, |seq| seq % 2 * 4).jitter;
        assert!((3_800..4_200).contains(&jitter.as_micros()), "{jitter:?}");
    }

    proptest! {
        #[test]
        fn any_numbers_and_times_are_counted_without_harm(
            packets in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<u64>(), 0..3_000u64), 1..50),
            rate_hz in any::<u32>(),
        ) {
            let mut now = Instant::now();
            let mut arrivals = Arrivals::new(rate_hz, now);
            for (seq, time, arrived, pause_ms) in packets {
                now += Duration::from_millis(pause_ms);
                arrivals.note(now, seq, time, Duration::from_micros(arrived));
            }
            prop_assert!(arrivals.delivery().is_some());
        }
    }
}
