//! MP4: any bytes are a movie with samples, a segment with frames, or refused; never more work than there are bytes for.
#![no_main]

use bytes::Bytes;
use client::mp4;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(parts) = mp4::top_level(&bytes) else { return };
    for part in parts.iter().filter(|part| &part.name == b"moov") {
        let Ok(mut movie) = mp4::movie(&part.body) else { continue };
        let _ = movie.samples();
        for track in &mut movie.tracks {
            let _ = track.coding.begin();
        }
        let mut next_dts = vec![0; movie.tracks.len()];
        let _ = mp4::frames(&bytes, &mut movie, &mut next_dts);
    }
});
