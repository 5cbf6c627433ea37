//! From a checked config to a running node: the one place that sees all parts.

mod figures;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Context;
use axum::{Router, http::StatusCode, routing::get};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_http::services::ServeDir;

use crate::{
    admin,
    bus::MemoryBus,
    config::{self, Config, PluginConfig},
    delivery::{Delivery, LogLimits, RetainedLimits},
    gateway::{
        socketio::{self, PacketLimits, SocketIo},
        transport::{self, CloseReason, Served, Serving, Transport},
    },
    node::{Node, SessionSettings},
    pipeline::{Pipeline, transaction::Limits},
    plugin::{
        Engine, EngineSettings, WasmPlugin,
        cache::{self, CacheKey, CodeCache},
        settings::Capability,
    },
    registry::{self, LocalRegistry, MemoryRegistry, Registry},
    rollout::{self, Rollout},
    seeing::{Seeing, audit::Audit},
    store::{LocalStore, Store},
};

/// Where a node listens.
pub struct Listeners {
    pub clients: TcpListener,
    /// The admin API's; `None`: there is none.
    pub admin: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(clients: TcpListener) -> Self {
        Self { clients, admin: None }
    }
}

/// What a node offers to who has started it in the same process.
pub struct Inside {
    pub rollout: Arc<Rollout>,
}

/// Runs a node on its listeners until `shutdown` is ready, then tells clients, lets their last events go through the
/// chain, and returns.
///
/// # Errors
/// When a plugin cannot be loaded, or nobody or anybody could use the admin API: then nothing was served. The text says
/// what would be right.
pub async fn run(
    config: Config,
    listeners: impl Into<Listeners>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let seeing = Seeing::new(config.admin.followers_max, config.admin.plugin_logs);
    run_seen(config, listeners, seeing, shutdown, |_| ()).await
}

/// The same for who looks on: `seeing` is told of all that happens, and `tell` is called when the node has started and
/// serves from now on.
///
/// # Errors
/// As [`run`].
pub async fn run_seen(
    config: Config,
    listeners: impl Into<Listeners>,
    seeing: Seeing,
    shutdown: impl Future<Output = ()> + Send + 'static,
    tell: impl FnOnce(Inside),
) -> anyhow::Result<()> {
    let Listeners { clients: listener, admin: admin_listener } = listeners.into();
    if let Some(listener) = &admin_listener {
        let address = listener.local_addr().context("the admin API has no address")?;
        config.admin.check(address).map_err(anyhow::Error::msg)?;
    }
    let config = Arc::new(config);
    make_data_dir(&config)?;
    let (engine, registry) = (engine(&config)?.with_logs(seeing.logs.clone()), open_registry(&config)?);
    let rollout = Arc::new(Rollout::open(engine, registry, config.clone(), seeing.clone()).await?);
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
    let pipeline = Pipeline::new(rollout.chains(), limits, delivery.clone(), store.clone(), seeing.clone());
    let sessions = SessionSettings { window: config.recovery.window, suspended_max: config.recovery.suspended_max };
    let node = Node::new(pipeline, bus, delivery.clone(), config.limits.orders_pending_max, sessions);
    app.set_handler(node.clone());
    let transport = Transport::new(transport_settings(&config), app);
    let serving = Arc::new(Serving::default());
    figures::add_sources(
        &seeing.metrics,
        figures::Parts {
            transport: &transport,
            serving: &serving,
            node: &node,
            delivery: &delivery,
            store: &store,
            rollout: &rollout,
        },
    );
    let deliver = tokio::spawn({
        let (delivery, node) = (delivery.clone(), node.clone());
        async move { delivery.run(reader, node).await }
    });
    let end_windows = tokio::spawn(node.clone().end_windows());
    let ready = Arc::new(AtomicBool::new(true));
    let router = router(&config, &transport, ready.clone());
    let address = listener.local_addr().context("the listener has no address")?;
    let (revision, plugins) = (rollout.current().number, rollout.status().iter().filter(|p| p.enabled).count());
    tracing::info!(%address, path = %config.server.path, revision, plugins, "ready");
    tell(Inside { rollout: rollout.clone() });
    let parts = admin::Parts {
        rollout: rollout.clone(),
        node: node.clone(),
        delivery: delivery.clone(),
        store: store.clone(),
        transport: transport.clone(),
        seeing: seeing.clone(),
        audit: Audit::new(config.server.data_dir.as_deref(), config.admin.audit_max_bytes),
        ready: ready.clone(),
    };
    let admin = serve_admin(&config, admin_listener, parts)?;
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
    let served = transport::serve(listener, router, transport.settings(), &serving, stopping).await;
    if let Some((stop, admin)) = admin {
        drop(stop);
        // it has a deadline of its own
        let _ = admin.await;
    }
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

fn make_data_dir(config: &Config) -> anyhow::Result<()> {
    let Some(dir) = &config.server.data_dir else { return Ok(()) };
    std::fs::create_dir_all(dir).with_context(|| format!("server.data_dir: cannot make `{}`", dir.display()))
}

/// Serves the admin API, if it listens anywhere, until what is given is dropped.
fn serve_admin(
    config: &Config,
    listener: Option<TcpListener>,
    parts: admin::Parts,
) -> anyhow::Result<Option<(oneshot::Sender<()>, JoinHandle<Served>)>> {
    let Some(listener) = listener else {
        if !config.admin.tokens.is_empty() {
            tracing::warn!("there are tokens, and no admin API: admin.listen or --admin says where it listens");
        }
        return Ok(None);
    };
    let address = listener.local_addr().context("the admin API's listener has no address")?;
    if config.admin.is_open() {
        tracing::warn!(%address, "admin API without a token: everybody on this machine may change this node");
    } else {
        tracing::info!(%address, tokens = ?config.admin.tokens, "admin API");
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        // nothing is ever sent: it ends with its sender
        let _ = stopped.await;
    };
    let task = tokio::spawn(admin::serve(listener, parts, config.admin.clone(), config.limits.clone(), stopped));
    Ok(Some((stop, task)))
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

/// The plugin engine, with its cache of compiled code where there is a folder for it.
fn engine(config: &Config) -> anyhow::Result<Engine> {
    let Config { engine: settings, server, .. } = config;
    let engine = Engine::new(&EngineSettings {
        instances_max: settings.instances_max,
        memory_max_bytes: settings.memory_max_bytes,
        stack_max_bytes: settings.stack_max_bytes,
    })
    .map_err(|error| anyhow::anyhow!("the plugin engine does not start: {error:#}"))?;
    let Some(dir) = &server.data_dir else { return Ok(engine) };
    let key = match &settings.cache_key_file {
        Some(file) => {
            CacheKey::open(file).with_context(|| format!("engine.cache_key_file: cannot use `{}`", file.display()))?
        }
        None => CacheKey::random().context("the system has no randomness")?,
    };
    let cache = CodeCache::open(dir.join(cache::FOLDER), key, settings.cache_max_bytes).context("server.data_dir")?;
    Ok(engine.with_cache(cache))
}

/// Plugins' files and the chain's revisions: in `registry` of the data folder, or for this process only.
fn open_registry(config: &Config) -> anyhow::Result<Arc<dyn Registry>> {
    let config::Registry { artifacts_max_bytes, revisions_max, reset: _ } = config.registry;
    let limits = registry::Limits { artifacts_max_bytes, revisions_max, ..registry::Limits::default() };
    match &config.server.data_dir {
        Some(dir) => Ok(Arc::new(LocalRegistry::open(&dir.join("registry"), limits).context("server.data_dir")?)),
        None => Ok(Arc::new(MemoryRegistry::new(limits))),
    }
}

/// Reads and loads one plugin of a config.
///
/// # Errors
/// With the plugin's name, and what would be right.
pub async fn load_plugin(engine: &Engine, plugin: &PluginConfig) -> anyhow::Result<Arc<WasmPlugin>> {
    let file = plugin.file.as_deref().with_context(|| format!("plugin `{}` has no file", plugin.name))?;
    let bytes = rollout::read_file(file).await.with_context(|| format!("plugin `{}`", plugin.name))?;
    Ok(Arc::new(engine.load(bytes, rollout::start_settings(plugin)).await?))
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
