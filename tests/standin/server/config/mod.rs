//! `deployment.toml`, read like the config mapper of the product: unknown keys are ignored, references are
//! resolved, missing keys have defaults.
//!
//! Source: wso2/config-mapper. `$ref{}` inside arrays of tables is not resolved; `$secret{}` is resolved when
//! it is used.

mod defaults;
mod resolve;
mod value;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(crate) use value::{Table, Value};

/// An unusable configuration: the process prints these lines and ends.
#[derive(Debug)]
pub(crate) struct Unusable(pub(crate) Vec<String>);

/// The resolved configuration.
#[derive(Debug, Default)]
pub(crate) struct Config {
    values: Table,
    secrets: BTreeMap<String, String>,
    /// The file does not exist.
    pub(crate) is_missing: bool,
}

impl Config {
    /// Reads the file in a home folder.
    pub(crate) fn load(home: &Path, properties: &BTreeMap<String, String>) -> Result<Config, Unusable> {
        let path = home.join("repository/conf/deployment.toml");
        let (text, is_missing) = match fs::read_to_string(&path) {
            Ok(text) => (text, false),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (String::new(), true),
            Err(error) => return Err(Unusable(vec![format!("{}: {error}", path.display())])),
        };
        let parsed: toml_edit::DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            let mut lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
            lines.push("Error parsing deployment configuration".to_owned());
            Unusable(lines)
        })?;
        let values = resolve::resolve(value::table(parsed.as_table()), properties)
            .map_err(|text| Unusable(vec![text]))?;
        let config = Config { values, secrets: BTreeMap::new(), is_missing };
        config.validate()?;
        Ok(config)
    }

    /// The configuration of a document, without resolving references.
    pub(crate) fn of_document(document: &toml_edit::DocumentMut) -> Config {
        Config { values: value::table(document.as_table()), ..Config::default() }
    }

    fn validate(&self) -> Result<(), Unusable> {
        const STORES: [&str; 4] = ["database", "read_only_ldap", "read_write_ldap", "active_directory"];
        if let Some(kind) = self.text("user_store.type")
            && !STORES.contains(&kind.trim_end_matches("_unique_id"))
        {
            let text = format!(
                "Validation failed for user_store.type. Expected value to match {}",
                STORES.join("|")
            );
            return Err(Unusable(vec![text]));
        }
        for id in ["apim_db", "shared_db"] {
            let key = |name: &str| format!("database.{id}.{name}");
            let kind = self.text(&key("type")).unwrap_or_default();
            let inferred = ["mysql", "mariadb", "postgre", "mssql", "oracle", "db2"].contains(&kind.as_str());
            if inferred && self.text(&key("url")).is_none() {
                for part in ["hostname", "port", "name"] {
                    if self.text(&key(part)).is_none() {
                        return Err(Unusable(vec![format!(
                            "Configuration with key {} doesn't exist",
                            key(part)
                        )]));
                    }
                }
            }
        }
        Ok(())
    }

    /// The decrypted values of `[secrets]`, by alias.
    pub(crate) fn set_secrets(&mut self, secrets: BTreeMap<String, String>) {
        self.secrets = secrets;
    }

    /// The values of `[secrets]` as they are in the file.
    pub(crate) fn encrypted(&self) -> BTreeMap<String, String> {
        match self.values.get("secrets") {
            Some(Value::Table(table)) => table
                .iter()
                .filter_map(|(alias, value)| Some((alias.clone(), value.text()?.to_owned())))
                .collect(),
            _ => BTreeMap::new(),
        }
    }

    /// The value at a dotted path, or its default, with unresolved secrets.
    pub(crate) fn raw(&self, path: &str) -> Option<String> {
        value::find(&self.values, path).and_then(Value::text).map(str::to_owned).or_else(|| {
            let default = defaults::of(path)?;
            match default.strip_prefix("$ref{").and_then(|rest| rest.strip_suffix('}')) {
                Some(other) => self.raw(other),
                None => Some(default.to_owned()),
            }
        })
    }

    /// The value at a dotted path, or its default.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.raw(path).map(|text| self.reveal(&text))
    }

    fn reveal(&self, text: &str) -> String {
        self.secrets
            .iter()
            .fold(text.to_owned(), |text, (alias, plain)| text.replace(&format!("$secret{{{alias}}}"), plain))
    }

    /// Whether the value at a path is `true`; `default` if it is missing.
    pub(crate) fn flag(&self, path: &str, default: bool) -> bool {
        self.text(path).map_or(default, |text| text == "true")
    }

    /// The whole number at a path.
    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    /// The texts of a list (a single text is a list of one).
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        value::find(&self.values, path).map(|value| value.texts()).unwrap_or_default()
    }

    /// The tables of an array of tables.
    pub(crate) fn tables(&self, path: &str) -> Vec<&Table> {
        match value::find(&self.values, path) {
            Some(Value::List(items)) => items
                .iter()
                .filter_map(|item| match item {
                    Value::Table(table) => Some(table),
                    Value::Text(_) | Value::List(_) => None,
                })
                .collect(),
            Some(Value::Table(table)) => vec![table],
            _ => Vec::new(),
        }
    }
}
