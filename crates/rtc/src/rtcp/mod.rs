//! RTCP as bytes: what a viewer sends back and what a sender reports, read without copying and written into a given space.
//!
//! What lives here: RFC 3550 (SR, RR, SDES, BYE), RFC 4585 (NACK, PLI), RFC 5104 (FIR), REMB, and transport-wide feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01). What does not: encryption, and what is done about any of it.
//! Reading allocates nothing and every list has a limit, since all of it comes from strangers.

mod feedback;
mod report;
mod transport;
pub mod write;

#[cfg(test)]
mod tests;

use media::Ssrc;

pub use feedback::{Fir, NACK_NUMBERS_MAX, Nack};
pub use report::{BLOCKS_MAX, Description, ReceiverReport, ReportBlock, SenderInfo, SenderReport};
pub use transport::{Feedback, REFERENCE_TICK_US, STATUSES_MAX};

/// Packets read of one compound packet, at most; a browser sends up to six.
pub const PACKETS_MAX: usize = 32;

/// One packet of a compound one.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// A sender's clock and counts, RFC 3550 section 6.4.1.
    SenderReport(SenderReport<'a>),
    /// What a receiver lost, RFC 3550 section 6.4.2.
    ReceiverReport(ReceiverReport<'a>),
    /// Who somebody is, RFC 3550 section 6.5.
    Description(Description<'a>),
    /// Packets that are missing, RFC 4585 section 6.2.1.
    Nack(Nack<'a>),
    /// A picture is lost, RFC 4585 section 6.3.1.
    Pli {
        /// Whose picture.
        media_ssrc: Ssrc,
    },
    /// A key frame is wanted, RFC 5104 section 4.3.1.
    Fir(Fir<'a>),
    /// What the receiver believes to fit, draft-alvestrand-rmcat-remb-03.
    Remb {
        /// In bits a second.
        bitrate_bps: u64,
    },
    /// When packets of the whole transport arrived.
    Transport(Feedback<'a>),
    /// Somebody leaves, RFC 3550 section 6.6.
    Bye,
    /// Well framed, and of no meaning to us.
    Other,
}

/// Reads a compound packet, decrypted, or one of reduced size (RFC 5506). Ends at the first malformed one.
pub fn read(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound, left: PACKETS_MAX }
}

/// The packets of a compound one.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    left: usize,
}

impl Packets<'_> {
    /// Whether something is left that was not read; after the last packet: whether it ended at a malformed one or at
    /// [`PACKETS_MAX`], which is to be counted.
    pub fn is_unread(&self) -> bool {
        !self.rest.is_empty()
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (framed, rest) = Framed::split(self.rest)?;
        let Some(packet) = framed.packet() else {
            // Nothing behind a malformed packet is believed.
            self.left = 0;
            return None;
        };
        self.rest = rest;
        Some(packet)
    }
}

/// A packet by its frame alone.
struct Framed<'a> {
    /// Count or format: the low five bits of the first byte.
    count: u8,
    kind: u8,
    /// Without header and padding.
    body: &'a [u8],
}

impl<'a> Framed<'a> {
    /// RFC 3550 section 6.4.1: version, padding, count, type, length in words without the first.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[first, kind, high, low], rest) = bytes.split_first_chunk::<HEADER>()?;
        if first >> 6 != VERSION {
            return None;
        }
        let (mut body, rest) = rest.split_at_checked(4 * usize::from(u16::from_be_bytes([high, low])))?;
        if first & PADDED != 0 {
            let padding = usize::from(*body.last()?);
            body = body.get(..body.len().checked_sub(padding).filter(|_| padding > 0)?)?;
        }
        Some((Self { count: first & COUNT, kind, body }, rest))
    }

    /// What it says; `None` where it is shorter than it must be or contradicts itself.
    fn packet(&self) -> Option<Packet<'a>> {
        Some(match (self.kind, self.count) {
            (SENDER_REPORT, count) => Packet::SenderReport(SenderReport::parse(count, self.body)?),
            (RECEIVER_REPORT, count) => Packet::ReceiverReport(ReceiverReport::parse(count, self.body)?),
            (DESCRIPTION, count) => Packet::Description(Description::parse(count, self.body)),
            (BYE, _) => Packet::Bye,
            (TRANSPORT_FEEDBACK, NACK) => Packet::Nack(Nack::parse(self.body)?),
            (TRANSPORT_FEEDBACK, TRANSPORT_WIDE) => Packet::Transport(Feedback::parse(self.body)?),
            (PAYLOAD_FEEDBACK, PLI) => Packet::Pli { media_ssrc: feedback::ssrcs(self.body)?.1 },
            (PAYLOAD_FEEDBACK, FIR) => Packet::Fir(Fir::parse(self.body)?),
            (PAYLOAD_FEEDBACK, APPLICATION) => match feedback::remb(self.body) {
                Some(bitrate_bps) => Packet::Remb { bitrate_bps },
                None => Packet::Other,
            },
            _ => Packet::Other,
        })
    }
}

const VERSION: u8 = 2;
const HEADER: usize = 4;
const PADDED: u8 = 0x20;
const COUNT: u8 = 0x1f;

// Packet types, RFC 3550 section 12.1 and RFC 4585 section 6.1.
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

// Formats of feedback: RFC 4585 sections 6.2 and 6.3, RFC 5104 section 4.3, and the drafts.
const NACK: u8 = 1;
const TRANSPORT_WIDE: u8 = 15;
const PLI: u8 = 1;
const FIR: u8 = 4;
const APPLICATION: u8 = 15;
