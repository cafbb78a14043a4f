//! Mail between media threads: a ring from each to each. What must not be lost waits here when a ring is full.

use std::collections::VecDeque;

use net::{
    Waker,
    ring::{Consumer, Producer, ring},
};
use sfu::{Care, Mail};

/// Mail that one thread may have waiting for another; fewer the more threads there are, since every pair has a ring.
const RING_MAX: usize = 8_192;
/// And at least.
const RING_MIN: usize = 256;
/// Mail of all rings together, as far as `RING_MIN` lets it.
const RINGS_MAX: usize = 65_536;
/// This part of a ring is kept free of packets and datagrams, which may be lost.
const RESERVED: usize = 8;
/// And this part of datagrams that came to the wrong thread, of which a peer can send as many as it likes.
const RESERVED_FROM_STRAYS: usize = 2;

/// What is carried.
pub(super) trait Carried: Send {
    /// What is to be done where room runs short.
    fn how(&self) -> Care;
}

impl Carried for Mail {
    fn how(&self) -> Care {
        self.care()
    }
}

/// One thread's ends of all its rings.
pub(super) struct Mailbox<M: Carried = Mail> {
    outlets: Vec<Outlet<M>>,
    inlets: Vec<Consumer<M>>,
}

/// The way to another thread.
struct Outlet<M> {
    to: usize,
    mail: Producer<M>,
    waker: Waker,
    /// Something went into the ring since its reader was last thought of. To wake it for nothing would make it wake us.
    pushed: bool,
    /// What found no room and must not be lost. It is bounded by what there is to tell: a few words about each leg and each
    /// track, and no new ones come while anything waits, but slowly, since the thread takes hardly any commands then.
    waiting: VecDeque<M>,
}

/// The mailboxes of all threads, by their number; `wakers` wake them.
pub(super) fn mailboxes<M: Carried>(wakers: &[Waker]) -> Vec<Mailbox<M>> {
    let count = wakers.len().max(1);
    connect(wakers, (RINGS_MAX / (count * count)).clamp(RING_MIN, RING_MAX))
}

fn connect<M: Carried>(wakers: &[Waker], capacity: usize) -> Vec<Mailbox<M>> {
    let mut all: Vec<Mailbox<M>> = wakers.iter().map(|_| Mailbox { outlets: Vec::new(), inlets: Vec::new() }).collect();
    for (to, waker) in wakers.iter().enumerate() {
        for from in (0..wakers.len()).filter(|from| *from != to) {
            let (producer, consumer) = ring(capacity);
            if let Some(mailbox) = all.get_mut(from) {
                let outlet =
                    Outlet { to, mail: producer, waker: waker.clone(), pushed: false, waiting: VecDeque::new() };
                mailbox.outlets.push(outlet);
            }
            if let Some(mailbox) = all.get_mut(to) {
                mailbox.inlets.push(consumer);
            }
        }
    }
    all
}

impl<M: Carried> Mailbox<M> {
    /// Puts mail on its way. False where it was lost, as it may be.
    pub(super) fn post(&mut self, to: usize, mail: M) -> bool {
        // A thread that is not there gets nothing.
        let Some(outlet) = self.outlets.iter_mut().find(|outlet| outlet.to == to) else { return false };
        outlet.post(mail)
    }

    /// Puts on its way what waits, and wakes who sleeps. Once after each batch.
    pub(super) fn deliver(&mut self) {
        for outlet in &mut self.outlets {
            while let Some(mail) = outlet.waiting.pop_front() {
                if let Err(mail) = outlet.push(mail) {
                    outlet.waiting.push_front(mail);
                    break;
                }
            }
            if std::mem::take(&mut outlet.pushed) && outlet.mail.needs_wake() {
                outlet.waker.wake();
            }
        }
    }

    /// Whether something found no room.
    pub(super) fn is_backed_up(&self) -> bool {
        self.outlets.iter().any(|outlet| !outlet.waiting.is_empty())
    }

    /// Takes the oldest mail of one of the others, in turn.
    pub(super) fn take(&mut self, turn: usize) -> Option<M> {
        let count = self.inlets.len();
        (0..count).find_map(|step| self.inlets.get_mut((turn + step) % count)?.pop())
    }

    /// Says that the thread is about to sleep. False where it must not, since there is mail.
    pub(super) fn park(&mut self) -> bool {
        self.inlets.iter_mut().all(Consumer::park)
    }

    /// Says that the thread is awake.
    pub(super) fn unpark(&mut self) {
        self.inlets.iter_mut().for_each(Consumer::unpark);
    }
}

impl<M: Carried> Outlet<M> {
    fn push(&mut self, mail: M) -> Result<(), M> {
        self.mail.push(mail)?;
        self.pushed = true;
        Ok(())
    }

    fn post(&mut self, mail: M) -> bool {
        let capacity = self.mail.capacity();
        let most = match mail.how() {
            Care::Stray => capacity - capacity / RESERVED_FROM_STRAYS,
            Care::Media => capacity - capacity / RESERVED,
            Care::Keep => usize::MAX,
        };
        if most != usize::MAX {
            return self.waiting.is_empty() && self.mail.len() < most && self.push(mail).is_ok();
        }
        if !self.waiting.is_empty() {
            self.waiting.push_back(mail);
        } else if let Err(mail) = self.push(mail) {
            self.waiting.push_back(mail);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use net::MediaSocket;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Letter {
        Control(usize),
        Media(usize),
        Stray,
    }

    impl Carried for Letter {
        fn how(&self) -> Care {
            match self {
                Self::Stray => Care::Stray,
                Self::Media(_) => Care::Media,
                Self::Control(_) => Care::Keep,
            }
        }
    }

    fn boxes(count: usize) -> Vec<Mailbox<Letter>> {
        let sockets = MediaSocket::bind_group("127.0.0.1:0".parse().unwrap(), count, Instant::now()).unwrap();
        let wakers: Vec<Waker> = sockets.iter().map(MediaSocket::waker).collect();
        connect(&wakers, 64)
    }

    #[test]
    fn a_full_ring_loses_media_and_nothing_else_and_keeps_the_order() {
        let mut boxes = boxes(2);
        let strays = (0..100).filter(|_| boxes[0].post(1, Letter::Stray)).count();
        assert_eq!(strays, 32, "a half is for what did not come from outside");
        assert!(std::iter::from_fn(|| boxes[1].take(0)).all(|letter| letter == Letter::Stray));
        let taken = (0..100).filter(|number| boxes[0].post(1, Letter::Media(*number))).count();
        assert_eq!(taken, 56, "an eighth is for what must not be lost");
        for number in 0..100 {
            assert!(boxes[0].post(1, Letter::Control(number)));
        }
        assert!(boxes[0].is_backed_up() && !boxes[1].is_backed_up());
        assert!(!boxes[0].post(1, Letter::Media(0)), "nothing overtakes what waits");
        let mut got = Vec::new();
        while got.len() < 156 {
            boxes[0].deliver();
            got.extend(std::iter::from_fn(|| boxes[1].take(0)));
        }
        let expected = (0..56).map(Letter::Media).chain((0..100).map(Letter::Control));
        assert_eq!(got, expected.collect::<Vec<_>>());
        assert!(!boxes[0].is_backed_up() && boxes[0].post(1, Letter::Media(7)));
        assert_eq!(boxes[1].take(0), Some(Letter::Media(7)));
    }

    #[test]
    fn who_sleeps_is_woken_by_mail_and_by_nothing_else() {
        let mut boxes = boxes(2);
        assert!(boxes[1].park());
        boxes[0].deliver();
        assert!(boxes[0].outlets[0].mail.needs_wake(), "nobody was woken for nothing");
        boxes[1].unpark();
        assert!(boxes[1].park());
        assert!(boxes[0].post(1, Letter::Control(1)));
        boxes[0].deliver();
        assert!(!boxes[0].outlets[0].mail.needs_wake(), "it was woken");
    }

    #[test]
    fn every_pair_has_a_ring_and_who_has_mail_does_not_sleep() {
        let mut boxes = boxes(3);
        for (from, to) in [(0, 1), (2, 1), (1, 0)] {
            assert!(boxes[from].post(to, Letter::Control(from)));
        }
        assert!(!boxes[0].post(0, Letter::Control(9)) && !boxes[0].post(7, Letter::Control(9)), "nobody is there");
        assert!(!boxes[1].park() && boxes[2].park());
        assert!(boxes[0].post(2, Letter::Media(1)));
        boxes[0].deliver();
        boxes[2].unpark();
        assert_eq!(boxes[2].take(1), Some(Letter::Media(1)));
        let mut got = [boxes[1].take(0), boxes[1].take(1), boxes[0].take(5)];
        got.sort_by_key(|letter| format!("{letter:?}"));
        assert_eq!(got, [Some(Letter::Control(0)), Some(Letter::Control(1)), Some(Letter::Control(2))]);
        assert!(boxes.iter_mut().all(Mailbox::park));
    }
}
