//! What the ring is made of. The model (`tests/ring_model.rs`) has the same names from the model checker.

pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering, fence},
};

/// `std::cell::UnsafeCell` with the door that the model checker watches.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}
