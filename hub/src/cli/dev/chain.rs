//! The config of a hub for one plugin in the making: an operator's own, or the least that runs, with the plugin in it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value as Json};
use toml::{Table, Value};

use super::project::Project;
use crate::{
    config::{Config, Overrides, PluginConfig},
    plugin::artifact::Artifact,
};

/// What the author wants around the plugin.
#[derive(Debug)]
pub struct Around {
    /// A config with other plugins, a page and whatever else.
    pub config: Option<PathBuf>,
    /// Components to load before the plugin.
    pub with: Vec<PathBuf>,
    /// The plugin that it stands before; `None`: it is the last one, or where the config has it.
    pub before: Option<String>,
    /// Namespaces that clients may use, beside those of the config.
    pub namespaces: Vec<String>,
    pub listen: SocketAddr,
    /// Where the admin API listens.
    pub admin: SocketAddr,
}

impl Around {
    /// The files whose saves count, beside those of the plugin.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.config.iter().chain(&self.with).map(PathBuf::as_path)
    }
}

/// The config with the plugin in it. What one process needs not is left out: its data folder, so that every start is a new
/// one, signatures and the operators' own tokens.
///
/// # Errors
/// With what is wrong in the config or in the plugin's settings.
pub fn config(project: &Project, component: &Path, around: &Around) -> anyhow::Result<Config> {
    let (file, mut root) = match &around.config {
        Some(file) => {
            // whose mistakes are said with their lines
            Config::load(file, Overrides::default())?;
            let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            (file.clone(), text.parse::<Table>().with_context(|| format!("`{}`", file.display()))?)
        }
        None => (project.dir().join("hub.toml"), Table::new()),
    };
    for table in ["signatures", "admin"] {
        root.remove(table);
    }
    let server = table(&mut root, "server")?;
    server.remove("data_dir");
    server.insert("listen".into(), around.listen.to_string().into());
    allow(table(&mut root, "namespaces")?, &around.namespaces);
    let plugins = root.entry("plugin").or_insert_with(|| Value::Array(Vec::new()));
    let plugins = plugins.as_array_mut().context("plugin: expected tables, each under [[plugin]]")?;
    for file in &around.with {
        plugins.push(with(file)?.into());
    }
    place(plugins, project, component, around.before.as_deref())?;
    let text = toml::to_string(&root).context("the config cannot be written as TOML")?;
    // its lines are nobody's: what is wrong by now is in the plugin's settings
    let overrides = Overrides { admin: Some(around.admin), dev: true, ..Overrides::default() };
    Config::parse(&text, &file, overrides).context("[package.metadata.hubbub]")
}

fn table<'t>(root: &'t mut Table, key: &str) -> anyhow::Result<&'t mut Table> {
    let value = root.entry(key).or_insert_with(|| Table::new().into());
    value.as_table_mut().with_context(|| format!("{key}: expected a table"))
}

fn allow(namespaces: &mut Table, more: &[String]) {
    let list = namespaces.entry("allow").or_insert_with(|| vec![Value::from("/")].into());
    let Some(list) = list.as_array_mut() else { return };
    for name in more {
        let name = Value::from(name.as_str());
        if !list.contains(&name) {
            list.push(name);
        }
    }
}

/// Puts the plugin where the config has one of its name, with the settings that are there; else with its own.
fn place(plugins: &mut Vec<Value>, project: &Project, component: &Path, before: Option<&str>) -> anyhow::Result<()> {
    let name = |plugin: &Value| plugin.get("name").and_then(Value::as_str).map(str::to_owned);
    let at =
        |wanted: &str, plugins: &[Value]| plugins.iter().position(|plugin| name(plugin).as_deref() == Some(wanted));
    let (mut own, mut place) = (settings(project)?, plugins.len());
    if let Some(there) = at(&project.name, plugins) {
        let Value::Table(written) = plugins.remove(there) else { bail!("plugin[{there}]: expected a table") };
        (own, place) = (written, there);
    }
    own.insert("name".into(), project.name.clone().into());
    own.insert("file".into(), text(component)?.into());
    if let Some(before) = before {
        place = at(before, plugins).with_context(|| format!("--before: there is no plugin `{before}`"))?;
    }
    plugins.insert(place, own.into());
    Ok(())
}

/// The plugin's own settings, as `[package.metadata.hubbub]` has them.
fn settings(project: &Project) -> anyhow::Result<Table> {
    Table::try_from(&project.settings).context("[package.metadata.hubbub]")
}

/// Another plugin: called like its file, with whatever it asks for.
fn with(file: &Path) -> anyhow::Result<Table> {
    let named = || format!("--with `{}`", file.display());
    let bytes = fs::read(file).with_context(named)?;
    let needs = Artifact::parse(bytes).with_context(named)?.needs;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = PluginConfig::parse_name(&stem.replace('_', "-").to_lowercase());
    let name = name.with_context(|| format!("{}: its name is no plugin's: {}", named(), PluginConfig::NAMES))?;
    let file = file.canonicalize().with_context(named)?;
    let needs: Vec<Json> = needs.iter().map(|capability| capability.as_str().into()).collect();
    let all = [("name", name.into()), ("file", text(&file)?.into()), ("capabilities", Json::from(needs))];
    let all: Map<String, Json> = all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(Table::try_from(&all)?)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().with_context(|| format!("`{}`: expected a path that is UTF-8", path.display()))?;
    ensure!(path.is_absolute(), "`{text}`: expected a path from the root on");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A file that is there.
    fn component() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")
    }

    fn around() -> Around {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let namespaces = vec!["/tea".into()];
        Around { config: None, with: Vec::new(), before: None, namespaces, listen: at(4000), admin: at(4001) }
    }

    fn project(settings: Json) -> Project {
        Project::for_tests("mine", settings)
    }

    /// A config with two plugins, in a folder that is removed when it is dropped.
    struct File(PathBuf);

    impl File {
        fn new(test: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("hub-dev-{}-{test}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            let plugin = |name: &str| format!("[[plugin]]\nname = \"{name}\"\nfile = {:?}\n", component());
            let text = "[server]\ndata_dir = \"data\"\nping_interval_ms = 777\n".to_owned();
            let text = text + "[namespaces]\nallow = [\"/chat\"]\n" + &plugin("first") + &plugin("last");
            fs::write(dir.join("hub.toml"), text).unwrap();
            Self(dir.join("hub.toml"))
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            fs::remove_dir_all(self.0.parent().unwrap()).unwrap();
        }
    }

    fn names(config: &Config) -> Vec<&str> {
        config.plugins.iter().map(|plugin| &*plugin.name).collect()
    }

    #[test]
    fn a_plugin_alone_runs_with_its_own_settings() {
        let settings = json!({ "namespaces": ["/"], "config": { "greeting": "Hi", "depth": [1, 2.5, true] } });
        let config = config(&project(settings.clone()), &component(), &around()).unwrap();
        assert_eq!((names(&config), config.server.listen.port()), (vec!["mine"], 4000));
        assert!(config.admin.listen.is_some_and(|admin| admin.port() == 4001) && config.admin.is_open());
        assert_eq!(config.plugins[0].config, settings["config"]);
        assert_eq!(format!("{:?}", config.namespaces.allow), r#"["/", "/tea"]"#);
        let wrong = super::config(&project(json!({ "polcy": "skip" })), &component(), &around());
        let wrong = format!("{:#}", wrong.unwrap_err());
        assert!(wrong.contains("[package.metadata.hubbub]: ") && wrong.contains("did you mean `policy`?"), "{wrong}");
    }

    #[test]
    fn an_operators_config_is_kept_but_for_what_is_told_by_the_author() {
        let file = File::new("kept");
        let mut around = Around { config: Some(file.0.clone()), ..around() };
        let last = config(&project(json!({})), &component(), &around).unwrap();
        assert_eq!(names(&last), ["first", "last", "mine"]);
        assert_eq!((last.server.ping_interval.as_millis(), &last.server.data_dir), (777, &None));
        assert_eq!(format!("{:?}", last.namespaces.allow), r#"["/chat", "/tea"]"#);
        around.before = Some("last".into());
        assert_eq!(names(&config(&project(json!({})), &component(), &around).unwrap()), ["first", "mine", "last"]);
        around.before = Some("nobody".into());
        let error = config(&project(json!({})), &component(), &around).unwrap_err().to_string();
        assert_eq!(error, "--before: there is no plugin `nobody`");
    }

    #[test]
    fn a_plugin_that_the_config_has_takes_its_place_and_settings() {
        let file = File::new("place");
        let around = Around { config: Some(file.0.clone()), ..around() };
        let project = Project::for_tests("first", json!({ "policy": "skip" }));
        let config = config(&project, &component(), &around).unwrap();
        assert_eq!(names(&config), ["first", "last"]);
        assert_eq!(format!("{:?}", config.plugins[0].policy[0]), "Reject", "what the config says counts");
    }
}
