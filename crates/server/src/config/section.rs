//! How a section is declared: the macro that makes a struct, its defaults, its reader and its documentation of one text.

use super::source::Raw;
use super::{App, Application, Hls, Http, Live, Media, Rtmp, Server, Webhook};

/// Why a setting was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The section has no such key.
    UnknownKey,
    /// The value cannot be read.
    BadValue {
        /// What would have been right.
        expected: &'static str,
    },
}

/// A section of the file.
pub(super) trait Section: Default {
    /// Its name in brackets.
    const NAME: &'static str;

    /// Sets one key.
    fn set(&mut self, key: &str, raw: &Raw) -> Result<(), Fault>;

    /// What it consists of.
    fn description() -> Description;
}

/// A section as people read of it.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub(super) name: &'static str,
    pub(super) doc: &'static [&'static str],
    /// Written in double brackets, once for each entry.
    pub(super) repeated: bool,
    pub(super) keys: Vec<Key>,
}

/// A key as people read of it.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) doc: &'static [&'static str],
    /// The default in TOML; `None` where the key is unset by default.
    pub(super) default: Option<String>,
    /// A value to show instead of the default, in TOML.
    pub(super) example: Option<String>,
    /// What kind of value is expected, as a phrase.
    pub(super) expected: &'static str,
}

/// All sections, in the order of the file.
pub(super) fn all() -> Vec<Description> {
    let application = Description { repeated: true, ..Application::description() };
    let app = Description { repeated: true, ..App::description() };
    let webhook = Description { repeated: true, ..Webhook::description() };
    vec![
        Server::description(),
        Http::description(),
        Rtmp::description(),
        Media::description(),
        Live::description(),
        Hls::description(),
        application,
        app,
        webhook,
    ]
}

/// Whether there is a section of this name.
pub(super) fn is_known(name: &str) -> bool {
    all().iter().any(|section| section.name == name)
}

/// Every setting as `section.key`.
pub(super) fn all_names() -> Vec<String> {
    let sections = all();
    let names =
        sections.iter().flat_map(|section| section.keys.iter().map(|key| format!("{}.{}", section.name, key.name)));
    names.collect()
}

/// Declares sections: each a struct whose fields are settings with a type, a default and perhaps an example.
macro_rules! settings {
    ($(
        $(#[doc = $about:literal])+
        pub struct $section:ident[$name:literal] {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $kind:ty = $default:expr $(, example $example:literal)?;
            )+
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $section {
            $($(#[doc = $doc])+ pub $key: $kind,)+
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl $crate::config::section::Section for $section {
            const NAME: &'static str = $name;

            fn set(
                &mut self,
                key: &str,
                raw: &$crate::config::source::Raw,
            ) -> Result<(), $crate::config::section::Fault> {
                use $crate::config::{section::Fault, value::Setting};
                match key {
                    $(stringify!($key) => {
                        self.$key = Setting::read(raw)
                            .ok_or(Fault::BadValue { expected: <$kind as Setting>::EXPECTED })?;
                    })+
                    _ => return Err(Fault::UnknownKey),
                }
                Ok(())
            }

            fn description() -> $crate::config::section::Description {
                use $crate::config::{section::{Description, Key}, value::Setting};
                let default = Self::default();
                // The last one given counts; `None` stands first for keys without an example.
                Description {
                    name: $name,
                    doc: &[$($about),+],
                    repeated: false,
                    keys: vec![$(Key {
                        name: stringify!($key),
                        doc: &[$($doc),+],
                        default: default.$key.show(),
                        example: [None::<&str>, $(Some($example))?]
                            .last()
                            .copied()
                            .flatten()
                            .and_then(|text| <$kind as Setting>::read(&$crate::config::source::Raw::One(text.to_owned())))
                            .and_then(|value| value.show()),
                        expected: <$kind as Setting>::EXPECTED,
                    },)+],
                }
            }
        }
    )+};
}
pub(super) use settings;
