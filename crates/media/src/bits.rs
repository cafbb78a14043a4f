//! Reading bits most significant first, with the Exp-Golomb codes of H.264 (ITU-T H.264 section 9.1).

/// Reads bits of a byte slice; every read past the end is `None`, never a panic.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at_bit: usize,
}

impl<'a> BitReader<'a> {
    /// A reader at the first bit of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at_bit: 0 }
    }

    /// One bit.
    pub fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at_bit / 8)?;
        let bit = byte >> (7 - self.at_bit % 8) & 1;
        self.at_bit += 1;
        Some(bit == 1)
    }

    /// An unsigned number of `count` bits, 32 at most.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..count.min(32) {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    /// Passes over `count` bits.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        let end = self.at_bit.checked_add(count)?;
        (end <= self.bytes.len().checked_mul(8)?).then(|| self.at_bit = end)
    }

    /// ue(v): an unsigned Exp-Golomb code.
    pub fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let tail = self.bits(zeros)?;
        ((1u64 << zeros) - 1 + u64::from(tail)).try_into().ok()
    }

    /// se(v): a signed Exp-Golomb code.
    pub fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        let magnitude = (code + 1) / 2;
        i32::try_from(if code % 2 == 1 { magnitude } else { -magnitude }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_table_of_the_standard() {
        // ITU-T H.264 table 9-2: 1, 010, 011, 00100, 00101
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((0..5).map(|_| bits.ue().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((0..5).map(|_| bits.se().unwrap()).collect::<Vec<_>>(), [0, 1, -1, 2, -2]);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64), ops in proptest::collection::vec(0u8..5, 0..64)) {
            let mut bits = BitReader::new(&bytes);
            for op in ops {
                match op {
                    0 => { bits.ue(); }
                    1 => { bits.se(); }
                    2 => { bits.bits(40); }
                    3 => { bits.skip(usize::MAX); }
                    _ => { bits.bit(); }
                }
            }
        }
    }
}
