//! Sending: header and payload become SRTP where they lie.

use super::{
    RTCP_ENCRYPTED, RTCP_HEADER, RTCP_INDEX,
    cipher::{Cipher, Parts, Position},
    rtcp_aad, word,
};

/// Encrypts what one side of a session sends. It keeps no state of RTP: the caller says the extended sequence number,
/// and must never say one twice for the same source with different bytes.
pub struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    /// The index of the next SRTCP packet, RFC 3711 section 3.4: 31 bits, never used twice.
    rtcp_index: u32,
}

impl Sealer {
    pub(super) fn new(rtp: Cipher, rtcp: Cipher) -> Self {
        Self { rtp, rtcp, rtcp_index: 1 }
    }

    /// The same with the index that the next SRTCP packet is to have, as test vectors want it.
    #[cfg(test)]
    pub(super) fn with_rtcp_index(self, rtcp_index: u32) -> Self {
        Self { rtcp_index, ..self }
    }

    /// Bytes by which an RTP packet grows.
    pub fn overhead(&self) -> usize {
        self.rtp.tag()
    }

    /// Encrypts an RTP packet where it lies: header, payload and, at its end, `overhead` bytes of room. `index` is the
    /// extended sequence number: rollover counter times 65,536 and the number that the header says. Returns false, and
    /// leaves the packet of no use, where it has not that form.
    #[must_use]
    pub fn seal_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, index: u64) -> bool {
        let mut seal = || {
            let end = packet.len().checked_sub(self.overhead())?;
            let (rest, tag) = packet.split_at_mut_checked(end)?;
            let (aad, body) = rest.split_at_mut_checked(header_len)?;
            let rollover = u32::try_from(index >> 16).ok()?.to_be_bytes();
            self.rtp.seal(Position { ssrc, index }, Parts { aad, body, tag }, &rollover)
        };
        seal().is_some()
    }

    /// Bytes by which a compound RTCP packet grows.
    pub fn rtcp_overhead(&self) -> usize {
        self.rtcp.tag() + RTCP_INDEX
    }

    /// Encrypts a compound RTCP packet where it lies, with `rtcp_overhead` bytes of room at its end. Returns false where
    /// it has not that form, or 2³¹ packets were sent and the session must end.
    #[must_use]
    pub fn seal_rtcp(&mut self, packet: &mut [u8]) -> bool {
        let index = self.rtcp_index;
        let mut seal = || {
            if index >= RTCP_ENCRYPTED {
                return None;
            }
            let end = packet.len().checked_sub(self.rtcp_overhead())?;
            let ssrc = word(packet, 4)?;
            let (rest, room) = packet.split_at_mut_checked(end)?;
            let (head, body) = rest.split_at_mut_checked(RTCP_HEADER)?;
            let trailer = (RTCP_ENCRYPTED | index).to_be_bytes();
            let tag = self.rtcp.tag();
            let at = Position { ssrc, index: u64::from(index) };
            if self.rtcp.tag_is_first() {
                let (tag, place) = room.split_at_mut_checked(tag)?;
                place.copy_from_slice(&trailer);
                let aad = rtcp_aad(head, trailer)?;
                self.rtcp.seal(at, Parts { aad: &aad, body, tag }, &[])
            } else {
                let (place, tag) = room.split_at_mut_checked(RTCP_INDEX)?;
                place.copy_from_slice(&trailer);
                self.rtcp.seal(at, Parts { aad: head, body, tag }, &trailer)
            }
        };
        let sealed = seal().is_some();
        self.rtcp_index = self.rtcp_index.saturating_add(u32::from(sealed));
        sealed
    }
}
