//! Receiving: what is not authentic, or was here before, goes no further.

use std::ops::Range;

use super::{
    RTCP_ENCRYPTED, RTCP_HEADER, RTCP_INDEX,
    cipher::{Cipher, Parts, Position},
    replay::{Stale, Window, extend},
    rtcp_aad, rtp_header_len, word,
};

/// Sources of RTP, and likewise of RTCP, that one session may have.
pub const SOURCES_MAX: usize = 16;
/// Windows in words of 64 packets: 1,024 packets of RTP, as browsers have it, and 128 of RTCP.
const RTP_WORDS: usize = 16;
const RTCP_WORDS: usize = 2;

/// Decrypts what the other side sends.
pub struct Opener {
    rtp: Cipher,
    rtcp: Cipher,
    rtp_sources: Vec<(u32, Window<RTP_WORDS>)>,
    rtcp_sources: Vec<(u32, Window<RTCP_WORDS>)>,
    refusals: Refusals,
}

/// An RTP packet that was decrypted where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Length of the header with sources and extension.
    pub header_len: usize,
    /// Where the payload lies in the packet, without padding. Empty for a packet that only probes.
    pub payload: Range<usize>,
    /// The extended sequence number: rollover counter times 65,536 and the number in the header.
    pub seq_index: u64,
    /// The source.
    pub ssrc: u32,
}

/// Why a packet goes no further. Each is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No RTP or RTCP packet, or shorter than its parts.
    #[error("not an SRTP packet")]
    Malformed,
    /// The tag does not fit: somebody else sent it, or it was changed on its way.
    #[error("the packet is not authentic")]
    Unauthentic,
    /// It was here before.
    #[error("the packet was received before")]
    Replayed,
    /// It is older than the replay window.
    #[error("the packet is older than the replay window")]
    Old,
    /// There are `SOURCES_MAX` sources already.
    #[error("the session has too many sources")]
    Sources,
}

/// How many packets were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// No packets at all.
    pub malformed: u64,
    /// Not authentic.
    pub unauthentic: u64,
    /// Received before.
    pub replayed: u64,
    /// Older than the replay window.
    pub old: u64,
    /// Of a source too many.
    pub sources: u64,
}

impl Opener {
    pub(super) fn new(rtp: Cipher, rtcp: Cipher) -> Self {
        Self { rtp, rtcp, rtp_sources: Vec::new(), rtcp_sources: Vec::new(), refusals: Refusals::default() }
    }

    /// What was refused so far.
    pub fn refusals(&self) -> Refusals {
        self.refusals
    }

    /// Decrypts an RTP packet where it lies.
    ///
    /// # Errors
    /// Where it is not authentic or not new; its bytes are of no use then.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<Opened, Refused> {
        let opened = self.try_rtp(packet, true);
        opened.map_err(|refused| self.refusals.count(refused))
    }

    /// Reads an RTP packet's header and takes its word for it: nothing is decrypted, nothing is authenticated, and its
    /// padding, being encrypted, counts as payload. For the load that a tool makes on itself, and for nothing else.
    ///
    /// # Errors
    /// Where it is no packet or not a new one.
    pub fn skip_rtp(&mut self, packet: &mut [u8]) -> Result<Opened, Refused> {
        let opened = self.try_rtp(packet, false);
        opened.map_err(|refused| self.refusals.count(refused))
    }

    /// Decrypts a compound RTCP packet where it lies and returns it without what SRTCP added.
    ///
    /// # Errors
    /// Where it is not authentic or not new; its bytes are of no use then.
    pub fn open_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], Refused> {
        let length = self.try_rtcp(packet).map_err(|refused| self.refusals.count(refused))?;
        packet.get(..length).ok_or(Refused::Malformed)
    }

    fn try_rtp(&mut self, packet: &mut [u8], decrypt: bool) -> Result<Opened, Refused> {
        let header_len = rtp_header_len(packet).ok_or(Refused::Malformed)?;
        let end =
            packet.len().checked_sub(self.rtp.tag()).filter(|end| *end >= header_len).ok_or(Refused::Malformed)?;
        let ssrc = word(packet, 8).ok_or(Refused::Malformed)?;
        let seq = word(packet, 0).ok_or(Refused::Malformed)? as u16;
        let known = self.rtp_sources.iter().position(|(known, _)| *known == ssrc);
        let index = match known.and_then(|known| self.rtp_sources.get(known)) {
            Some((_, window)) => {
                let index = extend(window.highest(), seq).ok_or(Refused::Old)?;
                window.check(index)?;
                index
            }
            None if self.rtp_sources.len() >= SOURCES_MAX => return Err(Refused::Sources),
            None => u64::from(seq),
        };
        let mut payload = header_len..end;
        if decrypt {
            let padded = packet.first().is_some_and(|first| first & 0x20 != 0);
            let (aad, rest) = packet.split_at_mut_checked(header_len).ok_or(Refused::Malformed)?;
            let (body, tag) = rest.split_at_mut_checked(end - header_len).ok_or(Refused::Malformed)?;
            let rollover = ((index >> 16) as u32).to_be_bytes();
            let at = Position { ssrc, index };
            self.rtp.open(at, Parts { aad, body, tag }, &rollover).ok_or(Refused::Unauthentic)?;
            if padded {
                let padding = packet.get(payload.clone()).and_then(<[u8]>::last).copied().map_or(0, usize::from);
                payload.end = end
                    .checked_sub(padding)
                    .filter(|end| padding > 0 && *end >= header_len)
                    .ok_or(Refused::Malformed)?;
            }
        }
        match known.and_then(|known| self.rtp_sources.get_mut(known)) {
            Some((_, window)) => window.mark(index),
            None => self.rtp_sources.push((ssrc, Window::new(index))),
        }
        Ok(Opened { header_len, payload, seq_index: index, ssrc })
    }

    /// Length of the compound packet.
    fn try_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let added = self.rtcp.tag() + RTCP_INDEX;
        let end = packet.len().checked_sub(added).filter(|end| *end >= RTCP_HEADER).ok_or(Refused::Malformed)?;
        let ssrc = word(packet, 4).ok_or(Refused::Malformed)?;
        let place = if self.rtcp.tag_is_first() { end + self.rtcp.tag() } else { end };
        let trailer = word(packet, place).ok_or(Refused::Malformed)?;
        let version = packet.first().is_some_and(|first| first >> 6 == 2);
        if trailer & RTCP_ENCRYPTED == 0 || !version {
            return Err(Refused::Malformed);
        }
        let index = u64::from(trailer & !RTCP_ENCRYPTED);
        let known = self.rtcp_sources.iter().position(|(known, _)| *known == ssrc);
        match known.and_then(|known| self.rtcp_sources.get(known)) {
            Some((_, window)) => window.check(index)?,
            None if self.rtcp_sources.len() >= SOURCES_MAX => return Err(Refused::Sources),
            None => {}
        }
        let mut open = || {
            let trailer = trailer.to_be_bytes();
            let (head, rest) = packet.split_at_mut_checked(RTCP_HEADER)?;
            let (body, rest) = rest.split_at_mut_checked(end - RTCP_HEADER)?;
            let at = Position { ssrc, index };
            if self.rtcp.tag_is_first() {
                let aad = rtcp_aad(head, trailer)?;
                let (tag, _) = rest.split_at_mut_checked(self.rtcp.tag())?;
                self.rtcp.open(at, Parts { aad: &aad, body, tag }, &[])
            } else {
                let (_, tag) = rest.split_at_mut_checked(RTCP_INDEX)?;
                self.rtcp.open(at, Parts { aad: head, body, tag }, &trailer)
            }
        };
        open().ok_or(Refused::Unauthentic)?;
        match known.and_then(|known| self.rtcp_sources.get_mut(known)) {
            Some((_, window)) => window.mark(index),
            None => self.rtcp_sources.push((ssrc, Window::new(index))),
        }
        Ok(end)
    }
}

impl Refusals {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.malformed + self.unauthentic + self.replayed + self.old + self.sources
    }

    fn count(&mut self, refused: Refused) -> Refused {
        let counter = match refused {
            Refused::Malformed => &mut self.malformed,
            Refused::Unauthentic => &mut self.unauthentic,
            Refused::Replayed => &mut self.replayed,
            Refused::Old => &mut self.old,
            Refused::Sources => &mut self.sources,
        };
        *counter += 1;
        refused
    }
}

impl From<Stale> for Refused {
    fn from(stale: Stale) -> Self {
        match stale {
            Stale::Seen => Self::Replayed,
            Stale::Old => Self::Old,
        }
    }
}
