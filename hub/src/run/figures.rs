//! Which part of a node has which figures.

use std::{
    sync::{Arc, Weak},
    time::Instant,
};

use crate::{
    delivery::Delivery,
    gateway::{
        socketio::SocketIo,
        transport::{Serving, Transport},
    },
    node::Node,
    pipeline::{breaker::Status, chain::Chains},
    plugin::Usage,
    rollout::Rollout,
    seeing::metrics::{Metrics, Page, Sort, version_label},
    store::Store,
};

/// What figures are read from.
pub struct Parts<'a> {
    pub transport: &'a Arc<Transport<SocketIo>>,
    pub serving: &'a Arc<Serving>,
    pub node: &'a Arc<Node>,
    pub delivery: &'a Arc<Delivery>,
    pub store: &'a Arc<dyn Store>,
    pub rollout: &'a Arc<Rollout>,
}

/// Adds them all to the page of `metrics`. A node that has ended has none any more.
pub fn add_sources(metrics: &Metrics, parts: Parts<'_>) {
    let Parts { transport, serving, node, delivery, store, rollout } = parts;
    let serving = serving.clone();
    add(metrics, transport, move |transport, page| connections(transport, &serving, page));
    add(metrics, delivery, deliveries);
    add(metrics, node, |node, page| {
        page.gauge("hubbub_suspended_sockets", "Sockets whose clients may still come back.", node.suspended() as u64);
        page.gauge("hubbub_bus_queue_bytes", "Entries that wait for delivery.", node.queued_bytes() as u64);
        plugins(&node.pipeline().chains(), page);
    });
    add(metrics, rollout, |rollout, page| engine(rollout.usage(), page));
    let store = Arc::downgrade(store);
    metrics.add_source(Box::new(move |page: &mut Page| store.upgrade().iter().for_each(|store| kept(&**store, page))));
}

/// The metrics are kept by the node: they must not keep it.
fn add<T: Send + Sync + 'static>(
    metrics: &Metrics,
    part: &Arc<T>,
    write: impl Fn(&T, &mut Page) + Send + Sync + 'static,
) {
    let part: Weak<T> = Arc::downgrade(part);
    metrics.add_source(Box::new(move |page: &mut Page| part.upgrade().iter().for_each(|part| write(part, page))));
}

fn connections(transport: &Transport<SocketIo>, serving: &Serving, page: &mut Page) {
    let (counters, tcp) = (transport.counters(), serving.so_far());
    page.gauge("hubbub_connections", "Clients' connections that are open.", transport.connections() as u64);
    page.counter("hubbub_connections_accepted_total", "Connections that clients opened.", counters.opened);
    let help = "Connections over connections_max or connections_per_address_max.";
    page.counter("hubbub_connections_refused_total", help, counters.refused + tcp.refused);
    page.counter(
        "hubbub_tcp_accepted_total",
        "TCP connections let in, those for health checks and files too.",
        tcp.accepted,
    );
    let help = "Connections that ended; slow consumers were cut because send_queue_max_bytes waited for them.";
    let mut family = page.family(Sort::Counter, "hubbub_connections_closed_total", help);
    for (reason, count) in counters.closed {
        family.count(&[("reason", reason.as_str())], count);
    }
}

fn deliveries(delivery: &Delivery, page: &mut Page) {
    page.gauge(
        "hubbub_sockets",
        "Sockets that are members of a namespace, suspended ones too.",
        delivery.sockets() as u64,
    );
    page.gauge("hubbub_rooms", "Rooms that have members, of all namespaces.", delivery.rooms() as u64);
    let sent = delivery.sent();
    let help = "Packets handed to connections: events once for every socket that they went to, acks, and what opens and ends sockets.";
    let mut family = page.family(Sort::Counter, "hubbub_deliveries_total", help);
    for (what, count) in [("event", sent.events), ("ack", sent.acks), ("other", sent.others)] {
        family.count(&[("packet", what)], count);
    }
    page.counter("hubbub_delivered_bytes_total", "Those packets, as WebSocket frames.", sent.bytes);
}

fn plugins(chains: &Chains, page: &mut Page) {
    page.gauge("hubbub_chain_revision", "The revision of the chain that events take.", chains.revision);
    let links = || {
        chains
            .links()
            .map(|link| ([("plugin", &**link.plugin.name()), ("version", version_label(link.plugin.version()))], link))
    };
    let mut family = page.family(Sort::Gauge, "hubbub_plugin_instances", "Instances that exist, idle ones included.");
    links().for_each(|(labels, link)| family.count(&labels, link.plugin.footprint().instances as u64));
    let mut family = page.family(Sort::Gauge, "hubbub_plugin_memory_bytes", "Linear memory of all instances.");
    links().for_each(|(labels, link)| family.count(&labels, link.plugin.footprint().memory_bytes as u64));
    let help = "Whether a plugin is in quarantine: 1, and is not called but for probes.";
    let mut family = page.family(Sort::Gauge, "hubbub_plugin_quarantined", help);
    let now = Instant::now();
    for (labels, link) in links() {
        family.count(&labels, u64::from(link.breaker.status(now) != Status::Closed));
    }
    let help = "Quarantines that began, those behind a probe that failed included.";
    let mut family = page.family(Sort::Counter, "hubbub_plugin_quarantines_total", help);
    links().for_each(|(labels, link)| family.count(&labels, link.meter.quarantines()));
}

fn engine(usage: Usage, page: &mut Page) {
    page.gauge(
        "hubbub_engine_files",
        "Plugins' files whose code is mapped, old ones that still end too.",
        usage.files as u64,
    );
    page.gauge("hubbub_engine_code_bytes", "Machine code of these.", usage.code_bytes as u64);
    let help = "Instances of all plugins, those of old chains that still end too.";
    page.gauge("hubbub_engine_instances", help, usage.instances);
}

fn kept(store: &dyn Store, page: &mut Page) {
    let figures = store.figures();
    page.counter("hubbub_store_commits_total", "Events' writes that the store took.", figures.commits);
    let help = "Events' writes that came too late: what they relied on had changed. Their chain runs again.";
    page.counter("hubbub_store_conflicts_total", help, figures.conflicts);
    page.gauge("hubbub_store_backlog_bytes", "Writes that are not on the disk yet.", figures.backlog_bytes);
}
