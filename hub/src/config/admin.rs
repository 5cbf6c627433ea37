//! `[admin]`: the operators' API, and who may use it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::{
    registry::Digest,
    seeing::{FOLLOWERS_MAX, logs},
};

/// `[admin]`.
#[derive(Clone, Debug)]
pub struct Admin {
    /// `None`: there is no admin API.
    pub listen: Option<SocketAddr>,
    /// `serve --dev`: without tokens, everybody on this machine may do everything.
    pub dev: bool,
    pub tokens: Vec<AdminToken>,
    pub connections_max: usize,
    /// One uploaded component.
    pub upload_max_bytes: usize,
    /// Any other body.
    pub body_max_bytes: usize,
    /// For a body to arrive whole.
    pub body_timeout: Duration,
    /// Of the audit log on the disk, older files and those of refused calls included.
    pub audit_max_bytes: u64,
    /// Of each plugin.
    pub plugin_logs: logs::Limits,
    /// Who may follow plugins' lines at once, and as many who may follow events.
    pub followers_max: usize,
    /// Items of one page.
    pub page_max: usize,
    /// Sockets that one publish may await acks of.
    pub asks_max: usize,
    /// How long it may wait for them.
    pub ask_timeout_max: Duration,
}

/// A `[[admin.token]]`. The token itself is nowhere: whoever reads the config cannot use it.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// Who it is, in the history of the chain and in the log.
    pub name: String,
    pub role: Role,
    /// Of the token.
    pub sha256: Digest,
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.role.as_str())
    }
}

/// What a token allows. Who may deploy may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Read,
    Deploy,
}

impl Role {
    /// The roles by their names.
    pub const WORDS: [(&str, Role); 2] = [("read", Role::Read), ("deploy", Role::Deploy)];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Deploy => "deploy",
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: None,
            dev: false,
            tokens: Vec::new(),
            connections_max: 64,
            upload_max_bytes: 64 << 20,
            body_max_bytes: 1 << 20,
            body_timeout: Duration::from_secs(60),
            audit_max_bytes: 16 << 20,
            plugin_logs: logs::Limits::default(),
            followers_max: FOLLOWERS_MAX,
            page_max: 1000,
            asks_max: 1000,
            ask_timeout_max: Duration::from_secs(30),
        }
    }
}

impl Admin {
    /// Where it listens with `serve --dev`, when nothing else is said.
    pub(super) const DEVELOPER_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3001);

    /// Whether an API on `address` has somebody who may use it, and nobody else.
    ///
    /// # Errors
    /// In words for who starts the node.
    pub fn check(&self, address: SocketAddr) -> Result<(), String> {
        match (self.tokens.is_empty(), self.dev, address.ip().to_canonical().is_loopback()) {
            (false, _, _) | (true, true, true) => Ok(()),
            (true, false, _) => Err(format!(
                "the admin API on {address} has no token, so nobody could use it: `hubbub token new` makes one and prints \
                 the lines for hub.toml; on a machine of your own, `serve --dev` goes without"
            )),
            (true, true, false) => Err(format!(
                "--dev opens the admin API without a token to this machine alone, and {address} is no loopback address: \
                 listen on 127.0.0.1, or make a token with `hubbub token new`"
            )),
        }
    }

    /// Whether who comes without a token may do everything.
    pub fn is_open(&self) -> bool {
        self.dev && self.tokens.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin(dev: bool, tokens: usize) -> Admin {
        let token = AdminToken { name: "ops".into(), role: Role::Read, sha256: Digest::of(b"t") };
        Admin { dev, tokens: vec![token; tokens], ..Admin::default() }
    }

    #[test]
    fn an_api_that_nobody_or_anybody_could_use_is_refused() {
        let check = |dev, tokens, address: &str, right: bool| {
            let checked = admin(dev, tokens).check(address.parse().unwrap());
            assert_eq!(checked.is_ok(), right, "{dev} {tokens} {address}: {checked:?}");
        };
        check(false, 0, "127.0.0.1:1", false);
        check(false, 1, "127.0.0.1:1", true);
        check(false, 1, "0.0.0.0:1", true);
        check(true, 0, "127.0.0.1:1", true);
        check(true, 0, "127.8.0.1:1", true);
        check(true, 0, "[::1]:1", true);
        check(true, 0, "[::ffff:127.0.0.1]:1", true);
        check(true, 0, "0.0.0.0:1", false);
        check(true, 0, "192.168.1.1:1", false);
        check(true, 1, "0.0.0.0:1", true);
    }

    #[test]
    fn with_a_token_dev_opens_nothing() {
        assert!(admin(true, 0).is_open() && !admin(true, 1).is_open() && !admin(false, 0).is_open());
    }

    #[test]
    fn a_token_is_shown_without_its_hash() {
        assert_eq!(format!("{:?}", admin(false, 1).tokens), "[ops (read)]");
    }
}
