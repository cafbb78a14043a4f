//! Finding the leg of a datagram: by the sender's address, or by the user name of a STUN request. O(1), no allocation.

use std::{collections::HashMap, net::SocketAddr};

use rtc::Protocol;
use smallvec::SmallVec;

use crate::{
    shard::{LegId, Legs},
    stats::Drop,
};

/// Addresses of one leg that are known at once: a browser tries a handful, and moves between networks.
const ADDRESSES_MAX: usize = 8;
/// Addresses that one leg may prove in one ICE session: the ICE agent keeps each of them.
const ADDRESSES_PROVEN_MAX: u32 = 64;

/// An address of a peer.
pub(crate) type Remote = (Protocol, SocketAddr);

/// What is known of one leg here.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ufrag: String,
    remotes: SmallVec<[Remote; 2]>,
    proven: u32,
}

/// Which leg a datagram is for.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    by_remote: HashMap<Remote, LegId>,
    by_ufrag: HashMap<String, LegId>,
    known: HashMap<LegId, Known>,
}

impl Demux {
    pub(crate) fn add(&mut self, id: LegId, ufrag: &str) {
        self.by_ufrag.insert(ufrag.to_owned(), id);
        self.known.insert(id, Known { ufrag: ufrag.to_owned(), ..Known::default() });
    }

    /// Addresses and user names that are known.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.by_remote.len(), self.by_ufrag.len().max(self.known.len()))
    }

    pub(crate) fn remove(&mut self, id: LegId) {
        let Some(known) = self.known.remove(&id) else { return };
        self.by_ufrag.remove(&known.ufrag);
        for remote in known.remotes {
            if self.by_remote.get(&remote) == Some(&id) {
                self.by_remote.remove(&remote);
            }
        }
    }

    /// The leg restarted ICE: requests carry the new name from now on.
    pub(crate) fn rename(&mut self, id: LegId, ufrag: &str) {
        let Some(known) = self.known.get_mut(&id) else { return };
        self.by_ufrag.remove(&known.ufrag);
        known.ufrag = ufrag.to_owned();
        known.proven = 0;
        self.by_ufrag.insert(ufrag.to_owned(), id);
    }

    /// The leg of a datagram.
    pub(crate) fn find(&mut self, legs: &Legs, remote: Remote, to: SocketAddr, bytes: &[u8]) -> Result<LegId, Drop> {
        if !rtc::stun::is_stun(bytes) {
            return self.by_remote.get(&remote).copied().ok_or(Drop::UnknownAddress);
        }
        let ufrag = rtc::stun::local_ufrag(bytes).ok_or(Drop::UnknownUser)?;
        let id = *self.by_ufrag.get(ufrag).ok_or(Drop::UnknownUser)?;
        if self.by_remote.get(&remote) != Some(&id) {
            let known = self.known.get_mut(&id).ok_or(Drop::UnknownUser)?;
            if known.proven >= ADDRESSES_PROVEN_MAX {
                return Err(Drop::TooManyAddresses);
            }
            if !legs.find(id).is_some_and(|leg| leg.leg.accepts(remote.0, remote.1, to, bytes)) {
                return Err(Drop::Unauthentic);
            }
            known.proven += 1;
            known.remotes.retain(|old| *old != remote);
            if known.remotes.len() >= ADDRESSES_MAX {
                let oldest = known.remotes.remove(0);
                if self.by_remote.get(&oldest) == Some(&id) {
                    self.by_remote.remove(&oldest);
                }
            }
            known.remotes.push(remote);
            self.by_remote.insert(remote, id);
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(port: u16) -> Remote {
        (Protocol::Udp, SocketAddr::from(([192, 0, 2, 1], port)))
    }

    #[test]
    fn a_leg_that_goes_leaves_nothing_behind_and_takes_nothing_of_others() {
        let mut demux = Demux::default();
        demux.add(LegId(1), "one");
        demux.add(LegId(2), "two");
        for (id, port) in [(1, 10), (1, 11), (2, 11)] {
            demux.known.get_mut(&LegId(id)).unwrap().remotes.push(remote(port));
            demux.by_remote.insert(remote(port), LegId(id));
        }
        demux.rename(LegId(1), "one again");
        demux.remove(LegId(1));
        assert_eq!(demux.by_remote.len(), 1, "port 11 is of leg 2 now");
        assert_eq!(demux.by_remote[&remote(11)], LegId(2));
        demux.remove(LegId(2));
        assert_eq!((demux.by_remote.len(), demux.by_ufrag.len(), demux.known.len()), (0, 0, 0));
    }

    #[test]
    fn strangers_are_not_remembered() {
        let mut demux = Demux::default();
        let legs = Legs::new(std::time::Instant::now());
        let to = SocketAddr::from(([192, 0, 2, 9], 3_478));
        for port in 1..1_000 {
            assert_eq!(demux.find(&legs, remote(port), to, &[0x80, 96, 0, 0]), Err(Drop::UnknownAddress));
            assert_eq!(demux.find(&legs, remote(port), to, &[0, 1, 0, 0]), Err(Drop::UnknownUser));
        }
        assert!(demux.by_remote.is_empty());
    }
}
