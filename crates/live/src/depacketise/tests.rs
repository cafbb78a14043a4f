use bytes::Bytes;
use media::{SeqNo, h264::nal_type};
use proptest::prelude::*;

use super::*;
use crate::{
    packetise::Packetiser,
    sample::{number, slice, video},
};

const EPOCH_US: i64 = 1_700_000_000_000_000;

/// A picture of some slices, 40 ms after the one before.
fn frame(key: bool, number: u64, slices: &[usize]) -> Frame {
    let time = MediaTime(900_000 + number as i64 * 3_600);
    let units = slices.iter().enumerate().map(|(at, bytes)| slice(key, number << 8 | at as u64, *bytes));
    Frame {
        codec: Codec::H264,
        flags: Flags { key, ..Flags::default() },
        dts: time,
        pts: time,
        wall: WallTime(EPOCH_US + number as i64 * 40_000),
        payload: units.collect(),
    }
}

/// The packets of frames, each with the number of its frame.
fn packets(frames: &[Frame], track: &TrackInfo) -> Vec<(usize, RtpPacket)> {
    let mut packetiser = Packetiser::new(Codec::H264);
    let now = Instant::now();
    let mut out = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        let mut one = Vec::new();
        packetiser.packetise(now, track, frame, &mut one);
        out.extend(one.into_iter().map(|packet| (at, packet)));
    }
    out
}

struct Receiver {
    depacketiser: Depacketiser,
    align: Align,
    now: Instant,
    outputs: Vec<Output>,
}

impl Receiver {
    fn new(codec: Codec) -> Self {
        let depacketiser = Depacketiser::new(codec).unwrap();
        Self { depacketiser, align: Align::default(), now: Instant::now(), outputs: Vec::new() }
    }

    fn push(&mut self, packet: RtpPacket) {
        self.depacketiser.push(self.now, packet);
        self.poll();
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(output) = self.depacketiser.poll(self.now, &mut self.align) {
            self.outputs.push(output);
        }
    }

    fn frames(&self) -> Vec<&Frame> {
        let frames = self.outputs.iter().filter_map(|output| match output {
            Output::Frame(frame) => Some(frame),
            _ => None,
        });
        frames.collect()
    }

    fn asks(&self) -> usize {
        self.outputs.iter().filter(|output| **output == Output::NeedKeyFrame).count()
    }

    fn tracks(&self) -> usize {
        self.outputs.iter().filter(|output| matches!(output, Output::Track(_))).count()
    }
}

/// Groups of five pictures.
fn five(count: u64) -> Vec<Frame> {
    (0..count).map(|number| frame(number % 5 == 0, number, &[2_500, 40])).collect()
}

#[test]
fn frames_come_back_as_they_were() {
    let frames = five(20);
    let mut receiver = Receiver::new(Codec::H264);
    for (_, packet) in packets(&frames, &video(0)) {
        receiver.push(packet);
    }
    assert_eq!(receiver.outputs[0], Output::Track(video(0)));
    assert_eq!((receiver.tracks(), receiver.asks()), (1, 0));
    let got = receiver.frames();
    assert_eq!(got.len(), frames.len());
    for (pair, sent) in got.windows(2).zip(&frames) {
        assert_eq!((&pair[0].payload, pair[0].flags), (&sent.payload, sent.flags));
        assert_eq!(pair[1].dts - pair[0].dts, 3_600);
        assert_eq!(pair[0].wall, sent.wall);
    }
}

#[test]
fn a_missing_packet_is_waited_for_and_then_given_up_once() {
    let frames = five(10);
    let mut all = packets(&frames, &video(0));
    let lost = all.iter().position(|(at, _)| *at == 2).unwrap();
    all.remove(lost);
    let mut receiver = Receiver::new(Codec::H264);
    let mut deadline = None;
    for (at, packet) in all {
        receiver.push(packet);
        if at == 2 && deadline.is_none() {
            deadline = receiver.depacketiser.poll_timeout();
            assert_eq!(deadline, Some(receiver.now + REORDER_DEADLINE));
        }
    }
    assert_eq!(receiver.frames().len(), 2, "nothing passes the gap");
    receiver.wait(199);
    assert_eq!((receiver.frames().len(), receiver.asks()), (2, 0));
    receiver.wait(1);
    assert_eq!(receiver.asks(), 1);
    let got: Vec<u64> = receiver.frames().iter().map(|frame| number(frame) >> 8).collect();
    assert_eq!(got, [0, 1, 5, 6, 7, 8, 9]);
    assert!(receiver.frames()[2].flags.discontinuity && !receiver.frames()[3].flags.discontinuity);
    assert_eq!(receiver.depacketiser.poll_timeout(), None);
    let counts = receiver.depacketiser.counts();
    assert_eq!((counts.lost, counts.frames_dropped), (1, 3));
}

#[test]
fn who_comes_in_the_middle_asks_once_and_waits() {
    let frames = five(10);
    let mut receiver = Receiver::new(Codec::H264);
    for (at, packet) in packets(&frames, &video(0)) {
        if at > 0 {
            receiver.push(packet);
        }
    }
    assert_eq!(receiver.asks(), 1);
    assert_eq!(receiver.frames().len(), 5);
}

#[test]
fn a_change_of_the_parameter_sets_is_a_new_track() {
    let frames = five(10);
    let mut receiver = Receiver::new(Codec::H264);
    let (first, second) = (packets(&frames, &video(0)), packets(&frames, &video(1)));
    for (at, packet) in first.into_iter().filter(|(at, _)| *at < 5).chain(second.into_iter().filter(|(at, _)| *at >= 5))
    {
        assert!(at < 10);
        receiver.push(packet);
    }
    let at = receiver.outputs.iter().position(|output| *output == Output::Track(video(1))).unwrap();
    assert_eq!(at, 6);
    assert!(matches!(&receiver.outputs[at + 1], Output::Frame(frame) if frame.flags.key));
}

#[test]
fn a_sender_that_sets_no_marker_is_understood() {
    let frames = five(10);
    let mut receiver = Receiver::new(Codec::H264);
    for (_, packet) in packets(&frames, &video(0)) {
        receiver.push(RtpPacket { marker: false, ..packet });
    }
    assert_eq!(receiver.frames().len(), 9, "the last one has not ended");
}

#[test]
fn delimiters_filler_and_padding_vanish() {
    let mut key = frame(true, 0, &[100]);
    key.payload.units.insert(0, Bytes::from_static(&[9, 0x10]));
    key.payload.units.push(Bytes::from_static(&[12, 0xff, 0x80]));
    let mut all = packets(&[key, frame(false, 1, &[100])], &video(0));
    let last = all.pop().unwrap().1;
    let mut receiver = Receiver::new(Codec::H264);
    for (_, packet) in all {
        receiver.push(packet);
    }
    receiver.push(RtpPacket { payload: Bytes::new(), marker: false, ..last });
    receiver.push(RtpPacket { seq: last.seq.next(), ..last });
    let frames = receiver.frames();
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].payload.units.iter().map(|unit| nal_type(unit)).collect::<Vec<_>>(), [5]);
}

#[test]
fn flags_are_told_from_the_slices() {
    let mut b = frame(false, 1, &[20]);
    // nal_ref_idc 0, first_mb_in_slice 0, slice_type 1.
    b.payload = Payload::single(Bytes::from_static(&[0x01, 0b1010_0000, 7]));
    let mut receiver = Receiver::new(Codec::H264);
    for (_, packet) in packets(&[frame(true, 0, &[20]), b], &video(0)) {
        receiver.push(packet);
    }
    let flags = receiver.frames()[1].flags;
    assert_eq!(flags, Flags { b_frame: true, discardable: true, ..Flags::default() });
}

#[test]
fn types_that_mode_1_lacks_are_counted_and_end_the_group() {
    let frames = five(6);
    let mut receiver = Receiver::new(Codec::H264);
    for (at, packet) in packets(&frames, &video(0)) {
        let payload = if at == 2 { Bytes::from_static(&[25, 0, 0, 0, 1, 0x41]) } else { packet.payload };
        receiver.push(RtpPacket { payload, ..packet });
    }
    let got: Vec<u64> = receiver.frames().iter().map(|frame| number(frame) >> 8).collect();
    assert_eq!(got, [0, 1, 5]);
    assert!(receiver.depacketiser.counts().malformed > 0);
}

#[test]
fn a_frame_without_end_is_dropped_at_its_bound() {
    let now = Instant::now();
    let mut receiver = Receiver::new(Codec::H264);
    let mut payload = vec![0x5c; 60_000];
    payload[1] = 0x05;
    for n in 0..200u64 {
        payload[1] = if n == 0 { 0x85 } else { 0x05 };
        let packet = RtpPacket {
            codec: Codec::H264,
            layer: 0,
            seq: SeqNo(n),
            time: MediaTime(0),
            wall: WallTime(0),
            arrived: now,
            marker: false,
            key_start: false,
            audio_level: None,
            payload: payload.clone().into(),
        };
        receiver.push(packet);
    }
    assert!(receiver.depacketiser.counts().overflows >= 1);
    assert!(receiver.frames().is_empty());
}

#[test]
fn nobody_polls_and_nothing_grows() {
    let frames = five(5_000);
    let mut depacketiser = Depacketiser::new(Codec::H264).unwrap();
    let now = Instant::now();
    for (_, packet) in packets(&frames, &video(0)) {
        depacketiser.push(now, packet);
        assert!(depacketiser.ready.len() <= FRAMES_MAX + 2);
    }
    assert!(depacketiser.counts().overflows > 0);
    let mut align = Align::default();
    assert_eq!(depacketiser.poll(now, &mut align), Some(Output::Track(video(0))), "what is announced still holds");
}

fn opus(seq: u64, payload: &'static [u8]) -> RtpPacket {
    RtpPacket {
        codec: Codec::Opus,
        layer: 0,
        seq: SeqNo(seq),
        time: MediaTime(seq as i64 * 960),
        wall: WallTime(EPOCH_US + seq as i64 * 20_000),
        arrived: Instant::now(),
        marker: false,
        key_start: true,
        audio_level: None,
        payload: Bytes::from_static(payload),
    }
}

#[test]
fn opus_comes_in_order_and_a_loss_is_a_gap_in_time() {
    let mut receiver = Receiver::new(Codec::Opus);
    for seq in [0, 2, 1, 4, 5] {
        receiver.push(opus(seq, &[0xfc, 1]));
    }
    receiver.push(opus(6, &[]));
    receiver.wait(200);
    assert_eq!(receiver.outputs[0], Output::Track(TrackInfo::opus(2)));
    let frames = receiver.frames();
    let since: Vec<i64> = frames.iter().map(|frame| frame.dts - frames[0].dts).collect();
    assert_eq!(since, [0, 960, 1_920, 3_840, 4_800]);
    assert!(frames.iter().all(|frame| frame.flags.key));
    let after_loss: Vec<bool> = frames.iter().map(|frame| frame.flags.discontinuity).collect();
    assert_eq!(after_loss, [false, false, false, true, false]);
    let counts = receiver.depacketiser.counts();
    assert_eq!((counts.lost, counts.malformed, receiver.asks()), (1, 1, 0));
}

#[test]
fn what_has_no_frame_form_is_refused_in_words() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H265, Codec::Aac] {
        let refusal = Depacketiser::new(codec).unwrap_err().to_string();
        assert!(refusal.starts_with(codec.name()), "{refusal}");
    }
}

/// Pictures in groups, each of some slices.
fn any_frames() -> impl Strategy<Value = Vec<Frame>> {
    let picture = (proptest::bool::weighted(0.2), proptest::collection::vec(10usize..4_000, 1..4));
    proptest::collection::vec(picture, 1..40).prop_map(|pictures| {
        let one =
            |(number, (key, slices)): (usize, (bool, Vec<usize>))| frame(key || number == 0, number as u64, &slices);
        pictures.into_iter().enumerate().map(one).collect()
    })
}

/// Packets a little out of order: each is held back by up to nine places.
fn shuffled(all: Vec<(usize, RtpPacket)>, delays: &[usize]) -> Vec<(usize, RtpPacket)> {
    let mut keyed: Vec<_> = all.into_iter().enumerate().collect();
    keyed.sort_by_key(|(at, _)| if *at == 0 { 0 } else { at + delays[at % delays.len()] });
    keyed.into_iter().map(|(_, packet)| packet).collect()
}

proptest! {
    #[test]
    fn any_order_gives_the_same_frames(frames in any_frames(), delays in proptest::collection::vec(0usize..10, 1..50)) {
        let mut receiver = Receiver::new(Codec::H264);
        for (_, packet) in shuffled(packets(&frames, &video(0)), &delays) {
            receiver.push(packet.clone());
            receiver.push(packet);
            receiver.wait(1);
        }
        let got: Vec<&Payload> = receiver.frames().iter().map(|frame| &frame.payload).collect();
        prop_assert_eq!(got, frames.iter().map(|frame| &frame.payload).collect::<Vec<_>>());
        prop_assert_eq!(receiver.asks(), 0);
    }

    #[test]
    fn a_loss_costs_the_rest_of_its_group_and_nothing_else(
        frames in any_frames(),
        delays in proptest::collection::vec(0usize..10, 1..50),
        losses in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
    ) {
        let all = packets(&frames, &video(0));
        let lost: Vec<usize> = losses.iter().map(|index| index.index(all.len())).collect();
        let broken: Vec<usize> = lost.iter().map(|at| all[*at].0).collect();
        let kept = all.into_iter().enumerate().filter(|(at, _)| !lost.contains(at)).map(|(_, packet)| packet).collect();
        let mut receiver = Receiver::new(Codec::H264);
        for (_, packet) in shuffled(kept, &delays) {
            receiver.push(packet);
            receiver.wait(1);
        }
        receiver.wait(1_000);
        let mut open = false;
        let due = frames.iter().enumerate().filter(|(at, frame)| {
            open = (open || frame.flags.key) && !broken.contains(at);
            open
        });
        let due: Vec<&Payload> = due.map(|(_, frame)| &frame.payload).collect();
        let got: Vec<&Payload> = receiver.frames().iter().map(|frame| &frame.payload).collect();
        prop_assert_eq!(got, due);
        prop_assert!(receiver.asks() <= lost.len() + 1);
    }

    #[test]
    fn hostile_payloads_cost_nothing(
        payloads in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..60), 0u64..60, 0i64..4, any::<bool>()), 0..80)
    ) {
        let mut receiver = Receiver::new(Codec::H264);
        for (payload, seq, time, marker) in payloads {
            let packet = opus(seq, &[]);
            receiver.push(RtpPacket { codec: Codec::H264, time: MediaTime(time), marker, payload: payload.into(), ..packet });
            receiver.wait(30);
        }
        prop_assert!(receiver.frames().iter().all(|frame| !frame.payload.is_empty()));
    }
}
