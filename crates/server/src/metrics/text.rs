//! The text format of Prometheus, version 0.0.4: a family's samples stand together, under its help and its type.

use std::fmt::{Display, Write as _};

use super::Family;

/// A text being written.
#[derive(Debug, Default)]
pub struct Text {
    out: String,
    last: &'static str,
}

impl Text {
    /// Writes a family with its samples, each by the values of the family's labels. A family that was just written is
    /// gone on with.
    pub fn family<'a, V: Display>(&mut self, family: &Family, samples: impl IntoIterator<Item = (Vec<&'a str>, V)>) {
        let Family { name, kind, labels, help } = family;
        if self.last != *name {
            self.last = name;
            let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.name());
        }
        for (values, number) in samples {
            debug_assert_eq!(labels.len(), values.len(), "{name} has labels {labels:?}");
            self.out.push_str(name);
            for (at, (key, value)) in labels.iter().zip(values).enumerate() {
                let before = if at == 0 { '{' } else { ',' };
                let _ = write!(self.out, "{before}{key}=\"{}\"", escaped(value));
            }
            if !labels.is_empty() {
                self.out.push('}');
            }
            let _ = writeln!(self.out, " {number}");
        }
    }

    /// Writes a family without labels.
    pub fn one(&mut self, family: &Family, number: impl Display) {
        self.family(family, [(Vec::new(), number)]);
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.out
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
