//! One suite for every backend.

use std::{path::PathBuf, sync::Arc};

use super::*;

fn limits() -> Limits {
    Limits {
        value_max_bytes: 1000,
        scope_max_bytes: 5000,
        backlog_max_bytes: 1 << 20,
        backlog_timeout: Duration::from_millis(200),
        sync_interval: Duration::from_millis(20),
        meters_max: 100,
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hubbub-store-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn open(&self, limits: Limits) -> LocalStore {
        LocalStore::open(&self.0.join("store.redb"), limits).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn scope(namespace: &str) -> Scope {
    Scope { plugin: "chat".into(), namespace: namespace.into() }
}

fn write(key: &str, op: Op) -> Write {
    Write { key: Key::new(&scope("/"), key), op }
}

fn set(key: &str, value: &str) -> Write {
    write(key, Op::Set { value: value.into(), ttl_ms: None })
}

async fn commit(store: &dyn Store, writes: Vec<Write>) -> Result<(), StoreError> {
    store.prepare(writes).await?.commit();
    Ok(())
}

async fn get(store: &dyn Store, key: &str) -> Option<Vec<u8>> {
    let record = store.get(&Key::new(&scope("/"), key)).await.unwrap();
    record.map(|r| r.into_bytes().unwrap())
}

/// Runs a test on each backend, before and after what it wrote is synced.
macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod in_memory { $(
            #[tokio::test]
            async fn $name() { super::$name(&super::LocalStore::in_memory(super::limits())).await }
        )* }
        mod embedded { $(
            #[tokio::test]
            async fn $name() {
                let folder = super::Folder::new(stringify!($name));
                super::$name(&folder.open(super::limits())).await
            }
        )* }
    };
}

suite!(
    a_commit_is_whole_or_not_at_all,
    what_is_prepared_and_dropped_is_not_performed,
    scopes_do_not_see_each_other,
    preconditions_hold_at_the_commit,
    increments_at_once_all_count,
    limits_have_names,
    a_key_ends_when_its_time_has_come,
    a_purge_takes_one_plugins_keys_and_no_others,
    commits_that_change_something_are_counted_and_nothing_else,
);

async fn a_commit_is_whole_or_not_at_all(store: &LocalStore) {
    commit(store, vec![set("a", "1"), write("n", Op::Increment { by: 3, expected: 0, ttl_ms: None })]).await.unwrap();
    assert_eq!(get(store, "a").await.unwrap(), b"1");
    let wrong = vec![set("a", "2"), write("n", Op::Push { item: "x".into(), max: 5 })];
    let error = commit(store, wrong).await.unwrap_err();
    assert_eq!(error.to_string(), "the key holds a counter, not a list: delete it first");
    assert_eq!(get(store, "a").await.unwrap(), b"1", "nothing of a commit that failed is there");
    store.sync().await.unwrap();
    assert_eq!(get(store, "a").await.unwrap(), b"1");
    commit(store, vec![set("a", "3"), write("a", Op::Delete), set("b", "4")]).await.unwrap();
    assert_eq!((get(store, "a").await, get(store, "b").await), (None, Some(b"4".into())), "in their order");
}

async fn what_is_prepared_and_dropped_is_not_performed(store: &LocalStore) {
    drop(store.prepare(vec![set("a", "1")]).await.unwrap());
    assert_eq!(get(store, "a").await, None);
    commit(store, vec![set("a", "2")]).await.unwrap();
    assert_eq!(get(store, "a").await.unwrap(), b"2", "and holds nobody up");
}

async fn commits_that_change_something_are_counted_and_nothing_else(store: &LocalStore) {
    let commits = || store.figures().commits;
    commit(store, vec![set("a", "1"), set("b", "1")]).await.unwrap();
    assert_eq!(commits(), 1);
    for unchanged in [vec![], vec![set("a", "1")], vec![set("a", "2"), set("a", "1")], vec![write("c", Op::Delete)]] {
        commit(store, unchanged).await.unwrap();
    }
    drop(store.prepare(vec![set("a", "2")]).await.unwrap());
    assert_eq!(commits(), 1);
    store.sync().await.unwrap();
    commit(store, vec![set("a", "1")]).await.unwrap();
    assert_eq!((commits(), get(store, "a").await), (1, Some(b"1".into())), "what is in the file is the same too");
    commit(store, vec![set("a", "2")]).await.unwrap();
    assert_eq!(commits(), 2);
    assert_eq!(store.purge("chat", None).await.unwrap(), 2);
    assert_eq!((commits(), get(store, "a").await), (2, None), "a purge is no event");
}

async fn scopes_do_not_see_each_other(store: &LocalStore) {
    // texts that would be one when only put together
    for (plugin, namespace, key) in [("a", "/b", "c"), ("a", "/", "bc"), ("a/", "b", "c")] {
        let scope = Scope { plugin: plugin.into(), namespace: namespace.into() };
        let op = Op::CompareAndSet { expected: None, new: Some(key.into()), ttl_ms: None };
        commit(store, vec![Write { key: Key::new(&scope, key), op }]).await.unwrap();
    }
}

async fn preconditions_hold_at_the_commit(store: &LocalStore) {
    let swap = |from: Option<&str>, to: &str| {
        write("a", Op::CompareAndSet { expected: from.map(Into::into), new: Some(to.into()), ttl_ms: None })
    };
    commit(store, vec![swap(None, "1")]).await.unwrap();
    assert_eq!(commit(store, vec![swap(None, "2")]).await, Err(StoreError::Conflict));
    assert_eq!(commit(store, vec![set("b", "x"), swap(Some("0"), "2")]).await, Err(StoreError::Conflict));
    assert_eq!(get(store, "b").await, None);
    commit(store, vec![swap(Some("1"), "2")]).await.unwrap();
    assert_eq!(get(store, "a").await.unwrap(), b"2");
}

async fn increments_at_once_all_count(store: &LocalStore) {
    let one = async || {
        let mut done = 0;
        while done < 50 {
            let record = store.get(&Key::new(&scope("/"), "n")).await.unwrap();
            let expected = record.map_or(0, |r| r.into_counter().unwrap());
            tokio::task::yield_now().await;
            match commit(store, vec![write("n", Op::Increment { by: 1, expected, ttl_ms: None })]).await {
                Ok(()) => done += 1,
                Err(error) => assert_eq!(error, StoreError::Conflict),
            }
        }
    };
    tokio::join!(one(), one(), one(), one());
    let record = store.get(&Key::new(&scope("/"), "n")).await.unwrap().unwrap();
    assert_eq!(record.into_counter(), Ok(200));
}

async fn limits_have_names(store: &LocalStore) {
    let large = "x".repeat(1001);
    let error = commit(store, vec![set("a", &large)]).await.unwrap_err();
    assert!(error.to_string().starts_with("value_max_bytes exceeded: used 100"), "{error}");
    for n in 0..5 {
        commit(store, vec![set(&format!("k{n}"), &"x".repeat(900))]).await.unwrap();
    }
    let error = commit(store, vec![set("k5", &"x".repeat(900))]).await.unwrap_err();
    assert!(error.to_string().starts_with("scope_max_bytes exceeded: used 54"), "{error}");
    store.sync().await.unwrap();
    let other = Write { key: Key::new(&scope("/other"), "k"), op: Op::Set { value: "x".into(), ttl_ms: None } };
    commit(store, vec![other]).await.expect("another scope has its own quota");
    commit(store, vec![write("k0", Op::Delete), set("k5", &"x".repeat(900))]).await.expect("a delete makes room");
    commit(store, (1..6).map(|n| write(&format!("k{n}"), Op::Delete)).collect()).await.unwrap();
    assert_eq!(store.used_bytes(&scope("/")), 0);
}

async fn a_key_ends_when_its_time_has_come(store: &LocalStore) {
    let short = Op::Set { value: "1".into(), ttl_ms: Some(800) };
    commit(store, vec![write("a", short.clone()), write("b", short), set("c", "1")]).await.unwrap();
    assert!(get(store, "a").await.is_some());
    store.sync().await.unwrap();
    commit(store, vec![set("b", "2")]).await.unwrap();
    let one_key = store.used_bytes(&scope("/")) / 3;
    tokio::time::sleep(Duration::from_millis(850)).await;
    assert_eq!((get(store, "a").await, get(store, "b").await), (None, Some(b"2".into())));
    // what it took up is given back in time
    for _ in 0..200 {
        commit(store, vec![set("c", "2")]).await.unwrap();
        if store.used_bytes(&scope("/")) <= 2 * one_key + 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the expired key still takes up room: {} bytes", store.used_bytes(&scope("/")));
}

async fn a_purge_takes_one_plugins_keys_and_no_others(store: &LocalStore) {
    let scope_of = |plugin: &str, namespace: &str| Scope { plugin: plugin.into(), namespace: namespace.into() };
    let put = async |plugin: &str, namespace: &str, key: &str| {
        let op = Op::Set { value: "x".into(), ttl_ms: None };
        commit(store, vec![Write { key: Key::new(&scope_of(plugin, namespace), key), op }]).await.unwrap();
    };
    let holds = async |plugin: &str, namespace: &str, key: &str| {
        store.get(&Key::new(&scope_of(plugin, namespace), key)).await.unwrap().is_some()
    };
    for n in 0..30 {
        put("chat", "/a", &n.to_string()).await;
        put("chat", "/b", &n.to_string()).await;
    }
    store.sync().await.unwrap();
    put("chat", "/a", "late").await;
    commit(store, vec![Write { key: Key::new(&scope_of("chat", "/a"), "0"), op: Op::Delete }]).await.unwrap();
    // another one's name that begins alike
    put("chat2", "/a", "x").await;
    put("cha", "/a", "x").await;
    store.meter(&Key::new(&scope_of("chat", "/a"), "m"), 60_000).await.unwrap();
    assert_eq!(store.purge("chat", Some("/a")).await, Ok(30));
    assert_eq!(store.purge("chat", Some("/a")).await, Ok(0), "nothing is left");
    assert!(!holds("chat", "/a", "7").await && !holds("chat", "/a", "late").await);
    assert_eq!(store.used_bytes(&scope_of("chat", "/a")), 0);
    assert_eq!(store.meter(&Key::new(&scope_of("chat", "/a"), "m"), 60_000).await, Ok(1), "counting begins anew");
    assert!(holds("chat", "/b", "7").await, "another namespace");
    assert!(holds("chat2", "/a", "x").await && holds("cha", "/a", "x").await, "other plugins");
    put("chat", "/a", "again").await;
    assert_eq!(store.purge("chat", None).await, Ok(31), "all namespaces");
    store.sync().await.unwrap();
    assert!(!holds("chat", "/b", "7").await && !holds("chat", "/a", "again").await);
    assert_eq!(store.purge("nobody", None).await, Ok(0));
}

#[tokio::test]
async fn the_file_opens_again_as_it_was() {
    let folder = Folder::new("reopen");
    {
        let store = folder.open(limits());
        commit(&store, vec![set("a", "1"), set("b", "2")]).await.unwrap();
        store.sync().await.unwrap();
        commit(&store, vec![write("b", Op::Delete), set("c", "3")]).await.unwrap();
    }
    let store = folder.open(limits());
    assert_eq!(store.epoch(), 2, "it is another life");
    assert_eq!(get(&store, "a").await.unwrap(), b"1");
    assert_eq!(
        (get(&store, "b").await, get(&store, "c").await),
        (None, Some(b"3".into())),
        "an end writes what is left"
    );
    let used = store.used_bytes(&scope("/"));
    commit(&store, vec![write("a", Op::Delete), write("c", Op::Delete)]).await.unwrap();
    assert!(used > 0 && store.used_bytes(&scope("/")) == 0);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let folder = Folder::new("garbage");
    let file = folder.0.join("store.redb");
    std::fs::write(&file, "this is no store").unwrap();
    let Err(StoreError::Unavailable(text)) = LocalStore::open(&file, limits()) else { panic!("it was opened") };
    assert!(text.contains("store.redb"), "{text}");
    let missing = folder.0.join("no/such/folder/store.redb");
    assert!(LocalStore::open(&missing, limits()).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_every_commit_while_the_file_is_written() {
    let folder = Folder::new("readers");
    let store = Arc::new(folder.open(Limits { sync_interval: Duration::ZERO, ..limits() }));
    for n in 0..2000u32 {
        let key = format!("k{}", n % 7);
        commit(&*store, vec![set(&key, &n.to_string())]).await.unwrap();
        assert_eq!(get(&*store, &key).await.unwrap(), n.to_string().into_bytes());
    }
}

/// A file system of its own, so small that it is soon full.
struct SmallDisk(Folder);

impl SmallDisk {
    /// `None` where this process may not mount one.
    fn mount(name: &str) -> Option<Self> {
        let folder = Folder::new(name);
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(&folder.0)
            .output()
            .ok()?;
        mount.status.success().then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_the_store_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("full") else {
        return eprintln!("not run: mounting a tmpfs needs root");
    };
    let large = Limits { value_max_bytes: 1 << 20, scope_max_bytes: 1 << 30, ..limits() };
    let store = disk.0.open(large);
    commit(&store, vec![set("before", "1")]).await.unwrap();
    store.sync().await.unwrap();
    let filler = disk.0.0.join("filler");
    // fails when the disk is full, which is what it is for
    let _ = std::fs::write(&filler, vec![0; 8 << 20]);
    let mut refused = None;
    for n in 0..64 {
        commit(&store, vec![set(&format!("k{n}"), &"x".repeat(500_000))]).await.unwrap_or_else(|e| refused = Some(e));
        let _ = tokio::time::timeout(Duration::from_millis(500), store.sync()).await;
        if refused.is_some() {
            break;
        }
    }
    let Some(StoreError::Unavailable(text)) = refused else { panic!("a full disk took everything: {refused:?}") };
    assert!(text.contains("store.redb"), "the text names the file: {text}");
    assert_eq!(get(&store, "before").await.unwrap(), b"1", "what was there is read all the same");
    std::fs::remove_file(&filler).unwrap();
    commit_in_time(&store, set("after", "2")).await;
    store.sync().await.unwrap();
    drop(store);
    let store = disk.0.open(large);
    assert_eq!(get(&store, "after").await.unwrap(), b"2");
    assert!(get(&store, "k0").await.is_some(), "what was committed before the disk was full was kept and written");
}

async fn commit_in_time(store: &LocalStore, write: Write) {
    for _ in 0..100 {
        if commit(store, vec![write.clone()]).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the store takes nothing though its disk has room");
}
