use std::{net::UdpSocket, sync::mpsc, time::Duration};

use ::media::Codec;
use sfu::TrackId;

use super::*;

/// Far longer than anything here takes: a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

fn start(shards: usize) -> (Shards, mpsc::Receiver<(usize, Event)>) {
    let (sender, events) = mpsc::channel();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: Vec::new(),
        shards,
        connect_timeout: Duration::from_secs(15),
    };
    let shards = spawn(config, move |shard, event| {
        let _ = sender.send((shard, event));
    });
    (shards.unwrap(), events)
}

#[test]
fn commands_go_to_their_home_events_come_out_and_garbage_is_counted_once() {
    let (shards, events) = start(3);
    assert_eq!(shards.count(), 3);
    let id = TrackId::new(2, 7);
    shards.send(Command::AddTrack { id, codec: Codec::H264, pace: sfu::Pace::Audience }).unwrap();
    shards.send(Command::RequestKeyFrame { track: id }).unwrap();
    let (shard, event) = events.recv_timeout(LONG).unwrap();
    assert!(shard == 2 && matches!(event, Event::KeyFrameWanted { track } if track == id), "{event:?}");

    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"\x16 what is this", shards.local_addr()).unwrap();
    let mut counted = [None, None, None];
    while counted.iter().flatten().map(|stats: &Box<sfu::ShardStats>| stats.datagrams_in).sum::<u64>() == 0
        || counted.contains(&None)
    {
        if let (shard, Event::Stats(stats)) = events.recv_timeout(LONG).unwrap() {
            counted[shard] = Some(stats);
        }
    }
    let sum = |of: &dyn Fn(&sfu::ShardStats) -> u64| counted.iter().flatten().map(|stats| of(stats)).sum::<u64>();
    assert_eq!(sum(&|stats| stats.tracks), 1);
    assert_eq!(sum(&|stats| stats.datagrams_in), 1);
    assert_eq!(sum(&|stats| stats.dropped(sfu::Drop::UnknownAddress)), 1);
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
