//! Mail between media threads: a ring from each to each. What must not be lost waits here when a ring is full.

use std::collections::VecDeque;

use net::{
    Waker,
    ring::{Consumer, Producer, ring},
};
use sfu::Mail;

/// Mail that one thread may have waiting for another; fewer the more threads there are, since every pair has a ring.
const RING_MAX: usize = 8_192;
/// And at least.
const RING_MIN: usize = 256;
/// Mail of all rings together, as far as `RING_MIN` lets it.
const RINGS_MAX: usize = 65_536;
/// This part of a ring is kept free of packets and datagrams, which may be lost.
const RESERVED: usize = 8;

/// One thread's ends of all its rings.
#[derive(Default)]
pub(super) struct Mailbox {
    outlets: Vec<Outlet>,
    inlets: Vec<Consumer<Mail>>,
}

/// The way to another thread.
struct Outlet {
    to: usize,
    mail: Producer<Mail>,
    waker: Waker,
    /// What found no room and must not be lost. It is bounded by what there is to tell: a few words about each leg and each
    /// track, and no new ones come while anything waits, but slowly, since the thread takes hardly any commands then.
    waiting: VecDeque<Mail>,
}

/// The mailboxes of all threads, by their number; `wakers` wake them.
pub(super) fn mailboxes(wakers: &[Waker]) -> Vec<Mailbox> {
    let count = wakers.len().max(1);
    let capacity = (RINGS_MAX / (count * count)).clamp(RING_MIN, RING_MAX);
    let mut all: Vec<Mailbox> = wakers.iter().map(|_| Mailbox::default()).collect();
    for (to, waker) in wakers.iter().enumerate() {
        for from in (0..wakers.len()).filter(|from| *from != to) {
            let (producer, consumer) = ring(capacity);
            if let Some(mailbox) = all.get_mut(from) {
                let outlet = Outlet { to, mail: producer, waker: waker.clone(), waiting: VecDeque::new() };
                mailbox.outlets.push(outlet);
            }
            if let Some(mailbox) = all.get_mut(to) {
                mailbox.inlets.push(consumer);
            }
        }
    }
    all
}

impl Mailbox {
    /// Puts mail on its way. False where it was lost, as it may be.
    pub(super) fn post(&mut self, to: usize, mail: Mail) -> bool {
        // A thread that is not there gets nothing.
        let Some(outlet) = self.outlets.iter_mut().find(|outlet| outlet.to == to) else { return false };
        outlet.post(mail)
    }

    /// Puts on its way what waits, and wakes who sleeps. Once after each batch.
    pub(super) fn deliver(&mut self) {
        for outlet in &mut self.outlets {
            while let Some(mail) = outlet.waiting.pop_front() {
                if let Err(mail) = outlet.mail.push(mail) {
                    outlet.waiting.push_front(mail);
                    break;
                }
            }
            if outlet.mail.needs_wake() {
                outlet.waker.wake();
            }
        }
    }

    /// Whether something found no room.
    pub(super) fn is_backed_up(&self) -> bool {
        self.outlets.iter().any(|outlet| !outlet.waiting.is_empty())
    }

    /// Takes the oldest mail of one of the others, in turn.
    pub(super) fn take(&mut self, turn: usize) -> Option<Mail> {
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

impl Outlet {
    fn post(&mut self, mail: Mail) -> bool {
        if mail.may_be_lost() {
            let capacity = self.mail.capacity();
            let room = self.waiting.is_empty() && self.mail.len() < capacity - capacity / RESERVED;
            return room && self.mail.push(mail).is_ok();
        }
        if !self.waiting.is_empty() {
            self.waiting.push_back(mail);
        } else if let Err(mail) = self.mail.push(mail) {
            self.waiting.push_back(mail);
        }
        true
    }
}
