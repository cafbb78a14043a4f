//! Connections: TCP, TLS over it, HTTP and WebSockets over either.

mod dial;
mod http;
pub(crate) mod rtmp;
mod trust;
mod ws;

pub(crate) use dial::{Io, dial};
pub(crate) use http::{Request, request};
pub use trust::Trust;
pub(crate) use ws::open as open_ws;
