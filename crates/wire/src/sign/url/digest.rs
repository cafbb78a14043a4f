//! The texts that are signed, and their digests.

use super::{Scheme, Signature, Target};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Hexadecimal digits of MD5, and of SHA-256.
pub(super) const MD5_HEX_BYTES: usize = 32;
pub(super) const SHA256_HEX_BYTES: usize = 64;

/// The digest that a signature of these fields should have, in lower case.
pub(super) fn of(signature: &Signature<'_>, key: &[u8], target: &Target<'_>) -> String {
    let Signature { scheme, stamp, rand, uid, digest, .. } = signature;
    let path = target.path();
    let text = |parts: &[&str]| parts.concat().into_bytes();
    let signed = match scheme {
        Scheme::AliyunA => [&text(&[&path, "-", stamp, "-", rand, "-", uid, "-"]), key].concat(),
        Scheme::AliyunB => [key, &text(&[stamp, &path])].concat(),
        Scheme::AliyunC => [key, &text(&[&path, stamp])].concat(),
        Scheme::Tencent | Scheme::TencentSha256 | Scheme::TencentDecimal => {
            [key, &text(&[target.stream, stamp])].concat()
        }
    };
    let is_long =
        *scheme == Scheme::TencentSha256 || (*scheme == Scheme::TencentDecimal && digest.len() == SHA256_HEX_BYTES);
    if is_long { hex(&Sha256::digest(&signed)) } else { hex(&Md5::digest(&signed)) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
