//! The other end of a WHEP server, light enough that thousands fit in one process: what load and simulation are made of.
//!
//! A [`Viewer`] offers and receives as Chromium does: ICE with consent, DTLS, SRTP, repair by NACK and RTX, transport-wide
//! feedback, receiver reports, key frame requests. What it has not: a jitter buffer, a decoder, TCP, and sending media.

mod answering;
mod config;
mod description;
mod feedback;
mod header;
mod ice;
mod random;
mod stream;
#[cfg(test)]
mod tests;
mod viewer;

pub use config::{Config, Counts, Event, Input, Output, Packet, Transport};
pub use viewer::Viewer;
