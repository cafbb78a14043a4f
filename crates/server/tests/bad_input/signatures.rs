//! Signed URLs at every door: who is let in, and what those are told whose signature is expired, for another path, by
//! the other key, or by one that has been exchanged.

use std::time::{SystemTime, UNIX_EPOCH};

use wire::sign::url::{Scheme, Target, mint};

use crate::rig::{
    Clip, FlvViewer, RtmpPlayer, RtmpPublisher, Server, Viewer as _,
    server::{Finished, run},
};

const PUSH: &str = "push-key-0123456789";
const PLAY: &str = "play-key-0123456789";
const NEXT: &str = "next-key-0123456789";
const SDP: (&str, &str) = ("Content-Type", "application/sdp");
const OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-publish.sdp");
const PLAY_OFFER: &[u8] = include_bytes!("../../../rtc/tests/data/chromium-play.sdp");
const ALL: &str =
    "url_signing = [\"aliyun-a\", \"aliyun-b\", \"aliyun-c\", \"tencent\", \"tencent-sha256\", \"tencent-decimal\"]";

/// A server whose application takes these keys.
fn server(push: &[&str], play: &[&str], more: &str) -> Server {
    Server::serve(&format!(
        "[server]\nlog = \"trace\"\n[live]\nmerge_write = \"0s\"\n[[application]]\nsdk_app_id = 7\n\
         keys = [\"0123456789abcdef0123456789abcdef\"]\npush_keys = {push:?}\nplay_keys = {play:?}\n{more}\n"
    ))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The query that signs `/live/{stream}{extension}` until `ttl_s` seconds from now.
fn signed(scheme: Scheme, key: &str, stream: &str, extension: &str, ttl_s: i64) -> String {
    let target = Target { app: "live", stream, extension };
    mint(scheme, key, &target, now_s().checked_add_signed(ttl_s).unwrap()).query
}

fn alibaba(key: &str, extension: &str) -> String {
    signed(Scheme::AliyunA, key, "a", extension, 600)
}

fn publish(server: &Server) -> RtmpPublisher {
    let mut publisher = RtmpPublisher::connect(server, &format!("live/a?{}", alibaba(PUSH, "")));
    publisher.begin(&Clip::demo());
    publisher
}

/// What playing `live/a` is told at every door with the query that `of` makes for a path's ending.
fn refused_at_every_door(server: &Server, of: impl Fn(&str) -> String) -> Vec<String> {
    let said = RtmpPlayer::refused(server, &format!("live/a?{}", of("")));
    assert_eq!(said.code, "NetStream.Play.Failed");
    let mut sentences = vec![said.description];
    for extension in [".flv", ".m3u8"] {
        let answer = server.get(&format!("/live/a{extension}?{}", of(extension)));
        sentences.push(answer.problem(403));
    }
    // A file of HLS, by itself, is signed for as the playlist that leads to it.
    sentences.push(server.get(&format!("/live/a/media.m3u8?{}", of(".m3u8"))).problem(403));
    let answer = server.http("POST", &format!("/whep/live/a?{}", of("")), &[SDP], OFFER);
    sentences.push(answer.problem(403));
    sentences
}

/// The same for publishing.
fn refused_publishing(server: &Server, stream: &str, query: &str) -> Vec<String> {
    let said = RtmpPublisher::refused(server, &format!("live/{stream}?{query}"));
    assert_eq!(said.code, "NetStream.Publish.Denied");
    let answer = server.http("POST", &format!("/whip/live/{stream}?{query}"), &[SDP], OFFER);
    vec![said.description, answer.problem(403)]
}

fn all_say(sentences: &[String], word: &str) {
    assert!(sentences.iter().all(|sentence| sentence.contains(word)), "{word}: {sentences:?}");
}

/// Whether no key and no signature of these queries is in the log of a server that logs everything.
fn is_discreet(server: &Server, queries: &[String]) {
    let log = server.log();
    let digests = queries.iter().flat_map(|query| query.split(['=', '&', '-', '/'])).filter(|part| part.len() >= 32);
    for secret in digests.chain([PUSH, PLAY, NEXT]) {
        assert!(!log.contains(secret), "the log has {secret}");
    }
}

#[test]
fn every_scheme_opens_every_door() {
    let server = server(&[PUSH], &[NEXT, PLAY], ALL);
    let mut shown = Vec::new();
    for scheme in [Scheme::AliyunA, Scheme::AliyunC, Scheme::Tencent, Scheme::TencentSha256, Scheme::TencentDecimal] {
        let push = signed(scheme, PUSH, "a", "", 600);
        let in_key = RtmpPublisher::connect(&server, &format!("live/a?{push}"));
        in_key.leave();
        let mut publisher = RtmpPublisher::connect_as(&server, &format!("live?{push}"), "a");
        publisher.begin(&Clip::demo());
        for key in [PLAY, NEXT] {
            let play = |extension: &str| signed(scheme, key, "a", extension, 600);
            drop(RtmpPlayer::connect(&server, &format!("live/a?{}", play(""))));
            let (head, _) =
                crate::rig::Asked::new(server.http, "GET", &format!("/live/a.flv?{}", play(".flv")), &[], b"").head();
            assert_eq!(head.status, 200, "{scheme}");
            shown.extend([play(""), play(".flv")]);
        }
        publisher.leave();
        shown.push(push);
        shown.extend(by_webrtc(&server, scheme));
    }
    is_discreet(&server, &shown);
}

/// Publishes and plays a stream by WHIP and WHEP; what was shown.
fn by_webrtc(server: &Server, scheme: Scheme) -> [String; 2] {
    let [whip, whep] = [("whip", PUSH), ("whep", PLAY)]
        .map(|(door, key)| format!("/{door}/live/w?{}", signed(scheme, key, "w", "", 600)));
    let sessions = [(&whip, OFFER), (&whep, PLAY_OFFER)].map(|(path, offer)| {
        let answer = server.http("POST", path, &[SDP], offer);
        assert_eq!(answer.status, 201, "{scheme}: {}", answer.text());
        answer.header("location").unwrap().to_owned()
    });
    assert_eq!(server.streams_for(&token()).len(), 1);
    for session in sessions.iter().rev() {
        assert_eq!(server.http("DELETE", session, &[], b"").status, 200);
    }
    [whip, whep]
}

#[test]
fn a_playlist_is_signed_for_all_that_it_leads_to() {
    let server = server(&[PUSH], &[PLAY], ALL);
    let mut publisher = RtmpPublisher::connect(&server, &format!("live/a?{}", alibaba(PUSH, "")));
    let clip = Clip::demo();
    clip.headers.iter().chain(&clip.frames).for_each(|tag| publisher.send(tag));
    let target = Target { app: "live", stream: "a", extension: ".m3u8" };
    let before = mint(Scheme::AliyunB, PLAY, &target, now_s() + 600).prefix;
    for (before, query) in [("", alibaba(PLAY, ".m3u8")), (before.as_str(), String::new())] {
        let playlist = server.get(&format!("{before}/live/a.m3u8?{query}"));
        assert_eq!(playlist.status, 200, "{}", playlist.text());
        let next = playlist.text().lines().find(|line| line.contains("media.m3u8")).unwrap().to_owned();
        let media = server.get(&format!("{before}/live/{next}"));
        assert_eq!(media.status, 200, "{}", media.text());
        let segment = media.text().lines().find(|line| line.contains(".m4s")).unwrap().to_owned();
        assert_eq!(server.get(&format!("{before}/live/a/{segment}")).status, 200);
        // Without what the playlist says, its files are closed.
        let name = segment.split('?').next().unwrap();
        server.get(&format!("/live/a/{name}")).problem(401);
        assert_eq!(server.get(&format!("{before}/live/a/{name}?{query}")).status, 200);
    }
    publisher.leave();
}

#[test]
fn a_signature_before_the_path_opens_its_doors() {
    let server = server(&[PUSH], &[PLAY], ALL);
    let prefix = |key: &str, extension: &str| {
        let target = Target { app: "live", stream: "a", extension };
        mint(Scheme::AliyunB, key, &target, now_s() + 600).prefix
    };
    let push = prefix(PUSH, "");
    let mut publisher = RtmpPublisher::connect(&server, &format!("{}/live/a", push.trim_start_matches('/')));
    publisher.begin(&Clip::demo());
    drop(RtmpPlayer::connect(&server, &format!("{}/live/a", prefix(PLAY, "").trim_start_matches('/'))));
    let ask = |path: &str| crate::rig::Asked::new(server.http, "GET", path, &[], b"").head().0;
    let flv = format!("{}/live/a.flv", prefix(PLAY, ".flv"));
    assert_eq!(ask(&flv).status, 200);
    // Type C, which has its two halves in the path or in the query.
    let query = signed(Scheme::AliyunC, PLAY, "a", ".flv", 600);
    let halves: Vec<&str> = query.split('&').map(|pair| pair.split_once('=').unwrap().1).collect();
    assert_eq!(ask(&format!("/{}/{}/live/a.flv", halves[0], halves[1])).status, 200);
    let wrong = [
        format!("{}/live/b.flv", prefix(PLAY, ".flv")),
        format!("{}/live/a.flv", prefix(PUSH, ".flv")),
        format!("{flv}?{query}"),
    ];
    for path in &wrong {
        server.get(path).problem(403);
    }
    let lost = server.get(&format!("{}/live/nothing", prefix(PLAY, ""))).problem(404);
    assert!(lost.contains("'/live/nothing'"), "{lost}");
    is_discreet(&server, &[push, flv, query, wrong[0].clone(), wrong[1].clone()]);
}

#[test]
fn an_expired_signature_is_told_since_when() {
    let server = server(&[PUSH], &[PLAY], "");
    let publisher = publish(&server);
    let expired = |extension: &str| signed(Scheme::AliyunA, PLAY, "a", extension, -30);
    all_say(&refused_at_every_door(&server, expired), "until 20");
    all_say(
        &refused_at_every_door(&server, |extension| signed(Scheme::Tencent, PLAY, "a", extension, -30)),
        "stream a",
    );
    all_say(&refused_publishing(&server, "b", &signed(Scheme::AliyunA, PUSH, "b", "", -30)), "until 20");
    assert!(server.metric("stentor_refused_total{reason=\"url-signature-expired\"}") >= 12);
    assert_eq!(server.streams_for(&token()).len(), 1);
    publisher.leave();
}

/// `/v1/streams` is about no stream, and wants a `UserSig`.
fn token() -> String {
    let sig = wire::sign::mint(7, "0123456789abcdef0123456789abcdef", "ann", now_s(), 60);
    format!("sdkappid=7&userid=ann&usersig={sig}")
}

#[test]
fn validity_is_added_to_the_time_of_a_url() {
    let server = server(&[PUSH], &[PLAY], "url_validity = \"1m\"");
    let publisher = RtmpPublisher::connect(&server, &format!("live/a?{}", signed(Scheme::AliyunA, PUSH, "a", "", 0)));
    let late = signed(Scheme::AliyunA, PUSH, "b", "", -60);
    all_say(&refused_publishing(&server, "b", &late), "until 20");
    publisher.leave();
}

#[test]
fn a_signature_for_another_path_is_refused() {
    let server = server(&[PUSH], &[PLAY], "");
    let publisher = publish(&server);
    let other = |extension: &str| signed(Scheme::AliyunA, PLAY, "b", extension, 600);
    all_say(&refused_at_every_door(&server, other), "does not fit /live/a");
    // Signed without the ending, or with another: by hand, as happens.
    let sentence = server.get(&format!("/live/a.flv?{}", alibaba(PLAY, ""))).problem(403);
    assert!(sentence.contains("signed for /live/a, and was used for /live/a.flv"), "{sentence}");
    // A transcoded variant has a name of its own.
    let sentence = server.get(&format!("/live/a_720p.flv?{}", alibaba(PLAY, ".flv"))).problem(403);
    assert!(sentence.contains("was used for /live/a_720p.flv"), "{sentence}");
    all_say(&refused_publishing(&server, "b", &alibaba(PUSH, "")), "does not fit /live/b");
    assert!(server.metric("stentor_refused_total{reason=\"url-signature-wrong\"}") >= 9);
    publisher.leave();
}

#[test]
fn keys_that_are_swapped_are_told() {
    let server = server(&[PUSH], &[PLAY], "");
    let publisher = publish(&server);
    all_say(&refused_at_every_door(&server, |extension| alibaba(PUSH, extension)), "signed with one of push_keys");
    let swapped = signed(Scheme::AliyunA, PLAY, "b", "", 600);
    all_say(&refused_publishing(&server, "b", &swapped), "signed with one of play_keys");
    assert_eq!(server.streams_for(&token()).len(), 1, "nobody else publishes");
    publisher.leave();
}

#[test]
fn a_url_that_was_good_is_refused_after_its_key_was_exchanged() {
    let (push, play) = (alibaba(PUSH, ""), |extension: &str| alibaba(PLAY, extension));
    let before = server(&[PUSH, NEXT], &[PLAY], "");
    let mut publisher = RtmpPublisher::connect(&before, &format!("live/a?{push}"));
    publisher.begin(&Clip::demo());
    drop(RtmpPlayer::connect(&before, &format!("live/a?{}", play(""))));
    publisher.leave();
    drop(before);
    let after = server(&[NEXT], &["other-play-key-0123"], "");
    all_say(&refused_publishing(&after, "a", &push), "no longer live");
    let mut publisher = RtmpPublisher::connect(&after, &format!("live/a?{}", alibaba(NEXT, "")));
    publisher.begin(&Clip::demo());
    all_say(&refused_at_every_door(&after, play), "no longer live");
    publisher.leave();
}

#[test]
fn who_is_refused_disturbs_nobody() {
    let server = server(&[PUSH], &[PLAY], "");
    let clip = Clip::demo();
    let mut publisher = publish(&server);
    let mut viewer = FlvViewer::open_with(&server, "live/a", &alibaba(PLAY, ".flv"));
    assert!(viewer.frame().is_some());
    let queries = [
        "auth_key=1".to_owned(),
        format!("auth_key={}", "-".repeat(400)),
        "txSecret=0".to_owned(),
        format!("{}&txSecret=0&txTime=0", alibaba(PLAY, "")),
        alibaba("no key of anybody", ".flv"),
    ];
    for (query, tag) in queries.iter().zip(&clip.frames[1..]) {
        refused_at_every_door(&server, |_| query.clone());
        refused_publishing(&server, "a", query);
        let unit = crate::rig::relay(&mut publisher, &mut viewer, tag);
        assert!(!unit.payload.units.is_empty());
    }
    assert!(server.metric("stentor_refused_total{reason=\"url-signature-malformed\"}") >= 7 * 4);
    is_discreet(&server, &queries[..0]);
    publisher.leave();
}

#[test]
fn an_app_name_has_its_own_keys_and_openness() {
    let more = format!("[[app]]\nsdk_app_id = 7\nname = \"show\"\npush_keys = [\"{NEXT}\"]\nplay_open = true\n");
    let server = server(&[PUSH], &[PLAY], &more);
    let target = Target { app: "show", stream: "a", extension: "" };
    let by = |key: &str| mint(Scheme::AliyunA, key, &target, now_s() + 600).query;
    let said = RtmpPublisher::refused(&server, &format!("show/a?{}", by(PUSH)));
    assert_eq!(said.code, "NetStream.Publish.Denied");
    let mut publisher = RtmpPublisher::connect(&server, &format!("show/a?{}", by(NEXT)));
    publisher.begin(&Clip::demo());
    let mut viewer = FlvViewer::open(&server, "show/a");
    assert!(viewer.frame().is_some());
    // Nothing is needed, but what is shown is checked.
    server.get(&format!("/show/a.flv?{}", by("some-other-key-0123"))).problem(403);
    server.get("/live/a.flv").problem(401);
    publisher.leave();
}

#[test]
fn the_command_signs_what_the_server_takes() {
    let server = server(&[PUSH], &[PLAY], ALL);
    let url = format!("rtmp://{}/live/a", server.rtmp);
    for scheme in Scheme::ALL {
        let Finished { code, out, err } = run(&["sign", &url, "--scheme", scheme.name(), "--key", PUSH]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{scheme}");
        let path = out.trim().strip_prefix(&format!("rtmp://{}/", server.rtmp)).unwrap().to_owned();
        RtmpPublisher::connect(&server, &path).leave();
    }
    let json = run(&["sign", "artc://h/live/a", "--scheme", "aliyun-a", "--key", PLAY, "--ttl", "90s", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((said["scheme"].as_str(), said["signedFor"].as_str()), (Some("aliyun-a"), Some("/live/a")));
    assert!((now_s() + 60..=now_s() + 90).contains(&said["expiresAtS"].as_u64().unwrap()), "{said}");
    for wrong in [["live/a", "aliyun-a"], ["rtmp://h/live/a", "md5"], ["trtc://h/play/a", "tencent"]] {
        let ended = run(&["sign", wrong[0], "--scheme", wrong[1], "--key", PUSH]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(!ended.err.contains(PUSH), "{ended:?}");
    }
}
