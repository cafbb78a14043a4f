//! When bytes may go: a token bucket in front of the socket. A whole picture of a healthy viewer passes at once; key
//! frames and what was kept for the start are spread.

/// The bucket. Tokens are bytes.
pub(super) struct Pacer {
    tokens: f64,
    rate_bps: f64,
    filled_us: u64,
}

/// The bucket holds this much of its rate.
const DEPTH_US: f64 = 40_000.0;
/// And no less than this: five packets.
const DEPTH_BYTES_MIN: f64 = 6_000.0;
/// Less than a packet is not worth a turn.
const PACKET_BYTES: f64 = 1_200.0;

impl Pacer {
    /// Begins with more than the bucket holds, which is what the start may send at once.
    pub(super) fn new(rate_bps: f64, start_bytes: usize) -> Self {
        Self { tokens: start_bytes as f64, rate_bps, filled_us: 0 }
    }

    pub(super) fn set_rate(&mut self, now_us: u64, rate_bps: f64) {
        self.fill(now_us);
        self.rate_bps = rate_bps;
        // Something is known now: neither the start nor a faster rate has a claim any more.
        self.tokens = self.tokens.min(self.depth());
    }

    pub(super) fn sent(&mut self, now_us: u64, bytes: usize) {
        self.fill(now_us);
        // What passes by unasked (sound, repairs) is owed, up to as much as the bucket holds.
        self.tokens = (self.tokens - bytes as f64).max(-self.depth());
    }

    /// Bytes that may go now.
    pub(super) fn allowance(&mut self, now_us: u64) -> usize {
        self.fill(now_us);
        self.tokens.max(0.0) as usize
    }

    /// When there is room for a packet again; `None` where there is.
    pub(super) fn room_us(&self) -> Option<u64> {
        let short = PACKET_BYTES - self.tokens;
        (short > 0.0).then(|| self.filled_us + (8e6 * short / self.rate_bps.max(1.0)) as u64 + 1)
    }

    fn fill(&mut self, now_us: u64) {
        let passed_us = now_us.saturating_sub(self.filled_us);
        self.filled_us = self.filled_us.max(now_us);
        // What exceeds the bucket is that of the start; it is not filled up again.
        if self.tokens < self.depth() {
            self.tokens = (self.tokens + self.rate_bps * passed_us as f64 / 8e6).min(self.depth());
        }
    }

    fn depth(&self) -> f64 {
        (self.rate_bps * DEPTH_US / 8e6).max(DEPTH_BYTES_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_a_burst_through_and_then_the_rate() {
        let mut pacer = Pacer::new(2_400_000.0, 30_000);
        assert_eq!(pacer.allowance(0), 30_000);
        pacer.sent(0, 30_000);
        assert_eq!((pacer.allowance(0), pacer.room_us()), (0, Some(4_001)));
        assert_eq!(pacer.allowance(4_001), 1_200);
        assert_eq!(pacer.room_us(), None);
        assert_eq!(pacer.allowance(1_000_000), 12_000, "40 ms of 2.4 Mbit/s");
        pacer.sent(1_000_000, 100_000);
        assert_eq!(pacer.allowance(1_040_000), 0, "what was owed");
        assert_eq!(pacer.allowance(1_080_000), 12_000);
        pacer.set_rate(1_080_000, 100_000.0);
        pacer.sent(1_080_000, 12_000);
        assert_eq!(pacer.allowance(10_000_000), 6_000, "never less than five packets");
    }
}
