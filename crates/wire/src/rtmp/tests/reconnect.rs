//! What both ends can do beyond RTMP 1.0, and the request to connect anew.

use super::*;
use crate::rtmp::Capabilities;

#[test]
fn a_client_says_what_it_can_and_is_answered() {
    let mut pair = Pair::new("rtmp://host/live/cam", Mode::Publish);
    pair.run();
    let [Event::Publish(request)] = pair.at_server.as_slice() else { panic!("{:?}", pair.at_server) };
    assert_eq!(request.capabilities, Capabilities::of_client());

    let (mut session, now) = greeted(Config::default());
    let object = [("app", "live".into()), ("capsEx", 1.0.into())];
    session.receive(now, command_bytes("connect", 1.0, &[Value::object(object)]).into()).unwrap();
    let (sent, ..) = drain(&mut session);
    for key in ["videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx", "hvc1", "Opus"] {
        assert!(says(&sent, key), "{key}");
    }
}

#[test]
fn a_client_of_rtmp_1_is_told_nothing_new() {
    let (mut session, now) = greeted(Config::default());
    session.receive(now, connect_bytes().into()).unwrap();
    let (sent, ..) = drain(&mut session);
    assert!(says(&sent, "_result") && !says(&sent, "capsEx"));
    session.receive(now, command_bytes("publish", 5.0, &[Value::Null, "cam".into()]).into()).unwrap();
    drain(&mut session);
    session.accept();
    drain(&mut session);
    assert!(!session.request_reconnect(None, "going down"));
    assert!(drain(&mut session).0.is_empty(), "it would not understand");
}

#[test]
fn a_client_is_asked_to_connect_anew_and_media_goes_on() {
    for (mode, url) in [(Mode::Publish, Some("rtmp://other/live")), (Mode::Play, None)] {
        let mut pair = Pair::running(mode);
        assert!(pair.server.request_reconnect(url, "going down"));
        pair.run();
        let wanted =
            client::Event::ReconnectRequested { tc_url: url.map(str::to_owned), description: "going down".to_owned() };
        assert_eq!((pair.at_client.as_slice(), pair.closed), ([wanted].as_slice(), [false; 2]));
        pair.at_client.clear();
        assert!(pair.server.request_reconnect(url, "going down"));
        pair.run();
        assert!(pair.at_client.is_empty(), "once is enough");
        if mode == Mode::Publish {
            let frame = message(MessageKind::Video, 3, b"frame");
            pair.client.send_media(&frame);
            pair.run();
            assert_eq!(pair.at_server, [Event::Media(frame)]);
        }
    }
}

#[test]
fn a_request_to_connect_anew_waits_for_no_answer_and_comes_not_before_connect() {
    let (mut session, _) = greeted(Config::default());
    assert!(!session.request_reconnect(None, "too early"));
    assert!(drain(&mut session).0.is_empty());
}
