//! FLV: any file is taken apart without a crash, the same in pieces as at once, and its bodies are read. What comes out
//! of an H.264 or AAC body can be written and read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::{Frame, MediaTime, TrackInfo, WallTime};
use wire::flv::{Demuxer, Tag, TagKind, Unpacked, Unpacker, config_body, file_header, frame_body, tag_bytes};

fuzz_target!(|bytes: &[u8]| {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    let file = if mode & 1 == 0 { bytes.to_vec() } else { [&file_header(true, true)[..], bytes].concat() };
    let tags = demux(&file, file.len());
    assert_eq!(tags, demux(&file, usize::from(mode >> 1) + 1));
    let mut unpacker = Unpacker::new();
    let mut infos: Vec<TrackInfo> = Vec::new();
    for tag in tags {
        let Ok(found) = unpacker.unpack(tag.kind, tag.timestamp_ms, &tag.body) else { continue };
        for unpacked in found {
            match unpacked {
                Unpacked::Config(info) => {
                    let body = config_body(&info).expect("H.264 and AAC have one");
                    let _ = Unpacker::new().unpack(tag.kind, 0, &body);
                    infos.retain(|known| known.codec != info.codec);
                    infos.push(info);
                }
                Unpacked::Frame(unit) => {
                    let info = infos.iter().find(|info| info.codec == unit.codec).expect("no frame before its track");
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
                        assert_eq!((again.flags, &again.payload), (unit.flags, &unit.payload));
                    }
                    let _ = tag_bytes(TagKind::Video, tag.timestamp_ms, &body);
                }
                Unpacked::Metadata(_) | Unpacked::SequenceEnd | Unpacked::Ignored => {}
            }
        }
    }
});

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
