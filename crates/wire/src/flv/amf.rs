//! AMF0 (Adobe Action Message Format AMF 0, 2007): the notation of RTMP commands and of FLV script data.
//!
//! Reading is bounded in depth and in number of values, since commands come from peers that nobody has authorised yet.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// Containers within containers, at most.
pub const DEPTH_MAX: usize = 64;
/// Values in one message, keys not counted, at most.
pub const VALUES_MAX: usize = 4_096;

const NUMBER: u8 = 0;
const BOOLEAN: u8 = 1;
const STRING: u8 = 2;
const OBJECT: u8 = 3;
const NULL: u8 = 5;
const UNDEFINED: u8 = 6;
const ECMA_ARRAY: u8 = 8;
const OBJECT_END: u8 = 9;
const STRICT_ARRAY: u8 = 10;
const DATE: u8 = 11;
const LONG_STRING: u8 = 12;
const UNSUPPORTED: u8 = 13;
const XML: u8 = 15;
const TYPED_OBJECT: u8 = 16;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text. Bytes that are no UTF-8 are replaced when it is read.
    String(String),
    /// An object: keys in the order in which they came. The class of a typed object is dropped.
    Object(Vec<(String, Self)>),
    /// An associative array, which differs from an object in notation only.
    EcmaArray(Vec<(String, Self)>),
    /// An array.
    StrictArray(Vec<Self>),
    /// Milliseconds since 1970; the time zone, which the standard says not to use, is dropped.
    Date(f64),
    /// An XML document.
    Xml(String),
    /// Null.
    Null,
    /// Undefined, and the marker for what could not be said.
    Undefined,
}

impl Value {
    /// The number, where it is one.
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The text, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Truth, where it is said.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Boolean(truth) = self { Some(*truth) } else { None }
    }

    /// The value under a key of an object or associative array.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let (Self::Object(entries) | Self::EcmaArray(entries)) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// An object of texts and numbers, for writing.
    pub fn object<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// Why bytes are no AMF0 that we read. All are faults of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The bytes end within a value.
    #[error("the AMF0 data is cut short")]
    Short,
    /// A marker that AMF0 does not have, or that nobody has sent since Flash (references, record sets, AMF3).
    #[error("the AMF0 data has a value of the unknown type {0}")]
    Marker(u8),
    /// More than `DEPTH_MAX` containers within one another.
    #[error("the AMF0 data is nested deeper than {DEPTH_MAX} levels")]
    Depth,
    /// More than `VALUES_MAX` values.
    #[error("the AMF0 data has more than {VALUES_MAX} values")]
    Values,
}

/// Reads all values of a message.
///
/// # Errors
/// Where the bytes are cut short, of an unknown type, or past a bound.
pub fn decode(bytes: &[u8]) -> Result<Vec<Value>, Error> {
    let mut reader = Reader { rest: bytes, values_left: VALUES_MAX };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

struct Reader<'a> {
    rest: &'a [u8],
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Depth);
        }
        self.values_left = self.values_left.checked_sub(1).ok_or(Error::Values)?;
        Ok(match self.u8()? {
            NUMBER => Value::Number(self.f64()?),
            BOOLEAN => Value::Boolean(self.u8()? != 0),
            STRING => Value::String(self.short_text()?),
            OBJECT => Value::Object(self.entries(depth)?),
            TYPED_OBJECT => {
                self.short_text()?;
                Value::Object(self.entries(depth)?)
            }
            // The count is a hint that writers get wrong: the end marker decides.
            ECMA_ARRAY => {
                self.u32()?;
                Value::EcmaArray(self.entries(depth)?)
            }
            STRICT_ARRAY => {
                let count = self.u32()?;
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::StrictArray(values)
            }
            DATE => {
                let unix_ms = self.f64()?;
                self.take(2)?;
                Value::Date(unix_ms)
            }
            LONG_STRING => Value::String(self.long_text()?),
            XML => Value::Xml(self.long_text()?),
            NULL => Value::Null,
            UNDEFINED | UNSUPPORTED => Value::Undefined,
            marker => return Err(Error::Marker(marker)),
        })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(String, Value)>, Error> {
        let mut entries = Vec::new();
        loop {
            let key = self.short_text()?;
            if key.is_empty() && self.rest.first() == Some(&OBJECT_END) {
                self.take(1)?;
                return Ok(entries);
            }
            entries.push((key, self.value(depth + 1)?));
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Error::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Error::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn f64(&mut self) -> Result<f64, Error> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    fn short_text(&mut self) -> Result<String, Error> {
        let length = u16::from_be_bytes(self.array()?);
        Ok(String::from_utf8_lossy(self.take(length.into())?).into_owned())
    }

    fn long_text(&mut self) -> Result<String, Error> {
        let length = self.u32()? as usize;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}

/// Writes one value.
pub fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(truth) => out.put_slice(&[BOOLEAN, u8::from(*truth)]),
        Value::String(text) => encode_str(text, out),
        Value::Object(entries) => {
            out.put_u8(OBJECT);
            encode_entries(entries, out);
        }
        Value::EcmaArray(entries) => {
            out.put_u8(ECMA_ARRAY);
            out.put_u32(entries.len() as u32);
            encode_entries(entries, out);
        }
        Value::StrictArray(values) => {
            out.put_u8(STRICT_ARRAY);
            out.put_u32(values.len() as u32);
            values.iter().for_each(|value| encode(value, out));
        }
        Value::Date(unix_ms) => {
            out.put_u8(DATE);
            out.put_f64(*unix_ms);
            out.put_u16(0);
        }
        Value::Xml(text) => {
            out.put_u8(XML);
            encode_long(text, out);
        }
        Value::Null => out.put_u8(NULL),
        Value::Undefined => out.put_u8(UNDEFINED),
    }
}

/// Writes a text as a value, in the long notation where it does not fit the short one.
pub fn encode_str(text: &str, out: &mut BytesMut) {
    if let Ok(length) = u16::try_from(text.len()) {
        out.put_u8(STRING);
        out.put_u16(length);
        out.put_slice(text.as_bytes());
    } else {
        out.put_u8(LONG_STRING);
        encode_long(text, out);
    }
}

fn encode_long(text: &str, out: &mut BytesMut) {
    out.put_u32(text.len() as u32);
    out.put_slice(text.as_bytes());
}

fn encode_entries(entries: &[(String, Value)], out: &mut BytesMut) {
    for (key, value) in entries {
        // A key has no long notation: an entry whose key does not fit is left out. An empty key would end the object
        // early only before a value of the end marker, which no value has.
        let Ok(length) = u16::try_from(key.len()) else { continue };
        out.put_u16(length);
        out.put_slice(key.as_bytes());
        encode(value, out);
    }
    out.put_slice(&[0, 0, OBJECT_END]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nested(levels: usize, open: &[u8]) -> Vec<u8> {
        open.repeat(levels)
    }

    #[test]
    fn nesting_without_end_is_refused_and_not_a_stack_overflow() {
        assert_eq!(decode(&nested(20_000, &[OBJECT, 0, 1, b'a'])), Err(Error::Depth));
        assert_eq!(decode(&nested(20_000, &[ECMA_ARRAY, 0, 0, 0, 1, 0, 1, b'a'])), Err(Error::Depth));
        assert_eq!(decode(&nested(20_000, &[STRICT_ARRAY, 0, 0, 0, 1])), Err(Error::Depth));
        let mut deepest = nested(DEPTH_MAX, &[STRICT_ARRAY, 0, 0, 0, 1]);
        deepest.push(NULL);
        assert!(decode(&deepest).is_ok());
        deepest.splice(0..0, [STRICT_ARRAY, 0, 0, 0, 1]);
        assert_eq!(decode(&deepest), Err(Error::Depth));
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        assert_eq!(decode(&vec![NULL; VALUES_MAX]).unwrap().len(), VALUES_MAX);
        assert_eq!(decode(&vec![NULL; VALUES_MAX + 1]), Err(Error::Values));
        let mut array = vec![STRICT_ARRAY, 0xff, 0xff, 0xff, 0xff];
        array.resize(VALUES_MAX * 2, NULL);
        assert_eq!(decode(&array), Err(Error::Values));
        assert_eq!(decode(&[STRICT_ARRAY, 0xff, 0xff, 0xff, 0xff]), Err(Error::Short));
    }

    #[test]
    fn reads_what_encoders_send() {
        let bytes = b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x03\x00\x03app\x02\x00\x04live\x00\x00\x09";
        let values = decode(bytes).unwrap();
        assert_eq!(values[0].as_str(), Some("connect"));
        assert_eq!(values[1].as_f64(), Some(1.0));
        assert_eq!(values[2].get("app").and_then(Value::as_str), Some("live"));
        for end in 0..bytes.len() {
            let whole_values = [0, 10, 19].contains(&end);
            assert_eq!(decode(&bytes[..end]).is_ok(), whole_values, "cut at {end}");
        }
        assert_eq!(decode(&[0x11]), Err(Error::Marker(0x11)), "AMF3");
        assert_eq!(decode(&[7, 0, 0]), Err(Error::Marker(7)), "a reference");
    }

    #[test]
    fn long_text_has_its_own_notation() {
        let text = Value::String("x".repeat(70_000));
        let mut out = BytesMut::new();
        encode(&text, &mut out);
        assert_eq!(out[0], LONG_STRING);
        assert_eq!(decode(&out).unwrap(), [text]);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-1e9..1e9f64).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,12}".prop_map(Value::String),
            (0.0..1e12f64).prop_map(Value::Date),
            ".{0,12}".prop_map(Value::Xml),
            Just(Value::Null),
            Just(Value::Undefined),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let entries = proptest::collection::vec((".{0,8}", inner.clone()), 0..4);
            prop_oneof![
                entries.clone().prop_map(Value::Object),
                entries.prop_map(Value::EcmaArray),
                proptest::collection::vec(inner, 0..4).prop_map(Value::StrictArray),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(value in any_value()) {
            let mut out = BytesMut::new();
            encode(&value, &mut out);
            prop_assert_eq!(decode(&out).unwrap(), [value]);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(prop_oneof![0u8..18, any::<u8>()], 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
