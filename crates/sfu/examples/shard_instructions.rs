//! Work of a shard whose instructions are counted by `bench/instructions`: `shard_instructions CASE` does a case so often as it
//! says on its output, and what counts is done within `counted_here`, which callgrind is told to look at.

use std::{
    error::Error,
    hint::black_box,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use media::{Codec, Kind, MediaTime, RtpPacket, SeqNo, WallTime};
use rtc::{Batch, Certificate, Leg, Protocol, Purpose, light, stun};
use stentor_sfu::{Command, Config, Input, LegId, Output, Pace, Shard, TrackId};

type Done = Result<u64, Box<dyn Error>>;

const VIEWERS: usize = 100;
const PICTURES: u64 = 30;
const PICTURE_MS: u64 = 33;
/// Packets of a picture.
const PACKETS: u64 = 5;
const PAYLOAD_BYTES: usize = 1_172;
const CHECKS: u64 = 200;
const SERVER: &str = "203.0.113.1:3478";
const CONNECT_MS: u64 = 5_000;
/// What the sockets are given at once, about.
const BATCH_BYTES: usize = 64 * 1_024;

fn main() -> Result<(), Box<dyn Error>> {
    let case = std::env::args().nth(1).unwrap_or_default();
    let times = match case.as_str() {
        "flush" => World::watching()?.flush(),
        "stun" => World::watching()?.checks(false),
        "stun-unknown" => World::watching()?.checks(true),
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

/// One shard with a track and viewers of it, on a network without delay.
struct World {
    now: Instant,
    server: SocketAddr,
    shard: Shard,
    track: TrackId,
    viewers: Vec<(SocketAddr, light::Viewer)>,
    out: Batch,
    back: Batch,
    seq: u64,
    /// The last check of the first viewer.
    check: Vec<u8>,
}

impl World {
    fn watching() -> Result<Self, Box<dyn Error>> {
        let now = Instant::now();
        let server: SocketAddr = SERVER.parse()?;
        let mut world = Self {
            now,
            server,
            shard: Shard::new(Config::default(), 0, 1, now),
            track: TrackId::new(0, 1),
            viewers: Vec::new(),
            out: Batch::new(BATCH_BYTES),
            back: Batch::new(BATCH_BYTES),
            seq: 1_000,
            check: Vec::new(),
        };
        let config = rtc::Config::new(server, Certificate::generate()?, WallTime(0), now);
        let track = world.track;
        world.command(Command::AddTrack { id: track, codec: Codec::H264, pace: Pace::Audience });
        let certificate = Certificate::generate()?;
        for number in 0..VIEWERS {
            world.invite(&config, &certificate, number)?;
        }
        // What nobody looks at need not be decrypted.
        for _ in 0..CONNECT_MS / PICTURE_MS {
            let key = world.picture(true);
            world.command(key);
            world.pass(PICTURE_MS);
            if world.viewers.iter().all(|(_, viewer)| viewer.counts(Kind::Video).packets > 0) {
                return Ok(world);
            }
        }
        Err("not every viewer has a packet".into())
    }

    fn invite(&mut self, config: &rtc::Config, certificate: &Certificate, number: usize) -> Result<(), Box<dyn Error>> {
        let address = SocketAddr::new([198, 51, 100, number as u8].into(), 5_000);
        let own = light::Config {
            local: Some(address),
            video: vec![Codec::H264],
            audio: false,
            decrypt_every: 1_000,
            ..light::Config::new(certificate.clone())
        };
        let mut viewer = light::Viewer::new(&own, number as u64, self.now);
        let purpose = Purpose::Play { video: Some(Codec::H264), audio: None };
        let (leg, answer) = Leg::answer(config, &viewer.offer(), purpose, self.now)?;
        viewer.accept(&answer.sdp, self.now)?;
        let id = LegId::new(0, number as u64 + 10);
        self.command(Command::AddLeg { id, leg: Box::new(leg) });
        let track = self.track;
        self.command(Command::Subscribe { leg: id, track });
        self.viewers.push((address, viewer));
        Ok(())
    }

    /// Five packets, of a key frame or of another picture.
    fn picture(&mut self, key: bool) -> Command {
        let packets = (0..PACKETS).map(|place| {
            let head: &[u8] = match (key, place) {
                (true, 0) => &[0x7c, 0x85],
                (true, _) => &[0x7c, 0x05],
                (false, 0) => &[0x5c, 0x81],
                (false, _) => &[0x5c, 0x01],
            };
            let mut payload = head.to_vec();
            payload.resize(PAYLOAD_BYTES, 0xab);
            RtpPacket {
                codec: Codec::H264,
                layer: 0,
                seq: SeqNo(self.seq + place),
                time: MediaTime((self.seq / PACKETS * 3_000) as i64),
                wall: WallTime(0),
                arrived: self.now,
                marker: place + 1 == PACKETS,
                key_start: key && place == 0,
                audio_level: None,
                payload: Bytes::from(payload),
            }
        });
        let packets = packets.collect();
        self.seq += PACKETS;
        Command::Packets { track: self.track, packets }
    }

    fn command(&mut self, command: Command) {
        self.shard.handle(self.now, Input::Command(command), &mut self.out);
        self.deliver();
    }

    /// Lets time pass, in which everything is delivered at once.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += Duration::from_millis(1);
            self.shard.handle(self.now, Input::Timeout, &mut self.out);
            self.deliver();
            for place in 0..self.viewers.len() {
                if let Some((_, viewer)) = self.viewers.get_mut(place) {
                    viewer.handle(self.now, light::Input::Timeout, &mut |_| ());
                }
                self.listen(place);
            }
        }
    }

    /// Empties the shard's output.
    fn deliver(&mut self) {
        loop {
            let output = self.shard.poll_output(&mut self.out);
            let is_over = matches!(output, Output::Timeout(_));
            if is_over || matches!(output, Output::Full) {
                self.carry();
            }
            if is_over {
                return;
            }
        }
    }

    /// Hands the batch to viewers.
    fn carry(&mut self) {
        for run in self.out.runs() {
            let Some((_, viewer)) = self.viewers.iter_mut().find(|(address, _)| *address == run.to) else { continue };
            for datagram in run.datagrams() {
                let mut bytes = datagram.to_vec();
                let input = light::Input::Datagram { from: self.server, bytes: &mut bytes };
                viewer.handle(self.now, input, &mut |_| ());
            }
        }
        self.out.clear();
    }

    /// Hands the shard what a viewer says.
    fn listen(&mut self, place: usize) {
        let Some((from, viewer)) = self.viewers.get_mut(place) else { return };
        while let light::Output::Event(_) = viewer.poll_output(&mut self.back) {}
        for bytes in self.back.runs().flat_map(|run| run.datagrams()) {
            if place == 0 && stun::local_ufrag(bytes).is_some() {
                self.check = bytes.to_vec();
            }
            let input = Input::Datagram { proto: Protocol::Udp, from: *from, to: self.server, bytes };
            self.shard.handle(self.now, input, &mut self.out);
        }
        let has_spoken = !self.back.is_empty();
        self.back.clear();
        if has_spoken {
            self.deliver();
        }
    }

    /// Pictures come and go to all viewers; a unit is a datagram to one of them.
    fn flush(mut self) -> Done {
        let mut forwarded = 0;
        for _ in 0..PICTURES {
            let picture = self.picture(false);
            let Self { shard, out, now, .. } = &mut self;
            counted_here(|| shard.handle(*now, Input::Command(picture), out));
            loop {
                let output = counted_here(|| self.shard.poll_output(&mut self.out));
                let is_over = matches!(output, Output::Timeout(_));
                if is_over || matches!(output, Output::Full) {
                    forwarded += self.out.datagrams() as u64;
                    self.carry();
                }
                if is_over {
                    break;
                }
            }
            self.pass(PICTURE_MS);
        }
        eprintln!("{forwarded} of {} packets went at once", PICTURES * PACKETS * VIEWERS as u64);
        Ok(forwarded)
    }

    /// Checks of a viewer's, answered; or of a user whom nobody knows, refused.
    fn checks(mut self, is_unknown: bool) -> Done {
        let from = self.viewers.first().ok_or("no viewer")?.0;
        if is_unknown {
            let ufrag = stun::local_ufrag(&self.check).ok_or("no check was sent")?.as_bytes().to_vec();
            let at = self.check.windows(ufrag.len()).position(|part| part == ufrag).ok_or("no name in the check")?;
            *self.check.get_mut(at).ok_or("no name in the check")? ^= 1;
        }
        let from = if is_unknown { "192.0.2.1:9".parse()? } else { from };
        for _ in 0..CHECKS {
            let Self { shard, out, now, check, server, .. } = &mut self;
            let input = Input::Datagram { proto: Protocol::Udp, from, to: *server, bytes: check };
            counted_here(|| {
                shard.handle(*now, input, out);
                while !matches!(shard.poll_output(out), Output::Timeout(_)) {}
            });
            assert_eq!(self.out.is_empty(), is_unknown, "a check is answered where it is known");
            self.out.clear();
        }
        Ok(CHECKS)
    }
}
