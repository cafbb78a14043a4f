//! FLV files.

use std::{collections::VecDeque, io::Read as _};

use bytes::Bytes as Chunk;
use media::{Frame, MediaTime, WallTime};
use wire::flv::{Demuxer, Unit, Unpacked, Unpacker};

use super::{Bytes, Item};
use crate::Error;

const CHUNK_BYTES: usize = 64 * 1024;

/// An FLV file from its beginning.
pub(super) struct FlvReader {
    file: Box<dyn Bytes>,
    name: String,
    tags: FlvItems,
    chunk: Vec<u8>,
}

impl FlvReader {
    pub(super) fn new(file: Box<dyn Bytes>, name: String) -> Self {
        Self { file, name, tags: FlvItems::default(), chunk: vec![0; CHUNK_BYTES] }
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Source(format!("cannot read '{}': {error}", self.name));
        loop {
            if let Some(item) = self.tags.poll().map_err(|error| failed(&error))? {
                return Ok(Some(item));
            }
            let read = self.file.read(&mut self.chunk).map_err(|error| failed(&error))?;
            if read == 0 {
                return Ok(None);
            }
            self.tags.push(&Chunk::copy_from_slice(self.chunk.get(..read).unwrap_or_default()));
        }
    }
}

/// Bytes of FLV as items; of a file or of a connection.
#[derive(Debug, Default)]
pub(crate) struct FlvItems {
    demuxer: Demuxer,
    units: TagItems,
}

impl FlvItems {
    pub(crate) fn push(&mut self, bytes: &Chunk) {
        self.demuxer.push(bytes);
    }

    /// The next item; `None` where more bytes are needed.
    pub(crate) fn poll(&mut self) -> Result<Option<Item>, String> {
        loop {
            if let Some(item) = self.units.ready.pop_front() {
                return Ok(Some(item));
            }
            match self.demuxer.poll().map_err(|error| error.to_string())? {
                Some(tag) => self.units.push(tag.kind, tag.timestamp_ms, &tag.body)?,
                None => return Ok(None),
            }
        }
    }
}

/// Bodies of tags, or of RTMP messages, as items. Times never wrap.
#[derive(Debug, Default)]
pub(crate) struct TagItems {
    unpacker: Unpacker,
    pub(crate) ready: VecDeque<Item>,
    audio_hz: u32,
    last_ms: Option<i64>,
}

impl TagItems {
    pub(crate) fn push(&mut self, kind: wire::flv::TagKind, timestamp_ms: u32, body: &Chunk) -> Result<(), String> {
        for unpacked in self.unpacker.unpack(kind, timestamp_ms, body).map_err(|error| error.to_string())? {
            match unpacked {
                Unpacked::Config(info) => {
                    if info.kind() == media::Kind::Audio {
                        self.audio_hz = info.clock_rate_hz;
                    }
                    self.ready.push_back(Item::Track(info));
                }
                Unpacked::Frame(unit) => {
                    let frame = self.frame(unit);
                    self.ready.push_back(Item::Frame(frame));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn frame(&mut self, unit: Unit) -> Frame {
        let ms = match self.last_ms {
            None => i64::from(unit.dts_ms),
            Some(last) => last + i64::from(unit.dts_ms.wrapping_sub(last as u32).cast_signed()),
        };
        self.last_ms = Some(ms);
        let rate = if unit.codec.kind() == media::Kind::Audio { self.audio_hz } else { 90_000 };
        let at = |ms: i64| MediaTime(ms).rescale(1_000, rate);
        Frame {
            codec: unit.codec,
            flags: unit.flags,
            dts: at(ms),
            pts: at(ms + i64::from(unit.composition_ms)),
            wall: WallTime(0),
            payload: unit.payload,
        }
    }
}
