//! Which layer of a picture a viewer is sent: down at once, up only with room to spare.

use std::time::{Duration, Instant};

/// A higher layer needs this much more than its rate, held for [`HELD`], in tenths.
const SPARE_TENTHS: u64 = 12;
/// Or this much, where a probe has just proven it, in tenths.
const PROVEN_TENTHS: u64 = 11;
/// How long the room for a higher layer has to be there.
pub const HELD: Duration = Duration::from_secs(2);

/// What has to be remembered from one choice to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rising {
    /// The layer that there has been room for, and since when.
    since: Option<(usize, Instant)>,
}

/// The layer to send, as an index into `layers`, which are bits a second from the lowest to the highest. Down to the
/// highest layer that fits at once; up once a layer has fitted with a fifth to spare for [`HELD`], or a probe has proven
/// it. The lowest layer is given even where it does not fit.
pub fn choose_layer(
    rising: &mut Rising,
    now: Instant,
    estimate_bps: u64,
    proven_bps: Option<u64>,
    current: usize,
    layers: &[u64],
) -> usize {
    let highest = |bps: u64, tenths: u64| {
        let fits = |layer: &u64| layer.saturating_mul(tenths) <= bps.saturating_mul(10);
        layers.iter().rposition(fits).unwrap_or(0)
    };
    let current = current.min(layers.len().saturating_sub(1));
    let fits = highest(estimate_bps, 10);
    if fits < current {
        rising.since = None;
        return fits;
    }
    let proven = proven_bps.map_or(0, |bps| highest(bps.min(estimate_bps), PROVEN_TENTHS));
    if proven > current {
        rising.since = None;
        return proven;
    }
    let spare = highest(estimate_bps, SPARE_TENTHS);
    if spare <= current {
        rising.since = None;
        return current;
    }
    match rising.since {
        Some((layer, since)) if now.saturating_duration_since(since) >= HELD => {
            rising.since = None;
            layer.min(spare)
        }
        // Less room than before, but still for a higher one: the time counts.
        Some((layer, since)) => {
            rising.since = Some((layer.min(spare), since));
            current
        }
        None => {
            rising.since = Some((spare, now));
            current
        }
    }
}

/// The rate to ask for with `Bandwidth::want`: what the next higher layer needs; `None` at the highest.
pub fn wanted_bps(current: usize, layers: &[u64]) -> Option<u64> {
    layers.get(current.saturating_add(1)).map(|layer| layer.saturating_mul(PROVEN_TENTHS).div_ceil(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: [u64; 3] = [150_000, 500_000, 1_500_000];

    #[test]
    fn down_at_once_and_up_when_it_has_held() {
        let (mut rising, start) = (Rising::default(), Instant::now());
        let mut choose = |ms: u64, estimate: u64, current: usize| {
            choose_layer(&mut rising, start + Duration::from_millis(ms), estimate, None, current, &LAYERS)
        };
        assert_eq!(choose(0, 1_400_000, 2), 1);
        assert_eq!(choose(10, 499_999, 1), 0);
        assert_eq!(choose(20, 10_000, 0), 0, "the lowest is given even where it does not fit");
        assert_eq!(choose(30, 599_999, 0), 0);
        assert_eq!(choose(5_000, 599_999, 0), 0, "not a fifth to spare");
        assert_eq!(choose(5_100, 2_000_000, 0), 0);
        assert_eq!(choose(6_000, 700_000, 0), 0, "less room, and still room");
        assert_eq!(choose(7_100, 2_000_000, 0), 1, "what there was room for all the time");
        assert_eq!(choose(7_200, 2_000_000, 1), 1);
        assert_eq!(choose(8_000, 1_000_000, 1), 1, "lost");
        assert_eq!(choose(9_300, 2_000_000, 1), 1, "begins again");
        assert_eq!(choose(11_300, 2_000_000, 1), 2);
    }

    #[test]
    fn what_a_probe_has_proven_is_taken_at_once() {
        let (mut rising, now) = (Rising::default(), Instant::now());
        let mut choose = |estimate, proven| choose_layer(&mut rising, now, estimate, proven, 0, &LAYERS);
        assert_eq!(choose(560_000, Some(560_000)), 1);
        assert_eq!(choose(540_000, Some(2_000_000)), 0, "the estimate fell since");
        assert_eq!(wanted_bps(0, &LAYERS), Some(550_000));
        assert_eq!(wanted_bps(2, &LAYERS), None);
    }

    #[test]
    fn no_layers_and_huge_rates_are_no_trouble() {
        let (mut rising, now) = (Rising::default(), Instant::now());
        assert_eq!(choose_layer(&mut rising, now, u64::MAX, Some(u64::MAX), 7, &[]), 0);
        assert_eq!(choose_layer(&mut rising, now, 1, Some(u64::MAX), usize::MAX, &[u64::MAX; 2]), 0);
        assert_eq!(wanted_bps(usize::MAX, &LAYERS), None);
        assert_eq!(wanted_bps(0, &[1, u64::MAX]), Some(u64::MAX / 10 + 1), "saturates");
    }
}
