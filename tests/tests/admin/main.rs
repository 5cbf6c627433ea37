//! The admin API of a real node, over real HTTP: who may do what, what is refused, and that a refusal changes nothing.

mod auth;
mod bodies;
mod document;
mod plugins;
mod publish;
mod sockets;
mod streams;

use scenarios::{
    Client, Node,
    admin::{Admin, DEPLOY, admin_toml},
};
use serde_json::{Value, json};

/// A chain that lets clients say who they are and where they are.
fn probe_toml() -> String {
    admin_toml()
        + r#"
[namespaces]
allow = ["/", "/other"]

[[plugin]]
name = "probe"
file = "{wasm:probe}"
capabilities = ["identity", "credentials", "orders"]
config = { watch = true }
"#
}

async fn probe_node() -> (Node, Admin) {
    let node = Node::start(&probe_toml()).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), DEPLOY);
    (node, admin)
}

/// A client that is this user, and in these rooms.
async fn member(node: &Node, namespace: &str, user: &str, rooms: &[&str]) -> anyhow::Result<Client> {
    let mut auth = json!({ "join": rooms });
    if !user.is_empty() {
        auth["user"] = user.into();
    }
    let mut client = Client::connect(node.address, namespace, auth).await?;
    // behind it the socket is where it wants to be, for others too
    let _: Value = client.ask("probe:now", json!({})).await?;
    Ok(client)
}
