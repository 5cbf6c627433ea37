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
pub const FOLLOWERS_MAX: usize = 16;

/// All that a node's parts tell. Cheap to clone; a new one is alone with itself.
#[derive(Clone, Default)]
pub struct Seeing {
    pub metrics: Arc<Metrics>,
    pub logs: Arc<PluginLogs>,
    pub tracer: Arc<Tracer>,
}

impl Seeing {
    /// For so many who follow plugins' lines at once, and as many who follow events; `logs`: what is kept of those lines.
    pub fn new(followers_max: usize, logs: logs::Limits) -> Self {
        Self {
            metrics: Arc::default(),
            logs: Arc::new(PluginLogs::new(logs, followers_max)),
            tracer: Arc::new(Tracer::new(followers_max)),
        }
    }
}
