//! `hubbub dev`: a hub with the plugin in the making, built anew and swapped in at every save.

mod chain;
mod project;
mod screen;
mod watch;

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::Context;
use tokio::{sync::oneshot, task::JoinHandle};

use self::{
    chain::Around,
    project::{Project, Words},
    watch::Watch,
};
use super::{logging, say, serve};
use crate::{
    config::{ConfigError, Log, LogFormat},
    rollout::{By, Change, RolloutError},
    run::{Inside, Listeners},
    seeing::{Seeing, trace},
};

/// What the history of the chain says.
const WHO: &str = "dev";

/// Run a hub with the plugin of this folder, and put every save in force
///
/// The plugin's settings are in [package.metadata.hubbub] of its Cargo.toml, unless --config has a [[plugin]] of its name.
/// Saves of --config and of --with's files count too; what is in the config beside its plugins holds from the next start on.
/// Nothing is kept: what plugins write ends with the process.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin's crate
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,

    /// A config with other plugins, a page and whatever else
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Another plugin, which is granted whatever it asks for; it stands before this one. May be repeated
    #[arg(long, value_name = "FILE.wasm")]
    with: Vec<PathBuf>,

    /// The plugin that this one stands before [default: none, it is the last one, or where the config has it]
    #[arg(long, value_name = "PLUGIN")]
    before: Option<String>,

    /// A namespace that clients may use, beside / or those of the config. May be repeated
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,

    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,

    /// Where the admin API listens, without a token, on a loopback address
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:3001")]
    admin: SocketAddr,

    /// What is logged of the hub itself: a level, or levels by target as in info,hub::node=debug
    #[arg(long, value_name = "LEVEL", default_value = "error", value_parser = serve::parse_level)]
    log_level: String,
}

/// Runs until SIGINT or SIGTERM; a second signal ends the process at once.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, config, with, before, namespaces, listen, admin, log_level } = args;
    logging::init(&Log { level: log_level, format: LogFormat::Text }).context("the log does not start")?;
    let shutdown = serve::shutdown_signal().context("cannot listen for signals")?;
    tokio::pin!(shutdown);
    let mut project = Project::read(&path).await?;
    let around = Around { config, with, before, namespaces, listen, admin };
    let mut watch = Watch::start(project.dir(), project.sources(), around.files())?;
    let mut hub = tokio::select! {
        hub = first(&mut project, &mut watch, &around) => hub?,
        () = &mut shutdown => return Ok(ExitCode::SUCCESS),
    };
    say(screen::line(
        "ready",
        &format!("`{}` is on http://{}; every save is built, Ctrl-C ends", project.name, hub.address),
    ));
    tokio::select! {
        ended = &mut hub.task => return ended.context("the hub broke down")?.map(|()| ExitCode::SUCCESS),
        ended = put_in_force(&hub.inside, &mut project, &mut watch, &around) => match ended? {},
        ended = tell(&hub.seeing) => match ended? {},
        () = &mut shutdown => {}
    }
    hub.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// The hub, as soon as there is a plugin that builds and that it takes.
async fn first(project: &mut Project, watch: &mut Watch, around: &Around) -> anyhow::Result<Hub> {
    let mut words = Words::Live;
    loop {
        match project.build(words).await? {
            None => say(screen::line("not built", "waiting for a save")),
            Some(component) => match Hub::start(project, &component, around).await {
                Ok(hub) => return Ok(hub),
                Err(error) if error.is::<RolloutError>() || error.is::<ConfigError>() => {
                    let text = format!("{error:#}\n{}", screen::line("", "waiting for a save"));
                    say(screen::line("refused", &text));
                }
                Err(error) => return Err(error),
            },
        }
        words = Words::IfAny;
        loop {
            watch.saved().await;
            match Project::read(project.dir()).await {
                Ok(read) => break *project = read,
                Err(error) => say(screen::line("not built", &format!("{error:#}"))),
            }
        }
    }
}

/// Builds what is saved and swaps it in, for as long as it is waited for.
async fn put_in_force(
    inside: &Inside,
    project: &mut Project,
    watch: &mut Watch,
    around: &Around,
) -> anyhow::Result<Infallible> {
    loop {
        watch.saved().await;
        let said = match swap(inside, project, around).await {
            Ok(Some(text)) => screen::line("in force", &text),
            Ok(None) => continue,
            Err(NotSwapped::Unbuilt) => screen::line("not built", "what was there before stays in force"),
            Err(NotSwapped::Refused(error)) => screen::line(
                "refused",
                &format!("{error:#}\n{}", screen::line("", "what was there before stays in force")),
            ),
        };
        say(said);
    }
}

/// Shows every event and every line of the plugins' logs, for as long as it is waited for.
async fn tell(seeing: &Seeing) -> anyhow::Result<Infallible> {
    let mut events = seeing.tracer.subscribe(trace::Filter::default())?;
    let mut lines = seeing.logs.subscribe(None)?;
    loop {
        tokio::select! {
            event = events.next() => say(screen::event(&serde_json::to_value(event)?)),
            line = lines.next() => say(screen::log(&serde_json::to_value(line)?)),
        }
    }
}

/// Why a save changed nothing.
enum NotSwapped {
    /// The compiler has said why.
    Unbuilt,
    Refused(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for NotSwapped {
    fn from(error: E) -> Self {
        NotSwapped::Refused(error.into())
    }
}

/// Builds, and makes the chain what the files are by now. `None`: it is what it was.
async fn swap(inside: &Inside, project: &mut Project, around: &Around) -> Result<Option<String>, NotSwapped> {
    let begun = Instant::now();
    let read = Project::read(project.dir()).await?;
    if read.name != project.name {
        let (old, new) = (&project.name, &read.name);
        return Err(anyhow::anyhow!("`{old}` is called `{new}` now: end this and begin anew").into());
    }
    *project = read;
    let component = project.build(Words::IfAny).await?.ok_or(NotSwapped::Unbuilt)?;
    let built_in = begun.elapsed();
    let config = chain::config(project, &component, around)?;
    let plugins = inside.rollout.keep(&config.plugins).await?;
    let by = By { who: WHO.into(), why: "a save".into(), base: None };
    let rolled = inside.rollout.apply(Change::Take { plugins }, by).await?;
    let [built, active] = [built_in, rolled.active_in].map(|time| time.as_millis());
    Ok(rolled
        .changed
        .then(|| format!("revision {}: built in {built} ms, swapped in {active} ms", rolled.revision.number)))
}

/// A hub in this process.
struct Hub {
    address: SocketAddr,
    inside: Inside,
    seeing: Seeing,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Hub {
    /// Starts it; ready when it serves.
    async fn start(project: &Project, component: &Path, around: &Around) -> anyhow::Result<Self> {
        let config = chain::config(project, component, around)?;
        let clients = serve::bind(config.server.listen).await?;
        let admin = match config.admin.listen {
            Some(address) => Some(serve::bind(address).await.context("the admin API")?),
            None => None,
        };
        let address = clients.local_addr().context("the listener has no address")?;
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let shutdown = async {
            // nothing is ever sent: it ends with its sender
            let _ = stopped.await;
        };
        let ready = |inside| {
            // who does not wait any more has ended
            let _ = tell.send(inside);
        };
        let seeing = Seeing::default();
        let node = crate::run::run_seen(config, Listeners { clients, admin }, seeing.clone(), shutdown, ready);
        let mut task = tokio::spawn(node);
        match told.await {
            Ok(inside) => Ok(Self { address, inside, seeing, stop, task }),
            Err(_) => {
                (&mut task).await.context("the hub broke down")??;
                anyhow::bail!("the hub ended at once")
            }
        }
    }

    /// Ends it as `serve` ends.
    async fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        self.task.await.context("the hub broke down")?
    }
}
