//! What a value may look like: how each kind is read from text and shown as TOML. Units stand in the value.

use super::source::Raw;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use wire::sign::url::Scheme;

/// A kind of value.
pub(super) trait Setting: Sized {
    /// What is expected, as the end of the sentence "... is X; expected ...".
    const EXPECTED: &'static str;

    /// Reads it; `None` where it is something else.
    fn read(raw: &Raw) -> Option<Self>;

    /// As it is written in the file; `None` where it is unset.
    fn show(&self) -> Option<String>;
}

/// A number of bytes, written as "512KiB" or "16MiB".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    bytes: u64,
}

impl Size {
    /// So many times 1,048,576 bytes.
    #[must_use]
    pub const fn mebibytes(count: u64) -> Self {
        Self { bytes: count << 20 }
    }

    /// The number, held at what this machine can address.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }
}

const SIZE_UNITS: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIME_UNITS_MS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a number with a unit: "1.5s" with s = 1000 is 1500. No sign, no exponent, nothing finer than the unit of 1.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    let &(_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().ok()?;
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<u64>().ok()?.checked_mul(factor)?;
    if !fraction.is_multiple_of(scale) {
        return None;
    }
    whole.checked_mul(factor)?.checked_add(fraction / scale)
}

/// The largest unit that shows a number without a fraction.
fn in_unit(number: u64, units: &[(&str, u64)], zero: &str) -> String {
    if number == 0 {
        return zero.to_owned();
    }
    units
        .iter()
        .find(|(_, factor)| number.is_multiple_of(*factor))
        .map(|(unit, factor)| format!("{}{unit}", number / factor))
        .unwrap_or_default()
}

/// A string in TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a time with its unit, such as \"10s\", \"20ms\", \"5m\" or \"1d\"";

    fn read(raw: &Raw) -> Option<Self> {
        with_unit(raw.one()?, TIME_UNITS_MS).map(Self::from_millis)
    }

    fn show(&self) -> Option<String> {
        let milliseconds = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        Some(quoted(&in_unit(milliseconds, TIME_UNITS_MS, "0s")))
    }
}

impl Setting for Size {
    const EXPECTED: &'static str = "a size with its unit, such as \"512KiB\" or \"16MiB\"";

    fn read(raw: &Raw) -> Option<Self> {
        with_unit(raw.one()?, SIZE_UNITS).map(|bytes| Self { bytes })
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&in_unit(self.bytes, SIZE_UNITS, "0B")))
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(raw: &Raw) -> Option<Self> {
        raw.one()?.parse().ok()
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";

    fn read(raw: &Raw) -> Option<Self> {
        raw.one()?.parse().ok()
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for SocketAddr {
    const EXPECTED: &'static str = "an address and a port, such as \"0.0.0.0:8080\" or \"[::]:8080\"";

    fn read(raw: &Raw) -> Option<Self> {
        raw.one()?.parse().ok()
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Setting for IpAddr {
    const EXPECTED: &'static str = "an address, such as \"203.0.113.7\"";

    fn read(raw: &Raw) -> Option<Self> {
        raw.one()?.parse().ok()
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// How lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl LogFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Setting for LogFormat {
    const EXPECTED: &'static str = "\"text\" or \"json\"";

    fn read(raw: &Raw) -> Option<Self> {
        [Self::Text, Self::Json].into_iter().find(|format| raw.one() == Some(format.name()))
    }

    fn show(&self) -> Option<String> {
        Some(quoted(self.name()))
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a text in quotes";

    fn read(raw: &Raw) -> Option<Self> {
        raw.one().map(str::to_owned)
    }

    fn show(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "the path of a file";

    fn read(raw: &Raw) -> Option<Self> {
        raw.one().filter(|path| !path.is_empty()).map(Self::from)
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.display().to_string()))
    }
}

/// Unset, or a value. An empty text unsets it again, so that the environment can undo what the file says.
impl<T: Setting> Setting for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(raw: &Raw) -> Option<Self> {
        if raw.one() == Some("") { Some(None) } else { T::read(raw).map(Some) }
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }
}

/// The kinds of which there are lists.
pub(super) trait Listed: Setting {
    /// What is expected of the list.
    const EXPECTED_LIST: &'static str;
}

impl Listed for IpAddr {
    const EXPECTED_LIST: &'static str = "a list of addresses, such as [\"203.0.113.7\"]";
}

impl Setting for Scheme {
    const EXPECTED: &'static str = "aliyun-a, aliyun-b, aliyun-c, tencent, tencent-sha256 or tencent-decimal";

    fn read(raw: &Raw) -> Option<Self> {
        raw.one()?.parse().ok()
    }

    fn show(&self) -> Option<String> {
        Some(quoted(self.name()))
    }
}

impl Listed for Scheme {
    const EXPECTED_LIST: &'static str =
        "a list of aliyun-a, aliyun-b, aliyun-c, tencent, tencent-sha256, tencent-decimal";
}

impl Listed for String {
    const EXPECTED_LIST: &'static str = "a list of texts, such as [\"one\", \"two\"]";
}

impl<T: Listed> Setting for Vec<T> {
    const EXPECTED: &'static str = T::EXPECTED_LIST;

    fn read(raw: &Raw) -> Option<Self> {
        raw.many()?.iter().map(|text| T::read(&Raw::One((*text).to_owned()))).collect()
    }

    fn show(&self) -> Option<String> {
        let shown: Vec<String> = self.iter().filter_map(T::show).collect();
        Some(format!("[{}]", shown.join(", ")))
    }
}
