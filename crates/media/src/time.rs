//! Two of the three clocks: media time and wall time. The third, the monotonic `std::time::Instant`, is handed in.

use std::ops::{Add, Sub};

/// A point on a track's own clock: ticks at the track's clock rate since the stream's origin. It never wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaTime(pub i64);

impl MediaTime {
    /// The same point on a clock of another rate, rounded to the nearest tick. Rates are in Hz; a rate of 0 counts as 1.
    pub fn rescale(self, from_hz: u32, to_hz: u32) -> Self {
        let (from, to) = (i128::from(from_hz.max(1)), i128::from(to_hz));
        let scaled = (i128::from(self.0) * to + from / 2).div_euclid(from);
        Self(i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Milliseconds on a clock of `rate_hz`, rounded to the nearest.
    pub fn as_millis(self, rate_hz: u32) -> i64 {
        self.rescale(rate_hz, 1_000).0
    }

    /// Microseconds on a clock of `rate_hz`, rounded to the nearest.
    pub fn as_micros(self, rate_hz: u32) -> i64 {
        self.rescale(rate_hz, 1_000_000).0
    }
}

impl Add<i64> for MediaTime {
    type Output = Self;
    fn add(self, ticks: i64) -> Self {
        Self(self.0.saturating_add(ticks))
    }
}

impl Sub for MediaTime {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// Wall clock: microseconds since the Unix epoch, as the server believes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i64);

impl WallTime {
    /// Seconds between the NTP epoch (1900) and the Unix epoch (1970), RFC 868.
    pub const NTP_OFFSET_S: u64 = 2_208_988_800;

    /// From a 64-bit NTP timestamp (RFC 3550 section 4): seconds since 1900 and a binary fraction.
    pub fn from_ntp(ntp: u64) -> Self {
        let seconds = i64::try_from(ntp >> 32).unwrap_or(0) - Self::NTP_OFFSET_S as i64;
        let micros = ((ntp & 0xffff_ffff) * 1_000_000) >> 32;
        Self(seconds * 1_000_000 + i64::try_from(micros).unwrap_or(0))
    }

    /// As a 64-bit NTP timestamp (RFC 3550 section 4). Times before 1900 count as 1900.
    pub fn to_ntp(self) -> u64 {
        let micros = u128::try_from(i128::from(self.0) + i128::from(Self::NTP_OFFSET_S) * 1_000_000).unwrap_or(0);
        u64::try_from((micros << 32) / 1_000_000).unwrap_or(u64::MAX)
    }
}

impl Add<i64> for WallTime {
    type Output = Self;
    fn add(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for WallTime {
    type Output = i64;
    /// Microseconds between the two.
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn milliseconds_of_rtmp_survive_every_clock_that_we_use() {
        for rate in [44_100, 48_000, 90_000, 22_050] {
            for ms in [0, 1, 23, 33, 46, 1_000, 4_294_967_295, 5_000_000_000] {
                assert_eq!(MediaTime(ms).rescale(1_000, rate).as_millis(rate), ms, "{ms} ms at {rate} Hz");
            }
        }
    }

    #[test]
    fn a_rate_of_zero_is_not_a_crash() {
        assert_eq!(MediaTime(7).rescale(0, 1), MediaTime(7));
    }

    proptest! {
        #[test]
        fn ntp_there_and_back_is_within_a_microsecond(us in 0i64..4_000_000_000_000_000) {
            let back = WallTime::from_ntp(WallTime(us % 2_000_000_000_000_000).to_ntp());
            prop_assert!((back - WallTime(us % 2_000_000_000_000_000)).abs() <= 1);
        }

        #[test]
        fn rescale_never_panics(t in any::<i64>(), a in any::<u32>(), b in any::<u32>()) {
            let _ = MediaTime(t).rescale(a, b);
        }
    }
}
