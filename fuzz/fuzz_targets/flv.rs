//! FLV and Enhanced RTMP: any file is taken apart without a crash, the same in pieces as at once, and its bodies are
//! read. What comes out of them, of whatever coding and track, can be written and read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::{Flags, Frame, MediaTime, TrackInfo, WallTime};
use wire::flv::{
    Demuxer, TRACKS_MAX, Tag, TagKind, Unpacked, Unpacker, config_body, file_header, frame_body, tag_bytes,
};
use wire::{hls::codec_string, mp4::init_segment};

fuzz_target!(|bytes: &[u8]| {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    let file = if mode & 1 == 0 { bytes.to_vec() } else { [&file_header(true, true)[..], bytes].concat() };
    let tags = demux(&file, file.len());
    assert_eq!(tags, demux(&file, usize::from(mode >> 1) + 1));
    let mut unpacker = Unpacker::new();
    let mut infos: Vec<(u8, TrackInfo)> = Vec::new();
    for tag in tags {
        let Ok(found) = unpacker.unpack(tag.kind, tag.timestamp_ms, &tag.body) else { continue };
        for unpacked in found {
            match unpacked {
                Unpacked::Further(number, unpacked) => {
                    assert!(!matches!(*unpacked, Unpacked::Further(..) | Unpacked::Refused(_)), "never nested");
                    take(&mut infos, number, &tag, *unpacked);
                }
                unpacked => take(&mut infos, 0, &tag, unpacked),
            }
        }
    }
    infos.sort_by_key(|(number, _)| *number);
    infos.dedup_by_key(|(number, _)| *number);
    assert!(infos.len() <= TRACKS_MAX);
});

/// Writes what was read of one track, and reads it again.
fn take(infos: &mut Vec<(u8, TrackInfo)>, number: u8, tag: &Tag, unpacked: Unpacked) {
    match unpacked {
        Unpacked::Config(info) => {
            let body = config_body(&info).expect("whatever is read has one");
            let _ = Unpacker::new().unpack(tag.kind, 0, &body).expect("what we write we read");
            let _ = init_segment(std::slice::from_ref(&info)).expect("and put into MP4");
            assert!(codec_string(&info).is_some());
            infos.retain(|(known, other)| *known != number || other.kind() != info.kind());
            infos.push((number, info));
        }
        Unpacked::Frame(unit) => {
            let known = infos.iter().find(|(known, info)| *known == number && info.codec == unit.codec);
            let (_, info) = known.expect("no frame before its track");
            let frame = Frame {
                codec: unit.codec,
                flags: unit.flags,
                dts: MediaTime(0),
                pts: MediaTime(i64::from(unit.composition_ms)).rescale(1_000, info.clock_rate_hz),
                wall: WallTime(0),
                payload: unit.payload.clone(),
            };
            let body = frame_body(info, &frame);
            let mut fresh = Unpacker::new();
            let _ = fresh.unpack(tag.kind, 0, &config_body(info).expect("as above"));
            if let Ok(again) = fresh.unpack(tag.kind, tag.timestamp_ms, &body)
                && let [Unpacked::Frame(again)] = again.as_slice()
            {
                // Whether H.265 is shown out of order is known from the pictures before.
                let flags = Flags { b_frame: again.flags.b_frame, ..unit.flags };
                assert_eq!((again.flags, &again.payload), (flags, &unit.payload));
            }
            let _ = tag_bytes(TagKind::Video, tag.timestamp_ms, &body);
        }
        _ => {}
    }
}

fn demux(file: &[u8], piece: usize) -> Vec<Tag> {
    let mut demuxer = Demuxer::new();
    let mut tags = Vec::new();
    for piece in file.chunks(piece.max(1)) {
        demuxer.push(&Bytes::copy_from_slice(piece));
        loop {
            match demuxer.poll() {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(_) => return tags,
            }
        }
    }
    tags
}
