//! A loaded plugin: its instances, kept by worker thread, and the one place where a guest is called.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{Store, UpdateDeadline};

use super::{
    code::Code,
    engine::{Engine, LoadError},
    explain::{Allowed, explain, out_of_time, returned},
    host::HostState,
    instance::{Instance, Live},
    limiter::{LimitError, MemoryLimiter},
    settings::{Limits, Settings},
};
use crate::{
    event::{Kind, Text},
    pipeline::{
        call::Call,
        chain::{Called, Failure, FailureCause, Footprint, Plugin},
    },
    seeing::logs::{Level, Voice},
};

/// A plugin that runs as WebAssembly.
pub struct WasmPlugin {
    name: Text,
    code: Arc<Code>,
    voice: Voice,
    config: String,
    limits: Limits,
    engine: Engine,
    /// Idle instances, one stack for each worker thread.
    #[expect(clippy::vec_box, reason = "an instance is some hundred bytes and moves at every call")]
    idle: Box<[Mutex<Vec<Box<Instance>>>]>,
    /// How many calls may run; a call holds an instance for as long as its permit.
    permits: Semaphore,
    live: Arc<AtomicUsize>,
    /// Linear memories of all instances.
    memory_bytes: Arc<AtomicUsize>,
}

impl WasmPlugin {
    /// Makes the first instance, so that a config which `init` refuses is known before any event.
    pub(super) async fn start(engine: Engine, code: Arc<Code>, settings: Settings) -> Result<Self, LoadError> {
        let shards = thread::available_parallelism().map_or(4, |n| n.get()).min(64) + 1;
        let plugin = Self {
            voice: engine.voice(settings.name.clone(), code.version.as_str().into()),
            name: settings.name,
            config: settings.config,
            permits: Semaphore::new(settings.limits.instances_max),
            limits: settings.limits,
            code,
            engine,
            idle: (0..shards).map(|_| Mutex::default()).collect(),
            live: Arc::default(),
            memory_bytes: Arc::default(),
        };
        plugin.add_instance(0).await?;
        Ok(plugin)
    }

    /// Makes instances until there are `count`, so that the first events need not wait for theirs.
    ///
    /// # Errors
    /// When `init` refuses the config by now.
    pub async fn warm(&self, count: usize) -> Result<(), LoadError> {
        for n in self.live_instances()..count.min(self.limits.instances_max) {
            self.add_instance(n % self.idle.len()).await?;
        }
        Ok(())
    }

    async fn add_instance(&self, shard: usize) -> Result<(), LoadError> {
        let instance = self.instantiate().await.map_err(|(cause, details)| {
            if let Some(details) = details {
                tracing::warn!(plugin = %self.name, hook = "init", details, "plugin failed");
                self.voice.say("init", Level::Error, None, &details);
            }
            // what a plugin says of its config may repeat what is secret in it
            self.voice.say("init", Level::Error, None, "failed: who changed the chain was told why");
            let (plugin, version) = (self.name.to_string(), self.code.version.clone());
            LoadError::Init { plugin, version, reason: cause.to_string() }
        })?;
        self.idle[shard].lock().push(instance);
        Ok(())
    }

    /// The file's digest, in hex.
    pub fn sha256(&self) -> &str {
        &self.code.sha256
    }

    /// Its code, which other plugins may share.
    pub fn code(&self) -> &Arc<Code> {
        &self.code
    }

    /// Whether the plugin itself wants events of this namespace.
    pub fn wants_namespace(&self, namespace: &str) -> bool {
        self.code.namespaces.iter().any(|p| p.matches(namespace))
    }

    /// Instances that exist now, idle ones included.
    pub fn live_instances(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    async fn run(&self, call: &mut Option<Box<Call>>, kind: Kind) -> Result<(), Box<Failure>> {
        let _permit = self.permit(kind).await?;
        let mut instance = match self.take_idle() {
            Some(instance) => instance,
            None => self.instantiate().await.map_err(|(cause, details)| self.failure(kind, cause, details))?,
        };
        instance.store.data_mut().begin(call.take(), self.limits.cpu);
        let ended = instance.call(kind, self.limits.wall).await;
        let state = instance.store.data_mut();
        let printed = state.flush_output();
        state.end_log(kind.hook());
        *call = state.call.take();
        match ended {
            Ok(Ok(answer)) => {
                self.put_back(instance);
                answer.map_err(|text| self.failure(kind, returned(&text), None))
            }
            Ok(Err(error)) => {
                let (cause, details) = explain(&error, printed, self.allowed());
                Err(self.failure(kind, cause, details))
            }
            Err(wall) => Err(self.failure(kind, out_of_time("wall_ms", wall, self.limits.wall), None)),
        }
    }

    async fn permit(&self, kind: Kind) -> Result<SemaphorePermit<'_>, Box<Failure>> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        match tokio::time::timeout(self.limits.instance_wait, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                let waited_ms = self.limits.instance_wait.as_millis() as u64;
                let cause = FailureCause::Overloaded { instances: self.limits.instances_max, waited_ms };
                Err(self.failure(kind, cause, None))
            }
        }
    }

    /// An idle instance, of this thread if there is one.
    fn take_idle(&self) -> Option<Box<Instance>> {
        let own = shard(self.idle.len());
        if let Some(instance) = self.idle[own].lock().pop() {
            return Some(instance);
        }
        self.idle.iter().find_map(|stack| stack.try_lock()?.pop())
    }

    fn put_back(&self, instance: Box<Instance>) {
        // two threads that found no idle instance may have made one too many
        if self.live_instances() <= self.limits.instances_max {
            self.idle[shard(self.idle.len())].lock().push(instance);
        }
    }

    /// A new guest that has run its `init`.
    async fn instantiate(&self) -> Result<Box<Instance>, (FailureCause, Option<String>)> {
        let memory = MemoryLimiter::new(self.limits.memory_max_bytes, self.memory_bytes.clone());
        let state = HostState::new(self.voice.clone(), self.limits.clone(), memory);
        let mut store = Store::new(self.engine.wasmtime(), state);
        store.limiter(|state| &mut state.memory);
        // one text may stand many times in a list: what the host copies in one call is bounded apart from the guest's memory
        store.set_hostcall_fuel(self.limits.memory_max_bytes);
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            let Err(used) = state.cpu.tick() else {
                return Ok(UpdateDeadline::YieldCustom(1, Box::pin(state.cpu.yield_now())));
            };
            let (limit, allowed) = match state.call {
                Some(_) => ("cpu_ms", state.limits.cpu),
                None => ("init_ms", state.limits.init),
            };
            // a part of a millisecond above it is above it
            let used = used.as_micros().div_ceil(1000);
            Err(LimitError::new(limit, format!("{used} ms"), format!("{} ms", allowed.as_millis())).into())
        });
        store.data_mut().begin(None, self.limits.init);
        store.set_epoch_deadline(1);
        let started = async {
            let raw = self.code.pre.instantiate_async(&mut store).await?;
            let lifecycle = self.code.indices.lifecycle.load(&mut store, &raw)?;
            let answer = lifecycle.call_init(&mut store, &self.config).await?;
            Ok::<_, wasmtime::Error>((raw, answer))
        };
        let result = tokio::time::timeout(self.limits.init, started).await;
        let printed = store.data_mut().flush_output();
        store.data_mut().end_log("init");
        let raw = match result {
            Ok(Ok((raw, Ok(())))) => raw,
            Ok(Ok((_, Err(text)))) => return Err((returned(&text), None)),
            Ok(Err(error)) => return Err(explain(&error, printed, self.allowed())),
            Err(_) => return Err((out_of_time("init_ms", self.limits.init, self.limits.init), None)),
        };
        let hooks =
            self.code.indices.hooks(&mut store, &raw).map_err(|e| (FailureCause::Start(format!("{e:#}")), None))?;
        Ok(Box::new(Instance { store, hooks, _live: Live::count(&self.live) }))
    }

    fn allowed(&self) -> Allowed {
        Allowed {
            memory_max_bytes: self.limits.memory_max_bytes,
            stack_max_bytes: self.engine.stack_max_bytes(),
            instances_max: self.engine.instances_max(),
        }
    }

    fn failure(&self, kind: Kind, cause: FailureCause, details: Option<String>) -> Box<Failure> {
        let (plugin, version) = (self.name.clone(), self.code.version.clone());
        Box::new(Failure { plugin, version, hook: kind.hook(), cause, details })
    }
}

impl Plugin for WasmPlugin {
    fn name(&self) -> &Text {
        &self.name
    }

    fn version(&self) -> &str {
        &self.code.version
    }

    fn has_hook(&self, kind: Kind) -> bool {
        self.code.hooks[kind as usize]
    }

    fn wants_message(&self, name: &str) -> bool {
        self.code.messages.iter().any(|p| p.matches(name))
    }

    fn footprint(&self) -> Footprint {
        let memory_bytes = self.memory_bytes.load(Ordering::Relaxed);
        Footprint { instances: self.live_instances(), memory_bytes }
    }

    fn call<'a>(&'a self, call: &'a mut Option<Box<Call>>) -> Called<'a> {
        Box::pin(async move {
            match call.as_ref().map(|c| c.event.kind) {
                Some(kind) => self.run(call, kind).await,
                None => Ok(()),
            }
        })
    }
}

/// Which stack of idle instances belongs to this thread.
fn shard(count: usize) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed)); }
    MINE.get() % count
}
