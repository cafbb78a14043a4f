//! The two families of ciphers, each as two operations on a packet: seal in place and open in place.

use aws_lc_rs::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey},
    cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey},
    constant_time, hmac,
    iv::FixedLength,
};

use super::Profile;

/// Bytes of an AES-GCM tag.
const GCM_TAG: usize = 16;
/// Bytes of HMAC-SHA1 that go with a packet, of its 20.
const SHA1_TAG: usize = 10;
const SHA1_KEY: usize = 20;
/// Bytes of a salt of AES-CM; that of AES-GCM has two less.
const SALT: usize = 14;

/// What the pseudo-random function is asked for, RFC 3711 section 4.3.1 and 4.3.2.
#[derive(Clone, Copy)]
pub(super) struct Labels {
    key: u8,
    authentication: u8,
    salt: u8,
}

impl Labels {
    pub(super) const RTP: Self = Self { key: 0, authentication: 1, salt: 2 };
    pub(super) const RTCP: Self = Self { key: 3, authentication: 4, salt: 5 };
}

/// A session's key for one direction of RTP or of RTCP.
#[allow(clippy::large_enum_variant)] // both are near 1 KiB, and every packet goes through one
pub(super) enum Cipher {
    Gcm { key: LessSafeKey, salt: [u8; 12] },
    Cm { key: EncryptingKey, salt: [u8; SALT], authentication: hmac::Key },
}

/// Which packet of which source: what makes its initialization vector.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) ssrc: u32,
    /// 48 bits: rollover counter and sequence number of RTP; the 31 bits of RTCP.
    pub(super) index: u64,
}

impl Cipher {
    pub(super) fn derive(profile: Profile, key: &[u8], salt: &[u8], labels: Labels) -> Option<Self> {
        let master = UnboundCipherKey::new(if key.len() == 32 { &AES_256 } else { &AES_128 }, key).ok()?;
        let master = EncryptingKey::ctr(master).ok()?;
        let mut padded = [0; SALT];
        padded.get_mut(..salt.len())?.copy_from_slice(salt);
        let mut session_key = [0; 32];
        let session_key = session_key.get_mut(..key.len())?;
        expand(&master, &padded, labels.key, session_key)?;
        let mut session_salt = [0; SALT];
        expand(&master, &padded, labels.salt, session_salt.get_mut(..salt.len())?)?;
        if profile != Profile::Aes128CmSha1_80 {
            return Self::gcm(session_key, *session_salt.first_chunk()?);
        }
        let mut authentication = [0; SHA1_KEY];
        expand(&master, &padded, labels.authentication, &mut authentication)?;
        Self::cm(session_key, session_salt, &authentication)
    }

    pub(super) fn gcm(key: &[u8], salt: [u8; 12]) -> Option<Self> {
        let algorithm = if key.len() == 32 { &aead::AES_256_GCM } else { &aead::AES_128_GCM };
        Some(Self::Gcm { key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?), salt })
    }

    pub(super) fn cm(key: &[u8], salt: [u8; SALT], authentication: &[u8]) -> Option<Self> {
        let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, key).ok()?).ok()?;
        let authentication = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, authentication);
        Some(Self::Cm { key, salt, authentication })
    }

    /// Bytes of a tag.
    pub(super) fn tag(&self) -> usize {
        match self {
            Self::Gcm { .. } => GCM_TAG,
            Self::Cm { .. } => SHA1_TAG,
        }
    }

    /// Whether the tag stands before what is appended to RTCP (GCM, RFC 7714 section 9) or behind it.
    pub(super) fn tag_is_first(&self) -> bool {
        matches!(self, Self::Gcm { .. })
    }

    /// Encrypts `body` in place and writes the tag of `aad`, body and `trailer` into `tag`. `trailer` is what the packet
    /// does not carry as such: the rollover counter (CM), or the index of RTCP. Under GCM it belongs to the aad already.
    pub(super) fn seal(&self, at: Position, parts: Parts<'_>, trailer: &[u8]) -> Option<()> {
        match self {
            Self::Gcm { key, salt } => {
                let made = key.seal_in_place_separate_tag(nonce(salt, at), Aad::from(parts.aad), parts.body).ok()?;
                parts.tag.copy_from_slice(made.as_ref().get(..parts.tag.len())?);
            }
            Self::Cm { key, salt, authentication } => {
                keystream(key, salt, at, parts.body)?;
                let made = digest(authentication, &[parts.aad, parts.body, trailer]);
                parts.tag.copy_from_slice(made.as_ref().get(..SHA1_TAG)?);
            }
        }
        Some(())
    }

    /// Undoes `seal`; `None` where the tag does not fit, and nobody must look at the body then.
    pub(super) fn open(&self, at: Position, parts: Parts<'_>, trailer: &[u8]) -> Option<()> {
        match self {
            Self::Gcm { key, salt } => {
                let aad = Aad::from(parts.aad);
                key.open_in_place_separate_tag(nonce(salt, at), aad, parts.tag, parts.body).ok()?;
            }
            Self::Cm { key, salt, authentication } => {
                let made = digest(authentication, &[parts.aad, parts.body, trailer]);
                constant_time::verify_slices_are_equal(made.as_ref().get(..SHA1_TAG)?, parts.tag).ok()?;
                keystream(key, salt, at, parts.body)?;
            }
        }
        Some(())
    }
}

/// The parts of a packet that a cipher works on.
pub(super) struct Parts<'a> {
    pub(super) aad: &'a [u8],
    pub(super) body: &'a mut [u8],
    pub(super) tag: &'a mut [u8],
}

/// RFC 7714 sections 8.1 and 9.1: two zeros, the source, and six bytes of index, under the salt.
fn nonce(salt: &[u8; 12], at: Position) -> Nonce {
    let mut out = u128::from(at.ssrc) << 48 | u128::from(at.index & 0xffff_ffff_ffff);
    let mut wide = [0; 16];
    if let Some(low) = wide.last_chunk_mut() {
        *low = *salt;
    }
    out ^= u128::from_be_bytes(wide);
    Nonce::assume_unique_for_key(out.to_be_bytes().last_chunk().copied().unwrap_or_default())
}

/// RFC 3711 section 4.1.1: the salt, the source and the index, each at its place.
fn keystream(key: &EncryptingKey, salt: &[u8; SALT], at: Position, body: &mut [u8]) -> Option<()> {
    let mut wide = [0; 16];
    *wide.first_chunk_mut()? = *salt;
    let iv = u128::from_be_bytes(wide) ^ u128::from(at.ssrc) << 64 ^ u128::from(at.index & 0xffff_ffff_ffff) << 16;
    let iv = FixedLength::from(iv.to_be_bytes());
    key.less_safe_encrypt(body, EncryptionContext::Iv128(iv)).ok().map(|_| ())
}

fn digest(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

/// The pseudo-random function of RFC 3711 section 4.3.3 with a key derivation rate of 0: `out` in bytes of keystream.
fn expand(master: &EncryptingKey, salt: &[u8; SALT], label: u8, out: &mut [u8]) -> Option<()> {
    out.fill(0);
    let mut salt = *salt;
    *salt.get_mut(7)? ^= label;
    keystream(master, &salt, Position { ssrc: 0, index: 0 }, out)
}
