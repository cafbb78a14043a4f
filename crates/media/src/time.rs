//! Two of the three clocks: media time and wall time. The third, the monotonic `std::time::Instant`, is handed in.

use std::{
    fmt,
    ops::{Add, Sub},
};

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

/// As ISO 8601 (and RFC 3339) write it, in UTC with milliseconds: `2023-11-14T22:13:20.000Z`. What is below is cut.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.div_euclid(1_000);
        let (year, month, day) = civil(ms.div_euclid(DAY_MS));
        let of_day = ms.rem_euclid(DAY_MS);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, ms) = (of_day / 1_000 % 60, of_day % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
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

const DAY_MS: i64 = 86_400_000;
/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const EPOCH_DAYS: i64 = 719_468;
/// Days in 400 years.
const ERA_DAYS: i64 = 146_097;

/// Year, month and day of a count of days since 1970-01-01. Years are counted from March, so that the leap day is the
/// last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months of 31, 30, 31, 30, 31 days repeat: 153 days.
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
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

    #[test]
    fn dates_that_are_known() {
        // By `date -u -d @... +%FT%T`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_700_000_000, "2023-11-14T22:13:20.000Z"),
            (1_709_164_799, "2024-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(WallTime(seconds * 1_000_000).to_string(), text);
        }
        assert_eq!(WallTime(1_999).to_string(), "1970-01-01T00:00:00.001Z");
        let _ = WallTime(i64::MIN).to_string();
        let _ = WallTime(i64::MAX).to_string();
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
