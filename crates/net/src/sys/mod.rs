//! What the standard library has no door to: runs of datagrams in one system call, both ways.
//!
//! Both forms have the same functions, so nobody outside asks which system this is.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::*;

use std::net::SocketAddr;

/// What one read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Bytes read.
    pub(crate) length: usize,
    /// Who sent them.
    pub(crate) from: SocketAddr,
    /// Where several datagrams came at once: the length of each but the last, which may be shorter. 0 where there is one.
    pub(crate) segment: usize,
}
