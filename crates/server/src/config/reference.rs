//! The configuration explained: the commented sample file and the reference page, both made of the declarations.

use super::section::{self, Description, Key};
use std::fmt::Write as _;

const SAMPLE_HEAD: &str = "\
# Configuration of `stentor serve`. Everything is shown at its default, behind a #; remove the # to change it.
# The environment overrides this file, and flags override both: STENTOR_HTTP__LISTEN=0.0.0.0:80 sets http.listen,
# STENTOR_APPLICATION__0__KEYS the keys of the first application. Lists are written with commas there.
# An unknown key is an error. This file is generated; a test holds it against the program.
";

const REFERENCE_HEAD: &str = "\
# Configuration

`stentor serve --config stentor.toml` reads one file in TOML; [`stentor.toml`](../stentor.toml) is a commented sample.
`stentor dev` needs none.

A flag overrides the environment, and the environment overrides the file. `http.listen` is `STENTOR_HTTP__LISTEN` there,
`application.0.keys` is `STENTOR_APPLICATION__0__KEYS`; lists are written with commas, and an empty text unsets what may
be unset. Times and sizes carry their unit: `\"20ms\"`, `\"10s\"`, `\"5m\"`, `\"1d\"`, `\"512KiB\"`, `\"16MiB\"`. An unknown key
ends the program with a sentence that names the nearest one.

This page is generated from the program; a test holds it against it.
";

/// The commented sample file. Read as it is, it says nothing but the defaults.
#[must_use]
pub fn sample() -> String {
    let mut out = SAMPLE_HEAD.to_owned();
    for section in section::all() {
        out.push('\n');
        for line in section.doc {
            let _ = writeln!(out, "#{line}");
        }
        // Naming a repeated section would already make one.
        let _ = match section.repeated {
            false => writeln!(out, "[{}]", section.name),
            true => writeln!(out, "#[[{}]]", section.name),
        };
        for key in &section.keys {
            for line in key.doc {
                let _ = writeln!(out, "#{line}");
            }
            let _ = writeln!(out, "#{} = {}", key.name, shown(key, section.repeated));
        }
    }
    out
}

/// The value to show in the sample: an example where the default says nothing.
fn shown(key: &Key, repeated: bool) -> String {
    let example = key.example.clone().unwrap_or_default();
    match &key.default {
        Some(default) if key.example.is_none() || !repeated => default.clone(),
        _ => example,
    }
}

/// The reference page in Markdown.
#[must_use]
#[cfg_attr(not(test), allow(dead_code, reason = "the page is written and compared by a test"))]
pub fn reference() -> String {
    let mut out = REFERENCE_HEAD.to_owned();
    for section in section::all() {
        let _ = write!(out, "\n## {}\n\n{}\n\n", title(&section), paragraph(section.doc));
        out.push_str("| key | default | expected | what it does |\n|---|---|---|---|\n");
        for key in &section.keys {
            let default = key.default.as_ref().map_or_else(|| "unset".to_owned(), |text| format!("`{text}`"));
            let doc = paragraph(key.doc);
            let _ = writeln!(out, "| `{}` | {default} | {} | {doc} |", key.name, key.expected);
        }
    }
    out
}

fn title(section: &Description) -> String {
    match section.repeated {
        false => format!("[{}]", section.name),
        true => format!("[[{}]]", section.name),
    }
}

fn paragraph(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
