//! Options of a module, rendered, taken with their types; whatever is wrong is noted at its place.

use std::path::PathBuf;

use apim_protocol::value::{AbsPath, FileMode, Owner, Secret};

use crate::playbook::load::beside;
use crate::yaml::{Kind, Mistakes, Node, Span};

pub(super) struct Options<'a> {
    module: &'static str,
    node: &'a Node,
    pub(super) mistakes: &'a mut Mistakes,
}

impl<'a> Options<'a> {
    pub(super) fn new(module: &'static str, node: &'a Node, mistakes: &'a mut Mistakes) -> Self {
        Self { module, node, mistakes }
    }

    pub(super) fn span(&self) -> Span {
        self.node.span.clone()
    }

    pub(super) fn wrong(&mut self, span: &Span, what: impl Into<String>, hint: impl Into<String>) {
        self.mistakes.add_hint(span, what, hint);
    }

    /// The first of these names that is given.
    pub(super) fn get(&self, names: &[&str]) -> Option<&'a Node> {
        names.iter().find_map(|name| self.node.get(name)).filter(|value| value.kind != Kind::Null)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(&[name]).is_some()
    }

    fn first<'n>(names: &[&'n str]) -> &'n str {
        names.first().copied().unwrap_or("")
    }

    pub(super) fn text(&mut self, names: &[&str]) -> Option<String> {
        let node = self.get(names)?;
        let text = node.as_text();
        if text.is_none() {
            let what = match &node.kind {
                Kind::Secret(_) => {
                    format!("`{}.{}` must not be a secret: it is shown", self.module, Self::first(names))
                }
                _ => format!(
                    "`{}.{}` must be a text, not {}",
                    self.module,
                    Self::first(names),
                    node.describe()
                ),
            };
            self.mistakes.add(&node.span, what);
        }
        text
    }

    pub(super) fn require(&mut self, names: &[&str]) -> Option<String> {
        if self.get(names).is_none() {
            self.mistakes.add(&self.node.span, format!("`{}` needs `{}`", self.module, Self::first(names)));
        }
        self.text(names)
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(node) = self.get(&[name]) else { return default };
        let truth = match &node.kind {
            Kind::Bool(truth) => Some(*truth),
            _ => match node.as_text().unwrap_or_default().to_ascii_lowercase().as_str() {
                "yes" | "true" | "on" | "1" => Some(true),
                "no" | "false" | "off" | "0" => Some(false),
                _ => None,
            },
        };
        if truth.is_none() {
            let what = format!("`{}.{name}` must be true or false, not {}", self.module, node.describe());
            self.mistakes.add(&node.span, what);
        }
        truth.unwrap_or(default)
    }

    /// An option that may only say what is so anyway.
    pub(super) fn only(&mut self, name: &str, truth: bool) {
        if self.flag(name, truth) != truth {
            let span = self.get(&[name]).map_or_else(|| self.span(), |node| node.span.clone());
            let what = format!("`{}` cannot have `{name}: {}` here", self.module, !truth);
            self.wrong(&span, what, "leave the option out");
        }
    }

    pub(super) fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let node = self.get(&[name])?;
        let number =
            node.as_text().and_then(|text| text.parse().ok()).filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = (range.start(), range.end());
            let what = format!("`{}.{name}` must be a whole number from {low} to {high}", self.module);
            self.mistakes.add(&node.span, what);
        }
        number
    }

    /// One of `words`; the first is the default.
    pub(super) fn choice(&mut self, name: &str, words: &[&'static str]) -> &'static str {
        let default = Self::first(words);
        let Some(text) = self.text(&[name]) else { return words.first().copied().unwrap_or("") };
        match words.iter().find(|word| **word == text) {
            Some(word) => word,
            None => {
                let span = self.get(&[name]).map_or_else(|| self.span(), |node| node.span.clone());
                let what = format!("`{}.{name}: {text}` is not supported", self.module);
                self.wrong(&span, what, format!("supported: {}", words.join(", ")));
                words.iter().find(|word| **word == default).copied().unwrap_or("")
            }
        }
    }

    pub(super) fn path(&mut self, names: &[&str]) -> Option<AbsPath> {
        let text = self.require(names)?;
        self.absolute(&text, names)
    }

    pub(super) fn optional_path(&mut self, name: &str) -> Option<AbsPath> {
        let text = self.text(&[name])?;
        self.absolute(&text, &[name])
    }

    pub(super) fn absolute(&mut self, text: &str, names: &[&str]) -> Option<AbsPath> {
        let parsed = AbsPath::parse(text);
        if let Err(error) = &parsed {
            let span = self.get(names).map_or_else(|| self.span(), |node| node.span.clone());
            self.mistakes.add(&span, format!("`{}.{}`: {error}", self.module, Self::first(names)));
        }
        parsed.ok()
    }

    /// A file of the control machine; a relative path is meant from `folder` beside the playbook if it is there, else from the
    /// playbook's folder.
    pub(super) fn local(&mut self, name: &str, folder: &str) -> Option<(PathBuf, Span)> {
        let text = self.require(&[name])?;
        let span = self.get(&[name])?.span.clone();
        let within = beside(&format!("{folder}/{text}"), &span);
        let path = if !text.starts_with('/') && within.exists() { within } else { beside(&text, &span) };
        Some((path, span))
    }

    pub(super) fn owner(&mut self) -> Owner {
        Owner { user: self.text(&["owner"]), group: self.text(&["group"]) }
    }

    /// `0644`, `"0644"`, `"0o644"`. A bare 644 is the decimal number, which nobody means.
    pub(super) fn mode(&mut self) -> Option<FileMode> {
        let node = self.get(&["mode"])?;
        let bits = match &node.kind {
            Kind::Int(number) if !is_decimal(&node.span) => u32::try_from(*number).ok(),
            Kind::Int(_) => {
                let hint = "put quotes around it, with a leading zero: \"0644\"";
                self.mistakes.add_hint(
                    &node.span,
                    "a mode without its leading zero is a decimal number",
                    hint,
                );
                return None;
            }
            _ => {
                let text = node.as_text().unwrap_or_default();
                let digits = text.trim_start_matches("0o");
                u32::from_str_radix(digits, 8).ok().filter(|_| digits.chars().all(|c| c.is_digit(8)))
            }
        };
        let bits = bits.filter(|bits| *bits <= 0o7777);
        if bits.is_none() {
            let hint = "write it in octal digits: \"0644\"";
            self.mistakes.add_hint(
                &node.span,
                format!("`{}.mode` is no mode that is supported", self.module),
                hint,
            );
        }
        bits.map(FileMode::new)
    }

    /// A text that may be a secret.
    pub(super) fn secret(&mut self, name: &str) -> Option<Secret> {
        let node = self.get(&[name])?;
        match (&node.kind, node.as_text()) {
            (Kind::Secret(secret), _) => Some(secret.clone()),
            (_, Some(text)) => Some(Secret::new(text)),
            _ => {
                let what = format!("`{}.{name}` must be a text, not {}", self.module, node.describe());
                self.mistakes.add(&node.span, what);
                None
            }
        }
    }
}

/// Whether the number was written without the leading zero that makes it octal.
fn is_decimal(span: &Span) -> bool {
    let Some(file) = &span.file else { return false };
    let Some(line) = span.line.checked_sub(1).and_then(|at| file.text.lines().nth(at)) else { return false };
    line.chars().nth(span.column.saturating_sub(1)).is_some_and(|c| matches!(c, '1'..='9'))
}
