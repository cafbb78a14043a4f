use std::{collections::HashMap, net::UdpSocket, sync::mpsc, time::Duration};

use ::media::{Codec, Kind, MediaTime, RtpPacket, SeqNo};
use rtc::{Certificate, Leg, Purpose, light};
use sfu::{Expect, LegId, ShardStats, TrackId};

use super::*;

/// Far longer than anything here takes: a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

fn start(shards: usize) -> (Shards, mpsc::Receiver<(usize, News)>) {
    let (sender, events) = mpsc::channel();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: Vec::new(),
        shards,
        connect_timeout: Duration::from_secs(15),
        viewer_leg: rtc::ViewerLeg::Own,
    };
    let shards = spawn(config, move |shard, event| {
        let _ = sender.send((shard, event));
    });
    (shards.unwrap(), events)
}

fn sum(counted: &HashMap<usize, ShardStats>, of: impl Fn(&ShardStats) -> u64) -> u64 {
    counted.values().map(of).sum()
}

#[test]
fn commands_go_to_their_home_events_come_out_and_garbage_is_counted_once() {
    let (shards, events) = start(3);
    assert_eq!(shards.count(), 3);
    let id = TrackId::new(2, 7);
    shards.send(Command::AddTrack { id, codec: Codec::H264, pace: sfu::Pace::Audience }).unwrap();
    shards.send(Command::RequestKeyFrame { track: id }).unwrap();
    let (shard, event) = events.recv_timeout(LONG).unwrap();
    assert!(shard == 2 && matches!(event, News::Event(Event::KeyFrameWanted { track }) if track == id), "{event:?}");

    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"\x16 what is this", shards.local_addr()).unwrap();
    let mut counted = HashMap::new();
    while counted.len() < 3 || sum(&counted, |stats| stats.datagrams_in) == 0 {
        if let (shard, News::Counted(news)) = events.recv_timeout(LONG).unwrap() {
            counted.insert(shard, news.shard);
        }
    }
    assert_eq!(sum(&counted, |stats| stats.tracks), 1);
    assert_eq!(sum(&counted, |stats| stats.datagrams_in), 1);
    assert_eq!(sum(&counted, |stats| stats.dropped(sfu::Drop::UnknownAddress)), 1);
}

#[test]
fn stopping_joins_the_threads_and_frees_the_port() {
    let (mut shards, events) = start(4);
    let addr = shards.local_addr();
    shards.stop();
    assert_eq!(shards.send(Command::RemoveTrack { id: TrackId::new(0, 1) }), Err(Full));
    assert!(std::iter::from_fn(|| events.recv().ok()).count() < 100, "nobody sends events any more");
    UdpSocket::bind(addr).unwrap();
}

#[test]
fn the_first_candidate_is_udp_where_clients_reach_us() {
    let lan = "192.168.1.5".parse().unwrap();
    let public = "203.0.113.9".parse().unwrap();
    let listen = "0.0.0.0:3478".parse().unwrap();
    let expected: Vec<(Protocol, SocketAddr)> = vec![
        (Protocol::Udp, "203.0.113.9:3478".parse().unwrap()),
        (Protocol::Udp, "192.168.1.5:3478".parse().unwrap()),
        (Protocol::Tcp, "203.0.113.9:3478".parse().unwrap()),
        (Protocol::Tcp, "192.168.1.5:3478".parse().unwrap()),
    ];
    assert_eq!(candidates(listen, &[public, lan]), expected);
    assert_eq!(candidates(listen, &[])[0].1, "127.0.0.1:3478".parse().unwrap());
}

/// Plays sound, which is made here, over the media threads, until ten packets have come.
fn play(shards: &Shards, socket: &UdpSocket, leg_id: LegId, track: TrackId, certificate: &Certificate) {
    let now = Instant::now();
    let viewer = light::Config { video: Vec::new(), ..light::Config::new(certificate.clone()) };
    let mut viewer = light::Viewer::new(&viewer, leg_id.0, now);
    let purpose = Purpose::Play { video: None, audio: Some(Codec::Opus) };
    let (leg, answer) = Leg::answer(&shards.rtc_config(), &viewer.offer(), purpose, now).unwrap();
    viewer.accept(&answer.sdp, now).unwrap();
    shards.send(Command::AddTrack { id: track, codec: Codec::Opus, pace: sfu::Pace::Call }).unwrap();
    shards.send(Command::Expect(Expect::of(leg_id, &leg))).unwrap();
    shards.send(Command::AddLeg { id: leg_id, leg: Box::new(leg) }).unwrap();
    shards.send(Command::Subscribe { leg: leg_id, track }).unwrap();
    let (mut out, mut bytes, mut seq) = (rtc::Batch::new(1_500), [0; 2_000], 0);
    while viewer.counts(Kind::Audio).packets < 10 {
        assert!(now.elapsed() < LONG, "connected: {}, sent {seq}", viewer.is_connected());
        while let light::Output::Event(_) = viewer.poll_output(&mut out) {}
        for run in out.runs() {
            run.datagrams().for_each(|bytes| assert_eq!(socket.send_to(bytes, run.to).unwrap(), bytes.len()));
        }
        out.clear();
        if viewer.is_connected() {
            seq += 1;
            let packets = vec![sound(seq)];
            shards.send(Command::Packets { track, packets }).unwrap();
        }
        match socket.recv_from(&mut bytes) {
            Ok((length, from)) => {
                let input = light::Input::Datagram { from, bytes: &mut bytes[..length] };
                viewer.handle(Instant::now(), input, &mut |_| {});
            }
            Err(_) => viewer.handle(Instant::now(), light::Input::Timeout, &mut |_| {}),
        }
    }
}

fn sound(seq: u64) -> RtpPacket {
    RtpPacket {
        codec: Codec::Opus,
        layer: 0,
        seq: SeqNo(seq),
        time: MediaTime(seq as i64 * 960),
        wall: wall_now(),
        arrived: Instant::now(),
        marker: false,
        key_start: false,
        audio_level: None,
        payload: vec![0xfc, 1, 2].into(),
    }
}

#[test]
fn a_viewer_is_served_by_the_thread_that_its_datagrams_come_to_wherever_its_home_and_its_track_are() {
    let (shards, events) = start(4);
    let certificate = Certificate::generate().unwrap();
    // One address, so one thread: of four homes one is that thread.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    for home in 0..4 {
        let (leg, track) = (LegId::new(home, 7), TrackId::new((home + 1) % 4, 7));
        play(&shards, &socket, leg, track, &certificate);
        shards.send(Command::RemoveLeg { id: leg }).unwrap();
        shards.send(Command::RemoveTrack { id: track }).unwrap();
    }
    let mut last = HashMap::new();
    let ended = |last: &HashMap<usize, ShardStats>| {
        last.len() == 4
            && sum(last, |stats| stats.packets_forwarded) >= 40
            && sum(last, |stats| stats.legs + stats.tracks) == 0
    };
    while !ended(&last) {
        if let (shard, News::Counted(news)) = events.recv_timeout(LONG).unwrap() {
            last.insert(shard, news.shard);
        }
    }
    assert_eq!(sum(&last, |stats| stats.legs_claimed), 3, "all but the one whose home it was");
    assert!(sum(&last, |stats| stats.packets_crossed) >= 30);
    assert_eq!(sum(&last, |stats| stats.dropped(sfu::Drop::MailFull)), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn threads_without_anything_to_do_sleep() {
    let (shards, events) = start(4);
    let mut told = vec![0; shards.count()];
    while told.iter().any(|times| *times < 3) {
        let (shard, event) = events.recv_timeout(LONG).unwrap();
        told[shard] += usize::from(matches!(event, News::Counted(_)));
    }
    // Each thread of the process has its name and the times it went to sleep in a file of its own, proc(5).
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let texts = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    let mut media = 0;
    for text in texts.filter(|text| text.starts_with("Name:\tmedia-")) {
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        let sleeps: u64 = line.trim().parse().unwrap();
        assert!(sleeps < 500, "{sleeps} times in three seconds");
        media += 1;
    }
    assert_eq!(media, shards.count());
}
