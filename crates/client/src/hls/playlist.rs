//! Playlists: bounded, and only the tags that a client of ours needs.

use std::time::Duration;

use thiserror::Error;

/// Segments of a playlist that are read: the newest.
const SEGMENTS_MAX: usize = 4_096;
/// The highest number that a segment may begin with: what scripts can count to.
const NUMBER_MAX: u64 = 1 << 53;
const VARIANTS_MAX: usize = 64;
/// The longest segment that is believed.
const DURATION_MAX_S: f64 = 600.0;

/// Why a text is no playlist that we play.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlaylistError {
    /// Its first line is another.
    #[error("the playlist does not begin with #EXTM3U")]
    NotAPlaylist,
    /// There is nothing in it.
    #[error("the playlist names no stream and no segment")]
    Empty,
    /// A tag is malformed.
    #[error("line {line} of the playlist is wrong: {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What was expected.
        what: &'static str,
    },
    /// The segments are encrypted.
    #[error("the segments are encrypted, which is not supported")]
    Encrypted,
}

/// A playlist.
#[derive(Clone, Debug, PartialEq)]
pub enum Playlist {
    /// Of variants.
    Multivariant(Vec<Variant>),
    /// Of segments.
    Media(Media),
}

/// One of several forms of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its playlist.
    pub uri: String,
    /// Its peak, in bits a second.
    pub bandwidth_bps: u64,
}

/// The segments of one form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Media {
    /// No segment is longer than this, rounded.
    pub target: Duration,
    /// The segments, oldest first.
    pub segments: Vec<Segment>,
    /// No more follow.
    pub ended: bool,
}

/// A segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Its number in the stream.
    pub number: u64,
    /// Where it is.
    pub uri: String,
    /// Where its initialisation segment is.
    pub map: Option<String>,
    /// How long it plays.
    pub duration: Duration,
    /// Its times have nothing to do with those before.
    pub discontinuity: bool,
    /// When its first frame was captured, as RFC 3339 writes it.
    pub captured: Option<String>,
}

/// Reads a playlist.
///
/// # Errors
/// Where it is none, or one that is not played.
pub fn parse(text: &str) -> Result<Playlist, PlaylistError> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate();
    if lines.next().is_none_or(|(_, first)| !first.starts_with("#EXTM3U")) {
        return Err(PlaylistError::NotAPlaylist);
    }
    let mut reader = Reader::default();
    for (number, line) in lines {
        let wrong = |what| PlaylistError::Line { line: number + 1, what };
        match line.strip_prefix('#') {
            Some(tag) => reader.tag(tag).map_err(wrong)?,
            None if line.is_empty() => {}
            None => reader.uri(line),
        }
        if reader.encrypted {
            return Err(PlaylistError::Encrypted);
        }
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    media: Media,
    variants: Vec<Variant>,
    /// What the next address is.
    variant: Option<u64>,
    next: Segment,
    is_segment: bool,
    is_media: bool,
    first: u64,
    seen: u64,
    encrypted: bool,
}

impl Reader {
    fn tag(&mut self, tag: &str) -> Result<(), &'static str> {
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXT-X-TARGETDURATION" => {
                self.is_media = true;
                self.media.target = seconds(value).ok_or("#EXT-X-TARGETDURATION needs seconds")?;
            }
            "EXT-X-MEDIA-SEQUENCE" => {
                let number = value.parse().ok().filter(|number| *number <= NUMBER_MAX);
                self.first = number.ok_or("#EXT-X-MEDIA-SEQUENCE needs a number")?;
            }
            "EXTINF" => {
                let length = value.split(',').next().and_then(seconds);
                self.next.duration = length.ok_or("#EXTINF needs seconds")?;
                self.is_segment = true;
            }
            "EXT-X-MAP" => self.next.map = Some(attribute(value, "URI").ok_or("#EXT-X-MAP needs URI")?.to_owned()),
            "EXT-X-KEY" => self.encrypted = attribute(value, "METHOD") != Some("NONE"),
            "EXT-X-DISCONTINUITY" => self.next.discontinuity = true,
            "EXT-X-PROGRAM-DATE-TIME" => self.next.captured = Some(value.to_owned()),
            "EXT-X-ENDLIST" => self.media.ended = true,
            "EXT-X-STREAM-INF" => {
                let bandwidth = attribute(value, "BANDWIDTH").and_then(|bps| bps.parse().ok());
                self.variant = Some(bandwidth.unwrap_or(0));
            }
            _ => {}
        }
        Ok(())
    }

    fn uri(&mut self, uri: &str) {
        if let Some(bandwidth_bps) = self.variant.take() {
            if self.variants.len() < VARIANTS_MAX {
                self.variants.push(Variant { uri: uri.to_owned(), bandwidth_bps });
            }
            return;
        }
        if std::mem::take(&mut self.is_segment) {
            let map = self.next.map.clone();
            let segment = std::mem::replace(&mut self.next, Segment { map, ..Segment::default() });
            self.media.segments.push(Segment { uri: uri.to_owned(), number: self.seen, ..segment });
            self.seen += 1;
        }
    }

    fn finish(mut self) -> Result<Playlist, PlaylistError> {
        if !self.variants.is_empty() {
            return Ok(Playlist::Multivariant(self.variants));
        }
        if !self.is_media {
            return Err(PlaylistError::Empty);
        }
        let surplus = self.media.segments.len().saturating_sub(SEGMENTS_MAX);
        self.media.segments.drain(..surplus);
        self.media.segments.iter_mut().for_each(|segment| segment.number = segment.number.saturating_add(self.first));
        Ok(Playlist::Media(self.media))
    }
}

/// The value of an attribute in a list (RFC 8216 section 4.2), without its quotes.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim() == name {
            return Some(value);
        }
        rest = next.trim_start_matches(',');
    }
    None
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    (0.0..=DURATION_MAX_S).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}
