//! One access unit of the frame path.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use crate::{Codec, Kind, MediaTime, WallTime};

/// What a frame is, besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// A decoder may start here (IDR, AV1/VP key frame). Always true for audio.
    pub key: bool,
    /// No other frame refers to this one (H.264 `nal_ref_idc` = 0): it may be dropped without harm to others.
    pub discardable: bool,
    /// Shown before a frame that was decoded earlier (`pts` order differs from `dts` order).
    pub b_frame: bool,
    /// The source's clock jumped, or frames are missing, before this frame.
    pub discontinuity: bool,
}

/// One access unit: a coded picture, or one packet of coded sound. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The coding of the track that the frame belongs to.
    pub codec: Codec,
    /// What the frame is.
    pub flags: Flags,
    /// When to decode, in ticks of the track's clock since the stream's origin. Rises within a track.
    pub dts: MediaTime,
    /// When to show, in ticks of the track's clock since the stream's origin.
    pub pts: MediaTime,
    /// When it was captured, as well as is known, on the server's wall clock.
    pub wall: WallTime,
    /// The coded bytes.
    pub payload: Payload,
}

impl Frame {
    /// Sound or picture.
    pub fn kind(&self) -> Kind {
        self.codec.kind()
    }
}

/// Coded bytes as slices of the buffers they arrived in.
///
/// Shape: H.264 and H.265: one unit for each NAL unit, with its header byte, without start code or length, without
/// parameter sets and access unit delimiters (those live in the track's `Config`). AV1: one unit for each OBU, with its
/// header and size field, without temporal delimiters. AAC: one raw access unit without ADTS header. Opus, VP8, VP9: one unit, the packet or frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload {
    /// The units in decoding order.
    pub units: SmallVec<[Bytes; 4]>,
}

impl Payload {
    /// A payload of one unit.
    pub fn single(unit: Bytes) -> Self {
        Self { units: smallvec![unit] }
    }

    /// Bytes in all units together.
    pub fn len(&self) -> usize {
        self.units.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.units.iter().all(Bytes::is_empty)
    }
}

impl FromIterator<Bytes> for Payload {
    fn from_iter<I: IntoIterator<Item = Bytes>>(units: I) -> Self {
        Self { units: units.into_iter().collect() }
    }
}
