//! `hubbub serve`: from flags to a node that runs until it is told to end.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, thread::available_parallelism, time::Duration};

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use super::{USAGE, fail, logging, open_files};
use crate::{
    Listeners,
    config::{Config, ConfigError, Log, LogFormat, Overrides, WORKERS},
};

/// What may still run when the node has ended: nothing of it is worth waiting for longer.
const RUNTIME_END_TIMEOUT: Duration = Duration::from_secs(2);
/// Files that a node opens besides its connections.
const OTHER_FILES: u64 = 64;

/// How the environment is read, for `--help`.
const ENVIRONMENT: &str = "\
Environment, over the file and under the flags:
  HUBBUB_CONFIG, HUBBUB_LISTEN, HUBBUB_WORKERS, HUBBUB_LOG_LEVEL and HUBBUB_LOG_FORMAT stand for the flags.
  Each single value of [server], [limits], [recovery], [store], [engine], [plugin_defaults], [registry], [log] and
  [admin] has a variable: its path in capitals, with two underscores for a dot, as in
  HUBBUB_SERVER__PING_INTERVAL_MS=10000 or HUBBUB_SERVER__CORS__CREDENTIALS=true. Lists stand in the file alone.
  `hubbub config check FILE` prints what is in force.";

/// Run a node.
#[derive(Debug, clap::Args)]
#[command(after_help = ENVIRONMENT)]
pub struct Args {
    /// The config; without one a node without plugins
    #[arg(long, short, value_name = "FILE", env = "HUBBUB_CONFIG")]
    config: Option<PathBuf>,

    /// Where to listen, in place of server.listen
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,

    /// Threads that run connections and plugins, in place of server.workers
    #[arg(long, value_name = "N", value_parser = parse_workers)]
    workers: Option<usize>,

    /// Take the config's [[plugin]] tables in place of the chain that server.data_dir holds
    #[arg(long)]
    reset_chain: bool,

    /// What is logged, in place of log.level: a level, or levels by target as in info,hub::plugin=debug
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    log_level: Option<String>,

    /// Where the admin API listens, in place of admin.listen; it needs a token, see `hubbub token new`
    #[arg(long, value_name = "ADDR:PORT")]
    admin: Option<SocketAddr>,

    /// For a machine of your own: the admin API goes without a token, on a loopback address [default: 127.0.0.1:3001]
    #[arg(long)]
    dev: bool,

    /// How it is logged, in place of log.format
    #[arg(long, value_name = "FORMAT", value_parser = log_formats())]
    log_format: Option<LogFormat>,
}

fn parse_workers(text: &str) -> Result<usize, String> {
    let workers = text.parse().ok().filter(|n| WORKERS.contains(n));
    let (min, last) = (WORKERS.start, WORKERS.end - 1);
    workers.map(|n| n as usize).ok_or_else(|| format!("expected a whole number from {min} to {last}"))
}

pub(super) fn parse_level(text: &str) -> Result<String, String> {
    Log::parse_level(text).ok_or_else(|| format!("expected {}", Log::LEVELS))
}

fn log_formats() -> impl TypedValueParser<Value = LogFormat> {
    let words = PossibleValuesParser::new(LogFormat::WORDS.map(|(word, _)| word));
    words.map(|text| LogFormat::WORDS.into_iter().find(|(word, _)| *word == text).map_or(LogFormat::Auto, |(_, f)| f))
}

/// Runs a node until SIGINT or SIGTERM; a second signal ends the process at once.
pub fn run(args: Args) -> ExitCode {
    let config = match load(args) {
        Ok(config) => config,
        Err(error) => return fail(USAGE.into(), format_args!("{:#}", anyhow::Error::from(error))),
    };
    if let Some(Err(error)) = config.admin.listen.map(|address| config.admin.check(address)) {
        return fail(USAGE.into(), error);
    }
    if let Err(error) = logging::init(&config.log) {
        return fail(ExitCode::FAILURE, format_args!("the log does not start: {error:#}"));
    }
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if tracing::enabled!(tracing::Level::ERROR) => {
            tracing::error!(error = %format_args!("{error:#}"), "the node does not run");
            ExitCode::FAILURE
        }
        // a process that ends by itself says why, whatever is logged
        Err(error) => fail(ExitCode::FAILURE, format_args!("{error:#}")),
    }
}

fn load(args: Args) -> Result<Config, ConfigError> {
    let Args { config, listen, workers, reset_chain, log_level, log_format, admin, dev } = args;
    let overrides =
        Overrides { listen, log_level, log_format, workers, reset_chain, admin, dev, ..Overrides::of_environment() };
    match config {
        Some(file) => Config::load(&file, overrides),
        None => Config::without_file(overrides),
    }
}

fn serve(config: Config) -> anyhow::Result<()> {
    for (section, values) in config.lines() {
        tracing::info!(section, values, "config");
    }
    check_open_files(config.limits.connections_max);
    let runtime = runtime(config.server.workers).context("cannot start threads")?;
    let served = runtime.block_on(async {
        let clients = bind(config.server.listen).await?;
        let admin = match config.admin.listen {
            Some(address) => Some(bind(address).await.context("the admin API")?),
            None => None,
        };
        let shutdown = shutdown_signal().context("cannot listen for signals")?;
        crate::run(config, Listeners { clients, admin }, shutdown).await
    });
    runtime.shutdown_timeout(RUNTIME_END_TIMEOUT);
    served
}

fn runtime(workers: Option<usize>) -> io::Result<Runtime> {
    let workers = workers.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    Builder::new_multi_thread().worker_threads(workers).thread_name("hubbub-worker").enable_all().build()
}

pub(super) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| match address.port() {
        0 => format!("cannot listen on {address}"),
        port => format!("cannot listen on {address}; is port {port} free, and may this user listen there?"),
    })
}

/// Ready at the first SIGINT or SIGTERM. A second one ends the process.
pub(super) fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let (first, asked) = oneshot::channel();
    tokio::spawn(async move {
        next(&mut interrupts, &mut terminations).await;
        // nobody waits when the node has ended by itself
        let _ = first.send(());
        next(&mut interrupts, &mut terminations).await;
        tracing::warn!("told to end a second time: ending at once");
        std::process::exit(1);
    });
    Ok(async {
        // without a sender the runtime is going down, which is a reason to end as well
        let _ = asked.await;
    })
}

async fn next(interrupts: &mut Signal, terminations: &mut Signal) {
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
    }
}

/// Says so, once, when the system will refuse connections that the config allows.
fn check_open_files(connections_max: usize) {
    let Some(connections) = connections_that_fit(connections_max, open_files::raise()) else { return };
    let text = format!(
        "the system lets this process open files for {connections} connections, limits.connections_max is \
         {connections_max}: raise the hard limit (`ulimit -Hn`, `LimitNOFILE=` of a systemd unit), or write \
         connections_max = {connections}"
    );
    // whoever has not chosen a number need not be warned of it
    if connections_max == Config::default().limits.connections_max {
        tracing::info!(limit = "connections_max", "{text}");
    } else {
        tracing::warn!(limit = "connections_max", "{text}");
    }
}

/// For how many connections there are files, when these are fewer than `connections_max`. `None` of files is no limit.
fn connections_that_fit(connections_max: usize, files_max: Option<u64>) -> Option<u64> {
    let connections = files_max?.saturating_sub(OTHER_FILES);
    (connections < connections_max as u64).then_some(connections)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[track_caller]
    fn check_wrong(flags: &[&str], expected: &str) {
        let error = Command::try_parse_from(["serve"].iter().chain(flags)).err().expect("it is wrong").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn the_help_names_the_sections_whose_values_have_variables() {
        fn has_single_value(value: &serde_json::Value) -> bool {
            match value {
                serde_json::Value::Object(table) => table.values().any(has_single_value),
                value => !value.is_array(),
            }
        }
        let effective = Config::default().effective();
        for (section, table) in effective.as_object().unwrap() {
            assert_eq!(ENVIRONMENT.contains(&format!("[{section}]")), has_single_value(table), "{section}");
        }
    }

    #[test]
    fn wrong_flags_say_what_would_be_right() {
        check_wrong(&["--listen", "3000"], "invalid value '3000' for '--listen <ADDR:PORT>'");
        check_wrong(&["--workers", "0"], "expected a whole number from 1 to 1024");
        check_wrong(&["--log-level", "loud"], "expected a level (off, error, warn, info, debug, trace)");
        check_wrong(&["--log-format", "xml"], "[possible values: auto, text, json]");
        check_wrong(&["--config"], "a value is required for '--config <FILE>'");
    }

    #[test]
    fn flags_stand_over_the_defaults() {
        let flags =
            ["serve", "--listen", "[::1]:0", "--workers", "3", "--log-level", "warn,hub=debug", "--log-format", "json"];
        let config = load(Command::try_parse_from(flags).unwrap().args).unwrap();
        assert_eq!(config.server.listen.to_string(), "[::1]:0");
        assert_eq!(config.server.workers, Some(3));
        assert_eq!(config.log, Log { level: "warn,hub=debug".into(), format: LogFormat::Json });
    }

    #[test]
    fn connections_fit_into_the_files_beside_others() {
        assert_eq!(connections_that_fit(936, Some(1000)), None);
        assert_eq!(connections_that_fit(937, Some(1000)), Some(936));
        assert_eq!(connections_that_fit(1, Some(10)), Some(0));
        assert_eq!(connections_that_fit(usize::MAX, None), None);
    }

    #[tokio::test]
    async fn a_port_in_use_is_said_in_one_line() {
        let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = format!("{:#}", bind(address).await.unwrap_err());
        let (said, port) = (format!("cannot listen on {address}"), address.port());
        assert_eq!(
            error,
            format!(
                "{said}; is port {port} free, and may this user listen there?: Address already in use (os error 98)"
            )
        );
    }
}
