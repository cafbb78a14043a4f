//! SRTP and SRTCP in place, without allocation for each packet: what a leg of our own encrypts and decrypts with.
//!
//! RFC 3711 (AES-CM with HMAC-SHA1-80) and RFC 7714 (AES-GCM), with the keys that a DTLS handshake gave (RFC 5764). Key
//! derivation rates, master key identifiers and packets that are authenticated but not encrypted are not supported, as in
//! every browser.

mod cipher;
mod open;
mod replay;
mod seal;
#[cfg(test)]
mod tests;

use cipher::{Cipher, Labels};
pub use open::{Opened, Opener, Refusals, Refused, SOURCES_MAX};
pub(crate) use replay::extend;
pub use seal::Sealer;

/// Bytes before the encrypted part of an SRTCP packet: the first header and the source, RFC 3711 section 3.4.
const RTCP_HEADER: usize = 8;
/// Bytes of the flag and the index that end an SRTCP packet.
const RTCP_INDEX: usize = 4;
/// The flag that says that an SRTCP packet is encrypted.
const RTCP_ENCRYPTED: u32 = 1 << 31;
/// Bytes of an RTP header without sources and extensions, RFC 3550 section 5.1.
const RTP_HEADER: usize = 12;

/// How packets are protected, RFC 5764 section 4.1.2 and RFC 7714 section 14.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `SRTP_AEAD_AES_256_GCM`.
    AeadAes256Gcm,
    /// `SRTP_AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80`.
    Aes128CmSha1_80,
}

impl Profile {
    /// What DTLS agreed on; `None` for a profile that this module does not know.
    pub(crate) fn from_dtls(profile: dimpl::SrtpProfile) -> Option<Self> {
        match profile {
            dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(Self::AeadAes256Gcm),
            dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(Self::AeadAes128Gcm),
            dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(Self::Aes128CmSha1_80),
            _ => None,
        }
    }

    /// Bytes of a master key and of a master salt.
    fn lengths(self) -> (usize, usize) {
        match self {
            Self::AeadAes256Gcm => (32, 12),
            Self::AeadAes128Gcm => (16, 12),
            Self::Aes128CmSha1_80 => (16, 14),
        }
    }
}

/// Keys of both directions from what DTLS exported, RFC 5764 section 4.2: what we seal with and what we open with. `None`
/// where the material has not the profile's length.
pub fn keys(profile: Profile, keying_material: &[u8], we_are_client: bool) -> Option<(Sealer, Opener)> {
    let (key, salt) = profile.lengths();
    let (client_key, rest) = keying_material.split_at_checked(key)?;
    let (server_key, rest) = rest.split_at_checked(key)?;
    let (client_salt, server_salt) = rest.split_at_checked(salt)?;
    if server_salt.len() != salt {
        return None;
    }
    let pair = |key: &[u8], salt: &[u8]| {
        Some((Cipher::derive(profile, key, salt, Labels::RTP)?, Cipher::derive(profile, key, salt, Labels::RTCP)?))
    };
    let (client, server) = (pair(client_key, client_salt)?, pair(server_key, server_salt)?);
    let (own, peer) = if we_are_client { (client, server) } else { (server, client) };
    Some((Sealer::new(own.0, own.1), Opener::new(peer.0, peer.1)))
}

/// Length of an RTP packet's header with its sources and its extension, RFC 3550 section 5.1 and 5.3.1; `None` where it
/// is no RTP packet or ends before its header does.
pub fn rtp_header_len(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut length = RTP_HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes(words.try_into().ok()?));
    }
    (first >> 6 == 2 && length <= packet.len()).then_some(length)
}

/// A big-endian word of four bytes.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// What GCM authenticates beside the body of an SRTCP packet, RFC 7714 section 17: its header, the flag and the index.
fn rtcp_aad(head: &[u8], trailer: [u8; RTCP_INDEX]) -> Option<[u8; RTCP_HEADER + RTCP_INDEX]> {
    let mut aad = [0; RTCP_HEADER + RTCP_INDEX];
    let (first, last) = aad.split_at_mut_checked(RTCP_HEADER)?;
    first.copy_from_slice(head.get(..RTCP_HEADER)?);
    last.copy_from_slice(&trailer);
    Some(aad)
}
