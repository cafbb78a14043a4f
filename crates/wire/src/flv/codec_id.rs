//! The numbers of codecs in FLV bodies (FLV 10.1 annex E.4.2.1 and E.4.3.1) and what to say of those we refuse.

/// `CodecID` of H.264.
pub(super) const VIDEO_AVC: u8 = 7;
/// `SoundFormat` of AAC.
pub(super) const AUDIO_AAC: u8 = 10;
/// `SoundFormat` that announces a fourcc (Enhanced RTMP v2).
pub(super) const AUDIO_EXTENDED: u8 = 9;
/// Bit of the first byte of a video body that announces a fourcc (Enhanced RTMP v1).
pub(super) const VIDEO_EXTENDED_BIT: u8 = 0x80;

/// What to do about a video codec that is refused.
pub(super) const VIDEO_ADVICE: &str = "set the encoder to H.264 (AVC)";
/// What to do about an audio codec that is refused.
pub(super) const AUDIO_ADVICE: &str = "set the encoder to AAC";

/// The name of a video codec that is refused.
pub(super) fn video_name(id: u8) -> &'static str {
    match id {
        2 => "Sorenson H.263",
        3 | 6 => "Screen video",
        4 | 5 => "On2 VP6",
        8 => "H.263",
        9 => "MPEG-4 part 2",
        12 => "H.265 under the unregistered number 12",
        13 => "AV1 under the unregistered number 13",
        _ => "an unknown video codec",
    }
}

/// The name of an audio format that is refused.
pub(super) fn audio_name(id: u8) -> &'static str {
    match id {
        0 | 3 => "PCM",
        1 => "ADPCM",
        2 | 14 => "MP3",
        4..=6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        11 => "Speex",
        13 => "Opus under the unregistered number 13",
        _ => "an unknown audio codec",
    }
}

/// The name of a fourcc: its letters, with anything that is no letter or digit as a point.
pub(super) fn fourcc_name(fourcc: [u8; 4]) -> String {
    fourcc.iter().map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' }).collect()
}
