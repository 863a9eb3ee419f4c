//! Decides the pending work for a database from its state. Pure functions.

use apim_protocol::outcome::Failure;

use super::outline::Outline;

/// The state table that apim-deploy creates in every database that it loads.
pub(super) const STATE_TABLE: &str = "apim_deploy_schema";

/// A row of the state table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The product's database: `shared_db` or `apim_db`.
    pub(super) key: String,
    /// Product version of the schema.
    pub(super) version: String,
    /// Digest of the script.
    pub(super) script: String,
    /// Number of statements of the script.
    pub(super) statements: usize,
    /// Number of statements that were certainly run.
    pub(super) done: usize,
    /// Whether the load is complete.
    pub(super) is_loaded: bool,
}

/// Desired state of a database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) key: &'a str,
    pub(super) version: &'a str,
    pub(super) database: &'a str,
    /// Display name of the server.
    pub(super) server: &'a str,
    /// The script, if available: digest, number of statements, tables that it creates.
    pub(super) script: Option<(&'a str, usize, &'a Outline)>,
}

/// The pending work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// None: the schema is complete.
    UpToDate,
    /// Load the whole script.
    Load,
    /// Resume the load at this statement.
    Resume(usize),
    /// Neither is possible: the database must not be changed.
    Refuse(Box<Failure>),
}

/// Decides from the state table; `None` if it has no entries.
pub(super) fn by_state_table(wanted: &Wanted<'_>, entries: &[Entry]) -> Option<Verdict> {
    let Wanted { key, version, database, server, .. } = *wanted;
    let Some(entry) = entries.iter().find(|entry| entry.key == key) else {
        let other = entries.first()?;
        let what = format!(
            "database `{database}` on {server} contains the schema of {} ({}), not that of {key}",
            other.key, other.version
        );
        return Some(refuse(what, "two databases are swapped: correct their names under `apim.databases`"));
    };
    if series(&entry.version) != series(version) {
        let state = if entry.is_loaded { "" } else { ", partially loaded" };
        let what = format!(
            "database `{database}` on {server} contains the schema of version {}{state}; this cluster uses {version}",
            entry.version
        );
        let hint = format!(
            "use another database, or migrate this one as described in the product's documentation and then run `DROP TABLE {STATE_TABLE}` in it: \
            the next run recognizes the schema by its tables"
        );
        return Some(refuse(what, &hint));
    }
    if entry.is_loaded {
        return Some(Verdict::UpToDate);
    }
    match wanted.script {
        Some((digest, statements, _)) if digest != entry.script || statements != entry.statements => {
            let what = format!(
                "loading the schema into database `{database}` on {server} was interrupted after {} of {} statements, and the script \
                has changed since",
                entry.done, entry.statements
            );
            Some(refuse(
                what,
                "drop and recreate the database, or re-run with the zip that the load was started with",
            ))
        }
        _ => Some(Verdict::Resume(entry.done)),
    }
}

/// Decides from the tables of a database without state table.
pub(super) fn by_tables(wanted: &Wanted<'_>, found: &Outline) -> Verdict {
    let Wanted { version, database, server, key, .. } = *wanted;
    if found.tables() == 0 {
        return Verdict::Load;
    }
    let Some((_, _, outline)) = wanted.script else {
        // Only a run in check mode has no script.
        return Verdict::UpToDate;
    };
    let lacking = outline.beyond(found);
    if lacking.is_empty() && outline.tables() > 0 {
        return Verdict::UpToDate;
    }
    let known = outline.0.keys().filter(|table| found.0.contains_key(*table)).count();
    if known == 0 {
        let names: Vec<String> = found.0.keys().cloned().collect();
        let what = format!(
            "database `{database}` on {server} contains {} that {} not part of the product: {}",
            count(found.tables(), "table"),
            if found.tables() == 1 { "is" } else { "are" },
            some(&names)
        );
        return refuse(
            what,
            "the schema is not loaded into a database with other tables: use an empty database, or empty this one",
        );
    }
    let what = format!(
        "database `{database}` on {server} contains {known} of {} of the schema of {key} of {version}, and lacks {}: it belongs to another \
        version, or was partially loaded by another tool",
        count(outline.tables(), "table"),
        some(&lacking)
    );
    refuse(what, "migrate it as described in the product's documentation, or use an empty database")
}

fn refuse(what: String, hint: &str) -> Verdict {
    Verdict::Refuse(Box::new(Failure::new(what).hint(hint)))
}

fn series(version: &str) -> (&str, &str) {
    let mut parts = version.split('.');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Returns the first few names and the number of omitted ones.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| name.chars().take(80).collect()).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::super::split::{Dialect, split};
    use super::*;

    fn outline(script: &str) -> Outline {
        Outline::of_script(&split(script, Dialect::Mysql).unwrap())
    }

    fn wanted(outline: &Outline) -> Wanted<'_> {
        Wanted {
            key: "apim_db",
            version: "4.6.0",
            database: "apim",
            server: "db:3306",
            script: Some(("d1", 9, outline)),
        }
    }

    fn entry() -> Entry {
        Entry {
            key: "apim_db".into(),
            version: "4.6.0".into(),
            script: "d1".into(),
            statements: 9,
            done: 9,
            is_loaded: true,
        }
    }

    fn refusal(verdict: Option<Verdict>) -> String {
        match verdict {
            Some(Verdict::Refuse(failure)) => failure.what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn state_table_takes_precedence() {
        let outline = outline("CREATE TABLE A (X INT);");
        let wanted = wanted(&outline);
        assert_eq!(by_state_table(&wanted, &[]), None);
        assert_eq!(by_state_table(&wanted, &[entry()]), Some(Verdict::UpToDate));
        let updated = Entry { script: "d0".into(), version: "4.6.1".into(), ..entry() };
        assert_eq!(
            by_state_table(&wanted, &[updated]),
            Some(Verdict::UpToDate),
            "an update of the same version"
        );
        let half = Entry { done: 4, is_loaded: false, ..entry() };
        assert_eq!(by_state_table(&wanted, std::slice::from_ref(&half)), Some(Verdict::Resume(4)));
        let other_script = Entry { script: "d0".into(), ..half };
        assert!(refusal(by_state_table(&wanted, &[other_script])).contains("after 4 of 9 statements"));
        let older = Entry { version: "4.5.0".into(), ..entry() };
        assert!(
            refusal(by_state_table(&wanted, &[older]))
                .contains("contains the schema of version 4.5.0; this cluster uses 4.6.0")
        );
        let swapped = Entry { key: "shared_db".into(), ..entry() };
        assert!(
            refusal(by_state_table(&wanted, &[swapped]))
                .contains("contains the schema of shared_db (4.6.0), not that of apim_db")
        );
    }

    #[test]
    fn tables_decide_without_state_table() {
        let ours = outline("CREATE TABLE AM_API (X INT, Y INT); CREATE TABLE AM_B (X INT);");
        let wanted = wanted(&ours);
        assert_eq!(by_tables(&wanted, &Outline::default()), Verdict::Load);
        let by_hand = outline(
            "CREATE TABLE am_api (x INT, y INT); CREATE TABLE am_b (x INT); CREATE TABLE MINE (a INT);",
        );
        assert_eq!(by_tables(&wanted, &by_hand), Verdict::UpToDate);
        let foreign = outline("CREATE TABLE users (x INT); CREATE TABLE orders (x INT);");
        assert!(
            refusal(Some(by_tables(&wanted, &foreign)))
                .contains("2 tables that are not part of the product: orders, users")
        );
        let older = outline("CREATE TABLE AM_API (X INT);");
        let what = refusal(Some(by_tables(&wanted, &older)));
        assert!(what.contains("1 of 2 tables") && what.contains("lacks am_api.y, am_b"), "{what}");
    }
}
