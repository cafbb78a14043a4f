//! Fragmented MP4 (ISO/IEC 14496-12) as HLS and MSE play it: an initialisation segment for a set of tracks, and
//! fragments with a run of samples of each.
//!
//! The boxes are `mp4-atom`'s; what is here knows which of them a player needs. Reading MP4 does not live here.

mod entry;
mod fragment;
mod init;

pub use fragment::{Fragment, ReferenceTime, Run, Sample};
pub use init::init_segment;

use media::{Codec, Config, TrackInfo};
use thiserror::Error;

/// Why something cannot be written as MP4.
#[derive(Debug, Error)]
pub enum Mp4Error {
    /// A coding that we do not put into MP4, or whose configuration is not known.
    #[error("{} cannot be written to MP4 here; H.264, H.265, AV1, VP9, AAC and Opus can, with their configuration", .0.name())]
    Unsupported(Codec),
    /// A fragment beyond the 31 bits of its offsets.
    #[error("the fragment is larger than 2 GiB")]
    TooLarge,
    /// A box refused its fields.
    #[error(transparent)]
    Atom(#[from] mp4_atom::Error),
}

/// Whether [`init_segment`] takes the track.
pub fn is_supported(track: &TrackInfo) -> bool {
    matches!(
        (track.codec, &track.config),
        (Codec::H264, Config::H264(_))
            | (Codec::H265, Config::H265(_))
            | (Codec::Av1, Config::Av1(_))
            | (Codec::Vp9, Config::Vp9(_))
            | (Codec::Aac, Config::Aac(_))
            | (Codec::Opus, Config::Opus(_))
    )
}

/// The identifier of the track at `index` of those handed to [`init_segment`]: they count from 1.
pub fn track_id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests;
