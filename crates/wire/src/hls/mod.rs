//! HLS playlists as text (RFC 8216, and draft-pantos-hls-rfc8216bis for what has been added since).
//!
//! What does not live here: which segments there are and when (that is `live::hls`).

mod media_playlist;
mod multivariant;

pub use media_playlist::{MediaPlaylist, Segment};
pub use multivariant::{Multivariant, Variant};

use std::fmt::{Display, Formatter, Result};

use media::{Config, TrackInfo};

/// The first version with `EXT-X-MAP` in playlists that have pictures (RFC 8216 section 7).
const VERSION: u32 = 7;

/// The string of a track in `CODECS` (RFC 6381, and the Opus in ISO base media specification).
/// `None` for a track whose configuration is not known.
pub fn codec_string(track: &TrackInfo) -> Option<String> {
    match &track.config {
        Config::H264(config) => Some(config.mime()),
        Config::H265(config) => Some(config.mime()),
        Config::Av1(config) => Some(config.mime()),
        Config::Vp9(config) => Some(config.mime()),
        Config::Aac(config) => Some(config.mime()),
        // Lower case is what browsers answer to; the sample entry is "Opus".
        Config::Opus(_) => Some("opus".into()),
        Config::None => None,
    }
}

/// Text that stands alone on a line or between quotes: neither can hold a quote or a control character
/// (RFC 8216 section 4.2), so those are percent-encoded.
struct Uri<'a>(&'a str);

impl Display for Uri<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for letter in self.0.chars() {
            if letter == '"' || letter.is_ascii_control() {
                write!(f, "%{:02X}", u32::from(letter))?;
            } else {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
