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
