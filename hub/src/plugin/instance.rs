//! One guest with its memory, and its hooks.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use wasmtime::{
    Store,
    component::{Instance as RawInstance, InstancePre},
};

use super::{abi::hooks, host::HostState};
use crate::event::Kind;

/// Where the hooks are, looked up once.
pub struct Indices {
    pub lifecycle: hooks::lifecycle::GuestIndices,
    connect: Option<hooks::on_connect::GuestIndices>,
    answer: Option<hooks::on_answer::GuestIndices>,
    message: Option<hooks::on_message::GuestIndices>,
    join: Option<hooks::on_join::GuestIndices>,
    leave: Option<hooks::on_leave::GuestIndices>,
    disconnect: Option<hooks::on_disconnect::GuestIndices>,
}

/// A guest with its memory. Handles one event at a time; after a trap it is thrown away.
pub struct Instance {
    pub store: Store<HostState>,
    pub hooks: Hooks,
    pub _live: Live,
}

/// Counts an instance for as long as it exists.
pub struct Live(Arc<AtomicUsize>);

impl Live {
    pub fn count(live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, Ordering::Relaxed);
        Self(live.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The hooks that the guest exports.
pub struct Hooks {
    connect: Option<hooks::on_connect::Guest>,
    answer: Option<hooks::on_answer::Guest>,
    message: Option<hooks::on_message::Guest>,
    join: Option<hooks::on_join::Guest>,
    leave: Option<hooks::on_leave::Guest>,
    disconnect: Option<hooks::on_disconnect::Guest>,
}

/// What ended a call: the guest's own answer, a trap, or the wall clock.
pub type Ended = Result<wasmtime::Result<Result<(), String>>, Duration>;

impl Instance {
    /// Calls the hook; ends at the latest after `wall`, and then the instance is not to be used again.
    pub async fn call(&mut self, kind: Kind, wall: Duration) -> Ended {
        let Self { store, hooks, .. } = self;
        store.set_epoch_deadline(1);
        macro_rules! handle {
            ($hook:ident) => {
                match &hooks.$hook {
                    Some(hook) => within(hook.call_handle(&mut *store), wall).await,
                    None => Ok(Ok(Ok(()))),
                }
            };
        }
        match kind {
            Kind::Connect => handle!(connect),
            Kind::Answer => handle!(answer),
            Kind::Message => handle!(message),
            Kind::Join => handle!(join),
            Kind::Leave => handle!(leave),
            Kind::Disconnect => handle!(disconnect),
        }
    }
}

/// Waits for a guest; a timer is only made when it does not answer at once.
async fn within<T>(guest: impl Future<Output = T>, wall: Duration) -> Result<T, Duration> {
    let mut guest = pin!(guest);
    let at_once = poll_fn(|cx| match guest.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    });
    if let Some(answer) = at_once.await {
        return Ok(answer);
    }
    let started = Instant::now();
    tokio::time::timeout(wall, guest).await.map_err(|_| started.elapsed())
}

impl Indices {
    pub fn new(pre: &InstancePre<HostState>) -> wasmtime::Result<Self> {
        Ok(Self {
            lifecycle: hooks::lifecycle::GuestIndices::new(pre)?,
            connect: hooks::on_connect::GuestIndices::new(pre).ok(),
            answer: hooks::on_answer::GuestIndices::new(pre).ok(),
            message: hooks::on_message::GuestIndices::new(pre).ok(),
            join: hooks::on_join::GuestIndices::new(pre).ok(),
            leave: hooks::on_leave::GuestIndices::new(pre).ok(),
            disconnect: hooks::on_disconnect::GuestIndices::new(pre).ok(),
        })
    }

    pub fn hooks(&self, store: &mut Store<HostState>, raw: &RawInstance) -> wasmtime::Result<Hooks> {
        macro_rules! load {
            ($hook:ident) => {
                self.$hook.as_ref().map(|i| i.load(&mut *store, raw)).transpose()?
            };
        }
        Ok(Hooks {
            connect: load!(connect),
            answer: load!(answer),
            message: load!(message),
            join: load!(join),
            leave: load!(leave),
            disconnect: load!(disconnect),
        })
    }
}
