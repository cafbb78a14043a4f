//! How media threads hand values to each other: a bounded ring with one end for writing and one for reading, without locks.
//!
//! A thread that has nothing to do sleeps in `MediaSocket::wait`, and whoever writes to its ring has to wake it; a system
//! call for each value would cost more than the value. So the reader says before it sleeps that it does (`park`), the
//! writer asks after a batch of values whether somebody sleeps (`needs_wake`), and between them no value is missed:
//!
//! ```
//! let (mut writer, mut reader) = stentor_net::ring::ring::<u32>(1_024);
//! // The writing thread, after a batch:
//! let refused = writer.push(7).is_err(); // the ring is full: drop it and count it
//! if writer.needs_wake() { /* Waker::wake of the reading thread */ }
//! // The reading thread, once a round:
//! while let Some(value) = reader.pop() { assert_eq!(value, 7); }
//! let idle = reader.park(); // where false: poll with a timeout of 0
//! // … MediaSocket::wait …
//! reader.unpark();
//! # assert!(idle && !refused);
//! ```
//!
//! The model checker runs this very code in `tests/ring_model.rs`, with its own atomics in the place of `sync`.

mod spsc;
mod sync;
#[cfg(test)]
mod tests;

pub use spsc::{Consumer, Producer, ring};
