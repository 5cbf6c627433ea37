//! Acks that operators wait for, by the number of each.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{event::Payload, pipeline::call::AnswerOutcome};

/// What became of one of them.
pub(super) type Reply = (AnswerOutcome, Payload);

/// All that are waited for.
#[derive(Default)]
pub(super) struct Asks {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
}

/// One that is waited for, as long as it is kept.
pub(super) struct Awaited<'a> {
    asks: &'a Asks,
    number: u64,
    reply: oneshot::Receiver<Reply>,
}

impl Asks {
    /// Begins to wait for one.
    pub fn begin(&self) -> Awaited<'_> {
        let (sender, reply) = oneshot::channel();
        let mut table = self.table.lock();
        table.last += 1;
        let number = table.last;
        table.waiting.insert(number, sender);
        Awaited { asks: self, number, reply }
    }

    /// Its end. Nobody may wait for it any more.
    pub fn end(&self, number: u64, outcome: AnswerOutcome, payload: Payload) {
        if let Some(sender) = self.table.lock().waiting.remove(&number) {
            let _ = sender.send((outcome, payload));
        }
    }
}

impl Awaited<'_> {
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What became of it until then.
    pub async fn until(mut self, deadline: Instant) -> Reply {
        let late = || (AnswerOutcome::TimedOut, Payload::default());
        match timeout_at(deadline, &mut self.reply).await {
            Ok(reply) => reply.unwrap_or_else(|_| late()),
            Err(_) => late(),
        }
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.asks.table.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_gets_its_own_reply_and_nothing_is_left() {
        let asks = Asks::default();
        let (first, second, third) = (asks.begin(), asks.begin(), asks.begin());
        asks.end(second.number(), AnswerOutcome::Answered, Payload::json("[2]"));
        asks.end(first.number(), AnswerOutcome::Gone, Payload::default());
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(second.until(soon).await, (AnswerOutcome::Answered, Payload::json("[2]")));
        assert_eq!(first.until(soon).await.0, AnswerOutcome::Gone);
        let number = third.number();
        assert_eq!(third.until(soon).await.0, AnswerOutcome::TimedOut);
        asks.end(number, AnswerOutcome::Answered, Payload::default());
        drop(asks.begin());
        assert!(asks.table.lock().waiting.is_empty());
    }
}
