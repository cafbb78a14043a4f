use std::{net::UdpSocket, sync::mpsc, time::Duration};

use ::media::Codec;
use sfu::TrackId;

use super::*;

/// Far longer than anything here takes: a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

fn start() -> (Shards, mpsc::Receiver<(usize, Event)>) {
    let (sender, events) = mpsc::channel();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: Vec::new(),
        shards: 4,
        connect_timeout: Duration::from_secs(15),
    };
    let shards = spawn(config, move |shard, event| {
        let _ = sender.send((shard, event));
    });
    (shards.unwrap(), events)
}

#[test]
fn commands_go_in_events_come_out_and_garbage_is_counted() {
    let (shards, events) = start();
    assert_eq!(shards.count(), 1, "one thread until datagrams find theirs");
    let id = TrackId(7);
    shards.send(0, Command::AddTrack { id, codec: Codec::H264, pace: sfu::Pace::Audience }).unwrap();
    shards.send(0, Command::RequestKeyFrame { track: id }).unwrap();
    let (shard, event) = events.recv_timeout(LONG).unwrap();
    assert!(shard == 0 && matches!(event, Event::KeyFrameWanted { track } if track == id), "{event:?}");

    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"\x16 what is this", shards.local_addr()).unwrap();
    let counted = std::iter::from_fn(|| events.recv_timeout(LONG).ok()).find_map(|(_, event)| match event {
        Event::Stats(stats) => Some(stats),
        _ => None,
    });
    let stats = counted.unwrap();
    assert_eq!((stats.tracks, stats.datagrams_in, stats.dropped(sfu::Drop::UnknownAddress)), (1, 1, 1));
}

#[test]
fn stopping_joins_the_threads_and_frees_the_port() {
    let (mut shards, events) = start();
    let addr = shards.local_addr();
    shards.stop();
    assert_eq!(shards.send(0, Command::RemoveTrack { id: TrackId(1) }), Err(Full));
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
