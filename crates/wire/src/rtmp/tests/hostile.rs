//! Peers that break the protocol, exceed a bound, or are cut off anywhere.

use proptest::prelude::*;

use super::*;
use crate::flv::amf;
use crate::rtmp::{ChunkError, HandshakeError, Limits};

/// What a publisher sends from its first byte to its last.
fn recorded() -> Bytes {
    let mut pair = Pair::running(Mode::Publish);
    for index in 0..6u32 {
        pair.client.send_media(&message(MessageKind::Video, 0xff_ffe0 + index * 20, &[index as u8; 150]));
        pair.client.send_media(&message(MessageKind::Audio, 0xff_ffe0 + index * 20, &[index as u8; 20]));
    }
    pair.client.finish();
    pair.run();
    pair.sent.freeze()
}

/// Feeds pieces, answering each request with yes, until an error or the end.
fn feed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Vec<u8>, Option<Error>) {
    let now = Instant::now();
    let mut session = Session::new(Config::default(), now, 1);
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    for piece in pieces {
        let result = session.receive(now, Bytes::copy_from_slice(piece));
        loop {
            let (bytes, more, _) = drain(&mut session);
            sent.extend(bytes);
            let asked = more.iter().any(|event| matches!(event, Event::Publish(_) | Event::Play(_)));
            events.extend(more);
            if !asked {
                break;
            }
            session.accept();
        }
        if let Err(error) = result {
            return (events, sent, Some(error));
        }
    }
    (events, sent, None)
}

#[test]
fn a_session_cut_off_at_any_byte_is_a_beginning_of_the_whole() {
    let bytes = recorded();
    let (whole, _, error) = feed([&bytes[..]].into_iter());
    assert_eq!((whole.len(), error), (14, None));
    for end in 0..bytes.len() {
        let (events, _, error) = feed([&bytes[..end]].into_iter());
        assert_eq!(error, None, "cut at {end}");
        assert!(whole.starts_with(&events), "cut at {end}");
    }
}

#[test]
fn byte_by_byte_is_the_same_as_at_once() {
    let bytes = recorded();
    assert_eq!(feed([&bytes[..]].into_iter()), feed(bytes.chunks(1)));
}

#[test]
fn the_three_messages_that_crashed_another_server() {
    // Video on chunk stream 6, interrupted by audio on chunk stream 4.
    let (mut session, now) = asked(Config::default());
    session.accept();
    drain(&mut session);
    let mut video = BytesMut::new();
    put_message(&mut video, 6, 40, 9, 1, &[6; 200], 128);
    let mut audio = BytesMut::new();
    put_message(&mut audio, 4, 41, 8, 1, &[4; 10], 128);
    let bytes = [&video[..12 + 128], &audio, &video[12 + 128..]].concat();
    session.receive(now, bytes.into()).unwrap();
    let expected = [message(MessageKind::Audio, 41, &[4; 10]), message(MessageKind::Video, 40, &[6; 200])];
    assert_eq!(drain(&mut session).1, expected.map(Event::Media));

    // A command of one value.
    let (mut session, now) = greeted(Config::default());
    session.receive(now, message_bytes(kind::COMMAND, 0, b"\x02\x00\x07connect").into()).unwrap();
    assert!(says(&drain(&mut session).0, "_result"));

    // 20,000 objects within one another, in 80 kB, before anybody was authorised.
    let (mut session, now) = greeted(Config::default());
    let connect = [&b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0"[..], &[3, 0, 1, b'a'].repeat(20_000)].concat();
    let refused = session.receive(now, message_bytes(kind::COMMAND, 0, &connect).into());
    assert_eq!(refused, Err(Error::Chunk(ChunkError::TooLong { bytes: connect.len(), bytes_max: 65_536 })));
    // The same within the length that is allowed.
    let (mut session, now) = greeted(Config::default());
    let refused = session.receive(now, message_bytes(kind::COMMAND, 0, &connect[..60_000]).into());
    assert_eq!(refused, Err(Error::Amf(amf::Error::Depth)));
}

#[test]
fn after_an_error_the_session_closes_and_repeats_it() {
    let now = Instant::now();
    let mut session = Session::new(Config::default(), now, 1);
    let error = Err(Error::Handshake(HandshakeError::Version(b'G')));
    assert_eq!(session.receive(now, Bytes::from_static(b"GET / HTTP/1.1\r\n")), error);
    assert_eq!(drain(&mut session), (vec![], vec![], true));
    assert_eq!(session.receive(now, Bytes::from_static(b"more")), error);
    assert_eq!(drain(&mut session), (vec![], vec![], false), "Close is said once");
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn messages_are_short_before_authorisation_and_long_after() {
    let limits = Limits::default();
    let body = vec![1; limits.message_bytes_max_before + 1];
    let (mut session, now) = greeted(Config::default());
    let refused = session.receive(now, message_bytes(9, 1, &body).into());
    assert!(matches!(refused, Err(Error::Chunk(ChunkError::TooLong { .. }))));

    let (mut session, now) = asked(Config::default());
    session.accept();
    session.receive(now, message_bytes(9, 1, &body).into()).unwrap();
    let mut header = BytesMut::new();
    put_message(&mut header, 6, 0, 9, 1, &vec![0; limits.message_bytes_max + 1], 128);
    let refused = session.receive(now, header.freeze().slice(..12));
    assert!(matches!(refused, Err(Error::Chunk(ChunkError::TooLong { .. }))), "by its header alone");
}

#[test]
fn commands_before_a_request_are_bounded() {
    let (mut session, now) = greeted(Config::default());
    session.receive(now, connect_bytes().into()).unwrap();
    let spare = Limits::default().commands_max - 1;
    for _ in 0..spare {
        session.receive(now, command_bytes("createStream", 2.0, &[Value::Null]).into()).unwrap();
    }
    let one_more = session.receive(now, command_bytes("createStream", 2.0, &[Value::Null]).into());
    assert_eq!(one_more, Err(Error::TooManyCommands));
}

#[test]
fn what_is_sent_before_an_answer_is_bounded() {
    let (mut session, now) = asked(Config::default());
    let max = Limits::default().held_bytes_max;
    session.receive(now, vec![0; max].into()).unwrap();
    assert_eq!(session.receive(now, vec![0].into()), Err(Error::TooEarly));
}

#[test]
fn what_was_held_and_is_wrong_closes_after_the_answer() {
    let (mut session, now) = asked(Config::default());
    session.receive(now, message_bytes(kind::SET_CHUNK_SIZE, 0, &[0; 4]).into()).unwrap();
    session.accept();
    assert!(drain(&mut session).2);
    assert_eq!(session.receive(now, Bytes::from_static(b"x")), Err(Error::Chunk(ChunkError::ChunkSize(0))));
}

#[test]
fn commands_out_of_order_are_refused() {
    let (mut session, now) = greeted(Config::default());
    let refused = session.receive(now, command_bytes("publish", 5.0, &[Value::Null, "cam".into()]).into());
    assert_eq!(refused, Err(Error::OutOfOrder("a command before connect")));
    let (mut session, now) = greeted(Config::default());
    session.receive(now, connect_bytes().into()).unwrap();
    assert_eq!(session.receive(now, connect_bytes().into()), Err(Error::OutOfOrder("connect")));
    let (mut session, now) = asked(Config::default());
    session.accept();
    let again = command_bytes("publish", 5.0, &[Value::Null, "cam".into()]);
    assert_eq!(session.receive(now, again.into()), Err(Error::OutOfOrder("publish")));
}

#[test]
fn names_are_bounded() {
    let (mut session, now) = greeted(Config::default());
    let long = "x".repeat(Limits::default().field_bytes_max + 1);
    let connect = command_bytes("connect", 1.0, &[Value::object([("app", long.as_str().into())])]);
    assert_eq!(session.receive(now, connect.into()), Err(Error::FieldTooLong));
}

#[test]
fn control_messages_that_are_cut_short_are_refused() {
    for type_id in
        [kind::SET_CHUNK_SIZE, kind::ABORT, kind::WINDOW_ACK_SIZE, kind::SET_PEER_BANDWIDTH, kind::USER_CONTROL]
    {
        let (mut session, now) = greeted(Config::default());
        let refused = session.receive(now, message_bytes(type_id, 0, &[0]).into());
        assert_eq!(refused, Err(Error::Chunk(ChunkError::Control)), "type {type_id}");
    }
}

proptest! {
    #[test]
    fn a_session_with_bytes_changed_never_panics(changes in proptest::collection::vec((0usize..4_000, any::<u8>()), 1..6)) {
        let mut bytes = recorded().to_vec();
        for (at, byte) in changes {
            // After the handshake, whose content nobody judges.
            let at = (1 + 2 * 1_536 + at) % bytes.len();
            bytes[at] = byte;
        }
        let _ = feed([&bytes[..]].into_iter());
    }

    #[test]
    fn any_bytes_after_the_handshake_never_panic(
        pieces in proptest::collection::vec(proptest::collection::vec(prop_oneof![0u8..23, Just(0xff), any::<u8>()], 1..80), 0..8),
    ) {
        let greeting = greeting_bytes();
        let _ = feed(std::iter::once(&greeting[..]).chain(pieces.iter().map(Vec::as_slice)));
    }

    #[test]
    fn any_server_never_panics_a_client(
        pieces in proptest::collection::vec(proptest::collection::vec(prop_oneof![0u8..23, any::<u8>()], 1..80), 0..8),
    ) {
        let now = Instant::now();
        let target = Target::parse("rtmp://h/live/cam", Mode::Play).unwrap();
        let mut client = client::Session::new(target, now, 1);
        client.receive(now, greeting_bytes().into()).unwrap();
        for piece in pieces {
            let _ = client.receive(now, piece.into());
            while client.poll_output().is_some() {}
        }
    }
}
