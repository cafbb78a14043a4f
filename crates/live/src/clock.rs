//! Media time and wall time of one publisher: `ArrivalClock` for sources that say nothing of when they captured
//! (RTMP), `Align` for those that do (RTP with sender reports).

mod align;
mod arrival;

pub use align::{Align, Aligned};
pub use arrival::ArrivalClock;

/// The fastest that a mapping is moved, as a part of the time that goes by: 0.5 %, which nobody hears or sees.
const SLEW_PER_SECOND_US: i64 = 5_000;
