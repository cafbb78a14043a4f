//! RTP payloads of H.264 as any sender may make them, from the packet header to the frame.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use live::{
    clock::Align,
    depacketise::{Depacketiser, Output},
};
use media::{Codec, MediaTime, RtpPacket, SeqNo, WallTime};
use wire::rtp::Header;

fuzz_target!(|data: &[u8]| {
    let Ok(mut depacketiser) = Depacketiser::new(Codec::H264) else { return };
    let mut align = Align::default();
    let mut now = Instant::now();
    let mut due = SeqNo(65_536);
    let mut last = MediaTime(-1);
    let mut rest = data;
    // Each packet: a byte of waiting in 8 ms, two of length, and the packet.
    while let [wait, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (packet, after) = tail.split_at(length);
        rest = after;
        now += Duration::from_millis(u64::from(*wait) * 8);
        let Ok((header, payload)) = Header::parse(&Bytes::copy_from_slice(packet)) else { continue };
        due = due.extend(header.sequence);
        depacketiser.push(
            now,
            RtpPacket {
                codec: Codec::H264,
                layer: 0,
                seq: due,
                time: MediaTime(i64::from(header.timestamp)),
                wall: WallTime(i64::from(header.ssrc.0) * 1_000),
                arrived: now,
                marker: header.marker,
                key_start: false,
                audio_level: None,
                payload,
            },
        );
        while let Some(output) = depacketiser.poll(now, &mut align) {
            if let Output::Frame(frame) = output {
                assert!(frame.dts > last, "times rise");
                assert!(!frame.payload.is_empty());
                last = frame.dts;
            }
        }
        assert!(depacketiser.poll_timeout().is_none_or(|deadline| deadline > now));
    }
});
