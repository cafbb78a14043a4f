//! HLS playlists: any text is read or refused in a sentence, and following it comes to an end.
#![no_main]

use client::hls::{Follower, Playlist, Step, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse(text) {
        Err(error) => assert!(error.to_string().len() < 256, "a sentence, not an echo"),
        Ok(Playlist::Multivariant(variants)) => assert!(!variants.is_empty()),
        Ok(Playlist::Media(media)) => {
            let segments = media.segments.len();
            let mut follower = Follower::default();
            follower.update(media.clone());
            let mut played = 0;
            while let Step::Play(_) = follower.step() {
                played += 1;
                assert!(played <= segments, "no segment twice");
            }
            follower.update(media);
        }
    }
});
