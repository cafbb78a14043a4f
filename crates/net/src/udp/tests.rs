use std::{
    net::UdpSocket as Plain,
    time::{Duration, Instant},
};

use super::*;

fn bind(addr: &str) -> Udp {
    let socket = Plain::bind(addr).unwrap();
    socket.set_nonblocking(true).unwrap();
    let local = socket.local_addr().unwrap();
    Udp::new(UdpSocket::from_std(socket), local, addr.starts_with("[::]"))
}

fn peer(addr: &str) -> Plain {
    let socket = Plain::bind(addr).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Datagrams of these lengths, each filled with its number.
fn datagrams(lengths: &[usize]) -> Vec<Vec<u8>> {
    lengths.iter().enumerate().map(|(number, length)| vec![number as u8 + 1; *length]).collect()
}

fn take(peer: &Plain, count: usize) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; 1 << 16];
    (0..count)
        .map(|_| {
            let length = peer.recv(&mut buffer).unwrap();
            buffer[..length].to_vec()
        })
        .collect()
}

fn nothing_more(peer: &Plain) {
    peer.set_nonblocking(true).unwrap();
    assert_eq!(peer.recv(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    peer.set_nonblocking(false).unwrap();
}

#[test]
fn five_equal_ones_and_a_shorter_one_leave_in_one_call_and_arrive_as_six() {
    for (ours, theirs) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0"), ("[::]:0", "127.0.0.1:0")] {
        let (mut udp, peer) = (bind(ours), peer(theirs));
        let sent = datagrams(&[1_200, 1_200, 1_200, 1_200, 1_200, 77]);
        udp.send(Instant::now(), peer.local_addr().unwrap(), &sent.concat(), 1_200);
        assert_eq!(take(&peer, 6), sent, "{ours}");
        nothing_more(&peer);
        let expected = SocketStats {
            sent_datagrams: 6,
            sent_bytes: 6_077,
            sent_runs: 1,
            sent_run_datagrams: 6,
            ..SocketStats::default()
        };
        assert_eq!(udp.stats(), expected, "{ours}");
    }
}

#[test]
fn one_datagram_is_no_run_and_more_than_the_kernel_takes_are_several() {
    let (mut udp, peer) = (bind("127.0.0.1:0"), peer("127.0.0.1:0"));
    let to = peer.local_addr().unwrap();
    udp.send(Instant::now(), to, &[7; 300], 300);
    udp.send(Instant::now(), to, &[8; 200], 1_200);
    udp.send(Instant::now(), to, &[9; 100], 0);
    assert_eq!(take(&peer, 3), [vec![7; 300], vec![8; 200], vec![9; 100]]);
    assert_eq!(udp.stats().sent_runs, 0);

    // 64 in one, 64 in the next, and what is left is alone.
    let sent = datagrams(&[20; 129]);
    udp.send(Instant::now(), to, &sent.concat(), 20);
    assert_eq!(take(&peer, 129), sent);
    assert_eq!((udp.stats().sent_runs, udp.stats().sent_run_datagrams, udp.stats().sent_datagrams), (2, 128, 132));

    // Bytes bound a run, too: 54 of 1,200 are 64,800.
    let sent = datagrams(&[1_200; 60]);
    udp.send(Instant::now(), to, &sent.concat(), 1_200);
    assert_eq!(take(&peer, 60), sent);
    assert_eq!((udp.stats().sent_runs, udp.stats().sent_run_datagrams), (4, 188));

    // Two of these are longer than any run.
    let sent = datagrams(&[40_000, 40_000]);
    udp.send(Instant::now(), to, &sent.concat(), 40_000);
    assert_eq!(take(&peer, 2), sent);
    assert_eq!((udp.stats().sent_runs, udp.stats().send_errors), (4, 0));
    nothing_more(&peer);
}

/// Without checksums the kernel refuses to cut runs, and sends singles as ever: a failure of the kernel's own making.
#[test]
fn where_runs_are_refused_the_same_datagrams_go_as_singles_and_runs_are_tried_again_later() {
    use std::os::fd::AsRawFd as _;
    let (mut udp, peer) = (bind("127.0.0.1:0"), peer("127.0.0.1:0"));
    let to = peer.local_addr().unwrap();
    sys::set_option(udp.socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
    let now = Instant::now();
    let sent = datagrams(&[500, 500, 500, 3]);
    for _ in 0..3 {
        udp.send(now, to, &sent.concat(), 500);
        assert_eq!(take(&peer, 4), sent);
    }
    let stats = udp.stats();
    assert_eq!((stats.fallback_invalid, stats.sent_runs, stats.sent_datagrams), (1, 0, 12), "it was tried once");
    assert_eq!((stats.singles_destinations, stats.send_errors), (1, 0));

    // What was wrong is mended, but is not tried before its time.
    sys::set_option(udp.socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 0).unwrap();
    udp.send(now + Duration::from_secs(59), to, &sent.concat(), 500);
    assert_eq!(udp.stats().sent_runs, 0);
    udp.send(now + Duration::from_secs(60), to, &sent.concat(), 500);
    assert_eq!(udp.stats().sent_runs, 1);
    assert_eq!(take(&peer, 8), [sent.clone(), sent].concat());
    udp.prune(now + Duration::from_secs(60));
    assert_eq!(udp.stats().singles_destinations, 0);
}

#[test]
fn a_kernel_that_knows_no_runs_is_given_singles() {
    let (mut udp, peer) = (bind("127.0.0.1:0"), peer("127.0.0.1:0"));
    assert!(udp.runs, "this one does");
    udp.runs = false;
    let sent = datagrams(&[500, 500, 3]);
    udp.send(Instant::now(), peer.local_addr().unwrap(), &sent.concat(), 500);
    assert_eq!(take(&peer, 3), sent);
    let stats = udp.stats();
    assert_eq!((stats.sent_datagrams, stats.sent_runs, stats.fallback_invalid), (3, 0, 0));
}

#[test]
fn a_destination_that_nothing_reaches_is_not_blamed_on_runs() {
    let mut udp = bind("127.0.0.1:0");
    // From the loopback address there is no way out.
    udp.send(Instant::now(), "192.0.2.1:9".parse().unwrap(), &[1; 100], 50);
    let stats = udp.stats();
    assert_eq!((stats.sent_datagrams, stats.singles_destinations), (0, 0));
    assert_eq!(stats.send_errors, 2);
}

#[test]
fn which_failures_send_a_run_again_as_singles() {
    let of = |code| refused(&io::Error::from_raw_os_error(code));
    assert_eq!(of(libc::EIO), Some(Refused::Unable));
    assert_eq!(of(libc::EINVAL), Some(Refused::Invalid));
    assert_eq!(of(libc::EMSGSIZE), Some(Refused::TooLong));
    for code in [libc::EAGAIN, libc::ENOBUFS, libc::EPERM, libc::ENETUNREACH] {
        assert_eq!(of(code), None);
    }
}

#[test]
fn full_buffers_are_counted_apart() {
    let mut udp = bind("127.0.0.1:0");
    udp.count_drop(&io::Error::from_raw_os_error(libc::EAGAIN), 6);
    udp.count_drop(&io::Error::from_raw_os_error(libc::ENOBUFS), 1);
    udp.count_drop(&io::Error::from_raw_os_error(libc::EPERM), 2);
    assert_eq!((udp.stats().send_full, udp.stats().send_errors), (7, 2));
}

/// Takes what comes until there are `count` datagrams.
fn receive(udp: &mut Udp, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut got = Vec::new();
    let end = Instant::now() + Duration::from_secs(20);
    while got.len() < count && Instant::now() < end {
        udp.read(&mut |received| {
            assert_eq!(received.proto, Protocol::Udp);
            got.push((received.from, received.bytes.to_vec()));
        });
    }
    got
}

#[test]
fn a_run_that_comes_is_read_at_once_and_handed_over_one_by_one() {
    for (ours, theirs, to) in [
        ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"),
        ("[::1]:0", "[::1]:0", "::1"),
        // The sender is told as IPv4, as ever.
        ("[::]:0", "127.0.0.1:0", "127.0.0.1"),
    ] {
        let (mut udp, mut peer) = (bind(ours), bind(theirs));
        let to = SocketAddr::new(to.parse().unwrap(), udp.local.port());
        let sent = datagrams(&[1_100, 1_100, 1_100, 9]);
        peer.send(Instant::now(), to, &sent.concat(), 1_100);
        peer.send(Instant::now(), to, &[77; 40], 40);
        let expected: Vec<_> = sent.into_iter().chain([vec![77; 40]]).map(|datagram| (peer.local, datagram)).collect();
        assert_eq!(receive(&mut udp, 5), expected, "{ours}");
        assert!(!udp.read(&mut |_| panic!("nothing more was sent")));
        let stats = udp.stats();
        assert_eq!((stats.received_datagrams, stats.received_bytes), (5, 3_349));
        assert_eq!(stats.received_runs, 1, "{ours}");
    }
}

#[test]
fn what_is_too_long_is_dropped_and_counted_and_what_is_empty_is_nothing() {
    let (mut udp, peer) = (bind("127.0.0.1:0"), peer("127.0.0.1:0"));
    for length in [DATAGRAM_BYTES_MAX, DATAGRAM_BYTES_MAX + 1, 0, 65_507, 1] {
        peer.send_to(&vec![1; length], udp.local).unwrap();
    }
    let lengths: Vec<usize> = receive(&mut udp, 2).iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [DATAGRAM_BYTES_MAX, 1]);
    assert_eq!((udp.stats().received_too_long, udp.stats().receive_errors), (2, 0));
}

#[test]
fn a_flood_lets_the_caller_send_in_between() {
    let (mut udp, mut peer) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let run = vec![1; 64 * 10];
    for _ in 0..20 {
        peer.send(Instant::now(), udp.local, &run, 10);
    }
    let mut rounds = Vec::new();
    loop {
        let mut got = 0;
        let more = udp.read(&mut |_| got += 1);
        rounds.push(got);
        if !more {
            break;
        }
    }
    assert_eq!(rounds.iter().sum::<usize>(), 1_280);
    assert!(rounds.iter().all(|got| *got < DATAGRAMS_ENOUGH + 128), "{rounds:?}");
}

fn full() -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[test]
fn a_full_buffer_is_waited_for_and_then_it_is_sent() {
    let mut udp = bind("127.0.0.1:0");
    udp.patience = Duration::from_secs(3_600);
    let mut results = [full(), full(), Ok(())].into_iter();
    // The socket itself has room, so no time passes.
    udp.take_turn(|_| results.next().unwrap()).unwrap();
    assert!(results.next().is_none());
    assert_eq!((udp.stats().send_waits, udp.stats().send_full), (2, 0));
}

#[test]
fn waiting_for_room_has_an_end() {
    let mut udp = bind("127.0.0.1:0");
    udp.patience = Duration::from_secs(3_600);
    let mut tries = 0;
    let mut fail = |_: &UdpSocket| {
        tries += 1;
        full()
    };
    assert_eq!(udp.take_turn(&mut fail).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    // In this round, nothing is left.
    udp.patience = Duration::ZERO;
    udp.take_turn(&mut fail).unwrap_err();
    assert_eq!(tries, 1 + ROOM_WAITS_MAX + 1);
    assert_eq!(udp.stats().send_waits, ROOM_WAITS_MAX as u64);
    udp.begin_round();
    assert_eq!(udp.patience, ROOM_WAIT_MAX);
    udp.take_turn(|_| Err(io::ErrorKind::PermissionDenied.into())).unwrap_err();
    assert_eq!(
        (udp.stats().send_waits, udp.patience),
        (ROOM_WAITS_MAX as u64, ROOM_WAIT_MAX),
        "that is not a full buffer"
    );
}
