//! The ring between media threads, under a model checker: every order in which two threads can run and every value that
//! the memory model lets them see. This compiles the ring's own source again, with the checker's atomics and cells in the
//! place of the standard library's, so that it runs with all other tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use loom::{
    alloc::Track,
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// What `src/ring/sync.rs` is in the crate.
mod sync {
    pub(crate) use loom::{
        cell::UnsafeCell,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering, fence},
        },
    };
}

#[path = "../src/ring/spsc.rs"]
#[allow(dead_code, unreachable_pub, reason = "the crate's public face, of which the model uses a part")]
mod spsc;

use spsc::ring;

/// What an eventfd is to a media thread: set by a wake, and sleeping ends at once while it is set.
#[derive(Default)]
struct Alarm {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Alarm {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

#[test]
fn values_arrive_whole_once_and_in_order_also_where_the_ring_is_full() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let writer = thread::spawn(move || {
            for number in 0..3 {
                let mut value = Box::new(number);
                while let Err(back) = producer.push(value) {
                    value = back;
                    thread::yield_now();
                }
            }
        });
        for number in 0..3 {
            let value = loop {
                match consumer.pop() {
                    Some(value) => break value,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(*value, number);
        }
        assert!(consumer.pop().is_none());
        writer.join().unwrap();
    });
}

#[test]
fn whichever_end_goes_first_every_value_is_dropped_once() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let writer = thread::spawn(move || {
            for number in 0..3 {
                // The third may find the ring full; it is dropped here then.
                let _ = producer.push(Track::new(number));
            }
        });
        drop(consumer.pop());
        drop(consumer);
        writer.join().unwrap();
        // The checker ends the test where a tracked value is left over.
    });
}

#[test]
fn a_sleeping_reader_is_always_woken() {
    let all = loom::model::Builder::new();
    all.check(|| sleep_and_wake(1));
    // All orders of two, which pass as well, take too long for every day. Three switches that no thread asked for make
    // nearly all of them.
    let mut most = loom::model::Builder::new();
    most.preemption_bound = Some(3);
    most.check(|| sleep_and_wake(2));
}

/// The reader sleeps where it may until it has all values; a missed wake is a deadlock, which the checker finds.
fn sleep_and_wake(values: usize) {
    let (mut producer, mut consumer) = ring(2);
    let alarm = Arc::new(Alarm::default());
    let waker = alarm.clone();
    let writer = thread::spawn(move || {
        for value in 0..values {
            producer.push(value).unwrap();
            if producer.needs_wake() {
                waker.ring();
            }
        }
    });
    let mut next = 0;
    while next < values {
        while let Some(value) = consumer.pop() {
            assert_eq!(value, next);
            next += 1;
        }
        if next < values && consumer.park() {
            alarm.sleep();
        }
        consumer.unpark();
    }
    writer.join().unwrap();
}
