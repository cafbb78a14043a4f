//! The segments that are served, and the playlists of them.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use media::{MediaTime, TrackInfo, WallTime};
use wire::{
    hls::{MediaPlaylist, Multivariant, Segment, Variant, codec_string},
    mp4::{Fragment, Mp4Error, init_segment},
};

use super::{Config, SEGMENTS_MIN, names::File, open::Open};

/// The tracks of a segment, with the epoch of each.
#[derive(Debug)]
pub(super) struct Tracks<'a> {
    pub(super) video: Option<(u32, &'a TrackInfo)>,
    pub(super) audio: Option<(u32, &'a TrackInfo)>,
}

impl<'a> Tracks<'a> {
    fn epochs(&self) -> [Option<u32>; 2] {
        [self.video, self.audio].map(|track| track.map(|(epoch, _)| epoch))
    }

    /// In the order that they have in the MP4.
    fn infos(&self) -> Vec<&'a TrackInfo> {
        [self.video, self.audio].into_iter().flatten().map(|(_, info)| info).collect()
    }
}

/// An initialisation segment, and what the playlist must know of its tracks.
#[derive(Debug)]
struct Init {
    number: u32,
    epochs: [Option<u32>; 2],
    bytes: Bytes,
    codecs: Vec<String>,
    resolution: Option<(u32, u32)>,
}

#[derive(Debug)]
struct Packaged {
    number: u64,
    init: u32,
    bytes: Bytes,
    duration: Duration,
    wall: WallTime,
    discontinuity: bool,
    /// Discontinuities in all segments before this one.
    discontinuities_before: u64,
}

/// Segments in order, the newest of them in the playlist.
#[derive(Debug)]
pub(super) struct Shelf {
    listed: usize,
    kept: usize,
    inits: VecDeque<Init>,
    segments: VecDeque<Packaged>,
    next_init: u32,
    next_segment: u64,
    discontinuities: u64,
    target_duration_s: u64,
    frame_rate: Option<f64>,
    ended: bool,
}

impl Shelf {
    pub(super) fn new(config: &Config) -> Self {
        let listed = config.segments.max(SEGMENTS_MIN);
        Self {
            listed,
            kept: listed.saturating_add(config.keep),
            inits: VecDeque::new(),
            segments: VecDeque::new(),
            next_init: 0,
            next_segment: 0,
            discontinuities: 0,
            target_duration_s: u64::from(config.segment_ms.div_ceil(1_000)).max(1),
            frame_rate: None,
            ended: false,
        }
    }

    pub(super) fn ready(&self) -> bool {
        !self.segments.is_empty()
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Closes a segment and puts it behind the others; `broken` where it does not follow from them.
    pub(super) fn put(
        &mut self,
        open: &Open,
        tracks: &Tracks<'_>,
        end: Option<MediaTime>,
        broken: bool,
    ) -> Result<(), Mp4Error> {
        let (init, changed) = self.init_of(tracks)?;
        let closed = open.close(&tracks.infos(), end);
        let sequence = (self.next_segment.wrapping_add(1) & u64::from(u32::MAX)) as u32;
        let fragment = Fragment { sequence, reference: Some(closed.reference), runs: closed.runs };
        let bytes = fragment.write()?;
        let discontinuity = self.ready() && (broken || changed);
        self.segments.push_back(Packaged {
            number: self.next_segment,
            init,
            bytes,
            duration: closed.duration,
            wall: closed.wall,
            discontinuity,
            discontinuities_before: self.discontinuities,
        });
        self.next_segment += 1;
        self.discontinuities += u64::from(discontinuity);
        self.target_duration_s = self.target_duration_s.max(closed.duration.as_secs_f64().round() as u64);
        self.frame_rate = closed.frame_rate;
        while self.segments.len() > self.kept {
            self.segments.pop_front();
        }
        let oldest = self.segments.front().map_or(0, |segment| segment.init);
        self.inits.retain(|init| init.number >= oldest);
        Ok(())
    }

    /// The number of the initialisation segment for these tracks, and whether it is a new one.
    fn init_of(&mut self, tracks: &Tracks<'_>) -> Result<(u32, bool), Mp4Error> {
        let epochs = tracks.epochs();
        if let Some(last) = self.inits.back()
            && last.epochs == epochs
        {
            return Ok((last.number, false));
        }
        let infos: Vec<TrackInfo> = tracks.infos().into_iter().cloned().collect();
        let picture = infos.iter().find_map(TrackInfo::picture_size);
        let number = self.next_init;
        self.inits.push_back(Init {
            number,
            epochs,
            bytes: init_segment(&infos)?,
            codecs: infos.iter().filter_map(codec_string).collect(),
            resolution: picture,
        });
        self.next_init = number.wrapping_add(1);
        Ok((number, true))
    }

    pub(super) fn init(&self, number: u32) -> Option<Bytes> {
        self.inits.iter().find(|init| init.number == number).map(|init| init.bytes.clone())
    }

    pub(super) fn segment(&self, number: u64) -> Option<Bytes> {
        self.segments.iter().find(|segment| segment.number == number).map(|segment| segment.bytes.clone())
    }

    fn listed(&self) -> impl Iterator<Item = &Packaged> {
        self.segments.iter().skip(self.segments.len().saturating_sub(self.listed))
    }

    pub(super) fn playlist(&self, query: &str) -> Option<String> {
        let first = self.listed().next()?;
        let uri = |file: File| format!("{file}{query}");
        let segments = self.listed().map(|segment| Segment {
            uri: uri(File::Segment(segment.number)),
            map_uri: uri(File::Init(segment.init)),
            duration: segment.duration,
            wall: segment.wall,
            discontinuity: segment.discontinuity,
        });
        let playlist = MediaPlaylist {
            target_duration_s: self.target_duration_s,
            media_sequence: first.number,
            discontinuity_sequence: first.discontinuities_before,
            segments: segments.collect(),
            ended: self.ended,
        };
        Some(playlist.to_string())
    }

    pub(super) fn multivariant(&self, media_uri: &str) -> Option<String> {
        let init = self.inits.back().filter(|_| self.ready())?;
        let peak = self.listed().map(|segment| rate_bps(segment.bytes.len(), segment.duration)).max()?;
        let bytes = self.listed().map(|segment| segment.bytes.len()).sum();
        let variant = Variant {
            uri: media_uri.into(),
            bandwidth_bps: peak,
            average_bandwidth_bps: rate_bps(bytes, self.listed().map(|segment| segment.duration).sum()),
            codecs: init.codecs.clone(),
            resolution: init.resolution,
            frame_rate: self.frame_rate,
        };
        Some(Multivariant { variants: vec![variant] }.to_string())
    }
}

/// Bits a second; a segment of no length counts as a millisecond.
fn rate_bps(bytes: usize, duration: Duration) -> u64 {
    (bytes as f64 * 8.0 / duration.as_secs_f64().max(0.001)).ceil() as u64
}
