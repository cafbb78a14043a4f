use std::{collections::VecDeque, sync::Arc, thread};

use proptest::prelude::*;

use super::*;

#[test]
fn a_full_ring_gives_the_value_back_and_capacities_are_powers_of_two() {
    for (asked, given) in [(0, 1), (1, 1), (3, 4), (64, 64), (usize::MAX, 1 << 20)] {
        assert_eq!(ring::<u8>(asked).0.capacity(), given);
    }
    let (mut producer, mut consumer) = ring(2);
    assert_eq!((producer.push(1), producer.push(2), producer.push(3)), (Ok(()), Ok(()), Err(3)));
    assert_eq!((producer.len(), consumer.len()), (2, 2));
    assert_eq!(consumer.pop(), Some(1));
    assert_eq!((producer.push(4), producer.push(5)), (Ok(()), Err(5)));
    assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some(2), Some(4), None));
    assert!(producer.is_empty() && consumer.is_empty());
}

#[test]
fn a_sleeper_is_woken_once_and_does_not_sleep_on_a_value() {
    let (mut producer, mut consumer) = ring(4);
    assert!(!producer.needs_wake(), "nobody sleeps");
    assert!(consumer.park());
    producer.push(1).unwrap();
    assert!(producer.needs_wake());
    producer.push(2).unwrap();
    assert!(!producer.needs_wake(), "it was woken already");
    assert!(!consumer.park(), "there is something to take");
    assert!(!producer.needs_wake(), "it did not sleep");
    while consumer.pop().is_some() {}
    assert!(consumer.park());
    consumer.unpark();
    assert!(!producer.needs_wake(), "it is awake");
}

#[test]
fn what_nobody_took_is_dropped_with_the_ring() {
    let value = Arc::new(());
    let (mut producer, mut consumer) = ring(4);
    // Around the end of the ring, too.
    for _ in 0..3 {
        producer.push(value.clone()).unwrap();
        consumer.pop().unwrap();
    }
    for _ in 0..4 {
        producer.push(value.clone()).unwrap();
    }
    drop(producer);
    assert!(consumer.pop().is_some());
    assert_eq!(Arc::strong_count(&value), 4);
    drop(consumer);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn another_thread_gets_every_value_in_order_and_sleeps_in_between() {
    const COUNT: u64 = 100_000;
    let (mut producer, mut consumer) = ring::<Box<u64>>(64);
    let reader = thread::spawn(move || {
        let mut next = 0;
        while next < COUNT {
            while let Some(value) = consumer.pop() {
                assert_eq!(*value, next);
                next += 1;
            }
            // A missed wake leaves this thread here, and the test never ends.
            if next < COUNT && consumer.park() {
                thread::park();
            }
            consumer.unpark();
        }
    });
    for number in 0..COUNT {
        let mut value = Box::new(number);
        while let Err(back) = producer.push(value) {
            value = back;
            thread::yield_now();
        }
        let ask = number % 7 == 0 || number + 1 == COUNT || producer.len() == producer.capacity();
        if ask && producer.needs_wake() {
            reader.thread().unpark();
        }
    }
    reader.join().unwrap();
}

proptest! {
    #[test]
    fn it_is_a_bounded_queue(capacity in 1usize..9, pushes in proptest::collection::vec(any::<bool>(), 0..200)) {
        let (mut producer, mut consumer) = ring(capacity);
        let mut model = VecDeque::new();
        for (number, push) in pushes.into_iter().enumerate() {
            if push {
                let fits = model.len() < producer.capacity();
                prop_assert_eq!(producer.push(number), if fits { Ok(()) } else { Err(number) });
                if fits {
                    model.push_back(number);
                }
            } else {
                prop_assert_eq!(consumer.pop(), model.pop_front());
            }
            prop_assert_eq!((producer.len(), consumer.len()), (model.len(), model.len()));
        }
    }
}
