//! What is said and what is answered.

use super::*;
use crate::flv::{metadata_body, without_set_data_frame};
use crate::rtmp::chunk::Raw;
use crate::rtmp::media_bytes;
use crate::rtmp::message::user_control;
use crate::rtmp::server::{Reason, Refusal};

#[test]
fn a_publication_arrives_as_it_was_sent() {
    let mut pair = Pair::new("rtmp://host:1936/live/cam?token=1", Mode::Publish);
    pair.run();
    let [Event::Publish(request)] = pair.at_server.as_slice() else { panic!("{:?}", pair.at_server) };
    assert_eq!((request.app.as_str(), request.stream.as_str(), request.query.as_str()), ("live", "cam", "token=1"));
    assert_eq!(request.tc_url, "rtmp://host:1936/live");
    assert!(pair.at_client.is_empty(), "not before it was granted");
    pair.server.accept();
    pair.run();
    assert_eq!(pair.at_client, [client::Event::Ready]);
    pair.at_server.clear();

    let sent = [
        message(MessageKind::Script, 0, &metadata_body(&[])),
        message(MessageKind::Video, 0, &[0x17; 5]),
        message(MessageKind::Audio, 21, &[0xaf; 300]),
        message(MessageKind::Video, 0xff_ffff, &[7; 200_000]),
        message(MessageKind::Audio, u32::MAX, b"a"),
        message(MessageKind::Audio, 3, b"b"),
    ];
    sent.iter().for_each(|message| pair.client.send_media(message));
    pair.client.send_media(&message(MessageKind::Video, 9, b""));
    pair.run();
    assert_eq!(pair.at_server, sent.map(Event::Media), "without @setDataFrame and without the empty one");
    pair.at_server.clear();
    pair.client.finish();
    pair.run();
    assert_eq!((pair.at_server.as_slice(), pair.closed), ([Event::PublishEnded].as_slice(), [false, true]));
}

#[test]
fn a_playback_reads_the_bytes_that_all_viewers_share() {
    let mut pair = Pair::running(Mode::Play);
    let sent = [
        message(MessageKind::Video, 0, &[1; 70_000]),
        message(MessageKind::Audio, 0x0100_0000, &[2; 200]),
        message(MessageKind::Video, u32::MAX, &[3; 140_000]),
    ];
    for message in &sent {
        let bytes = media_bytes(message.kind, message.timestamp_ms, &message.body);
        pair.client.receive(pair.now, bytes).unwrap();
    }
    pair.run();
    assert_eq!(pair.at_client, sent.map(client::Event::Media));
    pair.at_client.clear();
    pair.server.end_play("The stream has ended.");
    pair.run();
    assert_eq!((pair.at_client.as_slice(), pair.closed), ([client::Event::Ended].as_slice(), [false, true]));
}

#[test]
fn a_player_that_leaves_is_heard() {
    let mut pair = Pair::running(Mode::Play);
    pair.client.finish();
    pair.run();
    assert_eq!(pair.at_server, [Event::PlayEnded]);
}

#[test]
fn each_refusal_has_a_code_and_a_sentence_and_closes() {
    for (mode, reason, code) in [
        (Mode::Publish, Reason::BadName, "NetStream.Publish.BadName"),
        (Mode::Publish, Reason::Denied, "NetStream.Publish.Denied"),
        (Mode::Publish, Reason::Unavailable, "NetStream.Failed"),
        (Mode::Play, Reason::NotFound, "NetStream.Play.StreamNotFound"),
        (Mode::Play, Reason::Denied, "NetStream.Play.Failed"),
    ] {
        let mut pair = Pair::new("rtmp://host/live/cam", mode);
        pair.run();
        pair.server.refuse(Refusal { reason, sentence: "Because of this, do that.".to_owned() });
        pair.run();
        let refused =
            client::Event::Refused { code: code.to_owned(), description: "Because of this, do that.".to_owned() };
        assert_eq!(pair.at_client, [refused]);
        assert_eq!(pair.closed, [true, true]);
    }
}

#[test]
fn a_publisher_is_told_that_it_was_replaced() {
    let mut pair = Pair::running(Mode::Publish);
    pair.server.stop_publish("Another encoder publishes this stream now.");
    pair.run();
    let [client::Event::Refused { description, .. }] = pair.at_client.as_slice() else {
        panic!("{:?}", pair.at_client)
    };
    assert_eq!(description, "Another encoder publishes this stream now.");
    assert_eq!(pair.closed, [true, true]);
}

#[test]
fn answers_to_nothing_do_nothing() {
    let (mut session, _) = greeted(Config::default());
    session.accept();
    session.refuse(Refusal { reason: Reason::Denied, sentence: String::new() });
    session.end_play("");
    session.stop_publish("");
    assert_eq!(drain(&mut session), (vec![], vec![], false));
}

#[test]
fn a_client_that_does_not_wait_for_answers_loses_nothing() {
    let (mut session, now) = greeted(Config::default());
    let mut bytes = connect_bytes();
    bytes.extend(command_bytes("createStream", 4.0, &[Value::Null]));
    bytes.extend(command_bytes("publish", 5.0, &[Value::Null, "cam".into(), "live".into()]));
    bytes.extend(message_bytes(9, 1, b"config"));
    session.receive(now, bytes.into()).unwrap();
    session.receive(now, message_bytes(8, 1, b"sound").into()).unwrap();
    let (_, events, _) = drain(&mut session);
    assert!(matches!(events.as_slice(), [Event::Publish(_)]), "{events:?}");
    session.accept();
    let (sent, events, _) = drain(&mut session);
    assert!(says(&sent, "NetStream.Publish.Start"));
    let expected = [message(MessageKind::Video, 0, b"config"), message(MessageKind::Audio, 0, b"sound")];
    assert_eq!(events, expected.map(Event::Media));
}

#[test]
fn a_message_is_a_slice_of_what_was_received() {
    let (mut session, now) = asked(Config::default());
    session.accept();
    drain(&mut session);
    let bytes = Bytes::from(message_bytes(9, 1, &[5; 100]));
    let body = bytes[12..].as_ptr();
    session.receive(now, bytes).unwrap();
    let (_, events, _) = drain(&mut session);
    let [Event::Media(message)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(message.body.as_ptr(), body);
}

#[test]
fn the_commands_of_old_encoders_are_answered() {
    let (mut session, now) = greeted(Config::default());
    session.receive(now, connect_bytes().into()).unwrap();
    let (sent, _, _) = drain(&mut session);
    assert!(says(&sent, "NetConnection.Connect.Success"));
    for (name, answer) in [
        ("releaseStream", "_result"),
        ("FCPublish", "onFCPublish"),
        ("FCSubscribe", "onFCSubscribe"),
        ("getStreamLength", "_result"),
        ("_checkbw", "_result"),
        ("createStream", "_result"),
        ("FCUnpublish", "onFCUnpublish"),
        ("somethingElse", "_error"),
    ] {
        session.receive(now, command_bytes(name, 9.0, &[Value::Null, "cam".into()]).into()).unwrap();
        assert!(says(&drain(&mut session).0, answer), "{name}");
    }
    session.receive(now, command_bytes("somethingElse", 0.0, &[Value::Null]).into()).unwrap();
    assert!(drain(&mut session).0.is_empty(), "transaction 0 asks for no answer");
}

#[test]
fn play_is_understood_with_and_without_a_start() {
    for arguments in [vec![Value::Null, "cam".into()], vec![Value::Null, "cam".into(), Value::Number(-2_000.0)]] {
        let (mut session, now) = greeted(Config::default());
        session.receive(now, connect_bytes().into()).unwrap();
        session.receive(now, command_bytes("play", 0.0, &arguments).into()).unwrap();
        let (_, events, _) = drain(&mut session);
        assert!(matches!(events.as_slice(), [Event::Play(request)] if request.stream == "cam"), "{events:?}");
        session.accept();
        let (sent, _, _) = drain(&mut session);
        assert!(says(&sent, "NetStream.Play.Reset") && says(&sent, "NetStream.Play.Start"));
    }
}

#[test]
fn the_chunk_size_of_shared_bytes_is_told_before_a_playback_begins() {
    let (mut session, now) = greeted(Config::default());
    session.receive(now, connect_bytes().into()).unwrap();
    let (sent, _, _) = drain(&mut session);
    let announced = [1, 0, 0, 0, 0, 0, 1, 0, 0];
    assert!(sent.windows(announced.len()).any(|window| window == announced), "SetChunkSize 65536");
}

#[test]
fn a_pause_is_answered_and_told() {
    let mut pair = Pair::running(Mode::Play);
    for (paused, code) in [(true, "NetStream.Pause.Notify"), (false, "NetStream.Unpause.Notify")] {
        let command = command::encode("pause", 0.0, &[Value::Null, Value::Boolean(paused), Value::Number(0.0)]);
        let mut out = BytesMut::new();
        put_message(&mut out, 3, 0, kind::COMMAND, 1, &command, 65_536);
        pair.server.receive(pair.now, out.freeze()).unwrap();
        let (sent, events, _) = drain(&mut pair.server);
        assert!(says(&sent, code));
        assert_eq!(events, [Event::Pause(paused)]);
    }
}

#[test]
fn one_connection_may_publish_twice() {
    let (mut session, now) = asked(Config::default());
    session.accept();
    session.receive(now, command_bytes("deleteStream", 0.0, &[Value::Null, 1.0.into()]).into()).unwrap();
    session.receive(now, message_bytes(9, 1, b"late").into()).unwrap();
    session.receive(now, command_bytes("publish", 5.0, &[Value::Null, "two".into()]).into()).unwrap();
    let (_, events, _) = drain(&mut session);
    assert!(
        matches!(&events[..], [Event::Publish(_), Event::PublishEnded, Event::Publish(second)] if second.stream == "two"),
        "{events:?}"
    );
}

#[test]
fn pings_and_bandwidth_are_answered() {
    let (mut session, now) = greeted(Config::default());
    session.receive(now, message_bytes(kind::USER_CONTROL, 0, &[0, 6, 1, 2, 3, 4]).into()).unwrap();
    let (sent, _, _) = drain(&mut session);
    assert_eq!(sent[12..], [0, user_control::PING_RESPONSE as u8, 1, 2, 3, 4]);
    session.receive(now, message_bytes(kind::SET_PEER_BANDWIDTH, 0, &[0, 1, 0, 0, 2]).into()).unwrap();
    assert_eq!(drain(&mut session).0[7], kind::WINDOW_ACK_SIZE);
}

#[test]
fn received_bytes_are_acknowledged_by_the_window_of_the_peer() {
    let (mut session, now) = asked(Config::default());
    session.accept();
    session.receive(now, message_bytes(kind::WINDOW_ACK_SIZE, 0, &10_000u32.to_be_bytes()).into()).unwrap();
    drain(&mut session);
    let mut acknowledged = Vec::new();
    let mut received = 0;
    for _ in 0..30 {
        let bytes = message_bytes(8, 1, &[0xaf; 900]);
        received += bytes.len();
        session.receive(now, bytes.into()).unwrap();
        let (sent, _, _) = drain(&mut session);
        if !sent.is_empty() {
            assert_eq!((sent[7], sent.len()), (kind::ACKNOWLEDGEMENT, 16));
            acknowledged.push(u32::from_be_bytes(sent[12..16].try_into().unwrap()) as usize);
        }
    }
    assert!((2..=3).contains(&acknowledged.len()), "{acknowledged:?} of {received}");
    assert!(acknowledged.windows(2).all(|pair| pair[1] - pair[0] >= 10_000));
}

#[test]
fn aggregates_and_amf3_wrappers_are_understood() {
    let (mut session, now) = asked(Config::default());
    session.accept();
    drain(&mut session);
    let mut body = crate::flv::tag_bytes(MessageKind::Video, 50, b"v").to_vec();
    body.extend(crate::flv::tag_bytes(MessageKind::Audio, 60, b"a"));
    session.receive(now, message_bytes(kind::AGGREGATE, 1, &body).into()).unwrap();
    session.receive(now, message_bytes(kind::DATA_AMF3, 1, b"\0script").into()).unwrap();
    let (_, events, _) = drain(&mut session);
    let expected = [
        message(MessageKind::Video, 0, b"v"),
        message(MessageKind::Audio, 10, b"a"),
        message(MessageKind::Script, 0, b"script"),
    ];
    assert_eq!(events, expected.map(Event::Media));
    let command = [&[0][..], &command::encode("deleteStream", 0.0, &[])].concat();
    session.receive(now, message_bytes(kind::COMMAND_AMF3, 0, &command).into()).unwrap();
    assert_eq!(drain(&mut session).1, [Event::PublishEnded]);
}

#[test]
fn a_client_puts_the_command_before_metadata() {
    let mut pair = Pair::running(Mode::Publish);
    let at = pair.sent.len();
    pair.client.send_media(&message(MessageKind::Script, 0, &metadata_body(&[])));
    pair.run();
    let mut reader = crate::rtmp::chunk::Reader::new(crate::rtmp::Limits::default(), 1 << 20);
    reader.set_chunk_size(65_536).unwrap();
    let mut bytes = pair.sent.split_off(at).freeze();
    let Ok(Some(Raw { body, .. })) = reader.read(&mut bytes) else { panic!("no message") };
    assert_ne!(without_set_data_frame(&body), body);
}
