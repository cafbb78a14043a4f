//! Frames as FLV and RTMP bytes: the one place where the frame path names those formats.

use bytes::Bytes;
use media::{Frame, Kind, TrackInfo};
use wire::{
    flv::{TagKind, config_body, frame_body, tag_bytes},
    rtmp::media_bytes,
};

/// The sequence header as an FLV tag at time 0; empty where the codec has none.
pub(crate) fn flv_header(info: &TrackInfo) -> Bytes {
    config_body(info).map(|body| tag_bytes(tag_kind(info), 0, &body)).unwrap_or_default()
}

/// The sequence header as an RTMP message at time 0; empty where the codec has none.
pub(crate) fn rtmp_header(info: &TrackInfo) -> Bytes {
    config_body(info).map(|body| media_bytes(tag_kind(info), 0, &body)).unwrap_or_default()
}

/// A frame as an FLV tag.
pub(crate) fn flv(info: &TrackInfo, frame: &Frame) -> Bytes {
    tag_bytes(tag_kind(info), timestamp_ms(info, frame), &frame_body(info, frame))
}

/// A frame as an RTMP message.
pub(crate) fn rtmp(info: &TrackInfo, frame: &Frame) -> Bytes {
    media_bytes(tag_kind(info), timestamp_ms(info, frame), &frame_body(info, frame))
}

fn tag_kind(info: &TrackInfo) -> TagKind {
    match info.kind() {
        Kind::Audio => TagKind::Audio,
        Kind::Video => TagKind::Video,
    }
}

/// Both formats count milliseconds modulo 2^32, so the cut is meant.
fn timestamp_ms(info: &TrackInfo, frame: &Frame) -> u32 {
    frame.dts.as_millis(info.clock_rate_hz) as u32
}
