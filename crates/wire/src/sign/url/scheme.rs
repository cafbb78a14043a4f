//! The schemes by name.

use std::fmt;
use std::str::FromStr;

/// How a live URL is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Alibaba's type A: `?auth_key=time-rand-uid-md5`.
    AliyunA,
    /// Alibaba's type B: `/YYYYMMDDHHMM/md5` before the path, in UTC+8.
    AliyunB,
    /// Alibaba's type C: `/md5/TIME` before the path, or `?KEY1=md5&KEY2=TIME`.
    AliyunC,
    /// Tencent's: `?txSecret=md5&txTime=TIME`, the time in hexadecimal.
    Tencent,
    /// The same with SHA-256.
    TencentSha256,
    /// The same, by MD5 or SHA-256, with the time in decimal. The text that is signed has no separator before the time,
    /// so where both are taken, a URL for `a` may be one for `a17` as well: for signing servers that write no other.
    TencentDecimal,
}

/// There is no such scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected aliyun-a, aliyun-b, aliyun-c, tencent, tencent-sha256 or tencent-decimal")]
pub struct UnknownScheme;

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::AliyunA, Self::AliyunB, Self::AliyunC, Self::Tencent, Self::TencentSha256, Self::TencentDecimal];

    /// The name in the configuration and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AliyunA => "aliyun-a",
            Self::AliyunB => "aliyun-b",
            Self::AliyunC => "aliyun-c",
            Self::Tencent => "tencent",
            Self::TencentSha256 => "tencent-sha256",
            Self::TencentDecimal => "tencent-decimal",
        }
    }

    /// Whether the path is signed; otherwise it is the stream's name alone.
    #[must_use]
    pub const fn signs_path(self) -> bool {
        matches!(self, Self::AliyunA | Self::AliyunB | Self::AliyunC)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Self, UnknownScheme> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == text).ok_or(UnknownScheme)
    }
}
