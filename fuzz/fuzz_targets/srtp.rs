//! SRTP: any bytes, sealed by nobody, are refused by every profile; what is sealed is opened, whatever it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc::srtp::{self, Profile};

const PROFILES: [(Profile, usize); 3] =
    [(Profile::AeadAes256Gcm, 88), (Profile::AeadAes128Gcm, 56), (Profile::Aes128CmSha1_80, 60)];

fuzz_target!(|bytes: &[u8]| {
    for (profile, length) in PROFILES {
        let material = vec![0x5a; length];
        let (mut sealer, _) = srtp::keys(profile, &material, true).expect("material of the right length");
        let (_, mut opener) = srtp::keys(profile, &material, false).expect("material of the right length");
        let mut packet = bytes.to_vec();
        let _ = opener.open_rtp(&mut packet);
        let mut packet = bytes.to_vec();
        let _ = opener.open_rtcp(&mut packet);

        let (_, mut opener) = srtp::keys(profile, &material, false).expect("material of the right length");
        if let Some(header_len) = srtp::rtp_header_len(bytes) {
            let mut packet = bytes.to_vec();
            packet.resize(bytes.len() + sealer.overhead(), 0);
            let word = |at: usize| bytes[at..].first_chunk().copied().map_or(0, u32::from_be_bytes);
            let index = u64::from(word(0) & 0xffff);
            assert!(sealer.seal_rtp(&mut packet, header_len, word(8), index));
            if let Ok(opened) = opener.open_rtp(&mut packet) {
                assert_eq!(opened.seq_index, index);
                assert_eq!(packet[..opened.payload.end], bytes[..opened.payload.end]);
                assert!(opener.open_rtp(&mut packet).is_err(), "once only");
            }
        }
        let mut packet = bytes.to_vec();
        packet.resize(bytes.len() + sealer.rtcp_overhead(), 0);
        if bytes.first().is_some_and(|first| first >> 6 == 2) && sealer.seal_rtcp(&mut packet) {
            assert_eq!(opener.open_rtcp(&mut packet), Ok(bytes));
        }
    }
});
