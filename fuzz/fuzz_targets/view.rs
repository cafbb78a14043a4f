//! The viewer leg: any datagrams, from an address that proved itself and from others, in any order and time, end in a
//! drained leg. Nobody is answered who has not shown that he knows the password, and nothing asks for a time in the past.
#![no_main]

use std::{
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use libfuzzer_sys::fuzz_target;
use media::{Codec, WallTime};
use rtc::{Batch, Certificate, Config, Input, Output, Protocol, Purpose, light, view::View};

static CONFIGS: LazyLock<(Config, light::Config)> = LazyLock::new(|| {
    let addr = "203.0.113.1:3478".parse().expect("an address");
    let certificate = Certificate::generate().expect("a certificate");
    (Config::new(addr, certificate.clone(), WallTime(0), Instant::now()), light::Config::new(certificate))
});

fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let (config, viewer) = &*CONFIGS;
    let mut viewer = light::Viewer::new(viewer, 1, now);
    let purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };
    let (mut view, answer) = View::answer(config, &viewer.offer(), purpose, now).expect("a good offer");
    viewer.accept(&answer.sdp, now).expect("a good answer");
    let mut checks = Batch::new(10_000);
    while let light::Output::Event(_) = viewer.poll_output(&mut checks) {}
    let (peer, to) = (SocketAddr::from(([198, 51, 100, 1], 1_000)), SocketAddr::from(([203, 0, 113, 1], 3_478)));
    for check in checks.runs().flat_map(|run| run.datagrams()) {
        view.handle(now, Input::Datagram { proto: Protocol::Udp, from: peer, to, bytes: check });
    }
    assert!(drain(&mut view, now).0 > 0, "a check is answered");
    let mut rest = bytes;
    while let Some((&[length, kind], after)) = rest.split_first_chunk::<2>() {
        let (datagram, after) = after.split_at(after.len().min(usize::from(length)));
        rest = after;
        now += Duration::from_millis(u64::from(kind >> 4) * 50);
        let known = kind & 1 == 0;
        let from = if known { peer } else { SocketAddr::from(([198, 51, 100, 2], 1_000)) };
        let _ = view.accepts(Protocol::Udp, from, to, datagram);
        view.handle(now, Input::Datagram { proto: Protocol::Udp, from, to, bytes: datagram });
        let (_, strangers) = drain(&mut view, now);
        assert_eq!(strangers, 0, "nobody else is sent anything");
        assert!(!view.is_connected(), "nobody has done a handshake");
    }
});

/// How many datagrams it sends to the peer, and to others.
fn drain(view: &mut View, now: Instant) -> (usize, usize) {
    let mut batch = Batch::new(100_000);
    for turn in 0.. {
        assert!(turn < 64, "a leg is drained at some time");
        if let Output::Timeout(at) = view.poll_output(&mut batch) {
            assert!(at > now, "a time in the past makes no progress");
            break;
        }
    }
    let peer = batch.runs().filter(|run| run.to.port() == 1_000 && run.to.ip().to_string() == "198.51.100.1");
    let sent = peer.map(|run| run.datagrams().count()).sum();
    (sent, batch.datagrams() - sent)
}
