use media::{Flags, Payload, WallTime, h264::Config as Sets};
use wire::rtp::h264::{Parsed, parse};

use super::*;
use crate::sample::{audio, main_profile, picture, slice, sound, video};

fn packets(packetiser: &mut Packetiser, track: &TrackInfo, frame: &Frame) -> Vec<RtpPacket> {
    let mut out = Vec::new();
    packetiser.packetise(Instant::now(), track, frame, &mut out);
    out
}

#[test]
fn a_key_frame_begins_with_its_parameter_sets_and_ends_with_the_marker() {
    let mut packetiser = Packetiser::new(Codec::H264);
    let key = picture(true, 0, 1_000, 3_000);
    let sent = packets(&mut packetiser, &video(0), &key);
    let Parsed::Aggregate(sets) = parse(&sent[0].payload).unwrap() else { panic!("{:?}", sent[0]) };
    let Config::H264(Sets { sps, pps, .. }) = video(0).config else { panic!() };
    assert_eq!(sets.to_vec(), [sps, pps].concat());
    assert_eq!(sent.iter().map(|packet| packet.key_start).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(sent.iter().map(|packet| packet.marker).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(sent.iter().map(|packet| packet.seq.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(sent.iter().all(|packet| packet.payload.len() <= PAYLOAD_MAX));
    assert!(sent.iter().all(|packet| packet.time == MediaTime(90_000) && packet.wall == WallTime(1_000_000)));
    let delta = packets(&mut packetiser, &video(0), &picture(false, 1, 1_040, 100));
    assert_eq!((delta[0].seq, delta[0].key_start, delta[0].marker), (SeqNo(4), false, true));
}

#[test]
fn what_fits_is_not_copied() {
    let mut packetiser = Packetiser::new(Codec::H264);
    let mut frame = picture(false, 0, 0, 500);
    frame.payload.units.push(slice(false, 1, 600));
    let sent = packets(&mut packetiser, &video(0), &frame);
    assert_eq!(sent.len(), 2);
    for (packet, unit) in sent.iter().zip(&frame.payload.units) {
        assert_eq!(packet.payload.as_ptr(), unit.as_ptr());
    }
}

#[test]
fn parameter_sets_that_do_not_fit_together_go_one_by_one() {
    let mut packetiser = Packetiser::new(Codec::H264).with_payload_max(18);
    let sent = packets(&mut packetiser, &video(0), &picture(true, 0, 0, 10));
    let types: Vec<_> = sent.iter().map(|packet| parse(&packet.payload).unwrap().first_type()).collect();
    assert_eq!(types, [Some(7), Some(8), Some(5)]);
    assert!(sent[0].key_start && sent[2].marker);
}

#[test]
fn b_frames_are_left_out_on_demand_and_only_where_nothing_refers_to_them() {
    let b = |discardable| {
        let mut frame = picture(false, 0, 0, 10);
        frame.flags = Flags { b_frame: true, discardable, ..Flags::default() };
        frame
    };
    let mut packetiser = Packetiser::new(Codec::H264);
    assert_eq!(packets(&mut packetiser, &main_profile(), &b(true)).len(), 1);
    packetiser.drop_b = true;
    assert_eq!(packets(&mut packetiser, &main_profile(), &b(true)).len(), 0);
    assert_eq!(packets(&mut packetiser, &main_profile(), &b(false)).len(), 1);
    assert_eq!(packets(&mut packetiser, &video(0), &b(true)).len(), 1, "shown in the order in which they come");
    assert_eq!(packetiser.counts().dropped_b, 1);
    let after = packets(&mut packetiser, &main_profile(), &picture(false, 1, 40, 10));
    assert_eq!(after[0].seq, SeqNo(3), "no number is left out");
}

#[test]
fn a_picture_is_shown_at_its_pts() {
    let mut packetiser = Packetiser::new(Codec::H264);
    let mut frame = picture(false, 0, 100, 10);
    frame.pts = MediaTime(10_000);
    assert_eq!(packets(&mut packetiser, &video(0), &frame)[0].time, MediaTime(10_000));
}

#[test]
fn opus_is_a_packet_a_frame() {
    let mut packetiser = Packetiser::new(Codec::Opus);
    let mut frame = Frame { codec: Codec::Opus, payload: Payload::single(vec![0xfc; 80].into()), ..sound(20, 0) };
    let first = packets(&mut packetiser, &TrackInfo::opus(2), &frame);
    assert_eq!((first.len(), first[0].time, first[0].marker), (1, MediaTime(960), true));
    assert_eq!(first[0].payload.as_ptr(), frame.payload.units[0].as_ptr());
    let second = packets(&mut packetiser, &TrackInfo::opus(2), &frame);
    assert_eq!((second[0].seq, second[0].marker, second[0].key_start), (SeqNo(1), false, true));
    frame.flags.discontinuity = true;
    assert!(packets(&mut packetiser, &TrackInfo::opus(2), &frame)[0].marker, "a new talk spurt");
}

#[test]
fn other_codings_are_counted() {
    let mut packetiser = Packetiser::new(Codec::Opus);
    assert!(packets(&mut packetiser, &audio(), &sound(0, 10)).is_empty());
    assert_eq!(packetiser.counts().unsupported, 1);
}
