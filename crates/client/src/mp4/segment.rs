//! A segment that is in memory: its boxes, and the frames of its fragments.

use bytes::Bytes;

use super::{Movie, Mp4Error, boxes::header, fragment};
use crate::source::Item;

/// Boxes at the top of a segment that are looked at.
const PARTS_MAX: usize = 4_096;

/// A box at the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: [u8; 4],
    /// Where it begins.
    pub at: u64,
    /// Bytes of header and body.
    pub bytes: u64,
    /// What is in it.
    pub body: Bytes,
}

/// The boxes at the top of a segment.
///
/// # Errors
/// Where one reaches beyond the end.
pub fn top_level(segment: &Bytes) -> Result<Vec<Part>, Mp4Error> {
    let (mut parts, mut at) = (Vec::new(), 0usize);
    while parts.len() < PARTS_MAX {
        let rest = segment.slice(at.min(segment.len())..);
        let Some(head) = header(&rest)? else { break };
        let bytes = head.bytes.unwrap_or(rest.len() as u64);
        let short = || super::boxes::short(head.name);
        let length = usize::try_from(bytes).ok().filter(|length| *length <= rest.len()).ok_or_else(short)?;
        let body = rest.slice((head.header_bytes as usize).min(length)..length);
        parts.push(Part { name: head.name, at: at as u64, bytes, body });
        at += length;
    }
    Ok(parts)
}

/// The frames of all fragments in a segment, in the order of their decoding times. `next_dts` is kept between segments.
///
/// # Errors
/// Where a box or a sample is malformed, or a sample lies outside of the segment.
pub fn frames(segment: &Bytes, movie: &mut Movie, next_dts: &mut [i64]) -> Result<Vec<Item>, Mp4Error> {
    let mut items = Vec::new();
    for part in top_level(segment)?.iter().filter(|part| &part.name == b"moof") {
        let mut samples = fragment(&part.body, part.at, part.bytes, &movie.tracks, next_dts)?;
        let tracks = &movie.tracks;
        samples.sort_by_cached_key(|sample| {
            tracks.iter().find(|track| track.id == sample.track_id).map_or(0, |track| track.micros(sample.dts))
        });
        for sample in samples {
            let outside = Mp4Error::Tables("a sample lies outside of its segment");
            let begin = usize::try_from(part.at.wrapping_add(sample.offset)).map_err(|_| outside.clone())?;
            let end = begin.checked_add(sample.bytes as usize).filter(|end| *end <= segment.len()).ok_or(outside)?;
            let Some(track) = movie.tracks.iter_mut().find(|track| track.id == sample.track_id) else { continue };
            let dts_us = track.micros(sample.dts);
            let composition_us = media::MediaTime(sample.composition.into()).as_micros(track.timescale);
            items.extend(track.coding.take(&sample, dts_us, composition_us, &segment.slice(begin..end))?);
        }
    }
    Ok(items)
}
