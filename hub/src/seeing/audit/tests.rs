//! What is noted, what is kept of it, and what is shown.

use super::*;

/// A folder of this test, which goes with it.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("hubbub-audit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    fn refused_file(&self) -> PathBuf {
        self.0.join(REFUSED_FILE)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entry(target: &str, outcome: Outcome) -> Entry {
    Entry {
        who: "ann".into(),
        role: "deploy".into(),
        address: "127.0.0.1".into(),
        what: "plugin push".into(),
        target: target.into(),
        outcome,
        revision: Some(7),
        why: None,
    }
}

fn refused() -> Outcome {
    Outcome::Refused("unauthorized".into())
}

fn targets(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["target"].as_str()).collect()
}

#[tokio::test]
async fn a_call_is_one_line_that_only_its_owner_reads() {
    let dir = Dir::new("line");
    fs::write(dir.file(), "").unwrap();
    fs::set_permissions(dir.file(), Permissions::from_mode(0o644)).unwrap();
    let audit = Audit::new(Some(&dir.0), 1 << 20);
    audit.note(Entry { why: Some("a try".into()), ..entry("rooms", Outcome::Done) }).await;
    audit.note(Entry { revision: None, ..entry("rooms", refused()) }).await;
    let text = fs::read_to_string(dir.file()).unwrap();
    let both = text.clone() + &fs::read_to_string(dir.refused_file()).unwrap();
    let lines: Vec<Value> = both.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(text.starts_with(r#"{"time_ms":"#) && text.ends_with('\n'), "{text}");
    assert!(
        text.contains(r#""who":"ann","role":"deploy","address":"127.0.0.1","what":"plugin push","target":"rooms""#)
    );
    assert_eq!(
        (&lines[0]["result"], &lines[0]["revision"], &lines[0]["why"]),
        (&json!("done"), &json!(7), &json!("a try"))
    );
    assert_eq!((&lines[1]["result"], lines[1].get("revision")), (&json!("unauthorized"), None));
    for file in [dir.file(), dir.refused_file()] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(audit.last(10).await.unwrap(), lines);
}

#[tokio::test]
async fn both_files_together_keep_their_limit() {
    const MAX: u64 = 4096;
    let dir = Dir::new("rotation");
    let audit = Audit::new(Some(&dir.0), MAX);
    for n in 0..100 {
        audit.note(entry(&n.to_string(), Outcome::Done)).await;
        let len = |file: PathBuf| fs::metadata(file).map_or(0, |meta| meta.len());
        assert!(len(dir.file()) + len(before(&dir.file())) <= MAX);
    }
    let last = audit.last(12).await.unwrap();
    let expected: Vec<String> = (88..100).map(|n| n.to_string()).collect();
    assert_eq!(targets(&last), expected, "over both files, in their order");
    assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 2);
    assert_eq!(fs::metadata(before(&dir.file())).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn guessing_tokens_drives_no_line_out() {
    let dir = Dir::new("guesses");
    let audit = Audit::new(Some(&dir.0), 1 << 20);
    for _ in 0..REFUSED_MAX + 500 {
        audit.note(entry("x", refused())).await;
    }
    audit.note(entry("y", Outcome::Done)).await;
    let lines = audit.last(LAST_MAX).await.unwrap();
    assert_eq!(lines.len(), REFUSED_MAX as usize + 1);
    let later = Instant::now() + REFUSED_WINDOW;
    let lines = audit.shared.lines(&entry("z", refused()), later).refused;
    assert!(lines[0].contains(r#""count":500"#) && lines[1].contains(r#""target":"z""#), "{lines:?}");
}

#[tokio::test]
async fn refused_calls_fill_their_own_room_and_drive_no_line_of_what_was_done_out() {
    const MAX: u64 = 65_536;
    let dir = Dir::new("room");
    let audit = Audit::new(Some(&dir.0), MAX);
    audit.note(entry("done", Outcome::Done)).await;
    let mut now = Instant::now();
    for n in 0..200 {
        now += REFUSED_WINDOW;
        let lines = audit.shared.lines(&entry(&n.to_string().repeat(300), refused()), now);
        audit.shared.keep(&lines);
        let files = [dir.refused_file(), before(&dir.refused_file())];
        let used: u64 = files.map(|file| fs::metadata(file).map_or(0, |meta| meta.len())).iter().sum();
        assert!(used <= MAX / REFUSED_PART);
    }
    let lines = audit.last(LAST_MAX).await.unwrap();
    assert_eq!(lines[0]["target"], "done");
    assert!((2..200).contains(&lines.len()), "older refused calls made room: {}", lines.len());
    assert_eq!(targets(&lines).last(), Some(&&*"199".repeat(300)));
}

#[tokio::test]
async fn a_refused_change_of_who_may_make_it_is_among_the_changes() {
    let dir = Dir::new("conflict");
    let audit = Audit::new(Some(&dir.0), 1 << 20);
    for _ in 0..REFUSED_MAX + 5 {
        audit.note(entry("x", refused())).await;
    }
    audit.note(entry("late", Outcome::Refused("conflict".into()))).await;
    let nobody = Entry { who: String::new(), ..entry("y", Outcome::Refused("source".into())) };
    audit.note(nobody).await;
    let text = fs::read_to_string(dir.file()).unwrap();
    assert!(text.lines().count() == 1 && text.contains(r#""result":"conflict""#), "{text}");
}

#[tokio::test]
async fn both_sorts_are_shown_in_the_order_of_their_times() {
    let dir = Dir::new("merged");
    let line = |time_ms: u64| json!({ "time_ms": time_ms, "target": time_ms.to_string() }).to_string() + "\n";
    fs::write(dir.file(), [1, 4, 5].map(line).concat()).unwrap();
    fs::write(dir.refused_file(), [2, 3, 6].map(line).concat()).unwrap();
    let audit = Audit::new(Some(&dir.0), 1 << 20);
    assert_eq!(targets(&audit.last(10).await.unwrap()), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(targets(&audit.last(3).await.unwrap()), ["4", "5", "6"]);
}

#[tokio::test]
async fn what_the_disk_does_not_take_holds_nobody_up_and_is_counted() {
    let dir = Dir::new("full");
    let audit = Audit::new(Some(&dir.0), 1 << 20);
    // as with a full disk, nothing can be written
    fs::create_dir(dir.file()).unwrap();
    audit.note(entry("a", Outcome::Done)).await;
    audit.note(entry("b", Outcome::Done)).await;
    fs::remove_dir(dir.file()).unwrap();
    audit.note(entry("c", Outcome::Done)).await;
    let lines = audit.last(10).await.unwrap();
    assert_eq!((lines.len(), &lines[0]["count"], &lines[1]["target"]), (2, &json!(2), &json!("c")));
}

#[tokio::test]
async fn half_a_line_of_a_killed_process_spoils_no_other() {
    let dir = Dir::new("torn");
    fs::write(dir.file(), "{\"time_ms\":1,\"wh").unwrap();
    let audit = Audit::new(Some(&dir.0), 1 << 20);
    audit.note(entry("a", Outcome::Done)).await;
    assert_eq!(targets(&audit.last(10).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn without_a_folder_the_last_lines_are_remembered() {
    let audit = Audit::new(None, 1 << 20);
    for n in 0..LAST_MAX + 5 {
        audit.note(entry(&n.to_string(), Outcome::Done)).await;
    }
    let lines = audit.last(usize::MAX).await.unwrap();
    assert_eq!((lines.len(), &lines[0]["target"]), (LAST_MAX, &json!("5")));
    for _ in 0..REFUSED_MAX {
        audit.note(entry("x", refused())).await;
    }
    let kept = audit.shared.calls.last(LAST_MAX).unwrap();
    assert_eq!((kept.len(), &kept[0]["target"]), (LAST_MAX, &json!("5")), "refused calls have lines of their own");
}

#[tokio::test]
async fn texts_are_cut() {
    let audit = Audit::new(None, 1 << 20);
    audit.note(entry(&"x".repeat(1 << 20), Outcome::Done)).await;
    assert_eq!(audit.last(1).await.unwrap()[0]["target"].as_str().unwrap().len(), TEXT_MAX_BYTES);
}
