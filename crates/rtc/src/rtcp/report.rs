//! Reports and descriptions: RFC 3550 sections 6.4 and 6.5.

use media::Ssrc;

/// Blocks in a report, at most: their count has five bits.
pub const BLOCKS_MAX: usize = 31;

/// A sender's clock and counts, and what it received of others.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// The sender and its clock.
    pub info: SenderInfo,
    blocks: Blocks<'a>,
}

/// The part of a sender report that is about the sender itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// Who sends.
    pub ssrc: Ssrc,
    /// The wall clock: seconds since 1900 and a binary fraction, as `WallTime::to_ntp` gives it.
    pub ntp: u64,
    /// The same moment on the track's clock, as written into RTP headers.
    pub rtp_time: u32,
    /// Packets sent so far; wraps.
    pub packets: u32,
    /// Bytes of payload sent so far; wraps.
    pub octets: u32,
}

/// What a receiver received.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    blocks: Blocks<'a>,
}

/// What was received of one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// Whose packets it is about.
    pub ssrc: Ssrc,
    /// Of 256, since the report before.
    pub fraction_lost: u8,
    /// Since the beginning; 24 bits with sign on the wire, and more received than expected is below 0.
    pub lost: i32,
    /// The highest sequence number received, and in the high 16 bits how often it wrapped.
    pub highest: u32,
    /// In ticks of the track's clock.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report that came, 0 for none.
    pub last_report: u32,
    /// How long ago that was, in 1/65,536 s.
    pub since_last_report: u32,
}

/// Who somebody is.
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    chunks: u8,
    body: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Blocks<'a>(&'a [[u8; BLOCK]]);

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (info, rest) = body.split_first_chunk::<INFO>()?;
        let &[a, b, c, d, n0, n1, n2, n3, n4, n5, n6, n7, rest_of_info @ ..] = info;
        let &[r0, r1, r2, r3, p0, p1, p2, p3, o0, o1, o2, o3] = &rest_of_info;
        let info = SenderInfo {
            ssrc: Ssrc(u32::from_be_bytes([a, b, c, d])),
            ntp: u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
            rtp_time: u32::from_be_bytes([r0, r1, r2, r3]),
            packets: u32::from_be_bytes([p0, p1, p2, p3]),
            octets: u32::from_be_bytes([o0, o1, o2, o3]),
        };
        Some(Self { info, blocks: Blocks::parse(count, rest)? })
    }

    /// What it received of others.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.blocks.read()
    }
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = body.split_first_chunk::<4>()?;
        Some(Self { ssrc: Ssrc(u32::from_be_bytes(*ssrc)), blocks: Blocks::parse(count, rest)? })
    }

    /// What it received, sender by sender.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.blocks.read()
    }
}

impl<'a> Blocks<'a> {
    /// As many as the header says; extensions of a profile may follow.
    fn parse(count: u8, bytes: &'a [u8]) -> Option<Self> {
        bytes.as_chunks::<BLOCK>().0.get(..usize::from(count)).map(Self)
    }

    fn read(self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.0.iter().map(ReportBlock::read)
    }
}

impl ReportBlock {
    fn read(bytes: &[u8; BLOCK]) -> Self {
        let &[a, b, c, d, fraction_lost, l0, l1, l2, h0, h1, h2, h3, rest @ ..] = bytes;
        let [j0, j1, j2, j3, r0, r1, r2, r3, s0, s1, s2, s3] = rest;
        Self {
            ssrc: Ssrc(u32::from_be_bytes([a, b, c, d])),
            fraction_lost,
            // Sign-extends 24 bits.
            lost: i32::from_be_bytes([l0, l1, l2, 0]) >> 8,
            highest: u32::from_be_bytes([h0, h1, h2, h3]),
            jitter: u32::from_be_bytes([j0, j1, j2, j3]),
            last_report: u32::from_be_bytes([r0, r1, r2, r3]),
            since_last_report: u32::from_be_bytes([s0, s1, s2, s3]),
        }
    }
}

impl<'a> Description<'a> {
    pub(super) fn parse(chunks: u8, body: &'a [u8]) -> Self {
        Self { chunks, body }
    }

    /// The canonical names (RFC 3550 section 6.5.1) as they stand there, up to the first malformed chunk.
    pub fn cnames(&self) -> impl Iterator<Item = (Ssrc, &'a [u8])> + use<'a> {
        let mut rest = self.body;
        (0..self.chunks).map_while(move |_| cname(&mut rest)).flatten()
    }
}

/// Takes one chunk: its source and items up to a zero, padded to a word.
fn cname<'a>(rest: &mut &'a [u8]) -> Option<Option<(Ssrc, &'a [u8])>> {
    let (ssrc, mut items) = rest.split_first_chunk::<4>()?;
    let (ssrc, items_in_all) = (Ssrc(u32::from_be_bytes(*ssrc)), items.len());
    let mut found = None;
    // Each turn takes at least two bytes of a datagram.
    while let Some((&[kind, length], after)) = items.split_first_chunk::<2>().filter(|(head, _)| head[0] != 0) {
        let (text, after) = after.split_at_checked(usize::from(length))?;
        if kind == CNAME && found.is_none() {
            found = Some((ssrc, text));
        }
        items = after;
    }
    let taken = (items_in_all - items.len() + 1).next_multiple_of(4);
    *rest = rest.get(4 + taken..)?;
    Some(found)
}

pub(super) const BLOCK: usize = 24;
pub(super) const INFO: usize = 24;
/// The item of a description that names its source, RFC 3550 section 6.5.1.
pub(super) const CNAME: u8 = 1;
