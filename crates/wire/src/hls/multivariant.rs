//! The multivariant playlist: which encodings of the stream there are.

use std::fmt::{Display, Formatter, Result};

use super::{Uri, VERSION};

/// A multivariant playlist. `Display` writes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Multivariant {
    /// The encodings, the one to begin with first.
    pub variants: Vec<Variant>,
}

/// One encoding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variant {
    /// Where its media playlist is, relative to this one.
    pub uri: String,
    /// Bits a second of its largest segment.
    pub bandwidth_bps: u64,
    /// Bits a second of all segments.
    pub average_bandwidth_bps: u64,
    /// One string for each track, as [`super::codec_string`] makes them.
    pub codecs: Vec<String>,
    /// Width and height in pixels; `None` without pictures.
    pub resolution: Option<(u32, u32)>,
    /// Pictures a second; `None` without pictures.
    pub frame_rate: Option<f64>,
}

impl Display for Multivariant {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "#EXTM3U")?;
        writeln!(f, "#EXT-X-VERSION:{VERSION}")?;
        writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        for variant in &self.variants {
            write!(f, "#EXT-X-STREAM-INF:BANDWIDTH={}", variant.bandwidth_bps)?;
            write!(f, ",AVERAGE-BANDWIDTH={}", variant.average_bandwidth_bps)?;
            write!(f, ",CODECS=\"{}\"", Uri(&variant.codecs.join(",")))?;
            if let Some((width, height)) = variant.resolution {
                write!(f, ",RESOLUTION={width}x{height}")?;
            }
            if let Some(rate) = variant.frame_rate {
                write!(f, ",FRAME-RATE={rate:.3}")?;
            }
            writeln!(f)?;
            writeln!(f, "{}", Uri(&variant.uri))?;
        }
        Ok(())
    }
}
