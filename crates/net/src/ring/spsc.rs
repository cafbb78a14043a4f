//! The ring: single producer, single consumer, bounded.
//!
//! Positions count up and wrap; a position's slot is its lowest bits. `tail - head` values are in the ring: slots from
//! `head` up to `tail` hold values and are the consumer's, all others are empty and the producer's. Each end owns one
//! position, publishes it with Release, and reads the other's with Acquire, only when what it knew of it does not suffice.

use std::{fmt, mem::MaybeUninit};

use super::sync::{Arc, AtomicUsize, Ordering, UnsafeCell, fence};

/// Most values that a ring can be made for.
const CAPACITY_MAX: usize = 1 << 20;
/// No parking.
const AWAKE: usize = 0;

/// A ring for so many values at least: the next power of two, and one at least, 2^20 at most.
pub fn ring<T: Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let capacity = capacity.clamp(1, CAPACITY_MAX).next_power_of_two();
    let shared = Arc::new(Shared {
        slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        head: Padded(AtomicUsize::new(0)),
        tail: Padded(AtomicUsize::new(0)),
        parked: Padded(AtomicUsize::new(AWAKE)),
    });
    (
        Producer { shared: shared.clone(), head: 0, tail: 0, woken: AWAKE },
        Consumer { shared, head: 0, tail: 0, parkings: 0 },
    )
}

/// The end that writes.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// The consumer's position as it was last seen.
    head: usize,
    /// Ours.
    tail: usize,
    /// The parking of the consumer that was answered last.
    woken: usize,
}

/// The end that reads.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// Ours.
    head: usize,
    /// The producer's position as it was last seen.
    tail: usize,
    /// How often it has parked.
    parkings: usize,
}

struct Shared<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    head: Padded<AtomicUsize>,
    tail: Padded<AtomicUsize>,
    /// Which parking the consumer is in, counted from 1, or `AWAKE`. Only the consumer writes it.
    parked: Padded<AtomicUsize>,
}

/// Alone in its cache line, and in the pair of lines that some processors fetch together.
#[repr(align(128))]
struct Padded<T>(T);

// SAFETY: the only parts of `Shared` that are not Sync themselves are the slots. A slot is accessed by the producer while
// it is outside of `head..tail` and by the consumer while it is inside, and each hands it over by a Release store that the
// other reads with Acquire before it touches the slot; so no two accesses are at once. There is one end of each kind, since
// neither is Clone and their methods take `&mut self`. Values cross threads, so T has to be Send.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; the values in the slots are the only thing that would not be Send, and are where T is.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Producer<T> {
    /// Adds a value.
    ///
    /// # Errors
    /// Gives the value back where the ring is full.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        let slots = &self.shared.slots;
        if self.tail.wrapping_sub(self.head) >= slots.len() {
            // Acquire: what the consumer did with the slot comes before what we do with it.
            self.head = self.shared.head.0.load(Ordering::Acquire);
            if self.tail.wrapping_sub(self.head) >= slots.len() {
                return Err(value);
            }
        }
        let Some(slot) = slots.get(self.tail & (slots.len() - 1)) else { return Err(value) };
        // SAFETY: `tail` is outside of `head..tail`, so the slot is empty and nobody else's (see `Shared`).
        slot.with_mut(|slot| unsafe { (*slot).write(value) });
        self.tail = self.tail.wrapping_add(1);
        // Release: whoever sees the new tail sees the value.
        self.shared.tail.0.store(self.tail, Ordering::Release);
        Ok(())
    }

    /// Whether the consumer sleeps and has to be woken: true once for each time that it parked. Ask after a batch of
    /// values; an answer of false means that the consumer will find all that was pushed before.
    #[inline]
    pub fn needs_wake(&mut self) -> bool {
        // With the fence in `park`: of the consumer's parking and our values, one of us at least sees the other's.
        fence(Ordering::SeqCst);
        let parked = self.shared.parked.0.load(Ordering::Relaxed);
        let asleep = parked != AWAKE && parked != self.woken;
        self.woken = parked;
        asleep
    }

    /// Values in the ring; the consumer may have taken some of them by now.
    pub fn len(&self) -> usize {
        self.tail.wrapping_sub(self.shared.head.0.load(Ordering::Acquire))
    }

    /// Whether the consumer has taken all that was pushed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values that the ring has room for.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest value.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.head == self.tail {
            // Acquire: the values up to there were written before.
            self.tail = self.shared.tail.0.load(Ordering::Acquire);
            if self.head == self.tail {
                return None;
            }
        }
        let slots = &self.shared.slots;
        let slot = slots.get(self.head & (slots.len() - 1))?;
        // SAFETY: `head` is inside of `head..tail`, so the slot holds a value and is ours; it is read once, since `head`
        // goes on and the slot counts as empty from then.
        let value = slot.with_mut(|slot| unsafe { (*slot).assume_init_read() });
        self.head = self.head.wrapping_add(1);
        // Release: we are done with the slot before the producer may have it.
        self.shared.head.0.store(self.head, Ordering::Release);
        Some(value)
    }

    /// Says that the thread is about to sleep. True where it may: the ring is empty, and the producer will learn from
    /// `needs_wake` that it has to wake us. False where a value has come; then nothing has to be undone.
    #[inline]
    pub fn park(&mut self) -> bool {
        // A number of its own, so that the producer knows which parking it has answered.
        self.parkings = self.parkings.wrapping_add(1).max(1);
        self.shared.parked.0.store(self.parkings, Ordering::Relaxed);
        // With the fence in `needs_wake`: either we see the value below, or the producer sees that we park.
        fence(Ordering::SeqCst);
        self.tail = self.shared.tail.0.load(Ordering::Acquire);
        if self.head == self.tail {
            return true;
        }
        self.unpark();
        false
    }

    /// Says that the thread is awake. Where this is forgotten, one wake too many is the worst.
    #[inline]
    pub fn unpark(&mut self) {
        self.shared.parked.0.store(AWAKE, Ordering::Relaxed);
    }

    /// Values in the ring; the producer may have added some by now.
    pub fn len(&self) -> usize {
        self.shared.tail.0.load(Ordering::Acquire).wrapping_sub(self.head)
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Both ends are gone, and what they did came before this.
        let mut head = self.head.0.load(Ordering::Acquire);
        let tail = self.tail.0.load(Ordering::Acquire);
        while head != tail {
            if let Some(slot) = self.slots.get(head & (self.slots.len() - 1)) {
                // SAFETY: slots in `head..tail` hold values, and nobody else has the ring any more.
                slot.with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            }
            head = head.wrapping_add(1);
        }
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("len", &self.len()).finish_non_exhaustive()
    }
}
