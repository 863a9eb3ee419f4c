//! Checks the configured databases, as far as the switch `database` says. H2 always works.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Config;
use crate::mysql;
use crate::network::{Endpoint, Network};
use crate::switches::{DatabaseCheck, Switches};

const ANSWER: Duration = Duration::from_secs(5);

/// An external database of a `[database.…]` section.
#[derive(Debug)]
pub(crate) struct Database {
    kind: String,
    driver: String,
    at: Endpoint,
    pub(crate) name: String,
    pub(crate) username: String,
    pub(crate) password: String,
    table: &'static str,
}

impl Database {
    /// Returns the database `id` (`shared_db`, `apim_db`), unless it is embedded or not configured.
    pub(crate) fn of(config: &Config, id: &str) -> Option<Database> {
        let get = |key: &str| config.text(&format!("database.{id}.{key}"));
        let kind = get("type")?;
        let (driver, prefix) = match kind.as_str() {
            "mysql" => ("com.mysql.jdbc.Driver", "mysql"),
            "mariadb" => ("org.mariadb.jdbc.Driver", "mariadb"),
            "postgre" => ("org.postgresql.Driver", "postgresql"),
            "mssql" => ("com.microsoft.sqlserver.jdbc.SQLServerDriver", "sqlserver"),
            "oracle" => ("oracle.jdbc.OracleDriver", "oracle"),
            _ => return None,
        };
        let (at, name) = match get("url") {
            Some(url) => {
                let rest = url.strip_prefix("jdbc:")?;
                let name = rest.splitn(4, '/').nth(3).unwrap_or_default();
                let name = name.split(['?', ';']).next().unwrap_or_default();
                (
                    Endpoint::parse(rest.strip_prefix(prefix).map(|rest| format!("db{rest}"))?.as_str())?,
                    name.to_owned(),
                )
            }
            None => (Endpoint { host: get("hostname")?, port: get("port")?.parse().ok()? }, get("name")?),
        };
        Some(Database {
            driver: get("driver").unwrap_or_else(|| driver.to_owned()),
            kind,
            at,
            name,
            username: get("username").unwrap_or_default(),
            password: get("password").unwrap_or_default(),
            table: if id == "shared_db" { "REG_CLUSTER_LOCK" } else { "AM_API" },
        })
    }

    /// Checks whether it is usable. Errors have the text of a JDBC driver.
    pub(crate) async fn check(
        &self,
        home: &Path,
        network: &Network,
        switches: &Switches,
    ) -> Result<(), String> {
        if switches.driver_check && !has_driver(home, &self.driver) {
            return Err(format!("java.lang.ClassNotFoundException: {}", self.driver));
        }
        if switches.database == DatabaseCheck::Off {
            return Ok(());
        }
        let failure = |cause: String| match self.kind.as_str() {
            "postgre" => format!(
                "org.postgresql.util.PSQLException: Connection to {} refused. Check that the hostname and port are correct ({cause})",
                self.at
            ),
            _ => format!(
                "com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure ({}: {cause})",
                self.at
            ),
        };
        let mut stream = network.connect(&self.at).await.map_err(|error| failure(error.to_string()))?;
        if switches.database == DatabaseCheck::Connect {
            return Ok(());
        }
        match self.kind.as_str() {
            "mysql" | "mariadb" => {
                let greeting = mysql::greeting(&mut stream).await.map_err(&failure)?;
                if switches.database >= DatabaseCheck::Login {
                    mysql::log_in(&mut stream, &greeting, self).await?;
                }
                if switches.database >= DatabaseCheck::Tables {
                    mysql::query(&mut stream, &format!("SELECT 1 FROM {} LIMIT 1", self.table)).await?;
                }
                Ok(())
            }
            "postgre" => answers_as_postgres(&mut stream).await.map_err(failure),
            _ => Ok(()),
        }
    }
}

async fn answers_as_postgres(stream: &mut TcpStream) -> Result<(), String> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    stream.write_all(&SSL_REQUEST).await.map_err(|error| error.to_string())?;
    match timeout(ANSWER, stream.read_u8()).await {
        Ok(Ok(b'S' | b'N')) => Ok(()),
        Ok(Ok(_)) => Err("not a PostgreSQL server".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// Whether a jar in the driver folders contains the class (zip directories contain names in plain text).
fn has_driver(home: &Path, class: &str) -> bool {
    let wanted = format!("{}.class", class.replace('.', "/"));
    ["lib", "dropins"].into_iter().any(|folder| {
        let entries = fs::read_dir(home.join("repository/components").join(folder));
        entries.into_iter().flatten().flatten().any(|entry| {
            let path = entry.path();
            path.extension().is_some_and(|extension| extension == "jar")
                && fs::read(&path)
                    .is_ok_and(|bytes| bytes.windows(wanted.len()).any(|part| part == wanted.as_bytes()))
        })
    })
}

/// Wraps the drivers in `components/lib` into bundles, as the product does at each start.
pub(crate) fn wrap_drivers(home: &Path) {
    let components = home.join("repository/components");
    for entry in fs::read_dir(components.join("lib")).into_iter().flatten().flatten() {
        let path = entry.path();
        if let Some(stem) =
            path.file_stem().filter(|_| path.extension().is_some_and(|extension| extension == "jar"))
        {
            let name = stem.to_string_lossy().replace('-', "_");
            let bundle = components.join("dropins").join(format!("{name}_1.0.0.jar"));
            if !bundle.exists() {
                drop(fs::copy(&path, &bundle));
            }
        }
    }
}
