//! What operators see of a running node: figures, single events on their way, what plugins say.
//!
//! It knows nobody: those who do something tell it, and whoever shows it asks it.

pub mod audit;
mod feed;
pub mod logs;
pub mod metrics;
mod serialize;
pub mod trace;

use std::sync::Arc;

pub use self::feed::{Subscription, Told, TooMany};
use self::{logs::PluginLogs, metrics::Metrics, trace::Tracer};

/// Who may look on at once, each at events or at lines of the log, when the config says nothing else.
const SUBSCRIBERS_MAX: usize = 16;

/// How much is kept, and for how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Who may follow plugins' lines at once, and as many who may follow events.
    pub subscribers_max: usize,
    pub logs: logs::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { subscribers_max: SUBSCRIBERS_MAX, logs: logs::Limits::default() }
    }
}

/// All that a node's parts tell. Cheap to clone; a new one is alone with itself.
#[derive(Clone, Default)]
pub struct Seeing {
    pub metrics: Arc<Metrics>,
    pub logs: Arc<PluginLogs>,
    pub tracer: Arc<Tracer>,
}

impl Seeing {
    /// With limits of its own.
    pub fn new(limits: Limits) -> Self {
        let Limits { subscribers_max, logs } = limits;
        Self {
            metrics: Arc::default(),
            logs: Arc::new(PluginLogs::new(logs, subscribers_max)),
            tracer: Arc::new(Tracer::new(subscribers_max)),
        }
    }
}
