//! The keys of `config:` held against the catalogue, for every node that they reach.

use std::collections::BTreeMap;

use super::{Entry, Form, advice, keys};
use crate::apim::topology::Node;
use crate::yaml::{Key, Kind, Mistake, Node as Yaml, Span, nearest};

/// One key that does not mean what its author hoped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// The mistake or warning.
    pub(crate) told: Mistake,
    /// Whether it is a mistake, as `strict_config` wishes.
    pub(crate) strict: bool,
}

/// What was found so far. A key under `apim.config` reaches every node of its hosts: one that reads it is enough.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// By place and path: what is wrong for the nodes looked at so far, or `None` once one reads it.
    keys: BTreeMap<Place, Option<Found>>,
}

/// File, line, column, and the key's path (values given by a flag have no line).
type Place = (String, usize, usize, String);

#[derive(Debug)]
struct Found {
    span: Span,
    path: String,
    wrong: Wrong,
    /// The components and versions that do not read it.
    readers: Vec<String>,
    strict: bool,
}

#[derive(Debug)]
enum Wrong {
    /// Not a key of this node's component and version.
    Unread { hint: Option<String> },
    /// A table where a value is read, or the other way round.
    Form { is: &'static str, not: String },
    /// `$ref{…}` where the product leaves it as it is.
    Reference,
    /// A placeholder that nothing resolves, so that the start ends.
    Unresolved { placeholder: String, hint: &'static str },
}

impl Findings {
    /// Looks at one `config:` map that `node` gets.
    pub(crate) fn look(&mut self, config: &Yaml, node: &Node) {
        let mut look = Look { findings: self, node, path: Vec::new() };
        look.table(config, keys());
    }

    /// Returns what was found, in the order of places.
    pub(crate) fn told(self) -> Vec<Finding> {
        self.keys.into_values().flatten().map(Found::told).collect()
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
            // A single table may stand for an array of one.
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

    /// A placeholder that cannot be resolved ends the start (wso2/config-mapper).
    fn placeholders(&mut self, value: &'a Yaml) {
        let Kind::Text { text, .. } = &value.kind else { return };
        for (open, hint) in [
            (
                "$secret{",
                "give the secret itself, as `!vault`, `!env` or `!file`; `apim: {secrets: cipher}` has it encrypted",
            ),
            ("$env{", "the service has this variable only if you give it one, in a drop-in of its unit"),
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

    /// `$ref{}` is resolved in plain values and lists of texts, not inside arrays of tables (wso2/config-mapper).
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
                (true, true) => "other versions of it read it".to_owned(),
            });
        }
        // A table that was put at the wrong place is called rightly, so it comes before what is only nearly called so.
        let place = elsewhere(keys(), key, role, series, &mut Vec::new())
            .or_else(|| nearest(key, above.names(role, series)).map(|near| joined(tables, near)))?;
        Some(format!("did you mean `{place}`?"))
    }

    fn note(&mut self, span: &Span, wrong: Option<Wrong>) {
        let path = joined(&self.path, "");
        let file = span.file.as_ref().map(|file| file.name.clone()).unwrap_or_default();
        let place = (file, span.line, span.column, path.clone());
        let who = format!("{} {}", self.node.role, self.node.version);
        let is_fatal = advice(&self.path).is_some_and(|advice| advice.is_fatal);
        let strict = self.node.settings.strict_config || is_fatal;
        match (self.findings.keys.get_mut(&place), wrong) {
            (_, None) => {
                self.findings.keys.insert(place, None);
            }
            (Some(None), Some(_)) => {}
            (Some(Some(found)), Some(_)) => {
                found.strict |= strict;
                if !found.readers.contains(&who) {
                    found.readers.push(who);
                }
            }
            (None, Some(wrong)) => {
                let found = Found { span: span.clone(), path, wrong, readers: vec![who], strict };
                self.findings.keys.insert(place, Some(found));
            }
        }
    }
}

impl Found {
    fn told(self) -> Finding {
        let Self { span, path, wrong, readers, strict } = self;
        let readers = readers.join(", ");
        let (what, hint) = match wrong {
            Wrong::Unread { hint } => {
                (format!("`config.{path}` is no key of deployment.toml that is read by: {readers}"), hint)
            }
            Wrong::Form { is, not } => {
                (format!("`config.{path}` is {is} in deployment.toml ({readers}), not {not}"), None)
            }
            Wrong::Unresolved { placeholder, hint } => (
                format!(
                    "`config.{path}`: nothing resolves `{placeholder}`, and the start would end there ({readers})"
                ),
                Some(hint.to_owned()),
            ),
            Wrong::Reference => (
                format!("`config.{path}`: `$ref{{…}}` is not resolved inside an array of tables"),
                Some("write the value itself; `${admin.username}` and its like work there".to_owned()),
            ),
        };
        Finding { told: Mistake { span, what, hint }, strict }
    }
}

/// The path of the shallowest table or array of tables of that name.
fn elsewhere(
    entry: &'static Entry,
    name: &str,
    role: crate::apim::role::Role,
    series: crate::apim::release::Series,
    path: &mut Vec<&'static str>,
) -> Option<String> {
    let mut best: Option<String> = None;
    for (key, below) in entry.below.iter().filter(|(_, below)| below.readers.holds(role, series)) {
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
