//! Sample entries: what a decoder must know of one track, in the box of its coding.

use media::{Config, TrackInfo, aac, av1, h264, h265, opus, vp9};
use mp4_atom::{
    Atom as _, Audio, Av01, Av1c, Avc1, Avcc, Codec, Dops, Esds, Hvc1, Hvcc, Mp4a, Opus, Visual, Vp09, VpcC,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig},
};

use super::Mp4Error;

/// `objectTypeIndication` of MPEG-4 audio (ISO/IEC 14496-1 table 5).
const MPEG4_AUDIO: u8 = 0x40;
/// `streamType` of audio (ISO/IEC 14496-1 table 6).
const AUDIO_STREAM: u8 = 5;
/// Matrix of ISO/IEC 23091-2: not said.
const MATRIX_UNSPECIFIED: u8 = 2;
/// `chromaSubsampling` of VP9: 4:4:4.
const CHROMA_444: u8 = 3;

/// The sample entry of a track.
///
/// # Errors
/// Where a coding has no place in MP4 here, or its configuration is not known.
pub(super) fn of(track: &TrackInfo) -> Result<Codec, Mp4Error> {
    let (width, height) = track.picture_size().unwrap_or_default();
    let visual = Visual { data_reference_index: 1, width: side(width), height: side(height), ..Visual::default() };
    match &track.config {
        Config::H264(config) => avc1(config, visual),
        Config::H265(config) => hvc1(config, visual),
        Config::Av1(config) => Ok(av01(config, visual)),
        Config::Vp9(config) => Ok(vp09(config, visual)),
        Config::Aac(config) => Ok(mp4a(config)),
        Config::Opus(config) => Ok(opus_entry(config)),
        Config::None => Err(Mp4Error::Unsupported(track.codec)),
    }
}

fn avc1(config: &h264::Config, visual: Visual) -> Result<Codec, Mp4Error> {
    let avcc = Avcc::decode_body(&mut config.to_avcc().as_ref())?;
    Ok(Avc1 { visual, avcc, ..Avc1::default() }.into())
}

/// `hvc1`: parameter sets are here and nowhere else, as [`media::Payload`] has it.
fn hvc1(config: &h265::Config, visual: Visual) -> Result<Codec, Mp4Error> {
    let hvcc = Hvcc::decode_body(&mut config.record.as_ref())?;
    Ok(Hvc1 { visual, hvcc, ..Hvc1::default() }.into())
}

fn av01(config: &av1::Config, visual: Visual) -> Codec {
    // Reserved bits that are set in the source's record are no reason to play nothing.
    let av1c = Av1c::decode_body(&mut config.record.as_ref()).unwrap_or_else(|_| {
        let sequence = config.sequence;
        Av1c {
            seq_profile: sequence.profile,
            seq_level_idx_0: sequence.level,
            seq_tier_0: sequence.high_tier,
            high_bitdepth: sequence.bit_depth > 8,
            twelve_bit: sequence.bit_depth > 10,
            monochrome: sequence.monochrome,
            chroma_subsampling_x: sequence.subsampling_x,
            chroma_subsampling_y: sequence.subsampling_y,
            chroma_sample_position: sequence.chroma_position,
            initial_presentation_delay: None,
            config_obus: config.header.to_vec(),
        }
    });
    Av01 { visual, av1c, ..Av01::default() }.into()
}

fn vp09(config: &vp9::Config, visual: Visual) -> Codec {
    let [color_primaries, transfer_characteristics, matrix] = config.colour;
    let chroma_subsampling = config.chroma.min(CHROMA_444);
    // The matrix of RGB is forbidden for anything but 4:4:4.
    let is_odd = matrix == 0 && chroma_subsampling != CHROMA_444;
    let vpcc = VpcC {
        profile: config.profile,
        level: config.level,
        bit_depth: config.bit_depth,
        chroma_subsampling,
        video_full_range_flag: config.full_range,
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: if is_odd { MATRIX_UNSPECIFIED } else { matrix },
        codec_initialization_data: Vec::new(),
    };
    Vp09 { visual, vpcc, ..Vp09::default() }.into()
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
        input_sample_rate: config.input_rate_hz,
        output_gain: config.gain,
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

/// A side of a picture in the 16 bits that MP4 has.
pub(super) fn side(pixels: u32) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}
