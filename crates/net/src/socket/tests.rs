use super::*;
use std::io::{Read as _, Write as _};

fn bind(addr: &str) -> MediaSocket {
    MediaSocket::bind(addr.parse().unwrap(), Instant::now()).unwrap()
}

/// Waits until something came, a second at most.
fn receive(socket: &mut MediaSocket) -> Vec<(Protocol, SocketAddr, Vec<u8>)> {
    let mut got = Vec::new();
    let end = Instant::now() + Duration::from_secs(5);
    while got.is_empty() && Instant::now() < end {
        socket
            .wait(Instant::now(), Duration::from_millis(200), &mut |received| {
                got.push((received.proto, received.from, received.bytes.to_vec()));
            })
            .unwrap();
    }
    got
}

#[test]
fn udp_and_tcp_share_a_port_and_both_answer() {
    for bound in ["127.0.0.1:0", "[::]:0"] {
        let mut socket = bind(bound);
        let to: SocketAddr = format!("127.0.0.1:{}", socket.local_addr().port()).parse().unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.send_to(b"over udp", to).unwrap();
        assert_eq!(receive(&mut socket), [(Protocol::Udp, udp.local_addr().unwrap(), b"over udp".to_vec())], "{bound}");
        socket.send(Protocol::Udp, udp.local_addr().unwrap(), b"back", 4);
        let mut buffer = [0; 16];
        assert_eq!(udp.recv(&mut buffer).unwrap(), 4);

        let mut tcp = std::net::TcpStream::connect(to).unwrap();
        tcp.write_all(&[0, 2, 7, 8]).unwrap();
        let peer = tcp.local_addr().unwrap();
        assert_eq!(receive(&mut socket), [(Protocol::Tcp, peer, vec![7, 8])], "{bound}");
        socket.send(Protocol::Tcp, peer, &[9], 1);
        let mut frame = [0; 3];
        tcp.read_exact(&mut frame).unwrap();
        assert_eq!(frame, [0, 1, 9]);
        assert_eq!(socket.stats().tcp.connections, 1);
        drop(tcp);
    }
}

#[test]
fn a_waker_ends_a_wait() {
    let mut socket = bind("127.0.0.1:0");
    let waker = socket.waker();
    let from = Instant::now();
    let other = std::thread::spawn(move || waker.wake());
    socket.wait(from, Duration::from_secs(60), &mut |_| {}).unwrap();
    other.join().unwrap();
    assert!(from.elapsed() < Duration::from_secs(30));
}

#[test]
fn connections_that_send_no_frame_are_closed() {
    let mut socket = bind("127.0.0.1:0");
    let idle = std::net::TcpStream::connect(socket.local_addr()).unwrap();
    let mut bad = std::net::TcpStream::connect(socket.local_addr()).unwrap();
    bad.write_all(
        b"GET / HTTP/1.1
",
    )
    .unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while (socket.stats().tcp.connections, socket.stats().tcp.unfit) != (1, 1) && Instant::now() < end {
        socket.wait(Instant::now(), Duration::from_millis(50), &mut |_| panic!("no frame came")).unwrap();
    }
    assert_eq!((socket.stats().tcp.connections, socket.stats().tcp.unfit), (1, 1), "a length that nobody uses");
    socket.wait(Instant::now() + Duration::from_secs(11), Duration::ZERO, &mut |_| {}).unwrap();
    assert_eq!(socket.stats().tcp.connections, 0);
    drop(idle);
}

#[test]
fn a_peer_that_does_not_read_costs_a_bounded_buffer() {
    let mut socket = bind("127.0.0.1:0");
    let mut slow = std::net::TcpStream::connect(socket.local_addr()).unwrap();
    slow.write_all(&[0, 1, 1]).unwrap();
    let (_, peer, _) = receive(&mut socket)[0].clone();
    for _ in 0..20_000 {
        socket.send(Protocol::Tcp, peer, &[0; 1_200], 1_200);
    }
    assert!(socket.stats().tcp.dropped > 0);
    assert_eq!(socket.stats().tcp.connections, 1, "slow is not gone");
}

#[cfg(target_os = "linux")]
#[test]
fn each_of_a_group_gets_some_peers_and_all_of_what_these_send_and_may_answer_any() {
    for bound in ["127.0.0.1:0", "[::]:0"] {
        let mut group = MediaSocket::bind_group(bound.parse().unwrap(), 2, Instant::now()).unwrap();
        let to: SocketAddr = format!("127.0.0.1:{}", group[0].local_addr().port()).parse().unwrap();
        // That one of two gets none of 64 happens once in 2^63.
        let peers: Vec<_> = (0..64).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let connections: Vec<_> = (0..64)
            .map(|_| {
                let mut connection = std::net::TcpStream::connect(to).unwrap();
                connection.write_all(&[0, 1, 9]).unwrap();
                connection
            })
            .collect();
        for byte in [1, 2] {
            peers.iter().for_each(|peer| assert_eq!(peer.send_to(&[byte], to).unwrap(), 1));
        }
        let mut got = [Vec::new(), Vec::new()];
        let end = Instant::now() + Duration::from_secs(20);
        while got.iter().map(Vec::len).sum::<usize>() < 64 * 3 && Instant::now() < end {
            for (socket, got) in group.iter_mut().zip(&mut got) {
                let take = &mut |received: Received<'_>| got.push((received.proto, received.from));
                socket.wait(Instant::now(), Duration::from_millis(1), take).unwrap();
            }
        }
        let count = |got: &[_], peer| got.iter().filter(|from| **from == peer).count();
        for peer in &peers {
            let peer = (Protocol::Udp, peer.local_addr().unwrap());
            let counts = (count(&got[0], peer), count(&got[1], peer));
            assert!(counts == (2, 0) || counts == (0, 2), "{bound}: {counts:?}");
        }
        for proto in [Protocol::Udp, Protocol::Tcp] {
            assert!(got.iter().all(|got| got.iter().any(|from| from.0 == proto)), "{bound}: {proto:?}");
        }
        assert_eq!(got.concat().len(), 64 * 3);
        for socket in &mut group {
            socket.send(Protocol::Udp, peers[0].local_addr().unwrap(), b"from any", 8);
            assert_eq!(peers[0].recv(&mut [0; 16]).unwrap(), 8);
        }
        drop(connections);
    }
}

#[test]
fn a_media_thread_that_sleeps_takes_what_another_puts_into_its_ring() {
    const COUNT: u32 = 20_000;
    let (mut producer, mut consumer) = crate::ring::ring(256);
    let mut socket = bind("127.0.0.1:0");
    let waker = socket.waker();
    let reader = std::thread::spawn(move || {
        let mut next = 0;
        while next < COUNT {
            // Longer than the test may take: what is not woken for is not taken.
            let timeout = if consumer.park() { Duration::from_secs(3_600) } else { Duration::ZERO };
            socket.wait(Instant::now(), timeout, &mut |_| {}).unwrap();
            consumer.unpark();
            while let Some(value) = consumer.pop() {
                assert_eq!(value, next);
                next += 1;
            }
        }
    });
    let mut wakes = 0;
    for number in 0..COUNT {
        while producer.push(number).is_err() {
            std::thread::yield_now();
        }
        if producer.needs_wake() {
            wakes += 1;
            waker.wake();
        }
    }
    reader.join().unwrap();
    assert!((1..=COUNT).contains(&wakes), "{wakes}");
}
