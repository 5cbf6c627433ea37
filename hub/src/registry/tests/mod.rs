//! One suite for every backend.

mod folder;
mod local;

use std::sync::Arc;

use serde_json::json;

use self::folder::Folder;
use super::*;

/// What is done to bytes that are kept.
type Alteration = dyn Fn(&mut Vec<u8>);

/// Where a backend keeps what it has, for tests that reach behind its back.
trait Place: Sized {
    fn new(test: &str) -> Self;

    fn registry(&self) -> Arc<dyn Registry>;

    /// Alters an artifact's bytes where they are kept.
    fn alter(&self, sha256: Digest, change: &Alteration);

    /// Alters its signature where it is kept, or takes it away.
    fn replace_signature(&self, sha256: Digest, signature: Option<&str>);
}

/// A place whose registry outlives its process.
trait Durable: Place {
    /// Ends the registry and opens it again.
    fn restart(&mut self);
}

struct InMemory(Arc<MemoryRegistry>);

impl Place for InMemory {
    fn new(_test: &str) -> Self {
        Self(Arc::new(MemoryRegistry::new(limits())))
    }

    fn registry(&self) -> Arc<dyn Registry> {
        self.0.clone()
    }

    fn alter(&self, sha256: Digest, change: &Alteration) {
        self.0.change(sha256, |artifact| {
            let mut bytes = artifact.bytes.to_vec();
            change(&mut bytes);
            artifact.bytes = bytes.into();
        });
    }

    fn replace_signature(&self, sha256: Digest, signature: Option<&str>) {
        self.0.change(sha256, |artifact| artifact.signature = signature.map(str::to_owned));
    }
}

/// A registry in a folder that goes with the test.
struct Local {
    registry: Option<Arc<LocalRegistry>>,
    folder: Folder,
}

impl Place for Local {
    fn new(test: &str) -> Self {
        let folder = Folder::new(test);
        Self { registry: Some(Arc::new(LocalRegistry::open(folder.path(), limits()).unwrap())), folder }
    }

    fn registry(&self) -> Arc<dyn Registry> {
        self.registry.clone().expect("it is open")
    }

    fn alter(&self, sha256: Digest, change: &Alteration) {
        self.folder.alter(&format!("artifacts/{sha256}.wasm"), change);
    }

    fn replace_signature(&self, sha256: Digest, signature: Option<&str>) {
        let file = self.folder.path().join(format!("artifacts/{sha256}.minisig"));
        match signature {
            Some(text) => std::fs::write(file, text).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
    }
}

impl Durable for Local {
    fn restart(&mut self) {
        // two of one folder cannot be open at the same time
        self.registry = None;
        self.registry = Some(Arc::new(LocalRegistry::open(self.folder.path(), limits()).unwrap()));
    }
}

fn limits() -> Limits {
    Limits { artifacts_max_bytes: 10_000, revision_max_bytes: 2000, revisions_max: 8 }
}

fn unsigned(bytes: &'static str) -> Artifact {
    Artifact { bytes: bytes.into(), signature: None }
}

fn signed(bytes: &'static str, signature: &str) -> Artifact {
    Artifact { bytes: bytes.into(), signature: Some(signature.into()) }
}

fn proposal(why: &str) -> Proposal {
    let written = json!({ "config": { "words": ["ümlaut \" \n", null, 0.25] }, "namespaces": ["/", "/b"] });
    let placed = |name: &str| Placed {
        name: name.into(),
        sha256: Digest::of(name.as_bytes()),
        version: "0.1.0".into(),
        written: written.as_object().unwrap().clone(),
    };
    // not in the order of their names: the order of a chain is its own
    Proposal { plugins: vec![placed("b"), placed("a")], who: "ann".into(), why: why.into() }
}

/// Commits it, with the files that it names.
async fn commit(registry: &dyn Registry, base: u64, proposal: Proposal) -> Result<Revision, RegistryError> {
    for file in ["a", "b"] {
        registry.put(unsigned(file)).await?;
    }
    registry.commit(base, proposal).await
}

async fn numbers(registry: &dyn Registry, before: Option<u64>, limit: usize) -> Vec<u64> {
    registry.history(before, limit).await.unwrap().iter().map(|revision| revision.number).collect()
}

/// Runs each test on each backend, and on those that outlive their process the durable ones too.
macro_rules! suite {
    (all: $($all:ident),* ; durable: $($durable:ident),* $(;)?) => {
        suite!(in_memory InMemory: $($all),*);
        suite!(in_a_folder Local: $($all,)* $($durable),*);
    };
    ($module:ident $place:ident: $($name:ident),*) => {
        mod $module { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let test = concat!(stringify!($module), "-", stringify!($name));
                super::$name(<super::$place as super::Place>::new(test)).await
            }
        )* }
    };
}

suite!(
    all:
    what_was_put_is_given_back_as_it_was,
    the_same_put_again_changes_nothing_but_its_signature,
    what_a_revision_names_is_there,
    files_that_no_revision_names_make_room_the_oldest_first,
    the_oldest_of_a_long_history_are_forgotten,
    an_artifact_altered_by_one_byte_is_damaged_until_it_is_put_again,
    a_signature_that_was_altered_or_taken_away_is_never_the_old_one,
    a_revision_is_kept_as_it_was_committed,
    a_conflict_names_the_revision_in_force_and_changes_nothing,
    of_many_commits_at_once_one_wins,
    history_comes_newest_first_in_pages,
    limits_have_names_and_what_exceeds_them_changes_nothing;
    durable:
    a_restart_keeps_all;
);

async fn what_was_put_is_given_back_as_it_was(place: impl Place) {
    let registry = place.registry();
    assert_eq!(registry.artifacts().await.unwrap(), []);
    assert_eq!(registry.artifact(Digest::of(b"one")).await.unwrap(), None);
    let (one, two) = (unsigned("one"), signed("two and more", "untrusted comment: x\nRW\n"));
    for artifact in [&one, &two, &unsigned("")] {
        let sha256 = registry.put(artifact.clone()).await.unwrap();
        assert_eq!(sha256, Digest::of(&artifact.bytes));
        assert_eq!(registry.artifact(sha256).await.unwrap().as_ref(), Some(artifact));
    }
    let mut expected = [(&b""[..], false), (b"one", false), (b"two and more", true)]
        .map(|(bytes, signed)| ArtifactInfo { sha256: Digest::of(bytes), size_bytes: bytes.len() as u64, signed });
    expected.sort_by_key(|info| info.sha256);
    assert_eq!(registry.artifacts().await.unwrap(), expected, "by digest");
}

async fn the_same_put_again_changes_nothing_but_its_signature(place: impl Place) {
    let registry = place.registry();
    let kept = async |artifact| {
        let sha256 = registry.put(artifact).await.unwrap();
        registry.artifact(sha256).await.unwrap().unwrap().signature
    };
    assert_eq!(kept(unsigned("x")).await, None);
    assert_eq!(kept(signed("x", "first")).await.as_deref(), Some("first"));
    assert_eq!(kept(unsigned("x")).await.as_deref(), Some("first"), "who brings none takes none away");
    assert_eq!(kept(signed("x", "second")).await.as_deref(), Some("second"));
    assert_eq!(registry.artifacts().await.unwrap().len(), 1);
}

async fn what_a_revision_names_is_there(place: impl Place) {
    let registry = place.registry();
    registry.put(unsigned("a")).await.unwrap();
    let error = registry.commit(0, proposal("first")).await.unwrap_err();
    let missing = Digest::of(b"b");
    assert_eq!(error.to_string(), format!("plugin file {missing} is not in the registry: push it again"));
    assert_eq!(registry.head().await.unwrap(), None);
    registry.put(unsigned("b")).await.unwrap();
    assert_eq!(registry.commit(0, proposal("first")).await.unwrap().number, 1);
}

/// A file of so many bytes.
fn large(byte: char, bytes: usize) -> Artifact {
    Artifact { bytes: byte.to_string().repeat(bytes).into(), signature: None }
}

/// A revision that names these files.
fn naming(files: &[Digest]) -> Proposal {
    let placed = |sha256: &Digest| {
        let (name, version, written) = (sha256.to_string(), "0.1.0".into(), Map::new());
        Placed { name, sha256: *sha256, version, written }
    };
    Proposal { plugins: files.iter().map(placed).collect(), who: "ann".into(), why: String::new() }
}

async fn files_that_no_revision_names_make_room_the_oldest_first(place: impl Place) {
    let registry = place.registry();
    let there = async || registry.artifacts().await.unwrap().iter().map(|info| info.sha256).collect::<Vec<_>>();
    let mut put = Vec::new();
    for byte in ['b', 'a', 'c'] {
        put.push(registry.put(large(byte, 3000)).await.unwrap());
    }
    let [b, a, c] = put[..] else { unreachable!("three were put") };
    // its place is that of the last time
    registry.put(large('a', 3000)).await.unwrap();
    registry.commit(0, naming(&[a])).await.unwrap();
    registry.put(signed("small", "signature")).await.unwrap();
    let d = registry.put(large('d', 3000)).await.expect("b makes room");
    let left = there().await;
    assert!(!left.contains(&b), "the oldest that no revision names goes, and it is enough");
    assert!([a, c, d].iter().all(|kept| left.contains(kept)) && left.len() == 4, "{left:?}");
    // what a rollback may need stays
    registry.commit(1, naming(&[c, d])).await.unwrap();
    let error = registry.put(large('e', 3000)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "artifacts_max_bytes exceeded: used 12000, allowed 10000; files that revisions name stay: lower \
         registry.revisions_max, or raise this limit",
        "also without the small one"
    );
    assert_eq!(there().await, left, "what would not be enough is not given up");
    for base in 2..9 {
        registry.commit(base, naming(&[d])).await.unwrap();
    }
    registry.put(large('e', 4000)).await.expect("the revision that named a is forgotten");
    let left = there().await;
    assert!([c, d].iter().all(|kept| left.contains(kept)) && left.len() == 3, "{left:?}");
    let small = registry.put(unsigned("small")).await.unwrap();
    assert_eq!(registry.artifact(small).await.unwrap(), Some(unsigned("small")), "its signature went with it");
}

async fn the_oldest_of_a_long_history_are_forgotten(place: impl Place) {
    let registry = place.registry();
    for base in 0..11 {
        commit(&*registry, base, proposal(&format!("change {base}"))).await.unwrap();
    }
    assert_eq!(numbers(&*registry, None, 100).await, [11, 10, 9, 8, 7, 6, 5, 4]);
    assert_eq!(numbers(&*registry, Some(6), 100).await, [5, 4]);
    assert_eq!(numbers(&*registry, Some(4), 100).await, [0; 0]);
    assert_eq!(registry.revision(3).await.unwrap(), None);
    assert_eq!(registry.revision(4).await.unwrap().unwrap().why, "change 3");
    assert_eq!(registry.head().await.unwrap().unwrap().number, 11);
}

async fn an_artifact_altered_by_one_byte_is_damaged_until_it_is_put_again(place: impl Place) {
    let registry = place.registry();
    let artifact = signed("a plugin's file", "signature");
    let sha256 = registry.put(artifact.clone()).await.unwrap();
    let alterations: [&Alteration; 5] = [
        &|bytes| bytes[0] ^= 1,
        &|bytes| *bytes.last_mut().unwrap() ^= 0x80,
        &|bytes| bytes.truncate(4),
        &|bytes| bytes.push(0),
        &|bytes| bytes.clear(),
    ];
    for alter in alterations {
        place.alter(sha256, alter);
        let error = registry.artifact(sha256).await.unwrap_err();
        assert!(matches!(&error, RegistryError::Damaged(what) if what.contains(&sha256.to_string())), "{error}");
        registry.put(unsigned("a plugin's file")).await.unwrap();
        assert_eq!(registry.artifact(sha256).await.unwrap().as_ref(), Some(&artifact), "whole again");
    }
}

async fn a_signature_that_was_altered_or_taken_away_is_never_the_old_one(place: impl Place) {
    let registry = place.registry();
    let sha256 = registry.put(signed("x", "the right one")).await.unwrap();
    place.replace_signature(sha256, Some("the wrong one"));
    assert_eq!(registry.artifact(sha256).await.unwrap(), Some(signed("x", "the wrong one")));
    place.replace_signature(sha256, None);
    assert_eq!(registry.artifact(sha256).await.unwrap(), Some(unsigned("x")));
    assert!(!registry.artifacts().await.unwrap()[0].signed);
    registry.put(signed("x", "the right one")).await.unwrap();
    assert_eq!(registry.artifact(sha256).await.unwrap(), Some(signed("x", "the right one")));
}

async fn a_revision_is_kept_as_it_was_committed(place: impl Place) {
    let registry = place.registry();
    assert_eq!(registry.head().await.unwrap(), None);
    assert_eq!(registry.revision(1).await.unwrap(), None);
    assert_eq!(registry.history(None, 10).await.unwrap(), []);
    let first = commit(&*registry, 0, proposal("first")).await.unwrap();
    let Revision { number, plugins, who, why, when_ms } = first.clone();
    assert_eq!((number, plugins, &*who, &*why), (1, proposal("").plugins, "ann", "first"));
    assert!(now_ms() - when_ms < 3_600_000, "{when_ms}");
    assert_eq!(registry.head().await.unwrap(), Some(first.clone()));
    let empty = Proposal { plugins: Vec::new(), who: "bob".into(), why: String::new() };
    let second = registry.commit(1, empty).await.unwrap();
    assert_eq!((second.number, second.plugins.len()), (2, 0), "a chain may be empty");
    assert_eq!(registry.head().await.unwrap(), Some(second.clone()));
    assert_eq!(registry.revision(1).await.unwrap(), Some(first));
    assert_eq!(registry.revision(2).await.unwrap(), Some(second));
    for number in [0, 3, u64::MAX] {
        assert_eq!(registry.revision(number).await.unwrap(), None, "{number}");
    }
}

async fn a_conflict_names_the_revision_in_force_and_changes_nothing(place: impl Place) {
    let registry = place.registry();
    let conflict = async |base| commit(&*registry, base, proposal("late")).await.unwrap_err().to_string();
    assert_eq!(conflict(1).await, "the chain is at revision 0 by now");
    commit(&*registry, 0, proposal("first")).await.unwrap();
    commit(&*registry, 1, proposal("second")).await.unwrap();
    for base in [0, 1, 3, u64::MAX] {
        assert_eq!(conflict(base).await, "the chain is at revision 2 by now", "{base}");
    }
    assert_eq!(numbers(&*registry, None, 10).await, [2, 1]);
}

async fn of_many_commits_at_once_one_wins(place: impl Place) {
    let registry = place.registry();
    for base in 0..5 {
        let tries = (0..16).map(|n| {
            let registry = registry.clone();
            tokio::spawn(async move { commit(&*registry, base, proposal(&format!("try {n}"))).await })
        });
        let mut won = Vec::new();
        for one in tries.collect::<Vec<_>>() {
            match one.await.unwrap() {
                Ok(revision) => won.push(revision),
                Err(RegistryError::Conflict { current }) => assert_eq!(current, base + 1),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(registry.head().await.unwrap(), won.pop(), "the one who was told so is the head");
    }
    assert_eq!(numbers(&*registry, None, 10).await, [5, 4, 3, 2, 1]);
}

async fn history_comes_newest_first_in_pages(place: impl Place) {
    let registry = place.registry();
    for base in 0..7 {
        commit(&*registry, base, proposal(&format!("change {base}"))).await.unwrap();
    }
    assert_eq!(numbers(&*registry, None, 3).await, [7, 6, 5]);
    assert_eq!(numbers(&*registry, Some(5), 3).await, [4, 3, 2]);
    assert_eq!(numbers(&*registry, Some(2), 3).await, [1]);
    for before in [0, 1] {
        assert_eq!(numbers(&*registry, Some(before), 3).await, [0; 0]);
    }
    assert_eq!(numbers(&*registry, Some(8), 100).await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(numbers(&*registry, Some(u64::MAX), 1).await, [7]);
    assert_eq!(numbers(&*registry, None, 0).await, [0; 0]);
    assert_eq!(registry.history(Some(3), 1).await.unwrap()[0].why, "change 1");
}

async fn limits_have_names_and_what_exceeds_them_changes_nothing(place: impl Place) {
    let registry = place.registry();
    let first = registry.put(large('a', 6000)).await.unwrap();
    registry.commit(0, naming(&[first])).await.unwrap();
    let error = registry.put(large('b', 4001)).await.unwrap_err();
    assert!(error.to_string().starts_with("artifacts_max_bytes exceeded: used 10001, allowed 10000; "), "{error}");
    assert_eq!(registry.artifacts().await.unwrap().len(), 1);
    registry.put(large('b', 4000)).await.expect("the rest may be used up");
    registry.put(large('a', 6000)).await.expect("what is there takes no more room");

    let error = registry.put(signed("x", &"s".repeat(SIGNATURE_MAX_BYTES + 1))).await.unwrap_err();
    assert_eq!(error.to_string(), "signature_max_bytes exceeded: used 16385, allowed 16384");
    assert_eq!(registry.artifact(Digest::of(b"x")).await.unwrap(), None);

    let long = Proposal { why: "w".repeat(2000), ..naming(&[first]) };
    let error = registry.commit(1, long).await.unwrap_err();
    assert!(error.to_string().starts_with("revision_max_bytes exceeded: used 2"), "{error}");
    assert_eq!(registry.head().await.unwrap().unwrap().number, 1);
    assert_eq!(registry.commit(1, naming(&[first])).await.unwrap().number, 2);
}

async fn a_restart_keeps_all(mut place: impl Durable) {
    let (one, two) = (signed("one", "signature"), unsigned("two"));
    let mut revisions = Vec::new();
    {
        let registry = place.registry();
        registry.put(one.clone()).await.unwrap();
        registry.put(two.clone()).await.unwrap();
        for base in 0..11 {
            revisions.insert(0, commit(&*registry, base, proposal(&format!("change {base}"))).await.unwrap());
        }
        revisions.truncate(8);
    }
    for _ in 0..2 {
        place.restart();
        let registry = place.registry();
        assert_eq!(registry.head().await.unwrap().as_ref(), revisions.first());
        assert_eq!(registry.history(None, 10).await.unwrap(), revisions);
        assert_eq!(registry.artifacts().await.unwrap().len(), 4, "with those that the revisions name");
        for artifact in [&one, &two] {
            assert_eq!(registry.artifact(Digest::of(&artifact.bytes)).await.unwrap().as_ref(), Some(artifact));
        }
    }
    let registry = place.registry();
    let error = registry.commit(2, proposal("late")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Conflict { current: 11 }), "{error}");
    assert_eq!(registry.commit(11, proposal("next")).await.unwrap().number, 12);
}

#[tokio::test]
async fn in_memory_a_history_of_many_bytes_is_forgotten_too() {
    let limits = Limits { revision_max_bytes: 4 << 20, revisions_max: 100, ..limits() };
    let registry = MemoryRegistry::new(limits);
    for base in 0..12 {
        commit(&registry, base, proposal(&"w".repeat(4_000_000))).await.unwrap();
    }
    let kept = numbers(&registry, None, 100).await;
    assert_eq!(kept, [12, 11, 10, 9, 8, 7, 6, 5], "32 MiB of them");
    assert_eq!(registry.revision(4).await.unwrap(), None);
    assert_eq!(registry.revision(5).await.unwrap().unwrap().number, 5);
    assert_eq!(numbers(&registry, Some(6), 100).await, [5]);
    assert_eq!(registry.head().await.unwrap().unwrap().number, 12);
}
