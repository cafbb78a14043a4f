//! What is written is read; bytes made by hand from the RFCs; str0m's reading of the same bytes.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use str0m::rtp::rtcp::Rtcp;

use super::*;

const SENDER: Ssrc = Ssrc(0x0102_0304);
const MEDIA: Ssrc = Ssrc(0xa1a2_a3a4);

/// The only packet of a compound one.
fn only(bytes: &[u8]) -> Packet<'_> {
    let mut packets = read(bytes);
    let first = packets.next().expect("a packet");
    assert!(packets.next().is_none() && !packets.is_unread(), "{bytes:02x?}");
    first
}

fn feedback(bytes: &[u8]) -> Feedback<'_> {
    match only(bytes) {
        Packet::Transport(feedback) => feedback,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_reports_made_by_hand() {
    let mut bytes = vec![0x81, 200, 0, 12, 1, 2, 3, 4, 0xe9, 0, 0, 1, 0x80, 0, 0, 0, 0, 1, 0x5f, 0x90];
    bytes.extend([0, 0, 0, 7, 0, 0, 4, 0, 0xa1, 0xa2, 0xa3, 0xa4, 64, 0xff, 0xff, 0xfe, 0, 1, 0, 2]);
    bytes.extend([0, 0, 0, 90, 0, 1, 0x80, 0, 0, 2, 0, 0]);
    let Packet::SenderReport(report) = only(&bytes) else { panic!() };
    let info = SenderInfo { ssrc: SENDER, ntp: 0xe900_0001_8000_0000, rtp_time: 90_000, packets: 7, octets: 1_024 };
    assert_eq!(report.info, info);
    let block = ReportBlock {
        ssrc: MEDIA,
        fraction_lost: 64,
        lost: -2,
        highest: 65_538,
        jitter: 90,
        last_report: 0x0001_8000,
        since_last_report: 131_072,
    };
    assert_eq!(report.blocks().collect::<Vec<_>>(), [block]);
    for end in 0..bytes.len() {
        let mut packets = read(&bytes[..end]);
        assert!(packets.next().is_none() && packets.is_unread() == (end > 0), "cut at {end}");
    }
}

#[test]
fn reads_a_compound_packet_made_by_hand() {
    let mut bytes = vec![0x80, 201, 0, 1, 1, 2, 3, 4];
    bytes.extend([0x81, 202, 0, 3, 1, 2, 3, 4, 1, 4, b'a', b'b', b'c', b'd', 0, 0]);
    bytes.extend([0x81, 205, 0, 3, 1, 2, 3, 4, 0xa1, 0xa2, 0xa3, 0xa4, 0xff, 0xff, 0x80, 0x01]);
    bytes.extend([0x81, 206, 0, 2, 1, 2, 3, 4, 0xa1, 0xa2, 0xa3, 0xa4]);
    bytes.extend([0x84, 206, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0, 0xa1, 0xa2, 0xa3, 0xa4, 9, 0, 0, 0]);
    bytes.extend([0x8f, 206, 0, 5, 1, 2, 3, 4, 0, 0, 0, 0]);
    bytes.extend([b'R', b'E', b'M', b'B', 1, 3 << 2 | 1, 0, 1, 0xa1, 0xa2, 0xa3, 0xa4]);
    bytes.extend([0x80, 207, 0, 0]);
    bytes.extend([0x81, 203, 0, 1, 1, 2, 3, 4]);
    let packets: Vec<_> = read(&bytes).collect();
    let [
        Packet::ReceiverReport(report),
        Packet::Description(description),
        Packet::Nack(nack),
        Packet::Pli { media_ssrc: MEDIA },
        Packet::Fir(fir),
        Packet::Remb { bitrate_bps },
        Packet::Other,
        Packet::Bye,
    ] = &packets[..]
    else {
        panic!("{packets:?}")
    };
    assert_eq!((report.ssrc, report.blocks().count()), (SENDER, 0));
    assert_eq!(description.cnames().collect::<Vec<_>>(), [(SENDER, &b"abcd"[..])]);
    assert_eq!((nack.media_ssrc, nack.numbers().collect::<Vec<_>>()), (MEDIA, vec![65_535, 0, 15]));
    assert_eq!(fir.requests().collect::<Vec<_>>(), [(MEDIA, 9)]);
    assert_eq!(*bitrate_bps, 65_537 << 3);
}

#[test]
fn reads_transport_feedback_made_by_hand() {
    // Seven statuses of two bits, a run of three missing, and fourteen of one bit of which two count.
    let mut bytes = vec![0xaf, 205, 0, 8, 1, 2, 3, 4, 0xa1, 0xa2, 0xa3, 0xa4, 0xff, 0xfe, 0, 12, 0xff, 0xff, 0xff, 5];
    bytes.extend([0b1101_0010, 0b0001_0000, 0, 3, 0b1001_0000, 0]);
    bytes.extend([4, 0xff, 0xfc, 255, 1]);
    bytes.extend([0, 0, 0, 0, 5]);
    let feedback = feedback(&bytes);
    assert_eq!((feedback.base, feedback.status_count, feedback.reference, feedback.count), (65_534, 12, -1, 5));
    let expected = [
        (65_534, Some(1_000)),
        (65_535, None),
        (0, Some(0)),
        (1, None),
        (2, Some(63_750)),
        (3, None),
        (4, None),
        (5, None),
        (6, None),
        (7, None),
        (8, None),
        (9, Some(64_000)),
    ];
    assert_eq!(feedback.packets().collect::<Vec<_>>(), expected);
}

#[test]
fn refuses_what_contradicts_itself() {
    let transport = |statuses: u16, tail: &[u8]| {
        let mut bytes = vec![0x8f, 205, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0];
        bytes.extend(statuses.to_be_bytes());
        bytes.extend([0, 0, 1, 0]);
        bytes.extend(tail);
        bytes
    };
    assert_eq!(feedback(&transport(2, &[0x20, 2, 8, 8])).packets().count(), 2);
    let refused = [
        ("a run of the reserved symbol", transport(1, &[0x60, 1, 0, 0])),
        ("a run of nothing", transport(1, &[0, 0, 0, 1])),
        ("a reserved symbol", transport(1, &[0xf0, 0, 0, 0])),
        ("fewer deltas than arrived", transport(3, &[0x20, 3, 8, 8])),
        ("fewer chunks than statuses", transport(60, &[0x80, 0, 0x80, 0])),
        ("version 1", vec![0x40, 203, 0, 0]),
        ("padding of nothing", vec![0xa0, 203, 0, 1, 0, 0, 0, 0]),
        ("more padding than there is", vec![0xa0, 203, 0, 1, 0, 0, 0, 5]),
        ("padding without a body", vec![0xa0, 203, 0, 0]),
        ("more blocks than there are", vec![0x81, 201, 0, 1, 0, 0, 0, 1]),
        ("a NACK without a source", vec![0x81, 205, 0, 1, 0, 0, 0, 1]),
        ("longer than the datagram", vec![0x80, 203, 0, 1]),
    ];
    for (what, bytes) in refused {
        let mut packets = read(&bytes);
        assert!(packets.next().is_none() && packets.is_unread(), "{what}");
    }
    let too_large = [vec![0x8f, 206, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0], b"REMB\x00\xff\xff\xff".to_vec()].concat();
    assert!(matches!(only(&too_large), Packet::Other));
}

#[test]
fn nothing_behind_a_malformed_packet_or_past_the_limits_is_read() {
    let mut space = [0; 64];
    let length = write::bye(&mut space, SENDER);
    let goodbye = &space[..length];
    let mut packets_of = [goodbye, &[0x81, 201, 0, 1, 0, 0, 0, 1], goodbye].concat();
    let mut packets = read(&packets_of);
    assert_eq!((packets.by_ref().count(), packets.is_unread()), (1, true));
    packets_of = goodbye.repeat(PACKETS_MAX + 1);
    let mut packets = read(&packets_of);
    assert_eq!((packets.by_ref().count(), packets.is_unread()), (PACKETS_MAX, true));
    let mut nack = vec![0x81, 205, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    nack.resize(4 * 259, 0xff);
    assert!(matches!(only(&nack), Packet::Nack(nack) if nack.numbers().count() == NACK_NUMBERS_MAX));
    let mut runs = vec![0x8f, 205, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf8, 0, 0, 0, 0];
    runs.extend([0x1f, 0xff].repeat(8));
    assert_eq!(feedback(&runs).packets().count(), STATUSES_MAX);
}

#[test]
fn writes_nothing_where_there_is_no_room() {
    let statuses = [Some(0), None, Some(250)];
    type Write<'a> = &'a dyn Fn(&mut [u8]) -> usize;
    let writers: [Write<'_>; 9] = [
        &|out| write::sender_report(out, &SenderInfo::default(), &[ReportBlock::default()]),
        &|out| write::receiver_report(out, SENDER, &[ReportBlock::default()]),
        &|out| write::sdes_cname(out, SENDER, "abc"),
        &|out| write::bye(out, SENDER),
        &|out| write::nack(out, SENDER, MEDIA, &[1, 40]),
        &|out| write::pli(out, SENDER, MEDIA),
        &|out| write::fir(out, SENDER, MEDIA, 1),
        &|out| write::remb(out, SENDER, 1, &[MEDIA]),
        &|out| write::transport_feedback(out, SENDER, MEDIA, 0, 0, &statuses).0,
    ];
    for write in writers {
        let mut space = [0xee; 128];
        let length = write(&mut space);
        assert!(length > 0 && length % 4 == 0 && space[length..].iter().all(|byte| *byte == 0xee));
        only(&space[..length]);
        for room in 0..length {
            assert_eq!(write(&mut vec![0; room]), 0);
        }
    }
    let mut space = [0; 2_000];
    assert_eq!(write::nack(&mut space, SENDER, MEDIA, &[]), 0);
    assert_eq!(write::receiver_report(&mut space, SENDER, &[ReportBlock::default(); 32]), 0);
    assert_eq!(write::sdes_cname(&mut space, SENDER, &"a".repeat(256)), 0);
    assert_eq!(write::transport_feedback(&mut space, SENDER, MEDIA, 0, 0, &[None; 3]), (0, 0));
    // 32,767 quarters of a millisecond is what a delta can say.
    let apart = [Some(0), Some(8_191_750), Some(16_383_750)];
    let (length, covered) = write::transport_feedback(&mut space, SENDER, MEDIA, 0, 0, &apart);
    assert_eq!((covered, feedback(&space[..length]).packets().count()), (2, 2));
}

fn block() -> impl Strategy<Value = ReportBlock> {
    (any::<(u32, u8, u32, u32, u32, u32)>(), -0x80_0000..0x80_0000).prop_map(|(rest, lost)| {
        let (ssrc, fraction_lost, highest, jitter, last_report, since_last_report) = rest;
        ReportBlock { ssrc: Ssrc(ssrc), fraction_lost, lost, highest, jitter, last_report, since_last_report }
    })
}

/// Arrivals some time apart, most of them close and in order.
fn arrivals() -> impl Strategy<Value = Vec<Option<i64>>> {
    let step = prop_oneof![6 => 0i64..60_000, 1 => -500_000i64..8_000_000];
    let status = prop_oneof![3 => step.prop_map(Some), 1 => Just(None)];
    let run = (status, 1usize..20).prop_map(|(status, times)| vec![status; times]);
    (0i64..1 << 40, proptest::collection::vec(run, 0..40)).prop_map(|(mut at, runs)| {
        runs.concat()
            .into_iter()
            .map(|step| {
                step.map(|step| {
                    at += step;
                    at
                })
            })
            .collect()
    })
}

/// What str0m reads of the same transport-wide feedback, times in microseconds from the reference.
fn as_str0m_reads(bytes: &[u8]) -> Vec<(u16, Option<i64>)> {
    let Ok(Rtcp::Twcc(twcc)) = Rtcp::try_from(bytes) else { panic!("{bytes:02x?}") };
    let zero = Instant::now() + Duration::from_secs(1_000_000);
    let base = zero + Duration::from_millis(u64::from(twcc.reference_time) * 64);
    let micros = |at: Instant| match at.checked_duration_since(base) {
        Some(after) => after.as_micros() as i64,
        None => -(base.duration_since(at).as_micros() as i64),
    };
    twcc.into_iter(zero, 65_536u64.into()).map(|(number, _, at)| (*number as u16, at.map(micros))).collect()
}

proptest! {
    #[test]
    fn reads_the_reports_it_writes(
        info in any::<(u32, u64, u32, u32, u32)>(),
        blocks in proptest::collection::vec(block(), 0..=BLOCKS_MAX),
        name in "[a-z]{0,20}",
    ) {
        let (ssrc, ntp, rtp_time, packets, octets) = info;
        let info = SenderInfo { ssrc: Ssrc(ssrc), ntp, rtp_time, packets, octets };
        let mut space = [0; 2_000];
        let mut end = write::sender_report(&mut space, &info, &blocks);
        end += write::sdes_cname(&mut space[end..], SENDER, &name);
        end += write::receiver_report(&mut space[end..], MEDIA, &blocks);
        let packets: Vec<_> = read(&space[..end]).collect();
        let [Packet::SenderReport(sent), Packet::Description(named), Packet::ReceiverReport(received)] = &packets[..] else {
            panic!("{packets:?}")
        };
        prop_assert_eq!(sent.info, info);
        prop_assert_eq!(sent.blocks().collect::<Vec<_>>(), &blocks[..]);
        prop_assert_eq!(received.blocks().collect::<Vec<_>>(), &blocks[..]);
        prop_assert_eq!(named.cnames().collect::<Vec<_>>(), [(SENDER, name.as_bytes())]);
    }

    #[test]
    fn reads_the_nack_it_writes_as_str0m_does(first in any::<u16>(), steps in proptest::collection::vec(1u16..40, 1..200)) {
        let numbers: Vec<u16> = steps.iter().scan(first, |at, step| { *at = at.wrapping_add(*step); Some(*at) }).collect();
        let mut space = [0; 2_000];
        let length = write::nack(&mut space, SENDER, MEDIA, &numbers);
        let Packet::Nack(nack) = only(&space[..length]) else { panic!() };
        prop_assert_eq!(nack.media_ssrc, MEDIA);
        prop_assert_eq!(nack.numbers().collect::<Vec<_>>(), &numbers[..]);
        let Ok(Rtcp::Nack(theirs)) = Rtcp::try_from(&space[..length]) else { panic!() };
        let entries: Vec<(u16, u16)> = theirs.reports.iter().map(|entry| (entry.pid, entry.blp)).collect();
        // str0m keeps 31 entries of one packet.
        let ours = space[12..length].as_chunks::<4>().0.iter().take(entries.len());
        let ours: Vec<_> = ours.map(|&[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))).collect();
        prop_assert_eq!(entries, ours);
    }

    #[test]
    fn reads_the_remb_it_writes(bitrate_bps in any::<u64>(), media in proptest::collection::vec(any::<u32>(), 0..4)) {
        let media: Vec<_> = media.into_iter().map(Ssrc).collect();
        let mut space = [0; 64];
        let length = write::remb(&mut space, SENDER, bitrate_bps, &media);
        let Packet::Remb { bitrate_bps: read } = only(&space[..length]) else { panic!() };
        prop_assert!(read <= bitrate_bps && bitrate_bps - read <= bitrate_bps >> 17);
    }

    #[test]
    fn reads_the_transport_feedback_it_writes_as_str0m_does(base in any::<u16>(), statuses in arrivals()) {
        let mut space = [0; 4_000];
        let (length, covered) = write::transport_feedback(&mut space, SENDER, MEDIA, base, 7, &statuses);
        if length == 0 {
            prop_assert_eq!((covered, statuses.iter().flatten().count()), (0, 0));
            return Ok(());
        }
        let feedback = feedback(&space[..length]);
        prop_assert_eq!((feedback.base, feedback.count, usize::from(feedback.status_count)), (base, 7, covered));
        let first = statuses.iter().flatten().next().unwrap();
        let reference = first.div_euclid(REFERENCE_TICK_US);
        prop_assert_eq!(feedback.reference & 0xff_ffff, reference as i32 & 0xff_ffff);
        let read: Vec<_> = feedback.packets().collect();
        let expected: Vec<_> = statuses[..covered].iter().enumerate().map(|(number, at)| {
            let at = at.map(|at| at.div_euclid(250) * 250 - reference * REFERENCE_TICK_US);
            (base.wrapping_add(number as u16), at)
        }).collect();
        prop_assert_eq!(&read, &expected);
        prop_assert_eq!(read, as_str0m_reads(&space[..length]));
    }

    #[test]
    fn whatever_comes_is_read_in_bounds(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 200u8..208) {
        if let [first, second, high, low, ..] = &mut bytes[..] {
            (*first, *second, *high, *low) = (0x80 | *first & 0x1f, kind, 0, *low & 0x3f);
        }
        let mut packets = read(&bytes);
        for packet in packets.by_ref() {
            match packet {
                Packet::SenderReport(report) => prop_assert!(report.blocks().count() <= BLOCKS_MAX),
                Packet::ReceiverReport(report) => prop_assert!(report.blocks().count() <= BLOCKS_MAX),
                Packet::Description(description) => prop_assert!(description.cnames().count() <= BLOCKS_MAX),
                Packet::Nack(nack) => prop_assert!(nack.numbers().count() <= NACK_NUMBERS_MAX),
                Packet::Fir(fir) => prop_assert!(fir.requests().count() <= bytes.len() / 8),
                Packet::Transport(feedback) => {
                    let whole = usize::from(feedback.status_count).min(STATUSES_MAX);
                    prop_assert_eq!(feedback.packets().count(), whole);
                }
                Packet::Pli { .. } | Packet::Remb { .. } | Packet::Bye | Packet::Other => {}
            }
        }
    }
}
