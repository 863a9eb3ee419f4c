//! Takes typed values out of a map, notes every mistake, and at the end every key that nobody asked for.

use apim_protocol::value::Secret;

use super::mistake::{Mistakes, nearest};
use super::node::{Key, Kind, Node, Span};

/// Reads one map. Each `take` removes a key; `finish` complains about those left.
#[derive(Debug)]
pub struct MapReader<'a> {
    what: String,
    span: Span,
    left: Vec<&'a (Key, Node)>,
    asked: Vec<&'static str>,
}

impl<'a> MapReader<'a> {
    /// Returns a reader for `node`, called `what` in messages (`apim.databases`). Anything but a map (or nothing) is a mistake and reads as empty.
    pub fn new(node: &'a Node, what: impl Into<String>, mistakes: &mut Mistakes) -> Self {
        let what = what.into();
        let left = match &node.kind {
            Kind::Map(entries) => entries.iter().collect(),
            Kind::Null => Vec::new(),
            _ => {
                mistakes.add(&node.span, format!("`{what}` must be a map, not {}", node.describe()));
                Vec::new()
            }
        };
        Self { what, span: node.span.clone(), left, asked: Vec::new() }
    }

    /// Returns the place of the map.
    #[must_use]
    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// Takes the value under `key`; a `null` value counts as absent.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        let at = self.left.iter().position(|(k, _)| k.text == key)?;
        let (_, node) = self.left.remove(at);
        (node.kind != Kind::Null).then_some(node)
    }

    /// Takes a value that must be there.
    pub fn require(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<&'a Node> {
        let node = self.take(key);
        if node.is_none() {
            mistakes.add(&self.span, format!("`{}` needs `{key}`", self.what));
        }
        node
    }

    /// Takes a text (numbers are taken as they were written).
    pub fn text(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<String> {
        let node = self.take(key)?;
        match &node.kind {
            Kind::Text { text, .. } => Some(text.clone()),
            Kind::Int(n) => Some(n.to_string()),
            Kind::Float(_, text) => Some(text.clone()),
            Kind::Secret(_) | Kind::Sealed(_) => {
                mistakes.add(&node.span, format!("`{}.{key}` must not be a secret: it is shown", self.what));
                None
            }
            _ => self.wrong(key, node, "a text", mistakes),
        }
    }

    /// Takes a secret; a plain text is taken as one.
    pub fn secret(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<Secret> {
        let node = self.take(key)?;
        match &node.kind {
            Kind::Secret(secret) => Some(secret.clone()),
            Kind::Text { text, .. } => Some(Secret::new(text.clone())),
            Kind::Int(n) => Some(Secret::new(n.to_string())),
            Kind::Float(_, text) => Some(Secret::new(text.clone())),
            _ => self.wrong(key, node, "a text", mistakes),
        }
    }

    /// Takes a boolean.
    pub fn bool(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<bool> {
        let node = self.take(key)?;
        match &node.kind {
            Kind::Bool(b) => Some(*b),
            _ => self.wrong(key, node, "true or false", mistakes),
        }
    }

    /// Takes a whole number within `range`.
    pub fn int(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
        mistakes: &mut Mistakes,
    ) -> Option<i64> {
        let node = self.take(key)?;
        let number = match &node.kind {
            Kind::Int(n) => Some(*n),
            Kind::Text { text, .. } => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(n) if range.contains(&n) => Some(n),
            Some(n) => {
                let what = format!(
                    "`{}.{key}` must be from {} to {}, not {n}",
                    self.what,
                    range.start(),
                    range.end()
                );
                mistakes.add(&node.span, what);
                None
            }
            None => {
                let (low, high) = (range.start(), range.end());
                self.wrong(key, node, &format!("a whole number from {low} to {high}"), mistakes)
            }
        }
    }

    /// Takes a list; each item keeps its place.
    pub fn list(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<&'a [Node]> {
        let node = self.take(key)?;
        match &node.kind {
            Kind::List(items) => Some(items),
            _ => self.wrong(key, node, "a list", mistakes),
        }
    }

    /// Takes a list of texts.
    pub fn texts(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<Vec<String>> {
        let items = self.list(key, mistakes)?;
        let mut texts = Vec::new();
        for item in items {
            match &item.kind {
                Kind::Text { text, .. } => texts.push(text.clone()),
                Kind::Int(n) => texts.push(n.to_string()),
                _ => mistakes.add(
                    &item.span,
                    format!("`{}.{key}` must hold texts, not {}", self.what, item.describe()),
                ),
            }
        }
        Some(texts)
    }

    fn wrong<T>(&self, key: &str, node: &Node, wanted: &str, mistakes: &mut Mistakes) -> Option<T> {
        mistakes.add(&node.span, format!("`{}.{key}` must be {wanted}, not {}", self.what, node.describe()));
        None
    }

    /// Complains about every key that was not taken, with the nearest one that could have been.
    pub fn finish(self, mistakes: &mut Mistakes) {
        for (key, _) in &self.left {
            let what = format!("`{}` has no key `{}`", self.what, key.text);
            match nearest(&key.text, self.asked.iter().copied()) {
                Some(near) => mistakes.add_hint(&key.span, what, format!("did you mean `{near}`?")),
                None if self.asked.is_empty() => mistakes.add_hint(&key.span, what, "it takes no options"),
                None => mistakes.add_hint(&key.span, what, format!("it knows: {}", self.asked.join(", "))),
            }
        }
    }
}
