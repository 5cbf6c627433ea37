//! What only files can show: who may read them, what a kill leaves, and damage of every kind.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{folder::SmallDisk, *};

fn open(folder: &Folder) -> Result<LocalRegistry, RegistryError> {
    LocalRegistry::open(folder.path(), limits())
}

#[track_caller]
fn refusal(folder: &Folder) -> String {
    open(folder).err().expect("it does not open").to_string()
}

/// A registry that had three revisions and is closed.
async fn three_revisions(test: &str) -> Folder {
    let folder = Folder::new(test);
    let registry = open(&folder).unwrap();
    for base in 0..3 {
        commit(&registry, base, proposal(&format!("change {base}"))).await.unwrap();
    }
    folder
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let folder = Folder::new("modes");
    fs::create_dir_all(folder.path()).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let registry = open(&folder).unwrap();
    let sha256 = registry.put(signed("x", "signature")).await.unwrap();
    commit(&registry, 0, proposal("first")).await.unwrap();
    let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o7777;
    for path in ["", "artifacts", "revisions"] {
        assert_eq!(mode(path), 0o700, "{path}");
    }
    let (file, signature) = (format!("artifacts/{sha256}.wasm"), format!("artifacts/{sha256}.minisig"));
    for path in ["lock", "revisions/1.json", &file, &signature] {
        assert_eq!(mode(path), 0o600, "{path}");
    }
}

#[tokio::test]
async fn one_process_at_a_time_has_it() {
    let folder = Folder::new("lock");
    let first = open(&folder).unwrap();
    let text = refusal(&folder);
    let said = format!("the registry is unavailable: `{}` is in use by another process", folder.path().display());
    assert!(text.starts_with(&said), "{text}");
    drop(first);
    open(&folder).unwrap();
}

#[tokio::test]
async fn what_a_killed_process_has_not_finished_is_swept() {
    let folder = three_revisions("sweep").await;
    let sha256 = Digest::of(b"x");
    let left =
        ["revisions/4.json.tmp", &format!("artifacts/{sha256}.wasm.tmp"), &format!("artifacts/{sha256}.minisig")];
    for file in left {
        fs::write(folder.path().join(file), "half").unwrap();
    }
    // what is none of ours stays
    for file in ["revisions/notes.txt", "revisions/04.json", "artifacts/README"] {
        fs::write(folder.path().join(file), "somebody's").unwrap();
    }
    let registry = open(&folder).unwrap();
    assert_eq!(folder.names("revisions"), ["04.json", "1.json", "2.json", "3.json", "notes.txt"]);
    let mut whole = [b"a", b"b"].map(|bytes| format!("{}.wasm", Digest::of(bytes))).to_vec();
    whole.push("README".into());
    whole.sort();
    assert_eq!(folder.names("artifacts"), whole);
    assert_eq!(registry.head().await.unwrap().unwrap().number, 3);
    registry.put(unsigned("x")).await.unwrap();
    assert_eq!(registry.artifact(sha256).await.unwrap(), Some(unsigned("x")), "and is nobody's signature");
}

#[tokio::test]
async fn a_damaged_head_refuses_to_open_and_says_what_to_do() {
    let folder = three_revisions("head").await;
    let head = fs::read(folder.path().join("revisions/3.json")).unwrap();
    let alterations: [&Alteration; 4] =
        [&|bytes| bytes[100] ^= 1, &|bytes| bytes.truncate(bytes.len() / 2), &|bytes| bytes.clear(), &|bytes| {
            bytes.fill(0)
        }];
    for alter in alterations {
        folder.alter("revisions/3.json", alter);
        let file = folder.path().join("revisions/3.json");
        assert_eq!(
            refusal(&folder),
            format!(
                "damaged: `{}`: it is torn or altered: its content and its sha256 do not fit: restore it from a backup; \
                 or go on with revision 2 by moving it away",
                file.display()
            )
        );
        fs::write(&file, &head).unwrap();
    }
    open(&folder).expect("restored");
    fs::copy(folder.path().join("revisions/2.json"), folder.path().join("revisions/3.json")).unwrap();
    assert!(refusal(&folder).contains("it holds a revision of another number"));
    fs::remove_file(folder.path().join("revisions/3.json")).unwrap();
    let registry = open(&folder).expect("moved away");
    assert_eq!(registry.head().await.unwrap().unwrap().why, "change 1");
    assert_eq!(commit(&registry, 2, proposal("again")).await.unwrap().number, 3);
}

#[tokio::test]
async fn a_gap_refuses_to_open_and_says_what_to_do() {
    let folder = three_revisions("gap").await;
    let gap = || {
        let file = folder.path().join("revisions/2.json");
        let aside = folder.path().join("aside");
        fs::rename(&file, &aside).unwrap();
        assert_eq!(
            refusal(&folder),
            format!(
                "damaged: `{}` is missing, and there are later ones: restore it from a backup, or go on with \
                 revision 1 by moving all later ones away",
                file.display()
            )
        );
        fs::rename(&aside, &file).unwrap();
    };
    gap();
    // the oldest are forgotten in their time: what is missing there is no gap
    fs::remove_file(folder.path().join("revisions/1.json")).unwrap();
    let registry = open(&folder).unwrap();
    assert_eq!(numbers(&registry, None, 10).await, [3, 2]);
    assert_eq!(registry.revision(1).await.unwrap(), None);
}

#[tokio::test]
async fn a_damaged_revision_of_old_times_harms_no_other() {
    let folder = three_revisions("old").await;
    folder.alter("revisions/1.json", &|bytes| bytes[100] ^= 1);
    let registry = open(&folder).unwrap();
    assert_eq!(registry.head().await.unwrap().unwrap().number, 3);
    for error in [registry.revision(1).await.unwrap_err(), registry.history(None, 10).await.unwrap_err()] {
        let text = error.to_string();
        assert!(matches!(error, RegistryError::Damaged(_)) && text.contains("revisions/1.json"), "{text}");
    }
    assert_eq!(registry.history(None, 2).await.unwrap().len(), 2);
    commit(&registry, 3, proposal("next")).await.unwrap();
    fs::remove_file(folder.path().join("revisions/2.json")).unwrap();
    let error = registry.revision(2).await.unwrap_err();
    assert!(error.to_string().contains("it is not there any more"), "{error}");
}

#[tokio::test]
async fn a_revision_that_somebody_else_has_written_is_not_written_over() {
    let folder = three_revisions("foreign").await;
    let registry = open(&folder).unwrap();
    let file = folder.path().join("revisions/4.json");
    fs::write(&file, "somebody's").unwrap();
    let error = commit(&registry, 3, proposal("next")).await.unwrap_err();
    let said = format!("the registry is unavailable: cannot write `{}`: ", file.display());
    assert!(error.to_string().starts_with(&said), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"somebody's");
    assert_eq!(registry.head().await.unwrap().unwrap().number, 3);
    assert!(!folder.names("revisions").iter().any(|name| name.ends_with(".tmp")));
}

#[tokio::test]
async fn a_signature_file_that_is_no_text_is_none() {
    let folder = Folder::new("signature");
    let registry = open(&folder).unwrap();
    let sha256 = registry.put(signed("x", "signature")).await.unwrap();
    let file = folder.path().join(format!("artifacts/{sha256}.minisig"));
    for wrong in [vec![0xff; 10], vec![b's'; SIGNATURE_MAX_BYTES + 1]] {
        fs::write(&file, wrong).unwrap();
        assert_eq!(registry.artifact(sha256).await.unwrap(), Some(unsigned("x")));
    }
    registry.put(signed("x", "signature")).await.unwrap();
    assert_eq!(registry.artifact(sha256).await.unwrap(), Some(signed("x", "signature")));
}

#[tokio::test]
async fn a_folder_that_cannot_be_one_is_said() {
    let folder = Folder::new("file");
    fs::write(folder.path(), "a file").unwrap();
    let text = refusal(&folder);
    fs::remove_file(folder.path()).unwrap();
    assert!(
        text.starts_with(&format!("the registry is unavailable: cannot open the folder `{}`", folder.path().display()))
    );
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_the_last_revision_stays_whole() {
    let Some(disk) = SmallDisk::mount("full", "1m") else {
        return eprintln!("not run: mounting a tmpfs needs root");
    };
    let path = disk.path().join("registry");
    let large = Limits { artifacts_max_bytes: 1 << 30, revision_max_bytes: 1 << 20, revisions_max: 8 };
    let kept = {
        let registry = LocalRegistry::open(&path, large).unwrap();
        let sha256 = registry.put(signed("small", "signature")).await.unwrap();
        let first = commit(&registry, 0, proposal("first")).await.unwrap();
        let error = registry.put(Artifact { bytes: vec![1; 2 << 20].into(), signature: None }).await.unwrap_err();
        assert_unavailable(&error, &path.join("artifacts"));
        let filler = disk.path().join("filler");
        // fails when the disk is full, which is what it is for
        let _ = fs::write(&filler, vec![0; 2 << 20]);
        let error = commit(&registry, 1, proposal(&"w".repeat(100_000))).await.unwrap_err();
        assert_unavailable(&error, &path.join("revisions/2.json"));
        assert_eq!(registry.head().await.unwrap(), Some(first.clone()));
        assert_eq!(fs::read_dir(path.join("revisions")).unwrap().count(), 1, "nothing half is left");
        fs::remove_file(&filler).unwrap();
        let second = commit(&registry, 1, proposal(&"w".repeat(100_000))).await.expect("there is room again");
        let _ = fs::write(&filler, vec![0; 2 << 20]);
        commit(&registry, 2, proposal(&"w".repeat(100_000))).await.unwrap_err();
        assert_eq!(registry.artifact(sha256).await.unwrap(), Some(signed("small", "signature")));
        [second, first]
    };
    let registry = LocalRegistry::open(&path, large).expect("a full disk can be read");
    assert_eq!(registry.history(None, 10).await.unwrap(), kept);
}

#[track_caller]
fn assert_unavailable(error: &RegistryError, path: &Path) {
    let text = error.to_string();
    assert!(matches!(error, RegistryError::Unavailable(_)), "{text}");
    assert!(text.contains(&format!("cannot write `{}", path.display())) && text.contains("No space left"), "{text}");
}

#[tokio::test]
async fn more_revisions_than_are_kept_by_now_are_forgotten_at_the_start() {
    let folder = three_revisions("fewer").await;
    let fewer = Limits { revisions_max: 2, ..limits() };
    let registry = LocalRegistry::open(folder.path(), fewer).unwrap();
    assert_eq!(numbers(&registry, None, 10).await, [3, 2]);
    registry.commit(3, proposal("next")).await.unwrap();
    assert_eq!(folder.names("revisions"), ["3.json", "4.json"]);
    assert_eq!(numbers(&registry, None, 10).await, [4, 3]);
}
