//! One home per outside crate, an agent that knows no product, no marks for later.

use syn::visit::Visit;

use crate::sources::SOURCES;

/// Outside crates that have one home in the orchestrator.
const HOMES: &[(&str, &[&str])] = &[
    ("russh", &["transport/src/ssh/"]),
    ("mysql_async", &["rollout/src/local_tasks/database/"]),
    ("tokio_postgres", &["rollout/src/local_tasks/database/"]),
    ("serde_yaml", &["product/src/yaml/", "documents/src/inventory/"]),
    ("saphyr_parser", &["product/src/yaml/"]),
    ("toml_edit", &["product/src/config"]),
    ("indicatif", &["src/report/"]),
    ("clap", &["src/cli/", "src/main.rs"]),
    ("reqwest", &["rollout/src/http/"]),
    ("hyper", &["rollout/src/http/"]),
    ("hyper_util", &["rollout/src/http/"]),
    ("http_body_util", &["rollout/src/http/"]),
    ("rustls_platform_verifier", &["rollout/src/http/"]),
    ("tokio_rustls", &["rollout/src/http/"]),
    ("minijinja", &["documents/src/template"]),
    ("comfy_table", &["src/report/", "src/cli/"]),
    ("jks", &["product/src/keystore/"]),
    ("p12_keystore", &["product/src/keystore/"]),
    ("rcgen", &["product/src/keystore/", "product/src/testing.rs"]),
    ("x509_parser", &["product/src/keystore/"]),
];

/// Words of the product that the agent must not know (its own name and folder apart).
const PRODUCT_WORDS: &[&str] =
    &["wso2", "carbon", "gateway_", "deployment.toml", "profilesetup", "synapse", "api manager"];

/// The outside crates that a file names.
#[derive(Default)]
struct Crates(std::collections::BTreeSet<String>);

impl<'ast> Visit<'ast> for Crates {
    fn visit_use_tree(&mut self, tree: &'ast syn::UseTree) {
        if let syn::UseTree::Path(path) = tree {
            self.0.insert(path.ident.to_string());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.0.insert(path.segments[0].ident.to_string());
        }
        syn::visit::visit_path(self, path);
    }
}

#[test]
fn outside_crates_have_one_home() {
    let mut wrong = Vec::new();
    let mut homes_seen = std::collections::BTreeSet::new();
    for source in SOURCES.iter().filter(|source| source.path.starts_with("orchestrator") && !source.is_test())
    {
        let path = source.path.to_string_lossy();
        let path = path.trim_start_matches("orchestrator/");
        if path.starts_with("tests/") {
            continue;
        }
        let mut named = Crates::default();
        named.visit_file(&source.syntax.parse());
        for (outside, homes) in HOMES.iter().filter(|(outside, _)| named.0.contains(*outside)) {
            homes_seen.insert(*outside);
            if !homes.iter().any(|home| path.starts_with(home)) {
                wrong.push(format!("{path}: `{outside}` has its home in {}", homes.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(homes_seen.len(), HOMES.len(), "a crate of the table is named nowhere");
}

#[test]
fn the_agent_knows_no_product() {
    let mut wrong = Vec::new();
    for source in SOURCES.iter().filter(|source| source.path.starts_with("agent")) {
        let text = source.text.to_lowercase();
        for word in PRODUCT_WORDS {
            for (at, _) in text.lines().enumerate().filter(|(_, line)| line.contains(word)) {
                wrong.push(format!("{}:{}: `{word}`", source.path.display(), at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_marks_for_later() {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimple", "mented!(")];
    let mut wrong = Vec::new();
    for source in SOURCES.iter() {
        for (at, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{}:{}: {}", source.path.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
