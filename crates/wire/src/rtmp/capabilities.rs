//! What an end of a connection can do beyond RTMP 1.0 (Enhanced RTMP v2, "Enhancing NetConnection connect Command").
//!
//! A client says it in the object of `connect`, a server in the properties of its `_result`, under the same keys.

use smallvec::SmallVec;

use crate::flv::amf::Value;

/// A codec by its four characters; `*   ` (padded with spaces) is any codec.
pub type FourCc = [u8; 4];

/// Any codec.
pub const ANY_CODEC: FourCc = *b"*   ";
/// Codecs of one kind that are kept of a peer; what it lists beyond is passed over.
pub const CODECS_MAX: usize = 16;

/// Bits of [`Codec::can`].
pub mod can {
    /// It can be decoded.
    pub const DECODE: u8 = 1;
    /// It can be encoded.
    pub const ENCODE: u8 = 2;
    /// It can be passed on as it is.
    pub const FORWARD: u8 = 4;
    /// All of them: what a list without bits means.
    pub const ALL: u8 = DECODE | ENCODE | FORWARD;
}

/// Bits of [`Capabilities::extended`] (`capsEx`).
pub mod extended {
    /// It understands a request to reconnect.
    pub const RECONNECT: u8 = 1;
    /// It understands several tracks of one kind.
    pub const MULTITRACK: u8 = 2;
    /// It understands modifiers of packets.
    pub const MOD_EX: u8 = 4;
    /// It understands the modifier that makes times finer than milliseconds.
    pub const TIMESTAMP_NANO_OFFSET: u8 = 8;
}

/// What can be done with one codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// Which.
    pub fourcc: FourCc,
    /// Bits of [`can`].
    pub can: u8,
}

/// What an end can do. Nothing, where it is of the time before Enhanced RTMP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `videoFourCcInfoMap`, and what `fourCcList` has of video.
    pub video: SmallVec<[Codec; 4]>,
    /// `audioFourCcInfoMap`, and what `fourCcList` has of audio.
    pub audio: SmallVec<[Codec; 4]>,
    /// `capsEx`: bits of [`extended`].
    pub extended: u8,
}

/// FourCCs of audio; all others are taken as video, of which there may be new ones.
const AUDIO: [FourCc; 6] = [*b"Opus", *b"mp4a", *b"fLaC", *b".mp3", *b"ac-3", *b"ec-3"];
/// The bits of `capsEx` that we know; others are dropped.
const EXTENDED_KNOWN: u32 = 15;
/// Video that goes through a server as it is.
const OUR_VIDEO: [FourCc; 4] = [*b"avc1", *b"hvc1", *b"av01", *b"vp09"];
/// Audio that goes through a server as it is, and is made of one another where a viewer needs the other.
const OUR_AUDIO: [FourCc; 2] = [*b"mp4a", *b"Opus"];

impl Capabilities {
    /// What a server of ours says of itself.
    pub fn of_server() -> Self {
        let video = OUR_VIDEO.map(|fourcc| Codec { fourcc, can: can::FORWARD });
        let audio = OUR_AUDIO.map(|fourcc| Codec { fourcc, can: can::ALL });
        Self { video: video.into_iter().collect(), audio: audio.into_iter().collect(), extended: extended::RECONNECT }
    }

    /// What a client of ours says of itself: it passes media on.
    pub fn of_client() -> Self {
        let forward = |fourcc| Codec { fourcc, can: can::FORWARD };
        Self {
            video: OUR_VIDEO.into_iter().map(forward).collect(),
            audio: OUR_AUDIO.into_iter().map(forward).collect(),
            extended: extended::RECONNECT,
        }
    }

    /// Whether the peer understands a request to reconnect.
    pub fn reconnects(&self) -> bool {
        self.extended & extended::RECONNECT != 0
    }

    /// Whether nothing at all was said, as by clients of RTMP 1.0.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the object of `connect`, or the properties of its result. What is of another shape is passed over.
    pub(super) fn read(object: &Value) -> Self {
        let mut found = Self::default();
        if let Some(Value::StrictArray(listed)) = object.get("fourCcList") {
            for fourcc in listed.iter().filter_map(Value::as_str).filter_map(fourcc) {
                let codec = Codec { fourcc, can: can::ALL };
                if fourcc == ANY_CODEC || !AUDIO.contains(&fourcc) {
                    keep(&mut found.video, codec);
                }
                if fourcc == ANY_CODEC || AUDIO.contains(&fourcc) {
                    keep(&mut found.audio, codec);
                }
            }
        }
        for (key, codecs) in [("videoFourCcInfoMap", &mut found.video), ("audioFourCcInfoMap", &mut found.audio)] {
            let Some(Value::Object(entries) | Value::EcmaArray(entries)) = object.get(key) else { continue };
            for (name, value) in entries {
                if let (Some(fourcc), Some(bits)) = (fourcc(name), value.as_f64()) {
                    keep(codecs, Codec { fourcc, can: bits as u32 as u8 & can::ALL });
                }
            }
        }
        let extended = object.get("capsEx").and_then(Value::as_f64).unwrap_or_default();
        found.extended = (extended as u32 & EXTENDED_KNOWN) as u8;
        found
    }

    /// The entries of an object that say this. `listed` adds `fourCcList`, for peers of Enhanced RTMP v1.
    pub(super) fn entries(&self, listed: bool) -> Vec<(String, Value)> {
        let map = |codecs: &[Codec]| {
            let entry = |codec: &Codec| (name(codec.fourcc), Value::Number(codec.can.into()));
            Value::Object(codecs.iter().map(entry).collect())
        };
        let mut entries = vec![
            ("videoFourCcInfoMap".to_owned(), map(&self.video)),
            ("audioFourCcInfoMap".to_owned(), map(&self.audio)),
            ("capsEx".to_owned(), Value::Number(self.extended.into())),
        ];
        if listed {
            let all = self.video.iter().chain(&self.audio);
            let list = all.map(|codec| Value::String(name(codec.fourcc))).collect();
            entries.insert(0, ("fourCcList".to_owned(), Value::StrictArray(list)));
        }
        entries
    }
}

/// Keeps a codec; the last word about one counts.
fn keep(codecs: &mut SmallVec<[Codec; 4]>, codec: Codec) {
    if let Some(known) = codecs.iter_mut().find(|known| known.fourcc == codec.fourcc) {
        *known = codec;
    } else if codecs.len() < CODECS_MAX {
        codecs.push(codec);
    }
}

fn fourcc(name: &str) -> Option<FourCc> {
    if name == "*" { Some(ANY_CODEC) } else { name.as_bytes().try_into().ok() }
}

fn name(fourcc: FourCc) -> String {
    String::from_utf8_lossy(&fourcc).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for said in [Capabilities::of_server(), Capabilities::of_client()] {
            for listed in [false, true] {
                assert_eq!(Capabilities::read(&Value::Object(said.entries(listed))), said);
            }
        }
    }

    #[test]
    fn a_list_of_v1_means_all_and_is_sorted_by_kind() {
        let list = ["av01", "hvc1", "Opus", "*", "toolong", "x"].map(Value::from).to_vec();
        let found = Capabilities::read(&Value::object([("fourCcList", Value::StrictArray(list))]));
        let all = |fourccs: &[&FourCc]| -> SmallVec<[Codec; 4]> {
            fourccs.iter().map(|&&fourcc| Codec { fourcc, can: can::ALL }).collect()
        };
        assert_eq!(found.video, all(&[b"av01", b"hvc1", &ANY_CODEC]));
        assert_eq!(found.audio, all(&[b"Opus", &ANY_CODEC]));
        assert!(!found.reconnects() && !found.is_empty());
    }

    #[test]
    fn hostile_values_are_bounded() {
        let many = (0..1_000).map(|at| (format!("{at:04}"), Value::Number(f64::NAN))).collect();
        let odd = [("capsEx", Value::Number(f64::INFINITY)), ("videoFourCcInfoMap", Value::EcmaArray(many))];
        let found = Capabilities::read(&Value::object(odd));
        assert_eq!((found.video.len(), found.extended), (CODECS_MAX, 15));
        assert!(found.video.iter().all(|codec| codec.can == 0));
        let odd = [("capsEx", "1".into()), ("fourCcList", 3.0.into()), ("audioFourCcInfoMap", Value::Null)];
        assert!(Capabilities::read(&Value::object(odd)).is_empty());
        assert_eq!(Capabilities::read(&Value::object([("capsEx", (-1.0).into())])).extended, 0);
    }
}
