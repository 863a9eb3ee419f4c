//! JDBC URLs of all database types, escaped for XML: the product writes them unchanged into XML
//! files.

use std::collections::BTreeMap;

use super::kind::DatabaseType;
use super::{Database, Databases};

impl Databases {
    /// Returns the XML-escaped JDBC URL of `database` if the configuration needs one: the user's
    /// URL, one with options, or one for an Oracle service. `None`: the product builds it from
    /// host, port and name.
    #[must_use]
    pub fn url(&self, database: &Database) -> Option<String> {
        if let Some(url) = &database.url {
            return Some(in_xml(url));
        }
        let is_service = self.kind == DatabaseType::Oracle && self.oracle_service;
        if self.options.is_empty() && !is_service {
            return None;
        }
        Some(in_xml(&plain(self, database)))
    }

    /// Returns the unescaped JDBC URL of `database`, as a driver reads it.
    #[must_use]
    pub fn plain_url(&self, database: &Database) -> String {
        database.url.clone().unwrap_or_else(|| plain(self, database))
    }
}

fn plain(databases: &Databases, database: &Database) -> String {
    let Databases { host, port, options, kind, oracle_service, .. } = databases;
    let name = &database.name;
    let query = || match pairs(options, "&") {
        pairs if pairs.is_empty() => pairs,
        pairs => format!("?{pairs}"),
    };
    match kind {
        DatabaseType::Mysql => format!("jdbc:mysql://{host}:{port}/{name}{}", query()),
        DatabaseType::Mariadb => format!("jdbc:mariadb://{host}:{port}/{name}{}", query()),
        DatabaseType::Postgresql => format!("jdbc:postgresql://{host}:{port}/{name}{}", query()),
        DatabaseType::Mssql => {
            // The product's own URL contains it, so a generated one must too (documentation,
            // "changing to MSSQL").
            let mut options = options.clone();
            options.entry("SendStringParametersAsUnicode".to_owned()).or_insert_with(|| "false".to_owned());
            format!("jdbc:sqlserver://{host}:{port};databaseName={name};{}", pairs(&options, ";"))
        }
        DatabaseType::Oracle if *oracle_service => {
            format!("jdbc:oracle:thin:@//{host}:{port}/{name}{}", query())
        }
        DatabaseType::Oracle => format!("jdbc:oracle:thin:@{host}:{port}:{name}"),
        DatabaseType::Db2 if options.is_empty() => format!("jdbc:db2://{host}:{port}/{name}"),
        DatabaseType::Db2 => format!("jdbc:db2://{host}:{port}/{name}:{};", pairs(options, ";")),
    }
}

fn pairs(options: &BTreeMap<String, String>, join: &str) -> String {
    options.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(join)
}

/// Escapes `text` for XML; existing entities are kept.
fn in_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        match c {
            '&' if !is_entity(text.get(at..).unwrap_or_default()) => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn is_entity(text: &str) -> bool {
    ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#"].iter().any(|entity| text.starts_with(entity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_entities_are_not_escaped_twice() {
        assert_eq!(in_xml("a?b=1&c=2"), "a?b=1&amp;c=2");
        assert_eq!(in_xml("a?b=1&amp;c=2&d=<3>"), "a?b=1&amp;c=2&amp;d=&lt;3&gt;");
        assert_eq!(in_xml("x=&#38;&y"), "x=&#38;&amp;y");
    }
}
