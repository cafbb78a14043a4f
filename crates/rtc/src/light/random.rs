//! Names and numbers made of a seed, so that a simulation is the same each time.

/// `SplitMix64`. Whoever knows the seed knows it all, which is right for load and simulation and for nothing else.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// Letters of an ICE credential, RFC 8839 section 5.4.
    pub(super) fn letters(&mut self, count: usize) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let letter = |word: u64| LETTERS.get((word >> 58) as usize).copied().map_or('A', char::from);
        (0..count).map(|_| letter(self.word())).collect()
    }

    /// The number of a STUN request.
    pub(super) fn transaction(&mut self) -> [u8; 12] {
        let mut out = [0; 12];
        let (high, low) = out.split_at_mut(8);
        high.copy_from_slice(&self.word().to_be_bytes());
        low.copy_from_slice(&(self.word() as u32).to_be_bytes());
        out
    }
}
