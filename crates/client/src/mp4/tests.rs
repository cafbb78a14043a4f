use bytes::{BufMut as _, Bytes, BytesMut};
use media::{Codec, Frame, Payload, TrackInfo, aac};
use proptest::prelude::*;
use wire::mp4::{Fragment, Run, init_segment, track_id};

use super::*;
use crate::source::Item;

fn sound() -> TrackInfo {
    TrackInfo::aac(aac::Config::lc(48_000, 2).unwrap())
}

fn segment(from: u64, count: u32) -> Bytes {
    let sample = |number: u32| wire::mp4::Sample {
        duration: 1_024,
        composition_offset: 0,
        key: true,
        discardable: false,
        payload: Payload::single(Bytes::from(vec![number as u8; 5])),
    };
    let run =
        Run { track_id: track_id(0), codec: Codec::Aac, decode_time: from, samples: (0..count).map(sample).collect() };
    Fragment { sequence: 1, reference: None, runs: vec![run] }.write().unwrap()
}

fn read(init: &Bytes) -> Movie {
    let parts = top_level(init).unwrap();
    movie(&parts.iter().find(|part| &part.name == b"moov").unwrap().body).unwrap()
}

fn found(items: Vec<Item>) -> Vec<Frame> {
    items.into_iter().filter_map(|item| if let Item::Frame(frame) = item { Some(frame) } else { None }).collect()
}

#[test]
fn what_the_server_writes_is_read_again() {
    let mut movie = read(&init_segment(&[sound()]).unwrap());
    assert!(movie.is_fragmented);
    assert_eq!(movie.tracks[0].coding.begin().unwrap(), [Item::Track(sound())]);
    let mut next = vec![0];
    let frames = found(frames(&segment(48_000, 3), &mut movie, &mut next).unwrap());
    assert_eq!(next, [48_000 + 3 * 1_024]);
    assert_eq!(frames.iter().map(|frame| frame.dts.0).collect::<Vec<_>>(), [48_000, 49_024, 50_048]);
    assert_eq!(frames[2].payload, Payload::single(Bytes::from_static(&[2; 5])));
}

#[test]
fn a_sample_outside_of_its_segment_is_refused() {
    let mut movie = read(&init_segment(&[sound()]).unwrap());
    movie.tracks[0].coding.begin().unwrap();
    let whole = segment(0, 3);
    let mut cut = BytesMut::from(&whole[..whole.len() - 4]);
    // `mdat` is as long as it is now, so that only the sample is wrong.
    let at = whole.len() - 15 - 8;
    cut[at..at + 4].copy_from_slice(&19u32.to_be_bytes());
    let error = frames(&cut.freeze(), &mut movie, &mut [0]).unwrap_err();
    assert_eq!(error, Mp4Error::Tables("a sample lies outside of its segment"));
}

#[test]
fn boxes_that_lie_about_their_length_are_refused() {
    let mut body = BytesMut::new();
    body.put_u32(4_000);
    body.put_slice(b"moov");
    assert_eq!(top_level(&body.freeze()).unwrap_err(), Mp4Error::Short("moov".into()));
    assert_eq!(header(&[0, 0, 0, 7, b'm', b'o', b'o', b'v']).unwrap_err(), Mp4Error::Short("moov".into()));
    assert!(matches!(movie(&Bytes::new()), Err(Mp4Error::NoTrack(_))));
}

proptest! {
    #[test]
    fn a_movie_that_is_broken_anywhere_never_panics(at in 0usize..700, byte in any::<u8>(), cut in 0usize..700) {
        let mut init = BytesMut::from(&init_segment(&[sound()]).unwrap()[..]);
        let length = init.len();
        init[at % length] = byte;
        let init = init.freeze().slice(..length - cut % length);
        for part in top_level(&init).into_iter().flatten() {
            if let Ok(mut movie) = movie(&part.body) {
                let _ = movie.samples();
                let _ = movie.tracks.iter_mut().map(|track| track.coding.begin().is_ok()).count();
                let mut next = vec![0; movie.tracks.len()];
                let _ = frames(&segment(0, 3), &mut movie, &mut next);
            }
        }
    }
}
