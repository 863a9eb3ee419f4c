//! How the schema of one release differs from that of another: their distributions' own scripts, compared on this machine.

use std::path::Path;

use apim_protocol::outcome::Failure;

use super::outline::Outline;
use super::script;
use super::session::dialect;
use super::split::split;
use crate::apim::settings::databases::DatabaseType;

/// The product's databases, and where their scripts lie.
const SCRIPTS: [(&str, &str); 2] = [("shared_db", "dbscripts/"), ("apim_db", "dbscripts/apimgt/")];

/// How the script of one database differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// Which of the product's databases: `shared_db` or `apim_db`.
    pub database: &'static str,
    /// The script, below the top folder of a distribution.
    pub script: String,
    /// Tables and columns (`table.column`) that only the newer one makes.
    pub added: Vec<String>,
    /// Those that only the older one makes.
    pub removed: Vec<String>,
}

/// Compares the scripts that two distributions have for servers of a kind; nothing for databases whose scripts are the same.
/// For kinds whose scripts we do not read, it is only known that they differ.
///
/// # Errors
/// When a script cannot be had or read.
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
    fn tables_and_columns_that_come_and_go_are_named() {
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
        assert!(schema_changes(&old, &new, DatabaseType::Db2).is_err(), "there is no such script");
    }
}
