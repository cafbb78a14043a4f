//! Reading MP4 (ISO/IEC 14496-12): files with sample tables, files of fragments, and the segments of HLS.
//!
//! `boxes` walks the tree, `tracks` reads `moov`, `table` its sample tables, `fragment` reads `moof`. Samples come out as
//! byte ranges; `coding` turns their bytes into frames. Everything is bounded, since the bytes are a stranger's.

mod boxes;
mod coding;
mod fragment;
mod segment;
mod table;
mod tracks;

use media::Kind;
use thiserror::Error;

pub use boxes::{Header, header};
pub use coding::Coding;
pub use fragment::fragment;
pub use segment::{Part, frames, top_level};
pub use tracks::{Defaults, Movie, Track, movie};

/// Bytes of `moov`, or of one `moof`, that are read at most.
pub const INDEX_BYTES_MAX: usize = 64 << 20;
/// Bytes of one sample at most.
pub const SAMPLE_BYTES_MAX: u32 = 16 << 20;
/// Samples of a track at most: a week of sound.
pub(crate) const SAMPLES_MAX: usize = 32 << 20;

/// One coded sample, and where its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The track, as its `tkhd` numbers it.
    pub track_id: u32,
    /// Where it begins: in a file from its start, in a fragment from the start of its `moof`.
    pub offset: u64,
    /// How long it is.
    pub bytes: u32,
    /// When it is decoded, in ticks of its track.
    pub dts: i64,
    /// From decoding to showing, in ticks.
    pub composition: i32,
    /// A decoder may start here.
    pub key: bool,
}

/// Why bytes are no MP4 that we read. All are faults of the source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mp4Error {
    /// A box ends before what it announces.
    #[error("the MP4 box '{0}' is cut short")]
    Short(String),
    /// A box is longer than we read.
    #[error("the MP4 box '{name}' has {bytes} bytes, and {max} are the limit")]
    TooLong {
        /// Its name.
        name: String,
        /// Its length.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// No `moov`, or nothing in it that can be sent.
    #[error("the MP4 has no track that can be sent; it has {0}")]
    NoTrack(String),
    /// A sample cannot be taken apart.
    #[error(transparent)]
    Sample(#[from] wire::flv::UnpackError),
    /// Tables that do not belong together.
    #[error("the sample tables of the MP4 do not add up: {0}")]
    Tables(&'static str),
}

/// Sound or picture, by the handler of a track.
pub(crate) fn kind_of(handler: [u8; 4]) -> Option<Kind> {
    match &handler {
        b"vide" => Some(Kind::Video),
        b"soun" => Some(Kind::Audio),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
