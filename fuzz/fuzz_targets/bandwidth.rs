//! Bandwidth: whatever a viewer reports, in whatever time, the control loop of its leg goes on, and its answers are bounded.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use rtc::{
    bandwidth::{Bandwidth, Config},
    rtcp::{Packet, read},
};

fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let mut bandwidth = Bandwidth::with(now, Config { feedback: bytes.len() % 2 == 0, ..Config::default() });
    let mut rest = bytes;
    while let Some((&[length, passed, sends, lost], after)) = rest.split_first_chunk::<4>() {
        let (compound, after) = after.split_at(after.len().min(usize::from(length)));
        rest = after;
        now += Duration::from_micros(u64::from(passed) << (sends >> 4));
        for _ in 0..sends % 32 {
            bandwidth.sent(now, usize::from(lost) << 4);
        }
        for packet in read(compound) {
            match packet {
                Packet::Transport(feedback) => bandwidth.feedback(now, &feedback),
                Packet::Remb { bitrate_bps } => bandwidth.want(Some(bitrate_bps)),
                _ => bandwidth.report(now, lost, Some(Duration::from_micros(u64::from(passed) << 20))),
            }
        }
        assert!(bandwidth.padding(now) <= 101_000);
        assert!(bandwidth.allowance(now) <= 1_000_000);
        assert!(bandwidth.estimate_bps().is_none_or(|bps| bps <= 150_000_000));
        assert!(bandwidth.next_timer().is_none_or(|at| at > now));
    }
});
