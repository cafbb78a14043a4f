//! Real offers, and offers with every fault that has a sentence of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use media::{Codec, Kind, WallTime};
use stentor_rtc::{Answer, Batch, Certificate, Config, Input, Leg, OfferError, Output, Protocol, Purpose};

const PUBLISH: &str = include_str!("data/chromium-publish.sdp");
const PLAY: &str = include_str!("data/chromium-play.sdp");
const FFMPEG: &str = include_str!("data/ffmpeg-publish.sdp");

fn config() -> Config {
    Config::new("203.0.113.1:3478".parse().unwrap(), Certificate::generate().unwrap(), WallTime(0), Instant::now())
}

fn answer(offer: &str, purpose: Purpose) -> Result<(Leg, Answer), OfferError> {
    Leg::answer(&config(), offer, purpose, Instant::now())
}

fn publish(offer: &str) -> Answer {
    answer(offer, Purpose::Publish).unwrap().1
}

fn play(offer: &str, video: Option<Codec>, audio: Option<Codec>) -> Answer {
    answer(offer, Purpose::Play { video, audio }).unwrap().1
}

/// The lines of the m= line of a kind.
fn section(sdp: &str, kind: &str) -> Vec<String> {
    let all = sdp.split("m=").find(|part| part.starts_with(kind)).unwrap();
    all.lines().map(str::to_owned).collect()
}

fn has(sdp: &str, kind: &str, line: &str) -> bool {
    section(sdp, kind).iter().any(|own| own == line)
}

#[test]
fn chromium_publishes_h264_in_every_profile_that_it_offers_and_opus() {
    let answer = publish(PUBLISH);
    assert_eq!(answer.kinds, [(Kind::Audio, Codec::Opus), (Kind::Video, Codec::H264)]);
    let video = section(&answer.sdp, "video");
    let fmtp: Vec<&String> = video.iter().filter(|line| line.contains("profile-level-id")).collect();
    assert_eq!(fmtp.len(), 3, "baseline, constrained baseline, main: {fmtp:?}");
    assert!(fmtp.iter().all(|line| line.contains("packetization-mode=1")));
    for line in [
        "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=mid:1",
        "a=rtcp-fb:102 transport-cc",
        "a=rtcp-fb:102 nack",
        "a=rtcp-fb:102 nack pli",
    ] {
        assert!(has(&answer.sdp, "video", line), "{line} in {video:#?}");
    }
    assert!(
        video.iter().any(|line| line.contains("transport-wide-cc-extensions-01")),
        "feedback lets the sender go faster"
    );
    assert!(!answer.sdp.contains("goog-remb"), "what we do not send we do not promise");
    assert!(has(&answer.sdp, "audio", "a=rtpmap:111 opus/48000/2"));
    assert!(answer.sdp.contains("a=group:BUNDLE 0 1\r\n") && answer.sdp.contains("a=ice-lite\r\n"));
    assert!(answer.sdp.contains("a=setup:passive\r\n") && !answer.sdp.contains("a=setup:active"));
    let first = answer.sdp.lines().find(|line| line.starts_with("a=candidate:")).unwrap();
    assert_eq!(first, "a=candidate:1 1 udp 2130706431 203.0.113.1 3478 typ host");
    assert!(answer.sdp.contains(&format!("a=ice-ufrag:{}\r\n", answer.ufrag)));
}

#[test]
fn chromium_plays_the_codec_of_the_stream_and_nothing_else() {
    let answer = play(PLAY, Some(Codec::H264), Some(Codec::Opus));
    let video = section(&answer.sdp, "video");
    assert!(
        video[0].starts_with("video 9 UDP/TLS/RTP/SAVPF 1") && video[0].split(' ').count() == 5,
        "one format: {}",
        video[0]
    );
    assert!(video.iter().any(|line| line.contains("profile-level-id=42e01f")));
    assert!(has(&answer.sdp, "video", "a=sendonly") && has(&answer.sdp, "video", "a=msid:stentor video"));
    assert!(video.iter().any(|line| line.starts_with("a=ssrc-group:FID")));

    let answer = play(PLAY, Some(Codec::Vp8), None);
    assert_eq!(answer.kinds, [(Kind::Video, Codec::Vp8)]);
    assert!(has(&answer.sdp, "audio", "a=inactive"), "no sound in the stream: the line stays, for the bundle");
    assert!(answer.sdp.contains("a=group:BUNDLE 0 1\r\n"));
    for codec in [Codec::Vp9, Codec::Av1] {
        assert_eq!(play(PLAY, Some(codec), None).codec(Kind::Video), Some(codec));
    }
}

#[test]
fn without_h264_the_first_codec_of_the_offer_is_taken() {
    let answer = publish(&PUBLISH.replace("H264/90000", "H999/90000"));
    assert_eq!(answer.codec(Kind::Video), Some(Codec::Vp8));
    assert!(section(&answer.sdp, "video")[0].ends_with(" 96 97"));
}

#[test]
fn stereo_is_answered_with_stereo() {
    let stereo =
        PUBLISH.replace("a=fmtp:111 minptime=10;useinbandfec=1", "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1");
    assert!(has(&publish(&stereo).sdp, "audio", "a=fmtp:111 minptime=10;stereo=1;sprop-stereo=1;useinbandfec=1"));
    assert!(has(&publish(PUBLISH).sdp, "audio", "a=fmtp:111 minptime=10;useinbandfec=1"));
}

#[test]
fn more_lines_than_are_served_stay_without_direction_and_strange_ones_are_refused() {
    let video = &PUBLISH[PUBLISH.find("m=video").unwrap()..];
    let application =
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\na=sctp-port:5000\r\n";
    let offer = format!("{PUBLISH}{}{application}", video.replace("a=mid:1", "a=mid:2"));
    let answer = publish(&offer.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 2 9"));
    let lines: Vec<&str> = answer.sdp.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines.len(), 4, "as many as offered, in their order");
    assert_eq!(lines[3], "m=application 0 UDP/DTLS/SCTP webrtc-datachannel");
    assert!(answer.sdp.contains("a=group:BUNDLE 0 1 2\r\n"));
    assert_eq!(answer.sdp.matches("a=inactive").count(), 2);
    assert_eq!(answer.kinds.len(), 2);
}

#[test]
fn ffmpeg_is_answered_active_and_gets_its_client_hello_though_its_stun_lacks_a_priority() {
    let (mut leg, answer) = answer(FFMPEG, Purpose::Publish).unwrap();
    assert_eq!(answer.kinds, [(Kind::Audio, Codec::Opus), (Kind::Video, Codec::H264)]);
    assert!(answer.sdp.contains("a=setup:active\r\n"));
    let pwd = answer.sdp.lines().find_map(|line| line.strip_prefix("a=ice-pwd:")).unwrap();
    let request = ffmpeg_request(&format!("{}:1a2b3c4d", answer.ufrag), pwd);
    let (from, to): (SocketAddr, SocketAddr) = ("198.51.100.4:5000".parse().unwrap(), "0.0.0.0:3478".parse().unwrap());
    assert!(leg.accepts(Protocol::Udp, from, to, &request));
    let mut now = Instant::now();
    let mut sent = Batch::new(1 << 20);
    for _ in 0..5 {
        leg.handle(now, Input::Datagram { proto: Protocol::Udp, from, to, bytes: &request });
        match leg.poll_output(&mut sent) {
            Output::Event(event) => panic!("{event:?}"),
            Output::Timeout(at) => assert!(at >= now + Duration::from_millis(1), "no timer below a tick"),
        }
        now += Duration::from_millis(50);
    }
    assert!(sent.runs().all(|run| run.to == from));
    let sent: Vec<&[u8]> = sent.runs().flat_map(|run| run.datagrams()).collect();
    assert!(sent.iter().any(|datagram| datagram[..2] == [1, 1]), "a binding response");
    assert!(sent.iter().any(|datagram| datagram[0] == 22), "a DTLS handshake record");
}

/// USERNAME, USE-CANDIDATE, MESSAGE-INTEGRITY, as FFmpeg 8.0 sends it.
fn ffmpeg_request(user: &str, pwd: &str) -> Vec<u8> {
    let mut out =
        vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, user.len() as u8];
    out.extend(user.as_bytes());
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend([0, 0x25, 0, 0]);
    let length = (out.len() - 20 + 24) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
    let hmac = str0m::crypto::from_feature_flags().sha1_hmac_provider;
    let signature = hmac.sha1_hmac(pwd.as_bytes(), &[&out]);
    out.extend([0, 8, 0, 20]);
    out.extend(signature);
    out
}

#[test]
fn every_fault_has_its_sentence() {
    let cases: [(String, &str, bool); 14] = [
        (format!("{PUBLISH}{}", "a=x\r\n".repeat(20_000)), "65536 at most are read", true),
        ("{\"sdp\": \"v=0\"}".into(), "it must begin with the line \"v=0\"", true),
        (String::new(), "it must begin with", true),
        (PUBLISH.replace("a=mid:1", "a mid 1"), "a letter and an equals sign", true),
        (PUBLISH.replace("m=video 5", "m=video x5"), "the port of m= must be a number", true),
        (format!("{PUBLISH}{}", "m=audio 9 x 0\r\n".repeat(40)), "more than 32 m= lines", true),
        ("v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n".into(), "no m=audio and no m=video", true),
        (PUBLISH.replace("a=ice-ufrag", "a=x-ice-ufrag"), "no a=ice-ufrag line", true),
        (PUBLISH.replace("a=fingerprint:sha-256", "a=fingerprint:md5"), "uses md5; sha-256 and sha-1", true),
        (PUBLISH.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"), "not all in one a=group:BUNDLE", true),
        (PUBLISH.replace("a=mid:1", "a=mid:0"), "the same a=mid:0", true),
        (PUBLISH.replace("t=0 0", "t=0 0\r\na=ice-lite"), "one side must be a full ICE agent", true),
        (PUBLISH.replace("a=sendonly", "a=recvonly"), "no m= line of the offer is a=sendonly or a=sendrecv", false),
        (
            PUBLISH.replace("opus/48000", "opus/16000"),
            "no common audio codec: the offer has opus, G722, PCMU, PCMA, CN, this server",
            false,
        ),
    ];
    for (offer, sentence, peers_fault) in cases {
        let error = answer(&offer, Purpose::Publish).unwrap_err();
        assert!(error.to_string().contains(sentence), "{error} should say: {sentence}");
        assert_eq!(error.is_peers_fault(), peers_fault, "{error}");
    }
    let error =
        answer(&PLAY.replace("H264/90000", "H265/90000"), Purpose::Play { video: Some(Codec::H264), audio: None })
            .unwrap_err();
    assert_eq!(error.to_string(), "no common video codec: the offer has VP8, VP9, H265, AV1, the stream has H264");
    let only_audio = &PLAY[..PLAY.find("m=video").unwrap()];
    let error = answer(only_audio, Purpose::Play { video: Some(Codec::H264), audio: None }).unwrap_err();
    assert_eq!(error.to_string(), "the offer asks for audio, but the stream has only video");
    assert!(!error.is_peers_fault());
}

#[test]
fn any_cut_of_an_offer_is_answered_or_refused_without_a_panic() {
    let config = config();
    for offer in [PUBLISH, PLAY, FFMPEG] {
        for cut in (0..offer.len()).step_by(97) {
            let purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };
            let _ = Leg::answer(&config, &offer[..cut], purpose, Instant::now());
            let _ = Leg::answer(
                &config,
                &format!("{}{}", &offer[..cut], &offer[cut + 1..]),
                Purpose::Publish,
                Instant::now(),
            );
        }
    }
}

#[test]
fn a_leg_never_wants_to_be_woken_in_less_than_a_tick() {
    for offer in [PUBLISH, FFMPEG] {
        let now = Instant::now();
        let (mut leg, _) = Leg::answer(&config(), offer, Purpose::Publish, now).unwrap();
        for turn in 0..100u64 {
            let at = now + Duration::from_millis(turn);
            let mut out = Batch::new(1 << 20);
            let next = std::iter::from_fn(|| Some(leg.poll_output(&mut out))).find_map(|output| match output {
                Output::Timeout(next) => Some(next),
                _ => None,
            });
            assert!(next.unwrap() >= at + Duration::from_millis(1), "turn {turn}");
            leg.handle(at + Duration::from_millis(1), Input::Timeout);
        }
    }
}

/// Chromium's offer with `sendEncodings` of these names.
fn layered(rids: &[&str], simulcast: &str) -> String {
    let mut offer = PUBLISH.to_owned();
    let video = offer.find("m=video").unwrap();
    let head = &offer[video..];
    let ssrc = head.find("a=ssrc").map_or(offer.len(), |at| video + at);
    offer.truncate(ssrc);
    let known = |uri: &str| offer[video..].contains(uri);
    let mut lines = String::new();
    for (id, uri) in [(10, "rtp-stream-id"), (11, "repaired-rtp-stream-id")] {
        let uri = format!("urn:ietf:params:rtp-hdrext:sdes:{uri}");
        if !known(&format!(" {uri}\r\n")) {
            lines += &format!("a=extmap:{id} {uri}\r\n");
        }
    }
    for rid in rids {
        lines += &format!("a=rid:{rid} send\r\n");
    }
    offer + &lines + &format!("a=simulcast:{simulcast}\r\n")
}

#[test]
fn layers_that_a_browser_sends_are_taken_in_its_order_three_at_most() {
    let answer = publish(&layered(&["l", "m", "h"], "send l;m;h"));
    for line in ["a=rid:l recv", "a=rid:m recv", "a=rid:h recv", "a=simulcast:recv l;m;h"] {
        assert!(has(&answer.sdp, "video", line), "{line} in {:#?}", section(&answer.sdp, "video"));
    }
    let video = section(&answer.sdp, "video");
    assert_eq!(video.iter().filter(|line| line.contains("rtp-stream-id")).count(), 2, "{video:#?}");
    let answer = publish(&layered(&["1", "2", "3", "4", "5"], "recv 9 send 1,2;~3;4;5"));
    assert!(has(&answer.sdp, "video", "a=simulcast:recv 1;3;4"), "{}", answer.sdp);
    assert!(!answer.sdp.contains("a=rid:5"));
}

#[test]
fn what_is_no_simulcast_is_answered_as_one_picture() {
    let long = "x".repeat(9);
    for (rids, simulcast) in [
        (&["l", "m"][..], ""),
        (&["l", "m"], "recv l;m"),
        (&["l"], "send l"),
        (&["l"], "send l;m"),
        (&["l"], "send l;l"),
        (&["a b", "c"], "send a b;c"),
        (&["a-b", "c"], "send a-b;c"),
        (&[&long, "c"], "send xxxxxxxxx;c"),
        (&["l", "m"], "send ;;;;,,~"),
        (&["l", "m"], "send"),
    ] {
        let answer = publish(&layered(rids, simulcast));
        let video = section(&answer.sdp, "video");
        assert!(!answer.sdp.contains("a=rid") && !answer.sdp.contains("simulcast"), "{simulcast}: {video:#?}");
        assert!(!answer.sdp.contains("rtp-stream-id"), "{simulcast}");
    }
    let unnamed = layered(&["l", "m"], "send l;m").replace("rtp-stream-id", "something-else");
    assert!(!publish(&unnamed).sdp.contains("simulcast"), "packets that do not name their layer");
    let many: Vec<String> = (0..1_000).map(|number| format!("r{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(has(
        &publish(&layered(&many, &format!("send {}", many.join(";")))).sdp,
        "video",
        "a=simulcast:recv r0;r1;r2"
    ));
}
