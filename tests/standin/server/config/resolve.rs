//! The placeholders of the config mapper: `$ref{key}`, `$env{NAME}`, `$sys{property}`, and the check of
//! `$secret{alias}`.

use std::collections::BTreeMap;

use super::defaults;
use super::value::{Table, Value, find};

/// The maximum depth of references to references.
const DEPTH: usize = 12;

struct Resolver<'a> {
    source: &'a Table,
    properties: &'a BTreeMap<String, String>,
}

/// Resolves every text of a configuration. Errors have the text of the product.
pub(super) fn resolve(source: Table, properties: &BTreeMap<String, String>) -> Result<Table, String> {
    let resolver = Resolver { source: &source, properties };
    resolver.table(&source, true)
}

impl Resolver<'_> {
    fn table(&self, table: &Table, refs: bool) -> Result<Table, String> {
        table.iter().map(|(key, value)| Ok((key.clone(), self.value(value, refs)?))).collect()
    }

    fn value(&self, value: &Value, refs: bool) -> Result<Value, String> {
        Ok(match value {
            Value::Text(text) => Value::Text(self.text(text, refs, 0)?),
            Value::Table(table) => Value::Table(self.table(table, refs)?),
            Value::List(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.value(item, refs && item.text().is_some()))
                    .collect::<Result<_, String>>()?,
            ),
        })
    }

    fn text(&self, text: &str, refs: bool, depth: usize) -> Result<String, String> {
        let text = replaced(text, "$env{", |name| {
            std::env::var(name).map_err(|_| format!("Environment variable {name} not defined in system"))
        })?;
        let text = replaced(&text, "$sys{", |name| {
            self.properties
                .get(name)
                .cloned()
                .ok_or_else(|| format!("Error while retrieving {name} system property"))
        })?;
        replaced(&text, "$secret{", |alias| {
            let secret = find(self.source, "secrets").and_then(|value| match value {
                Value::Table(table) => table.get(alias).and_then(Value::text),
                Value::Text(_) | Value::List(_) => None,
            });
            match secret {
                None => Err(format!("Secret references can't be resolved for {alias}")),
                Some(value) if value.starts_with('[') => {
                    Err(format!("Secret references can't be plain text for {alias}"))
                }
                Some(_) => Ok(format!("$secret{{{alias}}}")),
            }
        })?;
        if !refs {
            return Ok(text);
        }
        replaced(&text, "$ref{", |key| {
            if depth > DEPTH {
                return Err(format!("References can't be resolved for {key}"));
            }
            let target = find(self.source, key).and_then(Value::text).or_else(|| defaults::of(key));
            let target = target.ok_or_else(|| format!("Configuration with key {key} doesn't exist"))?;
            self.text(target, true, depth + 1)
        })
    }
}

fn replaced(text: &str, open: &str, with: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(open) {
        let inner = &rest[at + open.len()..];
        let Some(end) = inner.find('}') else { break };
        out.push_str(&rest[..at]);
        out.push_str(&with(&inner[..end])?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(toml: &str) -> Result<Table, String> {
        let document: toml_edit::DocumentMut = toml.parse().expect("valid TOML");
        resolve(super::super::value::table(document.as_table()), &BTreeMap::new())
    }

    #[test]
    fn references_are_resolved_except_in_arrays_of_tables() {
        let table = resolved(
            "[super_admin]\npassword = \"p\"\n[a]\nb = \"x$ref{apim.event_hub.password}\"\n[[c]]\nd = \"$ref{super_admin.password}\"\n",
        )
        .expect("it resolves");
        assert_eq!(find(&table, "a.b").and_then(Value::text), Some("xp"));
        let Some(Value::List(items)) = find(&table, "c") else { panic!("c is a list") };
        assert!(format!("{items:?}").contains("$ref{super_admin.password}"));
    }

    #[test]
    fn broken_references_have_error_text_of_product() {
        assert_eq!(
            resolved("a = \"$ref{no.such}\""),
            Err("Configuration with key no.such doesn't exist".to_owned())
        );
        assert_eq!(resolved("a = \"$ref{a}\""), Err("References can't be resolved for a".to_owned()));
        assert_eq!(
            resolved("a = \"$secret{s}\""),
            Err("Secret references can't be resolved for s".to_owned())
        );
        let plain = resolved("a = \"$secret{s}\"\n[secrets]\ns = \"[plain]\"");
        assert_eq!(plain, Err("Secret references can't be plain text for s".to_owned()));
    }
}
