//! Which packets of a source were seen, RFC 3711 section 3.3.2, and which extended number a number stands for.

/// The last `WORDS` times 64 packets of one source: a ring of bits.
#[derive(Clone, Debug)]
pub(super) struct Window<const WORDS: usize> {
    highest: u64,
    seen: [u64; WORDS],
}

/// Why a packet is not new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// It was seen.
    Seen,
    /// It is older than what the window covers.
    Old,
}

impl<const WORDS: usize> Window<WORDS> {
    /// How many packets it covers.
    const SPAN: u64 = WORDS as u64 * 64;

    /// A window whose first packet is this one.
    pub(super) fn new(first: u64) -> Self {
        let mut window = Self { highest: first, seen: [0; WORDS] };
        window.set(first, true);
        window
    }

    /// The highest packet so far.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether a packet is new.
    pub(super) fn check(&self, index: u64) -> Result<(), Stale> {
        if index > self.highest {
            return Ok(());
        }
        if self.highest - index >= Self::SPAN {
            return Err(Stale::Old);
        }
        let (word, bit) = Self::place(index);
        match self.seen.get(word).is_some_and(|bits| bits & bit != 0) {
            true => Err(Stale::Seen),
            false => Ok(()),
        }
    }

    /// Remembers a packet that was new and authentic. Costs O(span) at most.
    pub(super) fn mark(&mut self, index: u64) {
        if index > self.highest {
            let jump = index - self.highest;
            if jump >= Self::SPAN {
                self.seen = [0; WORDS];
            } else {
                (self.highest + 1..index).for_each(|passed| self.set(passed, false));
            }
            self.highest = index;
        }
        self.set(index, true);
    }

    fn set(&mut self, index: u64, seen: bool) {
        let (word, bit) = Self::place(index);
        if let Some(bits) = self.seen.get_mut(word) {
            *bits = if seen { *bits | bit } else { *bits & !bit };
        }
    }

    fn place(index: u64) -> (usize, u64) {
        let slot = index % Self::SPAN;
        ((slot / 64) as usize, 1 << (slot % 64))
    }
}

/// The extended sequence number that `seq` most likely stands for, where `highest` is the highest so far, RFC 3711 section
/// 3.3.1; `None` where it would be older than the stream's beginning, or the rollover counter has run out.
pub(crate) fn extend(highest: u64, seq: u16) -> Option<u64> {
    let ahead = seq.wrapping_sub(highest as u16) as i16;
    let index = highest.checked_add_signed(i64::from(ahead))?;
    (index >> 48 == 0).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_a_window_ago_does_not_count_any_more() {
        let mut window = Window::<2>::new(5);
        window.mark(5 + 128 + 10);
        assert_eq!(window.check(5 + 128), Ok(()), "the same bit, another packet");
        assert_eq!((window.check(5 + 128 + 10), window.check(15)), (Err(Stale::Seen), Err(Stale::Old)));
    }

    #[test]
    fn numbers_are_extended_to_the_nearest_and_not_below_the_beginning() {
        assert_eq!(
            (extend(65_535, 0), extend(65_536, 65_535), extend(100, 200)),
            (Some(65_536), Some(65_535), Some(200))
        );
        assert_eq!((extend(3, 65_535), extend((1 << 48) - 1, 0)), (None, None));
    }
}
