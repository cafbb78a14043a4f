//! Settings that are one of a few words.

/// Declares an enum whose members are written as fixed texts.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident: $expected:literal { $($(#[doc = $doc:literal])+ $member:ident = $word:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])+ $member,)+
        }

        impl $crate::config::value::Setting for $name {
            const EXPECTED: &'static str = $expected;

            fn read(raw: &$crate::config::source::Raw) -> Option<Self> {
                match raw.one()? {
                    $($word => Some(Self::$member),)+
                    _ => None,
                }
            }

            fn show(&self) -> Option<String> {
                let word = match self {
                    $(Self::$member => $word,)+
                };
                word.to_owned().show()
            }
        }
    };
}

pub(super) use words;

words! {
    /// The leg of WebRTC viewers.
    ViewerLeg: "\"own\" or \"str0m\"" {
        /// Our own, which only sends.
        Own = "own",
        /// str0m's, which publishers have.
        Str0m = "str0m",
    }
}
