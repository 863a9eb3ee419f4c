//! What a configuration says, whatever it looks like: digests of its values, to tell which of them changed.
//!
//! Comments, order of keys and form of writing do not matter. A secret has no digest of its own: whoever saw that could try out passwords
//! against it.

use std::collections::BTreeMap;

use apim_protocol::value::{Secret, Sha256};

use super::tree::{Item, Table, Value};

/// The label of all secrets together.
const SECRETS: &str = "passwords and keys";

/// Returns a digest of what `root` says.
pub(super) fn digest(root: &Table) -> Sha256 {
    let mut text = String::new();
    Writer { text: &mut text, masked: false }.table(root);
    Sha256::of(text.as_bytes())
}

/// Returns for each key, such as `[server] hostname`, a short digest of its value, secrets left out; and one of all secrets together.
pub(super) fn keys(root: &Table) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    keys_of(root, "", &mut found);
    let mut secrets = String::new();
    note_secrets(root, "", &mut secrets);
    if !secrets.is_empty() {
        found.insert(SECRETS.to_owned(), Sha256::of(secrets.as_bytes()).to_string());
    }
    found
}

fn keys_of(table: &Table, path: &str, found: &mut BTreeMap<String, String>) {
    for (key, item) in &table.entries {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let mut text = String::new();
        let mut writer = Writer { text: &mut text, masked: true };
        let label = match item {
            Item::Table(inner) => {
                keys_of(inner, &below, found);
                continue;
            }
            Item::Tables(tables) => {
                writer.tables(tables);
                format!("[[{below}]]")
            }
            Item::Value(value) => {
                writer.value(value);
                if path.is_empty() { key.clone() } else { format!("[{path}] {key}") }
            }
        };
        found.insert(label, Sha256::of(text.as_bytes()).short());
    }
}

/// Writes every secret below `table` with its place, in an order that does not depend on how the file is written.
fn note_secrets(table: &Table, path: &str, text: &mut String) {
    for (key, item) in sorted(&table.entries) {
        let below = format!("{path}.{key:?}");
        match item {
            Item::Table(inner) => note_secrets(inner, &below, text),
            Item::Tables(tables) => {
                for (number, inner) in tables.iter().enumerate() {
                    note_secrets(inner, &format!("{below}[{number}]"), text);
                }
            }
            Item::Value(value) => note_secret(value, &below, text),
        }
    }
}

fn note_secret(value: &Value, path: &str, text: &mut String) {
    match value {
        Value::Secret(secret) => {
            text.push_str(path);
            quoted(secret.expose(), text);
        }
        Value::List(values) => {
            for (number, value) in values.iter().enumerate() {
                note_secret(value, &format!("{path}[{number}]"), text);
            }
        }
        Value::Map(entries) => {
            sorted(entries).into_iter().for_each(|(key, value)| {
                note_secret(value, &format!("{path}.{key:?}"), text);
            });
        }
        Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => {}
    }
}

fn sorted<T>(entries: &[(String, T)]) -> Vec<&(String, T)> {
    let mut entries: Vec<&(String, T)> = entries.iter().collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    entries
}

/// Writes values in one form, whatever form they have in a file.
struct Writer<'a> {
    text: &'a mut String,
    /// Whether secrets are left out.
    masked: bool,
}

impl Writer<'_> {
    fn table(&mut self, table: &Table) {
        self.text.push('{');
        for (key, item) in sorted(&table.entries) {
            quoted(key, self.text);
            self.text.push(':');
            match item {
                Item::Value(value) => self.value(value),
                Item::Table(table) => self.table(table),
                Item::Tables(tables) => self.tables(tables),
            }
            self.text.push(',');
        }
        self.text.push('}');
    }

    fn tables(&mut self, tables: &[Table]) {
        self.text.push('[');
        for table in tables {
            self.table(table);
            self.text.push(',');
        }
        self.text.push(']');
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(value) => quoted(value, self.text),
            Value::Secret(secret) => self.secret(secret),
            Value::Int(number) => self.text.push_str(&number.to_string()),
            Value::Float(number) => self.text.push_str(&format!("{number:?}")),
            Value::Bool(truth) => self.text.push_str(if *truth { "true" } else { "false" }),
            Value::List(values) => {
                self.text.push('[');
                for value in values {
                    self.value(value);
                    self.text.push(',');
                }
                self.text.push(']');
            }
            Value::Map(entries) => {
                self.text.push('{');
                for (key, value) in sorted(entries) {
                    quoted(key, self.text);
                    self.text.push(':');
                    self.value(value);
                    self.text.push(',');
                }
                self.text.push('}');
            }
        }
    }

    fn secret(&mut self, secret: &Secret) {
        if self.masked {
            self.text.push_str("secret");
        } else {
            quoted(secret.expose(), self.text);
        }
    }
}

fn quoted(word: &str, text: &mut String) {
    text.push_str(&format!("{word:?}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut root = Table::about("written by a test");
        root.put("server", Table::about("who").set("hostname", "a").set("offset", 3_u16));
        root.put("super_admin", Table::default().set("password", &Secret::new("s3cret")));
        root.put("apim.event_hub", Table::default().set("urls", vec!["tcp://a:1".to_owned()]));
        root.push("apim.event_hub.publish.url_group", Table::about("one").set("type", "x"));
        root
    }

    /// The same in another order, without a word about it.
    fn rewritten() -> Table {
        let mut other = Table::default();
        other.put("super_admin", Table::default().set("password", &Secret::new("s3cret")));
        other.push("apim.event_hub.publish.url_group", Table::default().set("type", "x"));
        other.put("apim.event_hub", Table::default().set("urls", vec!["tcp://a:1".to_owned()]));
        other.put("server", Table::default().set("offset", 3_u16).set("hostname", "a"));
        other
    }

    fn changed(other: &Table) -> Vec<String> {
        let (was, is) = (keys(&example()), keys(other));
        is.into_iter().filter(|(key, digest)| was.get(key) != Some(digest)).map(|(key, _)| key).collect()
    }

    #[test]
    fn comments_and_order_do_not_matter_and_values_do() {
        assert_eq!(digest(&example()), digest(&rewritten()));
        assert_eq!(keys(&example()), keys(&rewritten()));
        let mut other = rewritten();
        other.put("server", Table::default().set("offset", 4_u16));
        assert_ne!(digest(&example()), digest(&other));
        assert_eq!(changed(&other), ["[server] offset"]);
        other.push("apim.event_hub.publish.url_group", Table::default().set("type", "y"));
        assert_eq!(changed(&other), ["[[apim.event_hub.publish.url_group]]", "[server] offset"]);
    }

    #[test]
    fn that_a_secret_changed_is_told_and_no_digest_is_of_it_alone() {
        let mut other = rewritten();
        other.put("super_admin", Table::default().set("password", &Secret::new("another")));
        assert_eq!(changed(&other), [SECRETS]);
        let alone = |secret: &str| {
            let digest = Sha256::of(secret.as_bytes());
            [digest.to_string(), digest.short()]
        };
        let quoted = format!("{:?}", "s3cret");
        for digest in keys(&example()).values() {
            assert!(!alone("s3cret").contains(digest) && !alone(&quoted).contains(digest));
        }
    }
}
