//! Outline of a schema, from a script or from a database: tables and their columns.

use std::collections::{BTreeMap, BTreeSet};

use super::split::Statement;

/// Tables and their columns in lower case, because servers differ in case sensitivity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outline(pub(super) BTreeMap<String, BTreeSet<String>>);

/// First words of parts of a table definition that are not columns.
const NO_COLUMNS: &[&str] = &[
    "primary",
    "unique",
    "key",
    "index",
    "constraint",
    "foreign",
    "fulltext",
    "spatial",
    "check",
    "exclude",
    "like",
];

impl Outline {
    /// Returns the tables that exist after `statements`, with all their columns.
    pub(super) fn of_script(statements: &[Statement]) -> Self {
        let mut outline = Self::default();
        for statement in statements {
            let words = statement.words(5);
            let words: Vec<&str> = words.split(' ').collect();
            match words.as_slice() {
                ["CREATE", "TABLE", "IF", "NOT", "EXISTS"] => outline.create(&statement.text, "EXISTS"),
                ["CREATE", "TABLE", ..] => outline.create(&statement.text, "TABLE"),
                ["DROP", "TABLE", "IF", "EXISTS", name] | ["DROP", "TABLE", name, ..] => {
                    outline.0.remove(&plain(name));
                }
                ["ALTER", "TABLE", name, "ADD", ..] => outline.alter(&plain(name), &statement.text),
                ["ALTER", "TABLE", name, "DROP", "COLUMN"] => {
                    let dropped = statement.words(6).split(' ').next_back().map(plain);
                    if let Some((columns, dropped)) = outline.0.get_mut(&plain(name)).zip(dropped) {
                        columns.remove(&dropped);
                    }
                }
                _ => {}
            }
        }
        outline
    }

    /// Adds a column from a server's catalog.
    pub(super) fn add(&mut self, table: &str, column: &str) {
        self.0.entry(plain(table)).or_default().insert(plain(column));
    }

    /// Returns the number of tables.
    pub(super) fn tables(&self) -> usize {
        self.0.len()
    }

    /// Returns what is in `self` but not in `other`: tables, and columns (`table.column`) of common
    /// tables.
    pub(super) fn beyond(&self, other: &Self) -> Vec<String> {
        let mut lacking = Vec::new();
        for (table, columns) in &self.0 {
            match other.0.get(table) {
                None => lacking.push(table.clone()),
                Some(known) => {
                    lacking.extend(columns.difference(known).map(|column| format!("{table}.{column}")))
                }
            }
        }
        lacking
    }

    fn create(&mut self, text: &str, before: &str) {
        let Some(at) = find_word(text, before) else { return };
        let rest = text.get(at + before.len()..).unwrap_or_default();
        let Some((name, body)) = rest.split_once('(') else { return };
        let columns = parts(body).into_iter().filter_map(|part| column(&part)).collect();
        self.0.insert(plain(name.rsplit('.').next().unwrap_or(name)), columns);
    }

    fn alter(&mut self, table: &str, text: &str) {
        let Some(columns) = self.0.get_mut(table) else { return };
        let Some(at) = find_word(text, "ADD") else { return };
        let rest = text.get(at + 3..).unwrap_or_default().trim_start();
        let rest = match rest.get(..7) {
            Some(word) if word.eq_ignore_ascii_case("column ") => rest.get(7..).unwrap_or_default(),
            _ => rest,
        };
        columns.extend(column(rest));
    }
}

/// Returns the position of `word` as a whole word in `text`, ignoring case.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let upper = text.to_ascii_uppercase();
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    upper.match_indices(word).map(|(at, _)| at).find(|at| {
        let (before, after) = upper.split_at_checked(*at).unwrap_or(("", ""));
        is_edge(before.chars().next_back()) && is_edge(after.chars().nth(word.chars().count()))
    })
}

/// Splits the content of an open parenthesis at its commas, up to the closing parenthesis.
fn parts(body: &str) -> Vec<String> {
    let (mut found, mut part, mut depth, mut quote) = (Vec::new(), String::new(), 0_usize, None);
    let mut lines =
        body.lines().map(|line| line.split("--").next().unwrap_or(line)).collect::<Vec<_>>().join("\n");
    lines.push(')');
    for c in lines.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => break,
            (None, ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                found.push(std::mem::take(&mut part));
                continue;
            }
            (None, _) => {}
        }
        part.push(c);
    }
    found.push(part);
    found
}

fn column(part: &str) -> Option<String> {
    let name = part.split_whitespace().next()?;
    let name = plain(name.split('(').next().unwrap_or(name));
    let fits = |c: char| c.is_alphanumeric() || "_$#".contains(c);
    // Anything else (such as a comment) is ignored.
    (!name.is_empty() && name.chars().all(fits) && !NO_COLUMNS.contains(&name.as_str())).then_some(name)
}

fn plain(name: &str) -> String {
    name.trim().trim_matches(['`', '"', ';']).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::split::{Dialect, split};
    use super::*;

    fn outline(script: &str) -> Outline {
        Outline::of_script(&split(script, Dialect::Mysql).unwrap())
    }

    fn shown(outline: &Outline) -> Vec<String> {
        let one = |(table, columns): (&String, &BTreeSet<String>)| {
            format!("{table}: {}", columns.iter().cloned().collect::<Vec<_>>().join(" "))
        };
        outline.0.iter().map(one).collect()
    }

    #[test]
    fn tables_and_columns_are_read_from_a_script() {
        let found = outline(
            "CREATE TABLE IF NOT EXISTS AM_API (\n API_ID INTEGER AUTO_INCREMENT, -- the id, or so\n `NAME` VARCHAR(200) DEFAULT ',)',\n\
             PRICE DECIMAL(5, 2),\n PRIMARY KEY (API_ID),\n UNIQUE(NAME, PRICE),CONSTRAINT x FOREIGN KEY (A) REFERENCES B(C)\n) ENGINE INNODB;\n\
             create table REG_LOG(REG_PATH VARCHAR (750),REG_ID INT);\n\
             CREATE INDEX IDX ON AM_API (NAME);\nCREATE TABLE GONE (A INT);\nDROP TABLE IF EXISTS GONE;\n\
             ALTER TABLE AM_API ADD COLUMN LATE INT;\nALTER TABLE AM_API ADD LATER INT;\nALTER TABLE AM_API ADD CONSTRAINT y UNIQUE (LATE);",
        );
        assert_eq!(shown(&found), ["am_api: api_id late later name price", "reg_log: reg_id reg_path"]);
    }

    #[test]
    fn missing_tables_and_columns_are_listed() {
        let wanted = outline("CREATE TABLE A (X INT, Y INT); CREATE TABLE B (X INT);");
        let mut found = Outline::default();
        found.add("A", "X");
        found.add("USERS", "ID");
        assert_eq!(wanted.beyond(&found), ["a.y", "b"]);
        assert_eq!(found.beyond(&wanted), ["users"]);
        assert_eq!(wanted.beyond(&wanted), Vec::<String>::new());
    }
}
