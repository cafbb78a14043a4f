//! Webhooks, against the real binary and a real HTTP server that does what receivers do, and what they should not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "a test exports nothing, and the rig is shared with others"
)]

mod bodies;
mod outbox;
mod receiver;
#[path = "../rig/mod.rs"]
mod rig;
mod veto;

use receiver::Receiver;

/// A configuration with one open application and one webhook, whose further settings are `rest`.
fn configuration(receiver: &Receiver, rest: &str) -> String {
    format!("{}[[webhook]]\nurl = \"{}\"\n{rest}\n", rig::server::OPEN, receiver.url())
}
