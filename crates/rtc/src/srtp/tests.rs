#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

const PROFILES: [Profile; 3] = [Profile::AeadAes256Gcm, Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80];
const SSRC: u32 = 0xcafe_babe;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// The client's sealer and the server's opener of one session.
fn session(profile: Profile) -> (Sealer, Opener) {
    let (key, salt) = profile.lengths();
    let material: Vec<u8> = (0..2 * (key + salt)).map(|at| at as u8 ^ 0x5a).collect();
    let (sealer, _) = keys(profile, &material, true).unwrap();
    let (_, opener) = keys(profile, &material, false).unwrap();
    (sealer, opener)
}

fn packet(sealer: &Sealer, index: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 96];
    out.extend((index as u16).to_be_bytes());
    out.extend([0; 4]);
    out.extend(SSRC.to_be_bytes());
    out.extend(payload);
    out.resize(out.len() + sealer.overhead(), 0);
    assert!(sealer.seal_rtp(&mut out, 12, SSRC, index));
    out
}

fn receive(opener: &mut Opener, packet: &[u8]) -> Result<(u64, Vec<u8>), Refused> {
    let mut packet = packet.to_vec();
    opener.open_rtp(&mut packet).map(|opened| (opened.seq_index, packet[opened.payload].to_vec()))
}

/// RFC 3711 appendix B.3.
#[test]
fn keys_are_derived_as_the_rfc_says() {
    let (key, salt) = (hex("E1F97A0D3E018BE0D64FA32C06DE4139"), hex("0EC675AD498AFEEBB6960B3AABE6"));
    let sealed = |cipher: &Cipher| {
        let mut body = [0; 32];
        let mut tag = [0; 10];
        let at = cipher::Position { ssrc: 0, index: 0 };
        cipher.seal(at, cipher::Parts { aad: &[], body: &mut body, tag: &mut tag }, &[]).unwrap();
        (body, tag)
    };
    let derived = Cipher::derive(Profile::Aes128CmSha1_80, &key, &salt, Labels::RTP).unwrap();
    let session_salt = hex("30CBBC08863D8C85D49DB34A9AE1").try_into().unwrap();
    let authentication = hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
    let given = Cipher::cm(&hex("C61E7A93744F39EE10734AFE3FF7A087"), session_salt, &authentication).unwrap();
    assert_eq!(sealed(&derived), sealed(&given));
}

/// RFC 3711 appendix B.2.
#[test]
fn the_keystream_is_that_of_the_rfc() {
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let cipher = Cipher::cm(&hex("2B7E151628AED2A6ABF7158809CF4F3C"), salt, &[0; 20]).unwrap();
    let (mut body, mut tag) = ([0; 48], [0; 10]);
    let at = cipher::Position { ssrc: 0, index: 0 };
    cipher.seal(at, cipher::Parts { aad: &[], body: &mut body, tag: &mut tag }, &[]).unwrap();
    let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(body.to_vec(), hex(expected));
}

/// What libsrtp's own test expects of `SRTP_AES128_CM_HMAC_SHA1_80`.
#[test]
fn counter_mode_makes_what_libsrtp_makes() {
    let (key, salt) = (hex("e1f97a0d3e018be0d64fa32c06de4139"), hex("0ec675ad498afeebb6960b3aabe6"));
    let material = [&key[..], &key, &salt, &salt].concat();
    let (mut sealer, _) = keys(Profile::Aes128CmSha1_80, &material, true).unwrap();
    let mut rtp = hex("800f1234decafbadcafebabe abababababababababababababababab 00000000000000000000");
    assert!(sealer.seal_rtp(&mut rtp, 12, SSRC, 0x1234));
    assert_eq!(rtp, hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb"));
    let mut rtcp = hex("81c8000bcafebabe abababababababababababababababab 00000000 00000000000000000000");
    assert!(sealer.seal_rtcp(&mut rtcp));
    assert_eq!(rtcp, hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798"));
}

/// RFC 7714 sections 16.1.1 and 16.2.1.
#[test]
fn gcm_makes_what_the_rfc_makes() {
    let plain =
        hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465
        73207472 6573 00000000000000000000000000000000");
    let sealed = [
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf
            8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799
            b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
    ];
    for (length, sealed) in [16, 32].into_iter().zip(sealed) {
        let key: Vec<u8> = (0..length).collect();
        let cipher = || Cipher::gcm(&key, *b"Quid pro quo").unwrap();
        let mut packet = plain.clone();
        assert!(Sealer::new(cipher(), cipher()).seal_rtp(&mut packet, 12, 0x5501_a0b2, 0xf17b));
        assert_eq!(packet, hex(sealed));
        let opened = Opener::new(cipher(), cipher()).open_rtp(&mut packet).unwrap();
        assert_eq!(opened, Opened { header_len: 12, payload: 12..50, seq_index: 0xf17b, ssrc: 0x5501_a0b2 });
        assert_eq!(packet[..50], plain[..50]);
    }
}

/// RFC 7714 section 17.1.
#[test]
fn gcm_of_rtcp_makes_what_the_rfc_makes() {
    let plain = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef
        deadbeef deadbeef";
    let key: Vec<u8> = (0..16).collect();
    let cipher = || Cipher::gcm(&key, *b"Quid pro quo").unwrap();
    let mut packet = hex(plain);
    packet.resize(packet.len() + 20, 0);
    assert!(Sealer::new(cipher(), cipher()).with_rtcp_index(0x5d4).seal_rtcp(&mut packet));
    let sealed = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
        86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
    assert_eq!(packet, hex(sealed));
    assert_eq!(Opener::new(cipher(), cipher()).open_rtcp(&mut packet).unwrap(), hex(plain));
}

#[test]
fn material_of_another_length_makes_no_keys() {
    for profile in PROFILES {
        let (key, salt) = profile.lengths();
        let length = 2 * (key + salt);
        assert!(keys(profile, &vec![0; length], true).is_some());
        for wrong in [0, length - 1, length + 1, length - salt] {
            assert!(keys(profile, &vec![0; wrong], true).is_none());
        }
    }
}

#[test]
fn replays_and_forgeries_are_refused_and_counted() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = session(profile);
        let first = packet(&sealer, 5_000, b"hello");
        assert_eq!(receive(&mut opener, &first).unwrap(), (5_000, b"hello".to_vec()));
        assert_eq!(receive(&mut opener, &first), Err(Refused::Replayed));
        for at in 0..first.len() {
            let mut forged = packet(&sealer, 5_001, b"hello");
            forged[at] ^= 1;
            assert!(receive(&mut opener, &forged).is_err(), "byte {at} is protected");
        }
        assert_eq!(receive(&mut opener, &packet(&sealer, 5_001, b"there")).unwrap().1, b"there");
        assert!(receive(&mut opener, &packet(&sealer, 9_000, b"")).is_ok());
        assert_eq!(receive(&mut opener, &packet(&sealer, 9_000 - 1_024, b"")), Err(Refused::Old));
        assert!(receive(&mut opener, &packet(&sealer, 9_000 - 1_023, b"")).is_ok());
        let mut rtcp = vec![0x81, 201, 0, 1, 1, 2, 3, 4];
        rtcp.resize(8 + 12 + sealer.rtcp_overhead(), 7);
        assert!(sealer.seal_rtcp(&mut rtcp));
        assert_eq!(opener.open_rtcp(&mut rtcp.clone()).unwrap().len(), 20);
        assert_eq!(opener.open_rtcp(&mut rtcp.clone()), Err(Refused::Replayed));
        for at in 0..rtcp.len() {
            let mut forged = rtcp.clone();
            forged[at] ^= 0x80;
            assert!(opener.open_rtcp(&mut forged).is_err(), "byte {at} is protected");
        }
        let refusals = opener.refusals();
        assert!(refusals.replayed >= 2 && refusals.old >= 1 && refusals.unauthentic > 20, "{refusals:?}");
    }
}

#[test]
fn a_source_too_many_is_refused_and_a_forged_one_takes_no_place() {
    let (sealer, mut opener) = session(Profile::AeadAes128Gcm);
    let of = |ssrc: u32| {
        let mut packet = [&[0x80, 96, 0, 1, 0, 0, 0, 0][..], &ssrc.to_be_bytes(), &[1; 20], &[0; 16]].concat();
        assert!(sealer.seal_rtp(&mut packet, 12, ssrc, 1));
        packet
    };
    for ssrc in 100..200 {
        let mut forged = of(ssrc);
        forged[20] ^= 1;
        assert_eq!(receive(&mut opener, &forged), Err(Refused::Unauthentic));
    }
    for ssrc in 0..SOURCES_MAX as u32 {
        assert!(receive(&mut opener, &of(ssrc)).is_ok());
    }
    assert_eq!(receive(&mut opener, &of(99)), Err(Refused::Sources));
}

#[test]
fn padding_is_no_payload() {
    let (sealer, mut opener) = session(Profile::AeadAes256Gcm);
    let mut send = |index: u64, payload: &[u8]| {
        let mut packet = [&[0xa0, 96, 0, index as u8, 0, 0, 0, 0][..], &[0; 4], payload, &[0; 16]].concat();
        assert!(sealer.seal_rtp(&mut packet, 12, 0, index));
        opener.open_rtp(&mut packet).map(|opened| opened.payload)
    };
    assert_eq!(send(1, &[9, 9, 0, 0, 3]), Ok(12..14));
    assert_eq!(send(2, &[0, 0, 3]), Ok(12..12));
    assert_eq!(send(3, &[0, 0, 0]), Err(Refused::Malformed));
    assert_eq!(send(4, &[0, 0, 4]), Err(Refused::Malformed));
    assert_eq!(send(5, &[]), Err(Refused::Malformed));
}

#[test]
fn an_unauthenticated_look_sees_the_header_and_keeps_count() {
    let (sealer, mut opener) = session(Profile::AeadAes128Gcm);
    let indices = [65_530, 65_535, 65_536, 65_540];
    for index in indices {
        let mut bytes = packet(&sealer, index, &[1; 100]);
        let opened = opener.skip_rtp(&mut bytes.clone()).unwrap();
        assert_eq!((opened.seq_index, opened.payload.len(), opened.ssrc), (index, 100, SSRC));
        assert_eq!(opener.open_rtp(&mut bytes), Err(Refused::Replayed), "it was here");
    }
    assert_eq!(receive(&mut opener, &packet(&sealer, 65_541, b"x")).unwrap(), (65_541, b"x".to_vec()));
}

#[test]
fn headers_say_their_length() {
    assert_eq!(rtp_header_len(&[0x80; 12]), Some(12));
    assert_eq!(rtp_header_len(&[0x80; 11]), None);
    assert_eq!(rtp_header_len(&[0x40; 20]), None, "another version");
    assert_eq!(rtp_header_len(&[0x82; 20]), Some(20));
    let mut extended = [0; 24];
    extended[0] = 0x90;
    extended[15] = 2;
    assert_eq!(rtp_header_len(&extended), Some(24));
    extended[15] = 3;
    assert_eq!(rtp_header_len(&extended), None);
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened_whatever_the_order(
        which in 0usize..3,
        start in 0u64..65_536,
        steps in proptest::collection::vec((1u64..9, 0u8..8, 0usize..60), 1..120),
    ) {
        let (sealer, mut opener) = session(PROFILES[which]);
        let mut index = start;
        let mut sent = vec![(index, packet(&sealer, index, b"first"))];
        prop_assert_eq!(receive(&mut opener, &sent[0].1).unwrap(), (index, b"first".to_vec()));
        sent.clear();
        // Numbers go on with gaps, some of 9,000, so that they wrap; what was held back is received later.
        for (gap, fate, length) in steps {
            index += if fate == 0 { gap * 1_000 } else { gap };
            let payload = vec![index as u8; length];
            let bytes = packet(&sealer, index, &payload);
            if fate < 6 {
                prop_assert_eq!(receive(&mut opener, &bytes).unwrap(), (index, payload));
            } else {
                sent.push((index, bytes));
            }
        }
        for (late, bytes) in sent {
            match receive(&mut opener, &bytes) {
                Ok((seen, _)) => prop_assert_eq!(seen, late),
                // Some 32,768 behind, the estimate takes it for a later one, whose tag does not fit.
                Err(refused) => prop_assert!(index - late >= 1_024 && matches!(refused, Refused::Old | Refused::Unauthentic)),
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_and_nothing_panics(which in 0usize..3, bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let (_, mut opener) = session(PROFILES[which]);
        prop_assert!(opener.open_rtp(&mut bytes.clone()).is_err());
        prop_assert!(opener.open_rtcp(&mut bytes.clone()).is_err());
        let mut bytes = bytes;
        let _ = opener.skip_rtp(&mut bytes);
        prop_assert!(opener.refusals().total() >= 2);
    }
}
