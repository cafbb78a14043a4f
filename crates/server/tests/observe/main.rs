//! What operators see of the real binary: `/v1` as its description says, metrics, logs, traces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(unreachable_pub, reason = "a test exports nothing")]

mod logs;
mod metrics;
mod rest;
#[path = "../rig/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests use the rest of it")]
mod rig;
mod traces;
