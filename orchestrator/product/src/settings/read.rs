//! Reads one map of settings: typed values with their locations. All errors are collected.

use apim_protocol::value::{AbsPath, Secret, Sha256};

use crate::host_name;
use crate::yaml::{Kind, MapReader, Mistakes, Node, Span, nearest};

/// A value with its location.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its location in the inventory.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Returns `value` with the location `span`.
    pub(crate) const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// Reads the keys of one map and collects errors.
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

    /// Returns the location of the value of `key`, if it is set.
    pub(super) fn place(&self, key: &str) -> Option<Span> {
        let node = self.node.get(key)?;
        (node.kind != Kind::Null).then(|| node.span.clone())
    }

    /// Returns whether `key` is the string `value`; does not mark the key as read.
    pub(super) fn is(&self, key: &str, value: &str) -> bool {
        self.node.get(key).and_then(Node::as_text).is_some_and(|text| text == value)
    }

    /// Returns whether `key` is `off` (a boolean in YAML 1.1), and marks the key as read if so.
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

    pub(super) fn text(&mut self, key: &'static str) -> Option<Spanned<String>> {
        let node = self.map.take(key)?;
        let what = self.path(key);
        text_of(node, &what, self.mistakes)
    }

    pub(super) fn secret(&mut self, key: &'static str) -> Option<Spanned<Secret>> {
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
        Some(Spanned::new(text, node.span.clone()))
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.map.bool(key, self.mistakes).unwrap_or(default)
    }

    /// Reads an optional boolean.
    pub(super) fn choice(&mut self, key: &'static str) -> Option<bool> {
        self.map.bool(key, self.mistakes)
    }

    /// Reads an `http` or `https` URL without an account.
    pub(super) fn web_address(&mut self, key: &'static str) -> Option<Spanned<String>> {
        let text = self.text(key)?;
        if is_web_address(&text) {
            return Some(text);
        }
        // The value is not shown: it may contain credentials.
        let what = format!("`{}` is not a valid URL", self.path(key));
        self.mistakes.add_hint(&text.span, what, "`https://NAME[:PORT]/PATH`, without credentials");
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
            let what = format!("`{}`: unknown value `{}`", self.path(key), text.value);
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
                let what = format!("`{}`: `{}` cannot be used in a unit file", self.path(key), text.value);
                let hint = "use a folder below `/`, with only letters, digits, `.`, `_`, `+`, `-` and `/`";
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

    pub(super) fn host(&mut self, key: &'static str) -> Option<Spanned<String>> {
        let text = self.text(key)?;
        let what = self.path(key);
        check_host(&text, &what, self.mistakes).then_some(text)
    }

    /// Adds an error for a missing key, unless it is set: its value has its own error then.
    pub(super) fn missing(&mut self, key: &str, hint: &str) {
        if self.node.get(key).is_some_and(|node| node.kind != Kind::Null) {
            return;
        }
        let what = format!("`{}` requires `{key}`", self.what);
        let span = self.map.span().clone();
        self.mistakes.add_hint(&span, what, hint);
    }

    pub(super) fn finish(self) {
        self.map.finish(self.mistakes);
    }
}

/// Returns whether a path has no characters that are special to systemd or a shell.
pub(super) fn is_plain(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "/._+-".contains(c))
}

pub(super) fn text_of(node: &Node, what: &str, mistakes: &mut Mistakes) -> Option<Spanned<String>> {
    let text = match &node.kind {
        Kind::Text { text, .. } | Kind::Float(_, text) => text.clone(),
        Kind::Int(n) => n.to_string(),
        Kind::Secret(_) | Kind::Sealed(_) => {
            mistakes.add(&node.span, format!("`{what}` must not be a secret: its value is displayed"));
            return None;
        }
        Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => {
            mistakes.add(&node.span, format!("`{what}` must be a text, not {}", node.describe()));
            return None;
        }
    };
    Some(Spanned::new(text, node.span.clone()))
}

/// Reads a list of texts, or a single one.
pub(super) fn texts_of(section: &mut Section<'_, '_>, key: &'static str) -> Vec<Spanned<String>> {
    let Some(node) = section.take(key) else { return Vec::new() };
    let what = section.path(key);
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    items.iter().filter_map(|item| text_of(item, &what, section.mistakes)).collect()
}

pub(super) fn digest_of(text: &Spanned<String>, what: &str, mistakes: &mut Mistakes) -> Option<Sha256> {
    match Sha256::parse(&text.value) {
        Ok(digest) => Some(digest),
        Err(error) => {
            mistakes.add_hint(
                &text.span,
                format!("`{what}`: {error}"),
                "get it with `sha256sum FILE`; compare it with the published digest",
            );
            None
        }
    }
}

pub(super) fn check_host(text: &Spanned<String>, what: &str, mistakes: &mut Mistakes) -> bool {
    if text.value.contains("://") {
        // The value is not shown: it may contain credentials.
        mistakes.add_hint(
            &text.span,
            format!("`{what}` must be a host name, not a URL"),
            "a name, without `https://`",
        );
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

/// Returns whether `text` is an `http(s)` URL with a valid host and without an account.
pub(super) fn is_web_address(text: &Spanned<String>) -> bool {
    let rest = text.value.strip_prefix("https://").or_else(|| text.value.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        !authority.contains('@') && host_name::check(host).is_ok()
    })
}

/// Rejects a secret that the product's configuration mapper would expand as a placeholder.
pub(super) fn refuse_placeholder(secret: &Spanned<Secret>, what: &str, mistakes: &mut Mistakes) {
    let text = secret.value.expose();
    if ["$ref{", "$env{", "$sys{", "$secret{", "${"].iter().any(|sign| text.contains(sign)) {
        mistakes.add_hint(
            &secret.span,
            format!("`{what}` contains `$…{{`, which the product would expand"),
            "choose a secret without it",
        );
    }
    if text.contains("]]>") || text.chars().any(char::is_control) {
        mistakes.add(
            &secret.span,
            format!("`{what}` contains `]]>` or a control character, which cannot be written into XML"),
        );
    }
}

/// Returns a hint: the nearest known word, or all of them.
pub(crate) fn one_of(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "no value is allowed".to_owned(),
        None => format!("one of: {}", known.join(", ")),
    }
}
