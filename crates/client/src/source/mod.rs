//! Where media comes from: FLV and MP4 files, and a clip that is in the program. Read on a thread of its own, since files
//! block.

pub(crate) mod flv;
mod looped;
mod mp4;

use std::{
    fs::File,
    io::{BufReader, Cursor, Read, Seek, SeekFrom},
    path::PathBuf,
};

use media::{Frame, TrackInfo};
use tokio::sync::mpsc;

use crate::Error;
use looped::Looped;

/// Items that wait for their time.
const AHEAD_MAX: usize = 256;

/// What a source gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// The track as it is from now on.
    Track(TrackInfo),
    /// One frame, on the clock of its track; the clocks of both tracks have the same origin.
    Frame(Frame),
}

/// Where media comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file: FLV, or MP4 by any of its names.
    File(PathBuf),
    /// An FLV file that is in the program.
    Clip(&'static [u8]),
}

/// Bytes that can be read again.
trait Bytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> Bytes for T {}

/// A file from its beginning.
enum Reader {
    Flv(Box<flv::FlvReader>),
    Mp4(Box<mp4::Mp4Reader>),
}

impl Reader {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        match self {
            Self::Flv(reader) => reader.next(),
            Self::Mp4(reader) => reader.next(),
        }
    }
}

impl Source {
    /// The name that errors and summaries have for it.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Clip(_) => "test".to_owned(),
        }
    }

    fn open(&self) -> Result<Reader, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Source(format!("cannot read '{}': {error}", self.name()));
        let mut bytes: Box<dyn Bytes> = match self {
            Self::File(path) => Box::new(BufReader::new(File::open(path).map_err(|error| failed(&error))?)),
            Self::Clip(clip) => Box::new(Cursor::new(*clip)),
        };
        let mut magic = [0; 8];
        let read = bytes.read(&mut magic).map_err(|error| failed(&error))?;
        bytes.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
        let magic = magic.get(..read).unwrap_or_default();
        if magic.starts_with(b"FLV") {
            return Ok(Reader::Flv(Box::new(flv::FlvReader::new(bytes, self.name()))));
        }
        if [b"ftyp", b"styp", b"moov", b"mdat", b"free", b"wide", b"skip"].iter().any(|name| magic.ends_with(&name[..]))
        {
            return Ok(Reader::Mp4(Box::new(mp4::Mp4Reader::open(bytes, self.name())?)));
        }
        Err(Error::Source(format!(
            "'{}' is neither FLV nor MP4; ffmpeg can make either: ffmpeg -i FILE -c:v libx264 -bf 0 -c:a aac OUT.mp4",
            self.name()
        )))
    }

    /// Reads all of it, again and again where it is looped, as fast as it is taken. The sequence ends with an error or
    /// with the channel.
    pub(crate) fn start(self, repeat: bool) -> mpsc::Receiver<Result<Item, Error>> {
        let (sender, items) = mpsc::channel(AHEAD_MAX);
        tokio::task::spawn_blocking(move || {
            let mut looped = Looped::new(repeat);
            loop {
                let next = match looped.next(|| self.open()) {
                    Ok(Some(item)) => Ok(item),
                    Ok(None) => return,
                    Err(error) => Err(error),
                };
                let ends = next.is_err();
                if sender.blocking_send(next).is_err() || ends {
                    return;
                }
            }
        });
        items
    }
}
