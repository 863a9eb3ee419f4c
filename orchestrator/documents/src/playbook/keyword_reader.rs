//! Typed access to the keywords that plays and tasks share.

use apim_product::yaml::{Key, Kind, Mistakes, Node};

/// Returns a text that must not be a template, because it is needed before the hosts are known.
pub(super) fn plain_text(node: &Node, what: &str, mistakes: &mut Mistakes) -> Option<String> {
    match &node.kind {
        Kind::Text { text, templated: false } if !text.is_empty() => Some(text.clone()),
        Kind::Text { templated: true, .. } => {
            mistakes.add_hint(&node.span, format!("{what} cannot be a template"), "write the value out");
            None
        }
        _ => {
            mistakes.add(&node.span, format!("{what} must be a text, not {}", node.describe()));
            None
        }
    }
}

/// Reads the common keywords of plays and tasks.
pub(super) struct KeywordReader<'a, 'm> {
    pub(super) node: &'a Node,
    pub(super) mistakes: &'m mut Mistakes,
}

impl KeywordReader<'_, '_> {
    fn get(&self, key: &str) -> Option<&Node> {
        self.node.get(key).filter(|value| value.kind != Kind::Null)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let value = self.get(key)?;
        let text = value.as_text();
        if text.is_none() {
            let (span, what) =
                (value.span.clone(), format!("`{key}` must be a text, not {}", value.describe()));
            self.mistakes.add(&span, what);
        }
        text
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.get(key)?.clone();
        if let Kind::Bool(truth) = value.kind {
            return Some(truth);
        }
        let what = format!("`{key}` must be true or false, not {}", value.describe());
        self.mistakes.add(&value.span, what);
        None
    }

    pub(super) fn number(&mut self, key: &str, most: u32) -> Option<u32> {
        let value = self.get(key)?.clone();
        let number = value.as_text().and_then(|text| text.parse().ok()).filter(|number| *number <= most);
        if number.is_none() {
            self.mistakes.add(&value.span, format!("`{key}` must be a whole number from 0 to {most}"));
        }
        number
    }

    /// Rejects any `become_method` but sudo.
    pub(super) fn method(&mut self) {
        let Some(value) = self.get("become_method").cloned() else { return };
        if value.as_text().as_deref().and_then(|text| text.rsplit('.').next()) != Some("sudo") {
            self.mistakes.add_hint(&value.span, "this `become_method` is not supported", "supported: sudo");
        }
    }

    pub(super) fn tags(&mut self) -> Vec<String> {
        let Some(value) = self.get("tags").cloned() else { return Vec::new() };
        let items = match &value.kind {
            Kind::List(items) => items.clone(),
            _ => vec![value],
        };
        let mut tags = Vec::new();
        for item in items {
            match item.as_text() {
                Some(text) => tags
                    .extend(text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty())),
                None => {
                    self.mistakes.add(&item.span, format!("a tag must be a text, not {}", item.describe()))
                }
            }
        }
        tags
    }

    pub(super) fn variables(&mut self) -> Vec<(Key, Node)> {
        let Some(value) = self.get("vars").cloned() else { return Vec::new() };
        match value.kind {
            Kind::Map(entries) => {
                if let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "apim") {
                    let hint = "set it in the inventory or with -e '{\"apim\": {…}}'";
                    self.mistakes.add_hint(&key.span, "a playbook cannot set `apim`", hint);
                }
                entries
            }
            _ => {
                self.mistakes.add(&value.span, format!("`vars` must be a map, not {}", value.describe()));
                Vec::new()
            }
        }
    }
}
