//! Figures of a node, in the text form of Prometheus.
//!
//! What happens often counts into cells of its own ([`Events`], [`Plugins`]); everything else is read from its owner when
//! somebody asks. Labels have few values: plugins that stand in a chain, hooks, codes and causes that the hub names.

mod cells;
mod events;
mod page;
mod plugins;
mod process;

use parking_lot::Mutex;

pub use self::{
    cells::{Cells, Timed, Times},
    events::{Events, OUTCOMES},
    page::{Family, Labels, Page, Sort},
    plugins::{PluginMeter, Plugins, Verdict, version_label},
};

/// Writes the figures that one part of a node has.
pub type Source = Box<dyn Fn(&mut Page) + Send + Sync>;

/// All figures of a node.
#[derive(Default)]
pub struct Metrics {
    pub events: Events,
    pub plugins: Plugins,
    sources: Mutex<Vec<Source>>,
}

impl Metrics {
    /// Asks a part for its figures too, behind those that were added before. A source must not keep alive what it reads: the
    /// metrics are kept by the same parts.
    pub fn add_source(&self, source: Source) {
        self.sources.lock().push(source);
    }

    /// The whole page, as `/metrics` answers it (`text/plain; version=0.0.4`).
    pub fn render(&self) -> String {
        let mut page = Page::default();
        let help = "The node's version.";
        page.family(Sort::Gauge, "hubbub_build_info", help).count(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.events.write(&mut page);
        self.plugins.write(&mut page);
        for source in self.sources.lock().iter() {
            source(&mut page);
        }
        process::write(&mut page);
        page.into_text()
    }
}
