//! Where settings come from: the file, the environment, the command line. Each becomes a list of entries; the last counts.

use super::ConfigError;
use super::error;
use super::section;
use std::fmt;
use toml::de::{DeTable, DeValue};

/// What the names of our environment variables begin with.
const PREFIX: &str = "STENTOR_";
/// What stands between section and key in them.
const SEPARATOR: &str = "__";
/// What separates the members of a list outside of the file.
const COMMA: char = ',';

/// Where something was said, as the beginning of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// Its path as it was given.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// In an environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// On the command line.
    Flag,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// A value before its kind is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// A single value as text.
    One(String),
    /// A list.
    Many(Vec<String>),
    /// What no setting is: a table, a list of lists.
    Other,
}

impl Raw {
    /// The single value.
    pub(super) fn one(&self) -> Option<&str> {
        match self {
            Self::One(text) => Some(text),
            Self::Many(_) | Self::Other => None,
        }
    }

    /// The members; a single value is a list of its parts between commas, and an empty one a list of none.
    pub(super) fn many(&self) -> Option<Vec<&str>> {
        match self {
            Self::Many(list) => Some(list.iter().map(String::as_str).collect()),
            Self::One(text) => Some(text.split(COMMA).map(str::trim).filter(|part| !part.is_empty()).collect()),
            Self::Other => None,
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(text) => write!(f, "'{text}'"),
            Self::Many(list) => write!(f, "a list of {}", list.len()),
            Self::Other => f.write_str("a table"),
        }
    }
}

/// One setting, said somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: String,
    /// Which of the entries of a repeated section, from 0.
    pub(super) index: Option<usize>,
    pub(super) key: String,
    pub(super) raw: Raw,
    pub(super) place: Place,
}

impl Entry {
    /// The key with its section.
    pub(super) fn full_key(&self) -> String {
        match self.index {
            None => format!("{}.{}", self.section, self.key),
            Some(index) => format!("{}.{index}.{}", self.section, self.key),
        }
    }
}

/// The entries of a file in TOML. `name` is only for messages.
pub(super) fn from_file(name: &str, text: &str) -> Result<Vec<Entry>, ConfigError> {
    let place = |at: usize| Place::File { name: name.to_owned(), line: line_of(text, at) };
    let document = DeTable::parse(text).map_err(|error| ConfigError::NotToml {
        place: place(error.span().map_or(0, |span| span.start)),
        message: error.message().replace('\n', " "),
    })?;
    let mut entries = Vec::new();
    for (section, content) in document.get_ref() {
        let tables = tables_of(content.get_ref())
            .ok_or_else(|| error::outside_section(section.get_ref(), &place(section.span().start)))?;
        if tables.iter().all(|(_, table)| table.is_empty()) && !section::is_known(section.get_ref()) {
            return Err(error::unknown_section(section.get_ref(), &place(section.span().start)));
        }
        for (index, table) in tables {
            entries.extend(table.iter().map(|(key, value)| Entry {
                section: section.get_ref().to_string(),
                index,
                key: key.get_ref().to_string(),
                raw: raw_of(value.get_ref()),
                place: place(key.span().start),
            }));
        }
    }
    entries.sort_by_key(|entry| entry.index);
    Ok(entries)
}

/// A section's table, or the numbered tables of a repeated one; `None` where it is neither.
fn tables_of<'a, 'i>(content: &'a DeValue<'i>) -> Option<Vec<(Option<usize>, &'a DeTable<'i>)>> {
    match content {
        DeValue::Table(table) => Some(vec![(None, table)]),
        DeValue::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, member)| match member.get_ref() {
                DeValue::Table(table) => Some((Some(index), table)),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn raw_of(value: &DeValue<'_>) -> Raw {
    if let DeValue::Array(list) = value {
        let members: Option<Vec<String>> = list.iter().map(|member| text_of(member.get_ref())).collect();
        return members.map_or(Raw::Other, Raw::Many);
    }
    text_of(value).map_or(Raw::Other, Raw::One)
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// The line of a byte, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The entries of the environment: `STENTOR_HTTP__LISTEN`, `STENTOR_APPLICATION__0__KEYS`.
///
/// Variables without the double underscore are passed over, since container platforms make such for a service of this
/// name, unless they are a setting's name spelt with a single one.
pub(super) fn from_environment(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Entry>, ConfigError> {
    let mut entries = Vec::new();
    for (variable, value) in variables {
        let Some(name) = variable.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else { continue };
        let place = Place::Environment { variable: variable.clone() };
        if !name.contains(SEPARATOR) {
            if let Some(meant) = section::all_names().into_iter().find(|known| known.replace('.', "_") == name) {
                let meant = format!("{PREFIX}{}", meant.replace('.', SEPARATOR).to_ascii_uppercase());
                return Err(ConfigError::SingleUnderscore { variable, meant });
            }
            continue;
        }
        entries.push(entry(&name.replace(SEPARATOR, "."), value, place)?);
    }
    // Applications are numbered, and the first must come first.
    entries.sort_by_key(|entry| entry.index);
    Ok(entries)
}

/// The entries of the command line: pairs of `section.key` and value.
pub(super) fn from_flags<'a>(flags: impl IntoIterator<Item = (&'a str, String)>) -> Result<Vec<Entry>, ConfigError> {
    flags.into_iter().map(|(name, value)| entry(name, value, Place::Flag)).collect()
}

/// `http.listen` or `application.0.keys`.
fn entry(name: &str, value: String, place: Place) -> Result<Entry, ConfigError> {
    let parts: Vec<&str> = name.split('.').collect();
    let (section, index, key) = match *parts.as_slice() {
        [section, key] => (section, None, key),
        [section, index, key] => {
            let index = index.parse().map_err(|_| error::outside_section(name, &place))?;
            (section, Some(index), key)
        }
        _ => return Err(error::outside_section(name, &place)),
    };
    Ok(Entry { section: section.to_owned(), index, key: key.to_owned(), raw: Raw::One(value), place })
}
