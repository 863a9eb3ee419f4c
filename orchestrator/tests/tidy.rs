//! The rules of ARCHITECTURE.md that the compiler does not know: who may import whom, no circle between rooms, one home per
//! outside crate, file sizes, file heads, an agent without a product word.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Room of the orchestrator, and the rooms below it that it may name. A room is a folder or file right below `src`.
const ORCHESTRATOR: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("lib", &[]),
    (
        "cli",
        &[
            "report",
            "history",
            "probing",
            "binding",
            "rounds",
            "hooks",
            "database",
            "engine",
            "plan",
            "ssh",
            "session",
            "inventory",
            "playbook",
            "artifact",
            "apim",
            "keystore",
            "vault",
            "template",
            "state",
            "http",
            "yaml",
        ],
    ),
    ("report", &["probing", "engine", "plan", "inventory"]),
    ("history", &["probing", "engine", "state"]),
    ("probing", &["engine", "plan", "inventory", "http"]),
    ("binding", &["plan", "inventory", "state", "yaml"]),
    ("rounds", &["session", "inventory"]),
    ("hooks", &["engine", "apim", "http"]),
    ("database", &["engine", "plan", "session", "inventory", "apim"]),
    ("ssh", &["session", "inventory"]),
    ("engine", &["plan", "session", "inventory"]),
    ("plan", &["inventory", "playbook", "artifact", "apim", "template", "yaml"]),
    ("session", &["inventory"]),
    ("playbook", &["inventory", "apim", "template", "yaml"]),
    ("inventory", &["template", "vault", "yaml"]),
    ("artifact", &["apim", "http"]),
    ("apim", &["keystore", "yaml"]),
    ("keystore", &[]),
    ("template", &["yaml"]),
    ("vault", &["yaml"]),
    ("state", &[]),
    ("http", &[]),
    ("yaml", &[]),
];

/// Room of the agent, and the rooms below it that it may name.
const AGENT: &[(&str, &[&str])] = &[
    ("main", &["serve", "system"]),
    ("lib", &[]),
    ("serve", &["query", "operation", "system"]),
    ("query", &["operation", "probe", "system"]),
    ("operation", &["probe", "system"]),
    ("probe", &["system"]),
    ("system", &[]),
];

/// Room of the contract, and the rooms below it that it may name.
const PROTOCOL: &[(&str, &[&str])] = &[
    ("lib", &[]),
    ("message", &["query", "operation", "facts", "outcome", "observation", "value"]),
    ("frame", &["value"]),
    ("query", &["operation", "value"]),
    ("operation", &["value"]),
    ("outcome", &["observation", "value"]),
    ("observation", &["value"]),
    ("facts", &["value"]),
    ("mask", &["value"]),
    ("chain", &["value"]),
    ("value", &[]),
];

/// Outside crates that have one home in the orchestrator.
const HOMES: &[(&str, &[&str])] = &[
    ("russh", &["ssh/"]),
    ("mysql_async", &["database/"]),
    ("tokio_postgres", &["database/"]),
    ("serde_yaml", &["yaml/", "inventory/"]),
    ("saphyr_parser", &["yaml/"]),
    ("toml_edit", &["apim/config"]),
    ("indicatif", &["report/"]),
    ("clap", &["cli/", "main.rs"]),
    ("reqwest", &["http/"]),
    ("hyper", &["http/"]),
    ("hyper_util", &["http/"]),
    ("http_body_util", &["http/"]),
    ("rustls_platform_verifier", &["http/"]),
    ("tokio_rustls", &["http/"]),
    ("minijinja", &["template"]),
    ("comfy_table", &["report/", "cli/"]),
    ("jks", &["keystore/"]),
    ("p12_keystore", &["keystore/"]),
    ("rcgen", &["keystore/"]),
    ("x509_parser", &["keystore/"]),
];

/// Words of the product that the agent must not know (its own name and folder apart).
const PRODUCT_WORDS: &[&str] =
    &["wso2", "carbon", "gateway_", "deployment.toml", "profilesetup", "synapse", "api manager"];

const MAX_LINES: usize = 500;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

/// Code without comments and without its `#[cfg(test)]` tail.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str() == "tests")
        || path.file_stem().is_some_and(|s| s == "tests" || s.to_string_lossy().ends_with("_tests"))
}

/// Names right behind `crate::`, alone or in braces.
fn named_rooms(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        let name = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        rooms.insert(name(item.trim()));
                        item.clear();
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 {
                    item.push(c);
                }
            }
            rooms.insert(name(item.trim()));
        } else {
            rooms.insert(name(rest));
        }
    }
    rooms.remove("");
    rooms
}

fn room_of(path: &Path, src: &Path) -> String {
    let first = path.strip_prefix(src).expect("below src").components().next().expect("a part");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn check_imports(src: &Path, table: &[(&str, &[&str])]) -> Vec<String> {
    let rules: BTreeMap<_, _> = table.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    rust_files(src, &mut files);
    assert!(!files.is_empty(), "no sources below {}", src.display());
    for path in files.iter().filter(|p| !is_test(p)) {
        let room = room_of(path, src);
        let Some(allowed) = rules.get(room.as_str()) else {
            wrong.push(format!("{}: room `{room}` is not in the table", path.display()));
            continue;
        };
        let text = code(&std::fs::read_to_string(path).expect("readable"));
        for other in named_rooms(&text, "crate::") {
            if other != room && rules.contains_key(other.as_str()) && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{}: `{room}` must not name `{other}`", path.display()));
            }
        }
    }
    wrong
}

/// Every arrow of a table points to a row further down: then no circle of rooms is possible.
fn check_order(table: &[(&str, &[&str])]) {
    let floor: BTreeMap<_, _> = table.iter().enumerate().map(|(i, (room, _))| (*room, i)).collect();
    for (room, allowed) in table {
        for other in *allowed {
            assert!(
                floor[other] > floor[room],
                "the table lets `{room}` name `{other}`, which stands above it"
            );
        }
    }
}

#[test]
fn arrows_point_down() {
    check_order(ORCHESTRATOR);
    check_order(AGENT);
    check_order(PROTOCOL);
    let mut wrong = check_imports(&workspace().join("orchestrator/src"), ORCHESTRATOR);
    wrong.extend(check_imports(&workspace().join("agent/src"), AGENT));
    wrong.extend(check_imports(&workspace().join("agent/protocol/src"), PROTOCOL));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_import_check_sees_an_upward_arrow() {
    let rooms =
        named_rooms("use crate::{cli::run, yaml::{Node, Span}};\nlet x = crate::report::show();", "crate::");
    assert_eq!(rooms.into_iter().collect::<Vec<_>>(), ["cli", "report", "yaml"]);
}

#[test]
fn outside_crates_have_one_home() {
    let src = workspace().join("orchestrator/src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = Vec::new();
    for path in files.iter().filter(|p| !is_test(p)) {
        let text = code(&std::fs::read_to_string(path).expect("readable"));
        let place = path.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        for (outside, homes) in HOMES {
            let named = text.contains(&format!("use {outside}::"))
                || text.contains(&format!(" {outside}::"))
                || text.contains(&format!("({outside}::"));
            if named && !homes.iter().any(|home| place.starts_with(home)) {
                wrong.push(format!("{place}: `{outside}` has its home in {}", homes.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_rooms_not_halls() {
    let mut files = Vec::new();
    for member in ["agent", "orchestrator", "tests"] {
        rust_files(&workspace().join(member), &mut files);
    }
    let mut wrong = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).expect("readable");
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{}: {lines} lines", path.display()));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{}: the first line must say what lives here (`//!`)", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_agent_knows_no_product() {
    let mut files = Vec::new();
    rust_files(&workspace().join("agent/src"), &mut files);
    rust_files(&workspace().join("agent/protocol/src"), &mut files);
    let mut wrong = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).expect("readable").to_lowercase();
        for word in PRODUCT_WORDS {
            for (at, line) in text.lines().enumerate() {
                if line.contains(word) {
                    wrong.push(format!("{}:{}: `{word}`", path.display(), at + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_marks_for_later() {
    let mut files = Vec::new();
    for member in ["agent/src", "agent/protocol/src", "orchestrator/src", "tests"] {
        rust_files(&workspace().join(member), &mut files);
    }
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimple", "mented!(")];
    let mut wrong = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).expect("readable");
        for (at, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
