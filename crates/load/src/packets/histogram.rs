//! Times of many packets in little memory: what is said of them is right to 1.6 %.

/// Bits of a value that are kept.
const BITS: u32 = 6;
/// Values below this are kept as they are.
const EXACT: u64 = 1 << BITS;
const BUCKETS: usize = ((64 - BITS as usize) + 1) << (BITS - 1);

/// How often each value was seen, in classes.
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    most: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS + EXACT as usize], total: 0, most: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(class(value)) {
            *count += 1;
        }
        self.total += 1;
        self.most = self.most.max(value);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, other)| *own += other);
        self.total += other.total;
        self.most = self.most.max(other.most);
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The value that so many of a thousand do not exceed; `None` where nothing was seen.
    pub(crate) fn permille(&self, permille: u64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let rank = (self.total * permille).div_ceil(1_000).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map(|class| greatest(class).min(self.most))
    }

    /// The greatest value.
    pub(crate) fn most(&self) -> Option<u64> {
        (self.total > 0).then_some(self.most)
    }
}

fn class(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let shift = u64::BITS - BITS - value.leading_zeros();
    (EXACT + u64::from(shift - 1) * (EXACT / 2) + (value >> shift) - EXACT / 2) as usize
}

/// The greatest value of a class.
fn greatest(class: usize) -> u64 {
    let class = class as u64;
    if class < EXACT {
        return class;
    }
    let (shift, low) = ((class - EXACT) / (EXACT / 2) + 1, (class - EXACT) % (EXACT / 2) + EXACT / 2);
    (low + 1).checked_mul(1 << shift).map_or(u64::MAX, |next| next - 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_within_its_class_and_near_its_end() {
        for value in (0..5_000).chain((5..62).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let end = greatest(class(value));
            assert!(end >= value && end - value <= value / 32, "{value} is said to be {end}");
            assert!(value == 0 || greatest(class(value) - usize::from(class(value) > 0)) < value || class(value) == 0);
        }
        let mut all = Histogram::default();
        all.add(u64::MAX);
        assert_eq!(all.permille(500), Some(u64::MAX));
    }

    #[test]
    fn ranks_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.permille(500), histogram.most()), (None, None));
        (1..=1_000).for_each(|value| histogram.add(value * 10));
        for (permille, expected) in [(500, 5_000_u64), (990, 9_900), (999, 9_990), (1_000, 10_000)] {
            let said = histogram.permille(permille).unwrap();
            assert!(said >= expected && said - expected <= expected / 32, "{permille}: {said}");
        }
        let mut twice = Histogram::default();
        twice.merge(&histogram);
        twice.merge(&histogram);
        assert_eq!((twice.count(), twice.permille(500), twice.most()), (2_000, histogram.permille(500), Some(10_000)));
    }
}
