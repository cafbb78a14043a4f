//! Work whose instructions are counted by `bench/instructions`: `leg_instructions CASE` does a case so often as it says on its
//! output, and what counts is done within `counted_here`, which callgrind is told to look at. Without valgrind it is only run.

use std::{
    error::Error,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use media::{Codec, Kind, Ssrc, WallTime};
use stentor_rtc::{
    Batch, Certificate, Config, Input, Leg, Outgoing, Output, Protocol, Purpose,
    bandwidth::Bandwidth,
    light,
    rtcp::{Packet, read, write},
    srtp::{self, Profile},
};

type Done = Result<u64, Box<dyn Error>>;

const ROUNDS: u64 = 200;
/// Packets of a picture, and those that one feedback tells of.
const PICTURE: u64 = 5;
const PACKETS: u64 = 14;
/// So far apart, a viewer, who speaks each 50 ms, tells of 12 or 13 at a time.
const PACKET_MS: u64 = 4;
/// Bytes of an RTP packet before it is sealed, and of its header with extensions.
const PACKET_BYTES: usize = 1_200;
const HEADER_BYTES: usize = 28;
const SERVER: &str = "203.0.113.1:3478";
const VIEWER: &str = "198.51.100.7:5000";
const CONNECT_MS: u64 = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let case = std::env::args().nth(1).unwrap_or_default();
    let times = match case.as_str() {
        "seal-aes128-gcm" => seal(Profile::AeadAes128Gcm, 32 + 24),
        "seal-aes256-gcm" => seal(Profile::AeadAes256Gcm, 64 + 24),
        "seal-aes128-cm-sha1" => seal(Profile::Aes128CmSha1_80, 32 + 28),
        "send" => Pair::connected()?.send(),
        "feedback" => feedback(),
        "feedback-leg" => Pair::connected()?.feedback(),
        _ => Err(format!("there is no case {case:?}").into()),
    };
    println!("{}", times?);
    Ok(())
}

/// What counts. The name is what callgrind is told.
#[inline(never)]
fn counted_here<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

fn seal(profile: Profile, length: usize) -> Done {
    let material: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
    let (sealer, _) = srtp::keys(profile, &material, false).ok_or("no keys of this length")?;
    let mut packet = vec![0; PACKET_BYTES + sealer.overhead()];
    for index in 0..ROUNDS {
        let is_sealed = counted_here(|| sealer.seal_rtp(&mut packet, HEADER_BYTES, 7, index));
        assert!(is_sealed);
    }
    Ok(ROUNDS)
}

/// Feedback of one viewer, read and applied.
fn feedback() -> Done {
    let mut now = Instant::now();
    let mut viewer = Bandwidth::new(now);
    let mut arrives = 1_000_000;
    for round in 0..ROUNDS {
        let mut statuses = [None; PACKETS as usize];
        let mut base = None;
        for (position, status) in statuses.iter_mut().enumerate() {
            now += Duration::from_micros(4_750);
            arrives += 4_750 + i64::from(round as usize % 7 == position % 7) * 900;
            *status = Some(arrives);
            let _ = viewer.allowance(now);
            let number = viewer.sent(now, 1_150);
            base = base.or(Some(number));
        }
        let mut space = [0; 200];
        let base = base.unwrap_or_default();
        let (length, _) = write::transport_feedback(&mut space, Ssrc(1), Ssrc(2), base, 0, &statuses);
        let compound = space.get(..length).ok_or("the feedback is too long")?;
        counted_here(|| {
            for packet in read(compound) {
                if let Packet::Transport(feedback) = packet {
                    viewer.feedback(now, &feedback);
                }
            }
        });
    }
    Ok(ROUNDS)
}

/// Our own leg, and a viewer that is connected to it.
struct Pair {
    now: Instant,
    leg: Leg,
    viewer: light::Viewer,
    out: Batch,
    back: Batch,
    seq: u64,
    /// Rounds in which feedback is counted.
    counts: bool,
}

impl Pair {
    fn connected() -> Result<Self, Box<dyn Error>> {
        let now = Instant::now();
        let viewer_config = light::Config {
            local: Some(VIEWER.parse()?),
            video: vec![Codec::H264],
            audio: false,
            ..light::Config::new(Certificate::generate()?)
        };
        let mut viewer = light::Viewer::new(&viewer_config, 7, now);
        let config = Config::new(SERVER.parse()?, Certificate::generate()?, WallTime(0), now);
        let purpose = Purpose::Play { video: Some(Codec::H264), audio: None };
        let (leg, answer) = Leg::answer(&config, &viewer.offer(), purpose, now)?;
        viewer.accept(&answer.sdp, now)?;
        let batch = || Batch::new(100_000);
        let mut pair = Self { now, leg, viewer, out: batch(), back: batch(), seq: 1_000, counts: false };
        for _ in 0..CONNECT_MS {
            if pair.leg.is_connected() && pair.viewer.is_connected() {
                return Ok(pair);
            }
            pair.pass(1)?;
        }
        Err("the viewer did not connect".into())
    }

    /// Lets milliseconds pass, in which everything is delivered at once.
    fn pass(&mut self, ms: u64) -> Result<(), Box<dyn Error>> {
        let (server, peer) = (SERVER.parse()?, VIEWER.parse()?);
        for _ in 0..ms {
            self.now += Duration::from_millis(1);
            let now = self.now;
            self.leg.handle(now, Input::Timeout);
            self.viewer.handle(now, light::Input::Timeout, &mut |_| ());
            loop {
                while let Output::Event(_) = self.leg.poll_output(&mut self.out) {}
                for run in self.out.runs() {
                    for datagram in run.datagrams() {
                        let mut bytes = datagram.to_vec();
                        let input = light::Input::Datagram { from: server, bytes: &mut bytes };
                        self.viewer.handle(now, input, &mut |_| ());
                    }
                }
                self.out.clear();
                while let light::Output::Event(_) = self.viewer.poll_output(&mut self.back) {}
                if self.back.is_empty() {
                    break;
                }
                for bytes in self.back.runs().flat_map(|run| run.datagrams()) {
                    let input = Input::Datagram { proto: Protocol::Udp, from: peer, to: server, bytes };
                    let is_rtcp = matches!(bytes, [128..192, 192..224, ..]);
                    if self.counts && is_rtcp {
                        counted_here(|| self.leg.handle(now, input));
                    } else {
                        self.leg.handle(now, input);
                    }
                }
                self.back.clear();
            }
        }
        Ok(())
    }

    fn packet(&mut self, payload: &Arc<[u8]>, marker: bool, is_counted: bool) -> Result<(), Box<dyn Error>> {
        let outgoing = Outgoing {
            codec: Codec::H264,
            seq: self.seq,
            time: self.seq as u32 / 5 * 3_000,
            wall: WallTime(0),
            marker,
            padding: 0,
            payload,
            audio_level: None,
        };
        self.seq += 1;
        let Self { leg, out, now, .. } = self;
        let mut send = || leg.send(*now, Kind::Video, outgoing, out);
        if is_counted { counted_here(send) } else { send() }?;
        Ok(())
    }

    /// Pictures of five packets at 30 in a second, with feedback between them that does not count.
    fn send(mut self) -> Done {
        let payload = Arc::from([0x41; PACKET_BYTES - HEADER_BYTES]);
        for _ in 0..ROUNDS {
            for place in 1..=PICTURE {
                self.packet(&payload, place == PICTURE, true)?;
            }
            self.pass(33)?;
        }
        Ok(ROUNDS * PICTURE)
    }

    /// RTCP of a viewer that gets about 13 packets from one feedback to the next: decrypted, read, applied.
    fn feedback(mut self) -> Done {
        let payload = Arc::from([0x41; PACKET_BYTES - HEADER_BYTES]);
        self.counts = true;
        for _ in 0..ROUNDS {
            for place in 1..=PACKETS {
                self.packet(&payload, place == PACKETS, false)?;
                self.pass(PACKET_MS)?;
            }
        }
        let feedbacks = self.viewer.transport().feedbacks;
        eprintln!("{feedbacks} feedbacks of {} packets", ROUNDS * PACKETS);
        Ok(feedbacks)
    }
}
