//! Merges variables in Ansible's order of precedence. `apim` is the only variable that is merged
//! recursively.

use std::collections::HashMap;

use apim_product::yaml::{Key, Kind, Node};

/// The variable that is merged recursively, so that a host can change one setting without repeating
/// the rest.
pub(super) const DEEP: &str = "apim";

/// The map in `apim`, and its keys, whose templates need a node. They are rendered after the nodes
/// are known.
const LATER: (&str, [&str; 3]) = ("load_balancer", ["drain", "undrain", "drained"]);

/// Splits `apim` into the part that is rendered now and the map of values that are rendered later.
pub(super) fn part(apim: &Node) -> (Node, Node) {
    let (mut now, mut later) = (apim.clone(), Vec::new());
    if let Kind::Map(entries) = &mut now.kind {
        let inner = entries.iter_mut().filter(|(key, _)| key.text == LATER.0);
        for (_, inner) in inner {
            if let Kind::Map(entries) = &mut inner.kind {
                let (split, kept) = std::mem::take(entries)
                    .into_iter()
                    .partition(|(key, _)| LATER.1.contains(&key.text.as_str()));
                (later, *entries) = (split, kept);
            }
        }
    }
    let span = apim.span.clone();
    (now, Node { kind: Kind::Map(later), span })
}

/// Variables in the order of their first definition, with the last value.
#[derive(Debug, Default, Clone)]
pub(super) struct Layers {
    entries: Vec<(Key, Node)>,
    index: HashMap<String, usize>,
}

impl Layers {
    /// Adds a layer that overrides the previous ones.
    pub(super) fn put(&mut self, variables: &[(Key, Node)]) {
        for (key, value) in variables {
            match self.index.get(&key.text).and_then(|at| self.entries.get_mut(*at)) {
                Some((_, old)) if key.text == DEEP => *old = merge(old, value),
                Some(entry) => *entry = (key.clone(), value.clone()),
                None => {
                    self.index.insert(key.text.clone(), self.entries.len());
                    self.entries.push((key.clone(), value.clone()));
                }
            }
        }
    }

    pub(super) fn into_entries(self) -> Vec<(Key, Node)> {
        self.entries
    }
}

/// Returns `under` with `over` merged into it: maps are merged, other values are replaced. Values
/// keep their source position.
#[must_use]
pub fn merge(under: &Node, over: &Node) -> Node {
    let (Kind::Map(old), Kind::Map(new)) = (&under.kind, &over.kind) else { return over.clone() };
    let mut entries = old.clone();
    for (key, value) in new {
        match entries.iter_mut().find(|(other, _)| other.text == key.text) {
            Some(entry) => *entry = (key.clone(), merge(&entry.1, value)),
            None => entries.push((key.clone(), value.clone())),
        }
    }
    Node { kind: Kind::Map(entries), span: over.span.clone() }
}
