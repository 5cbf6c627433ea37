//! One connection as a member of its room: what it sends, and the check of what it receives.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;

use memchr::memmem;

use super::Mode;
use super::counters::Count;
use super::ledger::{Delivery, Ledger};
use super::link::Link;
use super::wire::{self, Mark, Packet, Template};
use super::worker::Worker;

/// The ack id of a join; messages count from 1.
const JOIN_ID: u64 = 0;

/// How far a member has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its namespace accepted it.
    Open,
    /// It asked to join its room.
    Joining,
    /// It belongs to the run: joined, or open where nothing is joined.
    Member,
    /// The server refused its join.
    Refused,
    /// The run is over for it, by our own will.
    Closing,
    /// Its connection ended before that.
    Lost,
}

/// A member.
pub(super) struct Member {
    pub(super) worker: Rc<Worker>,
    pub(super) link: Link,
    pub(super) room: usize,
    pub(super) state: Cell<State>,
    pub(super) sender: Option<Sender>,
    pub(super) ledger: RefCell<Ledger>,
}

/// The sending part of a member.
pub(super) struct Sender {
    pub(super) id: u32,
    template: Template,
    /// The number of its next message, and so the count of those sent.
    pub(super) next: Cell<u32>,
    under_way: Cell<u32>,
    progress_us: Cell<u64>,
}

impl Member {
    /// The member that this connection of the plan is.
    pub(super) fn new(worker: Rc<Worker>, link: Link, connection: usize) -> Self {
        let plan = worker.plan.clone();
        let room = plan.grouping.room(connection);
        let sender = plan.grouping.sender(connection).map(|id| {
            let room_name = (plan.mode == Mode::Broadcast).then(|| plan.room_name(room));
            let mark_field = plan.mark_field.as_deref();
            let template =
                Template::new(&plan.namespace, &plan.message_event, room_name.as_deref(), &plan.text, mark_field);
            Sender { id, template, next: Cell::new(0), under_way: Cell::new(0), progress_us: Cell::new(0) }
        });
        let state = Cell::new(if plan.joins { State::Open } else { State::Member });
        let ledger = RefCell::new(Ledger::new(plan.grouping.room_senders(room)));
        Self { worker, link, room, state, sender, ledger }
    }

    /// Asks the server to let it into its room.
    pub(super) fn join(&self) {
        let plan = &self.worker.plan;
        self.state.set(State::Joining);
        let room = plan.room_name(self.room);
        self.link.queue(&wire::join_packet(&plan.namespace, &plan.join_event, &room, JOIN_ID));
        self.link.flush();
    }

    /// Leaves the namespace and ends the transport.
    pub(super) fn close(&self) {
        if self.state.get() == State::Lost {
            return;
        }
        self.state.set(State::Closing);
        self.link.queue(&wire::disconnect_packet(&self.worker.plan.namespace));
        self.link.queue_close();
        self.link.flush();
    }

    /// Notes that the connection ended, unless we ended it.
    pub(super) fn ended(&self, why: String) {
        let was = self.state.get();
        if was == State::Closing {
            return;
        }
        self.state.set(State::Lost);
        self.worker.counters.add(Count::Lost, 1);
        self.worker.faults.lost.note(|| why);
        if was == State::Joining {
            self.worker.join_answered();
        }
    }

    /// Handles one Engine.IO message; a break says why the connection is of no more use.
    pub(super) fn receive(&self, message: &[u8]) -> ControlFlow<String> {
        match wire::parse(message, &self.worker.plan.namespace) {
            Packet::Ping => {
                self.link.queue(b"3");
            }
            Packet::Event(payload) => self.receive_event(payload),
            Packet::Ack(JOIN_ID, payload) if self.state.get() == State::Joining => self.receive_join_answer(payload),
            Packet::Ack(id, payload) => self.receive_ack(id, payload),
            Packet::Disconnected => return ControlFlow::Break("the server disconnected the socket".to_owned()),
            Packet::Refused(why) => return ControlFlow::Break(String::from_utf8_lossy(why).into_owned()),
            Packet::Connected | Packet::Other => {}
        }
        ControlFlow::Continue(())
    }

    fn receive_event(&self, payload: &[u8]) {
        let worker = &self.worker;
        if worker.plan.mode == Mode::Broadcast && wire::is_event(payload, &worker.message_event_json) {
            match wire::find_mark(payload, worker.plan.mark_field.as_deref()) {
                Some(mark) => self.record(mark),
                None => worker.counters.add(Count::Foreign, 1),
            }
        } else if wire::is_event(payload, "\"error\"") {
            self.refused(payload);
        } else {
            worker.counters.add(Count::Other, 1);
        }
    }

    fn receive_join_answer(&self, answer: &[u8]) {
        if wire::is_refusal(answer) {
            self.state.set(State::Refused);
            self.worker.counters.add(Count::JoinRefused, 1);
            self.worker.faults.join.note(|| String::from_utf8_lossy(answer).into_owned());
        } else {
            self.state.set(State::Member);
            self.worker.counters.add(Count::Joined, 1);
        }
        self.worker.join_answered();
    }

    fn receive_ack(&self, id: u64, answer: &[u8]) {
        let counters = &self.worker.counters;
        if self.worker.plan.mode == Mode::Echo {
            match wire::find_mark(answer, self.worker.plan.mark_field.as_deref()) {
                Some(mark) if u64::from(mark.number) + 1 == id => self.record(mark),
                Some(_) => counters.add(Count::Foreign, 1),
                None => self.refused(answer),
            }
        } else if memmem::find(answer, b"\"ok\":true").is_some() || !wire::is_refusal(answer) {
            counters.add(Count::Acked, 1);
        } else {
            self.refused(answer);
        }
    }

    fn refused(&self, what: &[u8]) {
        self.worker.counters.add(Count::Refused, 1);
        self.worker.faults.refused.note(|| String::from_utf8_lossy(what).chars().take(300).collect());
    }

    fn record(&self, mark: Mark) {
        let worker = &self.worker;
        let slot = worker.plan.grouping.slot(self.room, mark.sender);
        let delivery = self.ledger.borrow_mut().record(slot, mark.number);
        match delivery {
            Delivery::InOrder => {}
            Delivery::Late => worker.counters.add(Count::Late, 1),
            Delivery::Duplicate => return worker.counters.add(Count::Duplicate, 1),
            Delivery::Foreign => return worker.counters.add(Count::Foreign, 1),
        }
        worker.counters.add(Count::Received, 1);
        let now_us = worker.batch_us();
        if worker.measuring.get() {
            worker.latency.borrow_mut().saturating_record(now_us.saturating_sub(mark.sent_us));
        }
        if let Some(sender) = self.sender.as_ref().filter(|sender| sender.id == mark.sender) {
            sender.under_way.set(sender.under_way.get().saturating_sub(1));
            sender.progress_us.set(now_us);
        }
    }

    /// To be called when all that was read at a time is handled: sends what that has led to.
    pub(super) fn after_batch(&self) {
        self.fill_window();
        self.link.flush();
        self.worker.end_batch();
    }

    /// In a closed loop: sends as many messages as may be under way.
    pub(super) fn fill_window(&self) {
        let worker = &self.worker;
        let (Some(sender), Some(window)) = (&self.sender, worker.window) else { return };
        while worker.sending.get() && sender.under_way.get() < window && self.queue_message(sender) {
            sender.under_way.set(sender.under_way.get() + 1);
        }
    }

    /// In a closed loop: when nothing came back for `patience_us`, counts that and goes on as if it had.
    pub(super) fn check_stall(&self, now_us: u64, patience_us: u64) {
        let Some(sender) = &self.sender else { return };
        if sender.under_way.get() > 0 && now_us.saturating_sub(sender.progress_us.get()) > patience_us {
            self.worker.counters.add(Count::Stalled, 1);
            sender.under_way.set(0);
            sender.progress_us.set(now_us);
            self.fill_window();
            self.link.flush();
        }
    }

    /// Queues one message at a fixed rate; the caller flushes.
    pub(super) fn queue_scheduled(&self) {
        if let Some(sender) = &self.sender
            && !self.queue_message(sender)
        {
            self.worker.counters.add(Count::Unsent, 1);
        }
    }

    /// False when this member cannot send now: it is no member, or its queue is full.
    fn queue_message(&self, sender: &Sender) -> bool {
        if self.state.get() != State::Member {
            return false;
        }
        let worker = &self.worker;
        let number = sender.next.get();
        let sent_us = worker.now_us();
        let ack_id = worker.plan.asks_acks.then_some(u64::from(number) + 1);
        let mut message = worker.scratch.borrow_mut();
        message.clear();
        sender.template.write(&mut message, ack_id, Mark { sender: sender.id, number, sent_us });
        if !self.link.queue(&message) {
            return false;
        }
        if sender.under_way.get() == 0 {
            sender.progress_us.set(sent_us);
        }
        sender.next.set(number + 1);
        let receivers = if worker.plan.mode == Mode::Echo { 1 } else { worker.plan.grouping.room_size(self.room) };
        worker.counters.add(Count::Sent, 1);
        worker.counters.add(Count::Expected, receivers as u64);
        true
    }
}
