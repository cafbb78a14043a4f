//! Transport-wide feedback: draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.

/// Statuses read of one feedback packet, at most: eight times what a viewer of ours remembers having sent.
pub const STATUSES_MAX: usize = 4_096;
/// What one of the reference time stands for.
pub const REFERENCE_TICK_US: i64 = 64_000;

/// Which packets of a transport arrived, and when.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    /// The transport-wide number of its first status.
    pub base: u16,
    /// How many statuses it has; [`Feedback::packets`] gives no more than [`STATUSES_MAX`] of them.
    pub status_count: u16,
    /// A point on the receiver's clock in units of [`REFERENCE_TICK_US`]: 24 bits with sign.
    pub reference: i32,
    /// Counts the feedback packets; wraps.
    pub count: u8,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
}

/// The symbols of a status.
const MISSING: u8 = 0;
pub(super) const SMALL: u8 = 1;
pub(super) const LARGE: u8 = 2;
/// What one of a delta stands for.
pub(super) const DELTA_TICK_US: i64 = 250;
/// Two numbers, reference time and count, behind the two sources.
pub(super) const FIXED: usize = 16;

impl<'a> Feedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (&[.., b0, b1, s0, s1, r0, r1, r2, count], rest) = body.split_first_chunk::<FIXED>()?;
        let status_count = u16::from_be_bytes([s0, s1]);
        let (mut left, mut chunks, mut delta_bytes) = (status_count, 0, 0);
        let words = rest.as_chunks::<2>().0;
        while left > 0 {
            let chunk = Chunk::read(*words.get(chunks)?)?;
            let statuses = chunk.statuses().min(left);
            if statuses == 0 {
                return None;
            }
            delta_bytes += chunk.delta_bytes(statuses)?;
            left -= statuses;
            chunks += 1;
        }
        Some(Self {
            base: u16::from_be_bytes([b0, b1]),
            status_count,
            reference: i32::from_be_bytes([r0, r1, r2, 0]) >> 8,
            count,
            chunks: words.get(..chunks)?,
            // What follows the last delta is padding, with or without the bit that says so.
            deltas: rest.get(2 * chunks..)?.get(..delta_bytes)?,
        })
    }

    /// Every status in order: the transport-wide number, and for a packet that arrived when: microseconds from the
    /// reference time, which may lie before it.
    pub fn packets(&self) -> impl Iterator<Item = (u16, Option<i64>)> + use<'a> {
        let (mut chunks, mut deltas) = (self.chunks.iter(), self.deltas);
        let (mut chunk, mut left, mut at_us) = (Chunk::Run { symbol: MISSING, length: 0 }, 0, 0);
        let (base, statuses) = (self.base, self.status_count.min(STATUSES_MAX as u16));
        let mut position = 0;
        (0..statuses).map_while(move |number| {
            if position == left {
                chunk = Chunk::read(*chunks.next()?)?;
                (position, left) = (0, chunk.statuses());
            }
            let delta = match chunk.symbol(position) {
                SMALL => {
                    let (&delta, rest) = deltas.split_first()?;
                    deltas = rest;
                    Some(i64::from(delta))
                }
                LARGE => {
                    let (&delta, rest) = deltas.split_first_chunk::<2>()?;
                    deltas = rest;
                    Some(i64::from(i16::from_be_bytes(delta)))
                }
                _ => None,
            };
            position += 1;
            let arrived = delta.map(|delta| {
                at_us += delta * DELTA_TICK_US;
                at_us
            });
            Some((base.wrapping_add(number), arrived))
        })
    }
}

/// A chunk of statuses, sections 3.1.3 and 3.1.4 of the draft.
#[derive(Clone, Copy)]
enum Chunk {
    /// The same symbol several times.
    Run { symbol: u8, length: u16 },
    /// 14 symbols of one bit: missing, or a small delta.
    OneBit(u16),
    /// 7 symbols of two bits.
    TwoBits(u16),
}

impl Chunk {
    /// `None` for a run of the reserved symbol, whose deltas have no known length.
    fn read(bytes: [u8; 2]) -> Option<Self> {
        let word = u16::from_be_bytes(bytes);
        match word >> 14 {
            0b10 => Some(Self::OneBit(word & 0x3fff)),
            0b11 => Some(Self::TwoBits(word & 0x3fff)),
            _ => {
                let (symbol, length) = ((word >> 13) as u8, word & 0x1fff);
                (symbol <= LARGE).then_some(Self::Run { symbol, length })
            }
        }
    }

    fn statuses(self) -> u16 {
        match self {
            Self::Run { length, .. } => length,
            Self::OneBit(_) => 14,
            Self::TwoBits(_) => 7,
        }
    }

    fn symbol(self, position: u16) -> u8 {
        match self {
            Self::Run { symbol, .. } => symbol,
            Self::OneBit(bits) => (bits >> 13u16.saturating_sub(position) & 1) as u8,
            Self::TwoBits(bits) => (bits >> 12u16.saturating_sub(2 * position) & 3) as u8,
        }
    }

    /// What the deltas of its first statuses take; `None` where one of them is reserved.
    fn delta_bytes(self, statuses: u16) -> Option<usize> {
        match self {
            Self::Run { symbol, .. } => Some(usize::from(symbol) * usize::from(statuses)),
            Self::OneBit(bits) => Some((bits >> (14 - statuses.min(14))).count_ones() as usize),
            Self::TwoBits(bits) => {
                let used = bits >> (14 - 2 * statuses.min(7));
                let (high, low) = (used >> 1 & 0x1555, used & 0x1555);
                (high & low == 0).then_some(2 * high.count_ones() as usize + low.count_ones() as usize)
            }
        }
    }
}
