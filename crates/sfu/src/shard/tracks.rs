//! The tracks of a shard.

use std::collections::HashMap;

use super::TrackId;
use crate::track::Track;

/// Place of a track among those of its shard. Places are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrackKey(pub(crate) u32);

/// The tracks of a shard.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    slots: Vec<Option<Track>>,
    free: Vec<TrackKey>,
    by_id: HashMap<TrackId, TrackKey>,
}

impl Tracks {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn key(&self, id: TrackId) -> Option<TrackKey> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get(&self, key: TrackKey) -> Option<&Track> {
        self.slots.get(key.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: TrackKey) -> Option<&mut Track> {
        self.slots.get_mut(key.0 as usize)?.as_mut()
    }

    pub(crate) fn find_mut(&mut self, id: TrackId) -> Option<(TrackKey, &mut Track)> {
        let key = self.key(id)?;
        self.get_mut(key).map(|track| (key, track))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = TrackKey> + use<> {
        (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)).map(TrackKey)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Track> {
        self.slots.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Track> {
        self.slots.iter_mut().flatten()
    }

    /// Adds a track, unless it is there.
    pub(crate) fn insert(&mut self, track: Track) {
        if self.by_id.contains_key(&track.id) {
            return;
        }
        let key = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            TrackKey(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        self.by_id.insert(track.id, key);
        if let Some(slot) = self.slots.get_mut(key.0 as usize) {
            *slot = Some(track);
        }
    }

    pub(crate) fn remove(&mut self, id: TrackId) -> Option<(TrackKey, Track)> {
        let key = self.by_id.remove(&id)?;
        let track = self.slots.get_mut(key.0 as usize)?.take()?;
        self.free.push(key);
        Some((key, track))
    }
}
