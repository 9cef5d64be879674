//! Rules of the code base that no compiler checks.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Who may import whom of this project's crates.
const IMPORTS: &[(&str, &[&str])] = &[
    ("xmpp", &[]),
    ("bus", &["xmpp"]),
    ("runtime", &["xmpp"]),
    ("store", &["xmpp"]),
    ("api", &[]),
    // An edge holds no truth and no secrets: no store (I5).
    ("gateway", &["xmpp", "bus", "runtime"]),
    ("router", &["xmpp", "bus", "runtime", "store", "api"]),
    ("proxy", &["xmpp", "bus", "runtime", "store"]),
    ("waystation", &["xmpp", "bus", "runtime", "store", "api", "gateway", "router", "proxy"]),
];

/// Crates that only some of ours may name.
const CONFINED: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("async-nats", &["bus"]),
    ("redis", &["store"]),
    ("tonic", &["api", "router", "waystation"]),
    ("axum", &["runtime", "gateway", "router"]),
];

/// Crates without I/O: neither runtime nor sockets.
const SANS_IO: &[&str] = &["xmpp"];

/// Longest source file, in lines before its tests. One that needs more is named here, with the reason.
const FILE_LINES_MAX: usize = 400;
const LONG_FILES: &[(&str, &str)] = &[
    ("shared/bus/src/channel/sender.rs", "one state machine, told from beginning to end"),
    ("shared/xmpp/tests/reader.rs", "tables"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(path: &Path) -> Table {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// Every member of the workspace, the root package among them, with its manifest.
fn members() -> BTreeMap<String, Table> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let dirs = workspace["workspace"]["members"].as_array().unwrap().iter();
    let mut found: BTreeMap<String, Table> = dirs
        .map(|dir| manifest(&root().join(dir.as_str().unwrap()).join("Cargo.toml")))
        .map(|member| (member["package"]["name"].as_str().unwrap().to_owned(), member))
        .collect();
    found.insert("waystation".to_owned(), workspace);
    found
}

/// Names under `[dependencies]`, or under another such table.
fn dependencies<'a>(member: &'a Table, table: &str) -> Vec<&'a str> {
    let table = member.get(table).and_then(Value::as_table);
    table.map(|t| t.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// Files that git would commit.
fn files() -> Vec<PathBuf> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .filter(|f| root().join(f).is_file())
        .collect()
}

fn sources() -> impl Iterator<Item = (String, String)> {
    files().into_iter().filter(|f| f.extension().is_some_and(|e| e == "rs")).map(|file| {
        let text = std::fs::read_to_string(root().join(&file)).unwrap();
        (file.to_str().unwrap().to_owned(), text)
    })
}

#[test]
fn crates_import_only_what_they_may() {
    let members = members();
    let ours: Vec<&str> = members.keys().map(String::as_str).collect();
    for (name, member) in &members {
        let (_, allowed) =
            IMPORTS.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name} has no rule"));
        for dependency in dependencies(member, "dependencies") {
            let is_ours = ours.contains(&dependency);
            assert!(!is_ours || allowed.contains(&dependency), "{name} must not import {dependency}");
        }
    }
}

#[test]
fn some_crates_are_confined() {
    for (name, member) in &members() {
        for (confined, to) in CONFINED {
            let named = dependencies(member, "dependencies").contains(confined);
            assert!(!named || to.contains(&name.as_str()), "{name} must not name {confined}; only {to:?}");
        }
        if SANS_IO.contains(&name.as_str()) {
            for io in ["tokio", "tokio-rustls", "socket2", "rustix", "getrandom"] {
                assert!(!dependencies(member, "dependencies").contains(&io), "{name} does no I/O: {io}");
            }
        }
    }
}

#[test]
fn versions_are_chosen_in_one_place() {
    for (name, member) in &members() {
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for dependency in dependencies(member, table) {
                let entry = &member[table][dependency];
                let inherited = entry.get("workspace").and_then(Value::as_bool) == Some(true);
                assert!(inherited, "{name}: {dependency} in [{table}] should be `workspace = true`");
            }
        }
    }
}

#[test]
fn every_dependency_says_why_it_is_here_and_is_used() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = text.split("\n[workspace.dependencies]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let members = members();
    let mut unused = Vec::new();
    let ours = |line: &str| line.contains("{ path = ");
    for line in section.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#') && !ours(l)) {
        let name = line.split(['=', '.', ' ']).next().unwrap();
        let reason = line.split(" # ").nth(1).map(str::trim).unwrap_or_default();
        assert!(!reason.is_empty(), "{name} needs its reason in a comment behind it");
        let used = members.values().any(|member| {
            ["dependencies", "dev-dependencies", "build-dependencies"]
                .iter()
                .any(|table| dependencies(member, table).contains(&name))
        });
        if !used {
            unused.push(name);
        }
    }
    assert!(unused.is_empty(), "no crate uses {unused:?}");
}

#[test]
fn sources_are_short() {
    let mut long = Vec::new();
    for (file, text) in sources() {
        let lines = text.split("\n#[cfg(test)]\nmod ").next().unwrap().lines().count();
        let excused = LONG_FILES.iter().any(|(name, _)| *name == file);
        match lines > FILE_LINES_MAX {
            true if !excused => long.push(format!("{file}: {lines} lines")),
            false if excused => long.push(format!("{file} is short enough now: strike it from the list")),
            _ => {}
        }
    }
    assert!(long.is_empty(), "over {FILE_LINES_MAX} lines without a reason:\n{}", long.join("\n"));
}

#[test]
fn modules_open_with_what_they_are() {
    for (file, text) in sources() {
        assert!(text.starts_with("//!"), "{file} should open with //! and say what it is");
    }
}

#[test]
fn tasks_and_time_come_from_the_runtime() {
    // clippy.toml bans the functions; this bans looking away from it.
    for (file, text) in sources() {
        let measures = file.contains("/benches/") || file.contains("/tests/") || file.starts_with("tests/");
        let exempt = measures || file.starts_with("shared/runtime/");
        assert!(exempt || !text.contains("clippy::disallowed_methods"), "{file} allows a banned function");
    }
}

#[test]
fn nothing_names_a_machine() {
    // Put together here so that this file does not hold them itself.
    let machine_paths = ["/wor", "/roo", "/hom", "/Use"].map(|start| match start {
        "/wor" => format!("{start}k/"),
        "/roo" => format!("{start}t/"),
        "/hom" => format!("{start}e/"),
        _ => format!("{start}rs/"),
    });
    for file in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let named = machine_paths.iter().find(|path| line.contains(path.as_str()));
            assert!(named.is_none(), "{}:{}: a path of some machine: {line}", file.display(), number + 1);
        }
    }
}

#[test]
fn what_ci_runs_is_what_a_developer_runs() {
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    let commands: Vec<&str> = ci.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    assert_eq!(commands.len(), 1, ".ci/run only calls tests/run: {commands:?}");
    assert!(commands[0].contains("tests/run"), "{}", commands[0]);
}
