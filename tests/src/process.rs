//! A node as a process of its own, which can be killed.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use crate::{Operator, node::with_components, plugins::workspace};

/// How long the process may take until it listens: it compiles its plugins first.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A running `hubbub serve`. Killed when it is dropped.
pub struct Process {
    pub address: SocketAddr,
    /// Where its admin API is, if it has one.
    pub admin: Option<SocketAddr>,
    child: Child,
    log: JoinHandle<()>,
}

/// The binary, built as the scenario itself is, in debug or in release; that is quick when nothing changed.
pub fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let (profile, folder) = if cfg!(debug_assertions) { ("dev", "debug") } else { ("release", "release") };
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.current_dir(workspace()).args(["build", "--quiet", "--workspace", "--bins", "--profile", profile]);
        assert!(cargo.status().expect("cargo runs").success(), "the node does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
        target.join(folder).join("hubbub")
    })
}

impl Process {
    /// Starts a node with this `hub.toml`, which lies in `dir`; `{wasm:NAME}` stands for the component of that package.
    /// Its port is the system's choice.
    pub async fn start(dir: &Path, toml: &str) -> anyhow::Result<Self> {
        let file = dir.join("hub.toml");
        std::fs::write(&file, with_components(toml))?;
        let mut child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "info", "--log-format", "json", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("its log is piped")?).lines();
        let has_admin = toml.contains("[admin]");
        let ready = async {
            let (mut log, mut address, mut admin) = (String::new(), None, None);
            while address.is_none() || (has_admin && admin.is_none()) {
                let line = lines.next_line().await?.with_context(|| format!("the node ended at once:\n{log}"))?;
                let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                let said = || anyhow::Ok(entry["address"].as_str().context("it says where")?.parse::<SocketAddr>()?);
                match entry["message"].as_str() {
                    Some("ready") => address = Some(said()?),
                    Some("admin API") => admin = Some(said()?),
                    _ => log = log + &line + "\n",
                }
            }
            anyhow::Ok((address.context("it is ready")?, admin))
        };
        let (address, admin) = timeout(START_TIMEOUT, ready).await.context("the node was not ready in time")??;
        // a full pipe would stop the node; what it warns of is what a failing test wants to know
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if !line.contains(r#""level":"INFO""#) {
                    eprintln!("{line}");
                }
            }
        });
        Ok(Self { address, admin, child, log })
    }

    /// Somebody who may deploy.
    ///
    /// # Errors
    /// When it has no admin API.
    pub fn operator(&self) -> anyhow::Result<Operator> {
        Ok(Operator::of(self.admin.context("it has an admin API")?))
    }

    /// Its number.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("it has ended")
    }

    /// SIGKILL; returns when the process is no more.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(self.log.await?)
    }
}
