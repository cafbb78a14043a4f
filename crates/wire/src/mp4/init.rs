//! The initialisation segment: what a decoder must know of each track, and no media.

use bytes::Bytes;
use media::{Kind, TrackInfo};
use mp4_atom::{
    Dinf, Dref, DrefEntry, Encode as _, FourCC, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mvex, Mvhd, Smhd, Stbl, Stco, Stsd,
    Tkhd, Trak, Trex, Url, Vmhd,
};

use super::{Mp4Error, entry, track_id};

/// Ticks a second of the whole presentation; each track has its own.
const MOVIE_TIMESCALE: u32 = 1_000;

/// Writes `ftyp` and `moov` for these tracks, in this order; the first has the identifier 1.
///
/// # Errors
/// Where a coding has no place in MP4 here, or its configuration is not known.
pub fn init_segment(tracks: &[TrackInfo]) -> Result<Bytes, Mp4Error> {
    let brands = [b"iso5", b"iso6", b"mp41"].map(FourCC::new).to_vec();
    let ftyp = Ftyp { major_brand: FourCC::new(b"iso5"), minor_version: 512, compatible_brands: brands };
    let traks = tracks.iter().enumerate().map(|(index, track)| trak(track_id(index), track));
    let trex = (0..tracks.len()).map(|index| Trex {
        track_id: track_id(index),
        default_sample_description_index: 1,
        ..Trex::default()
    });
    let moov = Moov {
        mvhd: Mvhd {
            timescale: MOVIE_TIMESCALE,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: track_id(tracks.len()),
            ..Mvhd::default()
        },
        mvex: Some(Mvex { mehd: None, trex: trex.collect() }),
        trak: traks.collect::<Result<_, _>>()?,
        ..Moov::default()
    };
    let mut out = Vec::with_capacity(1_024);
    ftyp.encode(&mut out)?;
    moov.encode(&mut out)?;
    Ok(out.into())
}

fn trak(track_id: u32, track: &TrackInfo) -> Result<Trak, Mp4Error> {
    let entry = entry::of(track)?;
    let (width, height) = track.picture_size().unwrap_or_default();
    let sound = track.kind() == Kind::Audio;
    let tkhd = Tkhd {
        track_id,
        enabled: true,
        in_movie: true,
        volume: u8::from(sound).into(),
        width: entry::side(width).into(),
        height: entry::side(height).into(),
        ..Tkhd::default()
    };
    let (handler, name) = if sound { (b"soun", "sound") } else { (b"vide", "picture") };
    let minf = Minf {
        vmhd: (!sound).then(Vmhd::default),
        smhd: sound.then(Smhd::default),
        dinf: Dinf { dref: Dref { entries: vec![DrefEntry::Url(Url::default())] } },
        stbl: Stbl { stsd: Stsd { codecs: vec![entry] }, stco: Some(Stco::default()), ..Stbl::default() },
        ..Minf::default()
    };
    let mdhd = Mdhd { timescale: track.clock_rate_hz, language: "und".into(), ..Mdhd::default() };
    let hdlr = Hdlr { handler: FourCC::new(handler), name: name.into() };
    Ok(Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Trak::default() })
}
