//! ICE-lite, RFC 8445 section 2.5: we answer checks and send to where the peer wants it.
//!
//! The crate `is` would do it too, as it does on the str0m leg. It keeps pairs of candidates, timers and transactions,
//! some 10 KB a viewer and an allocation for each check; a lite agent needs none of that.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use smallvec::SmallVec;

use crate::{
    batch::Batch,
    config::Protocol,
    stun::{self, Transaction},
};

/// Addresses of one peer at most: host, reflexive and relay of two networks.
const PATHS_MAX: usize = 6;
/// A path without checks for this long is not used while there is another. The str0m leg goes by the same time.
const PATH_SILENT_MAX: Duration = Duration::from_secs(15);
/// A peer without checks on any path for this long is gone (RFC 7675 section 5.1 says 30 s): what the str0m leg allows.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(20);
const UFRAG_LENGTH: usize = 8;
const PASSWORD_LENGTH: usize = 24;

/// A way to the peer: how, and where to.
pub(crate) type Way = (Protocol, SocketAddr);

/// Our end of the connectivity checks.
#[derive(Debug)]
pub(super) struct Ice {
    pub(super) ufrag: String,
    pub(super) password: String,
    /// The peer's user name fragment.
    peer: Box<str>,
    paths: SmallVec<[Path; 2]>,
    current: Option<Way>,
    checked_at: Option<Instant>,
    answer: Option<(Transaction, Way)>,
}

/// An address that proved itself by an authentic check.
#[derive(Debug)]
struct Path {
    way: Way,
    priority: u32,
    checked_at: Instant,
    nominated_at: Option<Instant>,
}

impl Ice {
    /// `None` where the machine gives no randomness.
    pub(super) fn new(peer: &str) -> Option<Self> {
        let (ufrag, password) = credentials()?;
        let paths = SmallVec::new();
        Some(Self { ufrag, password, peer: peer.into(), paths, current: None, checked_at: None, answer: None })
    }

    /// Takes new credentials on both sides; the path stays until a check with the new ones moves it.
    pub(super) fn restart(&mut self, peer: &str) -> Option<()> {
        (self.ufrag, self.password) = credentials()?;
        self.peer = peer.into();
        Some(())
    }

    /// Where to send.
    pub(super) fn way(&self) -> Option<Way> {
        self.current
    }

    /// Whether an authentic check came from there.
    pub(super) fn knows(&self, way: Way) -> bool {
        self.paths.iter().any(|path| path.way == way)
    }

    /// Whether a datagram is an authentic check for us.
    pub(super) fn accepts(&self, bytes: &[u8]) -> bool {
        stun::check(bytes, &self.password).is_ok_and(|check| check.local == self.ufrag && check.remote == &*self.peer)
    }

    /// Takes a check; false where it is none. The answer waits for `write_answer`.
    pub(super) fn check(&mut self, now: Instant, way: Way, bytes: &[u8]) -> bool {
        let Ok(check) = stun::check(bytes, &self.password) else { return false };
        if check.local != self.ufrag || check.remote != &*self.peer {
            return false;
        }
        self.answer = Some((check.transaction, way));
        self.checked_at = Some(now);
        self.checked(now, way, check.priority, check.nominates);
        true
    }

    pub(super) fn write_answer(&mut self, out: &mut Batch) -> bool {
        let Some((transaction, (proto, to))) = self.answer.take() else { return false };
        stun::respond(&transaction, proto, to, &self.password, out)
    }

    /// Leaves a path that has been silent for too long for one that has not. True where the peer is gone.
    pub(super) fn timeout(&mut self, now: Instant) -> bool {
        let silent = |path: &Path| now.saturating_duration_since(path.checked_at) >= PATH_SILENT_MAX;
        let lost = self.paths.iter().find(|path| Some(path.way) == self.current).is_some_and(silent);
        if lost {
            let freshest = self.paths.iter().filter(|path| !silent(path)).max_by_key(|path| path.checked_at);
            self.current = freshest.map_or(self.current, |path| Some(path.way));
        }
        self.gone_at().is_some_and(|at| now >= at)
    }

    /// When the peer counts as gone, unless it is heard of. Before the first check it is for the caller to lose patience.
    pub(super) fn gone_at(&self) -> Option<Instant> {
        self.checked_at.map(|at| at + SILENT_MAX)
    }

    /// When there is something to decide, unless the peer is heard of before.
    pub(super) fn timer(&self, now: Instant) -> Option<Instant> {
        let current = self.paths.iter().find(|path| Some(path.way) == self.current);
        let leaves = current.map(|path| path.checked_at + PATH_SILENT_MAX).filter(|at| *at > now);
        leaves.into_iter().chain(self.gone_at()).min()
    }

    pub(super) fn checked(&mut self, now: Instant, way: Way, priority: u32, nominates: bool) {
        let current = self.paths.iter().find(|path| Some(path.way) == self.current);
        let current = current.map(|path| (path.nominated_at, path.priority));
        let nominated_before = match self.paths.iter_mut().find(|path| path.way == way) {
            Some(path) => {
                (path.checked_at, path.priority) = (now, priority);
                if nominates { path.nominated_at.replace(now) } else { path.nominated_at }
            }
            None => {
                self.make_room();
                self.paths.push(Path { way, priority, checked_at: now, nominated_at: nominates.then_some(now) });
                None
            }
        };
        let moves = match current {
            None => true,
            Some((None, _)) => nominates,
            // A peer that nominates several paths by turns (RFC 5245 allows it) means the best of them.
            Some((Some(other), best)) => {
                nominates && (nominated_before.is_none_or(|own| own > other) || priority > best)
            }
        };
        if moves {
            self.current = Some(way);
        }
    }

    fn make_room(&mut self) {
        if self.paths.len() < PATHS_MAX {
            return;
        }
        let others = self.paths.iter().enumerate().filter(|(_, path)| Some(path.way) != self.current);
        if let Some((place, _)) = others.min_by_key(|(_, path)| path.checked_at) {
            self.paths.remove(place);
        }
    }
}

/// A user name fragment and a password, RFC 8445 section 5.3: 48 and 144 random bits.
fn credentials() -> Option<(String, String)> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = [0; UFRAG_LENGTH + PASSWORD_LENGTH];
    rand::fill(&mut random).ok()?;
    let mut letters =
        random.iter().filter_map(|byte| LETTERS.get(usize::from(byte & 63))).map(|byte| char::from(*byte));
    Some((letters.by_ref().take(UFRAG_LENGTH).collect(), letters.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(port: u16) -> Way {
        (Protocol::Udp, SocketAddr::from(([198, 51, 100, 7], port)))
    }

    fn port(ice: &Ice) -> u16 {
        ice.way().unwrap().1.port()
    }

    #[test]
    fn the_path_goes_where_it_is_nominated_to() {
        let (mut ice, start) = (Ice::new("peer").unwrap(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        ice.checked(at(0), way(1), 5, false);
        assert_eq!(port(&ice), 1, "better than none");
        ice.checked(at(1), way(2), 5, true);
        ice.checked(at(2), way(1), 9, false);
        assert_eq!(port(&ice), 2, "a check alone moves nothing");
        ice.checked(at(3), way(3), 1, true);
        assert_eq!(port(&ice), 3, "a new network, whatever its priority");
        ice.checked(at(4), way(2), 5, true);
        assert_eq!(port(&ice), 2, "and back to the better one");
        for turn in 0..10 {
            ice.checked(at(5 + 2 * turn), way(3), 1, true);
            ice.checked(at(6 + 2 * turn), way(2), 5, true);
            assert_eq!(port(&ice), 2, "nominated by turns: the better one stays");
        }
        ice.checked(at(40), way(3), 1, true);
        ice.checked(at(41), way(3), 1, true);
        assert_eq!(port(&ice), 3, "no longer by turns");
    }

    #[test]
    fn a_silent_path_is_left_and_a_silent_peer_is_gone() {
        let (mut ice, start) = (Ice::new("peer").unwrap(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        assert!(!ice.timeout(at(3_600)), "before the first check");
        ice.checked(at(0), way(1), 5, true);
        ice.checked(at(10), way(2), 5, false);
        ice.checked_at = Some(at(10));
        assert!(!ice.timeout(at(14)));
        assert_eq!(port(&ice), 1);
        assert!(!ice.timeout(at(15)));
        assert_eq!(port(&ice), 2);
        assert!(!ice.timeout(at(29)) && ice.timeout(at(30)));
    }

    #[test]
    fn addresses_are_bounded_and_the_current_one_stays() {
        let (mut ice, now) = (Ice::new("peer").unwrap(), Instant::now());
        ice.checked(now, way(1), 5, true);
        for other in 0..1_000 {
            ice.checked(now + Duration::from_millis(u64::from(other)), way(2_000 + other), 5, false);
        }
        assert_eq!(ice.paths.len(), PATHS_MAX);
        assert!(ice.knows(way(1)) && ice.knows(way(2_999)) && !ice.knows(way(2_000)));
    }

    #[test]
    fn credentials_are_long_enough_and_differ() {
        let (one, other) = (credentials().unwrap(), credentials().unwrap());
        assert_eq!((one.0.len(), one.1.len()), (UFRAG_LENGTH, PASSWORD_LENGTH));
        assert!(one.0 != other.0 && one.1 != other.1);
    }
}
