//! The node itself: what it is, how it is, and what its API is.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Shared,
    extract::{Answer, json},
};
use crate::plugin::artifact::ABI;

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeView {
    version: String,
    /// The version of `hubbub:plugin` that plugins are built for.
    abi: String,
    pid: u32,
    uptime_seconds: u64,
    /// The revision of the chain in force.
    revision: u64,
    plugins: usize,
    connections: usize,
    /// Suspended ones included.
    sockets: usize,
    namespaces: usize,
    rooms: usize,
    users: usize,
    /// Entries that wait for delivery.
    bus_queued_bytes: usize,
    ready: bool,
}

/// Whether it serves.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    status: Status,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// On its way to the end.
    Stopping,
}

/// What this node is and has
#[utoipa::path(get, path = "/v1/node", responses((status = 200, body = NodeView)))]
pub(super) async fn show_node(State(shared): State<Arc<Shared>>) -> Answer<NodeView> {
    let parts = &shared.parts;
    let (revision, counts) = (parts.rollout.current(), parts.delivery.counts());
    Answer(NodeView {
        version: env!("CARGO_PKG_VERSION").into(),
        abi: ABI.into(),
        pid: std::process::id(),
        uptime_seconds: shared.started.elapsed().as_secs(),
        revision: revision.number,
        plugins: revision.plugins.len(),
        connections: parts.transport.connections(),
        sockets: counts.sockets,
        namespaces: counts.namespaces,
        rooms: counts.rooms,
        users: counts.users,
        bus_queued_bytes: parts.node.queued_bytes(),
        ready: parts.ready.load(Ordering::Acquire),
    })
}

/// Whether the node serves
///
/// Needs no token: load balancers ask it.
#[utoipa::path(
    get, path = "/v1/health",
    responses((status = 200, body = Health), (status = 503, description = "It is on its way to the end", body = Health))
)]
pub(super) async fn health(State(shared): State<Arc<Shared>>) -> Response {
    if shared.parts.ready.load(Ordering::Acquire) {
        return Answer(Health { status: Status::Ok }).into_response();
    }
    let mut response = Answer(Health { status: Status::Stopping }).into_response();
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// This document
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Object, content_type = "application/json")))]
pub(super) async fn openapi(State(shared): State<Arc<Shared>>) -> Response {
    json(super::document(&shared))
}
