//! Keys, signatures, and what a config that trusts a key makes of them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use hub::signature::{
    making::{NewKey, Password, SecretKeyFile},
    path_of,
};
use scenarios::{Node, plugins::wasm, process::binary};

use super::{hubbub, refused, said};

const CHECK: [&str; 5] = ["plugin", "check", "hello.wasm", "--config", "hub.toml"];

/// A folder with a plugin and a key that a config trusts.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder is made");
    fs::copy(wasm("hello"), dir.path().join("hello.wasm")).expect("it is copied");
    said(hubbub(dir.path(), &["plugin", "keygen", "--no-password"]));
    trust(dir.path(), "hubbub.pub");
    dir
}

fn trust(dir: &Path, public: &str) {
    let file = fs::read_to_string(dir.join(public)).expect("it is there");
    let key = file.lines().nth(1).expect("it has a key");
    let config = format!(
        "[signatures]\ntrusted_keys = [\"{key}\"]\n[[plugin]]\nname = \"hello\"\nfile = \"hello.wasm\"\n\
         config = {{ greeting = \"Hi\" }}\n"
    );
    fs::write(dir.join("hub.toml"), config).expect("it is written");
}

#[test]
fn what_a_new_key_has_signed_is_loaded_and_nothing_else() {
    let dir = folder();
    let dir = dir.path();
    let unsigned = refused(hubbub(dir, &CHECK));
    assert!(unsigned.starts_with("`hello.wasm` would be refused: not signed"), "{unsigned}");

    let signed = said(hubbub(dir, &["plugin", "sign", "hello.wasm", "--key", "hubbub.key"]));
    assert!(signed.starts_with("signed      hello.wasm.minisig by key "), "{signed}");
    assert!(said(hubbub(dir, &CHECK)).contains("ok          it would be loaded"));

    // one bit of a byte that only debuggers and people read: the component itself stays whole
    let mut bytes = fs::read(dir.join("hello.wasm")).unwrap();
    let at = bytes.windows(5).rposition(|w| w == b"rustc").expect("it says what has compiled it");
    bytes[at] ^= 1;
    fs::write(dir.join("hello.wasm"), &bytes).unwrap();
    let altered = refused(hubbub(dir, &CHECK));
    assert!(altered.contains("the file is not what key ") && altered.contains("were altered"), "{altered}");
    bytes[at] ^= 1;
    fs::write(dir.join("hello.wasm"), &bytes).unwrap();

    said(hubbub(dir, &["plugin", "keygen", "--no-password", "--key", "other.key"]));
    trust(dir, "other.pub");
    let foreign = refused(hubbub(dir, &CHECK));
    assert!(foreign.contains("which this hub does not trust (it trusts key "), "{foreign}");
    fs::write(dir.join("hello.wasm.minisig"), "nonsense").unwrap();
    let damaged = refused(hubbub(dir, &CHECK));
    assert!(damaged.contains("the signature is damaged: it is not the text of a .minisig file"), "{damaged}");
}

#[test]
fn the_secret_key_is_its_owners_alone_and_never_overwritten() {
    let dir = folder();
    let mode = |file: &str| fs::metadata(dir.path().join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("hubbub.key"), mode("hubbub.pub") & 0o600], [0o600, 0o600]);
    let before = fs::read(dir.path().join("hubbub.key")).unwrap();
    let said = refused(hubbub(dir.path(), &["plugin", "keygen", "--no-password"]));
    assert_eq!(said, "`hubbub.key` is there already: name another one with --key\n");
    assert_eq!(fs::read(dir.path().join("hubbub.key")).unwrap(), before);
    let said = refused(hubbub(dir.path(), &["plugin", "sign", "hello.wasm", "--key", "hubbub.pub"]));
    assert_eq!(said, "key `hubbub.pub`: expected a secret key, found a public one\n");
}

#[test]
fn a_password_comes_from_the_environment() {
    let dir = folder();
    let run = |password: &str, args: &[&str]| {
        let mut command = Command::new(binary());
        command.current_dir(dir.path()).args(args).env("HUBBUB_KEY_PASSWORD", password).output().unwrap()
    };
    let made = said(run("correct horse", &["plugin", "keygen", "--key", "release.key", "--json"]));
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    trust(dir.path(), "release.pub");
    let sign = ["plugin", "sign", "hello.wasm", "--key", "release.key", "--json"];
    let wrong = refused(run("wrong horse", &sign));
    assert_eq!(wrong, "key `release.key`: the password is wrong, or the secret key is damaged\n");
    assert!(refused(run("", &sign)).starts_with("HUBBUB_KEY_PASSWORD is empty"));
    let signed: serde_json::Value = serde_json::from_str(&said(run("correct horse", &sign))).unwrap();
    assert_eq!(signed[0]["key"], made["id"]);
    said(hubbub(dir.path(), &CHECK));
}

/// A node whose state is in `dir`, and that loads only what `key` has signed.
async fn start(dir: &Path, key: &NewKey, plugins: &str) -> anyhow::Result<Node> {
    let (data, key) = (dir.join("data"), &key.public);
    let (server, signatures) =
        (format!("[server]\ndata_dir = {data:?}\n"), format!("[signatures]\ntrusted_keys = [\"{key}\"]\n"));
    Node::try_start(&(server + &signatures + plugins)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_checks_what_it_reads_back_from_its_disk_too() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("hello.wasm");
    let bytes = fs::read(wasm("hello"))?;
    fs::write(&file, &bytes)?;
    let [own, other] = [NewKey::make(Password::None)?, NewKey::make(Password::None)?];
    let sign = |key: &NewKey| -> anyhow::Result<String> {
        let key = SecretKeyFile::parse(key.secret_file.clone())?.open(Password::None)?;
        Ok(key.sign(&bytes, "a test")?)
    };
    let plugin = format!("[[plugin]]\nname = \"hello\"\nfile = {file:?}\nconfig = {{ greeting = \"Hi\" }}\n");
    let refused = async |key: &NewKey, plugins: &str| match start(dir.path(), key, plugins).await {
        Ok(_) => panic!("it starts"),
        Err(error) => format!("{error:#}"),
    };
    let unsigned = refused(&own, &plugin).await;
    assert!(unsigned.contains("plugin `hello`") && unsigned.contains("not signed"), "{unsigned}");
    fs::write(path_of(&file), sign(&own)?)?;
    start(dir.path(), &own, &plugin).await?.stop().await;

    // from now on the chain is the registry's: the file that was named is not looked at
    fs::remove_file(&file)?;
    start(dir.path(), &own, "").await?.stop().await;
    let untrusted = refused(&other, "").await;
    assert!(untrusted.contains(&format!("signed by key {}, which this hub does not trust", own.id)), "{untrusted}");
    let kept = fs::read_dir(dir.path().join("data/registry/artifacts"))?.flatten().map(|entry| entry.path());
    let kept = kept.into_iter().find(|path| path.extension().is_some_and(|e| e == "minisig")).expect("it is kept");
    fs::write(&kept, sign(&other)?)?;
    assert!(refused(&own, "").await.contains(&format!("signed by key {}", other.id)));
    fs::remove_file(&kept)?;
    assert!(refused(&own, "").await.contains("not signed"));
    Ok(())
}
