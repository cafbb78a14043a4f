//! `moov`: the tracks, and what their samples are coded with.

use bytes::Bytes;
use media::Kind;

use super::{
    Mp4Error, Sample,
    boxes::{Fields, child, children},
    coding::Coding,
    kind_of,
    table::{Table, samples},
};

/// Tracks that are looked at.
const TRACKS_MAX: usize = 32;
/// Ticks a second where a file says none.
const TIMESCALE_DEFAULT: u32 = 1_000;

/// A movie: the tracks that can be sent, one picture and one sound.
#[derive(Debug)]
pub struct Movie {
    /// The tracks.
    pub tracks: Vec<Track>,
    /// It says that fragments follow.
    pub is_fragmented: bool,
}

/// What samples of a fragment have where the fragment does not say it (`trex`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Ticks of a sample.
    pub duration: u32,
    /// Bytes of a sample.
    pub size: u32,
    /// Flags of a sample.
    pub flags: u32,
}

/// One track.
#[derive(Debug)]
pub struct Track {
    /// Its number.
    pub id: u32,
    /// Sound or picture.
    pub kind: Kind,
    /// Ticks a second.
    pub timescale: u32,
    /// By how many ticks an edit list shifts it: taken from every time.
    pub shift: i64,
    /// What fragments leave out.
    pub defaults: Defaults,
    /// What its samples are.
    pub coding: Coding,
    table: Table,
}

impl Movie {
    /// All samples of the tables, in the order of their decoding times.
    ///
    /// # Errors
    /// Where the tables of a track do not add up.
    pub fn samples(&self) -> Result<Vec<Sample>, Mp4Error> {
        let mut all = Vec::new();
        for track in &self.tracks {
            samples(track.id, &track.table, track.kind == Kind::Audio, &mut all)?;
        }
        let time = |sample: &Sample| {
            let track = self.tracks.iter().find(|track| track.id == sample.track_id);
            track.map_or(0, |track| track.micros(sample.dts))
        };
        all.sort_by_cached_key(|sample| (time(sample), sample.offset));
        Ok(all)
    }
}

impl Track {
    /// Ticks as microseconds, with the shift of the edit list taken off.
    pub fn micros(&self, ticks: i64) -> i64 {
        media::MediaTime(ticks.saturating_sub(self.shift)).as_micros(self.timescale)
    }
}

/// Reads the body of a `moov`: of several tracks of a kind the first that can be sent.
///
/// # Errors
/// Where a box is cut short, or no track can be sent.
pub fn movie(body: &Bytes) -> Result<Movie, Mp4Error> {
    let boxes = children(body.clone())?;
    let extends = child(&boxes, b"mvex").map(children).transpose()?;
    let mut tracks: Vec<Track> = Vec::new();
    let mut seen = Vec::new();
    for (_, trak) in boxes.iter().filter(|(name, _)| name == b"trak").take(TRACKS_MAX) {
        match track(trak)? {
            Ok(found) if tracks.iter().all(|known| known.kind != found.kind) => tracks.push(found),
            Ok(_) => {}
            Err(what) => seen.push(what),
        }
    }
    if tracks.is_empty() {
        let found = if seen.is_empty() { "no sound and no picture".to_owned() } else { seen.join(", ") };
        return Err(Mp4Error::NoTrack(found));
    }
    for (_, trex) in extends.iter().flatten().filter(|(name, _)| name == b"trex") {
        let mut fields = Fields::new(*b"trex", trex.clone());
        fields.full()?;
        let (id, _) = (fields.u32()?, fields.u32()?);
        let defaults = Defaults { duration: fields.u32()?, size: fields.u32()?, flags: fields.u32()? };
        tracks.iter_mut().filter(|track| track.id == id).for_each(|track| track.defaults = defaults);
    }
    Ok(Movie { tracks, is_fragmented: extends.is_some() })
}

/// A track, or what it is that cannot be sent.
fn track(trak: &Bytes) -> Result<Result<Track, String>, Mp4Error> {
    let boxes = children(trak.clone())?;
    let mdia = children(child(&boxes, b"mdia").unwrap_or_default())?;
    let handler = child(&mdia, b"hdlr").and_then(|body| body.get(8..12)?.try_into().ok()).unwrap_or(*b"none");
    let Some(kind) = kind_of(handler) else {
        return Ok(Err(format!("a '{}' track", String::from_utf8_lossy(&handler).escape_default())));
    };
    let timescale = child(&mdia, b"mdhd").map(timescale).transpose()?.unwrap_or(TIMESCALE_DEFAULT);
    let minf = children(child(&mdia, b"minf").unwrap_or_default())?;
    let stbl = children(child(&minf, b"stbl").unwrap_or_default())?;
    let stsd = child(&stbl, b"stsd").unwrap_or_default();
    let coding = match Coding::parse(kind, stsd)? {
        Ok(coding) => coding,
        Err(name) => return Ok(Err(name)),
    };
    let id = child(&boxes, b"tkhd").map(track_id).transpose()?.unwrap_or(0);
    let edits = child(&boxes, b"edts").map(children).transpose()?.unwrap_or_default();
    let shift = child(&edits, b"elst").map(edit_shift).transpose()?.unwrap_or(0);
    Ok(Ok(Track { id, kind, timescale, shift, defaults: Defaults::default(), coding, table: Table::new(&stbl) }))
}

fn timescale(mdhd: Bytes) -> Result<u32, Mp4Error> {
    let mut fields = Fields::new(*b"mdhd", mdhd);
    let (version, _) = fields.full()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    Ok(fields.u32()?.max(1))
}

fn track_id(tkhd: Bytes) -> Result<u32, Mp4Error> {
    let mut fields = Fields::new(*b"tkhd", tkhd);
    let (version, _) = fields.full()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    fields.u32()
}

/// Where the first edit that shows anything begins, in ticks of the track. Encoders' delays are written so.
fn edit_shift(elst: Bytes) -> Result<i64, Mp4Error> {
    let mut fields = Fields::new(*b"elst", elst);
    let (version, _) = fields.full()?;
    for _ in 0..fields.count(if version == 0 { 12 } else { 20 })?.min(4) {
        fields.sized(version)?;
        let time = fields.sized(version)?;
        fields.skip(4)?;
        let time = if version == 0 { i64::from((time as u32).cast_signed()) } else { time.cast_signed() };
        if time >= 0 {
            return Ok(time);
        }
    }
    Ok(0)
}
