//! Reading one map of settings: typed values with their places, every mistake noted.

use apim_protocol::value::{AbsPath, Secret, Sha256};

use crate::apim::host_name;
use crate::yaml::{Kind, MapReader, Mistakes, Node, Span, nearest};

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> At<T> {
    /// Returns `value` as if written at `span`.
    pub(crate) const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A map being read.
pub(super) struct Section<'a, 'm> {
    map: MapReader<'a>,
    node: &'a Node,
    what: String,
    pub(super) mistakes: &'m mut Mistakes,
}

impl<'a, 'm> Section<'a, 'm> {
    pub(super) fn new(node: &'a Node, what: impl Into<String>, mistakes: &'m mut Mistakes) -> Self {
        let what = what.into();
        Self { map: MapReader::new(node, what.clone(), mistakes), node, what, mistakes }
    }

    pub(super) const fn span(&self) -> &Span {
        self.map.span()
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.what)
    }

    /// Returns where the value of `key` stands, if there is one.
    pub(super) fn place(&self, key: &str) -> Option<Span> {
        let node = self.node.get(key)?;
        (node.kind != Kind::Null).then(|| node.span.clone())
    }

    /// Says whether `key` holds the text `value`; does not take it.
    pub(super) fn is(&self, key: &str, value: &str) -> bool {
        self.node.get(key).and_then(Node::as_text).is_some_and(|text| text == value)
    }

    /// Says whether `key` holds `off` (which YAML 1.1 reads as a boolean); takes it then.
    pub(super) fn is_off(&mut self, key: &'static str) -> bool {
        let off =
            self.node.get(key).is_some_and(|node| node.kind == Kind::Bool(false)) || self.is(key, "off");
        if off {
            self.map.take(key);
        }
        off
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.map.take(key)
    }

    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'a, '_>> {
        let node = self.map.take(key)?;
        let what = self.path(key);
        Some(Section::new(node, what, self.mistakes))
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        let node = self.map.take(key)?;
        let what = self.path(key);
        text_of(node, &what, self.mistakes)
    }

    pub(super) fn secret(&mut self, key: &'static str) -> Option<At<Secret>> {
        let node = self.map.take(key)?;
        let text = match &node.kind {
            Kind::Secret(secret) => secret.clone(),
            Kind::Text { text, .. } | Kind::Float(_, text) => Secret::new(text.clone()),
            Kind::Int(n) => Secret::new(n.to_string()),
            _ => {
                let what = format!("`{}` must be a text, not {}", self.path(key), node.describe());
                self.mistakes.add(&node.span, what);
                return None;
            }
        };
        Some(At::new(text, node.span.clone()))
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.map.bool(key, self.mistakes).unwrap_or(default)
    }

    /// A boolean that need not be there.
    pub(super) fn choice(&mut self, key: &'static str) -> Option<bool> {
        self.map.bool(key, self.mistakes)
    }

    /// An `http` or `https` URL without an account.
    pub(super) fn web_address(&mut self, key: &'static str) -> Option<At<String>> {
        let text = self.text(key)?;
        if super::features::is_web_address(&text) {
            return Some(text);
        }
        // Not shown: it may hold an account.
        let what = format!("`{}` is no web address", self.path(key));
        self.mistakes.add_hint(&text.span, what, "`https://NAME[:PORT]/PATH`, without an account");
        None
    }

    pub(super) fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        self.map.int(key, range, self.mistakes)
    }

    pub(super) fn port(&mut self, key: &'static str) -> Option<u16> {
        self.number(key, 1..=65535).and_then(|n| u16::try_from(n).ok())
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.map.texts(key, self.mistakes)
    }

    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let what = format!("`{}` cannot be `{}`", self.path(key), text.value);
            self.mistakes.add_hint(&text.span, what, one_of(&text.value, &known));
        }
        found
    }

    pub(super) fn digest(&mut self, key: &'static str) -> Option<Sha256> {
        let text = self.text(key)?;
        digest_of(&text, &self.path(key), self.mistakes)
    }

    pub(super) fn folder(&mut self, key: &'static str) -> Option<AbsPath> {
        let text = self.text(key)?;
        match AbsPath::parse(&text.value) {
            Ok(path) if is_plain(&text.value) && text.value != "/" => Some(path),
            Ok(_) => {
                let what = format!("`{}`: `{}` cannot stand in a unit file", self.path(key), text.value);
                let hint = "a folder below `/`, of letters, digits, `.`, `_`, `+`, `-` and `/` only";
                self.mistakes.add_hint(&text.span, what, hint);
                None
            }
            Err(error) => {
                let what = format!("`{}`: {error}", self.path(key));
                self.mistakes.add(&text.span, what);
                None
            }
        }
    }

    pub(super) fn host(&mut self, key: &'static str) -> Option<At<String>> {
        let text = self.text(key)?;
        let what = self.path(key);
        check_host(&text, &what, self.mistakes).then_some(text)
    }

    /// Notes that a key is missing, unless it is there and its own mistake was noted already.
    pub(super) fn missing(&mut self, key: &str, hint: &str) {
        if self.node.get(key).is_some_and(|node| node.kind != Kind::Null) {
            return;
        }
        let what = format!("`{}` needs `{key}`", self.what);
        let span = self.map.span().clone();
        self.mistakes.add_hint(&span, what, hint);
    }

    pub(super) fn finish(self) {
        self.map.finish(self.mistakes);
    }
}

/// Says whether a path holds nothing that systemd or a shell would take for something else.
pub(super) fn is_plain(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "/._+-".contains(c))
}

pub(super) fn text_of(node: &Node, what: &str, mistakes: &mut Mistakes) -> Option<At<String>> {
    let text = match &node.kind {
        Kind::Text { text, .. } | Kind::Float(_, text) => text.clone(),
        Kind::Int(n) => n.to_string(),
        Kind::Secret(_) | Kind::Sealed(_) => {
            mistakes.add(&node.span, format!("`{what}` must not be a secret: it is shown"));
            return None;
        }
        Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => {
            mistakes.add(&node.span, format!("`{what}` must be a text, not {}", node.describe()));
            return None;
        }
    };
    Some(At::new(text, node.span.clone()))
}

pub(super) fn digest_of(text: &At<String>, what: &str, mistakes: &mut Mistakes) -> Option<Sha256> {
    match Sha256::parse(&text.value) {
        Ok(digest) => Some(digest),
        Err(error) => {
            mistakes.add_hint(
                &text.span,
                format!("`{what}`: {error}"),
                "`sha256sum FILE` prints it; compare it with the one the publisher gives",
            );
            None
        }
    }
}

pub(super) fn check_host(text: &At<String>, what: &str, mistakes: &mut Mistakes) -> bool {
    if text.value.contains("://") {
        // Not shown: it may hold an account.
        mistakes.add_hint(&text.span, format!("`{what}` is no URL"), "a name, without `https://`");
        return false;
    }
    match host_name::check(&text.value) {
        Ok(()) => true,
        Err(error) => {
            mistakes.add(&text.span, format!("`{what}`: `{}` {error}", text.value));
            false
        }
    }
}

/// Returns a hint: the nearest known word, or all of them.
pub(crate) fn one_of(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => format!("one of: {}", known.join(", ")),
    }
}
