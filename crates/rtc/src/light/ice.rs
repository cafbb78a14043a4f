//! ICE of a viewer (RFC 8445, RFC 7675): one check at a time towards the server's addresses, and answers to its checks.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use aws_lc_rs::constant_time;
use smallvec::SmallVec;

use super::random::Random;
use crate::{
    batch::Batch,
    config::Protocol,
    stun::{self, Transaction},
};

/// The first repetition of a check, doubled each time.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_millis(1_600);
/// Checks of one address before the next is tried.
const TRIES: u32 = 4;
/// Checks once the server was reached, as Chromium has them; repeated sooner while one is not answered.
const CONSENT: Duration = Duration::from_millis(2_500);
const CONSENT_RETRY: Duration = Duration::from_millis(500);
/// Answers that wait to be written, at most.
const ANSWERS_MAX: usize = 4;
/// What our one candidate would say, RFC 8445 section 5.1.2.1: that of a peer reflexive one.
const PRIORITY: u32 = 110 << 24 | 65_535 << 8 | 255;
const HEADER: usize = 20;
const INTEGRITY: usize = 20;
const ATTRIBUTES_MAX: usize = 16;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const ROLE_CONFLICT: [u8; 2] = [4, 87];

pub(super) struct Ice {
    ufrag: String,
    pwd: String,
    remote: Option<Remote>,
    random: Random,
    tie: u64,
    /// The address that answered.
    reached: Option<SocketAddr>,
    check: Option<Check>,
    due: Option<Instant>,
    answers: SmallVec<[(Transaction, SocketAddr); 2]>,
    rtt: Option<Duration>,
    refused: u64,
}

/// What the other side's SDP says of its ICE.
pub(super) struct Remote {
    pub(super) ufrag: String,
    pub(super) pwd: String,
    pub(super) candidates: SmallVec<[SocketAddr; 4]>,
    /// We decide which path is used.
    pub(super) controlling: bool,
}

/// The check that is not answered yet.
struct Check {
    transaction: Transaction,
    tries: u32,
    sent: Instant,
}

/// What a STUN datagram meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer to a check of ours.
    Answer,
    /// Anything else.
    Nothing,
}

impl Ice {
    pub(super) fn new(mut random: Random) -> Self {
        let (ufrag, pwd, tie) = (random.letters(8), random.letters(24), random.word());
        Self {
            ufrag,
            pwd,
            remote: None,
            random,
            tie,
            reached: None,
            check: None,
            due: None,
            answers: SmallVec::new(),
            rtt: None,
            refused: 0,
        }
    }

    pub(super) fn ufrag(&self) -> &str {
        &self.ufrag
    }

    pub(super) fn pwd(&self) -> &str {
        &self.pwd
    }

    /// Where the server is, once it has answered.
    pub(super) fn reached(&self) -> Option<SocketAddr> {
        self.reached
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.answers.is_empty() { self.due } else { Some(now) }
    }

    /// Begins.
    pub(super) fn start(&mut self, remote: Remote, now: Instant) {
        (self.remote, self.due) = (Some(remote), Some(now));
    }

    /// Takes a STUN datagram.
    pub(super) fn handle(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Heard {
        let Some(remote) = &mut self.remote else { return Heard::Nothing };
        if let Ok(check) = stun::check(bytes, &self.pwd) {
            if check.local == self.ufrag && self.answers.len() < ANSWERS_MAX {
                self.answers.push((check.transaction, from));
            }
            // The answer named no address that we can use, but here is one.
            if remote.candidates.is_empty() {
                remote.candidates.push(from);
                self.due = Some(now);
            }
            return Heard::Nothing;
        }
        if stun::is_indication(bytes) {
            return Heard::Nothing;
        }
        let answer = self.check.as_ref().and_then(|check| read_answer(bytes, &remote.pwd, &check.transaction));
        match (answer, self.check.as_ref()) {
            (Some(Answer::Success), Some(check)) => {
                if check.tries == 1 {
                    self.rtt = Some(now.saturating_duration_since(check.sent));
                }
                self.reached.get_or_insert(from);
                (self.check, self.due) = (None, Some(now + CONSENT));
                Heard::Answer
            }
            (Some(Answer::RoleConflict), _) => {
                remote.controlling = !remote.controlling;
                (self.check, self.due) = (None, Some(now));
                Heard::Nothing
            }
            _ => {
                self.refused += 1;
                Heard::Nothing
            }
        }
    }

    /// Writes answers and the check that is due.
    pub(super) fn poll(&mut self, now: Instant, out: &mut Batch) {
        for (transaction, to) in self.answers.drain(..) {
            stun::respond(&transaction, Protocol::Udp, to, &self.pwd, out);
        }
        let Some(remote) = &mut self.remote else { return };
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        if self.reached.is_none() && self.check.as_ref().is_some_and(|check| check.tries >= TRIES) {
            let others = remote.candidates.len().min(1);
            remote.candidates.rotate_left(others);
            self.check = None;
        }
        let Some(to) = self.reached.or_else(|| remote.candidates.first().copied()) else {
            self.due = None;
            return;
        };
        let check =
            self.check.get_or_insert_with(|| Check { transaction: self.random.transaction(), tries: 0, sent: now });
        check.tries += 1;
        let again = if self.reached.is_some() { CONSENT_RETRY } else { RETRY * (1 << check.tries.min(5)) / 2 };
        self.due = Some(now + again.min(RETRY_MAX));
        let user = [remote.ufrag.as_bytes(), b":", self.ufrag.as_bytes()].concat();
        let request = Request { transaction: &check.transaction, user: &user, tie: self.tie, remote };
        out.write(Protocol::Udp, to, request.length(), |space| request.write(space).is_some());
    }
}

/// A binding request.
struct Request<'a> {
    transaction: &'a Transaction,
    user: &'a [u8],
    tie: u64,
    remote: &'a Remote,
}

impl Request<'_> {
    fn length(&self) -> usize {
        let nomination = if self.remote.controlling { 4 } else { 0 };
        HEADER + 4 + self.user.len().next_multiple_of(4) + 8 + 12 + nomination + 4 + INTEGRITY + 8
    }

    fn write(&self, space: &mut [u8]) -> Option<()> {
        let length = u16::try_from(space.len().checked_sub(HEADER)?).ok()?;
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            space.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
            at += bytes.len();
            Some(at)
        };
        put(&[0, 1])?;
        put(&length.to_be_bytes())?;
        put(&MAGIC_COOKIE)?;
        put(self.transaction)?;
        put(&[0, 6])?;
        put(&u16::try_from(self.user.len()).ok()?.to_be_bytes())?;
        put(self.user)?;
        put([0; 4].get(..self.user.len().next_multiple_of(4) - self.user.len())?)?;
        put(&[0, 0x24, 0, 4])?;
        put(&PRIORITY.to_be_bytes())?;
        put(if self.remote.controlling { &[0x80, 0x2a, 0, 8] } else { &[0x80, 0x29, 0, 8] })?;
        let mut at = put(&self.tie.to_be_bytes())?;
        if self.remote.controlling {
            at = put(&[0, 0x25, 0, 0])?;
        }
        let tag = stun::integrity_of(space, at, &self.remote.pwd)?;
        let (head, value) = space.get_mut(at..at + 4 + INTEGRITY)?.split_at_mut_checked(4)?;
        head.copy_from_slice(&[0, 8, 0, 20]);
        value.copy_from_slice(tag.as_ref());
        let at = at + 4 + INTEGRITY;
        let sum = stun::crc32(space.get(..at)?) ^ stun::FINGERPRINT_XOR;
        let (head, value) = space.get_mut(at..)?.split_at_mut_checked(4)?;
        head.copy_from_slice(&[0x80, 0x28, 0, 4]);
        value.copy_from_slice(&sum.to_be_bytes());
        Some(())
    }
}

/// What the server says to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Success,
    /// It is controlling (or controlled) as we are.
    RoleConflict,
}

/// Reads the answer to one check; `None` where it is something else or not authentic.
fn read_answer(bytes: &[u8], password: &str, transaction: &Transaction) -> Option<Answer> {
    let (head, mut rest) = bytes.split_first_chunk::<HEADER>()?;
    let [t0, t1, l0, l1, cookie @ .., _, _, _, _, _, _, _, _, _, _, _, _] = head;
    let success = match [*t0, *t1] {
        [1, 1] => true,
        [1, 0x11] => false,
        _ => return None,
    };
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    if cookie != &MAGIC_COOKIE || length != rest.len() || head.last_chunk() != Some(transaction) {
        return None;
    }
    let mut conflict = false;
    for _ in 0..ATTRIBUTES_MAX {
        let (&[k0, k1, l0, l1], after) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = after.get(..length)?;
        match [k0, k1] {
            [0, 9] => conflict = value.get(2..4) == Some(&ROLE_CONFLICT),
            [0, 8] => {
                let own = stun::integrity_of(bytes, bytes.len() - rest.len(), password)?;
                constant_time::verify_slices_are_equal(own.as_ref(), value).ok()?;
                return match (success, conflict) {
                    (true, _) => Some(Answer::Success),
                    (false, true) => Some(Answer::RoleConflict),
                    (false, false) => None,
                };
            }
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "203.0.113.1:3478";

    fn pair() -> (Ice, Ice, Instant) {
        let now = Instant::now();
        let (mut client, mut server) = (Ice::new(Random::new(1)), Ice::new(Random::new(2)));
        let describe = |other: &Ice, candidates: &[&str], controlling| Remote {
            ufrag: other.ufrag.clone(),
            pwd: other.pwd.clone(),
            candidates: candidates.iter().map(|address| address.parse().unwrap()).collect(),
            controlling,
        };
        let (to_server, to_client) =
            (describe(&server, &["192.0.2.1:1", FROM], true), describe(&client, &["198.51.100.7:5000"], false));
        client.start(to_server, now);
        server.start(to_client, now);
        (client, server, now)
    }

    fn sent(ice: &mut Ice, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out = Batch::new(10_000);
        ice.poll(now, &mut out);
        out.runs().flat_map(|run| run.datagrams().map(move |bytes| (run.to, bytes.to_vec()))).collect()
    }

    #[test]
    fn an_address_that_does_not_answer_makes_room_for_the_next() {
        let (mut client, _, mut now) = pair();
        let mut tried = Vec::new();
        for _ in 0..10 {
            tried.extend(sent(&mut client, now).into_iter().map(|(to, _)| to.port()));
            assert!(sent(&mut client, now).is_empty(), "not before it is due");
            now = client.due(now).unwrap();
        }
        assert_eq!(tried, [1, 1, 1, 1, 3478, 3478, 3478, 3478, 1, 1]);
    }

    #[test]
    fn only_an_authentic_answer_to_this_check_counts() {
        let (mut client, mut server, now) = pair();
        let request = sent(&mut client, now).remove(0).1;
        assert_eq!(server.handle(now, "198.51.100.7:5000".parse().unwrap(), &request), Heard::Nothing);
        let answer = sent(&mut server, now).remove(0).1;
        let from = FROM.parse().unwrap();
        let end = answer.len() - 8;
        for at in 0..end {
            let mut changed = answer.clone();
            changed[at] ^= 1;
            assert_eq!(client.handle(now, from, &changed), Heard::Nothing, "byte {at}");
        }
        for length in 0..end {
            assert_eq!(client.handle(now, from, &answer[..length]), Heard::Nothing);
        }
        assert_eq!((client.reached(), client.refused()), (None, 2 * end as u64));
        assert_eq!(client.handle(now, from, &answer), Heard::Answer);
        assert_eq!(client.reached(), Some(from));
        assert_eq!(client.handle(now, from, &answer), Heard::Nothing, "once");
        assert_eq!(client.due(now), Some(now + CONSENT));
    }

    #[test]
    fn an_answer_to_another_check_is_none() {
        let (mut client, mut server, now) = pair();
        let request = sent(&mut client, now).remove(0).1;
        server.handle(now, "198.51.100.7:5000".parse().unwrap(), &request);
        let answer = sent(&mut server, now).remove(0).1;
        let from = FROM.parse().unwrap();
        assert_eq!(client.handle(now, from, &answer), Heard::Answer);
        let later = now + CONSENT;
        assert_eq!(sent(&mut client, later).len(), 1);
        assert_eq!(client.handle(later, from, &answer), Heard::Nothing, "authentic, but not of this check");
        assert_eq!(client.rtt(), Some(Duration::ZERO));
    }

    #[test]
    fn a_conflict_of_roles_is_settled_by_changing_ours() {
        let (mut client, server, now) = pair();
        let request = sent(&mut client, now).remove(0).1;
        let mut error = [&[1, 0x11, 0, 32][..], &MAGIC_COOKIE, &request[8..20], &[0, 9, 0, 4, 0, 0, 4, 87]].concat();
        let tag = stun::integrity_of(&error, 28, &server.pwd).unwrap();
        error.extend([&[0, 8, 0, 20][..], tag.as_ref()].concat());
        client.handle(now, FROM.parse().unwrap(), &error);
        assert!(client.remote.as_ref().is_some_and(|remote| !remote.controlling));
        let again = sent(&mut client, now).remove(0).1;
        let has = |kind: [u8; 2]| again.windows(4).any(|four| four[..2] == kind && four[2] == 0 && four[3] == 8);
        assert!(has([0x80, 0x29]) && !has([0x80, 0x2a]));
    }
}
