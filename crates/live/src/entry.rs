//! One frame in the ring with what every viewer shares of it, the track that it belongs to, and a viewer's memory of
//! which track it was last told.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use media::{Frame, Kind, TrackInfo};

use crate::mux;

/// A track as it was announced, and its headers, made once for all viewers.
#[derive(Debug)]
pub struct Track {
    /// What the track is.
    pub info: TrackInfo,
    /// Rises with every announcement in the stream, of either kind; never used twice in a stream.
    pub epoch: u32,
    flv_header: OnceLock<Bytes>,
    rtmp_header: OnceLock<Bytes>,
}

impl Track {
    pub(crate) fn new(info: TrackInfo, epoch: u32) -> Self {
        Self { info, epoch, flv_header: OnceLock::new(), rtmp_header: OnceLock::new() }
    }

    /// A whole FLV tag with the sequence header, at time 0. Empty where FLV has none for the codec.
    pub fn flv_header(&self) -> &Bytes {
        self.flv_header.get_or_init(|| mux::flv_header(&self.info))
    }

    /// A whole RTMP message with the sequence header, at time 0. Empty where RTMP has none for the codec.
    pub fn rtmp_header(&self) -> &Bytes {
        self.rtmp_header.get_or_init(|| mux::rtmp_header(&self.info))
    }
}

/// One frame in the ring. The muxed bytes are made by the first viewer that asks, and shared by all.
#[derive(Debug)]
pub struct Entry {
    /// Position in the stream: rises by one with every frame of either kind.
    pub seq: u64,
    /// The track that the frame belongs to.
    pub track: Arc<Track>,
    /// The frame.
    pub frame: Frame,
    /// Decoding time in microseconds since the stream's origin: comparable between the tracks.
    pub time_us: i64,
    flv: OnceLock<Bytes>,
    rtmp: OnceLock<Bytes>,
}

impl Entry {
    pub(crate) fn new(seq: u64, track: Arc<Track>, frame: Frame) -> Self {
        let time_us = frame.dts.as_micros(track.info.clock_rate_hz);
        Self { seq, track, frame, time_us, flv: OnceLock::new(), rtmp: OnceLock::new() }
    }

    /// The frame as an FLV tag with the tag size that follows it; its time is the stream's, in ms, modulo 2^32.
    pub fn flv(&self) -> &Bytes {
        self.flv.get_or_init(|| mux::flv(&self.track.info, &self.frame))
    }

    /// The frame as an RTMP message; its time is the stream's, in ms, modulo 2^32.
    pub fn rtmp(&self) -> &Bytes {
        self.rtmp.get_or_init(|| mux::rtmp(&self.track.info, &self.frame))
    }

    /// A decoder of pictures can start here.
    pub(crate) fn is_video_key(&self) -> bool {
        self.frame.kind() == Kind::Video && self.frame.flags.key
    }
}

/// Which track of each kind a viewer was last told; it must be told again whenever that changes.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    audio: Option<Arc<Track>>,
    video: Option<Arc<Track>>,
}

impl Headers {
    /// Whether the header of the entry's track has to be written before the entry. True once for each track.
    pub fn needs(&mut self, entry: &Entry) -> bool {
        let told = match entry.frame.kind() {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        };
        if told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &entry.track)) {
            return false;
        }
        *told = Some(entry.track.clone());
        true
    }
}
