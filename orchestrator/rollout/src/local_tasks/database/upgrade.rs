//! Schema differences between two releases: compares the scripts of their distributions on this
//! machine.

use std::path::Path;

use apim_protocol::outcome::Failure;

use super::outline::Outline;
use super::script;
use super::session::dialect;
use super::split::split;
use apim_product::settings::databases::DatabaseType;

/// The product's databases, and the folders of their scripts.
const SCRIPTS: [(&str, &str); 2] = [("shared_db", "dbscripts/"), ("apim_db", "dbscripts/apimgt/")];

/// Difference between the scripts of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// The product's database: `shared_db` or `apim_db`.
    pub database: &'static str,
    /// Path of the script below the distribution's top folder.
    pub script: String,
    /// Tables and columns (`table.column`) that only the newer script creates.
    pub added: Vec<String>,
    /// Tables and columns (`table.column`) that only the older script creates.
    pub removed: Vec<String>,
}

/// Compares the scripts of two distributions for a database type. Returns nothing for identical
/// scripts. For types whose scripts are not parsed, `added` and `removed` are empty.
///
/// # Errors
/// When a script is missing or cannot be parsed.
pub fn schema_changes(old: &Path, new: &Path, kind: DatabaseType) -> Result<Vec<SchemaChange>, Failure> {
    let mut changes = Vec::new();
    for (database, folder) in SCRIPTS {
        let name = format!("{folder}{}.sql", kind.script());
        let (was, is) = (script::bytes(old, &name)?, script::bytes(new, &name)?);
        if was == is {
            continue;
        }
        let (added, removed) = if kind.is_spoken() {
            let outline = |bytes: &[u8], zip: &Path| -> Result<Outline, Failure> {
                let statements = split(&String::from_utf8_lossy(bytes), dialect(kind)).map_err(|error| {
                    Failure::from_error(format!("cannot read `{name}` in `{}`", zip.display()), &error)
                })?;
                Ok(Outline::of_script(&statements))
            };
            let (was, is) = (outline(&was, old)?, outline(&is, new)?);
            (is.beyond(&was), was.beyond(&is))
        } else {
            (Vec::new(), Vec::new())
        };
        changes.push(SchemaChange { database, script: name, added, removed });
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn zip(folder: &Path, version: &str, apim: &str) -> std::path::PathBuf {
        let path = folder.join(format!("{version}.zip"));
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for kind in ["mysql", "oracle"] {
            for (name, text) in [
                (format!("top-{version}/dbscripts/{kind}.sql"), "CREATE TABLE REG (ID INT);"),
                (format!("top-{version}/dbscripts/apimgt/{kind}.sql"), apim),
            ] {
                zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
                zip.write_all(text.as_bytes()).unwrap();
            }
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn added_and_removed_tables_and_columns_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let old = zip(folder.path(), "4.5.0", "CREATE TABLE A (X INT, Y INT);CREATE TABLE GONE (X INT);");
        let new = zip(folder.path(), "4.6.0", "CREATE TABLE A (X INT, Z INT);CREATE TABLE NEW (X INT);");
        let found = schema_changes(&old, &new, DatabaseType::Mysql).unwrap();
        let [change] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((change.database, change.script.as_str()), ("apim_db", "dbscripts/apimgt/mysql.sql"));
        assert_eq!(change.added, ["a.z", "new"]);
        assert_eq!(change.removed, ["a.y", "gone"]);
        assert_eq!(schema_changes(&old, &old, DatabaseType::Mysql).unwrap(), []);
        let [unread] = schema_changes(&old, &new, DatabaseType::Oracle).unwrap().try_into().unwrap();
        assert!(unread.added.is_empty() && unread.removed.is_empty());
        assert!(schema_changes(&old, &new, DatabaseType::Db2).is_err(), "the script does not exist");
    }
}
