//! A node in this process, on a free port.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use hub::{
    Listeners,
    config::{Config, Overrides},
    seeing::Seeing,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

use crate::plugins::wasm;

/// How long a node may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// A running node. Ends when it is dropped; [`Node::stop`] waits for that.
pub struct Node {
    pub address: SocketAddr,
    /// What an operator could see of it.
    pub seeing: Seeing,
    /// Where its admin API is, if `[admin] listen` asks for one.
    pub admin: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<anyhow::Result<()>>,
    _dir: tempfile::TempDir,
}

impl Node {
    /// Starts a node with this `hub.toml`; `{wasm:NAME}` in it stands for the component of that package.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(toml: &str) -> Self {
        match Self::try_start(toml).await {
            Ok(node) => node,
            Err(error) => panic!("the node does not start: {error:#}"),
        }
    }

    /// The same as with `serve --dev`, with an admin API on a free port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_dev(toml: &str) -> Self {
        let overrides = Overrides { dev: true, admin: Some(([127, 0, 0, 1], 0).into()), ..Overrides::default() };
        match Self::try_start_under(toml, overrides).await {
            Ok(node) => node,
            Err(error) => panic!("the node does not start: {error:#}"),
        }
    }

    /// As [`Node::start`]; the error is what an operator would read.
    pub async fn try_start(toml: &str) -> anyhow::Result<Self> {
        Self::try_start_under(toml, Overrides::default()).await
    }

    /// The same under flags and environment.
    pub async fn try_start_under(toml: &str, overrides: Overrides) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("hub.toml");
        std::fs::write(&file, with_components(toml))?;
        let config = Config::load(&file, overrides)?;
        let clients = TcpListener::bind("127.0.0.1:0").await?;
        let address = clients.local_addr()?;
        let admin_listener = match config.admin.listen {
            Some(address) => Some(TcpListener::bind(address).await?),
            None => None,
        };
        let admin = admin_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let seeing = Seeing::default();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            // a dropped sender stops it too
            let _ = stopped.await;
        };
        let listeners = Listeners { clients, admin: admin_listener };
        let mut task = tokio::spawn(hub::run_seen(config, listeners, seeing.clone(), shutdown, |_| ()));
        tokio::select! {
            ended = &mut task => {
                ended.context("the node panicked")??;
                anyhow::bail!("the node ended at once");
            }
            ready = ready(address) => if let Err(error) = ready {
                // a node that ended says more than a connection that was reset
                return match timeout(Duration::from_secs(5), &mut task).await {
                    Ok(Ok(Err(reason))) => Err(reason),
                    _ => Err(error),
                };
            },
        }
        Ok(Self { address, admin, seeing, stop: Some(stop), task, _dir: dir })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins the shutdown without waiting for it.
    pub fn begin_stop(&mut self) {
        self.stop.take();
    }

    /// Stops it as SIGTERM would, and waits.
    ///
    /// # Panics
    /// When it ends badly or not in time.
    pub async fn stop(mut self) {
        self.begin_stop();
        let ended = timeout(STOP_TIMEOUT, &mut self.task).await.expect("the node stops in time");
        ended.expect("the node does not panic").expect("the node ends well");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.take();
    }
}

/// Waits until the node answers: compiling plugins takes a moment.
async fn ready(address: SocketAddr) -> anyhow::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let answered = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "not ready: {answer}");
        Ok(())
    };
    timeout(Duration::from_secs(120), answered).await.context("the node was not ready in time")?
}

pub(crate) fn with_components(toml: &str) -> String {
    let mut out = String::new();
    let mut rest = toml;
    while let Some((before, behind)) = rest.split_once("{wasm:") {
        let (name, after) = behind.split_once('}').expect("`{wasm:NAME}` is closed");
        out.push_str(before);
        out.push_str(&wasm(name).display().to_string());
        rest = after;
    }
    out + rest
}
