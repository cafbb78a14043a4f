//! Prints what the control loop of a viewer costs and how much memory it has:
//! `cargo run --release -p stentor-rtc --example bandwidth`.
//!
//! The figures are time on one thread over 4,000 viewers, so that none of them stays in the cache; a busy machine makes
//! them larger. The best of several rounds is the one to compare.

use std::time::{Duration, Instant};

use media::Ssrc;
use stentor_rtc::bandwidth::Bandwidth;
use stentor_rtc::rtcp::{Packet, read, write};

const VIEWERS: usize = 4_000;
const PACKETS: usize = 14;
const ROUNDS: usize = 60;

fn main() {
    let mut now = Instant::now();
    let mut viewers: Vec<Bandwidth> = (0..VIEWERS).map(|_| Bandwidth::new(now)).collect();
    println!("{} bytes a viewer, and 2 KiB of history", size_of::<Bandwidth>());
    let mut costs = Vec::new();
    let mut arrives = 1_000_000;
    for round in 0..ROUNDS {
        let mut sending = Duration::ZERO;
        let mut statuses = [None; PACKETS];
        let mut base = 0;
        for (position, status) in statuses.iter_mut().enumerate() {
            now += Duration::from_micros(4_750);
            arrives += 4_750 + i64::from(round % 7 == position % 7) * 900;
            *status = Some(arrives);
            let begin = Instant::now();
            for viewer in &mut viewers {
                let _ = viewer.allowance(now);
                let number = viewer.sent(now, 1_150);
                base = if position == 0 { number } else { base };
            }
            sending += begin.elapsed();
        }
        let mut space = [0; 200];
        let (length, _) = write::transport_feedback(&mut space, Ssrc(1), Ssrc(2), base, 0, &statuses);
        let compound = space.get(..length).unwrap_or_default();
        let begin = Instant::now();
        for viewer in &mut viewers {
            for packet in read(compound) {
                if let Packet::Transport(feedback) = packet {
                    viewer.feedback(now, &feedback);
                }
            }
        }
        costs.push((begin.elapsed(), sending));
    }
    let each = |times: fn(&(Duration, Duration)) -> Duration| {
        let mut times: Vec<u128> = costs.iter().map(|cost| times(cost).as_nanos() / VIEWERS as u128).collect();
        times.sort_unstable();
        (times.first().copied().unwrap_or(0), times.get(times.len() / 2).copied().unwrap_or(0))
    };
    let ((feedback, feedback_median), (sending, sending_median)) = (each(|cost| cost.0), each(|cost| cost.1));
    println!("feedback of {PACKETS} packets, read and applied: best {feedback} ns, median {feedback_median} ns");
    let packets = PACKETS as u128;
    println!("allowance and number of a packet: best {} ns, median {} ns", sending / packets, sending_median / packets);
}
