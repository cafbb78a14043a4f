//! Datagrams: any bytes from any address go through a shard without a crash and without an answer, and any bytes go
//! through a leg.
#![no_main]

use std::{
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use libfuzzer_sys::fuzz_target;
use media::WallTime;
use rtc::{Batch, Certificate, Config, Leg, Protocol, Purpose};
use sfu::{Command, Input, LegId, Output, Shard};

const OFFER: &str = include_str!("../../crates/rtc/tests/data/chromium-publish.sdp");

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let addr = "203.0.113.1:3478".parse().expect("an address");
    Config::new(addr, Certificate::generate().expect("a certificate"), WallTime(0), Instant::now())
});

fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let (leg, answer) = Leg::answer(&CONFIG, OFFER, Purpose::Publish, now).expect("a good offer");
    let (mut alone, _) = Leg::answer(&CONFIG, OFFER, Purpose::Publish, now).expect("a good offer");
    let mut shard = Shard::new(sfu::Config::default(), 0, 1, now);
    let mut out = Batch::new(1 << 20);
    shard.handle(now, Input::Command(Command::AddLeg { id: LegId::new(0, 1), leg: Box::new(leg) }), &mut out);
    drain(&mut shard, &mut out);
    let mut rest = bytes;
    while let Some((&[length, kind], after)) = rest.split_first_chunk::<2>() {
        let (datagram, after) = after.split_at(after.len().min(usize::from(length)));
        rest = after;
        now += Duration::from_millis(u64::from(kind >> 4));
        let named = named(&answer.ufrag, datagram);
        let datagram = if kind & 1 == 0 { datagram } else { &named };
        let (proto, port) =
            (if kind & 2 == 0 { Protocol::Udp } else { Protocol::Tcp }, 1_000 + u16::from(kind >> 2 & 3));
        let (from, to) = (SocketAddr::from(([198, 51, 100, 1], port)), SocketAddr::from(([203, 0, 113, 1], 3_478)));
        shard.handle(now, Input::Datagram { proto, from, to, bytes: datagram }, &mut out);
        assert_eq!(drain(&mut shard, &mut out), 0, "nobody who does not know the password is answered");
        alone.handle(now, rtc::Input::Datagram { proto, from, to, bytes: datagram });
        for turn in 0.. {
            assert!(turn < 256, "a leg is drained at some time");
            if let rtc::Output::Timeout(_) = alone.poll_output(&mut out) {
                break;
            }
        }
        out.clear();
    }
});

/// A binding request for our leg with attributes of the fuzzer's making.
fn named(ufrag: &str, attributes: &[u8]) -> Vec<u8> {
    let user = format!("{ufrag}:/yA5");
    let mut body = vec![0, 6, 0, user.len() as u8];
    body.extend(user.as_bytes());
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(attributes);
    let mut out = vec![0, 1];
    out.extend((body.len() as u16).to_be_bytes());
    out.extend([0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    out.extend(body);
    out
}

/// How many datagrams the shard sends.
fn drain(shard: &mut Shard, out: &mut Batch) -> usize {
    while !matches!(shard.poll_output(out), Output::Timeout(_)) {
        assert!(!out.is_full(), "there is nothing to send so much of");
    }
    let sent = out.datagrams();
    out.clear();
    sent
}
