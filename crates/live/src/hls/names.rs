//! The names of files in a playlist.

use std::fmt::{Display, Formatter, Result};

/// A file of a stream, besides its playlists. `Display` writes the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// An initialisation segment.
    Init(u32),
    /// A media segment.
    Segment(u64),
}

impl Display for File {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Init(number) => write!(f, "init{number}.mp4"),
            Self::Segment(number) => write!(f, "seg{number}.m4s"),
        }
    }
}

/// Which file a name is of; `None` for any name that is not written exactly so.
pub fn file_name(name: &str) -> Option<File> {
    let between = |start: &str, end: &str| name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    let file = if let Some(number) = between("init", ".mp4") {
        File::Init(number.parse().ok()?)
    } else {
        File::Segment(between("seg", ".m4s")?.parse().ok()?)
    };
    // "+1" and "01" parse as numbers too.
    (file.to_string() == name).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        for file in [File::Init(0), File::Init(u32::MAX), File::Segment(17), File::Segment(u64::MAX)] {
            assert_eq!(file_name(&file.to_string()), Some(file));
        }
        for name in
            ["", "init.mp4", "seg+1.m4s", "seg01.m4s", "seg1.mp4", "init4294967296.mp4", "seg-1.m4s", "media.m3u8"]
        {
            assert_eq!(file_name(name), None, "{name}");
        }
    }
}
