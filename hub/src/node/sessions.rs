//! Sockets that may come back: by the secret that their client has, with their connection or in suspense without.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    event::{PrivateId, Text},
    gateway::{socketio::Socket, transport::CloseReason},
};

/// How long a client that is back waits for the end of what its lost connection still does.
const TAKE_OVER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// From the loss of a connection until the socket leaves.
    pub window: Duration,
    /// Beyond it those that were suspended first leave early.
    pub suspended_max: usize,
}

/// All sockets that may come back.
pub struct Sessions {
    settings: Settings,
    table: Mutex<Table>,
    /// Some session is suspended or closed.
    changed: Notify,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<PrivateId, Session>,
    /// In the order in which their windows end; those that came back meanwhile are passed over.
    ends: VecDeque<End>,
    suspended: usize,
    suspensions: u64,
}

struct Session {
    /// On its latest connection.
    socket: Arc<Socket>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connected,
    /// Without a connection, for this reason; each suspension has a number.
    Suspended(CloseReason, u64),
    /// Its client is back and gets what it missed, or it ends.
    Taken,
}

struct End {
    at: Instant,
    id: PrivateId,
    suspension: u64,
}

/// A socket whose client is back. Without [`Claim::recovered`] or [`Claim::end`] its window ends.
pub struct Claim<'a> {
    sessions: &'a Sessions,
    id: PrivateId,
    pub socket: Arc<Socket>,
    pub reason: CloseReason,
    suspension: u64,
    is_settled: bool,
}

impl Sessions {
    pub fn new(settings: Settings) -> Self {
        Self { settings, table: Mutex::default(), changed: Notify::new() }
    }

    /// Sockets that are in suspense.
    pub fn suspended(&self) -> usize {
        self.table.lock().suspended
    }

    /// A socket that may come back has connected.
    pub fn open(&self, socket: &Arc<Socket>) {
        let Some(id) = socket.private_id() else { return };
        self.table.lock().by_id.insert(id, Session { socket: socket.clone(), state: State::Connected });
    }

    /// A socket has left its namespace.
    pub fn close(&self, socket: &Socket) {
        let Some(id) = socket.private_id() else { return };
        let mut table = self.table.lock();
        let Some(session) = table.by_id.remove(&id) else { return };
        table.suspended -= usize::from(matches!(session.state, State::Suspended(..)));
        drop(table);
        self.changed.notify_waiters();
    }

    /// The socket on its latest connection.
    pub fn current(&self, socket: &Arc<Socket>) -> Arc<Socket> {
        let session = socket.private_id().and_then(|id| Some(self.table.lock().by_id.get(&id)?.socket.clone()));
        session.unwrap_or_else(|| socket.clone())
    }

    /// A socket has lost its connection. False: it cannot come back, and leaves.
    pub fn suspend(&self, socket: &Socket, reason: CloseReason) -> bool {
        use CloseReason::{ForcedServerClose, ParseError, ServerShuttingDown};
        let Some(id) = socket.private_id() else { return false };
        if matches!(reason, ParseError | ServerShuttingDown | ForcedServerClose) {
            return false;
        }
        let mut table = self.table.lock();
        table.suspensions += 1;
        let suspension = table.suspensions;
        let Some(session) = table.by_id.get_mut(&id).filter(|_| socket.is_current()) else { return false };
        session.state = State::Suspended(reason, suspension);
        table.suspended += 1;
        table.ends.push_back(End { at: Instant::now() + self.settings.window, id, suspension });
        drop(table);
        self.changed.notify_waiters();
        true
    }

    /// Gives the socket whose client shows its private id. If it has a connection still, that one ends first. `None`:
    /// there is no such socket in the namespace.
    pub async fn claim(&self, id: PrivateId, namespace: &Text) -> Option<Claim<'_>> {
        let claimed = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let connected = {
                    let mut table = self.table.lock();
                    let session = table.by_id.get(&id).filter(|s| s.socket.namespace() == namespace)?;
                    match session.state {
                        State::Suspended(_, suspension) => return self.take(&mut table, id, suspension),
                        State::Connected => Some(session.socket.clone()),
                        State::Taken => None,
                    }
                };
                if let Some(socket) = connected {
                    // its client knows better than we that this connection is lost
                    socket.connection().close(CloseReason::TransportClose);
                }
                changed.await;
            }
        };
        timeout(TAKE_OVER_TIMEOUT, claimed).await.ok().flatten()
    }

    /// Waits for the next socket whose window has ended.
    pub async fn next_end(&self) -> Claim<'_> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let wait_until = match self.take_end() {
                Ok(claim) => return claim,
                Err(wait_until) => wait_until,
            };
            match wait_until {
                Some(at) => tokio::select! { () = sleep_until(at) => {} () = changed => {} },
                None => changed.await,
            }
        }
    }

    /// One of those that are suspended, whenever its window ends.
    pub fn take_any(&self) -> Option<Claim<'_>> {
        let mut table = self.table.lock();
        while let Some(End { id, suspension, .. }) = table.ends.pop_front() {
            if let Some(claim) = self.take(&mut table, id, suspension) {
                return Some(claim);
            }
        }
        None
    }

    /// A socket that leaves now, or when to look again.
    fn take_end(&self) -> Result<Claim<'_>, Option<Instant>> {
        let mut table = self.table.lock();
        let now = Instant::now();
        while let Some(End { at, id, suspension }) = table.ends.front() {
            let (at, id, suspension) = (*at, *id, *suspension);
            if at > now && table.suspended <= self.settings.suspended_max {
                return Err(Some(at));
            }
            table.ends.pop_front();
            if let Some(claim) = self.take(&mut table, id, suspension) {
                if at > now {
                    let allowed = self.settings.suspended_max;
                    tracing::warn!(socket = %claim.socket.id(), limit = "suspended_max", allowed, "a socket leaves early");
                }
                return Ok(claim);
            }
        }
        Err(None)
    }

    /// The session, if it is in this suspension.
    fn take(&self, table: &mut Table, id: PrivateId, suspension: u64) -> Option<Claim<'_>> {
        let session = table.by_id.get_mut(&id)?;
        let State::Suspended(reason, number) = session.state else { return None };
        if number != suspension {
            return None;
        }
        session.state = State::Taken;
        let socket = session.socket.clone();
        table.suspended -= 1;
        Some(Claim { sessions: self, id, socket, reason, suspension, is_settled: false })
    }
}

impl Claim<'_> {
    /// It goes on with `socket`, on its new connection.
    pub fn recovered(mut self, socket: &Arc<Socket>) {
        self.is_settled = true;
        socket.take_over();
        if let Some(session) = self.sessions.table.lock().by_id.get_mut(&self.id) {
            *session = Session { socket: socket.clone(), state: State::Connected };
        }
        self.sessions.changed.notify_waiters();
    }

    /// It does not come back.
    pub fn end(mut self) -> Arc<Socket> {
        self.is_settled = true;
        self.sessions.close(&self.socket);
        self.socket.clone()
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let mut table = self.sessions.table.lock();
        let Some(session) = table.by_id.get_mut(&self.id) else { return };
        session.state = State::Suspended(self.reason, self.suspension);
        table.suspended += 1;
        // its client has got another socket, or will
        table.ends.push_front(End { at: Instant::now(), id: self.id, suspension: self.suspension });
        drop(table);
        self.sessions.changed.notify_waiters();
    }
}
