//! What a session's task is told by its leg's media thread, by whoever orders it, and when. A few words that wait in one
//! small place: two channels for each viewer took more memory than the rest of the session.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, oneshot};

/// Orders that may wait for a session.
const ORDERS_MAX: usize = 8;

/// What waits for one session. Its leg can say the same thing again as often as it likes: it waits once.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    told: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    over: bool,
    received: bool,
    restarted: Option<Box<Result<String, String>>>,
    orders: VecDeque<Order>,
}

/// What somebody wants of a session.
#[derive(Debug)]
pub enum Order {
    /// `done` is told, by being dropped, when the session holds nothing any more.
    End {
        /// Who waits for it.
        done: Option<oneshot::Sender<()>>,
    },
    /// ICE is to be restarted.
    Restart(Box<Restart>),
}

/// A restart of ICE that is asked for.
#[derive(Debug)]
pub struct Restart {
    /// The peer's fragment.
    pub fragment: String,
    /// Who waits for the answer.
    pub reply: oneshot::Sender<Result<String, String>>,
}

/// What a session is told.
#[derive(Debug)]
pub enum Message {
    /// The connection is over.
    Over,
    /// The connection has received media in the last second.
    Received,
    /// What became of an ICE restart: the fragment for the peer, or a sentence.
    Restarted(Result<String, String>),
    /// What somebody wants.
    Order(Order),
}

impl Inbox {
    /// The connection is over.
    pub fn over(&self) {
        self.lock().over = true;
        self.told.notify_one();
    }

    /// The connection has received media.
    pub fn received(&self) {
        self.lock().received = true;
        self.told.notify_one();
    }

    /// ICE was restarted, or not. Only the newest answer is of use: the peer's credentials are those.
    pub fn restarted(&self, answer: Result<String, String>) {
        self.lock().restarted = Some(Box::new(answer));
        self.told.notify_one();
    }

    /// Somebody wants something. False where too much is wanted already.
    pub fn order(&self, order: Order) -> bool {
        let mut waiting = self.lock();
        if waiting.orders.len() >= ORDERS_MAX {
            return false;
        }
        waiting.orders.push_back(order);
        drop(waiting);
        self.told.notify_one();
        true
    }

    /// What the session is told next. Only its own task may ask; nothing is lost where it does not wait to the end.
    pub async fn next(&self) -> Message {
        loop {
            if let Some(message) = self.lock().take() {
                return message;
            }
            self.told.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Message> {
        if std::mem::take(&mut self.over) {
            return Some(Message::Over);
        }
        if let Some(order) = self.orders.pop_front() {
            return Some(Message::Order(order));
        }
        if let Some(answer) = self.restarted.take() {
            return Some(Message::Restarted(*answer));
        }
        std::mem::take(&mut self.received).then_some(Message::Received)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn what_is_said_often_waits_once_and_the_end_comes_first() {
        let inbox = Inbox::default();
        for _ in 0..1_000 {
            inbox.received();
            inbox.restarted(Err("an old one".into()));
        }
        inbox.restarted(Ok("the newest".into()));
        inbox.over();
        assert!(matches!(inbox.next().await, Message::Over));
        assert!(matches!(inbox.next().await, Message::Restarted(Ok(answer)) if answer == "the newest"));
        assert!(matches!(inbox.next().await, Message::Received));
        assert!(inbox.lock().take().is_none());
    }

    #[tokio::test]
    async fn orders_keep_their_order_and_are_bounded() {
        let inbox = Inbox::default();
        let (reply, _answer) = oneshot::channel();
        assert!(inbox.order(Order::Restart(Box::new(Restart { fragment: "a".into(), reply }))));
        for _ in 1..ORDERS_MAX {
            assert!(inbox.order(Order::End { done: None }));
        }
        assert!(!inbox.order(Order::End { done: None }));
        assert!(matches!(inbox.next().await, Message::Order(Order::Restart(restart)) if restart.fragment == "a"));
        assert!(inbox.order(Order::End { done: None }), "there is room again");
    }

    #[tokio::test]
    async fn a_task_that_waits_is_woken_and_one_that_waits_for_something_else_too_loses_nothing() {
        let inbox = Arc::new(Inbox::default());
        let task = tokio::spawn({
            let inbox = inbox.clone();
            async move {
                let mut got = 0;
                loop {
                    tokio::select! {
                        message = inbox.next() => match message {
                            Message::Received => got += 1,
                            Message::Over => return got,
                            other => unreachable!("{other:?}"),
                        },
                        () = tokio::task::yield_now() => {}
                    }
                }
            }
        });
        for _ in 0..100 {
            inbox.received();
            tokio::task::yield_now().await;
        }
        inbox.over();
        assert!(task.await.unwrap() > 0);
    }
}
