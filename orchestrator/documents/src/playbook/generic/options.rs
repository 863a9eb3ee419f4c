//! Typed access to the rendered options of a module. Reports errors with their positions.

use std::path::PathBuf;

use apim_protocol::value::{AbsPath, FileMode, Owner, Secret};

use crate::playbook::paths::resolve;
use apim_product::yaml::{Kind, Mistakes, Node, Span};

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

    /// Returns the first of these options that is set.
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
                    format!(
                        "`{}.{}` must not be a secret, because it is shown",
                        self.module,
                        Self::first(names)
                    )
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

    /// Checks an option that supports only one value.
    pub(super) fn only(&mut self, name: &str, truth: bool) {
        if self.flag(name, truth) != truth {
            let span = self.get(&[name]).map_or_else(|| self.span(), |node| node.span.clone());
            let what = format!("`{}` does not support `{name}: {}`", self.module, !truth);
            self.wrong(&span, what, "remove the option");
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

    /// Returns one of `words`. The first is the default.
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

    /// Returns the path of a file on the control machine. A relative path starts at `folder` in the
    /// playbook's folder if the file exists there, otherwise at the playbook's folder.
    pub(super) fn local(&mut self, name: &str, folder: &str) -> Option<(PathBuf, Span)> {
        let text = self.require(&[name])?;
        let span = self.get(&[name])?.span.clone();
        let within = resolve(&format!("{folder}/{text}"), &span);
        let path = if !text.starts_with('/') && within.exists() { within } else { resolve(&text, &span) };
        Some((path, span))
    }

    pub(super) fn owner(&mut self) -> Owner {
        Owner { user: self.text(&["owner"]), group: self.text(&["group"]) }
    }

    /// Reads `0644`, `"0644"`, `"0o644"`. A plain `644` is a decimal number in YAML and therefore
    /// rejected.
    pub(super) fn mode(&mut self) -> Option<FileMode> {
        let node = self.get(&["mode"])?;
        let bits = match &node.kind {
            Kind::Int(number) if !is_decimal(&node.span) => u32::try_from(*number).ok(),
            Kind::Int(_) => {
                let hint = "quote it with a leading zero: \"0644\"";
                self.mistakes.add_hint(
                    &node.span,
                    "invalid mode: a number without a leading zero is decimal",
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
            let hint = "use octal digits: \"0644\"";
            self.mistakes.add_hint(&node.span, format!("unsupported `{}.mode`", self.module), hint);
        }
        bits.map(FileMode::new)
    }

    /// Returns a text that may be a secret.
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

/// Whether the number has no leading zero in the source, so that YAML reads it as decimal.
fn is_decimal(span: &Span) -> bool {
    let Some(file) = &span.file else { return false };
    let Some(line) = span.line.checked_sub(1).and_then(|at| file.text.lines().nth(at)) else { return false };
    line.chars().nth(span.column.saturating_sub(1)).is_some_and(|c| matches!(c, '1'..='9'))
}
