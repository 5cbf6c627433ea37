//! `hubbub plugin check`: what a file is, and whether this hub would load it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use crate::{
    config::{Config, Overrides},
    event::Kind,
    plugin::{
        Engine, EngineSettings,
        artifact::{Artifact, FILE_MAX_BYTES},
        settings::Capability,
    },
};

/// Look at a plugin.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what a plugin's file is, or exactly why it would be refused
    Check {
        /// The component, as in my_plugin.wasm
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// Check it as this config's [[plugin]] of the same file: its capabilities, limits and config too
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,

        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command; a plugin that would be refused ends with 1.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::Check { file, config, json } = args.command;
    let size = std::fs::metadata(&file).with_context(|| format!("cannot read `{}`", file.display()))?.len();
    anyhow::ensure!(
        size <= FILE_MAX_BYTES as u64,
        "`{}` has {size} bytes, allowed are {FILE_MAX_BYTES}",
        file.display()
    );
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let artifact = Artifact::parse(bytes).with_context(|| format!("`{}` would be refused", file.display()))?;
    print(&artifact, json);
    let engine =
        Engine::new(&EngineSettings::default()).map_err(|e| anyhow::anyhow!("the engine does not start: {e:#}"))?;
    match config {
        None => {
            engine.compile(&artifact, &artifact.manifest.name)?;
            note(json, "it would be loaded, if what it needs is granted; --config checks that, and its init");
        }
        Some(path) => {
            let config = Config::load(&path, Overrides::of_environment())?;
            let wanted = file.canonicalize()?;
            let plugin = config
                .plugins
                .iter()
                .find(|p| p.file.canonicalize().is_ok_and(|f| f == wanted))
                .with_context(|| format!("no [[plugin]] of `{}` has this file", path.display()))?;
            crate::run::load_plugin(&engine, plugin).await?;
            note(json, "it would be loaded: its capabilities are granted, and its init takes the config");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn note(json: bool, text: &str) {
    if !json {
        println!("ok          {text}");
    }
}

fn print(artifact: &Artifact, json: bool) {
    let manifest = &artifact.manifest;
    let hooks: Vec<_> = artifact.hooks.iter().copied().map(Kind::hook).collect();
    let needs: Vec<_> = artifact.needs.iter().copied().map(Capability::as_str).collect();
    if json {
        let all = json!({
            "name": manifest.name, "version": manifest.version, "abi": manifest.abi, "sdk": manifest.sdk,
            "hooks": hooks, "needs": needs, "imports": artifact.imports,
            "messages": manifest.subscriptions.messages, "namespaces": manifest.subscriptions.namespaces,
            "size_bytes": artifact.bytes.len(), "sha256": artifact.sha256,
        });
        return println!("{all:#}");
    }
    let list = |items: &[String]| items.join(", ");
    let words = |items: &[&str]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    println!("plugin      {} {}", manifest.name, manifest.version);
    println!("abi         hubbub:plugin {} (SDK {})", manifest.abi, manifest.sdk.as_deref().unwrap_or("unknown"));
    println!("hooks       {}", words(&hooks));
    println!("messages    {}", list(&manifest.subscriptions.messages));
    println!("namespaces  {}", list(&manifest.subscriptions.namespaces));
    println!("needs       {}", words(&needs));
    println!("imports     {}", artifact.imports.join("\n            "));
    println!("size        {} bytes, sha256 {}", artifact.bytes.len(), artifact.sha256);
}
