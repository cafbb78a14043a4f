//! The control loop of a viewer allocates nothing once it runs: a server has thousands of them. Alone in its binary, since
//! the allocator counts for the whole process.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use media::Ssrc;
use stentor_rtc::bandwidth::{Bandwidth, Rising, choose_layer, wanted_bps};
use stentor_rtc::rtcp::{Packet, read, write};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps what `System` asks of it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LAYERS: [u64; 3] = [150_000, 500_000, 1_500_000];

/// A second of 206 packets, with feedback, a timer and a choice of layer every 66 ms. Gives what the viewer reports.
fn second(bandwidth: &mut Bandwidth, rising: &mut Rising, now: &mut Instant, arrives: &mut i64) -> u64 {
    let mut read_packets = 0;
    for count in 0..15u8 {
        let mut statuses = [None; 14];
        let mut base = None;
        for status in &mut statuses {
            *now += Duration::from_micros(4_750);
            let _ = bandwidth.allowance(*now);
            let padding = bandwidth.padding(*now).min(50);
            let number = bandwidth.sent(*now, 1_150 + padding);
            base.get_or_insert(number);
            *arrives += 4_750;
            *status = (number % 50 != 7).then_some(*arrives);
        }
        let mut space = [0; 200];
        let base = base.expect("packets were sent");
        let (length, _) = write::transport_feedback(&mut space, Ssrc(1), Ssrc(2), base, count, &statuses);
        for packet in read(&space[..length]) {
            if let Packet::Transport(feedback) = packet {
                bandwidth.feedback(*now, &feedback);
                read_packets += feedback.packets().count() as u64;
            }
        }
        bandwidth.report(*now, 5, Some(Duration::from_millis(40)));
        let estimate_bps = bandwidth.estimate_bps().unwrap_or_default();
        let layer = choose_layer(rising, *now, estimate_bps, bandwidth.proven_bps(*now), 1, &LAYERS);
        bandwidth.want(wanted_bps(layer, &LAYERS));
        let _ = bandwidth.next_timer();
    }
    read_packets
}

#[test]
fn nothing_is_allocated_while_it_runs() {
    let mut now = Instant::now();
    let (mut bandwidth, mut rising, mut arrives) = (Bandwidth::new(now), Rising::default(), 5_000_000);
    assert_eq!(second(&mut bandwidth, &mut rising, &mut now, &mut arrives), 210);
    let before = ALLOCATIONS.with(Cell::get);
    assert!(before > 0, "allocations are counted");
    let packets: u64 = (0..60).map(|_| second(&mut bandwidth, &mut rising, &mut now, &mut arrives)).sum();
    assert_eq!((ALLOCATIONS.with(Cell::get) - before, packets), (0, 60 * 210));
    assert!(bandwidth.estimate_bps().is_some_and(|bps| bps > 1_000_000), "{:?}", bandwidth.estimate_bps());
}
