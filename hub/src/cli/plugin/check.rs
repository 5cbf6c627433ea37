//! `hubbub plugin check`: what a file is, and whether this hub would load it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use serde_json::json;

use crate::{
    cli::{
        say,
        terminal::{plain, plain_json},
    },
    config::{Config, Overrides},
    event::Kind,
    plugin::{Engine, EngineSettings, artifact::Artifact, settings::Capability},
    signature,
};

/// Say what a plugin's file is, or exactly why it would be refused.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The component, as in my_plugin.wasm
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Check it as this config's [[plugin]] of the same file: its capabilities, limits, config and signature too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command; a plugin that would be refused ends with 1.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { file, config, json } = args;
    let bytes = super::read(&file)?;
    let artifact = Artifact::parse(bytes).with_context(|| format!("`{}` would be refused", file.display()))?;
    say(describe(&artifact, json));
    let engine =
        Engine::new(&EngineSettings::default()).map_err(|e| anyhow::anyhow!("the engine does not start: {e:#}"))?;
    match config {
        None => {
            let name = artifact.manifest.name.clone();
            engine.compile(artifact.into(), &name).await?;
            note(json, "it would be loaded, if what it needs is granted; --config checks that, and its init");
        }
        Some(path) => {
            let config = Config::load(&path, Overrides::of_environment())?;
            let wanted = file.canonicalize()?;
            let plugin = config
                .plugins
                .iter()
                .find(|p| p.file.as_ref().is_some_and(|file| file.canonicalize().is_ok_and(|f| f == wanted)))
                .with_context(|| format!("no [[plugin]] of `{}` has this file", path.display()))?;
            if config.trusted_keys.demanded() {
                let signature = signature::read_beside(&file).context("its signature cannot be read")?;
                let checked = config.trusted_keys.check(&artifact.bytes, signature.as_deref());
                checked.with_context(|| format!("`{}` would be refused", file.display()))?;
            }
            crate::run::load_plugin(&engine, plugin).await?;
            note(json, "it would be loaded: its capabilities are granted, and its init takes the config");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn note(json: bool, text: &str) {
    if !json {
        say(format_args!("ok          {text}"));
    }
}

fn describe(artifact: &Artifact, json: bool) -> String {
    let manifest = &artifact.manifest;
    let hooks: Vec<_> = artifact.hooks.iter().copied().map(Kind::hook).collect();
    let needs: Vec<_> = artifact.needs.iter().copied().map(Capability::as_str).collect();
    if json {
        let all = json!({
            "name": manifest.name, "version": manifest.version, "abi": manifest.abi, "sdk": manifest.sdk,
            "hooks": hooks, "needs": needs, "imports": artifact.imports,
            "messages": manifest.subscriptions.messages, "namespaces": manifest.subscriptions.namespaces,
            "size_bytes": artifact.bytes.len(), "debug_bytes": artifact.debug_bytes, "sha256": artifact.sha256,
        });
        return plain_json(&format!("{all:#}"));
    }
    let list = |items: &[String], between: &str| items.iter().map(|item| plain(item)).collect::<Vec<_>>().join(between);
    let words = |items: &[&str]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    let sdk = manifest.sdk.as_deref().unwrap_or("unknown");
    let mut lines = vec![
        format!("plugin      {} {}", plain(&manifest.name), plain(&manifest.version)),
        format!("abi         hubbub:plugin {} (SDK {})", plain(&manifest.abi), plain(sdk)),
        format!("hooks       {}", words(&hooks)),
        format!("messages    {}", list(&manifest.subscriptions.messages, ", ")),
        format!("namespaces  {}", list(&manifest.subscriptions.namespaces, ", ")),
        format!("needs       {}", words(&needs)),
        format!("imports     {}", list(&artifact.imports, "\n            ")),
        format!("size        {} bytes, sha256 {}", artifact.bytes.len(), artifact.sha256),
    ];
    if artifact.debug_bytes > 0 {
        let bytes = artifact.debug_bytes;
        lines
            .push(format!("debug info  {bytes} of these bytes: strip = \"debuginfo\" in [profile.release] saves them"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::terminal::plain_lines,
        plugin::artifact::{Manifest, Subscriptions},
    };

    #[test]
    fn nothing_that_a_file_says_of_itself_acts_on_the_terminal() {
        let text = |what: &str| format!("{what}\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\nforged      line");
        let words = ["name", "version", "0.1.", "sdk", "message", "namespace", "import"];
        let [name, version, abi, sdk, message, namespace, import] = words.map(text);
        let subscriptions = Subscriptions { messages: vec![message], namespaces: vec![namespace] };
        let artifact = Artifact {
            bytes: Default::default(),
            sha256: String::new(),
            manifest: Manifest { name: name.clone(), version, abi, sdk: Some(sdk), subscriptions },
            imports: vec![import],
            needs: Vec::new(),
            hooks: Vec::new(),
            debug_bytes: 0,
        };
        let shown = describe(&artifact, false);
        assert!(words.iter().all(|word| shown.contains(&format!("{word}\\u{{1b}}]0;x"))), "{shown:?}");
        assert!(shown.lines().count() == 8 && plain_lines(&shown) == shown, "{shown:?}");
        let json = describe(&artifact, true);
        assert_eq!(plain_lines(&json), json);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["name"], name);
    }
}
