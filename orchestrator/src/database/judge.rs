//! What is to be done with a database, given what was found in it. Pure.

use apim_protocol::outcome::Failure;

use super::outline::Outline;

/// Our own table in every database that we loaded.
pub(super) const BOOK: &str = "apim_deploy_schema";

/// What our table says of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Which of the product's databases it is.
    pub(super) key: String,
    /// Of which version.
    pub(super) version: String,
    /// The digest of the script.
    pub(super) script: String,
    /// How many statements it has.
    pub(super) statements: usize,
    /// How many of them were run for sure.
    pub(super) done: usize,
    /// Whether all is there.
    pub(super) is_loaded: bool,
}

/// What is to be in a database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) key: &'a str,
    pub(super) version: &'a str,
    pub(super) database: &'a str,
    /// The server, for people.
    pub(super) server: &'a str,
    /// The script, where it is at hand: its digest, how many statements, what it makes.
    pub(super) script: Option<(&'a str, usize, &'a Outline)>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: the schema is there.
    Leave,
    /// All of it.
    Load,
    /// The rest, from this statement on.
    GoOn(usize),
    /// Nothing that would be right.
    Refuse(Box<Failure>),
}

/// Judges by our own table; `None` when it says nothing of this database.
pub(super) fn by_book(wanted: &Wanted<'_>, entries: &[Entry]) -> Option<Verdict> {
    let Wanted { key, version, database, server, .. } = *wanted;
    let Some(entry) = entries.iter().find(|entry| entry.key == key) else {
        let other = entries.first()?;
        let what = format!(
            "database `{database}` on {server} holds the schema of {} ({}), not that of {key}",
            other.key, other.version
        );
        return Some(refuse(what, "two databases are mixed up: correct their names under `apim.databases`"));
    };
    if series(&entry.version) != series(version) {
        let state = if entry.is_loaded { "" } else { ", half loaded" };
        let what = format!(
            "database `{database}` on {server} holds the schema of version {}{state}; this cluster is {version}",
            entry.version
        );
        let hint = format!(
            "name another database, or migrate this one as the product's documentation says and then `DROP TABLE {BOOK}` in it: \
             its tables show then what it is"
        );
        return Some(refuse(what, &hint));
    }
    if entry.is_loaded {
        return Some(Verdict::Leave);
    }
    match wanted.script {
        Some((digest, statements, _)) if digest != entry.script || statements != entry.statements => {
            let what = format!(
                "loading the schema into database `{database}` on {server} was broken off after {} of {} statements, and the script \
                 is another one now",
                entry.done, entry.statements
            );
            Some(refuse(
                what,
                "drop the database and make it anew, or run once more with the zip that the load was begun with",
            ))
        }
        _ => Some(Verdict::GoOn(entry.done)),
    }
}

/// Judges by what a database holds, where our own table says nothing.
pub(super) fn by_tables(wanted: &Wanted<'_>, found: &Outline) -> Verdict {
    let Wanted { version, database, server, key, .. } = *wanted;
    if found.tables() == 0 {
        return Verdict::Load;
    }
    let Some((_, _, outline)) = wanted.script else {
        // Only a run that changes nothing has no script at hand.
        return Verdict::Leave;
    };
    let lacking = outline.beyond(found);
    if lacking.is_empty() && outline.tables() > 0 {
        return Verdict::Leave;
    }
    let known = outline.0.keys().filter(|table| found.0.contains_key(*table)).count();
    if known == 0 {
        let names: Vec<String> = found.0.keys().cloned().collect();
        let what = format!(
            "database `{database}` on {server} holds {} that {} not the product's: {}",
            count(found.tables(), "table"),
            if found.tables() == 1 { "is" } else { "are" },
            some(&names)
        );
        return refuse(
            what,
            "nothing is loaded into a database of somebody else's: name an empty one, or empty this one yourself",
        );
    }
    let what = format!(
        "database `{database}` on {server} holds {known} of {} of the schema of {key} of {version}, and lacks {}: it is another \
         version's, or was loaded in part by somebody else",
        count(outline.tables(), "table"),
        some(&lacking)
    );
    refuse(what, "migrate it as the product's documentation says, or name an empty database")
}

fn refuse(what: String, hint: &str) -> Verdict {
    Verdict::Refuse(Box::new(Failure::new(what).hint(hint)))
}

fn series(version: &str) -> (&str, &str) {
    let mut parts = version.split('.');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Returns the first few names, and how many more there are.
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

    fn told(verdict: Option<Verdict>) -> String {
        match verdict {
            Some(Verdict::Refuse(failure)) => failure.what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn our_own_table_is_believed() {
        let outline = outline("CREATE TABLE A (X INT);");
        let wanted = wanted(&outline);
        assert_eq!(by_book(&wanted, &[]), None);
        assert_eq!(by_book(&wanted, &[entry()]), Some(Verdict::Leave));
        let updated = Entry { script: "d0".into(), version: "4.6.1".into(), ..entry() };
        assert_eq!(by_book(&wanted, &[updated]), Some(Verdict::Leave), "an update of the same version");
        let half = Entry { done: 4, is_loaded: false, ..entry() };
        assert_eq!(by_book(&wanted, std::slice::from_ref(&half)), Some(Verdict::GoOn(4)));
        let other_script = Entry { script: "d0".into(), ..half };
        assert!(told(by_book(&wanted, &[other_script])).contains("after 4 of 9 statements"));
        let older = Entry { version: "4.5.0".into(), ..entry() };
        assert!(
            told(by_book(&wanted, &[older]))
                .contains("holds the schema of version 4.5.0; this cluster is 4.6.0")
        );
        let swapped = Entry { key: "shared_db".into(), ..entry() };
        assert!(
            told(by_book(&wanted, &[swapped]))
                .contains("holds the schema of shared_db (4.6.0), not that of apim_db")
        );
    }

    #[test]
    fn without_it_the_tables_tell() {
        let ours = outline("CREATE TABLE AM_API (X INT, Y INT); CREATE TABLE AM_B (X INT);");
        let wanted = wanted(&ours);
        assert_eq!(by_tables(&wanted, &Outline::default()), Verdict::Load);
        let by_hand = outline(
            "CREATE TABLE am_api (x INT, y INT); CREATE TABLE am_b (x INT); CREATE TABLE MINE (a INT);",
        );
        assert_eq!(by_tables(&wanted, &by_hand), Verdict::Leave);
        let foreign = outline("CREATE TABLE users (x INT); CREATE TABLE orders (x INT);");
        assert!(
            told(Some(by_tables(&wanted, &foreign)))
                .contains("2 tables that are not the product's: orders, users")
        );
        let older = outline("CREATE TABLE AM_API (X INT);");
        let told = told(Some(by_tables(&wanted, &older)));
        assert!(told.contains("1 of 2 tables") && told.contains("lacks am_api.y, am_b"), "{told}");
    }
}
