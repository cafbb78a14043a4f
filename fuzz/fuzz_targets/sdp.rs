//! SDP: any text is answered or refused in a sentence. What was answered can be restarted with any fragment, drained, and
//! closed.
#![no_main]

use std::{sync::LazyLock, time::Instant};

use libfuzzer_sys::fuzz_target;
use media::{Codec, WallTime};
use rtc::{Certificate, Config, Leg, Output, Purpose};

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let addr = "203.0.113.1:3478".parse().expect("an address");
    Config::new(addr, Certificate::generate().expect("a certificate"), WallTime(0), Instant::now())
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let codecs = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1];
    let purpose = match mode & 7 {
        0..=3 => Purpose::Publish,
        which => Purpose::Play { video: codecs.get(usize::from(which & 3)).copied(), audio: Some(Codec::Opus) },
    };
    let _ = rtc::is_ice_restart(text, true);
    match Leg::answer(&CONFIG, text, purpose, Instant::now()) {
        Err(error) => assert!(error.to_string().len() < 512, "a sentence, not an echo"),
        Ok((mut leg, answer)) => {
            assert!(answer.sdp.starts_with("v=0\r\n") && !answer.kinds.is_empty());
            let offered = text.lines().filter(|line| line.starts_with("m=")).count();
            assert_eq!(answer.sdp.matches("\r\nm=").count(), offered, "an m= line for each that was offered");
            let _ = leg.restart_ice(text);
            leg.close();
            let mut out = rtc::Batch::new(1 << 16);
            for _ in 0..64 {
                if let Output::Timeout(_) = leg.poll_output(&mut out) {
                    return;
                }
            }
            panic!("a closed leg has something to say for ever");
        }
    }
});
