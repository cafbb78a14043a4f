//! What a shard holds, counted: for whoever wants to know that nothing is left.

use super::Shard;

/// Things that a shard holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Legs.
    pub legs: usize,
    /// Tracks.
    pub tracks: usize,
    /// Addresses of peers that are known.
    pub addresses: usize,
    /// User names of legs that are known.
    pub users: usize,
    /// Timers of legs.
    pub timers: usize,
    /// Legs and tracks that wait for their turn.
    pub waiting: usize,
    /// What is known of tracks of other shards, and which of them know of those of this one.
    pub elsewhere: usize,
    /// Events and mail that nobody has taken.
    pub events: usize,
}

impl Shard {
    /// Counts what the shard holds. It looks at everything: not for every packet.
    pub fn census(&self) -> Census {
        let (addresses, users) = self.demux.names();
        Census {
            legs: self.legs.len(),
            tracks: self.tracks.len(),
            addresses,
            users,
            timers: self.legs.timers(),
            waiting: self.legs.waiting() + self.flush.waiting(),
            elsewhere: self.homes.len() + self.awaited.len(),
            events: self.events.len() + self.mails.len(),
        }
    }
}
