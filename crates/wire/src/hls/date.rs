//! Wall time as ISO 8601 writes it, in UTC with milliseconds: `2023-11-14T22:13:20.000Z`.

use std::fmt::{Display, Formatter, Result};

use media::WallTime;

const DAY_MS: i64 = 86_400_000;
/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const EPOCH_DAYS: i64 = 719_468;
/// Days in 400 years.
const ERA_DAYS: i64 = 146_097;

/// Writes a wall time; what is below a millisecond is cut.
pub(super) struct Date(pub(super) WallTime);

impl Display for Date {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let ms = self.0.0.div_euclid(1_000);
        let (year, month, day) = civil(ms.div_euclid(DAY_MS));
        let of_day = ms.rem_euclid(DAY_MS);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, ms) = (of_day / 1_000 % 60, of_day % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

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
            assert_eq!(Date(WallTime(seconds * 1_000_000)).to_string(), text);
        }
        assert_eq!(Date(WallTime(1_999)).to_string(), "1970-01-01T00:00:00.001Z");
        let _ = Date(WallTime(i64::MIN)).to_string();
        let _ = Date(WallTime(i64::MAX)).to_string();
    }
}
