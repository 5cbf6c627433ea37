//! The chain: what it is, what it was, and the way back.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    diff::{Difference, differences},
    error::ApiError,
    extract::{Answer, ChangeQuery, Changing, Json, Param, Query},
    plugins::{Changed, ChangedAnswer},
};
use crate::{
    config::masked,
    registry::{Placed, Revision},
    rollout::Change,
};

/// Revisions that are read at a time.
const BATCH: usize = 8;
/// Revisions of a page of which nobody has said how many it should have.
const PAGE: usize = 20;

/// A chain that is or was in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevisionView {
    pub revision: u64,
    pub who: String,
    pub why: String,
    /// Milliseconds since the Unix epoch.
    pub when_ms: u64,
    /// In the order of the chain.
    pub plugins: Vec<PlacedView>,
}

/// A plugin in its place.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlacedView {
    pub name: String,
    pub version: String,
    /// Of its file.
    pub sha256: String,
    /// The keys of its `[[plugin]]` as they were written; secrets are `***`.
    #[schema(value_type = Object)]
    pub settings: Value,
}

impl From<&Placed> for PlacedView {
    fn from(placed: &Placed) -> Self {
        Self {
            name: placed.name.clone(),
            version: placed.version.clone(),
            sha256: placed.sha256.to_string(),
            settings: masked(&Value::Object(placed.written.clone())),
        }
    }
}

impl From<&Revision> for RevisionView {
    fn from(revision: &Revision) -> Self {
        Self {
            revision: revision.number,
            who: revision.who.clone(),
            why: revision.why.clone(),
            when_ms: revision.when_ms,
            plugins: revision.plugins.iter().map(PlacedView::from).collect(),
        }
    }
}

/// A revision in the history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevisionLine {
    pub revision: u64,
    pub who: String,
    pub why: String,
    /// Milliseconds since the Unix epoch.
    pub when_ms: u64,
    /// Names and versions, in the order of the chain.
    pub plugins: Vec<String>,
}

impl From<&Revision> for RevisionLine {
    fn from(revision: &Revision) -> Self {
        Self {
            revision: revision.number,
            who: revision.who.clone(),
            why: revision.why.clone(),
            when_ms: revision.when_ms,
            plugins: revision.plugins.iter().map(|placed| format!("{} {}", placed.name, placed.version)).collect(),
        }
    }
}

/// Some revisions, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    /// The revision in force.
    pub current: u64,
    pub items: Vec<RevisionLine>,
    /// What to say as `before` for the next page; null: there is none.
    pub next: Option<u64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Only revisions below this one.
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DiffQuery {
    /// Without one, the revision before `to`.
    from: Option<u64>,
    /// Without one, the revision in force.
    to: Option<u64>,
}

/// What is different between two revisions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Diff {
    pub from: u64,
    pub to: u64,
    pub items: Vec<Difference>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// The revision whose chain is wanted again.
    revision: u64,
}

/// The chain in force
#[utoipa::path(get, path = "/v1/chain", responses((status = 200, body = RevisionView)))]
pub(super) async fn show_chain(State(shared): State<Arc<Shared>>) -> Answer<RevisionView> {
    Answer(RevisionView::from(&*shared.parts.rollout.current()))
}

/// Revisions of the chain, the newest first
#[utoipa::path(get, path = "/v1/chain/history", params(HistoryQuery), responses((status = 200, body = History)))]
pub(super) async fn chain_history(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HistoryQuery>,
) -> Result<Answer<History>, ApiError> {
    let limit = shared.page_limit(query.limit, PAGE)?;
    let registry = shared.parts.rollout.registry();
    let (mut items, mut next): (Vec<RevisionLine>, _) = (Vec::new(), None);
    // whole revisions are large: few of them at a time, and one more, to know whether there is more
    while items.len() <= limit {
        let before = items.last().map(|last| last.revision).or(query.before);
        let revisions = registry.history(before, BATCH.min(limit + 1 - items.len())).await?;
        if revisions.is_empty() {
            break;
        }
        items.extend(revisions.iter().map(RevisionLine::from));
    }
    if items.len() > limit {
        items.truncate(limit);
        next = items.last().map(|last| last.revision);
    }
    let current = shared.parts.rollout.current().number;
    Ok(Answer(History { current, items, next }))
}

/// One revision
#[utoipa::path(
    get, path = "/v1/chain/revisions/{number}",
    params(("number" = u64, Path)),
    responses((status = 200, body = RevisionView))
)]
pub(super) async fn show_revision(
    State(shared): State<Arc<Shared>>,
    Param(number): Param<u64>,
) -> Result<Answer<RevisionView>, ApiError> {
    shared.revision(number).await.map(|revision| Answer(RevisionView::from(&revision)))
}

/// What is different between two revisions
#[utoipa::path(get, path = "/v1/chain/diff", params(DiffQuery), responses((status = 200, body = Diff)))]
pub(super) async fn chain_diff(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<DiffQuery>,
) -> Result<Answer<Diff>, ApiError> {
    let to = query.to.unwrap_or_else(|| shared.parts.rollout.current().number);
    let from = match query.from {
        Some(from) => from,
        None if to > 1 => to - 1,
        None => return Err(ApiError::invalid("there is no revision before the first: say from and to")),
    };
    let items = differences(&shared.revision(from).await?, &shared.revision(to).await?);
    Ok(Answer(Diff { from, to, items }))
}

/// Make the chain what it was in an earlier revision
///
/// That becomes a new revision; the history stays.
#[utoipa::path(
    post, path = "/v1/chain/rollback",
    params(ChangeQuery),
    request_body = Target,
    responses((status = 200, body = Changed))
)]
pub(super) async fn roll_back(changing: Changing, Json(target): Json<Target>) -> Result<ChangedAnswer, ApiError> {
    changing.make(Change::Rollback { revision: target.revision }, None).await
}

impl Shared {
    async fn revision(&self, number: u64) -> Result<Revision, ApiError> {
        let revision = self.parts.rollout.registry().revision(number).await?;
        revision.ok_or_else(|| ApiError::not_found(format!("there is no revision {number}")))
    }

    /// How many items a page has: what is wanted, if that is allowed, or else `default`, or what is allowed of it.
    pub fn page_limit(&self, wanted: Option<usize>, default: usize) -> Result<usize, ApiError> {
        let max = self.settings.page_max;
        match wanted.unwrap_or(default.min(max)) {
            0 => Err(ApiError::invalid("limit: expected at least 1")),
            wanted if wanted > max => Err(ApiError::invalid(format!("limit: admin.page_max allows {max}"))),
            wanted => Ok(wanted),
        }
    }
}
