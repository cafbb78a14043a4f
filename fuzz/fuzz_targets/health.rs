//! Health of ingests: whatever an FLV publisher sends, at whatever pace, is judged without a crash, and nothing grows.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use live::health::{Arrival, Fault, HISTORY_MAX, Health, SECONDS_MAX};
use wire::flv::{TagKind, Unpacked, Unpacker};

fuzz_target!(|bytes: &[u8]| {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut unpacker = Unpacker::new();
    let mut health = Health::default();
    let mut now = Instant::now();
    // Each message: kind, milliseconds that pass, its time, its length, its body.
    while let Some(&[kind, wait, t0, t1, t2, t3, length]) = rest.first_chunk::<7>() {
        let end = (7 + usize::from(length)).min(rest.len());
        let body = rest.slice(7..end);
        rest = rest.slice(end..);
        now += Duration::from_millis(u64::from(wait) * u64::from(wait));
        let kind = [TagKind::Audio, TagKind::Video, TagKind::Script][usize::from(kind % 3)];
        match unpacker.unpack(kind, u32::from_be_bytes([t0, t1, t2, t3]), &body) {
            Ok(found) => found.iter().for_each(|unpacked| match unpacked {
                Unpacked::Config(info) => health.announce(now, info),
                Unpacked::Frame(unit) => health.frame(
                    now,
                    Arrival {
                        kind: unit.codec.kind(),
                        dts_ms: unit.dts_ms,
                        bytes: unit.payload.len(),
                        flags: unit.flags,
                    },
                ),
                _ => {}
            }),
            Err(_) => health.damaged(now),
        }
    }
    let report = health.report(now);
    assert!(report.faults.len() <= Fault::ALL.len() && report.history.len() <= HISTORY_MAX);
    assert!(report.seconds.len() <= SECONDS_MAX);
    assert!(report.faults.iter().all(|spell| spell.found.is_finite() && spell.last <= now));
});
