//! Keys, signatures, and what a config that trusts a key makes of them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use scenarios::{plugins::wasm, process::binary};

use super::{hubbub, refused, said};

const CHECK: [&str; 5] = ["plugin", "check", "hello.wasm", "--config", "hub.toml"];

/// A folder with a plugin and a key that a config trusts.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(wasm("hello"), dir.path().join("hello.wasm")).unwrap();
    said(hubbub(dir.path(), &["plugin", "keygen", "--no-password"]));
    trust(dir.path(), "hubbub.pub");
    dir
}

fn trust(dir: &Path, public: &str) {
    let file = fs::read_to_string(dir.join(public)).unwrap();
    let key = file.lines().nth(1).unwrap();
    let config = format!(
        "[signatures]\ntrusted_keys = [\"{key}\"]\n[[plugin]]\nname = \"hello\"\nfile = \"hello.wasm\"\n\
         config = {{ greeting = \"Hi\" }}\n"
    );
    fs::write(dir.join("hub.toml"), config).unwrap();
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
