//! No circle of more than two files: files of one crate that import each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use syn::visit::Visit;

use crate::sources::{SOURCES, Source, is_for_tests};

/// Source folders of the crates whose files are compared.
const CRATES: &[&str] = &[
    "agent/protocol/src",
    "agent/src",
    "orchestrator/src",
    "orchestrator/documents/src",
    "orchestrator/product/src",
    "orchestrator/rollout/src",
    "orchestrator/transport/src",
];

type ModulePath = Vec<String>;

/// Every path that a file names, with `use` trees flattened; parts that are compiled for tests only are left out.
#[derive(Default)]
struct Named {
    paths: Vec<Vec<String>>,
    /// What `pub use` and `use` bring into the module: the name, and the path behind it.
    imported: Vec<(String, Vec<String>)>,
}

impl Named {
    fn tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let mut path = prefix.to_vec();
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.tree(&path, &part.tree);
            }
            syn::UseTree::Name(name) => {
                if name.ident != "self" {
                    path.push(name.ident.to_string());
                }
                self.imported.push((path.last().cloned().unwrap_or_default(), path.clone()));
                self.paths.push(path);
            }
            syn::UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.imported.push((rename.rename.to_string(), path.clone()));
                self.paths.push(path);
            }
            syn::UseTree::Glob(_) => self.paths.push(path),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => {
                syn::visit::visit_item(self, item);
                return;
            }
        };
        if !is_for_tests(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let before = self.paths.len();
        self.tree(&[], &item.tree);
        if !matches!(item.vis, syn::Visibility::Inherited) {
            // A re-export passes a name on; the file does not depend on it.
            self.paths.truncate(before);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }
}

/// The modules of one crate, each with its file and what the file names.
struct Crate {
    modules: BTreeMap<ModulePath, (PathBuf, Named)>,
}

impl Crate {
    fn read(root: &str) -> Self {
        let inside = |source: &&Source| source.path.starts_with(root) && !source.is_test();
        let modules = SOURCES.iter().filter(inside).map(|source| {
            let path = source.path.strip_prefix(root).expect("inside");
            let mut named = Named::default();
            named.visit_file(&source.syntax.parse());
            (module_of(path), (source.path.clone(), named))
        });
        Self { modules: modules.collect() }
    }

    /// Returns the module in which the thing at `path`, named inside `module`, is defined.
    fn defining(&self, module: &[String], path: &[String], hops: usize) -> Option<ModulePath> {
        let mut rest = path;
        let mut at = match rest.first()?.as_str() {
            "crate" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module.to_vec(),
            first => {
                let child = [module, &[first.to_owned()]].concat();
                if !self.modules.contains_key(&child) {
                    return None;
                }
                let mut at = child;
                for name in &path[1..] {
                    let next = [at.as_slice(), std::slice::from_ref(name)].concat();
                    if !self.modules.contains_key(&next) {
                        return Some(self.followed(at, name, hops));
                    }
                    at = next;
                }
                return Some(at);
            }
        };
        while let Some(first) = rest.first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => {
                    at.pop();
                }
                name => {
                    let next = [at.as_slice(), &[name.to_owned()]].concat();
                    if !self.modules.contains_key(&next) {
                        return Some(self.followed(at, name, hops));
                    }
                    at = next;
                }
            }
            rest = &rest[1..];
        }
        Some(at)
    }

    /// Follows a name that `module` only re-exports to the module that defines it.
    fn followed(&self, module: ModulePath, name: &str, hops: usize) -> ModulePath {
        let Some((_, named)) = self.modules.get(&module) else { return module };
        let behind = named.imported.iter().find(|(imported, _)| imported == name);
        match behind {
            Some((_, path)) if hops < 8 => self.defining(&module, path, hops + 1).unwrap_or(module),
            _ => module,
        }
    }

    /// Returns the circles of more than two files, each with the arrows between its files.
    fn circles(&self) -> Vec<String> {
        let mut arrows: BTreeSet<(&Path, &Path)> = BTreeSet::new();
        for (module, (file, named)) in &self.modules {
            for path in &named.paths {
                let Some(target) = self.defining(module, path, 0) else { continue };
                if let Some((other, _)) = self.modules.get(&target)
                    && other != file
                {
                    arrows.insert((file, other));
                }
            }
        }
        let mut graph = DiGraph::<&Path, ()>::new();
        let nodes: BTreeMap<&Path, _> =
            self.modules.values().map(|(file, _)| (file.as_path(), graph.add_node(file.as_path()))).collect();
        for (from, to) in &arrows {
            graph.add_edge(nodes[from], nodes[to], ());
        }
        let circles = tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 2);
        circles
            .map(|circle| {
                let files: BTreeSet<&Path> = circle.iter().map(|node| graph[*node]).collect();
                let inside = arrows.iter().filter(|(from, to)| files.contains(from) && files.contains(to));
                let lines = inside.map(|(from, to)| format!("  {} -> {}", from.display(), to.display()));
                format!("{} files:\n{}", files.len(), lines.collect::<Vec<_>>().join("\n"))
            })
            .collect()
    }
}

fn module_of(path: &Path) -> ModulePath {
    let mut parts: Vec<String> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

#[test]
fn no_circle_of_more_than_two_files() {
    let circles: Vec<String> = CRATES.iter().flat_map(|root| Crate::read(root).circles()).collect();
    assert!(circles.is_empty(), "{} circles\n{}", circles.len(), circles.join("\n"));
}

#[test]
fn a_circle_is_found_through_a_re_export() {
    let named = |text: &str| {
        let mut named = Named::default();
        named.visit_file(&syn::parse_file(text).expect("valid"));
        named
    };
    let module = |path: &[&str]| path.iter().map(|part| (*part).to_owned()).collect::<ModulePath>();
    let files = [
        (module(&[]), ("lib.rs", "pub mod a; pub mod b; pub mod c; pub use a::A;")),
        (module(&["a"]), ("a.rs", "use crate::b::B; pub struct A;")),
        (module(&["b"]), ("b.rs", "pub struct B; fn f() { crate::c::run(); }")),
        (module(&["c"]), ("c.rs", "use super::A; pub fn run() {} #[cfg(test)] mod tests { use crate::b; }")),
    ];
    let modules =
        files.into_iter().map(|(path, (file, text))| (path, (PathBuf::from(file), named(text)))).collect();
    let circles = Crate { modules }.circles();
    assert_eq!(circles, ["3 files:\n  a.rs -> b.rs\n  b.rs -> c.rs\n  c.rs -> a.rs"]);
}
