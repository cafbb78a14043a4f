//! The client's end of HLS (RFC 8216): reading playlists, and which segment comes next.

mod follow;
mod playlist;

pub use follow::{Follower, Step};
pub use playlist::{Media, Playlist, PlaylistError, Segment, Variant, parse};

#[cfg(test)]
mod tests;
