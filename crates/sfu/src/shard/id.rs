//! Numbers of legs and tracks. Each says which shard its owner talks to about it: its home, wherever the thing itself lives.

/// Shards that a number can name.
pub const SHARDS_MAX: usize = 1 << HOME_BITS;
const HOME_BITS: u32 = 8;
const NUMBER_BITS: u32 = u64::BITS - HOME_BITS;

/// Number of a leg, unique in a process. Its first byte is the number of its home shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u64);

/// Number of a track, unique in a process. Its first byte is the number of its home shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u64);

impl LegId {
    /// The `number`th leg, of which 2^56 can be told apart, with a home below `SHARDS_MAX`.
    pub fn new(home: usize, number: u64) -> Self {
        Self(with_home(home, number))
    }

    /// The shard that commands about it go to.
    pub fn home(self) -> usize {
        home_of(self.0)
    }
}

impl TrackId {
    /// The `number`th track, of which 2^56 can be told apart, with a home below `SHARDS_MAX`.
    pub fn new(home: usize, number: u64) -> Self {
        Self(with_home(home, number))
    }

    /// The shard that commands about it go to.
    pub fn home(self) -> usize {
        home_of(self.0)
    }
}

fn with_home(home: usize, number: u64) -> u64 {
    debug_assert!(home < SHARDS_MAX && number >> NUMBER_BITS == 0);
    ((home % SHARDS_MAX) as u64) << NUMBER_BITS | (number & ((1 << NUMBER_BITS) - 1))
}

fn home_of(id: u64) -> usize {
    (id >> NUMBER_BITS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_its_home_and_no_two_are_alike() {
        for home in [0, 1, 200, SHARDS_MAX - 1] {
            for number in [0, 1, (1 << NUMBER_BITS) - 1] {
                assert_eq!((LegId::new(home, number).home(), TrackId::new(home, number).home()), (home, home));
            }
        }
        assert_ne!(LegId::new(1, 7), LegId::new(2, 7));
        assert_ne!(LegId::new(1, 7), LegId::new(1, 8));
    }
}
