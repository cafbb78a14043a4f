//! What happens when nothing happens.

use super::*;

/// Lets time run to the next time-out and handles it.
fn expire(session: &mut Session) -> (Instant, Result<(), Error>) {
    let due = session.poll_timeout().expect("a time-out");
    assert_eq!(session.handle_timeout(due - Duration::from_millis(1)), Ok(()), "not before it is due");
    (due, session.handle_timeout(due))
}

#[test]
fn a_handshake_takes_ten_seconds_at_most_however_it_trickles() {
    let start = Instant::now();
    let mut session = Session::new(Config::default(), start, 1);
    for second in 0..9 {
        session.receive(start + seconds(second), Bytes::from_static(&[3])).unwrap();
    }
    assert_eq!(expire(&mut session), (start + seconds(10), Err(Error::HandshakeTimeout)));
    assert!(drain(&mut session).2);
}

#[test]
fn a_request_is_made_in_thirty_seconds_however_it_trickles() {
    let (mut session, start) = greeted(Config::default());
    session.receive(start + seconds(5), connect_bytes().into()).unwrap();
    session.receive(start + seconds(20), command_bytes("createStream", 2.0, &[]).into()).unwrap();
    assert_eq!(expire(&mut session), (start + seconds(30), Err(Error::RequestTimeout)));
}

#[test]
fn nobody_is_hurried_while_we_decide() {
    let (session, _) = asked(Config::default());
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_silent_publisher_is_ended_and_not_pinged() {
    let config = Config { idle_timeout: seconds(12), ..Config::default() };
    let (mut session, start) = asked(config);
    session.accept();
    drain(&mut session);
    session.receive(start + seconds(7), message_bytes(8, 1, b"sound").into()).unwrap();
    assert_eq!(expire(&mut session), (start + seconds(19), Err(Error::IdleTimeout)));
    assert!(drain(&mut session).0.is_empty());
}

#[test]
fn a_silent_player_is_pinged_before_it_is_ended() {
    let mut pair = Pair::running(Mode::Play);
    let start = pair.now;
    let (due, result) = expire(&mut pair.server);
    assert_eq!((due, result), (start + seconds(10), Ok(())));
    pair.now = due;
    pair.run(); // the client answers
    let (due, result) = expire(&mut pair.server);
    assert_eq!((due, result), (start + seconds(20), Ok(())));
    drain(&mut pair.server); // from here on the network swallows it
    assert_eq!(expire(&mut pair.server), (start + seconds(30), Ok(())));
    assert_eq!(expire(&mut pair.server), (start + seconds(40), Err(Error::IdleTimeout)));
}

#[test]
fn after_a_publication_the_next_request_has_its_time() {
    let (mut session, start) = asked(Config::default());
    session.accept();
    let late = start + seconds(3_600);
    session.receive(late, command_bytes("deleteStream", 0.0, &[]).into()).unwrap();
    assert_eq!(expire(&mut session).0, late + seconds(30));
}

#[test]
fn absurd_time_outs_are_not_a_crash() {
    let config = Config { idle_timeout: Duration::MAX, handshake_timeout: Duration::MAX, ..Config::default() };
    let session = Session::new(config, Instant::now(), 1);
    assert!(session.poll_timeout().is_some());
}

#[test]
fn a_client_does_not_wait_for_a_silent_server() {
    let start = Instant::now();
    let target = Target::parse("rtmp://h/live/cam", Mode::Publish).unwrap();
    let mut client = client::Session::new(target, start, 1);
    assert_eq!(client.poll_timeout(), Some(start + seconds(10)));
    assert_eq!(client.handle_timeout(start + seconds(9)), Ok(()));
    assert_eq!(client.handle_timeout(start + seconds(10)), Err(Error::HandshakeTimeout));

    let mut pair = Pair::running(Mode::Play);
    let due = pair.client.poll_timeout().unwrap();
    assert_eq!(due, pair.now + seconds(30));
    assert_eq!(pair.client.handle_timeout(due), Err(Error::IdleTimeout));
}
