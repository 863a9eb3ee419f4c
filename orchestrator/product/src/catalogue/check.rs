//! Checks the keys of `config:` against the catalogue, for every node that they apply to.

use std::collections::BTreeMap;

use super::{Entry, Form, advice, keys};
use crate::topology::Node;
use crate::yaml::{Key, Kind, Mistake, Node as Yaml, Span, nearest};

/// A `config:` key that does not have the intended effect.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// The error or warning.
    pub(crate) mistake: Mistake,
    /// Whether it is an error, due to `strict_config` or because the key does harm.
    pub(crate) strict: bool,
}

/// The findings so far. A key under `apim.config` applies to every node of its hosts, and is valid
/// if one of them reads it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// By place and path: the problem for the nodes checked so far, or `None` once one node reads
    /// the key.
    keys: BTreeMap<Place, Option<Found>>,
}

/// File, line, column, and path of a key (values from command-line options have no line).
type Place = (String, usize, usize, String);

#[derive(Debug)]
struct Found {
    span: Span,
    path: String,
    wrong: Wrong,
    /// The components and versions that do not read the key.
    readers: Vec<String>,
    strict: bool,
}

#[derive(Debug)]
enum Wrong {
    /// The node's component does not read the key in its version.
    Unread { hint: Option<String> },
    /// A table instead of a value, or the other way round.
    Form { is: &'static str, not: String },
    /// `$ref{…}` where the product does not resolve it.
    Reference,
    /// A placeholder that cannot be resolved, so the start fails.
    Unresolved { placeholder: String, hint: &'static str },
}

impl Findings {
    /// Checks one `config:` map of `node`.
    pub(crate) fn look(&mut self, config: &Yaml, node: &Node) {
        let mut look = Look { findings: self, node, path: Vec::new() };
        look.table(config, keys());
    }

    /// Returns the findings, ordered by location.
    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.keys.into_values().flatten().map(Found::finding).collect()
    }
}

struct Look<'a, 'f> {
    findings: &'f mut Findings,
    node: &'a Node,
    path: Vec<&'a str>,
}

impl<'a> Look<'a, '_> {
    fn table(&mut self, map: &'a Yaml, entry: &'static Entry) {
        let Kind::Map(entries) = &map.kind else { return };
        for (key, value) in entries {
            self.path.push(&key.text);
            self.key(key, value, entry);
            self.path.pop();
        }
    }

    fn key(&mut self, key: &'a Key, value: &'a Yaml, above: &'static Entry) {
        let (role, series) = (self.node.role, self.node.version.series());
        let Some(entry) = above.read_by(&key.text, role, series) else {
            let hint = self.hint(above);
            self.note(&key.span, Some(Wrong::Unread { hint }));
            return;
        };
        let is_map = matches!(value.kind, Kind::Map(_));
        let maps = match &value.kind {
            Kind::List(items) => items.iter().any(|item| matches!(item.kind, Kind::Map(_))),
            _ => false,
        };
        let is_empty = matches!(&value.kind, Kind::List(items) if items.is_empty());
        let wrong = match entry.form {
            Form::Table if !is_map => Some("a table"),
            // A single table is accepted as an array with one entry.
            Form::Tables if !is_map && !maps && !is_empty => Some("an array of tables"),
            Form::Value if is_map && entry.below.is_empty() => Some("a value"),
            _ => None,
        };
        self.note(&key.span, wrong.map(|is| Wrong::Form { is, not: value.describe().to_owned() }));
        self.placeholders(value);
        match &value.kind {
            Kind::Map(_) if !entry.below.is_empty() => self.table(value, entry),
            Kind::List(items) => {
                for item in items {
                    if !entry.below.is_empty() {
                        self.table(item, entry);
                    }
                    self.references(item);
                }
            }
            _ => {}
        }
    }

    /// Finds placeholders that cannot be resolved: they fail the start (wso2/config-mapper).
    fn placeholders(&mut self, value: &'a Yaml) {
        let Kind::Text { text, .. } = &value.kind else { return };
        for (open, hint) in [
            (
                "$secret{",
                "set the secret itself, with `!vault`, `!env` or `!file`; `apim: {secrets: cipher}` encrypts it",
            ),
            ("$env{", "the service has this variable only if you set it in a drop-in of its unit"),
            ("$ref{", "it must be the name of another key"),
        ] {
            for inner in text.split(open).skip(1) {
                let name = inner.split('}').next().unwrap_or_default();
                let path: Vec<&str> = name.split('.').collect();
                let (role, series) = (self.node.role, self.node.version.series());
                let step = |entry: &'static Entry, key: &&str| entry.read_by(key, role, series);
                if open != "$ref{" || path.iter().try_fold(keys(), step).is_none() {
                    let placeholder = format!("{open}{name}}}");
                    self.note(&value.span, Some(Wrong::Unresolved { placeholder, hint }));
                }
            }
        }
    }

    /// Finds `$ref{}` inside arrays of tables, where it is not resolved; it is resolved in plain
    /// values and lists of strings (wso2/config-mapper).
    fn references(&mut self, item: &'a Yaml) {
        let Kind::Map(entries) = &item.kind else { return };
        for (key, value) in entries {
            self.path.push(&key.text);
            match &value.kind {
                Kind::Text { text, .. } if text.contains("$ref{") => {
                    self.note(&value.span, Some(Wrong::Reference));
                }
                Kind::Map(_) => self.references(value),
                _ => {}
            }
            self.path.pop();
        }
    }

    fn hint(&self, above: &'static Entry) -> Option<String> {
        let (role, series) = (self.node.role, self.node.version.series());
        let (key, tables) = self.path.split_last()?;
        if let Some(advice) = advice(&self.path) {
            return Some(match advice.is_fatal {
                true => advice.text.to_owned(),
                false => format!("no component of any version reads it: {}", advice.text),
            });
        }
        if let Some(entry) = above.get(key) {
            let (role_reads, series_reads) = (
                entry.readers.roles & super::role_bit(role) != 0,
                entry.readers.series & super::series_bit(series) != 0,
            );
            return Some(match (role_reads, series_reads) {
                (false, _) => "other components read it: set it for their role".to_owned(),
                (true, false) => "other versions read it".to_owned(),
                (true, true) => "other versions of the component read it".to_owned(),
            });
        }
        // A table with the right name at the wrong place takes precedence over a similar name.
        let place = elsewhere(keys(), key, role, series, &mut Vec::new())
            .or_else(|| nearest(key, above.names(role, series)).map(|near| joined(tables, near)))?;
        Some(format!("did you mean `{place}`?"))
    }

    fn note(&mut self, span: &Span, wrong: Option<Wrong>) {
        let path = joined(&self.path, "");
        let file = span.file.as_ref().map(|file| file.name.clone()).unwrap_or_default();
        let place = (file, span.line, span.column, path.clone());
        let reader = format!("{} {}", self.node.role, self.node.version);
        let is_fatal = advice(&self.path).is_some_and(|advice| advice.is_fatal);
        let strict = self.node.settings.strict_config || is_fatal;
        match (self.findings.keys.get_mut(&place), wrong) {
            (_, None) => {
                self.findings.keys.insert(place, None);
            }
            (Some(None), Some(_)) => {}
            (Some(Some(found)), Some(_)) => {
                found.strict |= strict;
                if !found.readers.contains(&reader) {
                    found.readers.push(reader);
                }
            }
            (None, Some(wrong)) => {
                let found = Found { span: span.clone(), path, wrong, readers: vec![reader], strict };
                self.findings.keys.insert(place, Some(found));
            }
        }
    }
}

impl Found {
    fn finding(self) -> Finding {
        let Self { span, path, wrong, readers, strict } = self;
        let readers = readers.join(", ");
        let (what, hint) = match wrong {
            Wrong::Unread { hint } => {
                (format!("`config.{path}`: unknown key of deployment.toml for {readers}"), hint)
            }
            Wrong::Form { is, not } => {
                (format!("`config.{path}` is {is} in deployment.toml ({readers}), not {not}"), None)
            }
            Wrong::Unresolved { placeholder, hint } => (
                format!(
                    "`config.{path}`: `{placeholder}` cannot be resolved, so the start would fail ({readers})"
                ),
                Some(hint.to_owned()),
            ),
            Wrong::Reference => (
                format!("`config.{path}`: `$ref{{…}}` is not resolved inside an array of tables"),
                Some("set the value itself; placeholders such as `${admin.username}` work there".to_owned()),
            ),
        };
        Finding { mistake: Mistake { span, what, hint }, strict }
    }
}

/// Returns the path of the shallowest table or array of tables with that name.
fn elsewhere(
    entry: &'static Entry,
    name: &str,
    role: crate::role::Role,
    series: crate::release::Series,
    path: &mut Vec<&'static str>,
) -> Option<String> {
    let mut best: Option<String> = None;
    for (key, below) in entry.below.iter().filter(|(_, below)| below.readers.contains(role, series)) {
        path.push(key);
        let found = if *key == name && !below.below.is_empty() {
            Some(joined(path, ""))
        } else {
            elsewhere(below, name, role, series, path)
        };
        path.pop();
        let depth = |path: &String| path.matches('.').count();
        best = match (best, found) {
            (Some(best), Some(found)) if depth(&found) < depth(&best) => Some(found),
            (None, found) => found,
            (best, _) => best,
        };
    }
    best
}

fn joined(tables: &[&str], last: &str) -> String {
    let quoted = |name: &str| {
        if name.contains('.') { format!("'{name}'") } else { name.to_owned() }
    };
    let parts = tables.iter().copied().chain(Some(last).filter(|last| !last.is_empty()));
    parts.map(quoted).collect::<Vec<_>>().join(".")
}
