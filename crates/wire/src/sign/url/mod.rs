//! Signed live URLs: the schemes of two live clouds, byte for byte, so that an application's own signing server and the
//! URLs that it hands out work unchanged.
//!
//! Every scheme is a time and a digest over that time, what may be done, and a secret key. What is signed is the path
//! of the live URL, `/app/stream` with its ending, or for Tencent's the name of the stream alone. What does not live
//! here: which keys there are, who may publish and who may play. The time of day is handed in as seconds since 1970.
//!
//! A digest has one spelling (lower case), and times have a fixed width wherever the text that is signed has no
//! separator around them, so that a signature is never one for another stream as well.

mod date;
mod digest;
mod error;
mod scheme;
#[cfg(test)]
mod tests;

pub use error::UrlError;
pub use scheme::{Scheme, UnknownScheme};

use subtle::{Choice, ConstantTimeEq as _};

/// Longest `rand` and `uid` of an `auth_key`, in bytes: a UUID has 32 to 36.
pub const FIELD_BYTES_MAX: usize = 64;
/// Most digits of the time of an `auth_key`.
const SECONDS_DIGITS_MAX: usize = 12;
/// Digits of a time in hexadecimal, and in decimal where that is allowed (2001 to 2286).
const HEX_DIGITS: usize = 8;
const DECIMAL_DIGITS: usize = 10;
/// The same as in a number.
const DECIMAL_MIN: u64 = 1_000_000_000;
const DECIMAL_MAX: u64 = 9_999_999_999;

/// What a signature is for: the parts of a live URL's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The `AppName`.
    pub app: &'a str,
    /// The stream, with `_template` where a transcoded one is meant.
    pub stream: &'a str,
    /// `.flv`, `.m3u8`, or nothing.
    pub extension: &'a str,
}

impl Target<'_> {
    /// The path that Alibaba's schemes sign.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}/{}{}", self.app, self.stream, self.extension)
    }
}

/// A signature as it stands in a URL, not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    scheme: Scheme,
    /// The time as it is written: that text is signed.
    stamp: &'a str,
    date_s: u64,
    rand: &'a str,
    uid: &'a str,
    digest: &'a str,
}

/// A signature to be put into a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// What stands before the path: nothing, or `/time/digest`.
    pub prefix: String,
    /// What is added to the query: nothing, or parameters without `?` or `&` before them.
    pub query: String,
    /// The first second at which it is no longer valid, where the server adds no time of its own: the one asked for, or
    /// what the scheme can write of it.
    pub expires_at_s: u64,
}

/// Whether the first two segments of a path are a signature of type B (`/YYYYMMDDHHMM/digest`) or C (`/digest/time`).
#[must_use]
pub fn is_prefix(first: &str, second: &str) -> bool {
    let is_digest = |text: &str| text.len() == digest::MD5_HEX_BYTES && is_hex(text);
    (first.len() == date::DIGITS && is_decimal(first) && is_digest(second))
        || (is_digest(first) && second.len() == HEX_DIGITS && is_hex(second))
}

impl<'a> Signature<'a> {
    /// The signature in a query; `None` where there is none. `get` answers for names in lower case.
    ///
    /// # Errors
    /// [`UrlError::Malformed`] where there is half of one, one that cannot be read, or more than one.
    pub fn from_query(get: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Self>, UrlError> {
        let malformed = |reason| Err(UrlError::Malformed { reason });
        let auth_key = get("auth_key").map(Self::from_auth_key);
        let tencent = match (get("txsecret"), get("txtime")) {
            (Some(digest), Some(stamp)) => Some(Self::from_tx(digest, stamp)),
            (None, None) => None,
            _ => return malformed("txSecret and txTime belong together, and one of them is missing"),
        };
        let keys = match (get("key1"), get("key2")) {
            (Some(digest), Some(stamp)) => Some(Self::from_hex(digest, stamp)),
            _ => None,
        };
        let mut found = [auth_key, tencent, keys].into_iter().flatten();
        match (found.next(), found.next()) {
            (first, None) => first.transpose(),
            _ => malformed("it has signatures of two kinds; leave one of them out"),
        }
    }

    /// The signature in the first two segments of a path, where [`is_prefix`] says that they are one.
    ///
    /// # Errors
    /// [`UrlError::Malformed`] where they cannot be read.
    pub fn from_prefix(first: &'a str, second: &'a str) -> Result<Self, UrlError> {
        if first.len() != date::DIGITS {
            return Self::from_hex(first, second);
        }
        let date_s = date::read(first)
            .ok_or(UrlError::Malformed { reason: "the first segment of its path is no time YYYYMMDDHHMM in UTC+8" })?;
        Self::new(Scheme::AliyunB, first, date_s, second)
    }

    /// `time-rand-uid-digest`.
    fn from_auth_key(text: &'a str) -> Result<Self, UrlError> {
        let malformed = |reason| Err(UrlError::Malformed { reason });
        let mut parts = text.split('-');
        let (Some(stamp), Some(rand), Some(uid), Some(digest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return malformed("auth_key is not four fields: time-rand-uid-digest");
        };
        if stamp.len() > SECONDS_DIGITS_MAX || !is_decimal(stamp) {
            return malformed("the time in auth_key is not a number of seconds since 1970");
        }
        let is_field = |field: &str| {
            field.len() <= FIELD_BYTES_MAX && field.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !is_field(rand) || !is_field(uid) {
            return malformed("rand and uid in auth_key have at most 64 letters and digits, and no dashes");
        }
        let signature = Self::new(Scheme::AliyunA, stamp, stamp.parse().unwrap_or(0), digest)?;
        Ok(Self { rand, uid, ..signature })
    }

    /// Type C, wherever it stands.
    fn from_hex(digest: &'a str, stamp: &'a str) -> Result<Self, UrlError> {
        let date_s = hex_time(stamp)
            .ok_or(UrlError::Malformed { reason: "its time (KEY2) is not eight hexadecimal digits of seconds" })?;
        Self::new(Scheme::AliyunC, stamp, date_s, digest)
    }

    fn from_tx(digest: &'a str, stamp: &'a str) -> Result<Self, UrlError> {
        if stamp.len() == DECIMAL_DIGITS && is_decimal(stamp) {
            return Self::new(Scheme::TencentDecimal, stamp, stamp.parse().unwrap_or(0), digest);
        }
        let date_s = hex_time(stamp)
            .ok_or(UrlError::Malformed { reason: "txTime is not eight hexadecimal digits of seconds since 1970" })?;
        let is_long = digest.len() == digest::SHA256_HEX_BYTES;
        Self::new(if is_long { Scheme::TencentSha256 } else { Scheme::Tencent }, stamp, date_s, digest)
    }

    fn new(scheme: Scheme, stamp: &'a str, date_s: u64, digest: &'a str) -> Result<Self, UrlError> {
        let is_length = match scheme {
            Scheme::TencentSha256 => digest.len() == digest::SHA256_HEX_BYTES,
            Scheme::TencentDecimal => [digest::MD5_HEX_BYTES, digest::SHA256_HEX_BYTES].contains(&digest.len()),
            _ => digest.len() == digest::MD5_HEX_BYTES,
        };
        if !is_length || !digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(UrlError::Malformed { reason: "its digest is not 32 hexadecimal digits in lower case" });
        }
        Ok(Self { scheme, stamp, date_s, rand: "", uid: "", digest })
    }

    /// How it was made.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user that it names, verified only once [`Self::check`] has passed: the `uid` of an `auth_key`, but for 0.
    #[must_use]
    pub fn user(&self) -> Option<&'a str> {
        Some(self.uid).filter(|uid| !uid.is_empty() && *uid != "0")
    }

    /// Whether one of `keys` signed this for that target, whatever the time. Takes equally long whichever key fits; an
    /// empty key never fits.
    #[must_use]
    pub fn is_signed_by<K: AsRef<[u8]>>(&self, keys: &[K], target: &Target<'_>) -> bool {
        let mut fits = Choice::from(0);
        for key in keys.iter().map(AsRef::as_ref).filter(|key| !key.is_empty()) {
            let expected = digest::of(self, key, target);
            fits |= expected.as_bytes().ct_eq(self.digest.as_bytes());
        }
        fits.into()
    }

    /// Checks it against the live keys for what is to be done (one, or two while they are exchanged). It is valid until
    /// the time that it names and `validity_s` seconds more.
    ///
    /// # Errors
    /// [`UrlError::Wrong`], [`UrlError::OtherPath`]; [`UrlError::Expired`] only of one that was valid once.
    pub fn check<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        target: &Target<'_>,
        validity_s: u64,
        now_unix_s: u64,
    ) -> Result<(), UrlError> {
        if !self.is_signed_by(keys, target) {
            return Err(self.why_not(keys, target));
        }
        let until_s = self.date_s.saturating_add(validity_s);
        if now_unix_s >= until_s {
            return Err(UrlError::Expired { signed_for: self.signed_for(target), until_s, now_s: now_unix_s });
        }
        Ok(())
    }

    /// A signature that does not fit: for a sibling of the path, as happens to people who sign by hand, or not at all.
    fn why_not<K: AsRef<[u8]>>(&self, keys: &[K], target: &Target<'_>) -> UrlError {
        let plain = target.stream.rsplit_once('_').map_or(target.stream, |(stream, _)| stream);
        let others = [plain, target.stream]
            .into_iter()
            .flat_map(|stream| ["", ".flv", ".m3u8"].map(|extension| Target { stream, extension, ..*target }));
        let asked = self.signed_for(target);
        match others.into_iter().find(|other| self.is_signed_by(keys, other)) {
            Some(other) => UrlError::OtherPath { signed_for: self.signed_for(&other), asked },
            None => UrlError::Wrong { asked, scheme: self.scheme },
        }
    }

    /// What of a target is signed.
    fn signed_for(&self, target: &Target<'_>) -> String {
        match self.scheme.signs_path() {
            true => target.path(),
            false => format!("stream {}", target.stream),
        }
    }
}

/// A signature for `target`, valid until `expires_at_s` (seconds since 1970) and as long after as the server allows.
#[must_use]
pub fn mint(scheme: Scheme, key: &str, target: &Target<'_>, expires_at_s: u64) -> Minted {
    let in_hex = expires_at_s.min(u64::from(u32::MAX));
    let (stamp, expires_at_s) = match scheme {
        Scheme::AliyunA => (expires_at_s.to_string(), expires_at_s),
        Scheme::AliyunB => date::write(expires_at_s),
        Scheme::AliyunC | Scheme::Tencent | Scheme::TencentSha256 => (format!("{in_hex:08X}"), in_hex),
        Scheme::TencentDecimal => {
            let date_s = expires_at_s.clamp(DECIMAL_MIN, DECIMAL_MAX);
            (date_s.to_string(), date_s)
        }
    };
    let unsigned = Signature { scheme, stamp: &stamp, date_s: expires_at_s, rand: "0", uid: "0", digest: "" };
    let digest = digest::of(&unsigned, key.as_bytes(), target);
    let (prefix, query) = match scheme {
        Scheme::AliyunA => (String::new(), format!("auth_key={stamp}-0-0-{digest}")),
        Scheme::AliyunB => (format!("/{stamp}/{digest}"), String::new()),
        Scheme::AliyunC => (String::new(), format!("KEY1={digest}&KEY2={stamp}")),
        Scheme::Tencent | Scheme::TencentSha256 | Scheme::TencentDecimal => {
            (String::new(), format!("txSecret={digest}&txTime={stamp}"))
        }
    };
    Minted { prefix, query, expires_at_s }
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex_time(text: &str) -> Option<u64> {
    let digits = Some(text).filter(|text| text.len() == HEX_DIGITS && is_hex(text))?;
    u64::from_str_radix(digits, 16).ok()
}
