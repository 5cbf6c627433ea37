//! The operators' API: JSON over HTTP, on a listener of its own.
//!
//! Who may do what is decided in one place, before a call is looked at any further: `routes` names each call with the
//! role that it needs. The document at `/openapi.json` is made of the same table.

mod audit;
mod auth;
mod chain;
mod diff;
mod document;
mod error;
mod extract;
mod node;
mod plugins;
mod publish;
mod sockets;
mod streams;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use axum::{Router, middleware::from_fn_with_state};
use tokio::{net::TcpListener, sync::watch};

pub use self::auth::{NewToken, new_token};
use self::{
    auth::{Tokens, Uploads},
    document::Routes,
};
use crate::{
    config::{Admin, Limits, Role},
    delivery::Delivery,
    gateway::{
        socketio::SocketIo,
        transport::{self, Served, Transport},
    },
    node::Node,
    rollout::Rollout,
    seeing::{Seeing, audit::Audit},
    store::Store,
};

/// What the API shows and changes.
#[derive(Clone)]
pub struct Parts {
    pub rollout: Arc<Rollout>,
    pub node: Arc<Node>,
    pub delivery: Arc<Delivery>,
    pub store: Arc<dyn Store>,
    pub transport: Arc<Transport<SocketIo>>,
    pub seeing: Seeing,
    pub audit: Audit,
    /// False: the node is on its way to the end.
    pub ready: Arc<AtomicBool>,
}

/// What every call has at hand.
struct Shared {
    parts: Parts,
    settings: Admin,
    limits: Limits,
    tokens: Tokens,
    uploads: Uploads,
    started: Instant,
    /// True: streams end.
    ending: watch::Sender<bool>,
}

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Everybody, also without a token.
    Open,
    Role(Role),
}

/// Serves the API until `shutdown` is ready. `settings` were checked with the listener's address.
pub async fn serve(
    listener: TcpListener,
    parts: Parts,
    settings: Admin,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Served {
    let (ending, _) = watch::channel(false);
    let router = router(parts, settings.clone(), limits, ending.clone());
    let shutdown = async {
        shutdown.await;
        ending.send_replace(true);
    };
    let connections = transport::Settings {
        connections_max: settings.connections_max,
        body_timeout: settings.body_timeout,
        ..transport::Settings::default()
    };
    let serving = transport::Serving::default();
    transport::serve(listener, router, &connections, &serving, shutdown).await
}

fn router(parts: Parts, settings: Admin, limits: Limits, ending: watch::Sender<bool>) -> Router {
    let shared = Arc::new(Shared {
        parts,
        tokens: Tokens::new(&settings),
        uploads: Uploads::new(settings.tokens.len()),
        settings,
        limits,
        started: Instant::now(),
        ending,
    });
    let router = routes(shared.clone()).into_router();
    let router = router.fallback(error::no_such_call).method_not_allowed_fallback(error::no_such_method);
    router.layer(from_fn_with_state(shared.clone(), auth::gate)).with_state(shared)
}

/// Every call, with who may make it.
fn routes(shared: Arc<Shared>) -> Routes {
    const READ: Access = Access::Role(Role::Read);
    const DEPLOY: Access = Access::Role(Role::Deploy);
    Routes::new(shared)
        .add(READ, plugins::__path_list_plugins, plugins::list_plugins)
        .add(READ, plugins::__path_show_plugin, plugins::show_plugin)
        .add(DEPLOY, plugins::__path_push_plugin, plugins::push_plugin)
        .add(DEPLOY, plugins::__path_put_artifact, plugins::put_artifact)
        .add(DEPLOY, plugins::__path_configure_plugin, plugins::configure_plugin)
        .add(DEPLOY, plugins::__path_enable_plugin, plugins::enable_plugin)
        .add(DEPLOY, plugins::__path_disable_plugin, plugins::disable_plugin)
        .add(DEPLOY, plugins::__path_move_plugin, plugins::move_plugin)
        .add(DEPLOY, plugins::__path_remove_plugin, plugins::remove_plugin)
        .add(DEPLOY, plugins::__path_purge_plugin, plugins::purge_plugin)
        .add(DEPLOY, plugins::__path_reconnect_plugin, plugins::reconnect_plugin)
        .add(READ, streams::__path_plugin_logs, streams::plugin_logs)
        .add(READ, chain::__path_show_chain, chain::show_chain)
        .add(READ, chain::__path_chain_history, chain::chain_history)
        .add(READ, chain::__path_show_revision, chain::show_revision)
        .add(READ, chain::__path_chain_diff, chain::chain_diff)
        .add(DEPLOY, chain::__path_roll_back, chain::roll_back)
        .add(READ, sockets::__path_list_sockets, sockets::list_sockets)
        .add(READ, sockets::__path_list_users, sockets::list_users)
        .add(READ, sockets::__path_list_rooms, sockets::list_rooms)
        .add(DEPLOY, sockets::__path_kick_socket, sockets::kick_socket)
        .add(DEPLOY, sockets::__path_kick_user, sockets::kick_user)
        .add(DEPLOY, sockets::__path_kick_room, sockets::kick_room)
        .add(DEPLOY, publish::__path_publish, publish::publish)
        .add(READ, streams::__path_trace, streams::trace)
        .add(READ, streams::__path_metrics, streams::metrics)
        .add(DEPLOY, streams::__path_audit, streams::audit)
        .add(READ, node::__path_show_node, node::show_node)
        .add(Access::Open, node::__path_health, node::health)
        .add(READ, node::__path_openapi, node::openapi)
}

/// The document that describes the API.
fn document(shared: &Arc<Shared>) -> String {
    let document = routes(shared.clone()).into_document();
    document.to_json().expect("a document of texts, numbers and lists is JSON")
}
