//! The server that is measured: its address and where on it Socket.IO is served.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};

/// Where Socket.IO is served unless the URL says otherwise.
const PATH_DEFAULT: &str = "/socket.io/";

/// A parsed URL of a Socket.IO server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// As the user wrote it.
    pub(super) url: String,
    /// What the `Host` header says.
    pub(super) host: String,
    /// Host and port, to be resolved.
    authority: String,
    path: String,
    query: String,
}

impl Target {
    /// Parses `http://host[:port][/path][?query]` or the same with `ws`.
    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => {}
            "https" | "wss" => {
                bail!("{scheme} is not supported: the bench speaks no TLS, measure behind the proxy that ends it")
            }
            other => bail!("{url} is no http or ws URL: unknown scheme {other}"),
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        ensure!(!host.is_empty(), "{url} names no host");
        ensure!(!host.contains('@'), "{url}: user and password in the URL are not supported");
        let has_port =
            host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
        let authority = if has_port { host.to_owned() } else { format!("{host}:80") };
        let path = if matches!(path, "" | "/") { PATH_DEFAULT } else { path };
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(is_plain(path) && is_plain(query) && is_plain(host), "{url} holds characters that a URL must escape");
        Ok(Self {
            url: url.to_owned(),
            host: host.to_owned(),
            authority,
            path: path.to_owned(),
            query: if query.is_empty() { String::new() } else { format!("&{query}") },
        })
    }

    /// The address to connect to: the first that the name resolves to.
    pub(super) async fn resolve(&self) -> anyhow::Result<SocketAddr> {
        let mut addresses = tokio::net::lookup_host(&self.authority)
            .await
            .with_context(|| format!("the address of {} cannot be found", self.authority))?;
        addresses.next().with_context(|| format!("{} has no address", self.authority))
    }

    /// Path and query of a request over this Engine.IO transport, of the session `sid` when there is one.
    pub(super) fn request_path(&self, transport: &str, sid: Option<&str>) -> String {
        let sid = sid.map(|sid| format!("&sid={sid}")).unwrap_or_default();
        format!("{}?EIO=4&transport={transport}{sid}{}", self.path, self.query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_socket_io_is_served() {
        for (url, authority, path) in [
            ("http://127.0.0.1:3000", "127.0.0.1:3000", "/socket.io/?EIO=4&transport=websocket"),
            ("127.0.0.1:3000/", "127.0.0.1:3000", "/socket.io/?EIO=4&transport=websocket"),
            ("ws://[::1]:80", "[::1]:80", "/socket.io/?EIO=4&transport=websocket"),
            ("ws://[::1]", "[::1]:80", "/socket.io/?EIO=4&transport=websocket"),
            ("http://chat.example/hub/?token=x#y", "chat.example:80", "/hub/?EIO=4&transport=websocket&token=x"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(
                (target.authority.as_str(), target.request_path("websocket", None).as_str()),
                (authority, path),
                "{url}"
            );
        }
        let target = Target::parse("http://h:1").unwrap();
        assert_eq!(target.request_path("polling", Some("abc")), "/socket.io/?EIO=4&transport=polling&sid=abc");
    }

    #[test]
    fn what_the_bench_cannot_speak_is_said_clearly() {
        for (url, expect) in [
            ("https://h", "https is not supported: the bench speaks no TLS, measure behind the proxy that ends it"),
            ("ftp://h", "ftp://h is no http or ws URL: unknown scheme ftp"),
            ("http://", "http:// names no host"),
            ("http://a:b@h", "http://a:b@h: user and password in the URL are not supported"),
            ("http://h/a b", "http://h/a b holds characters that a URL must escape"),
        ] {
            assert_eq!(Target::parse(url).unwrap_err().to_string(), expect);
        }
    }
}
