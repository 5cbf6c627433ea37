//! The table in ARCHITECTURE.md says which module of the hub may import which; the code keeps to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use scenarios::plugins::workspace;

/// `module -> modules` of the table that begins with `| module | may import |`.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("the page is there");
    let table = page.split("| module | may import |").nth(1).expect("the table is there");
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(|c| c.trim().replace('`', "")).collect();
            let imports = cells[1].split(',').map(|m| m.trim().to_owned()).filter(|m| !m.is_empty() && m != "nothing");
            (cells[0].clone(), imports.collect())
        })
        .collect()
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The names behind every `crate::`, those of grouped imports too.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => {
                found.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            }
            Some(group) => {
                let mut depth = 0usize;
                let mut name = String::new();
                for c in group.chars() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            found.insert(head(&name));
                            name.clear();
                            continue;
                        }
                        _ => {}
                    }
                    name.push(c);
                }
                found.insert(head(&name));
            }
        }
    }
    found.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    found
}

fn head(path: &str) -> String {
    path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let allowed = allowed();
    let source = workspace().join("hub/src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut wrong = Vec::new();
    for file in all {
        let relative = file.strip_prefix(&source).expect("it lies below");
        let module = relative.components().next().expect("a name").as_os_str().to_string_lossy().replace(".rs", "");
        if matches!(&*module, "lib" | "main") {
            continue;
        }
        let Some(may) = allowed.get(&module) else {
            wrong.push(format!("`{module}` has no row in the table of ARCHITECTURE.md"));
            continue;
        };
        let text = fs::read_to_string(&file).expect("the file can be read");
        for import in imports(&text) {
            if import != module && !may.contains(&import) {
                wrong.push(format!("hub/src/{}: `{module}` may not import `{import}`", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_plugin_engine_knows_wasmtime() {
    let source = workspace().join("hub/src");
    let mut all = Vec::new();
    files(&source, &mut all);
    for file in all {
        let text = fs::read_to_string(&file).expect("the file can be read");
        let knows = text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains("wasmtime::"));
        assert!(!knows || file.starts_with(source.join("plugin")), "{} knows wasmtime", file.display());
    }
}

#[test]
fn the_reader_of_imports_sees_groups_and_paths() {
    let text = "use crate::{\n    a::{x, y},\n    b,\n    c::d::E,\n};\nfn f() { crate::run(); crate::g::h() }";
    let found: Vec<_> = imports(text).into_iter().collect();
    assert_eq!(found, ["a", "b", "c", "g", "run"]);
}
