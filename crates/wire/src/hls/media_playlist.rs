//! The media playlist: which segments there are now.

use std::{
    fmt::{Display, Formatter, Result},
    time::Duration,
};

use media::WallTime;

use super::{Uri, VERSION};

/// A media playlist of fragmented MP4. `Display` writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaPlaylist {
    /// No segment is longer than this when rounded to seconds, now or later.
    pub target_duration_s: u64,
    /// Number of the first segment listed.
    pub media_sequence: u64,
    /// Discontinuities that have left the playlist.
    pub discontinuity_sequence: u64,
    /// The segments, oldest first.
    pub segments: Vec<Segment>,
    /// Nothing will be added.
    pub ended: bool,
}

/// A line of the playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the segment is, relative to the playlist.
    pub uri: String,
    /// Where its initialisation segment is.
    pub map_uri: String,
    /// How long it plays.
    pub duration: Duration,
    /// When its first frame was captured.
    pub wall: WallTime,
    /// Time stamps, or tracks, do not follow from the segment before.
    pub discontinuity: bool,
}

impl Display for MediaPlaylist {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "#EXTM3U")?;
        writeln!(f, "#EXT-X-VERSION:{VERSION}")?;
        writeln!(f, "#EXT-X-TARGETDURATION:{}", self.target_duration_s)?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:{}", self.media_sequence)?;
        if self.discontinuity_sequence > 0 || self.segments.iter().any(|segment| segment.discontinuity) {
            writeln!(f, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuity_sequence)?;
        }
        writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        let mut map = None;
        for segment in &self.segments {
            if segment.discontinuity {
                writeln!(f, "#EXT-X-DISCONTINUITY")?;
            }
            if map != Some(&segment.map_uri) {
                writeln!(f, "#EXT-X-MAP:URI=\"{}\"", Uri(&segment.map_uri))?;
                map = Some(&segment.map_uri);
            }
            writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", segment.wall)?;
            writeln!(f, "#EXTINF:{:.5},", segment.duration.as_secs_f64())?;
            writeln!(f, "{}", Uri(&segment.uri))?;
        }
        if self.ended {
            writeln!(f, "#EXT-X-ENDLIST")?;
        }
        Ok(())
    }
}
