//! `[server]`: where and how clients come in.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{DAY_MS, Section, Server, WORKERS};
use crate::gateway::{
    socketio::Encoding,
    transport::{IpNetwork, Origins, Settings},
};

const PATH_MAX_BYTES: usize = 200;

pub(super) fn server(root: &Section<'_, '_>, base: &Path) -> Server {
    let section = root.section("server");
    let node = Settings::default();
    let cors = section.section("cors");
    let transports = section.list("transports", |text| match text {
        "polling" | "websocket" => Ok(text == "polling"),
        other => Err(format!("expected \"polling\" or \"websocket\", found \"{}\"", other.escape_debug())),
    });
    if transports.as_ref().is_some_and(Vec::is_empty) {
        section.empty("transports", "name \"polling\", \"websocket\" or both");
    }
    let transports = transports.unwrap_or_else(|| vec![true, false]);
    let server = Server {
        listen: listen(&section),
        path: path(&section),
        parser: section.choice("parser", &[("json", Encoding::Json), ("msgpack", Encoding::Msgpack)], Encoding::Json),
        polling: transports.contains(&true),
        websocket: transports.contains(&false),
        allow_upgrades: section.boolean("allow_upgrades", node.allow_upgrades),
        ping_interval: section.duration("ping_interval_ms", 100..DAY_MS + 1, node.ping_interval),
        ping_timeout: section.duration("ping_timeout_ms", 100..DAY_MS + 1, node.ping_timeout),
        upgrade_timeout: section.duration("upgrade_timeout_ms", 100..DAY_MS + 1, node.upgrade_timeout),
        connect_timeout: section.duration("connect_timeout_ms", 0..DAY_MS + 1, node.connect_timeout),
        close_timeout: section.duration("close_timeout_ms", 100..DAY_MS + 1, node.close_timeout),
        header_read_timeout: section.duration("header_read_timeout_ms", 100..DAY_MS + 1, node.header_read_timeout),
        body_timeout: section.duration("body_timeout_ms", 100..DAY_MS + 1, node.body_timeout),
        handshake_timeout: section.duration("handshake_timeout_ms", 100..DAY_MS + 1, node.handshake_timeout),
        keep_alive_idle_timeout: section.duration(
            "keep_alive_idle_timeout_ms",
            100..DAY_MS + 1,
            node.keep_alive_idle_timeout,
        ),
        trusted_proxies: section
            .list("trusted_proxies", |text| text.parse::<IpNetwork>().map_err(|e| e.to_string()))
            .unwrap_or_default(),
        static_dir: static_dir(&section, base),
        data_dir: data_dir(&section, base),
        workers: section.get("workers").map(|_| section.count("workers", WORKERS, 1)),
        origins: origins(&cors),
        credentials: cors.boolean("credentials", node.credentials),
    };
    cors.finish();
    section.finish();
    server
}

fn listen(section: &Section<'_, '_>) -> SocketAddr {
    let what = "an address with a port, as in \"127.0.0.1:3000\" or \"[::]:3000\"";
    let listen = section.parsed("listen", what, |text| text.parse().ok());
    listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 3000)))
}

fn path(section: &Section<'_, '_>) -> String {
    let what = "a path below the root, of letters, digits and `-_.`, as in \"/socket.io/\"";
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
    let is_path = |text: &&str| text.starts_with('/') && *text != "/" && !text.contains("//") && is_plain(text);
    let path = section.parsed("path", what, |text| {
        Some(text)
            .filter(is_path)
            .filter(|text| text.len() <= PATH_MAX_BYTES)
            .map(|t| format!("{}/", t.trim_end_matches('/')))
    });
    path.unwrap_or_else(|| Settings::default().path)
}

/// A folder of state, seen from the folder of the file. It is made when it is not there.
fn data_dir(section: &Section<'_, '_>, base: &Path) -> Option<PathBuf> {
    let what = "a folder, seen from the folder of this file, which is made when it is not there";
    section.parsed("data_dir", what, |text| {
        Some(base.join(text)).filter(|dir| !text.is_empty() && (dir.is_dir() || !dir.exists()))
    })
}

fn static_dir(section: &Section<'_, '_>, base: &Path) -> Option<PathBuf> {
    let what = "a folder that exists, seen from the folder of this file";
    section.parsed("static_dir", what, |text| Some(base.join(text)).filter(|dir| dir.is_dir()))
}

fn origins(cors: &Section<'_, '_>) -> Origins {
    let read = |text: &str| match text {
        "*" => Ok(text.to_owned()),
        _ if is_origin(text) => Ok(text.to_owned()),
        other => Err(format!(
            "expected \"*\" or an origin as browsers send it, as in \"https://chat.example\" or \"http://localhost:8080\", \
             found \"{}\"",
            other.escape_debug()
        )),
    };
    match cors.list("origins", read) {
        None => Origins::SameOrigin,
        Some(list) if list.is_empty() => Origins::SameOrigin,
        Some(list) if list.iter().any(|o| o == "*") => {
            if let (Some(found), true) = (cors.get("origins"), list.len() > 1) {
                let text = format!("{}: \"*\" stands for all origins: leave out the others", found.path);
                cors.source().wrong(found.at, text);
            }
            Origins::Any
        }
        Some(list) => Origins::List(list),
    }
}

/// Scheme, host and port in lower case, and nothing behind them.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._:[]".contains(c);
    host.is_some_and(|host| !host.is_empty() && host.chars().all(fits))
}
