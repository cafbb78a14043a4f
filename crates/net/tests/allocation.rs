//! Sending and taking datagrams costs no allocation, however many there are: nothing on the path of a packet may wait for
//! the allocator. A file of its own, since it counts what the whole program allocates.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::{Duration, Instant},
};

use stentor_net::{MediaSocket, Protocol};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed to the system's allocator unchanged; counting touches a cell that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn bind(addr: &str) -> MediaSocket {
    MediaSocket::bind(addr.parse().unwrap(), Instant::now()).unwrap()
}

/// Sends runs and a single back and forth, and takes all of it; datagrams taken.
fn exchange(here: &mut MediaSocket, there: &mut MediaSocket, rounds: usize) -> usize {
    let (run, mut got) = ([7; 5 * 1_200 + 50], 0);
    let now = Instant::now();
    for round in 0..rounds {
        let (from, to) = if round % 2 == 0 { (&mut *here, &mut *there) } else { (&mut *there, &mut *here) };
        let addr = to.local_addr();
        from.send(Protocol::Udp, addr, &run, 1_200);
        from.send(Protocol::Udp, addr, &[9; 40], 40);
        let end = got + 7;
        while got < end && now.elapsed() < Duration::from_secs(20) {
            to.wait(now, Duration::from_millis(100), &mut |received| got += usize::from(!received.bytes.is_empty()))
                .unwrap();
        }
    }
    got
}

#[test]
fn neither_sending_nor_taking_allocates() {
    let (mut here, mut there) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    // What is kept from then on is allocated once.
    assert_eq!(exchange(&mut here, &mut there, 4), 28);
    let before = ALLOCATIONS.get();
    assert!(before > 0, "this thread is counted");
    assert_eq!(exchange(&mut here, &mut there, 1_000), 7_000);
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(here.stats().sent_runs + there.stats().sent_runs, 1_004);
}
