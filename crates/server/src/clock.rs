//! The server's wall clock: the only place where the time of day is read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::media::WallTime;

/// Now, by the machine's clock.
pub fn wall_now() -> WallTime {
    WallTime(i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX))
}

/// Now in whole seconds since the Unix epoch, as tokens have it.
pub fn unix_now_s() -> u64 {
    since_epoch().as_secs()
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
