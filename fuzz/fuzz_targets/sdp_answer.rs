//! Answers to an offer of ours: any text makes a leg or is refused in a sentence. What was taken can be closed.
#![no_main]

use std::{sync::LazyLock, time::Instant};

use libfuzzer_sys::fuzz_target;
use media::WallTime;
use rtc::{Certificate, Config, Offering, Output, Wanted};

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let addr = "198.51.100.7:5000".parse().expect("an address");
    Config::new(addr, Certificate::generate().expect("a certificate"), WallTime(0), Instant::now())
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let layers = 1 + (mode >> 1 & 3);
    let send = Wanted::Send { video: Some(0x42_e0_1f), audio: true, layers };
    let wanted = if mode & 1 == 0 { Wanted::Receive } else { send };
    let offering = Offering::new(&CONFIG, wanted, Instant::now()).expect("our own offer");
    match offering.accept(text, Instant::now()) {
        Err(error) => assert!(error.to_string().len() < 640, "a sentence, not an echo"),
        Ok(mut leg) => {
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
