//! Payloads that can be checked: a stream, a number and the time of sending at the end of each, in bytes that no parser of
//! H.264 or Opus stumbles over.

use std::sync::Arc;

/// Digits of 4 bits: stream 4, number 12, time of sending 14, check 4.
pub(crate) const STAMP_BYTES: usize = 34;
/// A digit of 4 bits is written as a byte from 0x50 on: no start code can come of it, and none is 0.
const DIGIT: u8 = 0x50;
/// RTP payloads of pictures are no longer than this: what browsers and OBS send.
const PAYLOAD_BYTES_MAX: usize = 1_180;
/// Baseline, level 3.1, 1280x720, as x264 writes it.
const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xec, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0f,
    0x03, 0xc6, 0x0c, 0xa8,
];
const PPS: &[u8] = &[0x68, 0xce, 0x0f, 0x2c, 0x80];
/// `profile-level-id` (RFC 6184 section 8.1) of that.
pub(crate) const PROFILE: u32 = 0x42_c0_1f;
/// Full-band CELT, 20 ms, mono, one frame (RFC 6716 section 3.1).
const OPUS_TOC: u8 = 0xf8;
/// Types of NAL units (RFC 6184 section 5.2).
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const SEI: u8 = 6;
const FILL_BYTES: usize = 4_096;

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Which publisher.
    pub(crate) stream: u16,
    /// Its number among the packets of its kind and stream, from 0.
    pub(crate) number: u64,
    /// When it was sent, in nanoseconds of the run.
    pub(crate) sent_ns: u64,
}

/// How a picture is cut into packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Split {
    /// All packets full but the last, as OBS and FFmpeg do.
    Full,
    /// All packets of nearly the same length, the shorter ones first, as browsers do.
    Even,
}

/// The payloads of one picture, without stamps: the last `STAMP_BYTES` of each are free for one.
pub(crate) fn picture(key: bool, bytes: usize, split: Split) -> Vec<Vec<u8>> {
    let mut packets = Vec::with_capacity(2 + bytes / PAYLOAD_BYTES_MAX);
    if key {
        packets.push(parameters());
    }
    let room = PAYLOAD_BYTES_MAX - 2;
    let bytes = bytes.max(3 * STAMP_BYTES);
    let count = bytes.div_ceil(room).max(2);
    let lengths = (0..count).map(|at| match split {
        Split::Full if bytes > room => room.min(bytes - at * room),
        _ => bytes / count + usize::from(at >= count - bytes % count),
    });
    // NAL reference and type: IDR or not (ITU-T H.264 section 7.4.1).
    let (indicator, kind) = if key { (0x60 | FU_A, 5) } else { (0x40 | FU_A, 1) };
    for (at, length) in lengths.enumerate() {
        let edge = if at == 0 { 0x80 } else { 0 } | if at + 1 == count { 0x40 } else { 0 };
        let mut packet = vec![indicator, edge | kind];
        // first_mb_in_slice 0 and slice_type I or P (section 7.3.3).
        if at == 0 {
            packet.push(if key { 0b1011_0000 } else { 0b1100_0000 });
        }
        let length = 2 + length.max(STAMP_BYTES + 1);
        packet.extend((packet.len()..length).map(|at| filler(at + bytes)));
        packets.push(packet);
    }
    packets
}

/// Both parameter sets, and a message to nobody that has room for the stamp.
fn parameters() -> Vec<u8> {
    // User data that is not registered: type 5, its length, a UUID (ITU-T H.264 section D.1.7).
    let mut message = vec![SEI, 5, 16 + STAMP_BYTES as u8];
    message.extend([DIGIT; 16 + STAMP_BYTES]);
    let mut packet = vec![0x60 | STAP_A];
    for unit in [SPS, PPS, &message] {
        packet.extend((unit.len() as u16).to_be_bytes());
        packet.extend(unit);
    }
    packet
}

/// The payload of a sound.
pub(crate) fn sound(bytes: usize) -> Vec<u8> {
    let mut packet = vec![OPUS_TOC];
    packet.extend((1..bytes.max(1 + STAMP_BYTES)).map(filler));
    packet
}

/// Any byte but 0.
fn filler(at: usize) -> u8 {
    (((at % FILL_BYTES) as u32).wrapping_mul(0x9e37_79b1) >> 24) as u8 | 1
}

/// Writes a stamp to the end of a payload.
pub(crate) fn stamp(mut payload: Vec<u8>, stamp: Stamp) -> Arc<[u8]> {
    let from = payload.len().saturating_sub(STAMP_BYTES);
    let digits =
        spread(stamp).into_iter().flat_map(|(value, digits)| (0..digits).rev().map(move |at| value >> (4 * at)));
    for (byte, digit) in payload.iter_mut().skip(from).zip(digits) {
        *byte = DIGIT | (digit & 15) as u8;
    }
    payload.into()
}

/// Reads the stamp at the end of a payload. `None` where none is there, or it was changed.
pub(crate) fn read(payload: &[u8]) -> Option<Stamp> {
    let digits = payload.last_chunk::<STAMP_BYTES>()?;
    if digits.iter().any(|digit| digit & 0xf0 != DIGIT) {
        return None;
    }
    let value = |from: usize, count: usize| {
        let digits = digits.iter().skip(from).take(count);
        digits.fold(0, |value: u64, digit| value << 4 | u64::from(digit & 15))
    };
    let stamp = Stamp { stream: value(0, 4) as u16, number: value(4, 12), sent_ns: value(16, 14) };
    (value(30, 4) == check(stamp)).then_some(stamp)
}

/// Whether a picture can be decoded from this packet on.
pub(crate) fn starts_key(payload: &[u8]) -> bool {
    let kind = |byte: &u8| byte & 31;
    match payload.first().map(kind) {
        Some(STAP_A | 5 | 7) => true,
        Some(FU_A) => payload.get(1).is_some_and(|head| head & 0x80 != 0 && kind(head) == 5),
        _ => false,
    }
}

fn spread(stamp: Stamp) -> [(u64, u32); 4] {
    [(stamp.stream.into(), 4), (stamp.number, 12), (stamp.sent_ns, 14), (check(stamp), 4)]
}

fn check(stamp: Stamp) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
    let hash = mix(mix(mix(1, stamp.stream.into()), stamp.number), stamp.sent_ns);
    (hash ^ hash >> 16 ^ hash >> 32) & 0xffff
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { stream: 3, number: 0x00ab_cdef_0123, sent_ns: 0x00_1234_5678_9abc };

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_a_changed_one_is_not() {
        for payload in [picture(true, 30_000, Split::Full), picture(false, 10, Split::Even), vec![sound(160)]].concat()
        {
            assert_eq!(read(&payload), None, "no stamp yet");
            let stamped = stamp(payload, STAMP);
            assert_eq!(read(&stamped), Some(STAMP));
            for at in stamped.len() - STAMP_BYTES..stamped.len() {
                let mut changed = stamped.to_vec();
                changed[at] ^= 1;
                assert_eq!(read(&changed), None);
            }
        }
        assert_eq!(read(&[0x50; 3]), None);
    }

    #[test]
    fn packets_are_as_long_as_they_were_meant_to_be() {
        let lengths = |bytes, split| picture(false, bytes, split).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(5_000, Split::Full), [1_180, 1_180, 1_180, 1_180, 2 + 288]);
        assert_eq!(lengths(5_003, Split::Even), [1_002, 1_002, 1_003, 1_003, 1_003]);
        assert_eq!(lengths(0, Split::Even), [53, 53], "a fragment alone would not be valid (RFC 6184 section 5.8)");
        let sum: usize = lengths(5_890, Split::Full).iter().map(|length| length - 2).sum();
        assert_eq!(sum, 5_890);
    }

    #[test]
    fn a_key_frame_is_two_parameter_sets_a_message_and_fragments_of_one_unit() {
        let packets = picture(true, 5_000, Split::Full);
        let mut rest = &packets[0][1..];
        let mut kinds = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let (unit, next) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            kinds.push(unit[0] & 31);
            rest = next;
        }
        assert_eq!((packets[0][0] & 31, kinds), (STAP_A, vec![7, 8, SEI]));
        let edges: Vec<u8> = packets[1..].iter().map(|packet| packet[1]).collect();
        assert_eq!(edges, [0x85, 5, 5, 5, 0x45]);
        assert!(starts_key(&packets[0]) && starts_key(&packets[1]) && !starts_key(&packets[2]));
        assert!(!starts_key(&picture(false, 5_000, Split::Full)[0]));
        assert!(packets[1..].iter().all(|packet| packet[0] == 0x7c && !packet[2..].contains(&0)));
    }
}
