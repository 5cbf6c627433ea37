//! From a checked config to a running node: the one place that sees all parts.

use std::{
    future::Future,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Context;
use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

use crate::{
    bus::MemoryBus,
    config::{Config, PluginConfig},
    delivery::{Delivery, LogLimits, RetainedLimits},
    event::Text,
    gateway::{
        socketio::{self, PacketLimits, SocketIo},
        transport::{self, CloseReason, Transport},
    },
    node::{Node, SessionSettings},
    pipeline::{
        Pipeline,
        chain::{Chains, Link, Matches},
        transaction::Limits,
    },
    plugin::{
        Engine, EngineSettings, WasmPlugin,
        settings::{Capability, Settings},
    },
    store::{LocalStore, Store},
};

/// Runs a node on `listener` until `shutdown` is ready, then tells clients, lets their last events go through the
/// chain, and returns.
///
/// # Errors
/// When a plugin cannot be loaded: then nothing was served. The text names the plugin and what would be right.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let chains = load_chains(&config).await?;
    let plugins = chains.plugins().count();
    let (bus, reader) = MemoryBus::new(config.limits.bus_queue_max_bytes, config.limits.bus_append_timeout);
    let app = SocketIo::new(socketio_settings(&config));
    let delivery = Arc::new(Delivery::new(
        app.codec().clone(),
        config.limits.asks_pending_max,
        RetainedLimits {
            per_room_max: config.limits.retained_per_room_max,
            max_bytes: config.limits.retained_max_bytes,
            // a client that is in time with everything else must not be cut for its history
            replay_max_bytes: config.limits.send_queue_max_bytes / 2,
        },
        LogLimits {
            max_bytes: config.recovery.log_max_bytes,
            keep: config.recovery.window + config.server.ping_interval + config.server.ping_timeout,
            replay_max_bytes: config.limits.send_queue_max_bytes / 2,
        },
    ));
    let limits = Limits {
        chain_timeout: config.limits.chain_timeout,
        rooms_per_socket_max: config.limits.rooms_per_socket_max,
        effects_max: config.limits.effects_max,
    };
    let store = open_store(&config)?;
    let pipeline = Pipeline::new(chains, limits, delivery.clone(), store.clone());
    let sessions = SessionSettings { window: config.recovery.window, suspended_max: config.recovery.suspended_max };
    let node = Node::new(pipeline, bus, delivery.clone(), config.limits.orders_pending_max, sessions);
    app.set_handler(node.clone());
    let transport = Transport::new(transport_settings(&config), app);
    let deliver = tokio::spawn({
        let (delivery, node) = (delivery.clone(), node.clone());
        async move { delivery.run(reader, node).await }
    });
    let end_windows = tokio::spawn(node.clone().end_windows());
    let ready = Arc::new(AtomicBool::new(true));
    let router = router(&config, &transport, ready.clone());
    let address = listener.local_addr().context("the listener has no address")?;
    tracing::info!(%address, path = %config.server.path, plugins, "ready");
    let settings = transport.settings().clone();
    let stopping = {
        let (transport, delivery, node) = (transport.clone(), delivery.clone(), node.clone());
        async move {
            shutdown.await;
            tracing::info!(connections = transport.connections(), "shutting down");
            let grace_ends = Instant::now() + settings.shutdown_grace;
            ready.store(false, Ordering::Release);
            transport.shutdown(CloseReason::ServerShuttingDown).await;
            let left = grace_ends.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, node.end_sessions()).await.is_err() {
                tracing::warn!("suspended sockets were left without their leave");
            }
            node.drain(&delivery, grace_ends.saturating_duration_since(Instant::now())).await;
        }
    };
    let served = transport::serve(listener, router, transport.settings(), stopping).await;
    for task in [end_windows, deliver] {
        task.abort();
        // what it holds, the store above all, is free when it has really ended
        let _ = task.await;
    }
    match tokio::time::timeout(transport.settings().close_timeout, store.sync()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the last writes are not on the disk"),
        Err(_) => tracing::error!("the last writes did not reach the disk in time"),
    }
    tracing::info!(accepted = served.accepted, refused = served.refused, "stopped");
    Ok(())
}

/// What plugins keep: in `store.redb` of the data folder, or for this process only.
fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let limits = config.store;
    let Some(dir) = &config.server.data_dir else {
        let keepers = config.plugins.iter().filter(|p| p.enabled && p.capabilities.contains(&Capability::Store));
        if let Some(plugin) = keepers.map(|p| &p.name).next() {
            tracing::warn!(plugin, "server.data_dir is not set: what plugins keep ends with this process");
        }
        return Ok(Arc::new(LocalStore::in_memory(limits)));
    };
    std::fs::create_dir_all(dir).with_context(|| format!("server.data_dir: cannot make `{}`", dir.display()))?;
    let store = LocalStore::open(&dir.join("store.redb"), limits).context("server.data_dir")?;
    tracing::info!(data_dir = %dir.display(), "store opened");
    Ok(Arc::new(store))
}

/// The HTTP routes: the gateway's, health, and static files.
fn router(config: &Config, transport: &Arc<Transport<SocketIo>>, ready: Arc<AtomicBool>) -> Router {
    let readiness = move || {
        let ready = ready.load(Ordering::Acquire);
        async move { if ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "stopping\n") } }
    };
    let router = transport.router().route("/healthz", get(async || "ok\n")).route("/readyz", get(readiness));
    match &config.server.static_dir {
        Some(dir) => router.fallback_service(ServeDir::new(dir)),
        None => router,
    }
}

/// Loads every enabled plugin and puts the chains together.
async fn load_chains(config: &Config) -> anyhow::Result<Chains> {
    let engine = Engine::new(&EngineSettings {
        instances_max: config.engine.instances_max,
        memory_max_bytes: config.engine.memory_max_bytes,
        stack_max_bytes: config.engine.stack_max_bytes,
    })
    .map_err(|error| anyhow::anyhow!("the plugin engine does not start: {error:#}"))?;
    let mut links = Vec::new();
    for plugin in config.plugins.iter().filter(|p| p.enabled) {
        let loaded = load_plugin(&engine, plugin).await?;
        tracing::info!(
            plugin = %plugin.name, version = %crate::pipeline::chain::Plugin::version(&*loaded),
            sha256 = loaded.sha256(), "plugin loaded"
        );
        let (namespaces, own) = (plugin.namespaces.clone(), loaded.clone());
        let matches: Matches =
            Box::new(move |name| namespaces.iter().any(|p| p.matches(name)) && own.wants_namespace(name));
        links.push((matches, Link { plugin: loaded, policy: plugin.policy }));
    }
    Ok(Chains::new(1, links, config.limits.namespaces_max))
}

/// Reads and loads one plugin.
///
/// # Errors
/// With the plugin's name, and what would be right.
pub async fn load_plugin(engine: &Engine, plugin: &PluginConfig) -> anyhow::Result<Arc<WasmPlugin>> {
    let bytes = read_plugin(&plugin.file).await.with_context(|| format!("plugin `{}`", plugin.name))?;
    let settings = Settings {
        name: Text::from(&*plugin.name),
        config: plugin.config.to_string(),
        capabilities: plugin.capabilities.clone(),
        limits: plugin.limits.clone(),
    };
    Ok(Arc::new(engine.load(bytes, settings).await?))
}

async fn read_plugin(file: &Path) -> anyhow::Result<Vec<u8>> {
    let size = tokio::fs::metadata(file).await.with_context(|| format!("cannot read `{}`", file.display()))?.len();
    let max = crate::plugin::artifact::FILE_MAX_BYTES as u64;
    anyhow::ensure!(size <= max, "`{}` has {size} bytes, allowed are {max}", file.display());
    tokio::fs::read(file).await.with_context(|| format!("cannot read `{}`", file.display()))
}

fn socketio_settings(config: &Config) -> socketio::Settings {
    socketio::Settings {
        encoding: config.server.parser,
        packet: PacketLimits {
            event_name_max_bytes: config.limits.event_name_max_bytes,
            attachments_max: config.limits.attachments_max,
            attachments_max_bytes: config.limits.max_payload_bytes,
            namespace_max_bytes: config.limits.namespace_max_bytes,
        },
        namespaces: config.namespaces.allow.clone(),
        namespaces_per_connection_max: config.limits.namespaces_per_connection_max,
        recovery: if config.recovery.window.is_zero() { Vec::new() } else { config.recovery.namespaces.clone() },
    }
}

fn transport_settings(config: &Config) -> transport::Settings {
    let (server, limits) = (&config.server, &config.limits);
    transport::Settings {
        path: server.path.clone(),
        ping_interval: server.ping_interval,
        ping_timeout: server.ping_timeout,
        upgrade_timeout: server.upgrade_timeout,
        connect_timeout: server.connect_timeout,
        max_payload_bytes: limits.max_payload_bytes,
        polling_packets_max: limits.polling_packets_max,
        send_queue_max_bytes: limits.send_queue_max_bytes,
        connections_max: limits.connections_max,
        connections_per_address_max: limits.connections_per_address_max,
        header_read_timeout: server.header_read_timeout,
        body_timeout: server.body_timeout,
        handshake_timeout: server.handshake_timeout,
        keep_alive_idle_timeout: server.keep_alive_idle_timeout,
        close_timeout: server.close_timeout,
        shutdown_grace: limits.shutdown_grace,
        polling: server.polling,
        websocket: server.websocket,
        allow_upgrades: server.allow_upgrades,
        origins: server.origins.clone(),
        credentials: server.credentials,
        trusted_proxies: server.trusted_proxies.clone(),
    }
}
