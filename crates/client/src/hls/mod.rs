//! The client's end of HLS (RFC 8216): reading playlists, and which segment comes next.

mod follow;
mod playlist;

pub use follow::{Follower, Step};
pub use playlist::{Media, PlaylistError, Playlist, Segment, Variant, parse};

#[cfg(test)]
mod tests;
