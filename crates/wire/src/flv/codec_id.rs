//! The numbers of codecs in FLV bodies (FLV 10.1 annex E.4.2.1 and E.4.3.1) and what to say of those we refuse.

use media::Codec;

/// `CodecID` of H.264.
pub(super) const VIDEO_AVC: u8 = 7;
/// `CodecID` of H.265, unregistered, by which encoders made for China have sent it before there was a fourcc.
pub(super) const VIDEO_HEVC: u8 = 12;
/// `SoundFormat` of AAC.
pub(super) const AUDIO_AAC: u8 = 10;
/// `SoundFormat` that announces a fourcc (Enhanced RTMP v2).
pub(super) const AUDIO_EXTENDED: u8 = 9;
/// Bit of the first byte of a video body that announces a fourcc (Enhanced RTMP v1).
pub(super) const VIDEO_EXTENDED_BIT: u8 = 0x80;

/// What to do about a video codec that is refused.
pub(super) const VIDEO_ADVICE: &str = "set the encoder to H.264, H.265, AV1 or VP9";
/// What to do about a configuration that is refused.
pub(super) const TS_ADVICE: &str = "send the codec's configuration record (SequenceStart)";
/// What to do about an audio codec that is refused.
pub(super) const AUDIO_ADVICE: &str = "set the encoder to AAC or Opus";

/// The name of a video codec that is refused.
pub(super) fn video_name(id: u8) -> &'static str {
    match id {
        2 => "Sorenson H.263",
        3 | 6 => "Screen video",
        4 | 5 => "On2 VP6",
        8 => "H.263",
        9 => "MPEG-4 part 2",
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

/// The coding of a fourcc (Enhanced RTMP v2).
pub(super) fn codec_of_fourcc(fourcc: [u8; 4]) -> Option<Codec> {
    match &fourcc {
        b"avc1" => Some(Codec::H264),
        b"hvc1" => Some(Codec::H265),
        b"av01" => Some(Codec::Av1),
        b"vp09" => Some(Codec::Vp9),
        b"mp4a" => Some(Codec::Aac),
        b"Opus" => Some(Codec::Opus),
        _ => None,
    }
}

/// The fourcc of a coding. `None` for what FLV cannot carry.
pub(super) fn fourcc_of(codec: Codec) -> Option<[u8; 4]> {
    match codec {
        Codec::H264 => Some(*b"avc1"),
        Codec::H265 => Some(*b"hvc1"),
        Codec::Av1 => Some(*b"av01"),
        Codec::Vp9 => Some(*b"vp09"),
        Codec::Aac => Some(*b"mp4a"),
        Codec::Opus => Some(*b"Opus"),
        Codec::Vp8 => None,
    }
}

/// The name of a fourcc that is refused: what it stands for, else its letters, with anything that is no letter or digit
/// as a point.
pub(super) fn fourcc_name(fourcc: [u8; 4]) -> String {
    let letters: String =
        fourcc.iter().map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' }).collect();
    let name = match &fourcc {
        b"av01" => "AV1",
        b"hvc1" => "H.265",
        b"vp08" => "VP8",
        b"vvc1" => "H.266",
        b".mp3" => "MP3",
        b"fLaC" => "FLAC",
        b"ac-3" => "AC-3",
        b"ec-3" => "E-AC-3",
        _ => return letters,
    };
    format!("{name} ({letters})")
}
