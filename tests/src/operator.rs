//! An operator with a token that may deploy, who changes the chain of a node over its admin API.

use std::net::SocketAddr;

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::admin::{Admin, Answer, DEPLOY, of_component};

/// Somebody who may deploy on one node, whose `hub.toml` has [`crate::admin::admin_toml`].
#[derive(Clone, Debug)]
pub struct Operator {
    admin: Admin,
}

/// The body of a call that went well; what came back otherwise is the error.
pub fn good(answer: Answer) -> anyhow::Result<Value> {
    anyhow::ensure!((200..300).contains(&answer.status), "refused with {}: {}", answer.status, answer.text);
    Ok(answer.json())
}

impl Operator {
    /// Whoever has the token that scenarios deploy with.
    pub fn of(address: SocketAddr) -> Self {
        Self { admin: Admin::new(address, DEPLOY) }
    }

    /// For calls of any kind.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// What a call without a body gives.
    pub async fn get(&self, target: &str) -> anyhow::Result<Value> {
        good(self.admin.get(target).await?)
    }

    /// Pushes a component with settings as a `[[plugin]]` table has them; null: those that it has.
    pub async fn push(
        &self,
        name: &str,
        component: &[u8],
        settings: Value,
        signature: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let signature = signature.map(|text| BASE64_STANDARD.encode(text));
        if !settings.is_null() {
            return self.admin.push_with(name, "", component, signature.as_deref(), &settings).await;
        }
        self.admin.call("POST", &format!("/v1/plugins/{name}"), &of_component(signature.as_deref()), component).await
    }

    /// Replaces a plugin's config.
    pub async fn configure(&self, name: &str, config: Value) -> anyhow::Result<Answer> {
        self.admin.send("PATCH", &format!("/v1/plugins/{name}"), json!({ "config": config })).await
    }

    /// Moves a plugin before another one.
    pub async fn move_before(&self, name: &str, before: &str) -> anyhow::Result<Answer> {
        self.admin.send("POST", &format!("/v1/plugins/{name}/move"), json!({ "before": before })).await
    }

    /// To what an earlier revision was.
    pub async fn rollback(&self, revision: u64) -> anyhow::Result<Answer> {
        self.admin.send("POST", "/v1/chain/rollback", json!({ "revision": revision })).await
    }

    /// What `/metrics` says of a figure; `name`: as it stands there, labels included.
    pub async fn figure(&self, name: &str) -> anyhow::Result<f64> {
        let page = self.admin.get("/metrics").await?.text;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.with_context(|| format!("no {name} in\n{page}"))
    }

    /// The number of the revision in force.
    pub async fn revision(&self) -> anyhow::Result<u64> {
        let chain = self.get("/v1/chain").await?;
        chain["revision"].as_u64().with_context(|| format!("no revision: {chain}"))
    }
}
