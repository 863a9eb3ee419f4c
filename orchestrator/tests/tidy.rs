//! Checks the rules of ARCHITECTURE.md that the compiler does not enforce: imports between modules,
//! no import cycles, one module per external crate, file sizes, file headers, no product words in
//! the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules of the orchestrator, and the lower modules that each may use. A module is a folder or
/// file directly in `src`.
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

/// Modules of the agent, and the lower modules that each may use.
const AGENT: &[(&str, &[&str])] = &[
    ("main", &["serve", "system"]),
    ("lib", &[]),
    (
        "serve",
        &["chain", "protocol", "operation", "system", "facts", "outcome", "observation", "mask", "value"],
    ),
    ("protocol", &["operation", "facts", "outcome", "observation", "value"]),
    ("operation", &["probe", "system", "chain", "mask", "outcome", "observation", "value"]),
    ("probe", &["system", "mask", "outcome", "observation", "value"]),
    ("system", &["mask", "facts", "outcome", "observation", "value"]),
    ("outcome", &["observation", "value"]),
    ("observation", &["value"]),
    ("facts", &["value"]),
    ("mask", &["value"]),
    ("chain", &["value"]),
    ("value", &[]),
];

/// External crates, and the modules of the orchestrator that may use them.
const CRATE_USERS: &[(&str, &[&str])] = &[
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

/// Product words that the agent must not contain, except in its own name and folder.
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

/// Returns the code without comments and without the final `#[cfg(test)]` module.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str() == "tests")
        || path.file_stem().is_some_and(|s| s == "tests" || s.to_string_lossy().ends_with("_tests"))
}

/// Returns the names directly after `prefix`, also in braces.
fn imported_modules(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
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
                        modules.insert(name(item.trim()));
                        item.clear();
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 {
                    item.push(c);
                }
            }
            modules.insert(name(item.trim()));
        } else {
            modules.insert(name(rest));
        }
    }
    modules.remove("");
    modules
}

fn module_of(path: &Path, src: &Path) -> String {
    let first = path.strip_prefix(src).expect("below src").components().next().expect("a part");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn check_imports(src: &Path, table: &[(&str, &[&str])]) -> Vec<String> {
    let rules: BTreeMap<_, _> = table.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    rust_files(src, &mut files);
    assert!(!files.is_empty(), "no sources in {}", src.display());
    for path in files.iter().filter(|p| !is_test(p)) {
        let module = module_of(path, src);
        let Some(allowed) = rules.get(module.as_str()) else {
            wrong.push(format!("{}: module `{module}` is not in the table", path.display()));
            continue;
        };
        let text = code(&std::fs::read_to_string(path).expect("readable"));
        for other in imported_modules(&text, "crate::") {
            if other != module && rules.contains_key(other.as_str()) && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{}: `{module}` must not import `{other}`", path.display()));
            }
        }
    }
    wrong
}

/// Checks that each module only uses modules in later rows, so that import cycles are impossible.
fn check_order(table: &[(&str, &[&str])]) {
    let row: BTreeMap<_, _> = table.iter().enumerate().map(|(i, (module, _))| (*module, i)).collect();
    for (module, allowed) in table {
        for other in *allowed {
            assert!(
                row[other] > row[module],
                "the table lets `{module}` import `{other}`, which is above it"
            );
        }
    }
}

#[test]
fn modules_import_only_lower_modules() {
    check_order(ORCHESTRATOR);
    check_order(AGENT);
    let mut wrong = check_imports(&workspace().join("orchestrator/src"), ORCHESTRATOR);
    wrong.extend(check_imports(&workspace().join("agent/src"), AGENT));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn import_check_finds_all_imported_modules() {
    let modules = imported_modules(
        "use crate::{cli::run, yaml::{Node, Span}};\nlet x = crate::report::show();",
        "crate::",
    );
    assert_eq!(modules.into_iter().collect::<Vec<_>>(), ["cli", "report", "yaml"]);
}

#[test]
fn external_crates_are_used_in_one_module() {
    let src = workspace().join("orchestrator/src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = Vec::new();
    for path in files.iter().filter(|p| !is_test(p)) {
        let text = code(&std::fs::read_to_string(path).expect("readable"));
        let place = path.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        for (external, users) in CRATE_USERS {
            let named = text.contains(&format!("use {external}::"))
                || text.contains(&format!(" {external}::"))
                || text.contains(&format!("({external}::"));
            if named && !users.iter().any(|user| place.starts_with(user)) {
                wrong.push(format!("{place}: `{external}` may only be used in {}", users.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn source_files_are_short_and_documented() {
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
            wrong.push(format!("{}: the file must start with a `//!` comment", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn agent_contains_no_product_words() {
    let src = workspace().join("agent/src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
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
fn no_todo_markers() {
    let mut files = Vec::new();
    for member in ["agent/src", "orchestrator/src", "tests"] {
        rust_files(&workspace().join(member), &mut files);
    }
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimple", "mented!(")];
    let mut wrong = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).expect("readable");
        for (at, line) in text.lines().enumerate() {
            // `init` writes a list with this name into the inventory. It is not a marker.
            let line = line.replace(concat!("TO", "DO list"), "");
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
