//! RTP headers (RFC 3550 section 5.1) with one-byte extensions (RFC 8285 section 4.2), written where they are sent from.

use media::WallTime;
use smallvec::SmallVec;

use crate::sdp::{Active, uri};

/// The longest block of extensions: a head, all that we write, and padding.
const BLOCK_MAX: usize = 64;
/// RTP without sources and extensions.
const FIXED: usize = 12;
/// Profile of one-byte extensions.
const ONE_BYTE: [u8; 2] = [0xbe, 0xde];

/// The numbers that the offer gave to header extensions of one m= line; 0 where it has not that one.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    send_time: u8,
    transport: u8,
    mid: u8,
    level: u8,
    capture: u8,
    playout: u8,
    mid_value: SmallVec<[u8; 16]>,
    playout_value: [u8; 3],
}

/// What a packet says in its extensions, where the offer has them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values {
    /// When it leaves.
    pub(super) sent: WallTime,
    /// The name of the m= line.
    pub(super) named: bool,
    /// Level of RFC 6464 in -dBov.
    pub(super) level: Option<u8>,
    /// When it was captured.
    pub(super) captured: Option<WallTime>,
}

/// The extensions of one packet.
pub(super) struct Block {
    bytes: [u8; BLOCK_MAX],
    length: usize,
    /// Where the transport-wide number goes.
    transport_at: Option<usize>,
}

/// The fixed header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    pub(super) pt: u8,
    pub(super) marker: bool,
    /// The payload ends with padding.
    pub(super) padded: bool,
    pub(super) seq: u16,
    pub(super) time: u32,
    pub(super) ssrc: u32,
}

impl Extensions {
    pub(super) fn new(active: &Active, playout_delay_ms: Option<(u16, u16)>) -> Self {
        let number = |name: &str| active.extensions.iter().find(|(_, known)| *known == name).map_or(0, |(id, _)| *id);
        // Twelve bits each, in 10 ms.
        let ticks = |ms: u16| u32::from(ms.min(40_950) / 10);
        let [_, a, b, c] = playout_delay_ms.map_or(0, |(min, max)| ticks(min) << 12 | ticks(max)).to_be_bytes();
        Self {
            send_time: number(uri::ABS_SEND_TIME),
            // Numbers without feedback about them say nothing.
            transport: active
                .formats
                .first()
                .filter(|format| format.transport_cc)
                .map_or(0, |_| number(uri::TRANSPORT_CC)),
            mid: number(uri::MID),
            level: number(uri::AUDIO_LEVEL),
            capture: number(uri::ABS_CAPTURE_TIME),
            playout: if playout_delay_ms.is_some() { number(uri::PLAYOUT_DELAY) } else { 0 },
            mid_value: active.inner_mid.bytes().take(16).collect(),
            playout_value: [a, b, c],
        }
    }

    /// Whether packets carry transport-wide numbers.
    pub(super) fn numbered(&self) -> bool {
        self.transport != 0
    }

    pub(super) fn block(&self, values: &Values) -> Block {
        let mut block = Block { bytes: [0; BLOCK_MAX], length: 4, transport_at: None };
        block.put(self.send_time, &send_time(values.sent));
        if self.transport != 0 {
            block.put(self.transport, &[0; 2]);
            block.transport_at = Some(block.length - 2);
        }
        block.put(self.playout, &self.playout_value);
        if let Some(level) = values.level {
            let level = level.min(127);
            block.put(self.level, &[if level < 127 { 0x80 | level } else { level }]);
        }
        if let Some(captured) = values.captured {
            // Time and the offset of our clock to it, which is none: it is our clock already.
            let mut value = [0; 16];
            if let Some(time) = value.first_chunk_mut() {
                *time = captured.to_ntp().to_be_bytes();
            }
            block.put(self.capture, &value);
        }
        if values.named && !self.mid_value.is_empty() {
            block.put(self.mid, &self.mid_value);
        }
        block.finish();
        block
    }
}

impl Block {
    fn put(&mut self, id: u8, value: &[u8]) {
        if id == 0 {
            return;
        }
        let end = self.length + 1 + value.len();
        if let Some([head, space @ ..]) = self.bytes.get_mut(self.length..end) {
            *head = id << 4 | (value.len() as u8).wrapping_sub(1) & 0x0f;
            space.copy_from_slice(value);
            self.length = end;
        }
    }

    fn finish(&mut self) {
        if self.length == 4 {
            self.length = 0;
            return;
        }
        self.length = self.length.next_multiple_of(4);
        let [a, b] = ONE_BYTE;
        if let Some(head) = self.bytes.first_chunk_mut() {
            *head = [a, b, 0, (self.length / 4 - 1) as u8];
        }
    }

    /// Length of the whole header.
    pub(super) fn header_len(&self) -> usize {
        FIXED + self.length
    }

    pub(super) fn number(&mut self, number: u16) {
        if let Some(space) = self.transport_at.and_then(|at| self.bytes.get_mut(at..at + 2)) {
            space.copy_from_slice(&number.to_be_bytes());
        }
    }

    /// Writes the header into the first `header_len` bytes.
    pub(super) fn write(&self, space: &mut [u8], fixed: Fixed) -> Option<()> {
        let (head, rest) = space.split_first_chunk_mut::<FIXED>()?;
        let [s0, s1] = fixed.seq.to_be_bytes();
        let [t0, t1, t2, t3] = fixed.time.to_be_bytes();
        let [i0, i1, i2, i3] = fixed.ssrc.to_be_bytes();
        let first = 0x80 | u8::from(fixed.padded) << 5 | u8::from(self.length > 0) << 4;
        *head = [first, u8::from(fixed.marker) << 7 | fixed.pt & 0x7f, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3];
        rest.get_mut(..self.length)?.copy_from_slice(self.bytes.get(..self.length)?);
        Some(())
    }
}

/// Seconds modulo 64 with 18 bits behind the point.
fn send_time(sent: WallTime) -> [u8; 3] {
    let micros = sent.0.rem_euclid(64_000_000);
    let [.., a, b, c] = ((micros << 18) / 1_000_000).to_be_bytes();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extensions() -> Extensions {
        Extensions {
            send_time: 2,
            transport: 3,
            mid: 4,
            level: 1,
            capture: 8,
            playout: 5,
            mid_value: SmallVec::from_slice(b"ab"),
            playout_value: [1, 2, 3],
        }
    }

    const FIXED_HEADER: Fixed =
        Fixed { pt: 96, marker: true, padded: false, seq: 0x1234, time: 0x5566_7788, ssrc: 0x99aa_bbcc };

    #[test]
    fn what_is_written_is_read_by_the_rules() {
        let values =
            Values { sent: WallTime(64_500_000), named: true, level: Some(30), captured: Some(WallTime(1_500_000)) };
        let mut block = extensions().block(&values);
        block.number(0xfedc);
        let mut space = [0; 100];
        block.write(&mut space, FIXED_HEADER).unwrap();
        assert_eq!(space[..12], [0x90, 0xe0, 0x12, 0x34, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc]);
        assert_eq!(space[12..16], [0xbe, 0xde, 0, 9]);
        assert_eq!(block.header_len(), 16 + 36);
        let expected = [
            &[0x22, 0x02, 0x00, 0x00][..],
            &[0x31, 0xfe, 0xdc, 0x52, 1, 2, 3, 0x10, 0x80 | 30, 0x8f],
            &WallTime(1_500_000).to_ntp().to_be_bytes(),
            &[0; 8],
            &[0x41, b'a', b'b', 0, 0, 0],
        ];
        assert_eq!(space[16..52], expected.concat());
    }

    #[test]
    fn nothing_negotiated_is_no_extension() {
        let values = Values { named: true, level: Some(1), captured: Some(WallTime(1)), ..Values::default() };
        let block = Extensions::default().block(&values);
        let mut space = [0; 12];
        block.write(&mut space, FIXED_HEADER).unwrap();
        assert_eq!((space[0], block.header_len()), (0x80, 12));
        block.write(&mut space, Fixed { padded: true, ..FIXED_HEADER }).unwrap();
        assert_eq!(space[0], 0xa0);
    }

    #[test]
    fn the_longest_of_all_fits() {
        let mut extensions = extensions();
        extensions.mid_value = SmallVec::from_slice(b"0123456789abcdef");
        let values = Values { sent: WallTime(-1), named: true, level: Some(255), captured: Some(WallTime(i64::MAX)) };
        let block = extensions.block(&values);
        assert_eq!(block.header_len(), 16 + (4 + 3 + 4 + 2 + 17 + 17usize).next_multiple_of(4));
    }
}
