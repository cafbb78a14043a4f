//! Mistakes in the configuration, each in one sentence: where, what was found, what was expected.

use super::section;
use super::source::{Entry, Place};
use std::path::PathBuf;

/// A name this alike (1 is the same) is offered as what was probably meant.
const SIMILARITY_MIN: f64 = 0.6;

/// Why the server does not start with this configuration. The fault is the operator's in every case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read ({source}); give the path of a file by --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{place}: this is not TOML: {message}")]
    NotToml {
        /// Where.
        place: Place,
        /// What the parser said.
        message: String,
    },
    /// There is no such section or key.
    #[error("{place}: '{name}' is not a {what}; {hint}")]
    Unknown {
        /// Where.
        place: Place,
        /// What was found.
        name: String,
        /// Section or setting.
        what: &'static str,
        /// The nearest that there is.
        hint: String,
    },
    /// The value is of another kind.
    #[error("{place}: {key} is {found}; expected {expected}")]
    BadValue {
        /// Where.
        place: Place,
        /// The setting.
        key: String,
        /// What was found.
        found: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// Double brackets where there is only one of it.
    #[error("{place}: there is one [{section}] only; write it in single brackets")]
    Repeated {
        /// Where.
        place: Place,
        /// The section.
        section: String,
    },
    /// Single brackets where there are several.
    #[error("{place}: there may be several {section}s; write [[{section}]], or {section}.0 outside of the file")]
    NotRepeated {
        /// Where.
        place: Place,
        /// The section.
        section: &'static str,
    },
    /// The number of an entry is not the next, or there are too many.
    #[error(
        "{place}: {section} {index} cannot be set where there are {count}; number them from 0 without gaps, and have at most {max}"
    )]
    Gap {
        /// Where.
        place: Place,
        /// The section.
        section: &'static str,
        /// The number.
        index: usize,
        /// How many there were.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// An environment variable that nearly is a setting.
    #[error("environment {variable}: section and key are separated by two underscores; did you mean {meant}?")]
    SingleUnderscore {
        /// The variable.
        variable: String,
        /// The setting's.
        meant: String,
    },
    /// Settings that do not go together.
    #[error("{message}")]
    Contradiction {
        /// The sentence.
        message: String,
    },
}

/// No such key in the entry's section.
pub(super) fn unknown_key(entry: &Entry) -> ConfigError {
    let names: Vec<String> = section::all()
        .iter()
        .flat_map(|section| {
            let own = section.name == entry.section;
            section
                .keys
                .iter()
                .map(move |key| if own { key.name.to_owned() } else { format!("{}.{}", section.name, key.name) })
        })
        .collect();
    let elsewhere = section::all()
        .iter()
        .find(|section| section.keys.iter().any(|key| key.name == entry.key))
        .map(|section| format!("{}.{}", section.name, entry.key));
    let hint = match (elsewhere, nearest(&entry.key, names.iter().map(String::as_str))) {
        (Some(elsewhere), _) => format!("did you mean {elsewhere}?"),
        (None, Some(nearest)) => format!("did you mean '{nearest}'?"),
        (None, None) => listing(
            "it has",
            section::all()
                .iter()
                .filter(|section| section.name == entry.section)
                .flat_map(|section| section.keys.iter().map(|key| key.name)),
        ),
    };
    ConfigError::Unknown { place: entry.place.clone(), name: entry.key.clone(), what: "setting of this section", hint }
}

/// No such section.
pub(super) fn unknown_section(name: &str, place: &Place) -> ConfigError {
    let sections = section::all();
    let names = sections.iter().map(|section| section.name);
    let hint = match nearest(name, names.clone()) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => listing("there are", names),
    };
    ConfigError::Unknown { place: place.clone(), name: name.to_owned(), what: "section", hint }
}

/// A key above the first section, or a name that is no section and key.
pub(super) fn outside_section(name: &str, place: &Place) -> ConfigError {
    let names = section::all_names();
    let by_key = names.iter().find(|known| known.ends_with(&format!(".{name}"))).map(String::as_str);
    let hint = match by_key.or_else(|| nearest(name, names.iter().map(String::as_str))) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => "write it as key = value below the [section] that it belongs to".to_owned(),
    };
    ConfigError::Unknown { place: place.clone(), name: name.to_owned(), what: "section and key", hint }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.map(|known| (strsim::normalized_damerau_levenshtein(name, known), known));
    rated
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

fn listing<'a>(beginning: &str, names: impl Iterator<Item = &'a str>) -> String {
    format!("{beginning} {}", names.collect::<Vec<_>>().join(", "))
}
