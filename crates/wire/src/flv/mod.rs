//! FLV (Adobe Flash Video File Format 10.1): the file, its tags, and the bodies that RTMP messages share with it.
//!
//! `tag` frames bytes, `Demuxer` takes them apart, `Unpacker` turns bodies into coded pictures and sounds, and
//! `config_body`, `frame_body` and `metadata_body` go the other way. `amf` is the notation of script data and commands.
//!
//! What does not live here: what the timestamps mean (they are handed on as they came, they jump and wrap), and RTMP's
//! commands and chunks. Bodies are those of FLV 10.1, and of Enhanced RTMP v2 for all that it cannot say.

pub mod amf;
mod body;
mod codec_id;
mod demux;
mod extended;
mod metadata;
mod tag;
mod unpack;

pub use body::{config_body, frame_body};
pub use demux::{DemuxError, Demuxer, TAG_BYTES_MAX};
pub use extended::TRACKS_MAX;
pub use metadata::{metadata_body, script_body, without_set_data_frame};
pub use tag::{HEADER_BYTES, Header, TAG_HEADER_BYTES, Tag, TagKind, file_header, tag_bytes};
pub use unpack::{Unit, UnpackError, Unpacked, Unpacker};
