//! The token's outer form: base64 with its own alphabet, deflate, a JSON object, and the text that is signed.

use super::SigError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// Longest token that is looked at, in bytes of its text. Real ones are shorter than 1 KB.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// Longest JSON object that a token may inflate to, in bytes: the bound that a decompression bomb meets.
pub const JSON_BYTES_MAX: usize = 4096;
/// Longest user id in a token, in bytes. The original recommends at most 32.
pub const USER_ID_BYTES_MAX: usize = 128;
/// Length of an HMAC-SHA256 tag, in bytes.
const TAG_BYTES: usize = 32;
/// The only version of the format that is spoken.
const VERSION: &str = "2.0";

/// The token's JSON object. Order of keys, spaces and unknown keys do not matter; a key twice is an error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Envelope {
    #[serde(rename = "TLS.ver")]
    version: String,
    #[serde(rename = "TLS.identifier")]
    pub(super) user_id: String,
    #[serde(rename = "TLS.sdkappid", deserialize_with = "whole_number")]
    pub(super) sdk_app_id: u64,
    /// When the token was made, in seconds since 1970.
    #[serde(rename = "TLS.time", deserialize_with = "whole_number")]
    pub(super) time_s: u64,
    /// How long it is valid, in seconds: a span, not a date. Signing servers mint spans below 0, which are over at once.
    #[serde(rename = "TLS.expire", deserialize_with = "whole_number")]
    pub(super) expire_s: i64,
    /// Standard base64 of the ticket, present in a `PrivateMapKey` only.
    #[serde(rename = "TLS.userbuf", default, skip_serializing_if = "Option::is_none")]
    userbuf: Option<String>,
    #[serde(rename = "TLS.sig")]
    pub(super) signature: String,
}

/// Accepts `5` and `"5"`: some signing servers write their numbers as strings.
fn whole_number<'de, D: Deserializer<'de>, N: TryFrom<i64>>(deserializer: D) -> Result<N, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Spelling {
        Number(i64),
        Text(String),
    }
    let number = match Spelling::deserialize(deserializer)? {
        Spelling::Number(number) => number,
        Spelling::Text(text) => text.parse().map_err(serde::de::Error::custom)?,
    };
    N::try_from(number).map_err(|_| serde::de::Error::custom("out of range"))
}

impl Envelope {
    /// An envelope that is signed with `key`.
    pub(super) fn signed(
        sdk_app_id: u32,
        key: &[u8],
        user_id: &str,
        now_unix_s: u64,
        ttl_s: u64,
        userbuf: Option<&[u8]>,
    ) -> Self {
        let mut envelope = Self {
            version: VERSION.to_owned(),
            user_id: user_id.to_owned(),
            sdk_app_id: u64::from(sdk_app_id),
            time_s: now_unix_s,
            expire_s: i64::try_from(ttl_s).unwrap_or(i64::MAX),
            userbuf: userbuf.map(|bytes| STANDARD.encode(bytes)),
            signature: String::new(),
        };
        envelope.signature = STANDARD.encode(tag(key, envelope.text_to_sign().as_bytes()));
        envelope
    }

    /// Undoes the outer form. What the object says is still unverified.
    ///
    /// # Errors
    /// [`SigError::NotDecodable`] when a step fails, [`SigError::Invalid`] when a field cannot be right.
    pub(super) fn decode(token: &str) -> Result<Self, SigError> {
        if token.is_empty() {
            return Err(SigError::NotDecodable { reason: "it is empty" });
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(SigError::NotDecodable { reason: "it is longer than 4096 characters" });
        }
        let deflated = STANDARD
            .decode(standard_alphabet(token)?)
            .map_err(|_| SigError::NotDecodable { reason: "it is not base64 (was it cut short?)" })?;
        let json = inflate(&deflated)?;
        let envelope: Self = serde_json::from_slice(&json)
            .map_err(|_| SigError::NotDecodable { reason: "it does not hold the JSON object of a token" })?;
        envelope.plausible()?;
        Ok(envelope)
    }

    /// The token's text.
    pub(super) fn encode(&self) -> String {
        // A struct of strings and numbers always serialises; an empty object would only be refused by `decode`.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut text = STANDARD.encode(deflate(&json)).into_bytes();
        for byte in &mut text {
            *byte = match *byte {
                b'+' => b'*',
                b'/' => b'-',
                b'=' => b'_',
                other => other,
            };
        }
        text.into_iter().map(char::from).collect()
    }

    /// Refuses what no signing server writes, before any key is tried.
    fn plausible(&self) -> Result<(), SigError> {
        if self.version != VERSION {
            return Err(SigError::Invalid { reason: "its version is not 2.0; sign with TLSSigAPI version 2" });
        }
        if self.user_id.is_empty() || self.user_id.len() > USER_ID_BYTES_MAX {
            return Err(SigError::Invalid { reason: "its user id is empty or longer than 128 bytes" });
        }
        // The signed text is made of lines: a line break in a name could pass for another line.
        if self.user_id.chars().any(char::is_control) {
            return Err(SigError::Invalid { reason: "its user id holds a control character" });
        }
        Ok(())
    }

    /// The lines that are signed, each ended by a line feed, in the one order that counts.
    fn text_to_sign(&self) -> String {
        let Self { user_id, sdk_app_id, time_s, expire_s, .. } = self;
        let mut text =
            format!("TLS.identifier:{user_id}\nTLS.sdkappid:{sdk_app_id}\nTLS.time:{time_s}\nTLS.expire:{expire_s}\n");
        if let Some(userbuf) = &self.userbuf {
            text.push_str("TLS.userbuf:");
            text.push_str(userbuf);
            text.push('\n');
        }
        text
    }

    /// Whether one of `keys` signed this envelope. Takes equally long whichever key fits; an empty key never fits.
    pub(super) fn is_signed_by<K: AsRef<[u8]>>(&self, keys: &[K]) -> bool {
        let Ok(signature) = STANDARD.decode(&self.signature) else { return false };
        let text = self.text_to_sign();
        let mut fits = Choice::from(0);
        for key in keys.iter().map(AsRef::as_ref).filter(|key| !key.is_empty()) {
            fits |= tag(key, text.as_bytes()).as_slice().ct_eq(&signature);
        }
        fits.into()
    }

    /// The ticket's bytes; `None` in a plain `UserSig`.
    ///
    /// # Errors
    /// [`SigError::BadTicket`] when the field is not base64.
    pub(super) fn userbuf(&self) -> Result<Option<Vec<u8>>, SigError> {
        let Some(text) = &self.userbuf else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(|_| SigError::BadTicket { reason: "its userbuf is not base64" })?;
        Ok(Some(bytes))
    }
}

/// HMAC-SHA256 of `text`. The key is the secret's text itself: its hexadecimal digits are not decoded.
fn tag(key: &[u8], text: &[u8]) -> [u8; TAG_BYTES] {
    // HMAC takes a key of any length (RFC 2104, 2), so the error cannot occur; zeroes would fit no signature.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; TAG_BYTES] };
    hmac.update(text);
    hmac.finalize().into_bytes().into()
}

/// The token in the standard alphabet. The standard characters themselves are refused, so a token has one spelling.
fn standard_alphabet(token: &str) -> Result<Vec<u8>, SigError> {
    token
        .bytes()
        .map(|byte| match byte {
            b'*' => Ok(b'+'),
            b'-' => Ok(b'/'),
            b'_' => Ok(b'='),
            b'+' | b'/' | b'=' => Err(SigError::NotDecodable {
                reason: "it holds one of '+', '/', '=' where '*', '-', '_' belong (was it decoded from a URL twice?)",
            }),
            other => Ok(other),
        })
        .collect()
}

/// Inflates at most [`JSON_BYTES_MAX`] bytes, and nothing may follow the stream.
fn inflate(deflated: &[u8]) -> Result<Vec<u8>, SigError> {
    let mut json = vec![0; JSON_BYTES_MAX];
    let mut stream = Decompress::new(true);
    let status = stream
        .decompress(deflated, &mut json, FlushDecompress::Finish)
        .map_err(|_| SigError::NotDecodable { reason: "it is not compressed by zlib" })?;
    if status != Status::StreamEnd {
        return Err(SigError::NotDecodable { reason: "it is cut short or inflates to more than 4096 bytes" });
    }
    if usize::try_from(stream.total_in()) != Ok(deflated.len()) {
        return Err(SigError::NotDecodable { reason: "something follows its compressed part" });
    }
    json.truncate(usize::try_from(stream.total_out()).unwrap_or(0));
    Ok(json)
}

/// Deflates at the level that the originals use (6).
fn deflate(json: &[u8]) -> Vec<u8> {
    /// What deflate can add to incompressible input of this size, with room to spare (RFC 1951, 3.2.4).
    const OVERHEAD_BYTES: usize = 64;
    let mut deflated = Vec::with_capacity(json.len() + json.len() / 8 + OVERHEAD_BYTES);
    let mut stream = Compress::new(Compression::default(), true);
    // Ends in one call: the output has room for the worst case.
    let _ = stream.compress_vec(json, &mut deflated, FlushCompress::Finish);
    deflated
}
