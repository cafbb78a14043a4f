//! The time of Alibaba's type B: twelve digits, YYYYMMDDHHMM, in UTC+8.

use media::WallTime;

/// How many digits it has.
pub(super) const DIGITS: usize = 12;
const ZONE_S: u64 = 8 * 3_600;
/// The last minute of 9999 in UTC+8: later ones have more digits.
const MAX_S: u64 = 253_402_300_740 - ZONE_S;

/// Seconds since 1970 of such a time; `None` where there is no such minute, or it is before 1970.
pub(super) fn read(text: &str) -> Option<u64> {
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (field(0, 4)?, field(4, 6)?, field(6, 8)?);
    let of_day = field(8, 10)? * 3_600 + field(10, 12)? * 60;
    let unix_s = (days(year, month, day)? * 86_400 + of_day).checked_sub(ZONE_S)?;
    // Written back it has to be the same: there is no 30 February and no hour 24.
    (write(unix_s).0 == text).then_some(unix_s)
}

/// The first such time that is not before this one, and its seconds since 1970.
pub(super) fn write(unix_s: u64) -> (String, u64) {
    let minute_s = unix_s.min(MAX_S).div_ceil(60) * 60;
    let micros = i64::try_from(minute_s + ZONE_S).unwrap_or(0) * 1_000_000;
    let digits = WallTime(micros).to_string().chars().filter(char::is_ascii_digit).take(DIGITS).collect();
    (digits, minute_s)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // Months of 31, 30, 31, 30, 31 days repeat: 153 days.
    (year * 365 + leap_days + (153 * month + 2) / 5 + day).checked_sub(719_469)
}
