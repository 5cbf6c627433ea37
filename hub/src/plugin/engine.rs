//! The one wasmtime engine of a node: its configuration, its clock, and the way from a file to a plugin.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use bytes::Bytes;
use parking_lot::Mutex;
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::process::setpriority_process;
use wasmtime::{
    Config, Enabled, Engine as Wasmtime, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
    component::{Component, HasSelf, Linker},
};

use super::{
    abi::Plugin as World,
    artifact::{Artifact, ArtifactError},
    cache::CodeCache,
    code::Code,
    cpu::TICK,
    host::HostState,
    loaded::WasmPlugin,
    settings::{Capability, Settings},
};
use crate::{
    event::Text,
    seeing::logs::{PluginLogs, Voice},
};

/// Memory of an idle instance that stays mapped, so that the next one starts without page faults.
const KEEP_RESIDENT_BYTES: usize = 1 << 20;
/// Instances that the engine has room for beyond `instances_max`: a plugin that takes over from another is given as many, at
/// most, while the other still has its own.
pub const TAKEOVER_INSTANCES: u32 = 16;
/// Core instances and tables that there are for each instance of a plugin.
const CORE_INSTANCES_EACH: u32 = 4;
/// How much less important compiling is than serving: about a third of a share, so that on a busy node a push still ends.
const COMPILER_NICE: i32 = 5;

/// What all plugins of a node share.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Instances of all plugins together; there is room for [`TAKEOVER_INSTANCES`] more.
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
    instances_max: u32,
    live: Arc<Live>,
    cache: Option<Arc<CodeCache>>,
    logs: Arc<PluginLogs>,
    _clock: Arc<Clock>,
}

/// The code of the plugins that are there, by the SHA-256 of their files: a component that stands twice in a chain is
/// compiled once.
type Live = Mutex<HashMap<String, Weak<Code>>>;

/// What all plugins of a node take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Plugins' files whose code is mapped.
    pub files: usize,
    pub code_bytes: usize,
    pub instances: u64,
}

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
        let instances = settings.instances_max.saturating_add(TAKEOVER_INSTANCES);
        let core_instances = instances.saturating_mul(CORE_INSTANCES_EACH);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(core_instances)
            .total_memories(instances)
            .total_tables(core_instances)
            .total_stacks(instances)
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
        let EngineSettings { instances_max, stack_max_bytes, .. } = *settings;
        let (linker, live, logs) = (Arc::new(linker), Arc::default(), Arc::default());
        Ok(Self { wasmtime, linker, stack_max_bytes, instances_max, live, cache: None, logs, _clock: clock })
    }

    /// The same, whose plugins' lines go to `logs`.
    pub fn with_logs(self, logs: Arc<PluginLogs>) -> Self {
        Self { logs, ..self }
    }

    /// A plugin's way to its lines.
    pub(super) fn voice(&self, plugin: Text, version: Text) -> Voice {
        Voice::new(self.logs.clone(), plugin, version)
    }

    /// The same engine, which looks there before it compiles, and keeps there what it has compiled.
    pub fn with_cache(self, cache: CodeCache) -> Self {
        Self { cache: Some(Arc::new(cache)), ..self }
    }

    /// From a file's bytes to a plugin that has run its `init` once. Compiles on threads of its own.
    pub async fn load(&self, bytes: impl Into<Bytes>, settings: Settings) -> Result<WasmPlugin, LoadError> {
        let artifact = self.check(bytes, &settings)?;
        let code = self.compile(Arc::new(artifact), &settings.name).await?;
        self.start(code, settings).await
    }

    /// A plugin that has run its `init` once.
    pub async fn start(&self, code: Arc<Code>, settings: Settings) -> Result<WasmPlugin, LoadError> {
        granted(&code.needs, &settings)?;
        WasmPlugin::start(self.clone(), code, settings).await
    }

    /// The code of a file by its SHA-256, if some plugin has it now.
    pub fn code(&self, sha256: &str) -> Option<Arc<Code>> {
        self.live.lock().get(sha256).and_then(Weak::upgrade)
    }

    /// What all plugins take, those of old chains that still end included.
    pub fn usage(&self) -> Usage {
        let codes: Vec<_> = self.live.lock().values().filter_map(Weak::upgrade).collect();
        let pool = self.wasmtime.pooling_allocator_metrics();
        Usage {
            files: codes.len(),
            code_bytes: codes.iter().map(|code| code.size_bytes()).sum(),
            instances: pool.map_or(0, |pool| pool.component_instances()),
        }
    }

    /// What stores are made of.
    pub(super) fn wasmtime(&self) -> &Wasmtime {
        &self.wasmtime
    }

    /// The guest's own stack of calls.
    pub(super) fn stack_max_bytes(&self) -> usize {
        self.stack_max_bytes
    }

    /// Instances of all plugins together, without the room for those that take over.
    pub(super) fn instances_max(&self) -> u32 {
        self.instances_max
    }

    /// What can be said of a file before anything of it is compiled.
    pub fn check(&self, bytes: impl Into<Bytes>, settings: &Settings) -> Result<Artifact, LoadError> {
        let plugin = || settings.name.to_string();
        let artifact = Artifact::parse(bytes).map_err(|source| LoadError::Artifact { plugin: plugin(), source })?;
        granted(&artifact.needs, settings)?;
        Ok(artifact)
    }

    /// Machine code, and the proof that every import fits. Takes hundreds of milliseconds, unless a plugin of the same
    /// file is there or the cache has it. `name` is for errors.
    pub async fn compile(&self, artifact: Arc<Artifact>, name: &str) -> Result<Arc<Code>, LoadError> {
        if let Some(code) = self.code(&artifact.sha256) {
            return Ok(code);
        }
        let (engine, plugin, version) = (self.clone(), name.to_owned(), artifact.manifest.version.clone());
        let compiled = {
            let (plugin, version) = (plugin.clone(), version.clone());
            tokio::task::spawn_blocking(move || {
                let component = match engine.component(&artifact) {
                    Ok(component) => component,
                    Err(error) => return Err(LoadError::Compile { plugin, version, reason: format!("{error:#}") }),
                };
                let linked = engine.linker.instantiate_pre(&component).map_err(|error| format!("{error:#}"));
                match linked.and_then(|pre| Code::new(&artifact, pre)) {
                    Ok(code) => Ok(engine.keep(code)),
                    Err(reason) => Err(LoadError::Link { plugin, version, reason }),
                }
            })
        };
        match compiled.await {
            Ok(result) => result,
            Err(error) => Err(LoadError::Compile { plugin, version, reason: error.to_string() }),
        }
    }

    /// Notes code that is there now; gives the same one if another has come first.
    fn keep(&self, code: Code) -> Arc<Code> {
        let mut live = self.live.lock();
        live.retain(|_, code| code.strong_count() > 0);
        if let Some(first) = live.get(&code.sha256).and_then(Weak::upgrade) {
            return first;
        }
        let code = Arc::new(code);
        live.insert(code.sha256.clone(), Arc::downgrade(&code));
        code
    }

    fn component(&self, artifact: &Artifact) -> wasmtime::Result<Component> {
        let Some(cache) = &self.cache else { return compile(&self.wasmtime, &artifact.bytes) };
        let name = format!("{}-{:016x}", artifact.sha256, self.compatibility());
        if let Some(code) = cache.get(&name) {
            // SAFETY: the cache gives back exactly what was put under this name, authenticated with this node's key; all
            // that is ever put is what `serialize` made, for this version of wasmtime with this configuration.
            match unsafe { Component::deserialize(&self.wasmtime, &code) } {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(%error, "compiled code does not fit this engine: compiling again"),
            }
        }
        let component = compile(&self.wasmtime, &artifact.bytes)?;
        cache.put(&name, &component.serialize()?);
        Ok(component)
    }

    /// What compiled code depends on beside its source.
    fn compatibility(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.wasmtime.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }
}

/// Compiles on threads that give way to all others: traffic comes first.
fn compile(engine: &Wasmtime, bytes: &[u8]) -> wasmtime::Result<Component> {
    static COMPILERS: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let compilers = COMPILERS.get_or_init(|| {
        let pool = ThreadPoolBuilder::new()
            .thread_name(|n| format!("compiler-{n}"))
            .start_handler(|_| {
                // a thread that may not be made less important compiles all the same
                let _ = setpriority_process(None, COMPILER_NICE);
            })
            .build();
        pool.map_err(|error| tracing::warn!(%error, "compiling has no threads of its own")).ok()
    });
    match compilers {
        Some(compilers) => compilers.install(|| Component::new(engine, bytes)),
        None => Component::new(engine, bytes),
    }
}

/// Whether a plugin gets what it needs.
fn granted(needs: &[Capability], settings: &Settings) -> Result<(), LoadError> {
    match needs.iter().find(|need| !settings.capabilities.contains(need)) {
        Some(&capability) => Err(LoadError::Capability { plugin: settings.name.to_string(), capability }),
        None => Ok(()),
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
