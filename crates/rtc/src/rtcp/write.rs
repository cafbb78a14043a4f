//! Writing RTCP: each function writes one packet at the beginning of a space and says how many bytes it took, 0 where
//! the space is too small or the packet cannot be. A compound packet is several, one behind the other.

use media::Ssrc;

use super::{
    APPLICATION, BYE, DESCRIPTION, FIR, HEADER, NACK, PADDED, PAYLOAD_FEEDBACK, PLI, RECEIVER_REPORT, SENDER_REPORT,
    TRANSPORT_FEEDBACK, TRANSPORT_WIDE, VERSION,
    feedback::REMB,
    report::{BLOCKS_MAX, CNAME, ReportBlock, SenderInfo},
    transport::{DELTA_TICK_US, LARGE, REFERENCE_TICK_US, SMALL},
};

/// Statuses that one feedback packet is written with, at most.
pub const WRITTEN_STATUSES_MAX: usize = 512;

/// A sender report, RFC 3550 section 6.4.1, with up to [`BLOCKS_MAX`] blocks.
pub fn sender_report(out: &mut [u8], info: &SenderInfo, blocks: &[ReportBlock]) -> usize {
    packet(out, SENDER_REPORT, u8::try_from(blocks.len()).unwrap_or(u8::MAX), |space| {
        space.put(&info.ssrc.0.to_be_bytes())?;
        space.put(&info.ntp.to_be_bytes())?;
        space.put(&info.rtp_time.to_be_bytes())?;
        space.put(&info.packets.to_be_bytes())?;
        space.put(&info.octets.to_be_bytes())?;
        space.put_blocks(blocks)
    })
}

/// A receiver report, RFC 3550 section 6.4.2, with up to [`BLOCKS_MAX`] blocks.
pub fn receiver_report(out: &mut [u8], ssrc: Ssrc, blocks: &[ReportBlock]) -> usize {
    packet(out, RECEIVER_REPORT, u8::try_from(blocks.len()).unwrap_or(u8::MAX), |space| {
        space.put(&ssrc.0.to_be_bytes())?;
        space.put_blocks(blocks)
    })
}

/// A description with nothing but a canonical name of up to 255 bytes, RFC 3550 section 6.5.1.
pub fn sdes_cname(out: &mut [u8], ssrc: Ssrc, cname: &str) -> usize {
    packet(out, DESCRIPTION, 1, |space| {
        space.put(&ssrc.0.to_be_bytes())?;
        space.put(&[CNAME, u8::try_from(cname.len()).ok()?])?;
        space.put(cname.as_bytes())?;
        // At least one zero ends the items, and zeros fill the word.
        let zeros = 4 - space.at % 4;
        space.put([0; 4].get(..zeros)?)
    })
}

/// A source leaves, RFC 3550 section 6.6.
pub fn bye(out: &mut [u8], ssrc: Ssrc) -> usize {
    packet(out, BYE, 1, |space| space.put(&ssrc.0.to_be_bytes()))
}

/// Packets that are missing, RFC 4585 section 6.2.1. The numbers come in the order in which they were sent.
pub fn nack(out: &mut [u8], sender: Ssrc, media: Ssrc, numbers: &[u16]) -> usize {
    packet(out, TRANSPORT_FEEDBACK, NACK, |space| {
        space.put(&sender.0.to_be_bytes())?;
        space.put(&media.0.to_be_bytes())?;
        let mut rest = numbers.iter().copied().peekable();
        while let Some(first) = rest.next() {
            let mut further = 0u16;
            while let Some(bit) =
                rest.peek().map(|next| next.wrapping_sub(first).wrapping_sub(1)).filter(|bit| *bit < 16)
            {
                further |= 1 << bit;
                rest.next();
            }
            space.put(&first.to_be_bytes())?;
            space.put(&further.to_be_bytes())?;
        }
        (!numbers.is_empty()).then_some(())
    })
}

/// A picture is lost, RFC 4585 section 6.3.1.
pub fn pli(out: &mut [u8], sender: Ssrc, media: Ssrc) -> usize {
    packet(out, PAYLOAD_FEEDBACK, PLI, |space| {
        space.put(&sender.0.to_be_bytes())?;
        space.put(&media.0.to_be_bytes())
    })
}

/// A key frame is wanted, RFC 5104 section 4.3.1; the number is raised by one for each new request.
pub fn fir(out: &mut [u8], sender: Ssrc, media: Ssrc, number: u8) -> usize {
    packet(out, PAYLOAD_FEEDBACK, FIR, |space| {
        space.put(&sender.0.to_be_bytes())?;
        space.put(&[0; 4])?;
        space.put(&media.0.to_be_bytes())?;
        space.put(&[number, 0, 0, 0])
    })
}

/// What is believed to fit, draft-alvestrand-rmcat-remb-03; cut to 18 significant bits.
pub fn remb(out: &mut [u8], sender: Ssrc, bitrate_bps: u64, media: &[Ssrc]) -> usize {
    packet(out, PAYLOAD_FEEDBACK, APPLICATION, |space| {
        let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(18);
        let [.., high, middle, low] = (bitrate_bps >> exponent).to_be_bytes();
        space.put(&sender.0.to_be_bytes())?;
        space.put(&[0; 4])?;
        space.put(&REMB)?;
        space.put(&[u8::try_from(media.len()).ok()?, u8::try_from(exponent).ok()? << 2 | high, middle, low])?;
        media.iter().try_for_each(|ssrc| space.put(&ssrc.0.to_be_bytes()))
    })
}

/// Transport-wide feedback, from the number `base` on: for each what time it arrived at in microseconds of the
/// receiver's own clock, `None` where it did not. `count` is raised by one for each feedback. Gives the bytes written and
/// how many statuses they cover: a delta that is too large for the format ends the packet early, and the rest goes into
/// the next one. Nothing is written where none of the statuses arrived.
pub fn transport_feedback(
    out: &mut [u8],
    sender: Ssrc,
    media: Ssrc,
    base: u16,
    count: u8,
    statuses: &[Option<i64>],
) -> (usize, usize) {
    let Some(first_us) = statuses.iter().copied().flatten().next() else { return (0, 0) };
    let reference = first_us.div_euclid(REFERENCE_TICK_US);
    let mut symbols = [0u8; WRITTEN_STATUSES_MAX];
    let mut at = reference * (REFERENCE_TICK_US / DELTA_TICK_US);
    let mut covered = 0;
    for (symbol, arrived) in symbols.iter_mut().zip(statuses) {
        if let Some(arrived_us) = arrived {
            let delta = arrived_us.div_euclid(DELTA_TICK_US) - at;
            let Ok(_) = i16::try_from(delta) else { break };
            *symbol = if u8::try_from(delta).is_ok() { SMALL } else { LARGE };
            at += delta;
        }
        covered += 1;
    }
    let (Some(symbols), Some(statuses)) = (symbols.get(..covered), statuses.get(..covered)) else { return (0, 0) };
    let written = packet(out, TRANSPORT_FEEDBACK, TRANSPORT_WIDE, |space| {
        space.put(&sender.0.to_be_bytes())?;
        space.put(&media.0.to_be_bytes())?;
        space.put(&base.to_be_bytes())?;
        space.put(&u16::try_from(covered).ok()?.to_be_bytes())?;
        let [.., r0, r1, r2] = reference.to_be_bytes();
        space.put(&[r0, r1, r2, count])?;
        space.put_chunks(symbols)?;
        let mut at = reference * (REFERENCE_TICK_US / DELTA_TICK_US);
        statuses.iter().flatten().try_for_each(|arrived_us| {
            let delta = arrived_us.div_euclid(DELTA_TICK_US) - at;
            at += delta;
            match u8::try_from(delta) {
                Ok(small) => space.put(&[small]),
                Err(_) => space.put(&i16::try_from(delta).ok()?.to_be_bytes()),
            }
        })
    });
    (written, if written == 0 { 0 } else { covered })
}

/// Writes header and body, and pads them to a word.
fn packet(out: &mut [u8], kind: u8, count: u8, body: impl FnOnce(&mut Space<'_>) -> Option<()>) -> usize {
    let mut space = Space { out, at: HEADER };
    let written = (usize::from(count) <= BLOCKS_MAX).then_some(()).and_then(|()| body(&mut space));
    let padding = (4 - space.at % 4) % 4;
    let padded = padding == 0 || [0, 0, padding as u8].get(3 - padding..).and_then(|zeros| space.put(zeros)).is_some();
    let length = space.at;
    let words = u16::try_from(length / 4 - 1);
    let (Some(()), true, Ok(words), Some(header)) = (written, padded, words, out.first_chunk_mut::<HEADER>()) else {
        return 0;
    };
    let [high, low] = words.to_be_bytes();
    *header = [VERSION << 6 | if padding == 0 { 0 } else { PADDED } | count, kind, high, low];
    length
}

struct Space<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Space<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at + bytes.len();
        self.out.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    fn put_blocks(&mut self, blocks: &[ReportBlock]) -> Option<()> {
        blocks.iter().try_for_each(|block| {
            let [_, l0, l1, l2] = block.lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
            self.put(&block.ssrc.0.to_be_bytes())?;
            self.put(&[block.fraction_lost, l0, l1, l2])?;
            self.put(&block.highest.to_be_bytes())?;
            self.put(&block.jitter.to_be_bytes())?;
            self.put(&block.last_report.to_be_bytes())?;
            self.put(&block.since_last_report.to_be_bytes())
        })
    }

    /// The shortest chunk for what comes next: a run where it is longer than a vector, else one bit each, else two.
    /// Large deltas go into vectors only: str0m 0.25 loses its place behind a run of them.
    fn put_chunks(&mut self, mut symbols: &[u8]) -> Option<()> {
        while let Some(&first) = symbols.first() {
            let run = symbols.iter().take_while(|symbol| **symbol == first).count();
            let narrow = symbols.iter().take(14).all(|symbol| *symbol < LARGE);
            let (word, taken) = if first < LARGE && run >= symbols.len().min(if narrow { 14 } else { 7 }) {
                (u16::from(first) << 13 | u16::try_from(run).ok()?, run)
            } else if narrow {
                (0x8000 | vector(symbols, 14, 1), 14)
            } else {
                (0xc000 | vector(symbols, 7, 2), 7)
            };
            self.put(&word.to_be_bytes())?;
            symbols = symbols.get(taken..).unwrap_or_default();
        }
        Some(())
    }
}

/// The next symbols side by side, the first one highest.
fn vector(symbols: &[u8], count: usize, bits: u32) -> u16 {
    let padded = symbols.iter().copied().chain(std::iter::repeat(0)).take(count);
    padded.fold(0, |word, symbol| word << bits | u16::from(symbol))
}
