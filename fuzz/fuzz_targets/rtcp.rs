//! RTCP: any bytes are read without a crash and within the limits, and feedback that is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media::Ssrc;
use rtc::rtcp::{BLOCKS_MAX, Feedback, NACK_NUMBERS_MAX, PACKETS_MAX, Packet, STATUSES_MAX, read, write};

fuzz_target!(|bytes: &[u8]| {
    let mut count = 0;
    for packet in read(bytes) {
        count += 1;
        match packet {
            Packet::SenderReport(report) => assert!(report.blocks().count() <= BLOCKS_MAX),
            Packet::ReceiverReport(report) => assert!(report.blocks().count() <= BLOCKS_MAX),
            Packet::Description(description) => assert!(description.cnames().count() <= BLOCKS_MAX),
            Packet::Nack(nack) => assert!(nack.numbers().count() <= NACK_NUMBERS_MAX),
            Packet::Fir(fir) => assert!(fir.requests().count() <= bytes.len() / 8),
            Packet::Transport(feedback) => again(feedback),
            Packet::Pli { .. } | Packet::Remb { .. } | Packet::Bye | Packet::Other => {}
        }
    }
    assert!(count <= PACKETS_MAX);
});

fn again(feedback: Feedback<'_>) {
    let statuses: Vec<_> = feedback.packets().map(|(_, arrived)| arrived).collect();
    assert_eq!(statuses.len(), usize::from(feedback.status_count).min(STATUSES_MAX));
    let mut space = [0; 2_048];
    let (length, covered) = write::transport_feedback(&mut space, Ssrc(1), Ssrc(2), feedback.base, 0, &statuses);
    let Some(Packet::Transport(again)) = read(&space[..length]).next() else {
        assert_eq!((length, covered), (0, 0), "what is written is read");
        return;
    };
    let first = statuses.iter().flatten().next().copied().unwrap_or(0);
    let shift = first.div_euclid(rtc::rtcp::REFERENCE_TICK_US) * rtc::rtcp::REFERENCE_TICK_US;
    let read_again: Vec<_> = again.packets().map(|(_, arrived)| arrived.map(|at| at + shift)).collect();
    assert_eq!(read_again, statuses[..covered]);
}
