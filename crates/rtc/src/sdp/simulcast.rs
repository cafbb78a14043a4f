//! Several codings of one picture side by side: reading the offer (RFC 8853 section 5.1), and saying which are taken.

use std::fmt::Write as _;

use media::{Kind, LAYERS_MAX};
use smallvec::SmallVec;

use super::{offer::Section, plan::uri};

/// Length of a name at most: what fits one-byte header extensions, and str0m.
const NAME_BYTES_MAX: usize = 8;

/// The names of the codings that we take, in the order of the offer: none, unless there are at least two that can be told
/// apart by the names in their packets (RFC 8852).
pub(super) fn layers(section: &Section<'_>, extensions: &[(u8, &str)]) -> SmallVec<[String; LAYERS_MAX]> {
    let named = |name| extensions.iter().any(|(_, known)| *known == name);
    let Some(offered) = section.simulcast.filter(|_| section.kind() == Some(Kind::Video)) else {
        return SmallVec::new();
    };
    if !(named(uri::MID) && named(uri::RID)) {
        return SmallVec::new();
    }
    let mut words = offered.split_ascii_whitespace();
    let sent = std::iter::from_fn(|| Some((words.next()?, words.next()?))).find(|(direction, _)| *direction == "send");
    let mut layers = SmallVec::<[String; LAYERS_MAX]>::new();
    for alternatives in sent.map_or("", |(_, list)| list).split(';') {
        // The first alternative is what the sender likes best; a tilde says that it is paused, which may end.
        let name = alternatives.split(',').next().unwrap_or_default();
        let name = name.strip_prefix('~').unwrap_or(name);
        let safe = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_new = layers.iter().all(|known| known != name);
        if layers.len() < LAYERS_MAX && safe && is_new && section.rids.contains(&name) {
            layers.push(name.to_owned());
        }
    }
    if layers.len() < 2 { SmallVec::new() } else { layers }
}

/// Writes which codings go in a direction.
pub(super) fn write(out: &mut String, layers: &[String], direction: &str) {
    if layers.is_empty() {
        return;
    }
    for name in layers {
        let _ = write!(out, "a=rid:{name} {direction}\r\n");
    }
    let _ = write!(out, "a=simulcast:{direction} {}\r\n", layers.join(";"));
}
