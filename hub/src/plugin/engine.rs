//! The one wasmtime engine of a node: its configuration, its clock, and the way from a file to a plugin.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use parking_lot::Mutex;
use wasmtime::{
    Config, Enabled, Engine as Wasmtime, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
    component::{Component, HasSelf, InstancePre, Linker},
};

use super::{
    abi::Plugin as World,
    artifact::{Artifact, ArtifactError},
    cpu::TICK,
    host::HostState,
    loaded::WasmPlugin,
    settings::{Capability, Settings},
};

/// Memory of an idle instance that stays mapped, so that the next one starts without page faults.
const KEEP_RESIDENT_BYTES: usize = 1 << 20;

/// What all plugins of a node share.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Instances of all plugins together.
    pub instances_max: u32,
    /// The largest linear memory that any plugin may have.
    pub memory_max_bytes: usize,
    /// The guest's own stack of calls.
    pub stack_max_bytes: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { instances_max: 512, memory_max_bytes: 256 << 20, stack_max_bytes: 512 << 10 }
    }
}

/// Compiles plugins. Cheap to clone; every plugin keeps one, because without its clock no CPU time is counted.
#[derive(Clone)]
pub struct Engine {
    wasmtime: Wasmtime,
    linker: Arc<Linker<HostState>>,
    stack_max_bytes: usize,
    compiled: Arc<Compiled>,
    _clock: Arc<Clock>,
}

/// Machine code of the plugins that are there, by the SHA-256 of their files: a component that stands twice in a chain
/// is compiled once.
type Compiled = Mutex<HashMap<String, Weak<InstancePre<HostState>>>>;

/// Why a plugin was not loaded. The text names the plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("plugin `{plugin}`: {source}")]
    Artifact { plugin: String, source: ArtifactError },
    #[error(
        "plugin `{plugin}` needs the capability `{capability}`, which is not granted: add it to `capabilities` of this [[plugin]] if you trust it with that"
    )]
    Capability { plugin: String, capability: Capability },
    #[error("plugin `{plugin}` {version}: does not fit the hub's interfaces: {reason}")]
    Link { plugin: String, version: String, reason: String },
    #[error("plugin `{plugin}` {version}: not compiled: {reason}")]
    Compile { plugin: String, version: String, reason: String },
    #[error("plugin `{plugin}` {version}, init: {reason}")]
    Init { plugin: String, version: String, reason: String },
}

impl Engine {
    /// An engine with its own clock thread, which ends with the last clone and the last plugin.
    pub fn new(settings: &EngineSettings) -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(settings.instances_max)
            .total_core_instances(settings.instances_max.saturating_mul(4))
            .total_memories(settings.instances_max)
            .total_tables(settings.instances_max.saturating_mul(4))
            .total_stacks(settings.instances_max)
            .max_memory_size(settings.memory_max_bytes)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .concurrency_support(false)
            .max_wasm_stack(settings.stack_max_bytes)
            .async_stack_size(settings.stack_max_bytes + (512 << 10))
            .wasm_backtrace_details(WasmBacktraceDetails::Disable)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let wasmtime = Wasmtime::new(&config)?;
        let mut linker = Linker::new(&wasmtime);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        World::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        let clock = Arc::new(Clock::start(&wasmtime)?);
        let stack_max_bytes = settings.stack_max_bytes;
        Ok(Self { wasmtime, linker: Arc::new(linker), stack_max_bytes, compiled: Arc::default(), _clock: clock })
    }

    /// From a file's bytes to a plugin that has run its `init` once. Compiles on a thread of its own.
    pub async fn load(&self, bytes: Vec<u8>, settings: Settings) -> Result<WasmPlugin, LoadError> {
        let artifact = self.check(bytes, &settings)?;
        let (engine, name) = (self.clone(), settings.name.to_string());
        let version = artifact.manifest.version.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let pre = engine.compile(&artifact, &name)?;
            Ok((artifact, pre))
        });
        let (artifact, pre) = match compiled.await {
            Ok(result) => result?,
            Err(error) => {
                let (plugin, reason) = (settings.name.to_string(), error.to_string());
                return Err(LoadError::Compile { plugin, version, reason });
            }
        };
        WasmPlugin::start(self.clone(), pre, artifact, settings).await
    }

    /// What stores are made of.
    pub(super) fn wasmtime(&self) -> &Wasmtime {
        &self.wasmtime
    }

    /// The guest's own stack of calls.
    pub(super) fn stack_max_bytes(&self) -> usize {
        self.stack_max_bytes
    }

    /// What can be said of a file before anything of it is compiled.
    pub fn check(&self, bytes: Vec<u8>, settings: &Settings) -> Result<Artifact, LoadError> {
        let plugin = || settings.name.to_string();
        let artifact = Artifact::parse(bytes).map_err(|source| LoadError::Artifact { plugin: plugin(), source })?;
        match artifact.needs.iter().find(|need| !settings.capabilities.contains(need)) {
            Some(&capability) => Err(LoadError::Capability { plugin: plugin(), capability }),
            None => Ok(artifact),
        }
    }

    /// Machine code, and the proof that every import fits. Takes hundreds of milliseconds, unless a plugin of the same
    /// file is there.
    pub fn compile(&self, artifact: &Artifact, name: &str) -> Result<Arc<InstancePre<HostState>>, LoadError> {
        if let Some(pre) = self.compiled.lock().get(&artifact.sha256).and_then(Weak::upgrade) {
            return Ok(pre);
        }
        let (plugin, version) = (name.to_owned(), artifact.manifest.version.clone());
        let component = match Component::new(&self.wasmtime, &artifact.bytes) {
            Ok(component) => component,
            Err(error) => return Err(LoadError::Compile { plugin, version, reason: format!("{error:#}") }),
        };
        let pre = match self.linker.instantiate_pre(&component) {
            Ok(pre) => Arc::new(pre),
            Err(error) => return Err(LoadError::Link { plugin, version, reason: format!("{error:#}") }),
        };
        let mut compiled = self.compiled.lock();
        compiled.retain(|_, pre| pre.strong_count() > 0);
        compiled.insert(artifact.sha256.clone(), Arc::downgrade(&pre));
        Ok(pre)
    }
}

/// Counts ticks for all instances. Without it no guest would ever run out of time: every plugin holds it.
struct Clock {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Clock {
    fn start(engine: &Wasmtime) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (engine, stopped) = (engine.weak(), stop.clone());
        let thread = thread::Builder::new().name("plugin-clock".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // it ends within a tick and cannot have panicked
            let _ = thread.join();
        }
    }
}
