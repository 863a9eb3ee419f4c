//! Takes secrets out of a configuration that is to hold none: variables for `$env{…}`, or aliases for the product's cipher tool.

use std::collections::BTreeMap;

use apim_protocol::value::Secret;

use super::tree::{Item, Table, Value};
use crate::apim::release::Series;
use crate::apim::settings::secrets::SecretsMode;

/// The longest text that the cipher tool can encrypt with a key of 2048 bits (RSA with OAEP and SHA-1).
const LONGEST_SEALED: usize = 214;

/// What was taken out.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Extracted {
    /// Variables of the service by name.
    pub variables: BTreeMap<String, Secret>,
    /// Keys whose secret cannot be had in this form, and why.
    pub unfit: Vec<(String, &'static str)>,
}

/// Replaces what is secret in `root` by what the product resolves when it starts.
pub(super) fn take_out(root: &mut Table, mode: SecretsMode, series: Series) -> Extracted {
    let mut taken = Taken { mode, series, extracted: Extracted::default(), aliases: Vec::new() };
    match mode {
        SecretsMode::Plain => {}
        SecretsMode::Environment => taken.table(root, "", false),
        SecretsMode::Cipher => {
            taken.table(root, "", false);
            if !taken.aliases.is_empty() {
                // Last in the file, and nothing but aliases: the tool takes every line behind the header for one.
                let set = |table: Table, (alias, value): &(String, Secret)| table.set(alias, value);
                root.insert("secrets", Item::Table(taken.aliases.iter().fold(Table::default(), set)));
            }
        }
    }
    taken.extracted
}

struct Taken {
    mode: SecretsMode,
    series: Series,
    extracted: Extracted,
    aliases: Vec<(String, Secret)>,
}

impl Taken {
    fn table(&mut self, table: &mut Table, path: &str, in_array: bool) {
        for (key, item) in &mut table.entries {
            let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match item {
                Item::Value(Value::Secret(secret)) if !secret.expose().is_empty() => {
                    if let Some(reference) = self.reference(&here, secret, in_array) {
                        *item = Item::Value(Value::Text(reference));
                    }
                }
                Item::Value(_) => {}
                Item::Table(table) => self.table(table, &here, in_array),
                Item::Tables(tables) => {
                    for (at, table) in tables.iter_mut().enumerate() {
                        self.table(table, &format!("{here}[{at}]"), true);
                    }
                }
            }
        }
    }

    fn reference(&mut self, path: &str, secret: &Secret, in_array: bool) -> Option<String> {
        match self.mode {
            SecretsMode::Plain => None,
            SecretsMode::Environment => {
                let text = secret.expose();
                if self.series < Series::V4_7 && text.contains(['$', '\\']) {
                    // Fixed in the mapper of 4.7 (wso2/config-mapper 1.0.26).
                    let why = "holds `$` or `\\`, which versions before 4.7 cannot take from a variable";
                    self.extracted.unfit.push((path.to_owned(), why));
                }
                if text.contains(['\n', '\r', '\0']) {
                    self.extracted.unfit.push((path.to_owned(), "holds a line break"));
                }
                let name = self.variable(path);
                let reference = format!("$env{{{name}}}");
                self.extracted.variables.insert(name, secret.clone());
                Some(reference)
            }
            SecretsMode::Cipher if in_array || stays_plain(path) => None,
            SecretsMode::Cipher => {
                let text = unwrapped(secret.expose());
                if text.contains(['"', '\\', '\n', '\r']) {
                    let why = "holds a quote, a backslash or a line break, which the cipher tool writes back wrongly";
                    self.extracted.unfit.push((path.to_owned(), why));
                } else if text.len() > LONGEST_SEALED {
                    self.extracted
                        .unfit
                        .push((path.to_owned(), "is longer than the cipher tool can encrypt"));
                }
                let mut alias = word(path, false);
                while self.aliases.iter().any(|(known, _)| *known == alias) {
                    alias.push('_');
                }
                let reference = format!("$secret{{{alias}}}");
                self.aliases.push((alias, Secret::new(format!("[{text}]"))));
                Some(reference)
            }
        }
    }

    fn variable(&self, path: &str) -> String {
        let mut name = format!("APIM_{}", word(path, true));
        while self.extracted.variables.contains_key(&name) {
            name.push('_');
        }
        name
    }
}

/// The key that opens the others cannot lie among them: its password is given to the server in a file of its own. Passwords of keystores are read by parts of the
/// product that know no aliases (wso2/product-apim issue 11017), and the start script of 4.7 reads `encryption.key` itself.
fn stays_plain(path: &str) -> bool {
    ["keystore.", "truststore.", "encryption."].iter().any(|table| path.starts_with(table))
}

/// The tool's values never pass through XML.
fn unwrapped(text: &str) -> &str {
    text.strip_prefix("<![CDATA[").and_then(|text| text.strip_suffix("]]>")).unwrap_or(text)
}

fn word(path: &str, upper: bool) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let text: String = path.chars().map(plain).collect();
    let text = text.replace("__", "_").trim_matches('_').to_owned();
    if upper { text.to_ascii_uppercase() } else { text.to_ascii_lowercase() }
}
