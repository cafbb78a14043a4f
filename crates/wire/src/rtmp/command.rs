//! Commands (RTMP 1.0 section 7.2): a name, a transaction, an object, and the rest.

use bytes::{Bytes, BytesMut};

use crate::flv::amf::{self, Value};

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    /// `connect`, `publish`, `_result`, ...
    pub(super) name: String,
    /// The number that its answer repeats; 0 asks for none.
    pub(super) transaction: f64,
    /// The command object; undefined where there is none.
    pub(super) object: Value,
    /// What follows it.
    pub(super) arguments: Vec<Value>,
}

impl Command {
    /// Reads the body of a command message. What is missing at its end is taken as 0 or undefined: clients leave it out.
    /// `None` for a body that does not begin with a name.
    pub(super) fn decode(body: &[u8]) -> Result<Option<Self>, amf::Error> {
        let mut values = amf::decode(body)?.into_iter();
        let Some(Value::String(name)) = values.next() else { return Ok(None) };
        let transaction = values.next().and_then(|value| value.as_f64()).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Undefined);
        Ok(Some(Self { name, transaction, object, arguments: values.collect() }))
    }

    /// The text at a place after the command object.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).and_then(Value::as_str)
    }

    /// The number at a place after the command object.
    pub(super) fn number(&self, index: usize) -> Option<f64> {
        self.arguments.get(index).and_then(Value::as_f64)
    }
}

/// The body of a command message.
pub(super) fn encode(name: &str, transaction: f64, values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    amf::encode_str(name, &mut out);
    amf::encode(&Value::Number(transaction), &mut out);
    values.iter().for_each(|value| amf::encode(value, &mut out));
    out.freeze()
}

/// The object that `onStatus`, `_result` of `connect` and `_error` carry (RTMP 1.0 section 7.2.2).
pub(super) fn status(level: &str, code: &str, description: &str) -> Value {
    Value::object([("level", level.into()), ("code", code.into()), ("description", description.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_one_value_has_defaults_for_the_rest() {
        let command = Command::decode(b"\x02\x00\x07connect").unwrap().unwrap();
        assert_eq!((command.transaction, command.object, command.arguments.len()), (0.0, Value::Undefined, 0));
        assert_eq!(Command::decode(b"").unwrap(), None);
        assert_eq!(Command::decode(&[5]).unwrap(), None);
    }

    #[test]
    fn reads_what_it_writes() {
        let body = encode("publish", 5.0, &[Value::Null, "name".into(), "live".into()]);
        let command = Command::decode(&body).unwrap().unwrap();
        assert_eq!((command.name.as_str(), command.transaction, command.text(0)), ("publish", 5.0, Some("name")));
        assert_eq!((command.text(2), command.number(0)), (None, None));
    }
}
