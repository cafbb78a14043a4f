//! Our own viewer leg and that of str0m through the same scenarios, and what only ours has to bear.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod connecting;
mod media_path;
mod world;
