//! What cannot be reached through a real handshake: every cipher, and feedback of any kind from somebody who has the keys.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{Certificate, PAYLOAD_BYTES_MAX};

const OFFER: &str = include_str!("../../tests/data/chromium-play.sdp");
const WAY: (Protocol, SocketAddr) =
    (Protocol::Udp, SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7)), 5_000));
const WALL: WallTime = WallTime(1_790_000_000_000_000);
const PROFILES: [(SrtpProfile, Profile, usize); 3] = [
    (SrtpProfile::AEAD_AES_256_GCM, Profile::AeadAes256Gcm, 88),
    (SrtpProfile::AEAD_AES_128_GCM, Profile::AeadAes128Gcm, 56),
    (SrtpProfile::AES128_CM_SHA1_80, Profile::Aes128CmSha1_80, 60),
];

/// A leg as it is after its handshake, and the keys of its peer.
fn connected(profile: (SrtpProfile, Profile, usize), now: Instant) -> (View, Sealer, Opener) {
    let config = Config::new("203.0.113.1:3478".parse().unwrap(), Certificate::generate().unwrap(), WALL, now);
    let purpose = Purpose::Play { video: Some(Codec::H264), audio: Some(Codec::Opus) };
    let (mut view, _) = View::answer(&config, OFFER, purpose, now).unwrap();
    let payload: Arc<[u8]> = Arc::from([7; 10]);
    let mut out = Batch::new(10_000);
    assert_eq!(view.send(now, Kind::Video, packet(&payload, 0), &mut out), Err(NotSent::NotConnected));
    view.ice.checked(now, WAY, 1, true);
    let material = vec![0x5a; profile.2];
    view.connected(profile.0, &KeyingMaterial::new(&material));
    assert!(matches!(view.poll_output(&mut out), Output::Event(Event::Connected)));
    let (sealer, opener) = srtp::keys(profile.1, &material, true).unwrap();
    (view, sealer, opener)
}

fn packet(payload: &Arc<[u8]>, seq: u64) -> Outgoing<'_> {
    let time = seq as u32 * 90;
    Outgoing { codec: Codec::H264, seq, time, wall: WALL, marker: false, payload, audio_level: None, padding: 0 }
}

fn datagrams(out: &mut Batch) -> Vec<Vec<u8>> {
    let all = out.runs().flat_map(|run| run.datagrams().map(<[u8]>::to_vec)).collect();
    out.clear();
    all
}

#[test]
fn every_cipher_is_opened_by_the_peer_across_the_wrap_of_numbers() {
    let now = Instant::now();
    for profile in PROFILES {
        let (mut view, _, mut opener) = connected(profile, now);
        let mut out = Batch::new(1_000_000);
        for (seq, length) in (65_530..65_545).zip([1, 15, 16, 17, 700, PAYLOAD_BYTES_MAX].into_iter().cycle()) {
            let payload: Arc<[u8]> = Arc::from(vec![seq as u8; length]);
            view.send(now, Kind::Video, packet(&payload, seq), &mut out).unwrap();
            let [bytes] = &mut datagrams(&mut out)[..] else { panic!("one datagram") };
            let opened = opener.open_rtp(bytes).unwrap();
            assert_eq!((opened.seq_index, opened.ssrc), (seq, view.egress.last().unwrap().ssrc));
            assert_eq!(bytes[opened.payload], payload[..]);
        }
        let Output::Timeout(at) = view.poll_output(&mut out) else { panic!("nothing happened") };
        assert!(at > now);
        let [bytes] = &mut datagrams(&mut out)[..] else { panic!("one report") };
        let compound = opener.open_rtcp(bytes).unwrap();
        let mut packets = rtcp::read(compound);
        assert!(matches!(packets.next(), Some(rtcp::Packet::SenderReport(report)) if report.info.packets == 15));
        let named = |packet| match packet {
            rtcp::Packet::Description(description) => description.cnames().any(|(_, name)| name == b"stentor"),
            _ => false,
        };
        assert!(packets.next().is_some_and(named) && packets.next().is_none() && !packets.is_unread());
    }
}

#[test]
fn keys_of_a_wrong_length_end_the_leg() {
    let now = Instant::now();
    let (mut view, _, _) = connected(PROFILES[0], now);
    view.link = None;
    view.connected(SrtpProfile::AEAD_AES_256_GCM, &KeyingMaterial::new(&[1; 56]));
    assert!(view.is_closed() && !view.is_connected());
}

#[test]
fn feedback_without_the_keys_is_refused() {
    let now = Instant::now();
    let (mut view, mut sealer, _) = connected(PROFILES[0], now);
    let ssrc = media::Ssrc(view.egress.last().unwrap().ssrc);
    let mut bytes = vec![0; 12 + sealer.rtcp_overhead()];
    rtcp::write::pli(&mut bytes, media::Ssrc(1), ssrc);
    let mut forged = bytes.clone();
    assert!(sealer.seal_rtcp(&mut bytes));
    let mut out = Batch::new(1_000);
    let mut told = |view: &mut View, bytes: &[u8]| {
        let input = Input::Datagram { proto: WAY.0, from: WAY.1, to: WAY.1, bytes };
        view.handle(now, input);
        matches!(view.poll_output(&mut out), Output::Event(Event::KeyFrameRequested { kind: Kind::Video, .. }))
    };
    forged[20] ^= 1;
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 0x20;
        assert!(!told(&mut view, &changed), "byte {place}");
    }
    assert!(!told(&mut view, &forged));
    let refused = view.refused().total();
    assert!(refused as usize >= bytes.len());
    assert!(told(&mut view, &bytes));
    assert!(!told(&mut view, &bytes), "twice");
    assert_eq!(view.refused().total(), refused + 1);
}

/// Feedback that looks like feedback: types, formats and sources that mean something, and any rest.
fn compound() -> impl Strategy<Value = Vec<(u8, u8, bool, Vec<u32>)>> {
    let kind = prop_oneof![Just(200u8), Just(201), Just(205), Just(206), 192..224u8];
    let words = proptest::collection::vec(any::<u32>(), 0..40);
    proptest::collection::vec((0u8..32, kind, any::<bool>(), words), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_peer_reports_is_bounded(compounds in proptest::collection::vec(compound(), 1..20)) {
        let start = Instant::now();
        let (mut view, mut sealer, _) = connected(PROFILES[1], start);
        let (mut out, payload) = (Batch::new(1_000_000), Arc::from([9; 100]));
        for (turn, compound) in compounds.into_iter().enumerate() {
            let now = start + Duration::from_millis(turn as u64 * 40);
            for seq in 0..5 {
                view.send(now, Kind::Video, packet(&payload, turn as u64 * 5 + seq), &mut out).unwrap();
            }
            let mut bytes = Vec::new();
            for (format, kind, ours, mut words) in compound {
                if let (true, Some(media)) = (ours, words.get_mut(1)) {
                    *media = view.egress[1].ssrc;
                }
                bytes.extend([0x80 | format, kind, 0, words.len() as u8]);
                bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            }
            bytes.resize(bytes.len().max(8) + sealer.rtcp_overhead(), 0);
            bytes[0] |= 0x80;
            prop_assert!(sealer.seal_rtcp(&mut bytes));
            view.handle(now, Input::Datagram { proto: WAY.0, from: WAY.1, to: WAY.1, bytes: &bytes });
            let mut events = 0;
            while let Output::Event(event) = view.poll_output(&mut out) {
                events += 1;
                if let Event::Repair { numbers, .. } = event {
                    prop_assert!(numbers.iter().all(|number| u64::from(*number) < (turn as u64 + 1) * 5), "{numbers:?}");
                }
            }
            prop_assert!(events <= 4, "{events} events of one datagram");
            prop_assert!(!view.is_closed());
            let Output::Timeout(at) = view.poll_output(&mut out) else { panic!("drained") };
            prop_assert!(at >= now + TICK_MIN);
            out.clear();
        }
    }
}
