//! MP4 files: with sample tables before or after the media, or of fragments.

use std::{
    collections::VecDeque,
    io::{Read as _, SeekFrom},
};

use bytes::Bytes as Chunk;

use super::{Bytes, Item};
use crate::{
    Error,
    mp4::{self, INDEX_BYTES_MAX, Movie, Mp4Error, Sample},
};

/// Boxes at the top of a file that are looked at: a day of fragments of a second each, and more.
const BOXES_MAX: usize = 1 << 20;

/// An MP4 file from its beginning.
pub(super) struct Mp4Reader {
    file: Box<dyn Bytes>,
    name: String,
    movie: Movie,
    ready: VecDeque<Item>,
    samples: VecDeque<Sample>,
    /// Where the next box at the top begins; `None` where all are read.
    at: Option<u64>,
    boxes: usize,
    next_dts: Vec<i64>,
}

impl Mp4Reader {
    pub(super) fn open(mut file: Box<dyn Bytes>, name: String) -> Result<Self, Error> {
        let (movie, at) = find_movie(&mut file, &name)?;
        let tracks = movie.tracks.len();
        let samples = movie.samples().map_err(|error| failed(&name, &error))?;
        let mut reader = Self {
            file,
            name,
            ready: VecDeque::new(),
            at: movie.is_fragmented.then_some(at),
            samples: samples.into(),
            movie,
            boxes: 0,
            next_dts: vec![0; tracks],
        };
        for track in &mut reader.movie.tracks {
            let items = track.coding.begin().map_err(|error| failed(&reader.name, &error))?;
            reader.ready.extend(items);
        }
        Ok(reader)
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            match self.samples.pop_front() {
                Some(sample) => self.sample(&sample)?,
                None if self.at.is_some() => self.fragment()?,
                None => return Ok(None),
            }
        }
    }

    fn sample(&mut self, sample: &Sample) -> Result<(), Error> {
        let bytes = read_at(&mut self.file, sample.offset, sample.bytes as usize);
        let bytes = bytes.map_err(|error| failed(&self.name, &error))?;
        let Some(track) = self.movie.tracks.iter_mut().find(|track| track.id == sample.track_id) else { return Ok(()) };
        let dts_us = track.micros(sample.dts);
        let composition_us = media::MediaTime(sample.composition.into()).as_micros(track.timescale);
        let items = track.coding.take(sample, dts_us, composition_us, &bytes);
        self.ready.extend(items.map_err(|error| failed(&self.name, &error))?);
        Ok(())
    }

    /// Goes on to the next fragment, or to the end.
    fn fragment(&mut self) -> Result<(), Error> {
        let wrong = |error: &dyn std::fmt::Display| failed(&self.name, error);
        let Some(at) = self.at else { return Ok(()) };
        self.boxes += 1;
        let head = read_at_most(&mut self.file, at, 16).map_err(|error| wrong(&error))?;
        let header = mp4::header(&head).map_err(|error| wrong(&error))?;
        let Some((header, bytes)) = header.and_then(|header| Some((header, header.bytes?))) else {
            self.at = None;
            return Ok(());
        };
        self.at = Some(at.saturating_add(bytes)).filter(|_| self.boxes < BOXES_MAX);
        if &header.name == b"moof" {
            let body = body(&mut self.file, at, &header).map_err(|error| wrong(&error))?;
            let found = mp4::fragment(&body, at, bytes, &self.movie.tracks, &mut self.next_dts);
            let mut samples = found.map_err(|error| wrong(&error))?;
            samples.iter_mut().for_each(|sample| sample.offset = sample.offset.wrapping_add(at));
            let tracks = &self.movie.tracks;
            samples.sort_by_cached_key(|sample| {
                tracks.iter().find(|track| track.id == sample.track_id).map_or(0, |track| track.micros(sample.dts))
            });
            self.samples.extend(samples);
        }
        Ok(())
    }
}

/// The movie, and where to look for fragments: from the start.
fn find_movie(file: &mut Box<dyn Bytes>, name: &str) -> Result<(Movie, u64), Error> {
    let mut at = 0u64;
    for _ in 0..BOXES_MAX {
        let head = read_at_most(file, at, 16).map_err(|error| failed(name, &error))?;
        let Some(header) = mp4::header(&head).map_err(|error| failed(name, &error))? else { break };
        if &header.name == b"moov" {
            let body = body(file, at, &header).map_err(|error| failed(name, &error))?;
            return Ok((mp4::movie(&body).map_err(|error| failed(name, &error))?, 0));
        }
        let Some(bytes) = header.bytes else { break };
        at = at.saturating_add(bytes);
    }
    Err(failed(name, &"it has no 'moov' box: was it recorded to its end?"))
}

fn body(file: &mut Box<dyn Bytes>, at: u64, header: &mp4::Header) -> Result<Chunk, String> {
    let bytes = header.bytes.unwrap_or(u64::MAX);
    if bytes > INDEX_BYTES_MAX as u64 {
        let name = String::from_utf8_lossy(&header.name).into_owned();
        return Err(Mp4Error::TooLong { name, bytes, max: INDEX_BYTES_MAX as u64 }.to_string());
    }
    let length = bytes.saturating_sub(header.header_bytes) as usize;
    read_at(file, at + header.header_bytes, length).map_err(|error| error.to_string())
}

fn read_at(file: &mut Box<dyn Bytes>, at: u64, bytes: usize) -> std::io::Result<Chunk> {
    let read = read_at_most(file, at, bytes)?;
    if read.len() < bytes {
        return Err(std::io::Error::other("the file ends within a box or a sample"));
    }
    Ok(read)
}

fn read_at_most(file: &mut Box<dyn Bytes>, at: u64, bytes: usize) -> std::io::Result<Chunk> {
    file.seek(SeekFrom::Start(at))?;
    // What is announced is not allocated before it is there.
    let mut read = Vec::with_capacity(bytes.min(1 << 20));
    file.take(bytes as u64).read_to_end(&mut read)?;
    Ok(read.into())
}

fn failed(name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Source(format!("cannot read '{name}': {error}"))
}
