//! What a track's configuration says of itself, in the words of people.

use media::{Config, TrackInfo, bits::BitReader};

/// What a track's configuration says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coding {
    /// The profile, where there is one: `High`, `AAC-LC`.
    pub profile: Option<String>,
    /// The level, where there is one: `4.1`.
    pub level: Option<String>,
    /// Width and height in pixels, where they are known.
    pub size: Option<(u32, u32)>,
    /// Sampling rate in Hz and channels.
    pub sound: Option<(u32, u8)>,
    /// HE-AAC, with or without parametric stereo.
    pub he_aac: bool,
}

impl Coding {
    /// Reads a track's configuration.
    pub fn of(info: &TrackInfo) -> Self {
        match &info.config {
            Config::H264(config) => {
                let picture = &config.picture;
                Self {
                    profile: Some(h264_profile(picture.profile_idc, picture.constraints)),
                    level: Some(format!("{}.{}", picture.level_idc / 10, picture.level_idc % 10)),
                    size: Some((picture.width, picture.height)),
                    ..Self::default()
                }
            }
            Config::Aac(config) => {
                let extended = if config.object_type == 2 { sync_extension(&config.asc) } else { None };
                let object_type = extended.unwrap_or(config.object_type);
                Self {
                    profile: Some(aac_profile(object_type)),
                    sound: Some((config.sample_rate_hz, config.channels)),
                    he_aac: matches!(object_type, SBR | PS),
                    ..Self::default()
                }
            }
            Config::Opus(config) => Self { sound: Some((info.clock_rate_hz, config.channels)), ..Self::default() },
            Config::H265(config) => {
                let picture = &config.picture;
                Self {
                    profile: Some(h265_profile(picture.profile)),
                    // The level in thirtieths (ITU-T H.265 annex A.4).
                    level: Some(format!("{}.{}", picture.level_idc / 30, picture.level_idc % 30 / 3)),
                    size: info.picture_size(),
                    ..Self::default()
                }
            }
            Config::Av1(config) => {
                let names = ["Main", "High", "Professional"];
                let profile = names.get(usize::from(config.sequence.profile)).map(|name| (*name).to_owned());
                // `seq_level_idx` counts quarters from 2.0 (AV1 annex A.3).
                let level = config.sequence.level;
                let level = Some(format!("{}.{}", 2 + level / 4, level % 4));
                Self { profile, level, size: info.picture_size(), ..Self::default() }
            }
            Config::Vp9(config) => Self {
                profile: Some(format!("Profile {}", config.profile)),
                size: info.picture_size(),
                ..Self::default()
            },
            Config::None => Self::default(),
        }
    }
}

/// Audio object types of HE-AAC and HE-AAC v2 (ISO/IEC 14496-3 table 1.17).
const SBR: u8 = 5;
const PS: u8 = 29;
/// `syncExtensionType` before an extension that old decoders pass over (section 1.6.2.1).
const SYNC_EXTENSION: u32 = 0x2b7;

/// The object type of the extension behind an AAC-LC configuration, where one is there and switched on.
fn sync_extension(asc: &[u8]) -> Option<u8> {
    let mut bits = BitReader::new(asc);
    bits.bits(5)?;
    if bits.bits(4)? == 15 {
        bits.skip(24)?;
    }
    bits.bits(4)?;
    bits.bit()?; // frameLengthFlag
    if bits.bit()? {
        bits.skip(14)?; // coreCoderDelay
    }
    bits.bit()?; // extensionFlag
    if bits.bits(11)? != SYNC_EXTENSION {
        return None;
    }
    let object_type = bits.bits(5)? as u8;
    (object_type == SBR && bits.bit()?).then_some(object_type)
}

/// General profiles of ITU-T H.265 annex A.3.
fn h265_profile(profile_idc: u8) -> String {
    match profile_idc {
        1 => "Main".into(),
        2 => "Main 10".into(),
        3 => "Main Still Picture".into(),
        4 => "Range Extensions".into(),
        other => format!("Profile {other}"),
    }
}

fn h264_profile(profile_idc: u8, constraints: u8) -> String {
    match profile_idc {
        66 if constraints & 0x40 != 0 => "Constrained Baseline".into(),
        66 => "Baseline".into(),
        77 => "Main".into(),
        88 => "Extended".into(),
        100 => "High".into(),
        110 => "High 10".into(),
        122 => "High 4:2:2".into(),
        244 => "High 4:4:4".into(),
        other => other.to_string(),
    }
}

fn aac_profile(object_type: u8) -> String {
    match object_type {
        1 => "AAC Main".into(),
        2 => "AAC-LC".into(),
        SBR => "HE-AAC".into(),
        PS => "HE-AAC v2".into(),
        other => format!("AAC object type {other}"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::{TrackInfo, aac};
    use proptest::prelude::*;

    use super::*;

    fn of(asc: &'static [u8]) -> Coding {
        Coding::of(&TrackInfo::aac(aac::Config::parse(Bytes::from_static(asc)).unwrap()))
    }

    #[test]
    fn he_aac_is_known_however_it_is_signalled() {
        assert!(!of(&[0x11, 0x90]).he_aac, "LC");
        assert!(!of(&[0x11, 0x90, 0x56, 0xe5, 0x00]).he_aac, "LC with an extension that is switched off");
        let behind = of(&[0x13, 0x10, 0x56, 0xe5, 0x98]);
        assert!(behind.he_aac, "LC at 24 kHz with SBR switched on behind it");
        assert_eq!(behind.profile.as_deref(), Some("HE-AAC"));
        assert_eq!(of(&[0x2b, 0x11, 0x88]).profile.as_deref(), Some("HE-AAC"), "hierarchical");
        assert_eq!(of(&[0xeb, 0x09, 0x88]).profile.as_deref(), Some("HE-AAC v2"));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            let _ = sync_extension(&bytes);
            if let Ok(config) = aac::Config::parse(Bytes::from(bytes)) {
                let _ = Coding::of(&TrackInfo::aac(config));
            }
        }
    }
}
