//! `[admin]` with its tokens, and `[signatures]`: who may change the chain, and with what.

use super::{Admin, AdminToken, GIB, PluginConfig, Role, Section};
use crate::{
    plugin::artifact::FILE_MAX_BYTES,
    registry::Digest,
    seeing::logs,
    signature::{TrustedKey, TrustedKeys},
};

pub(super) fn admin(root: &Section<'_, '_>) -> Admin {
    let section = root.section("admin");
    let node = Admin::default();
    let what = "an address with a port, as in \"127.0.0.1:3001\"";
    let admin = Admin {
        listen: section.parsed("listen", what, |text| text.parse().ok()),
        dev: false,
        connections_max: section.count("connections_max", 1..100_001, node.connections_max),
        upload_max_bytes: section.count("upload_max_bytes", 1024..FILE_MAX_BYTES as u64 + 1, node.upload_max_bytes),
        body_max_bytes: section.count("body_max_bytes", 1024..(64 << 20) + 1, node.body_max_bytes),
        body_timeout: section.duration("body_timeout_ms", 100..600_001, node.body_timeout),
        audit_max_bytes: section.number("audit_max_bytes", 65_536..64 * GIB + 1, node.audit_max_bytes),
        plugin_logs: logs::Limits {
            lines_max: section.count("plugin_log_lines_max", 0..1_000_001, node.plugin_logs.lines_max),
            max_bytes: section.count("plugin_log_max_bytes", 0..GIB + 1, node.plugin_logs.max_bytes),
        },
        followers_max: section.count("followers_max", 1..10_001, node.followers_max),
        page_max: section.count("page_max", 1..100_001, node.page_max),
        asks_max: section.count("asks_max", 0..100_001, node.asks_max),
        ask_timeout_max: section.duration("ask_timeout_max_ms", 1..600_001, node.ask_timeout_max),
        tokens: tokens(&section),
    };
    section.finish();
    admin
}

fn tokens(admin: &Section<'_, '_>) -> Vec<AdminToken> {
    let mut tokens: Vec<AdminToken> = Vec::new();
    for section in admin.sections("token") {
        let missing = |key: &'static str, right: &str| {
            if section.get(key).is_none() {
                let text = format!("{}: missing, {right}", section.key(key));
                section.source().wrong(section.at(), text);
            }
        };
        missing("name", "write name = \"ops\"");
        missing("role", "write role = \"read\" or \"deploy\"");
        missing("sha256", "`hubbub token new` prints the lines");
        let name = section.parsed("name", PluginConfig::NAMES, PluginConfig::parse_name);
        let role = section.choice("role", &Role::WORDS, Role::Read);
        // the digest of a token is no secret, but what was written in its place may be one
        let sha256 = section.get("sha256").and_then(|found| {
            let digest = found.value.as_str().and_then(|text| text.parse::<Digest>().ok());
            if digest.is_none() {
                let right = "expected the SHA-256 of a token, 64 hex digits: `hubbub token new` makes both";
                section.source().wrong(found.at, format!("{}: {right}", found.path));
            }
            digest
        });
        if let (Some(name), Some(sha256)) = (name, sha256) {
            let twice = |key: &str| {
                let at = section.at();
                section.source().wrong(at, format!("{}: another token has the same", section.key(key)));
            };
            match tokens.iter().find(|other| other.name == name || other.sha256 == sha256) {
                Some(other) if other.name == name => twice("name"),
                Some(_) => twice("sha256"),
                None => tokens.push(AdminToken { name, role, sha256 }),
            }
        }
        section.finish();
    }
    tokens
}

/// An empty list is an error: who takes the last key away would open the hub for everybody's plugins.
pub(super) fn trusted_keys(root: &Section<'_, '_>) -> TrustedKeys {
    let section = root.section("signatures");
    let keys = section.list("trusted_keys", |text| TrustedKey::parse(text).map_err(|error| error.to_string()));
    if keys.as_ref().is_some_and(Vec::is_empty) {
        section.empty("trusted_keys", "to load plugins without signatures, leave the key out");
    }
    section.finish();
    TrustedKeys::new(keys.unwrap_or_default())
}
