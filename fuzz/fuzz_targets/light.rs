//! The light viewer: any bytes from the server's address and from elsewhere, before and after ICE is done, and any answer
//! or offer. It never crashes, is drained at some time, and sends to nobody but the server.
#![no_main]

use std::{
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use libfuzzer_sys::fuzz_target;
use media::{Codec, WallTime};
use rtc::{
    Batch, Certificate, Config, Input, Leg, Protocol, Purpose,
    light::{self, Viewer},
};

const SERVER: &str = "203.0.113.1:3478";
const CLIENT: &str = "198.51.100.7:5000";

static SERVING: LazyLock<Config> = LazyLock::new(|| {
    let certificate = Certificate::generate().expect("a certificate");
    Config::new(SERVER.parse().expect("an address"), certificate, WallTime(0), Instant::now())
});
static VIEWING: LazyLock<light::Config> =
    LazyLock::new(|| light::Config::new(Certificate::generate().expect("a certificate")));

fuzz_target!(|bytes: &[u8]| {
    let Some((&mode, mut rest)) = bytes.split_first() else { return };
    let mut now = Instant::now();
    if let (0, Ok(text)) = (mode & 3, std::str::from_utf8(rest)) {
        let mut viewer = Viewer::new(&VIEWING, 1, now);
        let _ = viewer.accept(text, now);
        let _ = Viewer::answer(&VIEWING, text, 1, now);
        return;
    }
    let (server, client): (SocketAddr, SocketAddr) =
        (SERVER.parse().expect("an address"), CLIENT.parse().expect("an address"));
    let mut viewer = Viewer::new(&VIEWING, 1, now);
    let purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };
    let (mut leg, answer) = Leg::answer(&SERVING, &viewer.offer(), purpose, now).expect("a good offer");
    viewer.accept(&answer.sdp, now).expect("a good answer");
    if mode & 4 != 0 {
        // ICE is done, so that DTLS and the rest is heard.
        let (mut check, mut reply) = (Batch::new(2_000), Batch::new(2_000));
        drain(&mut viewer, &mut check);
        for bytes in check.runs().flat_map(|run| run.datagrams()) {
            leg.handle(now, Input::Datagram { proto: Protocol::Udp, from: client, to: server, bytes });
            while let rtc::Output::Event(_) = leg.poll_output(&mut reply) {}
        }
        for bytes in reply.runs().flat_map(|run| run.datagrams()) {
            viewer.handle(now, light::Input::Datagram { from: server, bytes: &mut bytes.to_vec() }, &mut |_| {});
        }
    }
    while let Some((&[length, kind], after)) = rest.split_first_chunk::<2>() {
        let (datagram, after) = after.split_at(after.len().min(usize::from(length)));
        rest = after;
        now += Duration::from_millis(u64::from(kind >> 2));
        let from = if kind & 1 == 0 { server } else { client };
        let mut datagram = datagram.to_vec();
        viewer.handle(now, light::Input::Datagram { from, bytes: &mut datagram }, &mut |_| {});
        let mut out = Batch::new(10_000);
        drain(&mut viewer, &mut out);
        assert!(out.runs().all(|run| run.to == server), "nobody else knows the password");
        if kind & 2 != 0 {
            viewer.handle(now, light::Input::Timeout, &mut |_| {});
        }
    }
    viewer.close();
    drain(&mut viewer, &mut Batch::new(10_000));
});

fn drain(viewer: &mut Viewer, out: &mut Batch) {
    for turn in 0.. {
        assert!(turn < 64, "a viewer is drained at some time");
        if let light::Output::Timeout(_) = viewer.poll_output(out) {
            return;
        }
    }
}
