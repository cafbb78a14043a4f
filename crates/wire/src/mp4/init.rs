//! The initialisation segment: what a decoder must know of each track, and no media.

use bytes::Bytes;
use media::{Config, Kind, TrackInfo, aac, h264, opus};
use mp4_atom::{
    Atom as _, Audio, Avc1, Avcc, Codec, Dinf, Dops, Dref, DrefEntry, Encode as _, Esds, FourCC, Ftyp, Hdlr, Mdhd,
    Mdia, Minf, Moov, Mp4a, Mvex, Mvhd, Opus, Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig},
};

use super::{Mp4Error, track_id};

/// `objectTypeIndication` of MPEG-4 audio (ISO/IEC 14496-1 table 5).
const MPEG4_AUDIO: u8 = 0x40;
/// `streamType` of audio (ISO/IEC 14496-1 table 6).
const AUDIO_STREAM: u8 = 5;
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
    let (entry, size) = match &track.config {
        Config::H264(config) => (avc1(config)?, (side(config.picture.width), side(config.picture.height))),
        Config::Aac(config) => (mp4a(config), (0, 0)),
        Config::Opus(config) => (opus_entry(config), (0, 0)),
        Config::None => return Err(Mp4Error::Unsupported(track.codec)),
    };
    let sound = track.kind() == Kind::Audio;
    let tkhd = Tkhd {
        track_id,
        enabled: true,
        in_movie: true,
        volume: u8::from(sound).into(),
        width: size.0.into(),
        height: size.1.into(),
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

fn avc1(config: &h264::Config) -> Result<Codec, Mp4Error> {
    let avcc = Avcc::decode_body(&mut config.to_avcc().as_ref())?;
    let visual = Visual {
        data_reference_index: 1,
        width: side(config.picture.width),
        height: side(config.picture.height),
        ..Visual::default()
    };
    Ok(Avc1 { visual, avcc, ..Avc1::default() }.into())
}

fn mp4a(config: &aac::Config) -> Codec {
    let dec_specific = DecoderSpecific { raw: config.asc.to_vec(), ..DecoderSpecific::default() };
    let dec_config = DecoderConfig {
        object_type_indication: MPEG4_AUDIO,
        stream_type: AUDIO_STREAM,
        dec_specific: Some(dec_specific),
        ..DecoderConfig::default()
    };
    let es_desc = EsDescriptor { dec_config, sl_config: SLConfig::default(), ..EsDescriptor::default() };
    let audio = audio(config.channels, config.sample_rate_hz);
    Mp4a { audio, esds: Esds { es_desc }, btrt: None, taic: None }.into()
}

/// The encapsulation of Opus in ISO base media files, section 4.3.
fn opus_entry(config: &opus::Config) -> Codec {
    let dops = Dops {
        output_channel_count: config.channels,
        pre_skip: config.pre_skip,
        input_sample_rate: 48_000,
        output_gain: 0,
        channel_mapping: None,
    };
    Opus { audio: audio(config.channels, 48_000), dops, btrt: None }.into()
}

/// Rates beyond 16 bits are written as 0: the decoder's own configuration says them.
fn audio(channels: u8, sample_rate_hz: u32) -> Audio {
    Audio {
        data_reference_index: 1,
        channel_count: channels.into(),
        sample_size: 16,
        sample_rate: u16::try_from(sample_rate_hz).unwrap_or(0).into(),
    }
}

fn side(pixels: u32) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}
