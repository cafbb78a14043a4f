use super::*;
use proptest::prelude::*;

fn place(url: &str, intent: Intent) -> String {
    match Address::parse(url, intent) {
        Ok(Address::Rtmp(target)) => {
            format!("rtmp tls={} {}:{} {} {}", target.tls, target.host, target.port, target.app, target.stream)
        }
        Ok(Address::Flv(http)) => format!("flv {}", text(&http)),
        Ok(Address::WsFlv(http)) => format!("ws {}", text(&http)),
        Ok(Address::Hls(http)) => format!("hls {}", text(&http)),
        Ok(Address::WebRtc(signal)) => format!("{:?} {}", signal.dialect, text(&signal.url)),
        Err(error) => format!("error: {error}"),
    }
}

fn text(http: &HttpUrl) -> String {
    format!("{}://{}:{}{}", if http.tls { "https" } else { "http" }, http.host, http.port, http.path)
}

#[test]
fn every_kind_of_url() {
    use Intent::{Play, Push};
    for (url, intent, expected) in [
        ("rtmp://h/live/a?k=1", Push, "rtmp tls=false h:1935 live a?k=1"),
        ("rtmps://h/live/a", Play, "rtmp tls=true h:443 live a"),
        ("http://h:8080/whip/live/a", Push, "Whip http://h:8080/whip/live/a"),
        ("https://h/whep/live/a?usersig=x", Play, "Whip https://h:443/whep/live/a?usersig=x"),
        ("http://h:8080/whip/live/a.flv", Push, "Whip http://h:8080/whip/live/a.flv"),
        ("http://h:8080/live/a.flv?k=1", Play, "flv http://h:8080/live/a.flv?k=1"),
        ("WS://h:8080/live/a.flv", Play, "ws http://h:8080/live/a.flv"),
        ("wss://h/live/a.flv", Play, "ws https://h:443/live/a.flv"),
        ("https://h/live/a.m3u8", Play, "hls https://h:443/live/a.m3u8"),
        (
            "trtc://h/push/a?sdkappid=1&userId=u&usersig=s",
            Push,
            "Whip https://h:443/v1/push/a?sdkappid=1&userId=u&usersig=s",
        ),
        ("trtc://h:8080/play/a", Play, "Whip http://h:8080/v1/play/a"),
        ("artc://h/live/a?auth_key=1-2", Play, "Artc https://h:443/live/a?auth_key=1-2"),
        ("artc://127.0.0.1/live/a", Push, "Artc http://127.0.0.1:80/live/a"),
        ("artc://localhost:8443/live/a", Push, "Artc https://localhost:8443/live/a"),
        ("webrtc://[::1]:1985/live/a", Push, "Srs http://::1:1985/rtc/v1/publish/"),
        ("webrtc://h:443/live/a", Play, "Srs https://h:443/rtc/v1/play/"),
    ] {
        assert_eq!(place(url, intent), expected, "{url}");
    }
}

#[test]
fn what_names_no_door_is_said_in_a_sentence() {
    use Intent::{Play, Push};
    for (url, intent, part) in [
        ("live/a", Push, "push takes rtmp://"),
        ("srt://h/a", Play, "play takes rtmp(s)://"),
        ("http://h/live/a.flv", Push, "push takes"),
        ("ws://h/live/a.flv", Push, "push takes"),
        ("ws://h/live/a", Play, "play takes"),
        ("trtc://h/play/a", Push, "/push/{stream}"),
        ("trtc://h/play/", Play, "/play/{stream}"),
        ("trtc://h/play/a/b", Play, "/play/{stream}"),
        ("artc://h/a", Play, "/{app}/{stream}"),
        ("webrtc://h/live/a/b", Play, "/{app}/{stream}"),
        ("http://:80/whip/a", Push, "host"),
        ("http://h:0/whip/a", Push, "host"),
        ("http://[::1/whip/a", Push, "host"),
        ("http://[::1]x/whip/a", Push, "host"),
        ("http://a@h/whip/a", Push, "host"),
        ("http://h/whip/a b", Push, "%XX"),
        ("rtmp://h/a", Push, "rtmp://host/application/stream"),
    ] {
        let said = place(url, intent);
        assert!(said.starts_with("error: ") && said.contains(part), "{url}: {said}");
    }
    assert!(!place("srt://h/a?usersig=secret", Play).contains("secret"));
}

#[test]
fn references_are_followed() {
    let base = HttpUrl::read("h:8080/live/a.m3u8?t=1", Some(false)).unwrap();
    for (reference, expected) in [
        ("a/media.m3u8?t=1", "http://h:8080/live/a/media.m3u8?t=1"),
        ("/whip/live/a/1", "http://h:8080/whip/live/a/1"),
        ("https://other/x", "https://other:443/x"),
        ("//other/x", "http://other:80/x"),
        ("seg1.m4s?u=http://x", "http://h:8080/live/seg1.m4s?u=http://x"),
    ] {
        assert_eq!(base.join(reference).map(|url| text(&url)), Ok(expected.to_owned()), "{reference}");
    }
    assert!(base.join("file:///etc/passwd").is_err());
    assert!(base.join("a\r\nb").is_err());
}

proptest! {
    #[test]
    fn never_panics(url in "\\PC{0,64}", scheme in "(rtmp|http|ws|trtc|artc|webrtc)://\\PC{0,40}") {
        for intent in [Intent::Push, Intent::Play] {
            let _ = Address::parse(&url, intent);
            let _ = Address::parse(&scheme, intent);
        }
    }
}
