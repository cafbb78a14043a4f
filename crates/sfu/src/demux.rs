//! Finding the leg of a datagram: by the sender's address, or by the user name of a STUN request. O(1), and no allocation
//! once the leg's peer has been heard.
//!
//! A shard knows legs that it does not have: any of them may be the one that a peer's datagrams come to.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use rtc::{Batch, Protocol, stun};
use smallvec::SmallVec;

use crate::{
    shard::{Expect, LegId, Legs, Parked},
    stats::Drop,
};

/// Addresses of one leg that are known at once: a browser tries a handful, and moves between networks.
const ADDRESSES_MAX: usize = 8;
/// Addresses that one leg may prove in one ICE session: the ICE agent keeps each of them.
const ADDRESSES_PROVEN_MAX: u32 = 64;
/// Bytes of a STUN request that is kept; those of ICE have about 120.
const REQUEST_BYTES_MAX: usize = 576;

/// An address of a peer.
pub(crate) type Remote = (Protocol, SocketAddr);

/// A datagram that is handled later, or by another shard.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) proto: Protocol,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Box<[u8]>,
}

/// Where a leg is.
#[derive(Debug)]
pub(crate) enum Place {
    /// Here at its home, for who claims it first.
    Parked(Box<Parked>),
    /// Nobody has said yet.
    Expected,
    /// We have asked for it, and keep what its peer sends.
    Asked(Vec<Kept>),
    /// Here.
    Here,
    /// In this shard.
    At(usize),
}

/// What a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A leg of this shard.
    Here(LegId),
    /// A leg of that shard.
    At(LegId, usize),
    /// A leg that nobody has, and that this datagram claims.
    Claims(LegId),
    /// A STUN request for a leg that nobody has; it was answered.
    Answered,
}

/// What is known of one leg here.
#[derive(Debug)]
struct Known {
    ufrag: String,
    password: String,
    opens_dtls: bool,
    place: Place,
    proofs: SmallVec<[Proof; 2]>,
    proven: u32,
    /// TCP connections of the peer that other shards have.
    tcp: SmallVec<[SocketAddr; 1]>,
    /// When it is forgotten, unless its home says by then that somebody has it.
    until: Option<Instant>,
}

/// An address from which somebody who knows the password came.
#[derive(Debug)]
struct Proof {
    remote: Remote,
    /// The request that proves it, for the leg itself, while nobody has the leg.
    request: Option<Kept>,
    nominates: bool,
}

/// Which leg a datagram is for.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    by_remote: HashMap<Remote, LegId>,
    by_ufrag: HashMap<String, LegId>,
    known: HashMap<LegId, Known>,
    tcp: HashMap<SocketAddr, usize>,
    parked: usize,
}

impl Demux {
    /// Adds a leg that nobody has yet.
    pub(crate) fn add(&mut self, expect: Expect, place: Place, until: Option<Instant>) {
        let Expect { id, ufrag, password, opens_dtls } = expect;
        self.remove(id);
        self.parked += usize::from(matches!(place, Place::Parked(_)));
        self.by_ufrag.insert(ufrag.clone(), id);
        let (proofs, tcp) = (SmallVec::new(), SmallVec::new());
        self.known.insert(id, Known { ufrag, password, opens_dtls, place, proofs, proven: 0, tcp, until });
    }

    /// Forgets a leg, and hands back where it was.
    pub(crate) fn remove(&mut self, id: LegId) -> Option<Place> {
        let known = self.known.remove(&id)?;
        self.parked -= usize::from(matches!(known.place, Place::Parked(_)));
        if self.by_ufrag.get(&known.ufrag) == Some(&id) {
            self.by_ufrag.remove(&known.ufrag);
        }
        for proof in known.proofs {
            if self.by_remote.get(&proof.remote) == Some(&id) {
                self.by_remote.remove(&proof.remote);
            }
        }
        for peer in known.tcp {
            self.tcp.remove(&peer);
        }
        Some(known.place)
    }

    /// The leg restarted ICE: requests carry the new name from now on.
    pub(crate) fn rename(&mut self, id: LegId, ufrag: &str, password: &str) {
        let Some(known) = self.known.get_mut(&id) else { return };
        if self.by_ufrag.get(&known.ufrag) == Some(&id) {
            self.by_ufrag.remove(&known.ufrag);
        }
        known.ufrag = ufrag.to_owned();
        known.password = password.to_owned();
        known.proven = 0;
        self.by_ufrag.insert(ufrag.to_owned(), id);
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// How many legs nobody has yet whose home is here.
    pub(crate) fn parked(&self) -> usize {
        self.parked
    }

    /// Everything that is kept.
    pub(crate) fn kept(&self) -> usize {
        self.by_remote.len() + self.by_ufrag.len() + self.known.len() + self.tcp.len()
    }

    /// Addresses and user names that are known.
    pub(crate) fn names(&self) -> (usize, usize) {
        (self.by_remote.len() + self.tcp.len(), self.by_ufrag.len().max(self.known.len()))
    }

    pub(crate) fn place(&self, id: LegId) -> Option<&Place> {
        self.known.get(&id).map(|known| &known.place)
    }

    pub(crate) fn parked_mut(&mut self, id: LegId) -> Option<&mut Parked> {
        match &mut self.known.get_mut(&id)?.place {
            Place::Parked(parked) => Some(parked),
            _ => None,
        }
    }

    /// Keeps a datagram of a leg that was asked for. False where it was not, or there are enough.
    pub(crate) fn keep(&mut self, id: LegId, datagram: Kept, most: usize) -> bool {
        match self.known.get_mut(&id).map(|known| &mut known.place) {
            Some(Place::Asked(kept)) if kept.len() < most => {
                kept.push(datagram);
                true
            }
            _ => false,
        }
    }

    /// Somebody has the leg from now on, or asks for it. Hands back where it was, and, where somebody has it, the
    /// requests by which its peer proved itself.
    pub(crate) fn put(&mut self, id: LegId, place: Place) -> Option<(Place, SmallVec<[Kept; 2]>)> {
        let known = self.known.get_mut(&id)?;
        let had = matches!(place, Place::Here | Place::At(_));
        if had {
            known.until = None;
        }
        let requests = known.proofs.iter_mut().filter(|_| had).filter_map(|proof| proof.request.take());
        let requests = requests.collect();
        let old = std::mem::replace(&mut known.place, place);
        self.parked -= usize::from(matches!(old, Place::Parked(_)));
        Some((old, requests))
    }

    /// The leg's peer has a TCP connection to that shard.
    pub(crate) fn tcp_is_at(&mut self, id: LegId, peer: SocketAddr, shard: usize) {
        let Some(known) = self.known.get_mut(&id) else { return };
        if !known.tcp.contains(&peer) {
            if known.tcp.len() >= ADDRESSES_MAX {
                let oldest = known.tcp.remove(0);
                self.tcp.remove(&oldest);
            }
            known.tcp.push(peer);
        }
        self.tcp.insert(peer, shard);
    }

    /// Which other shard has the TCP connection to a peer.
    pub(crate) fn tcp_at(&self, peer: SocketAddr) -> Option<usize> {
        self.tcp.get(&peer).copied()
    }

    /// Legs whose home has said nothing for too long.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<LegId> {
        self.known.iter().filter(|(_, known)| known.until.is_some_and(|at| at <= now)).map(|(id, _)| *id).collect()
    }

    /// Parked legs that nobody has claimed for so long.
    pub(crate) fn unclaimed(&self, now: Instant, idle_max: Duration) -> Vec<LegId> {
        let late = |parked: &&Parked| now.saturating_duration_since(parked.added) > idle_max;
        self.all_parked().filter(late).map(|parked| parked.id).collect()
    }

    /// Legs that nobody has yet and whose home is here.
    pub(crate) fn all_parked(&self) -> impl Iterator<Item = &Parked> {
        self.known.values().filter_map(|known| match &known.place {
            Place::Parked(parked) => Some(&**parked),
            _ => None,
        })
    }

    /// What a datagram is for. Where nobody has the leg, STUN requests are answered here: all that it takes is the password.
    pub(crate) fn find(
        &mut self,
        legs: &Legs,
        remote: Remote,
        to: SocketAddr,
        bytes: &[u8],
        out: &mut Batch,
    ) -> Result<Found, Drop> {
        if !stun::is_stun(bytes) {
            let id = *self.by_remote.get(&remote).ok_or(Drop::UnknownAddress)?;
            return match self.known.get(&id).ok_or(Drop::UnknownAddress)?.place {
                Place::Here => Ok(Found::Here(id)),
                Place::At(shard) => Ok(Found::At(id, shard)),
                _ if is_dtls(bytes) => Ok(Found::Claims(id)),
                _ => Err(Drop::Unclaimed),
            };
        }
        let ufrag = stun::local_ufrag(bytes).ok_or(Drop::UnknownUser)?;
        let id = *self.by_ufrag.get(ufrag).ok_or(Drop::UnknownUser)?;
        let known = self.known.get_mut(&id).ok_or(Drop::UnknownUser)?;
        let is_new = self.by_remote.get(&remote) != Some(&id);
        if is_new && known.proven >= ADDRESSES_PROVEN_MAX {
            return Err(Drop::TooManyAddresses);
        }
        let mut nominates = false;
        let found = match known.place {
            Place::Here => {
                if is_new && !legs.find(id).is_some_and(|leg| leg.leg.accepts(remote.0, remote.1, to, bytes)) {
                    return Err(Drop::Unauthentic);
                }
                Found::Here(id)
            }
            Place::At(shard) => {
                stun::check(bytes, &known.password).map_err(|_| Drop::Unauthentic)?;
                Found::At(id, shard)
            }
            _ => {
                let check = stun::answer(bytes, remote.0, remote.1, &known.password, out);
                nominates = check.map_err(|_| Drop::Unauthentic)?.nominates;
                if known.opens_dtls { Found::Claims(id) } else { Found::Answered }
            }
        };
        if is_new {
            self.prove(id, remote);
        }
        if let Some(known) = self.known.get_mut(&id).filter(|known| !matches!(known.place, Place::Here | Place::At(_)))
        {
            known.keep_request(remote, to, bytes, nominates);
        }
        Ok(found)
    }

    /// Somebody who knows the leg's password came from here.
    fn prove(&mut self, id: LegId, remote: Remote) {
        let Some(known) = self.known.get_mut(&id) else { return };
        known.proven += 1;
        known.proofs.retain(|old| old.remote != remote);
        if known.proofs.len() >= ADDRESSES_MAX {
            let oldest = known.proofs.remove(0).remote;
            if self.by_remote.get(&oldest) == Some(&id) {
                self.by_remote.remove(&oldest);
            }
        }
        known.proofs.push(Proof { remote, request: None, nominates: false });
        if remote.0 == Protocol::Tcp && known.tcp.contains(&remote.1) {
            // The connection is ours now.
            known.tcp.retain(|peer| *peer != remote.1);
            self.tcp.remove(&remote.1);
        }
        self.by_remote.insert(remote, id);
    }
}

impl Known {
    /// Keeps the last request that came from an address; one that nominates is worth more than one that does not.
    fn keep_request(&mut self, remote: Remote, to: SocketAddr, bytes: &[u8], nominates: bool) {
        let Some(proof) = self.proofs.iter_mut().find(|proof| proof.remote == remote) else { return };
        if bytes.len() <= REQUEST_BYTES_MAX && (nominates || !proof.nominates) {
            proof.request = Some(Kept::new(remote, to, bytes));
            proof.nominates = nominates;
        }
    }
}

/// Whether a datagram is a DTLS record (RFC 7983 section 7).
fn is_dtls(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (20..64).contains(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(port: u16) -> Remote {
        (Protocol::Udp, SocketAddr::from(([192, 0, 2, 1], port)))
    }

    fn expect(id: u64, ufrag: &str) -> Expect {
        Expect { id: LegId(id), ufrag: ufrag.into(), password: "password".into(), opens_dtls: false }
    }

    #[test]
    fn a_leg_that_goes_leaves_nothing_behind_and_takes_nothing_of_others() {
        let mut demux = Demux::default();
        demux.add(expect(1, "one"), Place::Here, None);
        demux.add(expect(2, "two"), Place::At(3), None);
        for (id, port) in [(1, 10), (1, 11), (2, 11)] {
            demux.prove(LegId(id), remote(port));
        }
        demux.tcp_is_at(LegId(1), remote(12).1, 2);
        assert_eq!(demux.tcp_at(remote(12).1), Some(2));
        demux.rename(LegId(1), "one again", "password");
        assert!(matches!(demux.remove(LegId(1)), Some(Place::Here)));
        assert_eq!(demux.by_remote.len(), 1, "port 11 is of leg 2 now");
        assert_eq!(demux.by_remote[&remote(11)], LegId(2));
        assert!(matches!(demux.remove(LegId(2)), Some(Place::At(3))));
        assert_eq!(demux.kept(), 0);
    }

    #[test]
    fn strangers_are_not_remembered() {
        let mut demux = Demux::default();
        demux.add(expect(1, "one"), Place::Expected, None);
        let before = demux.kept();
        let legs = Legs::new(Instant::now());
        let to = SocketAddr::from(([192, 0, 2, 9], 3_478));
        let mut out = Batch::new(1_000);
        for port in 1..1_000 {
            for (bytes, why) in [(&[0x80, 96, 0, 0], Drop::UnknownAddress), (&[0, 1, 0, 0], Drop::UnknownUser)] {
                assert_eq!(demux.find(&legs, remote(port), to, bytes, &mut out), Err(why));
            }
        }
        assert!(demux.kept() == before && out.is_empty());
    }

    #[test]
    fn a_peer_keeps_as_many_addresses_as_it_may_and_the_newest_of_them() {
        let mut demux = Demux::default();
        demux.add(expect(1, "one"), Place::Expected, None);
        (1..100).for_each(|port| demux.prove(LegId(1), remote(port)));
        assert_eq!(demux.by_remote.len(), ADDRESSES_MAX);
        assert!(demux.by_remote.contains_key(&remote(99)) && !demux.by_remote.contains_key(&remote(90)));
        (1..100).for_each(|port| demux.tcp_is_at(LegId(1), remote(port).1, 1));
        assert_eq!(demux.tcp.len(), ADDRESSES_MAX);
    }
}
