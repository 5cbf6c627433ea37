//! Plugins in their order: which of them an event passes in a namespace.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::RwLock;

use super::{
    breaker::{self, Breaker},
    call::{Call, Event},
};
use crate::{
    event::{Kind, Text},
    seeing::{Seeing, logs::Voice, metrics::PluginMeter},
};

/// What the pipeline knows of a plugin. One implementation runs WebAssembly; tests have native ones.
pub trait Plugin: Send + Sync {
    /// As the config names it.
    fn name(&self) -> &Text;
    /// The plugin's own version, from its manifest.
    fn version(&self) -> &str;
    /// Whether it has a hook for this kind at all.
    fn has_hook(&self, kind: Kind) -> bool;
    /// Whether it wants messages of this name.
    fn wants_message(&self, name: &str) -> bool;
    /// What it holds now.
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
    /// Runs the hook for the kind of the call's event. The call is `Some` before and after, whatever happened; its
    /// `acts` count only with `Ok`. Ends within the plugin's own deadlines; dropping the future is safe.
    fn call<'a>(&'a self, call: &'a mut Option<Box<Call>>) -> Called<'a>;
}

/// What a plugin holds of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Instances that exist, idle ones included.
    pub instances: usize,
    /// Their linear memories together.
    pub memory_bytes: usize,
}

/// A hook that runs.
pub type Called<'a> = Pin<Box<dyn Future<Output = Result<(), Box<Failure>>> + Send + 'a>>;

/// A plugin failed, which is neither a yes nor a no. The text is the operator's; clients get a code.
#[derive(Debug, thiserror::Error)]
#[error("plugin `{plugin}` {version}, {hook}: {cause}")]
pub struct Failure {
    pub plugin: Text,
    pub version: String,
    pub hook: &'static str,
    pub cause: FailureCause,
    /// The guest's backtrace and last output, for the log.
    pub details: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum FailureCause {
    /// The hook returned an error.
    #[error("returned an error: {0}")]
    Guest(String),
    /// It trapped: a panic, an access out of bounds, an exit.
    #[error("trapped: {0}")]
    Trap(String),
    /// A limit with a name.
    #[error("{limit} exceeded: used {used}, allowed {allowed}")]
    Limit { limit: &'static str, used: String, allowed: String },
    /// It did something that its hook may not do.
    #[error("{0}")]
    Misuse(String),
    /// No instance became free in time.
    #[error("instance_wait_ms exceeded: all {instances} instances were busy for {waited_ms} ms")]
    Overloaded { instances: usize, waited_ms: u64 },
    /// All plugins together have as many instances as there may be: not the plugin's fault.
    #[error("engine.instances_max exceeded: allowed {allowed}, of all plugins together ({pool})")]
    EngineFull {
        allowed: u32,
        /// What exactly was used up, in the engine's words.
        pool: String,
    },
    /// The store could not be reached: not the plugin's fault.
    #[error("{0}")]
    Store(String),
    /// A new instance could not be made.
    #[error("could not be started: {0}")]
    Start(String),
}

impl FailureCause {
    /// What it is called in figures and records: few words, or the name of a limit.
    pub fn name(&self) -> &'static str {
        match self {
            FailureCause::Guest(_) => "error",
            FailureCause::Trap(_) => "trap",
            FailureCause::Limit { limit, .. } => limit,
            FailureCause::Misuse(_) => "misuse",
            FailureCause::Overloaded { .. } => "overloaded",
            FailureCause::EngineFull { .. } => "engine.instances_max",
            FailureCause::Store(_) => "store",
            FailureCause::Start(_) => "start",
        }
    }

    /// Whether the plugin itself is to blame, and not the store, or more events than there are instances for.
    pub fn is_plugins_own(&self) -> bool {
        !matches!(self, FailureCause::Store(_)) && !self.is_overload()
    }

    /// Whether there were more events than there are instances for.
    pub fn is_overload(&self) -> bool {
        matches!(self, FailureCause::Overloaded { .. } | FailureCause::EngineFull { .. })
    }
}

/// What becomes of an event when a plugin fails on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// The event is refused with `plugin_failed`.
    #[default]
    Reject,
    /// The event goes on exactly as the plugin received it.
    Skip,
}

/// A plugin in its place.
#[derive(Clone)]
pub struct Link {
    pub plugin: Arc<dyn Plugin>,
    /// By [`Kind`], in the order of kinds.
    pub policy: [Policy; 6],
    /// One for all namespaces.
    pub breaker: Arc<Breaker>,
    /// Of this plugin in this version.
    pub meter: Arc<PluginMeter>,
    /// What the hub has to say of it.
    pub voice: Voice,
}

impl Link {
    /// A plugin whose breaker is closed, and which is seen by `seeing`.
    pub fn new(plugin: Arc<dyn Plugin>, policy: [Policy; 6], breaker: breaker::Settings, seeing: &Seeing) -> Self {
        let meter = seeing.metrics.plugins.meter(plugin.name(), plugin.version(), |kind| plugin.has_hook(kind));
        let voice = Voice::new(seeing.logs.clone(), plugin.name().clone(), plugin.version().into());
        let breaker = Arc::new(Breaker::new(voice.clone(), meter.clone(), breaker));
        Self { plugin, policy, breaker, meter, voice }
    }

    /// Whether this plugin's hook is to be called for the event.
    pub fn wants(&self, event: &Event) -> bool {
        self.plugin.has_hook(event.kind)
            && match (&event.kind, &event.answer) {
                (Kind::Message, _) => self.plugin.wants_message(&event.name),
                (Kind::Answer, Some(answer)) => answer.plugin == *self.plugin.name(),
                _ => true,
            }
    }
}

/// The plugins of one namespace, first to last.
#[derive(Clone, Default)]
pub struct Chain {
    pub links: Vec<Link>,
}

/// Says whether a plugin belongs to a namespace.
pub type Matches = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// All chains of one revision. An event takes the current one once and sees only that one.
pub struct Chains {
    pub revision: u64,
    links: Vec<(Matches, Link)>,
    by_namespace: RwLock<HashMap<Text, Arc<Chain>>>,
    namespaces_max: usize,
}

/// The chains in force. Clones are one: of who swaps them and of who runs events down them.
#[derive(Clone)]
pub struct Current(Arc<ArcSwap<Chains>>);

impl Current {
    pub fn new(chains: Chains) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(chains)))
    }

    /// The revision that events take now.
    pub fn get(&self) -> Arc<Chains> {
        self.0.load_full()
    }

    /// The chain that an event of this namespace takes now, and its revision.
    pub fn of(&self, namespace: &Text) -> (Arc<Chain>, u64) {
        let chains = self.0.load();
        (chains.of(namespace), chains.revision)
    }

    /// Events take these from now on; those under way end on the chains that they began with.
    pub fn swap(&self, chains: Chains) {
        self.0.store(Arc::new(chains));
    }
}

impl Chains {
    /// `links` in their order; the chain of a namespace is those that match it. Up to `namespaces_max` chains are
    /// remembered, further ones are put together for each event.
    pub fn new(revision: u64, links: Vec<(Matches, Link)>, namespaces_max: usize) -> Self {
        Self { revision, links, by_namespace: RwLock::default(), namespaces_max }
    }

    /// The chain of a namespace.
    pub fn of(&self, namespace: &Text) -> Arc<Chain> {
        if let Some(chain) = self.by_namespace.read().get(namespace) {
            return chain.clone();
        }
        let links = self.links.iter().filter(|(matches, _)| matches(namespace)).map(|(_, link)| link.clone());
        let chain = Arc::new(Chain { links: links.collect() });
        let mut known = self.by_namespace.write();
        if known.len() < self.namespaces_max {
            known.insert(namespace.clone(), chain.clone());
        }
        chain
    }

    /// Every plugin in its place, in order.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().map(|(_, link)| link)
    }

    /// Every plugin, in order.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<dyn Plugin>> {
        self.links.iter().map(|(_, link)| &link.plugin)
    }
}
