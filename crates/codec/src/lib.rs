//! Audio codecs: Opus both ways, AAC-LC both ways, and the change of sampling rates between them.
//!
//! This crate and `net` are the only homes of `unsafe`; here it is the C encoder behind [`aac::Encoder`], declared in
//! one file. What does not live here: time stamps. They are kept by `live::transcode`, which asks each codec for its
//! delay.

pub mod aac;
pub mod opus;
mod resample;

pub use resample::{ResampleError, Resampler};
