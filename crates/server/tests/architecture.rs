//! The shape of the house: which crate may know which, and what the crates without input and output may not contain.
//! ARCHITECTURE.md says why. A new crate or a new edge is written here first.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every crate with the crates below it that it may name. The order is that of the layers, and no edge points up it.
const EDGES: &[(&str, &[&str])] = &[
    ("media", &[]),
    ("net", &[]),
    ("wire", &["media"]),
    ("rtc", &["media"]),
    ("codec", &["media"]),
    ("live", &["media", "wire", "codec"]),
    ("sfu", &["media", "rtc"]),
    ("store", &[]),
    ("sim", &["media", "rtc", "sfu"]),
    ("load", &["media", "net", "wire", "rtc"]),
    ("client", &["media", "wire", "rtc", "live"]),
    ("server", &["media", "net", "wire", "rtc", "codec", "live", "sfu", "store", "client"]),
];

/// Crates that are given time, bytes and randomness, and ask nobody for them.
const SANS_IO: &[&str] = &["media", "wire", "rtc", "live", "sfu", "sim"];

/// The homes of unsafe code.
const UNSAFE: &[&str] = &["net", "codec"];

/// Foreign crates that only these of ours may depend on, so that they can be exchanged at one door. `load` is the tool that
/// loads a server, and talks to sockets as it does.
const BEHIND_ONE_DOOR: &[(&str, &[&str])] = &[
    ("str0m", &["rtc"]),
    ("tokio", &["server", "client", "load"]),
    ("axum", &["server"]),
    ("hyper", &["server", "client", "load"]),
    ("mio", &["net", "load"]),
    ("sqlx", &["store"]),
    ("reqwest", &["server"]),
];

/// What code without input and output never says, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("Instant::now", "time is handed in"),
    ("SystemTime::now", "time is handed in"),
    ("tokio", "the runtime lives in server"),
    ("UdpSocket", "sockets live in net and server"),
    ("TcpStream", "sockets live in net and server"),
    ("TcpListener", "sockets live in net and server"),
    ("thread_rng", "randomness is handed in"),
    ("rand::rng(", "randomness is handed in"),
    ("rand::random", "randomness is handed in"),
    ("std::fs", "files live in server"),
    ("std::env", "the environment lives in server"),
];

/// Past this many lines a file has become two things.
const LINES_MAX: usize = 1_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn workspace() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

/// The crate's short name: its folder's.
fn short(package: &str) -> &str {
    package.strip_prefix("stentor-").unwrap_or(package)
}

/// All Rust files under a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn is_test_file(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests" || stem.to_string_lossy().ends_with("_tests"))
        || path.components().any(|part| part.as_os_str() == "tests")
}

/// The code of a file without comments and without what only tests see.
fn code(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let gated = line.trim_start().starts_with("#[cfg(test)]");
        if gated && lines.peek().is_some_and(|next| next.trim_end().ends_with('{')) {
            skip_block(&mut lines, line);
            continue;
        }
        kept.push_str(line.split("//").next().unwrap_or_default());
        kept.push('\n');
    }
    kept
}

/// Passes over a block up to the closing brace that stands as far left as its beginning; rustfmt puts it there.
fn skip_block<'a>(lines: &mut impl Iterator<Item = &'a str>, beginning: &str) {
    let indent = beginning.len() - beginning.trim_start().len();
    lines.find(|line| line.len() == indent + 1 && line.ends_with('}'));
}

#[test]
fn dependencies_point_down() {
    let known: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    for (at, (name, below)) in EDGES.iter().enumerate() {
        for edge in *below {
            assert!(EDGES[..at].iter().any(|(lower, _)| lower == edge), "{name} -> {edge} points up or sideways");
        }
    }
    for package in &workspace().packages {
        let name = short(&package.name);
        let Some((_, allowed)) = EDGES.iter().find(|(crate_name, _)| *crate_name == name) else {
            panic!("{name} is a new crate: say in EDGES what it may know");
        };
        for dependency in &package.dependencies {
            let other = short(&dependency.name);
            let inner = dependency.path.is_some() && known.contains(other);
            assert!(!inner || allowed.contains(&other), "{name} depends on {other}, and EDGES has no such edge");
        }
    }
}

#[test]
fn large_dependencies_stay_behind_one_door() {
    for package in &workspace().packages {
        let name = short(&package.name);
        // Tests may speak to us through the real thing.
        let linked = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        for dependency in linked {
            for (foreign, door) in BEHIND_ONE_DOOR {
                assert!(
                    dependency.name != *foreign || door.contains(&name),
                    "{name} depends on {foreign}; only {door:?} may"
                );
            }
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_outside_of_its_homes() {
    for (name, _) in EDGES.iter().filter(|(name, _)| !UNSAFE.contains(name)) {
        let folder = root().join("crates").join(name).join("src");
        let entry = [folder.join("lib.rs"), folder.join("main.rs")].into_iter().find(|path| path.is_file()).unwrap();
        let text = std::fs::read_to_string(&entry).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{} does not forbid unsafe code", entry.display());
    }
}

#[test]
fn sans_io_crates_ask_nobody_for_time_or_bytes() {
    let mut seen = 0;
    for name in SANS_IO {
        for path in sources(&root().join("crates").join(name).join("src")) {
            if is_test_file(&path) {
                continue;
            }
            seen += 1;
            let code = code(&std::fs::read_to_string(&path).unwrap());
            for (word, why) in FORBIDDEN {
                assert!(!code.contains(word), "{} says {word}: {why}", path.display());
            }
        }
    }
    assert!(seen >= SANS_IO.len(), "only {seen} files were found: is this the right folder?");
}

#[test]
fn no_file_is_over_a_thousand_lines() {
    for path in sources(&root().join("crates")) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            is_test_file(&path) || lines <= LINES_MAX,
            "{} has {lines} lines: which is the second thing?",
            path.display()
        );
    }
}

#[test]
fn what_tests_say_is_not_held_against_the_code() {
    let text = "use a; // tokio\nfn f() {}\n#[cfg(test)]\nmod t {\n    fn g() { tokio() }\n}\nfn h() {}\n#[cfg(test)]\nmod tests;\nfn tail() {}\n";
    let code = code(text);
    assert!(!code.contains("tokio"), "{code}");
    assert!(code.contains("fn f") && code.contains("fn h") && code.contains("fn tail"), "{code}");
}
